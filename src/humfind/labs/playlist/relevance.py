"""How much two tracks have to do with each other, and triples drawn by it (2024 report).

    relevance = .5 same main genre + .3 share of common genres + .15 same artist + .3 nearness of year

The nearness of years falls from 1 to 0 over thirty years. The positives of a track are the fifty most relevant others,
its negatives the less relevant half.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humfind.data.importers.track_table import TrackTable
from humfind.types import Floats, Ints

GENRE, SHARED, ARTIST, YEAR = 0.5, 0.3, 0.15, 0.3
YEARS = 30.0
POSITIVES = 50


@dataclass(frozen=True)
class Relevance:
    """Of the tracks of a table. main, artist: (n,) codes, -1 where there is none. has: (n, genres). year: (n,), 0 where
    there is none."""

    main: Ints
    artist: Ints
    has: np.ndarray
    year: Ints

    @classmethod
    def of(cls, table: TrackTable) -> Relevance:
        genres = sorted({genre for one in table.genres for genre in one})
        has = np.array([[genre in one for genre in genres] for one in table.genres], np.float32)
        return cls(_codes(table.main_genre), _codes(table.artists), has.reshape(len(table), -1), table.years)

    def to(self, row: int) -> Floats:
        """(n,): of every track to one, 0 to itself."""
        common = self.has @ self.has[row]
        every = np.maximum(self.has.sum(axis=1) + self.has[row].sum() - common, 1)
        known = (self.year > 0) & (self.year[row] > 0)
        near = np.where(known, np.maximum(0.0, 1 - np.abs(self.year - self.year[row]) / YEARS), 0.0)
        same_genre = (self.main == self.main[row]) & (self.main >= 0)
        same_artist = (self.artist == self.artist[row]) & (self.artist >= 0)
        found = GENRE * same_genre + SHARED * common / every + ARTIST * same_artist + YEAR * near
        found[row] = 0.0
        return np.asarray(found, np.float32)

    def triple(self, row: int, rng: np.random.Generator) -> tuple[int, int]:
        """A positive and a negative of a track, drawn at random."""
        relevance = self.to(row)
        order = np.argsort(-relevance, kind="stable")
        order = order[order != row]
        half = len(order) // 2
        positive = order[: min(POSITIVES, max(1, half))]
        return int(rng.choice(positive)), int(rng.choice(order[max(half, len(positive)) :]))


def _codes(names: tuple[str, ...]) -> Ints:
    known = {name: code for code, name in enumerate(sorted(set(names) - {""}))}
    return np.array([known.get(name, -1) for name in names], np.int64)
