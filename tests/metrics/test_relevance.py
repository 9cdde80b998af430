"""Metrics for sets of right answers: by hand, and against two independent libraries."""

from __future__ import annotations

import ir_measures
import numpy as np
import pytest
from ir_measures import AP, RR, P, R, nDCG
from sklearn.metrics import average_precision_score

from humfind.metrics.relevance import (
    average_precision,
    ndcg_at,
    precision_at,
    recall_at,
    reciprocal_rank,
    set_report,
)


def test_by_hand() -> None:
    est, ref = ["x", "a", "y", "b"], {"a", "b", "c"}
    assert average_precision(est, ref) == pytest.approx((1 / 2 + 2 / 4) / 3)
    assert precision_at(est, ref, 2) == pytest.approx(1 / 2)
    assert precision_at(est, ref, 10) == pytest.approx(2 / 10)
    assert recall_at(est, ref, 2) == pytest.approx(1 / 3)
    assert reciprocal_rank(est, ref) == pytest.approx(1 / 2)
    ideal = 1 + 1 / np.log2(3) + 1 / 2
    assert ndcg_at(est, ref, 10) == pytest.approx((1 / np.log2(3) + 1 / np.log2(5)) / ideal)


def test_nothing_found_is_zero_and_everything_first_is_one() -> None:
    for est, value in ((["x", "y"], 0.0), ([], 0.0), (["a", "b"], 1.0), (["b", "a", "x"], 1.0)):
        assert average_precision(est, {"a", "b"}) == value
        assert ndcg_at(est, {"a", "b"}, 5) == pytest.approx(value)


def random_queries(seed: int) -> tuple[dict[str, list[str]], dict[str, set[str]]]:
    rng = np.random.default_rng(seed)
    items = [f"i{i}" for i in range(40)]
    est = {f"q{q}": list(rng.permutation(items)[: rng.integers(1, 41)]) for q in range(25)}
    ref = {query: set(rng.choice(items, rng.integers(1, 12), replace=False)) for query in est}
    return est, ref


@pytest.mark.parametrize("seed", range(3))
def test_as_ir_measures_has_it(seed: int) -> None:
    est, ref = random_queries(seed)
    report = set_report(est, ref, 40, k=5)
    run = {query: {item: float(-rank) for rank, item in enumerate(ids)} for query, ids in est.items()}
    qrels = {query: dict.fromkeys(ids, 1) for query, ids in ref.items()}
    expected = ir_measures.calc_aggregate([AP, P @ 5, R @ 5, RR, nDCG @ 5], qrels, run)
    found = {AP: report.map, P @ 5: report.precision, R @ 5: report.recall, RR: report.mrr, nDCG @ 5: report.ndcg}
    for measure, interval in found.items():
        assert interval.value == pytest.approx(expected[measure], abs=1e-9)
        assert interval.low <= interval.value <= interval.high


def test_as_scikit_learn_has_it_where_everything_is_ranked() -> None:
    rng = np.random.default_rng(0)
    items = [f"i{i}" for i in range(30)]
    for _ in range(20):
        scores = rng.permutation(30).astype(float)
        ref = set(rng.choice(items, 7, replace=False))
        est = [items[i] for i in np.argsort(-scores)]
        expected = average_precision_score([item in ref for item in items], scores)
        assert average_precision(est, ref) == pytest.approx(expected)


def test_every_query_counts_also_one_without_a_ranking() -> None:
    report = set_report({"a": ["1"]}, {"a": {"1"}, "b": {"2"}}, 2)
    assert (report.map.value, report.queries) == (0.5, 2)
    assert "MAP 0.500" in str(report)


@pytest.mark.parametrize(("est", "ref"), [(["1", "1"], {"1"}), (["1"], set())])
def test_rankings_that_repeat_and_queries_without_right_ids_are_refused(est: list[str], ref: set[str]) -> None:
    with pytest.raises(ValueError, match=r"twice|without right ids"):
        set_report({"q": est}, {"q": ref}, 3)
    with pytest.raises(ValueError, match="no queries"):
        set_report({}, {}, 3)
