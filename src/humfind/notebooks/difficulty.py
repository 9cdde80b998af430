"""Notebook 05: what makes a hum hard to find, and whether the search knows when it has failed."""

from __future__ import annotations

from typing import Any

import numpy as np

from humfind import metrics
from humfind.config import RankConfig
from humfind.index import Index
from humfind.metrics import Interval
from humfind.rankers import make_ranker
from humfind.retrieval import search
from humfind.retrieval.trial import Trial
from humfind.types import Bools, Floats, Ranking

FEWEST = 3  # songs of a database
LENGTHS = 3  # groups of hums, as many in each


def difficulty_of(
    trial: Trial, rank: RankConfig, seed: int
) -> tuple[dict[str, Interval], list[int], list[Interval], list[float]] | None:
    """The arguments of ``plots.ranking.difficulty``; None where no answer is known."""
    if not set(trial.answers or ()) & {query.name for query in trial.queries}:
        return None
    return by_length(trial, rank), *by_songs(trial, rank, seed)


def by_length(trial: Trial, rank: RankConfig) -> dict[str, Interval]:
    """MRR@10 of the short, middle and long hums of a trial: the seconds of the group -> its interval."""
    ranks = dict(zip(trial.answers or (), trial.ranks(rank), strict=True))
    hums = sorted((query for query in trial.queries if query.name in ranks), key=lambda query: query.length_s)
    found = {}
    for group in np.array_split(np.arange(len(hums)), min(LENGTHS, len(hums))):
        lengths = [hums[i].length_s for i in group]
        these = np.array([ranks[hums[i].name] for i in group])
        found[f"{lengths[0]:.1f}-{lengths[-1]:.1f} s"] = metrics.report(these, len(trial.index.music_ids)).mrr
    return found


def by_songs(trial: Trial, rank: RankConfig, seed: int) -> tuple[list[int], list[Interval], list[float]]:
    """MRR@10 among ever more songs: sizes, intervals, chance. The songs are dealt at random to databases of a size;
    each hum is searched in the one that has its song. A size at which no hum's song is dealt is left out."""
    answers = trial.answers or {}
    total = len(trial.index.music_ids)
    sizes = [total]
    while sizes[-1] // 2 >= FEWEST:
        sizes.append(sizes[-1] // 2)
    kept, found, chance = [], [], []
    for size in sizes[::-1]:
        ids = _shuffled(trial.index, seed)
        rankings = [
            ranking
            for start in range(0, total - size + 1, size)
            for ranking in _search(trial, set(ids[start : start + size]), rank, only_theirs=True)
        ]
        if rankings:
            right = {ranking.query: answers[ranking.query] for ranking in rankings}
            kept.append(size)
            found.append(metrics.report(search.ranks_of(rankings, right), size).mrr)
            chance.append(metrics.chance(size))
    return kept, found, chance


def with_and_without(trial: Trial, rank: RankConfig, seed: int) -> dict[str, Any]:
    """The arguments of ``plots.ranking.calibration`` and ``plots.ranking.verdicts``: each hum asked of two halves of
    the songs, one of which has its song. Empty where no answer is known, the ranker states no probability, or there are
    fewer than four songs."""
    answers = trial.answers or {}
    if not answers or len(trial.index.music_ids) < 4:
        return {}
    stated: list[float] = []
    right: list[bool] = []
    here: list[bool] = []
    verdicts: list[str] = []
    for half in np.array_split(_shuffled(trial.index, seed), 2):
        for ranking in _search(trial, set(half), rank):
            if ranking.verdict is None or not ranking.answers:
                return {}
            stated.append(ranking.answers[0].probability or 0.0)
            right.append(ranking.answers[0].music_id == answers[ranking.query])
            here.append(answers[ranking.query] in half)
            verdicts.append(ranking.verdict)
    as_bools: tuple[Bools, Bools] = np.array(right), np.array(here)
    probability: Floats = np.array(stated, dtype=np.float32)
    return {"stated": probability, "right": as_bools[0], "here": as_bools[1], "verdicts": verdicts}


def _shuffled(index: Index, seed: int) -> np.ndarray:
    return np.array(index.music_ids)[np.random.default_rng(seed).permutation(len(index.music_ids))]


def _search(trial: Trial, songs: set[str], rank: RankConfig, only_theirs: bool = False) -> list[Ranking]:
    """The hums whose song is known, searched among ``songs``; only_theirs: those whose song is one of them."""
    answers = trial.answers or {}
    index = trial.index.delete(set(trial.index.music_ids) - songs)
    known = [q for q in trial.queries if q.name in answers and (not only_theirs or answers[q.name] in songs)]
    return search.rank_all(known, index, make_ranker(rank, index), rank.top)
