"""Figures that a hand can check, and the same by an independent library."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humfind import metrics

EST = {"a": ["1", "2", "3"], "b": ["9", "8", "2"], "c": ["4", "5", "6"]}
REF = {"a": "1", "b": "2", "c": "7", "d": "1"}


def test_ranks_count_from_one_and_zero_is_not_found():
    assert metrics.ranks(EST, REF).tolist() == [1, 3, 0, 0]


def test_rank_past_k_is_not_found():
    ten = [str(i) for i in range(11)]
    assert metrics.ranks({"a": ten, "b": ten}, {"a": "9", "b": "10"}).tolist() == [10, 0]
    assert metrics.ranks(EST, REF, k=2).tolist() == [1, 0, 0, 0]


def test_report_by_hand():
    report = metrics.report(metrics.ranks(EST, REF), songs=20)
    assert report.mrr.value == pytest.approx((1 + 1 / 3) / 4, abs=1e-7)
    assert report.top1.value == 0.25
    assert report.top10.value == 0.5
    assert (report.queries, report.songs) == (4, 20)
    assert report.mrr.low <= report.mrr.value <= report.mrr.high


def test_mrr_agrees_with_ir_measures():
    import ir_measures

    rng = np.random.default_rng(3)
    songs = [f"s{i}" for i in range(30)]
    est = {f"q{i}": list(rng.permutation(songs)) for i in range(50)}
    ref = {query: str(rng.choice(songs)) for query in est}
    qrels = {query: {right: 1} for query, right in ref.items()}
    run = {query: {song: -float(i) for i, song in enumerate(order)} for query, order in est.items()}
    theirs = ir_measures.calc_aggregate([ir_measures.RR @ 10, ir_measures.Success @ 10], qrels, run)
    ours = metrics.report(metrics.ranks(est, ref), 30)
    assert ours.mrr.value == pytest.approx(theirs[ir_measures.RR @ 10], abs=1e-6)
    assert ours.top10.value == pytest.approx(theirs[ir_measures.Success @ 10])


SONGS = st.sampled_from([f"s{i}" for i in range(14)])
RANKED = st.lists(SONGS, unique=True, max_size=14)  # none, too few, or past the tenth


@settings(max_examples=60, derandomize=True, deadline=None, database=None)
@given(st.lists(st.tuples(RANKED, SONGS, st.booleans()), min_size=1, max_size=12))
def test_mrr_agrees_with_ir_measures_on_any_rankings(queries):
    """Misses, rankings that are short, empty or not there at all: every query counts in both libraries."""
    import ir_measures

    est = {f"q{i}": ranked for i, (ranked, _, present) in enumerate(queries) if present}
    ref = {f"q{i}": right for i, (_, right, _) in enumerate(queries)}
    qrels = {query: {right: 1} for query, right in ref.items()}
    run = {query: {song: -float(i) for i, song in enumerate(order)} for query, order in est.items()}
    measures = [ir_measures.RR @ 10, ir_measures.Success @ 1, ir_measures.Success @ 10]
    theirs = ir_measures.calc_aggregate(measures, qrels, run)
    ours = metrics.report(metrics.ranks(est, ref), 14)
    found = [ours.mrr.value, ours.top1.value, ours.top10.value]
    assert found == pytest.approx([theirs[measure] for measure in measures], abs=1e-6)


def test_bootstrap_of_equal_values_has_no_width():
    interval = metrics.bootstrap(np.full(7, 0.25))
    assert (interval.low, interval.value, interval.high) == (0.25, 0.25, 0.25)


def test_bootstrap_is_the_same_each_time_and_about_the_normal_width():
    values = np.arange(400) % 2
    interval = metrics.bootstrap(values)
    assert interval == metrics.bootstrap(values)
    assert interval.high - interval.low == pytest.approx(2 * 1.96 * 0.5 / 20, rel=0.1)


def test_bootstrap_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="no queries"):
        metrics.bootstrap(np.array([]))


def test_paired_difference_is_narrower_than_the_figures():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 11, 200)
    better = np.where(a == 2, 1, a)
    difference = metrics.paired_difference(better, a)
    assert difference.value == pytest.approx(np.mean(a == 2) / 2, abs=1e-6)
    assert difference.low > 0
    with pytest.raises(ValueError, match="same queries"):
        metrics.paired_difference(a, a[1:])


def test_chance_of_one_song_is_certain_and_of_twenty_by_hand():
    assert metrics.chance(1) == 1.0
    assert metrics.chance(2) == 0.75
    assert metrics.chance(20) == pytest.approx(sum(1 / r for r in range(1, 11)) / 20)


def test_bhattacharyya_is_one_for_the_same_and_zero_apart():
    values = np.linspace(0, 1, 1000)
    assert metrics.bhattacharyya(values, values) == pytest.approx(1)
    assert metrics.bhattacharyya(values, values + 10) == 0
