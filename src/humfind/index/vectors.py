"""The vectors of an index, a row a window, as 16-bit floats: half the memory and half the file of 32 bits, and each
number stays the same to 1 in 2,000.

On disk it is a ``.npy`` file, which is mapped into memory rather than read: several processes share its pages.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numba import njit
from numpy.typing import NDArray

from humfind.index.mapped import Spool, map_array, read_ahead, write_array
from humfind.runtime.files import require_regular_file, require_stored
from humfind.types import Floats, InputError, Ints

BLOCK_BYTES = 128 * 2**20  # of gathered vectors while distances are measured
BLOCK_ROWS = 16_384  # that are float32 at a time: they fit the cache
DTYPE = np.dtype("<f2")
Halves = NDArray[np.float16]


def to_float16(vectors: Floats) -> Halves:
    """(n, dim) in 16 bits, rounded to nearest. Raises InputError where a number is too large for that, or is none."""
    with np.errstate(over="ignore"):
        halves = vectors.astype(np.float16)
    if not _finite(halves):
        raise InputError("index: a vector holds a number beyond 65,504, or none; train the model with normalise")
    return halves


class VectorTable:
    """halves: (n, dim), n >= 1. source: the file that they are mapped from, of which rows are checked when they are
    read: InputError for one that is not finite."""

    def __init__(self, halves: Halves, source: str = "") -> None:
        if len(halves) == 0:
            raise ValueError("an index of no vectors")
        self._halves, self.source = halves, source

    @classmethod
    def of(cls, parts: Iterable[Halves]) -> VectorTable:
        """Parts laid end to end."""
        laid = Spool(DTYPE)
        for part in parts:
            laid.append(part)
        return cls(laid.rows())

    def __len__(self) -> int:
        return len(self._halves)

    @property
    def dim(self) -> int:
        return self._halves.shape[1]

    def __getitem__(self, rows: slice | Ints) -> Floats:
        """The vectors of these rows, (..., dim) float32."""
        if self.source:
            read_ahead(self._halves, rows)
        halves = self._halves[rows]
        if self.source and not _finite(halves):
            raise InputError(f"{self.source}: a vector holds NaN or infinity; build the index again")
        return _to_float32(halves)

    def with_squares(self, rows: slice | Ints) -> tuple[Floats, Floats]:
        """``[rows]``, and each one's product with itself, (n,) float32."""
        part = self[rows]
        return part, np.einsum("nd,nd->n", part, part)

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """(first row, vectors) for all rows, as many at a time as fit the cache."""
        for start in range(0, len(self), BLOCK_ROWS):
            yield start, self[start : start + BLOCK_ROWS]

    def add(self, other: VectorTable) -> VectorTable:
        """These rows, then those of ``other``."""
        return VectorTable(np.concatenate([self._halves, other._halves]), self.source or other.source)

    def take(self, rows: Ints) -> VectorTable:
        """These rows alone, in this order."""
        return VectorTable(self._halves[rows], self.source)

    def measure(self, vectors: Floats, rows: Ints) -> tuple[Floats, Ints]:
        """Euclidean distances of each of ``vectors`` (m, dim) to its own rows (m, k), and the rows, both sorted by
        (distance, row). In float64, so that a vector's distances are the same whatever is measured beside them."""
        distances, ordered = np.empty(rows.shape, np.float32), np.empty(rows.shape, np.int64)
        block = max(1, BLOCK_BYTES // (max(1, rows.shape[1]) * self.dim * 8))
        for start in range(0, len(vectors), block):
            chosen = slice(start, start + block)
            difference = self[rows[chosen]].astype(np.float64) - vectors[chosen, None, :]
            exact = np.sqrt(np.einsum("mkd,mkd->mk", difference, difference)).astype(np.float32)
            order = np.lexsort((rows[chosen], exact))
            distances[chosen] = np.take_along_axis(exact, order, 1)
            ordered[chosen] = np.take_along_axis(rows[chosen], order, 1)
        return distances, ordered

    def save(self, path: Path) -> None:
        """As ``numpy.load`` reads it."""
        write_array(path, DTYPE, self._halves.shape, [self._halves])

    @classmethod
    def load(cls, path: Path) -> VectorTable:
        """Raises InputError where the file is not a whole table of 16-bit vectors."""
        try:
            require_regular_file(path)
            with path.open("rb") as file:
                require_stored(file)
                return cls.read(file)
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror}); build the index again") from error

    @classmethod
    def read(cls, file: BinaryIO) -> VectorTable:
        """``load`` of an open file."""
        what = "a whole table of 16-bit vectors"
        halves = map_array(file, DTYPE, 2, what, scattered=True)
        if not halves.size:
            raise InputError(f"{file.name}: not {what}; build the index again")
        return cls(halves, file.name)


def unit(vectors: Floats) -> Floats:
    """Rows of length 1; rows of zeros stay so. (n, d) float32."""
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    found: Floats = (vectors / np.maximum(lengths, 1e-12)).astype(np.float32)
    return found


def _finite(halves: Halves) -> bool:
    return _numbers(np.ascontiguousarray(halves).view(np.uint16).reshape(-1))


@njit(nogil=True, cache=True)
def _numbers(halves: np.ndarray) -> bool:
    """Whether no exponent is the one of infinity and of NaN."""
    infinite = np.uint16(0x7C00)
    found = np.uint16(0)
    for i in range(len(halves)):
        found = max(found, np.uint16(halves[i] & infinite))
    return bool(found < infinite)


def _to_float32(halves: Halves) -> Floats:
    """The same numbers in 32 bits: numpy's own conversion takes them one by one."""
    bits = np.empty(halves.shape, np.uint32)
    _shifted(np.ascontiguousarray(halves).view(np.uint16).reshape(-1), bits.reshape(-1))
    floats: Floats = bits.view(np.float32)
    floats *= np.float32(2.0**112)  # the exponent's origin: 15 there, 127 here; also right for the smallest
    return floats


@njit(nogil=True, cache=True)
def _shifted(halves: np.ndarray, bits: np.ndarray) -> None:
    """Sign, exponent and fraction to where 32 bits have them."""
    for i in range(len(halves)):
        half = np.uint32(halves[i])
        bits[i] = ((half & np.uint32(0x8000)) << np.uint32(16)) | ((half & np.uint32(0x7FFF)) << np.uint32(13))
