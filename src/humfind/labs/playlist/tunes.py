"""The old tune books as a table of tracks, out of the box: the dance is the genre, the composer or the book the artist,
and numbers come from the notes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from humfind.data.abc import Tune
from humfind.data.importers.track_table import TrackTable
from humfind.data.tunebooks import read_books
from humfind.labs.tags.tunes import DANCES

FEWEST = 20  # tunes of a dance
PRINTED = {"O'Neill's": 1903, "Aird's": 1782, "Ryan's": 1883}  # when the books came out, the first of several
KEYS = ("C", "D flat", "D", "E flat", "E", "F", "G flat", "G", "A flat", "A", "B flat", "B")


def danced() -> list[Tune]:
    """Tunes whose dance the books name and that many share."""
    every = [tune for tune in read_books().merged if tune.rhythm]
    called = Counter(dance(tune) for tune in every)
    return [tune for tune in every if called[dance(tune)] >= FEWEST]


def table(tunes: Sequence[Tune]) -> TrackTable:
    """Metre and mode are categories; no tempo is among the numbers: the books' tempi are those of their dances."""
    numbers = [_numbers(tune) for tune in tunes]
    return TrackTable(
        tuple(tune.where for tune in tunes),
        tuple(tune.title for tune in tunes),
        tuple(tune.composer or tune.book for tune in tunes),
        tuple((dance(tune),) for tune in tunes),
        np.array([_year(tune) for tune in tunes], np.int64),
        {name: np.array([row[name] for row in numbers], np.float32) for name in numbers[0]},
        {
            "key": tuple(KEYS[tune.melody.tonic] for tune in tunes),
            "mode": tuple("minor" if tune.minor else "major" for tune in tunes),
            "metre": tuple(f"{tune.bar_q:g} quarters" for tune in tunes),
        },
        ((),) * len(tunes),
    )


def dance(tune: Tune) -> str:
    """What it is called most often."""
    return DANCES.get(tune.rhythm, tune.rhythm)


def _year(tune: Tune) -> int:
    return next((year for book, year in PRINTED.items() if tune.book.startswith(book)), 0)


def _numbers(tune: Tune) -> dict[str, float]:
    """Range in semitones, notes a quarter, steps and their spread, entropy of pitches and of lengths in bits."""
    melody = tune.written
    steps = np.abs(np.diff(melody.midi))
    return {
        "range": float(np.ptp(melody.midi)),
        "density": float(len(melody.midi) / melody.total_q),
        "step": float(steps.mean()),
        "leaps": float((steps > 4).mean()),
        "repeated": float((steps == 0).mean()),
        "rising": float((np.diff(melody.midi) > 0).mean()),
        "pitch entropy": _entropy(melody.midi % 12),
        "rhythm entropy": _entropy(melody.length_q),
        "bars": float(melody.total_q / melody.bar_q),
        "dotted": float(np.isin(np.round(melody.length_q, 3), (0.75, 1.5)).mean()),
    }


def _entropy(values: np.ndarray) -> float:
    share = np.unique(np.round(values, 3), return_counts=True)[1] / len(values)
    return float(-(share * np.log2(share)).sum())
