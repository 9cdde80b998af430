"""A hum aligned at likely places alone, among many songs: their recordings' lines are made when a hum asks for them, so
that what is held in memory does not grow with the songs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from humfind.config import DtwConfig
from humfind.rankers.best_recording import Songs
from humfind.rankers.dtw.pitch_sequence import CandidateRegions
from humfind.rankers.dtw.ranker import Dtw, Evidence
from humfind.rankers.null_model import NOWHERE, null_sample
from humfind.types import Contour, Ints, Match, Query

CHANCE = 1000  # blocks, of all recordings alike, that tell what chance does


@dataclass(frozen=True)
class Some:
    """These recordings alone, each a song."""

    songs: Songs
    rows: Ints

    @cached_property
    def contours(self) -> Sequence[Contour | None]:
        return [self.songs.contours[row] for row in self.rows.tolist()]

    @property
    def music_ids(self) -> tuple[str, ...]:
        return tuple(str(row) for row in self.rows.tolist())

    @property
    def recording_song(self) -> Ints:
        return np.arange(len(self.rows))


class DtwAtPlaces:
    """The same alignment as ``Dtw``'s. Raises InputError where recordings that are looked at have no contours."""

    def __init__(self, songs: Songs, blocks: int, config: DtwConfig, threads: int = 0) -> None:
        """blocks: of all recordings, about."""
        self.songs, self.threads = songs, threads
        self.config = replace(config, rescore_top=len(songs.recording_song))  # all in fine frames: they are few
        self.sample = self._of(np.flatnonzero(null_sample(len(songs.recording_song), blocks, CHANCE)))

    def evidence(self, query: Query, places: CandidateRegions) -> Evidence:
        """Of every recording: nothing matches where there is no place."""
        rows, recording = np.unique(places.recording, return_inverse=True)
        count = len(self.songs.recording_song)
        log_e, tempo = np.full(count, NOWHERE), np.ones(count)
        key, end = np.zeros((2, count), np.int64)
        if len(rows):
            near = self._of(rows).at_places(query, replace(places, recording=recording), self.sample.chances(query))
            log_e[rows], tempo[rows], key[rows], end[rows] = near.log_e, near.tempo, near.key, near.end
        return Evidence(log_e, tempo, key, end, self.config.frame_s)

    def match(self, query: Query, recording: int, evidence: Evidence) -> Match:
        """Where in a recording the hum lies best."""
        row = np.array([recording])
        columns = (evidence.log_e[row], evidence.tempo[row], evidence.key[row], evidence.end[row])
        return self._of(row).match(query, 0, Evidence(*columns, evidence.frame_s))

    def _of(self, rows: Ints) -> Dtw:
        return Dtw(Some(self.songs, rows), self.config, self.threads)
