"""Notebook 05: what makes a hum hard, on trials with and without answers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_world import PlainModel, f0_of, hum_of, melody

from humfind import notebooks
from humfind.config import RankConfig
from humfind.index import Song
from humfind.plots import ranking as plots
from humfind.retrieval.search import build_index, make_query
from humfind.retrieval.trial import Trial

RANK = RankConfig()


@pytest.fixture(scope="module")
def trial() -> Trial:
    """Seven songs, and a hum of each."""
    index = build_index([(Song(f"{i}"), f0_of(melody(i))) for i in range(7)], PlainModel())
    queries = tuple(make_query(f"h{i}", hum_of(i, length_s=5.0 + i), PlainModel()) for i in range(7))
    names = tuple(query.name for query in queries)
    return Trial("public_test", index, queries, names, {f"h{i}": f"{i}" for i in range(7)}, [], [])


def test_lengths_and_sizes(trial: Trial) -> None:
    found = notebooks.difficulty_of(trial, RANK, seed=0)
    assert found is not None
    by_length, sizes, by_songs, chance = found
    assert list(by_length) == ["5.0-7.0 s", "8.0-9.0 s", "10.0-11.0 s"]
    assert sizes == [3, 7]
    assert [one.value for one in by_songs] == [1.0, 1.0]
    assert chance[0] > chance[1]
    plots.difficulty(*found)


def test_without_answers_there_is_nothing_to_show(trial: Trial) -> None:
    for answers in (None, {}, {"another": "1"}):
        assert notebooks.difficulty_of(replace(trial, answers=answers), RANK, seed=0) is None
    assert notebooks.with_and_without(replace(trial, answers=None), RANK, seed=0) == {}


def test_each_hum_is_asked_of_both_halves(trial: Trial) -> None:
    sure = notebooks.with_and_without(trial, RANK, seed=0)
    assert len(sure["stated"]) == len(sure["verdicts"]) == 14
    assert sure["here"].sum() == 7
    assert sure["right"].sum() == 7
    assert not (sure["right"] & ~sure["here"]).any()
    assert np.mean(sure["stated"][sure["here"]]) > np.mean(sure["stated"][~sure["here"]])
    plots.verdicts(sure["verdicts"], sure["right"], sure["here"])


def test_a_ranker_without_probabilities_has_no_verdicts(trial: Trial) -> None:
    assert notebooks.with_and_without(trial, replace(RANK, ranker="nearest"), seed=0) == {}
