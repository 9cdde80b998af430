"""Windows in order: a hum of several windows is found where as many windows of a song, in the same order and at the
hum's tempo, are near to them (the idea of Now Playing, Agüera y Arcas et al. 2017). Songs are compared by the E-value
of their best place.

Where there are many songs, every other window is compared along the few directions in which windows differ most and at
few tempos, a small fraction of the work; the best places are compared again in full, beside a sample of songs that
tells what chance does.
"""

from __future__ import annotations

import math
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from humfind.rankers.diagonals import Diagonal, Engine, Look, Pieces, Projected, diagonals, groups
from humfind.rankers.dtw import ranking_of
from humfind.rankers.evalue import BLOCK_S, NOWHERE, Chance, drawn, log_evalues
from humfind.rankers.lines import ends_of
from humfind.types import Contour, Floats, Hits, Ints, Match, Query, Ranking

CHANCE = 5_000  # blocks, of all recordings alike, that tell what chance does where likely places are compared
FIRST_TEMPOS = 0.75  # octaves between the tempos of the first look
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
    def engine(self) -> Engine: ...


class Sequence:
    """Every place of every song is scored: the mean distance along the diagonal, exact. Ties fall to the smaller
    music_id. An answer's score is minus the logarithm of its E-value."""

    hits_per_window = 0

    def __init__(self, songs: Windowed) -> None:
        self.songs = songs
        recordings = len(songs.recording_song)
        gaps = np.diff(songs.start_s)[np.diff(songs.recording) == 0]
        hop_s = float(np.median(gaps)) if len(gaps) else 1.0
        block = np.floor(songs.start_s / BLOCK_S).astype(np.int64)
        begins = (np.diff(songs.recording, prepend=-1) != 0) | (np.diff(block, prepend=-1) != 0)
        self.block_begin = np.append(np.flatnonzero(begins), len(begins))  # the first window of each
        self.block_owner = songs.recording[begins]
        self.blocks = np.searchsorted(self.block_owner, np.arange(recordings + 1))  # each recording's first
        windows = np.bincount(songs.recording, minlength=recordings).astype(np.float64)
        self.places = windows * (hop_s / BLOCK_S)
        begin = np.searchsorted(songs.recording, np.arange(recordings + 1))
        self.whole = Look(songs.engine, np.cumsum(begins) - 1, begin, hop_s)

    def rank(self, query: Query, hits: Hits, k: int) -> Ranking:
        log_e, tempo = self.evidence(query)
        return ranking_of(query, self.songs, log_e, k, lambda row: self._match(query, row, tempo[row]))

    def evidence(self, query: Query) -> tuple[NDArray[np.float64], Floats]:
        """Of each recording: log E-value, the hum's tempo at its best place."""
        ratios = _tempos(query)
        vectors, hop_s = query.embeddings.vectors, self.whole.hop_s
        asked = [Diagonal.of(query.windows, vectors, ratio, hop_s) for ratio in ratios]
        least = self._least(asked, self.whole, self.whole.recordings())
        every = np.arange(len(self.block_owner))
        return self._log_e(least, ratios, every, every)

    def shortlist(
        self, query: Query, projected: Projected, likely: int, count: int
    ) -> tuple[Ints, NDArray[np.float64]]:
        """The ``count`` best recordings, and the log E-values of all, by those places alone that are among the
        ``likely`` best along few directions, at few tempos and in windows twice as far apart: NOWHERE for recordings
        that have none."""
        sample = drawn(len(self.places), int(self.blocks[-1]), CHANCE)
        told = np.flatnonzero(sample[self.block_owner])
        windows, vectors = query.windows, query.embeddings.vectors
        ratios, few = _tempos(query, FIRST_TEMPOS), projected.look
        asked = [Diagonal.of(windows, vectors @ projected.axes, ratio, few.hop_s) for ratio in ratios]
        chosen = self._likeliest(self._least(asked, few, few.recordings()), ratios, told, likely)
        ratios = _tempos(query)
        asked = [Diagonal.of(windows, vectors, ratio, self.whole.hop_s) for ratio in ratios]
        near = self._around(chosen, max(int(one.hops[-1]) for one in asked))
        least = self._least(asked, self.whole, self.whole.recordings(sample) + near)
        log_e = self._log_e(least, ratios, np.union1d(chosen, told), told)[0]
        return np.argsort(log_e, kind="stable")[:count], log_e

    def _around(self, blocks: Ints, reach: int) -> Pieces:
        """Blocks, each with the windows that a hum reaches from its last place."""
        end = self.block_begin[blocks + 1]
        return Pieces(
            self.block_begin[blocks], end, np.minimum(end + reach, self.whole.begin[self.block_owner[blocks] + 1])
        )

    def _least(self, asked: list[Diagonal], look: Look, pieces: Pieces) -> Floats:
        """(tempos, blocks): the smallest mean squared distance along a diagonal from a place of each block, infinity
        where none was compared. asked: the hum at each tempo."""
        vectors = np.concatenate([one.vectors for one in asked])
        rows_of = ends_of([len(one.hops) for one in asked])
        nothing = int(self.blocks[-1])
        least = np.full((len(asked), nothing + 1), np.inf, np.float32)
        for begin, rows, counted in groups(pieces):
            products = vectors @ look.engine[rows].T
            block = look.block[rows] if counted is None else np.where(counted, look.block[rows], nothing)
            squares = look.engine.squares[rows]
            for row, one in enumerate(asked):
                mine = products[rows_of[row] : rows_of[row + 1]]
                diagonals(mine, one.hops, one.own, begin, block, squares, least[row])
        return least[:, :-1]

    def _likeliest(self, least: Floats, ratios: Floats, told: Ints, count: int) -> Ints:
        """The ``count`` blocks by whose match their recordings have the smallest E-values, at whichever tempo. told:
        the blocks that tell what chance does."""
        near = min(2 * count, least.shape[1])
        blocks, log_e = [], []
        for distances, ratio in zip(least, ratios, strict=True):
            nearest = np.argpartition(distances, near - 1)[:near]
            places = self.places[self.block_owner[nearest]]
            chance, best = Chance.of(distances[told]), distances[nearest].astype(np.float64)
            blocks.append(nearest)
            log_e.append(log_evalues(best, np.arange(near), places, chance) + _other_tempo(ratio))
        found = np.concatenate(blocks)[np.argsort(np.concatenate(log_e), kind="stable")]
        _, first = np.unique(found, return_index=True)
        return np.sort(found[np.sort(first)[:count]])

    def _log_e(self, least: Floats, ratios: Floats, compared: Ints, told: Ints) -> tuple[NDArray[np.float64], Floats]:
        """``evidence`` of the recordings of the blocks ``compared``; the others are nowhere. told: the blocks that tell
        what chance does."""
        best, tempo = np.full(len(self.places), NOWHERE), np.full(len(self.places), ratios[0], np.float32)
        recordings, owner = np.unique(self.block_owner[compared], return_inverse=True)
        for distances, ratio in zip(least, ratios, strict=True):
            best_of = distances[compared].astype(np.float64)
            log_e = log_evalues(best_of, owner, self.places[recordings], Chance.of(distances[told]))
            log_e += _other_tempo(ratio)
            better = log_e < best[recordings]
            tempo[recordings[better]], best[recordings[better]] = ratio, log_e[better]
        return best, tempo

    def _match(self, query: Query, recording: int, tempo: np.float32) -> Match:
        """The best place in a recording at a tempo."""
        windows = slice(*self.whole.begin[recording : recording + 2])
        count = windows.stop - windows.start
        if count == 0:
            return Match(0.0, query.contour.length_s, 0.0, 1.0)
        hum = Diagonal.of(query.windows, query.embeddings.vectors, tempo, self.whole.hop_s)
        apart = np.full(count, np.inf, np.float32)  # of each place, each a block of its own
        columns = (np.array([0, count]), np.arange(count), self.songs.engine.squares[windows])
        products = hum.vectors @ self.songs.engine[windows].T
        diagonals(products, hum.hops, hum.own, *columns, apart)
        window = windows.start + int(np.argmin(apart))
        start_s, key = float(self.songs.start_s[window]), query.windows.key[query.windows.tempo_ratio == tempo]
        semitones = float(self.songs.key[window] - np.median(key))
        return Match(start_s, start_s + query.contour.length_s / float(tempo), semitones, float(tempo))


def _tempos(query: Query, apart: float = 0.0) -> Floats:
    """Those at which the hum was cut into windows; or of these, about ``apart`` octaves from each other, its own among
    them."""
    ratios = np.unique(query.windows.tempo_ratio)
    if not apart:
        return ratios
    octaves = np.log2(ratios)
    wanted = apart * np.arange(round(octaves[0] / apart), round(octaves[-1] / apart) + 1)
    found: Floats = ratios[np.unique(np.argmin(abs(octaves - wanted[:, None]), axis=1))]
    return found


def _other_tempo(ratio: np.float32) -> float:
    return OTHER_TEMPO * abs(math.log2(ratio))
