"""Written melodies -> f0: Standard MIDI files, ABC and Humdrum kern.

Conventions
-----------
- A melody is rows of (start_s, end_s, midi). Where several notes sound at once, the highest is the melody.
- A sheet without a tempo is played at ``SHEET_TEMPO`` quarter notes a minute.
- f0 begins with the first note and has a value every ``HOP_S``; 0 is silence.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from humfind.data.abc import parse_tune, split_tunes
from humfind.runtime.files import LARGEST_TEXT, require_file
from humfind.types import Floats, InputError

HOP_S = 0.01
SHEET_TEMPO = 120.0
LONGEST_S = 3 * 3600.0  # beyond, a file's times are nonsense
DRUMS = 9  # the channel, from 0, on which General MIDI has no pitch
MELODY_TRACKS = ("melody", "vocal", "voice", "lead")
SUFFIXES = (".mid", ".midi", ".abc", ".krn", ".kern")


# what music21 raises for text that is none of its formats, beside its own errors, which are Exceptions alone
UNREADABLE = (ValueError, LookupError, AttributeError, TypeError, ArithmeticError, RecursionError, OSError)


class NoMelodyError(ValueError):
    """Why a file gives no melody."""


def _require_file(path: Path) -> None:
    try:
        require_file(path, LARGEST_TEXT)
    except InputError as error:
        raise NoMelodyError(str(error).removeprefix(f"{path}: ")) from error


def _decoded(content: bytes) -> str:
    """Text in UTF-8 or UTF-16 with a byte order mark, in UTF-8 without, and what is not, letter by letter replaced."""
    for mark, encoding in (
        (codecs.BOM_UTF8, "utf-8-sig"),
        (codecs.BOM_UTF16_LE, "utf-16"),
        (codecs.BOM_UTF16_BE, "utf-16"),
    ):
        if content.startswith(mark):
            return content.decode(encoding, "replace")
    return content.decode("utf-8", "replace")


def pitch_sequence_of(rows: NDArray[np.float64]) -> Floats:
    """(n, 3) start_s, end_s, midi -> (frames,) Hz."""
    if len(rows) == 0:
        raise NoMelodyError("no notes")
    first, last = rows[:, 0].min(), rows[:, 1].max()
    if not np.isfinite(rows).all() or last - first > LONGEST_S:
        raise NoMelodyError("times that no song has")
    hz = np.zeros(max(1, round((last - first) / HOP_S)), np.float32)
    for start, end, midi in rows[np.argsort(rows[:, 2], kind="stable")]:  # the highest is laid on last
        hz[round((start - first) / HOP_S) : round((end - first) / HOP_S)] = 440.0 * 2.0 ** ((midi - 69.0) / 12.0)
    return hz


def read(path: Path, unread: list[tuple[str, str]] | None = None) -> Iterator[tuple[str, str, Floats]]:
    """(number, title, Hz) of each melody in a file; only ABC files hold several, the number is then their X: field.

    unread: takes (number, reason) of each tune of an ABC file that cannot be read where others can. Raises
    NoMelodyError, and for an ABC file only where none of its tunes can be read.
    """
    suffix = path.suffix.lower()
    _require_file(path)
    if suffix in (".mid", ".midi"):
        yield "", path.stem, pitch_sequence_of(midi_rows(path))
    elif suffix == ".abc":
        yield from _abc(path, [] if unread is None else unread)
    elif suffix in (".krn", ".kern"):
        yield "", path.stem, pitch_sequence_of(_kern_rows(path))
    else:
        raise NoMelodyError(f"a {suffix or 'nameless'} file; known are {', '.join(SUFFIXES)}")


def midi_rows(path: Path, track: str = "") -> NDArray[np.float64]:
    """The melody of a MIDI file. track: the name of the one that has it (case does not matter); empty: the first that
    is called a melody or a voice, else all but drums.

    Raises NoMelodyError.
    """
    import mido

    _require_file(path)
    try:
        file = mido.MidiFile(path)
        if file.ticks_per_beat <= 0:
            raise ValueError("not in quarter notes")
        names = [part.name.strip().lower() for part in file.tracks]
        wanted = (track.lower(),) if track else MELODY_TRACKS
        chosen = [row for row, name in enumerate(names) if any(word in name for word in wanted)][:1]
        if track and not chosen:
            raise NoMelodyError(f"no track is called {track}")
        tempos = _tempos(file)
        rows = [_notes(file.tracks[row], tempos, file.ticks_per_beat) for row in chosen or range(len(file.tracks))]
    except NoMelodyError:
        raise
    except (OSError, EOFError, ValueError, LookupError, TypeError, mido.KeySignatureError) as error:
        raise NoMelodyError(f"not a whole MIDI file ({str(error).strip() or type(error).__name__})") from error
    found = np.concatenate(rows) if rows else np.empty((0, 3))
    if len(found) == 0:
        raise NoMelodyError("no notes")
    return found


def _tempos(file: Any) -> NDArray[np.float64]:
    """(n, 2): from which tick on, how many microseconds a quarter note takes; any track may change it."""
    changes = {0: 60e6 / SHEET_TEMPO}
    for track in file.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "set_tempo":
                changes[tick] = float(message.tempo)
    return np.array(sorted(changes.items()), dtype=np.float64)


def _notes(track: Any, tempos: NDArray[np.float64], per_quarter: int) -> NDArray[np.float64]:
    """The notes of one track; one that never ends ends with the track."""
    tick, sounding, ticks = 0, dict[tuple[int, int], int](), []
    for message in track:
        tick += message.time
        if message.type not in ("note_on", "note_off") or message.channel == DRUMS:
            continue
        key = (message.channel, message.note)
        if key in sounding:
            ticks.append((sounding.pop(key), tick, message.note))
        if message.type == "note_on" and message.velocity > 0:
            sounding[key] = tick
    ticks += [(start, tick, note) for (_, note), start in sounding.items()]
    rows = np.array([row for row in ticks if row[1] > row[0]], dtype=np.float64).reshape(-1, 3)
    lengths = np.diff(tempos[:, 0]) * tempos[:-1, 1]
    begin = np.concatenate([[0.0], np.cumsum(lengths)]) / per_quarter / 1e6
    for column in (0, 1):
        row = np.searchsorted(tempos[:, 0], rows[:, column], side="right") - 1
        rows[:, column] = begin[row] + (rows[:, column] - tempos[row, 0]) * tempos[row, 1] / per_quarter / 1e6
    return rows


def _abc(path: Path, unread: list[tuple[str, str]]) -> Iterator[tuple[str, str, Floats]]:
    found, reasons = 0, list[tuple[str, str]]()
    for chunk in split_tunes(_decoded(path.read_bytes()).replace("\r\n", "\n").replace("\r", "\n")):
        try:
            tune = parse_tune(chunk, path.stem)
            melody = tune.melody
        except ValueError as error:  # TuneError is one
            number = chunk.strip().partition("\n")[0].removeprefix("X:").partition("%")[0].strip()
            reasons.append((number[:20], str(error)))
            continue
        second = 60.0 / (tune.tempo if isinstance(tune.tempo, float | int) and tune.tempo > 0 else SHEET_TEMPO)
        rows = np.stack([melody.start_q, melody.start_q + melody.length_q, melody.midi], axis=1).astype(np.float64)
        yield tune.number, tune.title, pitch_sequence_of(rows * [second, second, 1.0])
        found += 1
    if found:
        unread.extend(reasons)
    else:
        raise NoMelodyError(reasons[0][1] if reasons else "no tune (a line X: begins each)")


def _kern_rows(path: Path) -> NDArray[np.float64]:
    import music21

    unreadable = (*UNREADABLE, music21.exceptions21.Music21Exception)
    try:
        score = music21.converter.parse(path, format="humdrum").stripTies()
        second = 60.0 / SHEET_TEMPO
        rows = [
            (float(note.offset) * second, float(note.offset + note.quarterLength) * second, float(max(pitches)))
            for note in score.flatten().notes
            if note.quarterLength > 0 and (pitches := [pitch.midi for pitch in note.pitches])
        ]
    except unreadable as error:
        raise NoMelodyError(f"not kern that can be read ({type(error).__name__}: {error})"[:200]) from error
    return np.array(rows, dtype=np.float64).reshape(-1, 3)
