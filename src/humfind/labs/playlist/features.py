"""Tracks as numbers: one-hot categories, scaled numbers, principal components.

The genre is what the metric asks for, so it is not among them, nor anything that says the same: in the original a
one-hot column held it, and the share of genres that stayed together was 0.932 with it and 0.380 without.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from humfind.data.importers.track_table import TrackTable
from humfind.types import Floats, InputError

FEWEST = 3  # tracks of an artist, for a column of its own
SAYS_THE_SAME = 0.98  # correlation of a column with a genre, from which on it is one
EXPLAINED = 0.9  # of the variance, by the components that are kept


@dataclass(frozen=True)
class Features:
    """values: (n, d) float32, numbers of mean 0 and deviation 1, categories 0 or 1. names: of the columns."""

    values: Floats
    names: tuple[str, ...]


def features(table: TrackTable, learned: np.ndarray) -> Features:
    """Everything but the genres. learned: rows that means, deviations and frequent artists are taken from."""
    columns: list[np.ndarray] = []
    names: list[str] = []
    numbers = dict(table.numbers)
    if (table.years > 0).any():
        numbers["year"] = np.where(table.years > 0, table.years, np.nan).astype(np.float32)
    for name, values in numbers.items():
        known = values[learned][np.isfinite(values[learned])]
        mean, spread = (float(known.mean()), float(known.std())) if len(known) else (0.0, 0.0)
        columns.append(np.where(np.isfinite(values), (values - mean) / (spread or 1.0), 0.0))
        names.append(name)
    categories = dict(table.categories) | {"artist": table.artists}
    for name, said in categories.items():
        count = Counter(said[row] for row in learned)
        for value in sorted(one for one, n in count.items() if one and (name != "artist" or n >= FEWEST)):
            columns.append(np.array([one == value for one in said], np.float64))
            names.append(f"{name} is {value}")
    if not columns:
        raise InputError("table: nothing but genres; give columns of numbers or categories")
    return Features(np.stack(columns, axis=1).astype(np.float32), tuple(names))


def require_no_leak(found: Features, table: TrackTable) -> None:
    """Raises InputError where a column says a genre."""
    genres = sorted({genre for one in table.genres for genre in one})
    has = np.array([[genre in one for genre in genres] for one in table.genres], np.float64).T
    for name, column in zip(found.names, found.values.T.astype(np.float64), strict=True):
        if column.std() == 0:
            continue
        for genre, said in zip(genres, has, strict=True):
            if said.std() > 0 and abs(np.corrcoef(column, said)[0, 1]) >= SAYS_THE_SAME:
                raise InputError(
                    f"features: {name} says the same as genre {genre}; the metric asks for it: leave it out"
                )


@dataclass(frozen=True)
class Components:
    """mean: (d,). axes: (k, d), orthogonal rows of length 1, by falling variance. explained: (k,) shares of all."""

    mean: Floats
    axes: Floats
    explained: Floats

    def of(self, values: Floats) -> Floats:
        """(n, d) -> (n, k)."""
        found: Floats = ((values - self.mean) @ self.axes.T).astype(np.float32)
        return found


def principal(values: Floats, share: float = EXPLAINED, most: int = 0) -> Components:
    """Principal components of the rows, as many as explain ``share`` of the variance, or ``most`` of them."""
    mean = values.mean(axis=0)
    _, scale, axes = np.linalg.svd((values - mean).astype(np.float64), full_matrices=False)
    explained = scale**2 / max(float((scale**2).sum()), 1e-12)
    enough = int(np.searchsorted(np.cumsum(explained), min(share, 1 - 1e-9))) + 1
    count = min(most or enough, len(axes))
    return Components(mean, axes[:count].astype(np.float32), explained[:count].astype(np.float32))
