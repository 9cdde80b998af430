"""Windows in order: a hum of several windows is found where as many windows of a song, in the same order and at the
hum's tempo, are near to them (the idea of Now Playing, Agüera y Arcas et al. 2017). Songs are compared by the E-value
of their best place.

Where there are many songs, every other window is compared along the few directions in which windows differ most and at
few tempos, a small fraction of the work; the best places are compared again in full, beside a sample of songs that
tells what chance does.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from collections.abc import Sequence as Sequence_
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from humfind.rankers.best_recording import Songs, ranking_of
from humfind.rankers.dtw.pitch_sequence import CandidateRegions, ends_of
from humfind.rankers.null_model import (
    BLOCK_S,
    NOWHERE,
    NullModel,
    Weights,
    alike_blocks,
    block_weights,
    log_evalues,
    null_sample,
)
from humfind.rankers.window_matching import (
    Diagonal,
    Group,
    Projected,
    RowRanges,
    Vectors,
    WindowTable,
    groups,
    rows_to_pieces,
)
from humfind.types import Contour, Embeddings, Floats, Ints, Match, Query, Ranking, Windows

CHANCE = 5_000  # blocks, of all recordings alike, that tell what chance does where likely places are compared
FIRST_TEMPOS = 0.75  # octaves between the tempos of the first look
SAMPLED = 2**20  # windows that tell how far they are apart
LOOKED_AT = 20_000  # places of the first look, of which one in so many tells how near the likeliest are
LONGER = 1.3  # than its own tempo makes it, a hum may be where it is aligned with a likely place
ROOM_S = 2.0  # before and after that
OCTAVE = 12.0  # semitones
LONG_S, PIECE_S = 15.0, 7.0  # a hum that is longer is compared in pieces of about so long
OTHER_TEMPO = 2.0  # added to the log E-value for each octave between the hum's tempo and the song's


class Windowed(Songs, Protocol):
    """What is needed of ``humfind.index.Index``. begin: (recordings + 1,) where each one's windows begin. start_s, key:
    a row a window, a recording's in order."""

    @property
    def begin(self) -> Ints: ...
    @property
    def start_s(self) -> Floats: ...
    @property
    def key(self) -> Floats: ...
    @property
    def vectors(self) -> Vectors: ...


class Neighbours(NamedTuple):
    """A first look by an engine: nearest(vectors, k) -> distances, or about these, and windows, ``k`` for each window
    of a hum, at tempos ``tempos_apart`` octaves from each other."""

    nearest: Callable[[Floats, int], tuple[Floats, Ints]]
    k: int = 1000
    tempos_apart: float = 0.25


class WindowSequence:
    """Every place of every song is scored: the mean distance along the diagonal, exact. Ties fall to the smaller
    music_id. An answer's score is minus the logarithm of its E-value."""

    def __init__(self, songs: Windowed) -> None:
        self.songs = songs
        begin = np.asarray(songs.begin)
        hop_s = _hop_s(begin, songs.start_s)
        self.block_begin, self.block_owner = _blocks(begin, np.ascontiguousarray(songs.start_s), BLOCK_S)
        self.blocks = np.searchsorted(self.block_owner, np.arange(len(begin)))  # each recording's first
        self.places = np.diff(begin) * (hop_s / BLOCK_S)
        self.whole = WindowTable(songs.vectors, self.block_begin, begin, hop_s)

    def rank(self, query: Query, k: int) -> Ranking:
        pieces = pieces_of(query)
        found = [self._evidence(piece) for piece in pieces]
        best = np.argmin(_for_many([log_e for log_e, _ in found]), axis=0)  # of each recording, what fits it best

        def match(row: int) -> Match:
            return self._match(pieces[best[row]], row, found[best[row]][1][row])

        return ranking_of(query.name, self.songs, together([log_e for log_e, _ in found]), k, match)

    def evidence(self, query: Query) -> NDArray[np.float64]:
        """(recordings,) log E-values. A long hum may repeat, pause and go on elsewhere: it is where its best piece
        is."""
        return together([self._evidence(piece)[0] for piece in pieces_of(query)])

    def _evidence(self, piece: Query) -> tuple[NDArray[np.float64], Floats]:
        """Of each recording: log E-value, the hum's tempo at its best place."""
        ratios = _tempos(piece)
        asked = _asked(piece, ratios, self.whole.hop_s)
        least = self._least(asked, self.whole, self.whole.groups)
        null = [NullModel.of(distances, self._weights) for distances in least]
        return _log_e(least, ratios, self.block_owner, self.places, null)

    @cached_property
    def _weights(self) -> Weights:
        """Of all blocks."""
        return self._weights_of(np.arange(len(self.places)))

    def _weights_of(self, recordings: Ints) -> Weights:
        """Of the blocks of these."""
        first, end = self.blocks[recordings], self.blocks[recordings + 1]
        alike = [np.empty(0)]
        for row, mine in zip(recordings.tolist(), map(slice, first.tolist(), end.tolist()), strict=True):
            number = np.floor(self.songs.start_s[self.block_begin[mine]] / BLOCK_S).astype(np.int64)
            alike.append(_alike(self.songs.contours[row], number))
        return block_weights(np.repeat(recordings, end - first), np.concatenate(alike))

    @cached_property
    def _chance(self) -> tuple[NDArray[np.bool_], Ints, Weights]:
        """Recordings that tell what chance does where likely places are compared; their blocks; how much each says."""
        sample = null_sample(len(self.places), int(self.blocks[-1]), CHANCE)
        return sample, np.flatnonzero(sample[self.block_owner]), self._weights_of(np.flatnonzero(sample))

    def shortlist(
        self, query: Query, look: Projected | Neighbours, likely: int, count: int
    ) -> tuple[CandidateRegions, NDArray[np.float64]]:
        """The ``count`` places where the hum is likeliest to lie, and the log E-values of all recordings, by those
        places alone that are among the ``likely`` best along few directions, at few tempos and in windows twice as far
        apart: NOWHERE for recordings that have none. Of a long hum, the places are the likeliest recordings, a third as
        many."""
        pieces = pieces_of(query)
        if len(pieces) == 1:
            return self._shortlist(query, look, likely, count)
        said = [self._shortlist(piece, look, likely, count)[1] for piece in pieces]
        log_e = np.where(np.min(said, axis=0) < NOWHERE, together(said), NOWHERE)
        best = np.argsort(log_e, kind="stable")[: -(-count // 3)]
        best = best[log_e[best] < NOWHERE]
        return CandidateRegions(best, np.zeros(len(best), np.float32), np.full(len(best), np.inf, np.float32)), log_e

    def _shortlist(
        self, query: Query, look: Projected | Neighbours, likely: int, count: int
    ) -> tuple[CandidateRegions, NDArray[np.float64]]:
        """Of a short hum, or of a piece."""
        sample, sampled, weight = self._chance
        if isinstance(look, Neighbours):
            chosen = self._proposed(query, look, likely)
        else:
            ratios = _tempos(query, FIRST_TEMPOS)
            few = look.look
            asked = _asked(query, ratios, few.hop_s, look.axes)
            first = self._least(asked, few, few.groups)
            null = [NullModel.of(distances[sampled], weight) for distances in first]
            chosen = self._likeliest(first, ratios, null, likely)
        ratios = _tempos(query)
        asked = _asked(query, ratios, self.whole.hop_s)
        near = self._around(chosen, max(int(one.hops[-1]) for one in asked))
        told = np.union1d(sampled, chosen)
        least = self._least(asked, self.whole, groups(self.whole.recordings(sample) + near), told)
        owner, every = self.block_owner[chosen], np.arange(len(chosen))
        null = [NullModel.of(distances[told.searchsorted(sampled)], weight) for distances in least]
        by_block, tempo = _log_e(least[:, told.searchsorted(chosen)], ratios, every, self.places[owner], null)
        log_e = np.full(len(self.places), NOWHERE)
        np.minimum.at(log_e, owner, by_block)
        best = np.argsort(by_block, kind="stable")[:count]
        start_s = BLOCK_S * np.floor(self.songs.start_s[self.block_begin[chosen[best]]] / BLOCK_S)
        end_s = start_s + BLOCK_S + LONGER * query.length_s / tempo[best]
        return CandidateRegions(owner[best], start_s - ROOM_S, end_s + ROOM_S), log_e

    def _proposed(self, query: Query, look: Neighbours, likely: int) -> Ints:
        """The ``likely`` blocks in which most windows of the hum, each where it would lie, have near neighbours."""
        blocks, worth = [], []
        for ratio in _tempos(query, look.tempos_apart):
            chosen = np.flatnonzero(query.windows.tempo_ratio == ratio)
            song_s = query.windows.start_s[chosen] / ratio
            hops = np.round((song_s - song_s[0]) / self.whole.hop_s).astype(np.int64)
            distances, rows = look.nearest(query.embeddings.vectors[chosen], look.k)
            first = np.maximum(rows - hops[:, None], self.whole.begin[self._recordings(rows)])
            squares = distances.astype(np.float64) ** 2
            gain = (squares[:, -1:] - squares).reshape(-1)  # nothing for what is as far as the farthest of a window
            window = np.repeat(np.arange(len(chosen)), rows.shape[1])
            key = self.whole.block(first.reshape(-1)) * len(chosen) + window
            order = np.lexsort((-gain, key))
            kept = order[np.diff(key[order], prepend=-1) != 0]  # a window counts once in a block
            block, owner = np.unique(key[kept] // len(chosen), return_inverse=True)
            blocks.append(block)
            worth.append(np.bincount(owner, gain[kept]) / len(chosen))
        block, owner = np.unique(np.concatenate(blocks), return_inverse=True)
        best = np.zeros(len(block))
        np.maximum.at(best, owner, np.concatenate(worth))
        return np.sort(block[np.argsort(-best, kind="stable")[:likely]])

    def _recordings(self, rows: Ints) -> Ints:
        return rows_to_pieces(self.whole.begin, rows.reshape(-1)).reshape(rows.shape)

    def _around(self, blocks: Ints, reach: int) -> RowRanges:
        """Blocks, each with the windows that a hum reaches from its last place."""
        end = self.block_begin[blocks + 1]
        return RowRanges(
            self.block_begin[blocks], end, np.minimum(end + reach, self.whole.begin[self.block_owner[blocks] + 1])
        )

    def _least(
        self, asked: list[Diagonal], look: WindowTable, compared: Iterable[Group], told: Ints | None = None
    ) -> Floats:
        """(tempos, blocks): the smallest mean squared distance along a diagonal from a place of each block, infinity
        where none was compared. asked: the hum at each tempo. told: blocks, rising, where others are not compared:
        (tempos, told), so that what is held does not grow with the songs."""
        vectors = np.concatenate([one.vectors for one in asked])
        rows_of = ends_of([len(one.hops) for one in asked])
        nothing = int(self.blocks[-1]) if told is None else len(told)
        least = np.full((len(asked), nothing + 1), np.inf, np.float32)
        for begin, rows, counted in compared:
            part, squares = look.vectors.with_squares(rows)
            products = vectors @ part.T
            block = look.block(rows)
            if told is not None:
                block = told.searchsorted(block)
            if counted is not None:
                block = np.where(counted, block, nothing)
            for row, one in enumerate(asked):
                mine = products[rows_of[row] : rows_of[row + 1]]
                one.compare(mine, begin, block, squares, least[row])
        return least[:, :-1]

    def _likeliest(self, least: Floats, ratios: Floats, null: Sequence_[NullModel], count: int) -> Ints:
        """The ``count`` blocks by whose match their recordings have the smallest E-values, at whichever tempo. null:
        what chance does at each."""
        share = min(1.0, 2 * count / least.shape[1])
        log_e = np.full(least.shape[1], np.inf)
        for distances, ratio, chance in zip(least, ratios, null, strict=True):
            limit = np.quantile(distances[:: max(1, len(distances) // LOOKED_AT)], share, method="higher")
            near = np.flatnonzero(distances <= limit)
            places = self.places[self.block_owner[near]]
            found = _at_tempo(ratio, distances[near], np.arange(len(near)), places, chance)
            log_e[near] = np.minimum(log_e[near], found)
        looked_at = np.flatnonzero(log_e < np.inf)
        best: Ints = looked_at[np.argsort(log_e[looked_at], kind="stable")[:count]]
        return np.sort(best)

    def _match(self, query: Query, recording: int, tempo: np.float32) -> Match:
        """The best place in a recording at a tempo."""
        windows = slice(*self.whole.begin[recording : recording + 2])
        count = windows.stop - windows.start
        if count == 0:
            return Match(0.0, query.length_s, 0.0, 1.0)
        hum = Diagonal.of(query.windows, query.embeddings.vectors, tempo, self.whole.hop_s)
        apart = np.full(count, np.inf, np.float32)  # of each place, each a block of its own
        part, squares = self.songs.vectors.with_squares(windows)
        hum.compare(hum.vectors @ part.T, np.array([0, count]), np.arange(count), squares, apart)
        window = windows.start + int(np.argmin(apart))
        start_s, key = float(self.songs.start_s[window]), query.windows.key[query.windows.tempo_ratio == tempo]
        semitones = float(self.songs.key[window] - np.median(key))
        hum_start_s = float(query.windows.start_s.min())
        return Match(start_s, start_s + query.length_s / float(tempo), semitones, float(tempo), hum_start_s)


def pieces_of(query: Query) -> list[Query]:
    """A hum, and where it is longer than ``LONG_S`` its pieces of about ``PIECE_S``, by where its windows begin."""
    if query.length_s <= LONG_S:
        return [query]
    start_s = query.windows.start_s
    count = max(1, round(query.length_s / PIECE_S))
    number = np.minimum((start_s * (count / (float(start_s.max()) + 1e-6))).astype(np.int64), count - 1)
    length_s = query.length_s / count
    parts = [
        replace(
            query,
            windows=Windows(**{name: column[number == piece] for name, column in vars(query.windows).items()}),
            embeddings=Embeddings(query.embeddings.vectors[number == piece]),
            length_s=length_s,
        )
        for piece in np.unique(number)
    ]
    return [query, *parts]


def together(log_e: Sequence_[NDArray[np.float64]]) -> NDArray[np.float64]:
    """Log E-values in each recording, of a hum and of its pieces -> of the hum: the best of them, for as many as were
    tried. All pieces together weigh as much as the whole.

    (Their sum, by Fisher's method, is a worse witness: pieces overlap, and what is repeated fits by chance again.)"""
    return np.min(_for_many(log_e), axis=0)


def _for_many(log_e: Sequence_[NDArray[np.float64]]) -> NDArray[np.float64]:
    """(pieces, recordings): each log E-value for as many as were tried."""
    pieces = len(log_e) - 1
    tried = np.array([2.0, *[2.0 * pieces] * pieces]) if pieces else np.ones(1)
    found: NDArray[np.float64] = np.array(log_e) + np.log(tried)[:, None]
    return found


def _hop_s(begin: Ints, start_s: Floats) -> float:
    """Between a recording's windows."""
    some = start_s[:SAMPLED]
    gaps = np.diff(some)
    within = np.ones(len(gaps), bool)
    ends = begin[(begin > 0) & (begin < len(some))]
    within[ends - 1] = False  # from one recording to the next
    return float(np.median(gaps[within])) if within.any() else 1.0


@njit(nogil=True, cache=True)
def _blocks(begin: np.ndarray, start_s: np.ndarray, block_s: float) -> tuple[np.ndarray, np.ndarray]:
    """Where each block's windows begin, and where the last's end; the recording of each."""
    count = 0
    for filled in range(2):  # first to know how many there are
        if filled:
            first, owner = np.empty(count + 1, np.int64), np.empty(count, np.int64)
            first[count] = len(start_s)
            count = 0
        for recording in range(len(begin) - 1):
            last = -1
            for row in range(begin[recording], begin[recording + 1]):
                block = int(start_s[row] / block_s)
                if block != last:
                    if filled:
                        first[count], owner[count] = row, recording
                    count, last = count + 1, block
    return first, owner


def _alike(contour: Contour | None, number: Ints) -> NDArray[np.float64]:
    """(blocks,): how many blocks of its recording are like each; 1 where there is no contour. number: (blocks,) which
    of its blocks."""
    if contour is None or not len(number):
        return np.ones(len(number))
    per_block = max(1, round(BLOCK_S / contour.frame_s))
    alike = alike_blocks(contour.semitones, contour.voiced, OCTAVE, per_block)
    found: NDArray[np.float64] = alike[np.minimum(number, len(alike) - 1)]
    return found


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


def _asked(query: Query, ratios: Floats, hop_s: float, axes: Floats | None = None) -> list[Diagonal]:
    """The hum at each tempo, along all directions or some."""
    vectors = query.embeddings.vectors if axes is None else query.embeddings.vectors @ axes
    return [Diagonal.of(query.windows, vectors, ratio, hop_s) for ratio in ratios]


def _log_e(
    least: Floats, ratios: Floats, owner: Ints, places: NDArray[np.float64], null: Sequence_[NullModel]
) -> tuple[NDArray[np.float64], Floats]:
    """Of each of those that have ``places``: the log E-value of the best of its blocks, and at which of the tempos.
    least: (tempos, blocks). owner: (blocks,). null: what chance does at each tempo."""
    by_tempo = [
        _at_tempo(ratio, distances, owner, places, chance)
        for ratio, distances, chance in zip(ratios, least, null, strict=True)
    ]
    at = np.argmin(by_tempo, axis=0)
    return np.min(by_tempo, axis=0), ratios[at]


def _at_tempo(
    ratio: np.float32, distances: Floats, owner: Ints, places: NDArray[np.float64], chance: NullModel
) -> NDArray[np.float64]:
    """``_log_e`` at one of the tempos."""
    found = log_evalues(distances.astype(np.float64), owner, places, chance)
    return found + OTHER_TEMPO * abs(math.log2(ratio))
