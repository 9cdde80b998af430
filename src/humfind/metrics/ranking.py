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

from humfind.metrics.intervals import Interval, bootstrap, bootstrap_each
from humfind.types import Floats, Ints


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
