"""What a hum's windows are compared with, and the comparison: mean distances along diagonals, compiled."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numba import njit
from numpy.typing import NDArray

from humfind.rankers.lines import ends_of
from humfind.types import Floats, Ints, Windows

GROUP_ROWS = 16_384  # song windows compared together: their products fit the cache
SAMPLE = 65_536  # song windows that tell in which directions they differ


class Engine(Protocol):
    """What is needed of ``humfind.index.flat.FlatIndex``: vectors by their rows, and their products with themselves."""

    @property
    def squares(self) -> Floats: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: slice | Ints) -> Floats: ...


@dataclass(frozen=True)
class Look:
    """What a hum's windows are compared with: a row a window, a recording's in order, ``hop_s`` apart. block: (rows,)
    that each begins in. begin: (recordings + 1,) the first row of each."""

    engine: Engine
    block: Ints
    begin: Ints
    hop_s: float

    def recordings(self, chosen: NDArray[np.bool_] | slice = slice(None)) -> Pieces:
        """Whole recordings."""
        first, end = self.begin[:-1][chosen], self.begin[1:][chosen]
        return Pieces(first, end, end)


@dataclass(frozen=True)
class Diagonal:
    """A hum's windows at one tempo. hops: (k,) how many of a song's windows each lies after the first. vectors: (k,
    dim). own: the sum of their products with themselves."""

    hops: Ints
    vectors: Floats
    own: np.float32

    @classmethod
    def of(cls, windows: Windows, vectors: Floats, ratio: np.float32, hop_s: float) -> Diagonal:
        """vectors: of all the hum's windows. hop_s: between a song's."""
        chosen = np.flatnonzero(windows.tempo_ratio == ratio)
        song_s = windows.start_s[chosen] / ratio
        hops = np.round((song_s - song_s[0]) / hop_s).astype(np.int64)
        return cls(hops, vectors[chosen], np.square(vectors[chosen]).sum(dtype=np.float32))


@dataclass(frozen=True)
class Pieces:
    """Rows of a ``Look``: of each piece the first, where the places end that are compared, and where it ends."""

    first: Ints
    places: Ints
    end: Ints

    def __add__(self, other: Pieces) -> Pieces:
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Pieces(*(np.concatenate(pair) for pair in pairs))


class Projected:
    """Every other window of each recording, along the principal ``directions`` of all. axes: (dim, directions)."""

    def __init__(self, whole: Look, directions: int) -> None:
        engine = whole.engine
        sample = engine[:: -(-len(engine) // SAMPLE)]
        centred = (sample - sample.mean(axis=0)).astype(np.float64)
        self.axes = np.linalg.eigh(centred.T @ centred)[1][:, ::-1][:, :directions].astype(np.float32)
        counts = np.diff(whole.begin)
        kept = np.flatnonzero((np.arange(len(engine)) - np.repeat(whole.begin[:-1], counts)) % 2 == 0)
        self.columns = np.empty((self.axes.shape[1], len(kept)), np.float32)  # as products are soonest taken
        for row in range(0, len(kept), GROUP_ROWS):
            self.columns[:, row : row + GROUP_ROWS] = self.axes.T @ engine[kept[row : row + GROUP_ROWS]].T
        self.squares = np.einsum("dn,dn->n", self.columns, self.columns)
        self.look = Look(self, whole.block[kept], ends_of(-(-counts // 2)), 2 * whole.hop_s)

    def __len__(self) -> int:
        return len(self.squares)

    def __getitem__(self, rows: slice | Ints) -> Floats:
        found: Floats = self.columns[:, rows].T
        return found


def groups(pieces: Pieces) -> Iterator[tuple[Ints, slice | Ints, NDArray[np.bool_] | None]]:
    """As many pieces together as fit the cache: where each one's rows begin among the group's and where the last's end,
    the rows, and which of them are places that are compared where not all are."""
    length = pieces.end - pieces.first
    full = np.unique((np.cumsum(length) - length) // GROUP_ROWS, return_index=True)[1]
    for group in np.split(np.arange(len(length)), full[1:]):
        begin = ends_of(length[group])
        first, places, end = pieces.first[group], pieces.places[group], pieces.end[group]
        all_count = bool((places == end).all())
        if all_count and end[-1] - first[0] == begin[-1]:  # one after the other
            yield begin, slice(first[0], end[-1]), None
            continue
        rows = np.arange(begin[-1]) + np.repeat(first - begin[:-1], length[group])
        yield begin, rows, None if all_count else rows < np.repeat(places, length[group])


@njit(nogil=True, cache=True)
def diagonals(
    products: np.ndarray,
    hops: np.ndarray,
    own: np.float32,
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
        _add(total[:inside], products[k, hops[k] :], squares[hops[k] :])
    for song in range(len(begin) - 1):
        start, end = begin[song], begin[song + 1]
        for row in range(max(start, end - hops[-1]), end):  # those from which the hum reaches beyond the end
            total[row] = own
            for k in range(len(hops)):
                at = min(row + hops[k], end - 1)
                total[row] += squares[at] - np.float32(2) * products[k, at]
    windows = np.float32(len(hops))
    row = 0
    while row < len(total):
        here, lowest = block[row], total[row]
        row += 1
        while row < len(total) and block[row] == here:
            lowest = min(lowest, total[row])
            row += 1
        least[here] = min(least[here], lowest / windows)


@njit(nogil=True, cache=True)
def _add(total: np.ndarray, products: np.ndarray, squares: np.ndarray) -> None:
    """A function of its own, so that it is compiled to vectors."""
    for row in range(len(total)):
        total[row] += squares[row] - np.float32(2) * products[row]
