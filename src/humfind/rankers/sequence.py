"""Windows in order: a hum of several windows is found where as many windows of a song, in the same order and at the
hum's tempo, are near to them (the idea of Now Playing, Agüera y Arcas et al. 2017). Songs are compared by the E-value
of their best place.

Where there are many songs, all are looked at along the few directions in which windows differ most, a fraction of the
work, and the best are compared again along all of them, beside a sample of songs that tells what chance does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from humfind.rankers.dtw import ranking_of
from humfind.rankers.evalue import BLOCK_S, NOWHERE, log_evalues
from humfind.rankers.lines import ends_of, within
from humfind.types import Contour, Floats, Hits, Ints, Match, Query, Ranking

GROUP_ROWS = 16_384  # song windows compared together: their products fit the cache
CHANCE = 10_000  # blocks, of all recordings alike, that tell what chance does where a shortlist is compared
SAMPLE = 65_536  # song windows that tell in which directions they differ
OTHER_TEMPO = 2.0  # added to the log E-value for each octave between the hum's tempo and the song's


class Engine(Protocol):
    """What is needed of ``humfind.index.flat.FlatIndex``: vectors by their rows, and their products with themselves."""

    @property
    def squares(self) -> Floats: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice | Ints) -> Floats: ...


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


class Projected:
    """An engine's vectors along their principal ``directions``. axes: (dim, directions)."""

    def __init__(self, engine: Engine, directions: int) -> None:
        sample = engine[:: -(-len(engine) // SAMPLE)]
        centred = (sample - sample.mean(axis=0)).astype(np.float64)
        self.axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :directions].astype(np.float32)
        self.vectors = np.empty((len(engine), self.axes.shape[1]), np.float32)
        for row in range(0, len(engine), GROUP_ROWS):
            self.vectors[row : row + GROUP_ROWS] = engine[row : row + GROUP_ROWS] @ self.axes
        self.squares = np.einsum("nd,nd->n", self.vectors, self.vectors)

    def __len__(self) -> int:
        return len(self.vectors)

    def __getitem__(self, rows: slice | Ints) -> Floats:
        found: Floats = self.vectors[rows]
        return found


class Sequence:
    """Every place of every song is scored: the mean distance along the diagonal, exact. Ties fall to the smaller
    music_id. An answer's score is minus the logarithm of its E-value."""

    hits_per_window = 0

    def __init__(self, songs: Windowed) -> None:
        self.songs = songs
        recordings = len(songs.recording_song)
        gaps = np.diff(songs.start_s)[np.diff(songs.recording) == 0]
        self.hop_s = float(np.median(gaps)) if len(gaps) else 1.0
        block = np.floor(songs.start_s / BLOCK_S).astype(np.int64)
        begins = (np.diff(songs.recording, prepend=-1) != 0) | (np.diff(block, prepend=-1) != 0)
        self.block = np.cumsum(begins) - 1  # of each window
        self.blocks = np.searchsorted(songs.recording[begins], np.arange(recordings + 1))  # each recording's first
        windows = np.bincount(songs.recording, minlength=recordings).astype(np.float64)
        self.places = windows * (self.hop_s / BLOCK_S)
        self.begin = np.searchsorted(songs.recording, np.arange(recordings + 1))  # the first window of each recording

    def rank(self, query: Query, hits: Hits, k: int) -> Ranking:
        log_e, tempo = self.evidence(query)
        return ranking_of(query, self.songs, log_e, k, lambda row: self._match(query, row, tempo[row]))

    def evidence(self, query: Query) -> tuple[NDArray[np.float64], Floats]:
        """Of each recording: log E-value, the hum's tempo at its best place."""
        every = np.arange(len(self.places))
        return self._look(query, query.embeddings.vectors, self.songs.engine, every, None)

    def shortlist(
        self, query: Query, projected: Projected, likely: int, count: int
    ) -> tuple[Ints, NDArray[np.float64]]:
        """The ``count`` best of the ``likely`` best recordings along few directions and at every other tempo, and the
        log E-values of all: the likely ones' along all directions and at all tempos."""
        every = np.arange(len(self.places))
        drawn = every % max(1, -(-int(self.blocks[-1]) // CHANCE)) == 0
        vectors = query.embeddings.vectors
        log_e = self._look(query, vectors @ projected.axes, projected, every, drawn, tempo_step=2)[0]
        first = np.argsort(log_e, kind="stable")[:likely]
        compared = np.union1d(first, np.flatnonzero(drawn))
        log_e[first] = self._look(query, vectors, self.songs.engine, compared, drawn)[0][first]
        return first[np.argsort(log_e[first], kind="stable")[:count]], log_e

    def _look(
        self,
        query: Query,
        vectors: Floats,
        engine: Engine,
        compared: Ints,
        chance: NDArray[np.bool_] | None,
        tempo_step: int = 1,
    ) -> tuple[NDArray[np.float64], Floats]:
        """``evidence`` of the recordings ``compared``; the others are nowhere. vectors: the query's, as the engine's.
        chance: those that tell what it does, where not all do."""
        ratios = np.unique(query.windows.tempo_ratio)
        ratios = ratios[np.argmin(abs(np.log2(ratios))) % tempo_step :: tempo_step]  # the hum's own among them
        heard = np.isin(query.windows.tempo_ratio, ratios)
        asked = [
            self._diagonal(query.windows.start_s[heard], query.windows.tempo_ratio[heard], ratio) for ratio in ratios
        ]
        vectors = vectors[heard]
        squared = np.einsum("qd,qd->q", vectors, vectors)
        least = np.full((len(ratios), self.blocks[-1]), np.inf, np.float32)
        for begin, windows in self._groups(compared):
            products = vectors @ engine[windows].T
            columns = (begin, self.block[windows], engine.squares[windows])
            for row, (chosen, hops) in enumerate(asked):
                _diagonals(products, chosen, squared, hops, *columns, least[row])
        best, tempo = np.full(len(self.places), NOWHERE), np.full(len(self.places), ratios[0], np.float32)
        least = least[:, within(self.blocks, compared)].astype(np.float64)
        owner = np.repeat(np.arange(len(compared)), np.diff(self.blocks)[compared])
        tells = None if chance is None else chance[compared]
        for row, ratio in enumerate(ratios):
            log_e = log_evalues(least[row], owner, self.places[compared], tells) + OTHER_TEMPO * abs(np.log2(ratio))
            better = log_e < best[compared]
            tempo[compared[better]], best[compared[better]] = ratio, log_e[better]
        return best, tempo

    def _diagonal(self, start_s: Floats, tempo_ratio: Floats, ratio: np.float32) -> tuple[Ints, Ints]:
        """The hum's windows at one tempo, and how many of the song's windows each lies after the first."""
        chosen = np.flatnonzero(tempo_ratio == ratio)
        song_s = start_s[chosen] / ratio
        return chosen, np.round((song_s - song_s[0]) / self.hop_s).astype(np.int64)

    def _groups(self, compared: Ints) -> Iterator[tuple[Ints, slice | Ints]]:
        """As many recordings together as fit the cache: where each one's windows begin among the group's and where the
        last's end, and the windows."""
        windows = np.diff(self.begin)[compared]
        full = np.unique((np.cumsum(windows) - windows) // GROUP_ROWS, return_index=True)[1]
        for group in np.split(compared, full[1:]):
            begin = ends_of(np.diff(self.begin)[group])
            first, end = self.begin[group[0]], self.begin[group[-1] + 1]
            yield begin, slice(first, end) if end - first == begin[-1] else within(self.begin, group)

    def _match(self, query: Query, recording: int, tempo: np.float32) -> Match:
        """The best place in a recording at a tempo."""
        windows = slice(*self.begin[recording : recording + 2])
        count = windows.stop - windows.start
        if count == 0:
            return Match(0.0, query.contour.length_s, 0.0, 1.0)
        chosen, hops = self._diagonal(query.windows.start_s, query.windows.tempo_ratio, tempo)
        vectors = query.embeddings.vectors
        apart = np.full(count, np.inf, np.float32)  # of each place, each a block of its own
        columns = (np.array([0, count]), np.arange(count), self.songs.engine.squares[windows])
        products = vectors @ self.songs.engine[windows].T
        _diagonals(products, chosen, np.einsum("qd,qd->q", vectors, vectors), hops, *columns, apart)
        window = windows.start + int(np.argmin(apart))
        start_s, key = float(self.songs.start_s[window]), query.windows.key[chosen]
        semitones = float(self.songs.key[window] - np.median(key))
        return Match(start_s, start_s + query.contour.length_s / float(tempo), semitones, float(tempo))


@njit(nogil=True, cache=True)
def _diagonals(
    products: np.ndarray,
    asked: np.ndarray,
    squared: np.ndarray,
    hops: np.ndarray,
    begin: np.ndarray,
    block: np.ndarray,
    squares: np.ndarray,
    least: np.ndarray,
) -> None:
    """From each song window on, the mean squared distance of the hum's windows to those ``hops`` further, the last one
    standing for those beyond the end: the smallest of each block into ``least``. products: (q, windows), of the hum's
    vectors with the songs'; squared, squares: of each with itself. asked: the hum's windows at one tempo. begin:
    (recordings + 1,) where each one's windows begin."""
    own = np.float32(0)
    for k in asked:
        own += squared[k]
    total = np.empty(len(squares), np.float32)
    for song in range(len(begin) - 1):
        start, end = begin[song], begin[song + 1]
        if start == end:
            continue
        total[start:end] = own
        for k in range(len(hops)):
            _add(total[start:end], products[asked[k], start:end], squares[start:end], min(hops[k], end - start - 1))
        row = start
        while row < end:
            here, lowest = block[row], total[row]
            row += 1
            while row < end and block[row] == here:
                lowest = min(lowest, total[row])
                row += 1
            least[here] = min(least[here], lowest / np.float32(len(hops)))


@njit(nogil=True, cache=True)
def _add(total: np.ndarray, products: np.ndarray, squares: np.ndarray, hop: int) -> None:
    inside = len(total) - hop
    _distances(total[:inside], products[hop:], squares[hop:])
    last = squares[-1] - np.float32(2) * products[-1]
    for row in range(inside, len(total)):
        total[row] += last


@njit(nogil=True, cache=True)
def _distances(total: np.ndarray, products: np.ndarray, squares: np.ndarray) -> None:
    """A function of its own, so that it is compiled to vectors."""
    for row in range(len(total)):
        total[row] += squares[row] - np.float32(2) * products[row]
