"""A hum aligned at likely places alone, among many songs: their lines are made when a hum asks for them, and of these
places alone, so that neither what is held in memory nor what is read grows with the songs."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from humfind.config import DtwConfig
from humfind.rankers.dtw.pitch_sequence import CandidateRegions
from humfind.rankers.dtw.ranker import Dtw, Evidence
from humfind.rankers.null_model import NOWHERE, null_sample
from humfind.types import Contours, Floats, Ints, Match, Query

CHANCE = 1000  # blocks, of all recordings alike, that tell what chance does


class Parts(Protocol):
    """What is needed of ``humfind.index.Index``."""

    def contours_between(self, recordings: Ints, start_s: Floats, end_s: Floats) -> Contours: ...


@dataclass(frozen=True)
class Lines:
    """Contours alone, each as a song of its own."""

    contours: Contours

    @property
    def music_ids(self) -> tuple[str, ...]:
        return tuple(str(row) for row in range(len(self.contours)))

    @property
    def recording_song(self) -> Ints:
        return np.arange(len(self.contours))


class DtwAtPlaces:
    """The same alignment as ``Dtw``'s. Raises InputError where recordings that are looked at have no contours."""

    def __init__(
        self, songs: Parts, room: NDArray[np.float64], blocks: int, config: DtwConfig, threads: int = 0
    ) -> None:
        """room: (recordings,) how many independent places each has. blocks: of all recordings, about."""
        self.songs, self.room, self.threads = songs, room, threads
        # all in fine frames, since they are few; of the length of recordings their parts do not tell
        self.config = replace(config, rescore_top=sys.maxsize, length_correction=False)
        self.length = np.log(np.maximum(room, 1.0)) if config.length_correction else np.zeros(len(room))
        sample = np.flatnonzero(null_sample(len(room), blocks, CHANCE))
        whole = np.zeros(len(sample), np.float32), np.full(len(sample), np.inf, np.float32)
        self.sample = self._dtw(songs.contours_between(sample, *whole))

    def evidence(self, query: Query, places: CandidateRegions) -> Evidence:
        """Of every recording, by its best place: nothing matches where there is none."""
        parts = places.merged()
        found = Evidence.nowhere(len(self.room), self.config.frame_s)
        if not len(parts.recording):
            return found
        lines = self.songs.contours_between(parts.recording, parts.start_s, parts.end_s)
        near = self._dtw(lines).against(query, self.sample.chances(query))
        order = np.lexsort((near.log_e, parts.recording))
        best = order[np.diff(parts.recording[order], prepend=-1) != 0]
        rows = parts.recording[best]
        found.log_e[rows] = np.minimum(near.log_e[best] + self.length[rows], NOWHERE)
        for name in ("tempo", "key", "end"):
            getattr(found, name)[rows] = getattr(near, name)[best]
        found.start_s[rows], found.end_s[rows] = parts.start_s[best], parts.end_s[best]
        return found

    def match(self, query: Query, recording: int, evidence: Evidence) -> Match:
        """Where in a recording the hum lies best."""
        row = np.array([recording])
        mine = evidence.of(row)
        part = self._dtw(self.songs.contours_between(row, mine.start_s, mine.end_s))
        return part.match(query, 0, mine).later(max(0.0, float(mine.start_s[0])))

    def _dtw(self, contours: Contours) -> Dtw:
        return Dtw(Lines(contours), self.config, self.threads)
