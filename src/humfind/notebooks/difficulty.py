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
from humfind.types import Bools, Floats, Query, Ranking

FEWEST = 3  # songs of a database
LENGTHS = 3  # groups of hums, as many in each


def by_length(trial: Trial, rank: RankConfig) -> dict[str, Interval]:
    """MRR@10 of the short, middle and long hums of a trial: the seconds of the group -> its interval."""
    answers = trial.answers or {}
    ranks = dict(zip(answers, trial.ranks(rank), strict=True)) if answers else {}
    hums = sorted((query for query in trial.queries if query.name in ranks), key=lambda query: query.melody.length_s)
    found = {}
    for group in np.array_split(np.arange(len(hums)), min(LENGTHS, len(hums))) if hums else ():
        lengths = [hums[i].melody.length_s for i in group]
        these = np.array([ranks[hums[i].name] for i in group])
        found[f"{lengths[0]:.1f}-{lengths[-1]:.1f} s"] = metrics.report(these, len(trial.index.music_ids)).mrr
    return found


def by_songs(trial: Trial, rank: RankConfig, seed: int) -> tuple[list[int], list[Interval], list[float]]:
    """MRR@10 among ever fewer songs: sizes, intervals, chance. The songs are dealt at random to databases of a size;
    each hum is searched in the one that has its song."""
    answers = trial.answers or {}
    total = len(trial.index.music_ids)
    sizes = [total]
    while sizes[-1] // 2 >= FEWEST:
        sizes.append(sizes[-1] // 2)
    found, chance = [], []
    for size in sizes[::-1]:
        rankings = [
            ranking
            for index in _dealt(trial.index, size, seed)
            for ranking in _search(index, [q for q in trial.queries if answers.get(q.name) in index.music_ids], rank)
        ]
        found.append(metrics.report(search.ranks_of(rankings, {r.query: answers[r.query] for r in rankings}), size).mrr)
        chance.append(metrics.chance(size))
    return sizes[::-1], found, chance


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
    for index in _dealt(trial.index, -(-len(trial.index.music_ids) // 2), seed):
        known = [query for query in trial.queries if query.name in answers]
        for ranking in _search(index, known, rank):
            if ranking.verdict is None or not ranking.answers:
                return {}
            stated.append(ranking.answers[0].probability or 0.0)
            right.append(ranking.answers[0].music_id == answers[ranking.query])
            here.append(answers[ranking.query] in index.music_ids)
            verdicts.append(ranking.verdict)
    as_bools: tuple[Bools, Bools] = np.array(right), np.array(here)
    probability: Floats = np.array(stated, dtype=np.float32)
    return {"stated": probability, "right": as_bools[0], "here": as_bools[1], "verdicts": verdicts}


def _dealt(index: Index, size: int, seed: int) -> list[Index]:
    """Databases of ``size`` songs, dealt at random; what is left over is in none."""
    ids = np.array(index.music_ids)[np.random.default_rng(seed).permutation(len(index.music_ids))]
    groups = [ids[i : i + size] for i in range(0, len(ids) - size + 1, size)]
    if len(ids) - len(groups) * size >= FEWEST and len(groups) == 1:  # the other half of an odd number
        groups.append(ids[size:])
    return [index.delete(set(ids) - set(group)) for group in groups]


def _search(index: Index, queries: list[Query], rank: RankConfig) -> list[Ranking]:
    return search.rank_all(queries, index, make_ranker(rank, index), rank.top)
