"""How well rankings find sets of right answers: cover versions, tracks of a tag, tracks of a playlist.

Conventions
-----------
``est_ids`` are ranked ids, best first, without repeats; ``ref_ids`` is the set of right ones, not empty. A right id
that the ranking lacks counts as never found. A query's own id must be in neither. Means are over queries, every query
of ``ref_ids`` counts, and intervals are bootstrapped over queries as in ``humfind.metrics``.

Metrics
-------
Average precision (and its mean, MAP), precision@k, recall@k, reciprocal rank, NDCG@k with gains of 0 and 1;
definitions as in Manning, Raghavan and Schütze, Introduction to Information Retrieval, 2008, chapter 8, and Järvelin
and Kekäläinen 2002.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from humfind.metrics.intervals import Interval, bootstrap


def average_precision(est_ids: Sequence[str], ref_ids: Collection[str]) -> float:
    """The mean of the precisions at the ranks of the right ids; 0 for each that is not ranked."""
    hit = _hits(est_ids, ref_ids)
    ranks = np.flatnonzero(hit) + 1
    return float(np.sum(np.arange(1, len(ranks) + 1) / ranks) / len(set(ref_ids)))


def precision_at(est_ids: Sequence[str], ref_ids: Collection[str], k: int) -> float:
    """The share of the first ``k`` places that hold a right id; places that the ranking leaves empty hold none."""
    return float(_hits(est_ids, ref_ids)[:k].sum() / k)


def recall_at(est_ids: Sequence[str], ref_ids: Collection[str], k: int) -> float:
    """The share of the right ids that are among the first ``k``."""
    return float(_hits(est_ids, ref_ids)[:k].sum() / len(set(ref_ids)))


def reciprocal_rank(est_ids: Sequence[str], ref_ids: Collection[str]) -> float:
    """1 / the rank of the first right id; 0 where none is ranked."""
    hit = _hits(est_ids, ref_ids)
    return float(1 / (1 + hit.argmax())) if hit.any() else 0.0


def ndcg_at(est_ids: Sequence[str], ref_ids: Collection[str], k: int) -> float:
    """Discounted cumulative gain of the first ``k``, divided by the best possible."""
    discount = 1 / np.log2(np.arange(2, k + 2))
    gain = _hits(est_ids, ref_ids)[:k] @ discount[: len(est_ids[:k])]
    return float(gain / discount[: len(set(ref_ids))].sum())


@dataclass(frozen=True)
class SetReport:
    """The figures of one ranker on one set of queries; always together. precision, recall, ndcg: at ``k``."""

    map: Interval
    precision: Interval
    recall: Interval
    mrr: Interval
    ndcg: Interval
    k: int
    queries: int
    items: int

    def __str__(self) -> str:
        parts = (
            f"MAP {self.map}",
            f"P@{self.k} {self.precision}",
            f"recall@{self.k} {self.recall}",
            f"MRR {self.mrr}",
            f"NDCG@{self.k} {self.ndcg}",
        )
        return "  ".join(parts) + f"  ({self.queries} queries, {self.items} items)"


def set_report(
    est_ids: Mapping[str, Sequence[str]], ref_ids: Mapping[str, Collection[str]], items: int, k: int = 10
) -> SetReport:
    """est_ids: query -> ranked ids. ref_ids: query -> its right ids. items: how many were searched.

    Raises ValueError where there are no queries, where a query has no right ids, and where a ranking repeats an id.
    """
    ranked = [list(est_ids.get(query, ())) for query in ref_ids]
    pairs = list(zip(ranked, ref_ids.values(), strict=True))
    return SetReport(
        map=_mean(pairs, average_precision),
        precision=_mean(pairs, lambda est, ref: precision_at(est, ref, k)),
        recall=_mean(pairs, lambda est, ref: recall_at(est, ref, k)),
        mrr=_mean(pairs, reciprocal_rank),
        ndcg=_mean(pairs, lambda est, ref: ndcg_at(est, ref, k)),
        k=k,
        queries=len(pairs),
        items=items,
    )


def _mean(
    pairs: Sequence[tuple[Sequence[str], Collection[str]]],
    metric: Callable[[Sequence[str], Collection[str]], float],
) -> Interval:
    return bootstrap(np.array([metric(est, ref) for est, ref in pairs], dtype=np.float64))


def _hits(est_ids: Sequence[str], ref_ids: Collection[str]) -> np.ndarray:
    """(len(est_ids),) bool: which places hold a right id."""
    if not ref_ids:
        raise ValueError("a query without right ids has no figures; leave it out")
    if len(set(est_ids)) != len(est_ids):
        raise ValueError("a ranking names an id twice")
    return np.isin(np.array(est_ids, dtype=object).astype(str), list(ref_ids)) if est_ids else np.zeros(0, bool)
