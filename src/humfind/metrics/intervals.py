"""Means over queries with their 95 % percentile bootstrap interval (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

BOOTSTRAP_DRAWS = 2000
BOOTSTRAP_SEED = 0
BLOCK = 1_000_000  # values drawn together, whatever the number of queries


@dataclass(frozen=True)
class Interval:
    """A figure with its 95 % bootstrap interval."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


def bootstrap(values: np.ndarray, draws: int = BOOTSTRAP_DRAWS, seed: int = BOOTSTRAP_SEED) -> Interval:
    """The mean of ``values`` (n,) with its 95 % percentile interval. Raises ValueError when empty."""
    return bootstrap_each([values], draws, seed)[0]


def bootstrap_each(
    columns: Sequence[np.ndarray], draws: int = BOOTSTRAP_DRAWS, seed: int = BOOTSTRAP_SEED
) -> list[Interval]:
    """``bootstrap`` of several figures of the same n queries, which are drawn once for all of them.

    Draws are made a block at a time: the memory is bounded, and the generator's numbers, hence the figures, are those
    of all draws at once.
    """
    n = len(columns[0])
    if n == 0:
        raise ValueError("no queries: a mean of nothing is not a figure")
    rng = np.random.default_rng(seed)
    values = [np.asarray(column, dtype=np.float64) for column in columns]
    means = np.empty((len(values), draws))
    rows = max(1, BLOCK // n)
    for start in range(0, draws, rows):
        picks = rng.integers(0, n, (min(rows, draws - start), n))
        for row, column in enumerate(values):
            means[row, start : start + rows] = column[picks].mean(axis=1)
    bounds = [np.percentile(drawn, [2.5, 97.5]) for drawn in means]
    return [
        Interval(float(np.mean(column, dtype=np.float64)), float(low), float(high))
        for column, (low, high) in zip(columns, bounds, strict=True)
    ]
