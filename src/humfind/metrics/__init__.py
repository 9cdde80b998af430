"""How well rankings find their songs.

Conventions
-----------
A rank is 1 for the first answer and 0 when the right song is not among the first ``k``; the reciprocal
rank of rank 0 is 0. Every query counts, also one without answers.

Metrics
-------
MRR@k (mean of 1/rank), top-1 and top-k share, each with a percentile bootstrap interval over queries
(Efron & Tibshirani, An Introduction to the Bootstrap, 1993).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from humfind.types import Floats, Ints

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


@dataclass(frozen=True)
class Report:
    """The figures of one ranker on one split; always together."""

    mrr: Interval
    top1: Interval
    top10: Interval
    queries: int
    songs: int

    def __str__(self) -> str:
        counts = f"({self.queries} hums, {self.songs} songs)"
        return f"MRR@10 {self.mrr}  top-1 {self.top1}  top-10 {self.top10}  {counts}"


def ranks(est_ids: Mapping[str, Sequence[str]], ref_ids: Mapping[str, str], k: int = 10) -> Ints:
    """The rank of each right song, in the order of ``ref_ids``.

    est_ids: query -> ranked music_ids. ref_ids: query -> the right one. Returns (queries,) int64.
    A query of ref_ids without an entry in est_ids has rank 0.
    """
    found = []
    for query, right in ref_ids.items():
        answers = list(est_ids.get(query, ()))[:k]
        found.append(answers.index(right) + 1 if right in answers else 0)
    return np.array(found, dtype=np.int64)


def reciprocal(rank: Ints) -> Floats:
    """1/rank, 0 for rank 0. (n,) -> (n,) float32."""
    return np.where(rank > 0, 1.0 / np.maximum(rank, 1), 0.0).astype(np.float32)


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


def report(rank: Ints, songs: int) -> Report:
    """All figures of one set of ranks (0 = not found), searched among ``songs`` songs."""
    mrr, top1, top10 = bootstrap_each([reciprocal(rank), rank == 1, rank > 0])
    return Report(mrr, top1, top10, queries=len(rank), songs=songs)


def paired_difference(rank_a: Ints, rank_b: Ints) -> Interval:
    """MRR of a minus MRR of b on the same queries, bootstrapped over queries."""
    if len(rank_a) != len(rank_b):
        raise ValueError(f"paired figures need the same queries: {len(rank_a)} and {len(rank_b)}")
    return bootstrap(reciprocal(rank_a) - reciprocal(rank_b))


def chance(songs: int, k: int = 10) -> float:
    """The expected MRR@k of a random order of ``songs`` songs."""
    return float(np.sum(1.0 / np.arange(1, min(k, songs) + 1)) / songs)


def bhattacharyya(a: np.ndarray, b: np.ndarray, bins: int = 50) -> float:
    """Overlap of two samples' histograms, 0 (apart) to 1 (the same); NaN where one is empty. Bhattacharyya 1943."""
    if not len(a) or not len(b):
        return float("nan")
    edges = np.histogram_bin_edges(np.concatenate([a, b]), bins=bins)
    p = np.histogram(a, edges)[0] / len(a)
    q = np.histogram(b, edges)[0] / len(b)
    return float(np.sum(np.sqrt(p * q)))
