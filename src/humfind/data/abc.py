"""One tune of an ABC file: its fields, and its notes as written and as played.

music21 reads the tokens (pitches in their key, tuplets, broken rhythm); repeats are unfolded, ties joined
and grace notes left out here. Of a chord the highest note is the melody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from humfind.synth.melody import Melody, from_lengths

MIN_NOTES = 16  # shorter than this is a drum beating or a fragment
# Quarter notes a minute where the book gives none, by a word in its rhythm, notes or title.
TEMPOS = (
    ("slow", 76), ("air", 84), ("plaintive", 76), ("tender", 80), ("lament", 70), ("waltz", 120),
    ("minuet", 110), ("slip", 160), ("jig", 165), ("reel", 190), ("hornpipe", 160), ("strathspey", 130),
    ("clog", 140), ("fling", 150), ("polka", 120), ("march", 108), ("quadrille", 120),
)  # fmt: skip
PITCH_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}


@dataclass(frozen=True)
class Tune:
    """One printed tune. number: its number in the book, or the name of its file where tunes have files.

    midi: (n,) semitones as written, 0 a rest; length_q: (n,) quarter notes; order: rows of these as they
    are played, with the repeats. printed_in: the books that hold it, more than one after merging. rhythm: the kind of
    dance that the book calls it, in lower case; composer: as the book has it; both may be empty.
    """

    title: str
    book: str
    number: str
    transcriber: str
    midi: NDArray[np.float32]
    length_q: NDArray[np.float32]
    order: NDArray[np.int64]
    bar_q: float
    beat_q: float
    tempo: float
    fifths: int
    minor: bool
    printed_in: tuple[str, ...] = ()
    rhythm: str = ""
    composer: str = ""

    @property
    def where(self) -> str:
        """Book and number."""
        return f"{self.book}, {self.number}"

    @cached_property
    def melody(self) -> Melody:
        """As played, repeats and all."""
        return self._melody(self.midi[self.order], self.length_q[self.order])

    @cached_property
    def written(self) -> Melody:
        """As printed: every strain once."""
        return self._melody(self.midi, self.length_q)

    def _melody(self, midi: NDArray, length_q: NDArray) -> Melody:
        return from_lengths(
            midi,
            length_q,
            bar_q=self.bar_q,
            beat_q=self.beat_q,
            tempo=self.tempo,
            fifths=self.fifths,
            minor=self.minor,
        )


class TuneError(ValueError):
    """Why a tune can't be used."""


def split_tunes(text: str) -> Iterator[str]:
    """The tunes of an ABC file, each from its own ``X:`` on: numbers may repeat within a file."""
    starts = [m.start() for m in re.finditer(r"^X:", text, re.MULTILINE)]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=False):
        yield text[start:end]


def parse_tune(text: str, book: str, number: str = "") -> Tune:
    """One ABC tune, from ``X:`` to its last bar. number: in the book, where ``X:`` does not say.

    Raises TuneError when it has no title, too few notes, or can't be read.
    """
    try:
        return _parse_tune(text, book, number)
    except (ArithmeticError, LookupError, AttributeError, TypeError, RecursionError) as error:
        raise TuneError(f"can't be read ({type(error).__name__}: {error})"[:200]) from error


def _parse_tune(text: str, book: str, number: str) -> Tune:
    fields = _fields(text)
    titles = [t for t in fields.get("T", []) if t]
    if not titles:
        raise TuneError("no title")
    score = _Score(_tokens(text))
    if len(score.midi) < MIN_NOTES or np.count_nonzero(score.midi) < MIN_NOTES:
        raise TuneError(f"fewer than {MIN_NOTES} notes")
    number = number or (fields.get("X") or [""])[0].lstrip("0")
    hints = " ".join(fields.get("R", []) + fields.get("N", []) + titles).lower()
    bar_q, beat_q = _metre((fields.get("M") or ["4/4"])[0])
    return Tune(
        title=_title(titles[0]),
        book=book,
        number=number,
        transcriber=_transcriber(fields.get("Z", [])),
        midi=np.array(score.midi, np.float32),
        length_q=np.array(score.length_q, np.float32),
        order=np.array(score.order, np.int64),
        bar_q=bar_q,
        beat_q=beat_q,
        tempo=_tempo((fields.get("Q") or [""])[0], hints, beat_q),
        fifths=score.fifths,
        minor=score.midi[-1] % 12 == (7 * score.fifths + 9) % 12,
        rhythm=(fields.get("R") or [""])[0].lower(),
        composer=(fields.get("C") or [""])[0].strip('".'),
    )


def _tokens(text: str) -> list[Any]:
    import music21
    from music21 import abcFormat

    handler = abcFormat.ABCHandler()
    try:
        handler.process(text)
    except (music21.exceptions21.Music21Exception, ValueError) as error:
        raise TuneError(f"music21 can't read it ({type(error).__name__})") from error
    return handler.tokens


class _Score:
    """Tokens -> notes as written (midi 0 = rest, length_q) and ``order``, their rows as played."""

    def __init__(self, tokens: list[Any]) -> None:
        from music21.abcFormat import ABCBar, ABCChord, ABCMetadata, ABCNote

        self.midi: list[float] = []
        self.length_q: list[float] = []
        self.order: list[int] = []
        self.fifths = 0
        self._strain = 0  # where in ``order`` the strain that a :| repeats begins
        self._first_ending: int | None = None
        self._in_second = False
        has_key = False
        for token in tokens:
            if isinstance(token, ABCBar):
                self._bar(token)
            elif isinstance(token, ABCNote) and not token.inGrace:
                voices: list[Any] = token.subTokens if isinstance(token, ABCChord) else [token]
                pitches = [_midi(v.pitchName) for v in voices if v.pitchName]
                self._note(max(pitches, default=0.0), token)
            elif isinstance(token, ABCMetadata) and token.isKey() and not has_key:
                self.fifths, has_key = int(token.getKeySignatureParameters()[0]), True
        while self.order and self.midi[self.order[-1]] == 0:
            self.order.pop()

    def _note(self, midi: float, token: Any) -> None:
        tuplet = getattr(token, "activeTuplet", None)
        length = float(token.quarterLength) * (float(tuplet.tupletMultiplier()) if tuplet else 1.0)
        if length <= 0:
            return
        tied = token.tie in ("stop", "continue") and bool(self.midi) and self.midi[-1] == midi
        if tied and self.order and self.order[-1] == len(self.midi) - 1:
            self.length_q[-1] += length
            return
        self.order.append(len(self.midi))
        self.midi.append(midi)
        self.length_q.append(length)

    def _bar(self, bar: Any) -> None:
        here = len(self.order)
        if bar.repeatForm == "first":
            self._first_ending = here
        elif bar.repeatForm == "second":
            self._in_second = True
        elif bar.repeatForm == "end" and not self._in_second:
            self.order += self.order[self._strain : self._first_ending]
            self._begin_strain(len(self.order))
        elif self._in_second or self._first_ending is None:
            if bar.repeatForm in ("start", "end") or bar.barStyle not in ("regular", ""):
                self._begin_strain(here)
        elif bar.repeatForm == "start":
            self._begin_strain(here)

    def _begin_strain(self, at: int) -> None:
        self._strain, self._first_ending, self._in_second = at, None, False


def _midi(name: str) -> float:
    """music21's pitch name -> MIDI: F#4, B-4, C5."""
    accidentals = name.count("#") - name.count("-")
    return 12.0 * (int(name[-1]) + 1) + PITCH_CLASSES[name[0]] + accidentals


def _fields(text: str) -> dict[str, list[str]]:
    """Header lines by letter, without comments, quotes kept."""
    found: dict[str, list[str]] = {}
    for line in text.splitlines():
        if match := re.match(r"([A-Z]):(.*)", line):
            value = match[2] if match[1] in "TNZ" else match[2].split("%")[0]
            found.setdefault(match[1], []).append(value.strip())
    return found


def _metre(text: str) -> tuple[float, float]:
    """Quarter notes a bar and a beat: 6/8 -> 3, 1.5."""
    text = {"C": "4/4", "C|": "2/2"}.get(text, text)
    match = re.match(r"(\d+)/(\d+)", text)
    if not match or int(match[2]) == 0:
        return 4.0, 1.0
    upper, lower = int(match[1]), int(match[2])
    bar_q = 4.0 * upper / lower
    return bar_q, 1.5 if lower == 8 and upper % 3 == 0 else 4.0 / lower


def _tempo(marked: str, hints: str, beat_q: float) -> float:
    """Quarter notes a minute: as marked (``1/2=112``, ``80``), else by the kind of tune."""
    if match := re.match(r"\s*(\d+)/(\d+)\s*=\s*(\d+)", marked):
        tempo = 4.0 * int(match[1]) / int(match[2]) * int(match[3])
    elif match := re.match(r"\s*C?\d?\s*=?\s*(\d{2,3})", marked):
        tempo = beat_q * int(match[1])
    else:
        tempo = float(next((q for word, q in TEMPOS if word in hints), 110))
    return float(np.clip(tempo, 40, 320))


REMARKS = re.compile(
    r"(?i)\b(abc|abcmus|bars?|beats?|notes?|should|or\w*nam\w*|usually|original|version|strains?|meter|metre|fermata"
    r"|key|d\.c|signs?|trills?|related|collected|see also|parts?|repeats?|in the|i guess|measures?|typo|aka|dal"
    r"|assume|fractional|sharps?|not know|changed|placed|the|ending|played|staccato|reel|o'neill|[a-z]+[0-9])\b"
)


def _transcriber(lines: list[str]) -> str:
    """Who typed the tune in, and who mended it, without addresses, dates, programs and remarks."""
    kept = []
    for line in lines:
        text = re.sub(r"<[^>]*>|\([^)]*[@:][^)]*\)|[^\s,]+[@:]\S+|\S+\.(?:nl|com|edu|net)\b", "", line)
        text = re.sub(r"\b(19|20)\d{6}\b|\b\d{1,2}/\d{1,2}/\d{2,4}\b|\b\d{1,2}june\d\d\b|-\d{1,2}-\d{1,2}\b", "", text)
        text = re.sub(r"^.*\b(?:by|be|trans\w*ed|contributed|cript\w+)\b\s*:?", "", text, flags=re.IGNORECASE)
        text = re.sub(r"^\W*\d{4}\b|[;(].*$", "", text) if "Campin" not in text else text
        text = " ".join(text.split()).strip(" ,.*;<>\"'-")
        if 4 < len(text) < 45 and not REMARKS.search(text):
            kept.append(text)
    return "; ".join(dict.fromkeys(kept)) or "not named"


def _title(text: str) -> str:
    """``"DEVIL'S DREAM., The"`` -> ``The Devil's Dream``."""
    text = text.strip().strip('"').rstrip(". ")
    if match := re.match(r"(.*?)\.?, (The|A|An)$", text, re.IGNORECASE):
        text = f"{match[2]} {match[1]}"
    text = re.sub(r"(?<=\w):(?=\w)|:$", "", text)
    if text.isupper():
        text = re.sub(r"[A-Z]+('[A-Z]+)?", lambda m: m[0].capitalize(), text)
    return text
