"""Bach's four-part chorales, as music21 carries them: what an ensemble plays."""

from __future__ import annotations

from typing import Any, NamedTuple

from humfind.data.tunebooks import corpus_folder
from humfind.types import InputError

PARTS = 4


class Note(NamedTuple):
    """start_q, length_q: quarter notes. midi: pitch. part: 0 the highest."""

    start_q: float
    length_q: float
    midi: int
    part: int


def read_chorale(number: int) -> tuple[Note, ...]:
    """The ``number``-th file of the corpus, counted around its end; the next one where it has not four parts. Raises
    InputError where the corpus is not there."""
    from music21 import converter, note

    files = sorted((corpus_folder() / "bach").glob("bwv*.mxl"))
    if not files:
        raise InputError("music21: its chorales are not there; pip install --force-reinstall music21")
    for step in range(len(files)):
        score: Any = converter.parse(files[(number + step) % len(files)], forceSource=True, storePickle=False)
        if len(score.parts) == PARTS:
            return tuple(
                Note(float(one.getOffsetInHierarchy(part)), float(one.quarterLength), int(one.pitch.midi), row)
                for row, part in enumerate(score.parts)
                for one in part.stripTies().recurse().getElementsByClass(note.Note)
                if one.quarterLength > 0
            )
    raise InputError("music21: no chorale has four parts; pip install --force-reinstall music21")
