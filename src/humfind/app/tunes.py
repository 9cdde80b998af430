"""The library that is there without any set-up: the tunes of the old books, by title, played by synthesis."""

from __future__ import annotations

import io
import sys
from collections.abc import Collection, Iterator
from functools import cache, lru_cache
from pathlib import Path

import numpy as np

from humfind.app.library import Library
from humfind.data.notes import HOP_S
from humfind.data.tunebooks import read_books
from humfind.index import Index, Song, read_about
from humfind.retrieval import search
from humfind.retrieval.checkpoints import PRETRAINED, load_model
from humfind.runtime.lock import writing
from humfind.synth.melody import Notes, pitch_line, sung_tempo, timed
from humfind.synth.soundfont import RATE_HZ, Played, Soundfont
from humfind.types import F0, InputError

NAME, FOLDER = "Tune books", "tunes"
NOTES_PER_S = (1.7, 3.2)  # as fast as people sing
FLUTE = 73  # of General MIDI
LONGEST_S = 90.0
TRACKER = "swiftf0"  # of the hums


def is_built(folder: Path) -> bool:
    """Whether the index is there, as this version reads it."""
    try:
        return bool(read_about(folder))
    except InputError:
        return False


def library(folder: Path) -> Library:
    """The index that ``build`` has made."""
    return Library(NAME, folder, wav)


def build(folder: Path, books: Collection[str] = ()) -> None:
    """Into ``folder``. books: those alone; all where empty."""
    with writing(folder):
        if not is_built(folder):
            _index(books).save(folder)


@cache
def _notes() -> dict[str, tuple[str, str, Notes]]:
    """Id -> title, book and notes, of every tune."""
    made = {}
    for tune in read_books().merged:
        notes = timed(tune.melody, sung_tempo(tune.melody, NOTES_PER_S)).between(0.0, LONGEST_S)
        made[tune.where] = (tune.title, tune.book, notes)
    return made


def _index(books: Collection[str]) -> Index:
    model, path = load_model(PRETRAINED)
    chosen = {music_id: one for music_id, one in _notes().items() if not books or one[1] in books}

    def songs() -> Iterator[tuple[Song, F0]]:
        for music_id, (title, book, notes) in chosen.items():
            hz = pitch_line(notes)
            yield Song(music_id, title, book), F0(hz, (hz > 0).astype(np.float32), HOP_S)

    return search.build_index(songs(), model, path, {"tracker": TRACKER}, len(chosen))


def music_ids() -> list[str]:
    """Of every tune."""
    return list(_notes())


def notes_of(music_id: str) -> Notes:
    """A tune, as it is played. Raises InputError for one that is not there."""
    if music_id not in _notes():
        raise InputError(f"{music_id:.80}: no such tune")
    return _notes()[music_id][2]


def titled(music_id: str) -> str:
    """A tune's title."""
    return _notes()[music_id][0]


@lru_cache(maxsize=16)  # a player asks for a song part by part
def wav(music_id: str) -> bytes:
    """A tune, played. Raises InputError for one that is not there, and where there is nothing to play it with."""
    import soundfile

    notes = notes_of(music_id)
    columns = zip(notes.start_s.tolist(), notes.end_s.tolist(), notes.midi.tolist(), strict=True)
    played = [Played(start, end, FLUTE, round(midi), 90) for start, end, midi in columns]
    try:
        font = Soundfont()
    except ModuleNotFoundError as error:
        raise InputError(f"{error.name}: not installed, so that no tune is played; see the README") from error
    samples = font.play(played, float(notes.end_s[-1]) + 0.5)
    file = io.BytesIO()
    soundfile.write(file, 0.8 * samples / (np.abs(samples).max() + 1e-9), RATE_HZ, "PCM_16", format="WAV")
    return file.getvalue()


if __name__ == "__main__":
    build(Path(sys.argv[1]))
