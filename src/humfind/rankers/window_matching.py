"""What a hum's windows are compared with, and the comparison: mean distances along diagonals, compiled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from humfind.rankers.dtw.pitch_sequence import ends_of
from humfind.types import Floats, Ints, Windows

GROUP_ROWS = 8_192  # song windows compared together: their products fit the cache
FAR = 16  # pieces that are walked rather than searched
SAMPLE = 65_536  # song windows that tell in which directions they differ


class Vectors(Protocol):
    """What is needed of ``humfind.index.vectors.VectorTable``: vectors by their rows; with_squares: with their products
    with themselves."""

    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice | Ints) -> Floats: ...
    def with_squares(self, rows: slice | Ints) -> tuple[Floats, Floats]: ...


@dataclass(frozen=True)
class WindowTable:
    """What a hum's windows are compared with: a row a window, a recording's in order, ``hop_s`` apart. block_begin:
    (blocks + 1,) the first row of each. begin: (recordings + 1,) that of each recording."""

    vectors: Vectors
    block_begin: Ints
    begin: Ints
    hop_s: float

    def block(self, rows: slice | Ints) -> Ints:
        """That each of these rows is in."""
        if isinstance(rows, slice):
            rows = np.arange(rows.start, rows.stop)
        return rows_to_pieces(self.block_begin, rows)

    @cached_property
    def groups(self) -> list[Group]:
        """All recordings."""
        return list(groups(self.recordings()))

    def recordings(self, chosen: NDArray[np.bool_] | slice = slice(None)) -> RowRanges:
        """Whole recordings."""
        first, end = self.begin[:-1][chosen], self.begin[1:][chosen]
        return RowRanges(first, end, end)


@dataclass(frozen=True)
class Diagonal:
    """A hum's windows at one tempo, added up where they fall on the same one of a song's. hops: (k,) how many of a
    song's windows each lies after the first. times: (k,) how many are one. vectors: (k, dim), minus twice their sum.
    own: the sum of their products with themselves. windows: how many they are in all."""

    hops: Ints
    times: Floats
    vectors: Floats
    own: np.float32
    windows: np.float32

    @classmethod
    def of(cls, windows: Windows, vectors: Floats, ratio: np.float32, hop_s: float) -> Diagonal:
        """vectors: of all the hum's windows. hop_s: between a song's."""
        chosen = np.flatnonzero(windows.tempo_ratio == ratio)
        song_s = windows.start_s[chosen] / ratio
        hops, row = np.unique(np.round((song_s - song_s[0]) / hop_s).astype(np.int64), return_inverse=True)
        times = np.bincount(row).astype(np.float32)
        added = np.zeros((len(hops), vectors.shape[1]), np.float32)
        np.add.at(added, row, -2 * vectors[chosen])
        own = np.square(vectors[chosen]).sum(dtype=np.float32)
        return cls(hops, times, added, own, np.float32(len(chosen)))

    def compare(self, products: Floats, begin: Ints, block: Ints, squares: Floats, least: Floats) -> None:
        """``diagonals`` with these windows. products: (k, windows), of ``vectors`` with the songs'."""
        diagonals(products, self.hops, self.times, self.own, self.windows, begin, block, squares, least)


@dataclass(frozen=True)
class RowRanges:
    """Rows of a ``WindowTable``: of each piece the first, where the places end that are compared, and where it ends."""

    first: Ints
    places: Ints
    end: Ints

    def __add__(self, other: RowRanges) -> RowRanges:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return RowRanges(*(np.concatenate(pair) for pair in pairs))


class Group(NamedTuple):
    """Ranges that are compared together. begin: where each one's rows begin among the group's, and where the last's
    end. rows: of a ``WindowTable``. counted: which of them are places that are compared, where not all are."""

    begin: Ints
    rows: slice | Ints
    counted: NDArray[np.bool_] | None


class Projected:
    """Every other window of each recording, along the principal ``directions`` of all. axes: (dim, directions)."""

    def __init__(self, whole: WindowTable, directions: int) -> None:
        vectors = whole.vectors
        sample = vectors[:: -(-len(vectors) // SAMPLE)]
        centred = (sample - sample.mean(axis=0)).astype(np.float64)
        self.axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :directions].astype(np.float32)
        counts = np.diff(whole.begin)
        kept = np.flatnonzero((np.arange(len(vectors)) - np.repeat(whole.begin[:-1], counts)) % 2 == 0)
        self.columns = np.empty((self.axes.shape[1], len(kept)), np.float32)  # as products are soonest taken
        for row in range(0, len(kept), GROUP_ROWS):
            self.columns[:, row : row + GROUP_ROWS] = self.axes.T @ vectors[kept[row : row + GROUP_ROWS]].T
        self.squares = np.einsum("dn,dn->n", self.columns, self.columns)
        block_begin = kept.searchsorted(whole.block_begin)  # a block without any of them begins where it ends
        self.look = WindowTable(self, block_begin, ends_of(-(-counts // 2)), 2 * whole.hop_s)

    def __len__(self) -> int:
        return len(self.squares)

    def __getitem__(self, rows: slice | Ints) -> Floats:
        found: Floats = self.columns[:, rows].T
        return found

    def with_squares(self, rows: slice | Ints) -> tuple[Floats, Floats]:
        return self[rows], self.squares[rows]


def groups(pieces: RowRanges) -> Iterator[Group]:
    """As many pieces together as fit the cache."""
    length = pieces.end - pieces.first
    full = np.unique((np.cumsum(length) - length) // GROUP_ROWS, return_index=True)[1]
    for group in np.split(np.arange(len(length)), full[1:]):
        begin = ends_of(length[group])
        first, places, end = pieces.first[group], pieces.places[group], pieces.end[group]
        all_count = bool((places == end).all())
        if all_count and end[-1] - first[0] == begin[-1]:  # one after the other
            yield Group(begin, slice(first[0], end[-1]), None)
            continue
        rows = np.arange(begin[-1]) + np.repeat(first - begin[:-1], length[group])
        yield Group(begin, rows, None if all_count else rows < np.repeat(places, length[group]))


@njit(nogil=True, cache=True)
def rows_to_pieces(begin: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """(rows,) the piece that each lies in, of pieces laid end to end: soonest where rows rise. begin: (pieces + 1,)."""
    found = np.empty(len(rows), np.int64)
    piece = 0
    for i in range(len(rows)):
        if rows[i] < begin[piece] or (piece + FAR < len(begin) and rows[i] >= begin[piece + FAR]):
            piece = np.searchsorted(begin, rows[i], "right") - 1
        while rows[i] >= begin[piece + 1]:
            piece += 1
        found[i] = piece
    return found


@njit(nogil=True, cache=True)
def diagonals(
    products: np.ndarray,
    hops: np.ndarray,
    times: np.ndarray,
    own: np.float32,
    windows: np.float32,
    begin: np.ndarray,
    block: np.ndarray,
    squares: np.ndarray,
    least: np.ndarray,
) -> None:
    """From each song window on, the mean squared distance of the hum's windows to those ``hops`` further, the last one
    standing for those beyond the end: the smallest of each block into ``least``. products: (k, windows), of a
    ``Diagonal``'s vectors with the songs'. squares: of each song's with itself. begin: (recordings + 1,) where each
    one's windows begin."""
    total = np.full(len(squares), own)
    for k in range(len(hops)):
        inside = max(0, len(total) - hops[k])
        _add(total[:inside], products[k, hops[k] :], squares[hops[k] :], times[k])
    for song in range(len(begin) - 1):
        start, end = begin[song], begin[song + 1]
        for row in range(max(start, end - hops[-1]), end):  # those from which the hum reaches beyond the end
            total[row] = own
            for k in range(len(hops)):
                at = min(row + hops[k], end - 1)
                total[row] += times[k] * squares[at] + products[k, at]
    row = 0
    while row < len(total):
        here, lowest = block[row], total[row]
        row += 1
        while row < len(total) and block[row] == here:
            lowest = min(lowest, total[row])
            row += 1
        least[here] = min(least[here], lowest / windows)


@njit(nogil=True, cache=True)
def _add(total: np.ndarray, products: np.ndarray, squares: np.ndarray, times: np.float32) -> None:
    """A function of its own, so that it is compiled to vectors."""
    for row in range(len(total)):
        total[row] += times * squares[row] + products[row]
