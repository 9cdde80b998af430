"""Windows in order: a hum of several windows is found where as many windows of a song, in the same order and at the
hum's tempo, are near to them (the idea of Now Playing, Agüera y Arcas et al. 2017). Songs are compared by the E-value
of their best place.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from humfind.rankers.dtw import ranking_of
from humfind.rankers.evalue import BLOCK_S, NOWHERE, log_evalues
from humfind.types import Contour, Floats, Hits, Ints, Match, Query, Ranking

OTHER_TEMPO = 2.0  # added to the log E-value for each octave between the hum's tempo and the song's


class Windowed(Protocol):
    """What is needed of ``humfind.index.Index``. recording, start_s: a row a window, a recording's in order."""

    @property
    def music_ids(self) -> tuple[str, ...]: ...
    @property
    def contours(self) -> tuple[Contour | None, ...]: ...
    @property
    def recording_song(self) -> Ints: ...
    @property
    def recording(self) -> Ints: ...
    @property
    def start_s(self) -> Floats: ...
    @property
    def key(self) -> Floats: ...
    @property
    def vectors(self) -> Floats: ...


class Sequence:
    """Every place of every song is scored: the mean distance along the diagonal, exact. Ties fall to the smaller
    music_id. An answer's score is minus the logarithm of its E-value."""

    hits_per_window = 1

    def __init__(self, songs: Windowed) -> None:
        self.songs = songs
        recordings = len(songs.recording_song)
        rows = np.arange(len(songs.recording))
        self.last = np.zeros(recordings, np.int64)  # the last window of each recording
        np.maximum.at(self.last, songs.recording, rows)
        gaps = np.diff(songs.start_s)[np.diff(songs.recording) == 0]
        self.hop_s = float(np.median(gaps)) if len(gaps) else 1.0
        block = np.floor(songs.start_s / BLOCK_S).astype(np.int64)
        _, self.first_of_block = np.unique(np.stack([songs.recording, block]), axis=1, return_index=True)
        self.owner = songs.recording[self.first_of_block]
        windows = np.bincount(songs.recording, minlength=recordings).astype(np.float64)
        self.places = windows * (self.hop_s / BLOCK_S)
        self.squares = np.einsum("nd,nd->n", songs.vectors, songs.vectors)

    def rank(self, query: Query, hits: Hits, k: int) -> Ranking:
        log_e, place, tempo = self.evidence(query)
        return ranking_of(query, self.songs, log_e, k, lambda row: self._match(query, place[row], tempo[row]))

    def evidence(self, query: Query) -> tuple[NDArray[np.float64], Ints, Floats]:
        """Of each recording: log E-value, its best place (a window's row), the hum's tempo there."""
        recordings = len(self.songs.recording_song)
        best = np.full(recordings, np.inf)
        place, tempo = np.zeros(recordings, np.int64), np.ones(recordings, np.float32)
        for ratio in np.unique(query.windows.tempo_ratio):
            chosen = np.flatnonzero(query.windows.tempo_ratio == ratio)
            cost = self._diagonals(query.embeddings.vectors[chosen], query.windows.start_s[chosen] / ratio)
            blocks = np.minimum.reduceat(cost, self.first_of_block).astype(np.float64)
            log_e = log_evalues(blocks, self.owner, self.places) + OTHER_TEMPO * abs(np.log2(ratio))
            order = np.lexsort((-cost, self.songs.recording))  # a recording's best window last
            winner = order[np.flatnonzero(np.diff(self.songs.recording[order], append=recordings))]
            where = self.songs.recording[winner]
            better = log_e[where] < best[where]
            place[where[better]], tempo[where[better]] = winner[better], ratio
            best[where[better]] = log_e[where[better]]
        return np.where(np.isfinite(best), best, NOWHERE), place, tempo

    def _diagonals(self, vectors: Floats, offset_s: Floats) -> Floats:
        """The mean squared distance of the hum's windows to those of the songs, from each song window on."""
        squared = np.einsum("qd,qd->q", vectors, vectors)[:, None] + self.squares - 2 * (vectors @ self.songs.vectors.T)
        rows, last = np.arange(len(self.squares)), self.last[self.songs.recording]
        total = np.zeros(len(rows), np.float32)
        for distance, offset in zip(squared, offset_s - offset_s[0], strict=True):
            total += distance[np.minimum(rows + round(float(offset) / self.hop_s), last)]
        return total / np.float32(len(vectors))

    def _match(self, query: Query, window: np.int64, tempo: np.float32) -> Match:
        start_s, key = float(self.songs.start_s[window]), query.windows.key[query.windows.tempo_ratio == tempo]
        semitones = float(self.songs.key[window] - np.median(key)) if len(key) else 0.0
        return Match(start_s, start_s + query.contour.length_s / float(tempo), semitones, float(tempo))
