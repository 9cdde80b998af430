"""Which renditions belong together: by an attention network, and by the library's own rankers on their melodies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial.distance import cdist
from scipy.stats import ttest_ind

from humfind import metrics
from humfind.config import RankConfig
from humfind.encoders.checkpoint import Model
from humfind.index import Song
from humfind.rankers import make_ranker
from humfind.retrieval import search
from humfind.training.tasks.cliques import Rendition
from humfind.types import F0, Floats

BINS_OF_THE_CODE = 20


@dataclass(frozen=True)
class Distances:
    """matching, other: (n,), of pairs of one clique and of different ones. overlap: Bhattacharyya coefficient with half
    as many bins as matching pairs, as the report has it; overlap_20: with 20, as its code. t, p: Welch's t-test."""

    matching: Floats
    other: Floats
    overlap: float
    overlap_20: float
    t: float
    p: float


def distances(vectors: Floats, renditions: Sequence[Rendition]) -> Distances:
    """Euclidean distances of all pairs."""
    cliques = np.array([one.clique for one in renditions])
    first, second = np.triu_indices(len(cliques), 1)
    every = cdist(vectors, vectors)[first, second].astype(np.float32)
    same = cliques[first] == cliques[second]
    matching, other = every[same], every[~same]
    test = ttest_ind(matching, other, equal_var=False)
    return Distances(
        matching,
        other,
        metrics.bhattacharyya(matching, other, max(1, len(matching) // 2)),
        metrics.bhattacharyya(matching, other, BINS_OF_THE_CODE),
        float(test.statistic),
        float(test.pvalue),
    )


def by_ranker(names: Sequence[str], f0s: Sequence[F0], model: Model, ranker: str) -> np.ndarray:
    """Each recording searched among all by a ranker of the library: (n, n), the place of each in the answer to each;
    what is not answered is last."""
    index = search.build_index([(Song(name), f0) for name, f0 in zip(names, f0s, strict=True)], model)
    queries = search.make_queries(zip(names, f0s, strict=True), model)
    asked = RankConfig(ranker=ranker, top=len(names))
    row = {name: i for i, name in enumerate(names)}
    place = np.full((len(names), len(names)), float(len(names)))
    for ranking in search.rank_all(queries, index, make_ranker(asked, index), asked.top):
        for at, music_id in enumerate(ranking.music_ids):
            place[row[ranking.query], row[music_id]] = at
    return place
