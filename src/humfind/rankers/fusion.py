"""Two kinds of evidence combined: the alignment of the whole hum, and the windows in order.

Each gives a log E-value; their weighted sum orders the songs. The probability that a song is the one is a softmax over
all songs and "none of them", fitted on simulated hums of songs that were there and of songs that were taken away
(``python -m benchmarks.accuracy.fit_fusion``).
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from humfind.config import FusionConfig, IndexConfig, RankConfig
from humfind.rankers.best_recording import ranking_of
from humfind.rankers.dtw.places import DtwAtPlaces
from humfind.rankers.dtw.ranker import Dtw, Evidence
from humfind.rankers.sequence import Neighbours, Windowed, WindowSequence
from humfind.rankers.window_matching import Projected
from humfind.types import Contour, Contours, Floats, Ints, Query, Ranking

NONE_AMONG = 1000  # songs, for which the weight of none of them is given
FEWEST_SONGS = 300  # of fewer, chance is read off too little: none of them is not taken to be less likely still
ONE_PITCH, HELD = 0.75, 0.95  # semitones about the median within which so much of a hum lies that has no melody


class EngineOf(Protocol):
    """What is needed of ``humfind.index.IndexInfo``."""

    @property
    def engine(self) -> str: ...


class Indexed(Windowed, Protocol):
    """What is needed of ``humfind.index.Index``."""

    @property
    def info(self) -> EngineOf: ...
    def estimated(self, vectors: Floats, k: int) -> tuple[Floats, Ints]: ...
    def contours_between(self, recordings: Ints, start_s: Floats, end_s: Floats) -> Contours: ...


class Fusion:
    """A song's score is the weighted sum of minus its log E-values; ties fall to the smaller music_id. Where there are
    many recordings, the hum is aligned at those places alone that the windows put first."""

    def __init__(self, songs: Indexed, config: RankConfig | None = None, threads: int = 0) -> None:
        config = config or RankConfig()
        self.songs, self.weights = songs, config.fusion
        self.sequence = WindowSequence(songs)
        self.dtw: Dtw | DtwAtPlaces
        if len(songs.recording_song) <= self.weights.exhaustive:
            self.dtw = Dtw(songs, config.dtw, threads)
            return
        # at another tempo than the hum's windows were cut for, the windows would not have put a song first
        at_one = replace(config.dtw, tempos=config.dtw.tempos[:1])
        self.dtw = DtwAtPlaces(songs, self.sequence.places, int(self.sequence.blocks[-1]), at_one, threads)
        self.look = self._first_look()

    def rank(self, query: Query, k: int) -> Ranking:
        aligned, ordered = self.witnesses(query)
        log_e = self.weigh(aligned, ordered)
        ranking = ranking_of(query.name, self.songs, log_e, k, lambda row: self.dtw.match(query, row, aligned))
        best = np.full(len(self.songs.music_ids), np.inf)
        np.minimum.at(best, self.songs.recording_song, log_e)
        chance = probabilities(best, self.none(query))
        rows = [bisect_left(self.songs.music_ids, one.music_id) for one in ranking.answers]
        answers = [replace(one, probability=float(chance[row])) for one, row in zip(ranking.answers, rows, strict=True)]
        return replace(ranking, answers=tuple(answers), here=float(np.clip(chance.sum(), 0, 1)))

    def none(self, query: Query) -> float:
        """The weight of "no song of the index". A hum of one pitch is of no song."""
        return none_among(len(self.songs.music_ids), self.weights) if melodic(query.melody) else -math.inf

    def witnesses(self, query: Query) -> tuple[Evidence, NDArray[np.float64]]:
        """What the alignment and the windows in order say of each recording."""
        if isinstance(self.dtw, Dtw):
            ordered = self.sequence.evidence(query)
            prior = ordered * (self.weights.sequence / self.weights.dtw) if self.weights.dtw else None
            return self.dtw.evidence(query, prior), ordered
        places, ordered = self.sequence.shortlist(query, self.look, self.weights.likely, self.weights.shortlist)
        return self.dtw.evidence(query, places), ordered

    def _first_look(self) -> Projected | Neighbours:
        """By the index's engine where it is made for many songs, else along few directions."""
        if self.songs.info.engine == IndexConfig.engine:
            return Projected(self.sequence.whole, self.weights.directions)
        return Neighbours(self.songs.estimated)

    def weigh(self, aligned: Evidence, ordered: NDArray[np.float64]) -> NDArray[np.float64]:
        """(recordings,): the weighted sum of the log E-values."""
        return self.weights.dtw * aligned.log_e + self.weights.sequence * ordered


def none_among(songs: int, weights: FusionConfig) -> float:
    """The weight of "none of so many songs": each of more is less likely to be the one."""
    return weights.none - math.log(max(songs, FEWEST_SONGS) / NONE_AMONG)


def melodic(contour: Contour) -> bool:
    """Whether more than one pitch is sung, octaves apart: one held tone lies in every song."""
    pitch = contour.semitones[contour.voiced]
    if len(pitch) == 0:
        return False
    apart = (pitch - np.median(pitch) + 6.0) % 12.0 - 6.0
    return bool(np.mean(np.abs(apart) < ONE_PITCH) < HELD)


def probabilities(log_e: NDArray[np.float64], none: float) -> NDArray[np.float64]:
    """(songs,) -> (songs,), with the remainder of 1 for "none of them"."""
    if none == -np.inf:
        return np.zeros(len(log_e))
    utility = np.append(-log_e, -none)
    share = np.exp(utility - utility.max())
    return (share / share.sum())[:-1]
