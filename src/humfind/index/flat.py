"""Exact nearest neighbours: every vector is compared with every query. Vectors are kept in 16 bits, half the memory
and half the file: what is near stays near to 1 in 2,000.

faiss searches block after block; it picks another kernel for few queries than for many, and their last bits differ. The
candidates that it finds are therefore measured again in float64 and sorted by (distance, row); a query whose candidates
could hide a nearer row is searched again, wider. So a query's neighbours are the same alone and among others.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numba import njit
from numpy.typing import NDArray

from humfind.runtime.files import atomic_write, require_regular_file, require_stored
from humfind.types import Floats, InputError, Ints

SPARE = 16  # candidates beyond k: enough for all but the closest ties
# what faiss writes before an IndexScalarQuantizer's codes: kind, dim, rows, two spare, trained, metric, type of code,
# two of its training, dim, bytes a row, how many numbers it was trained to, bytes in all
HEAD = struct.Struct("<4siqqq?iiifQQQQ")
KIND, SPARE_FIELD, METRIC_L2, QT_FP16 = b"IxSQ", 1 << 20, 1, 4
BLOCK_BYTES = 128 * 2**20  # of gathered vectors while measuring again
BLOCK_ROWS = 16_384  # that are float32 at a time: they fit the cache
Halves = NDArray[np.float16]


def halved(vectors: Floats) -> Halves:
    """(n, dim) in 16 bits, rounded to nearest. Raises InputError where a number is too large for that, or is none."""
    with np.errstate(over="ignore"):
        halves = vectors.astype(np.float16)
    if not _finite(halves):
        raise InputError("index: a vector holds a number beyond 65,504, or none; train the model with normalise")
    return halves


class FlatIndex:
    """halves: (n, dim), n >= 1, finite. squares: (n,) float32, each vector's product with itself."""

    def __init__(self, halves: Halves) -> None:
        if len(halves) == 0:
            raise ValueError("an index of no vectors")
        self._halves = halves
        self.squares = np.concatenate([np.einsum("nd,nd->n", part, part) for _, part in self.blocks()])
        self._norm_limit = float(self.squares.max())

    @classmethod
    def of(cls, parts: list[Halves]) -> FlatIndex:
        """Parts laid end to end; the list is emptied on the way, so that no more is held than once."""
        ends = np.cumsum([len(part) for part in parts])
        halves = np.empty((ends[-1] if len(ends) else 0, parts[0].shape[1] if parts else 0), np.float16)
        for end in reversed(ends):
            part = parts.pop()
            halves[end - len(part) : end] = part
        return cls(halves)

    def __len__(self) -> int:
        return len(self._halves)

    @property
    def dim(self) -> int:
        return self._halves.shape[1]

    def __getitem__(self, rows: slice | Ints) -> Floats:
        """The vectors of these rows, (..., dim) float32."""
        return _floats(self._halves[rows])

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """(first row, vectors) for all rows, as many at a time as fit the cache."""
        for start in range(0, len(self), BLOCK_ROWS):
            yield start, self[start : start + BLOCK_ROWS]

    def nearest(self, vectors: Floats, k: int) -> tuple[Floats, Ints]:
        """The k nearest rows of each of ``vectors`` (m, dim): Euclidean distances and rows, (m, k') each.

        Sorted by distance, then row; k' is k, or the number of rows where there are fewer.
        """
        k = min(k, len(self))
        distances = np.empty((len(vectors), k), np.float32)
        rows = np.empty((len(vectors), k), np.int64)
        pending, width = np.arange(len(vectors)), min(k + SPARE, len(self))
        while len(pending):
            block = max(1, BLOCK_BYTES // (width * self.dim * 8))
            unsure = []
            for start in range(0, len(pending), block):
                chosen = pending[start : start + block]
                distances[chosen], rows[chosen], sure = self._measure(vectors[chosen], k, width)
                unsure.append(chosen[~sure])
            pending, width = np.concatenate(unsure), min(4 * width, len(self))
        return distances, rows

    def _measure(self, vectors: Floats, k: int, width: int) -> tuple[Floats, Ints, np.ndarray]:
        """The k nearest among ``width`` candidates, and for which queries no other row can be nearer."""
        rough, found = self._candidates(np.ascontiguousarray(vectors, np.float32), width)
        difference = self[found].astype(np.float64) - vectors[:, None, :]
        exact = np.sqrt(np.einsum("mkd,mkd->mk", difference, difference)).astype(np.float32)
        order = np.lexsort((found, exact))[:, :k]
        distance, row = np.take_along_axis(exact, order, 1), np.take_along_axis(found, order, 1)
        if width == len(self):
            return distance, row, np.ones(len(vectors), bool)
        # |x - y|^2 as |x|^2 + |y|^2 - 2xy loses at most about dim roundings of the norms
        norms = np.einsum("md,md->m", vectors, vectors).astype(np.float64) + self._norm_limit
        error = 2 * self.dim * np.finfo(np.float32).eps * norms
        reach = distance[:, -1].astype(np.float64) ** 2 * (1 + 1e-6)
        return distance, row, rough[:, -1] - error > reach

    def _candidates(self, vectors: Floats, width: int) -> tuple[Floats, Ints]:
        """faiss's ``width`` nearest, squared distances and rows, (m, width) each."""
        import faiss  # late: most searches need no neighbours

        heap = faiss.ResultHeap(len(vectors), width)
        for start, part in self.blocks():
            distance, row = faiss.knn(vectors, part, min(width, len(part)))
            heap.add_result(distance, row + start)
        heap.finalize()
        return heap.D, heap.I

    def save(self, path: Path) -> None:
        """As faiss writes an ``IndexScalarQuantizer`` of 16-bit floats, and reads it."""
        rows, dim = self._halves.shape
        fields = (KIND, dim, rows, SPARE_FIELD, SPARE_FIELD, True, METRIC_L2, QT_FP16, 0, 0.0)
        head = HEAD.pack(*fields, dim, 2 * dim, 0, 2 * rows * dim)

        def write(file: BinaryIO) -> None:
            file.write(head)
            file.write(self._halves.data)

        atomic_write(path, write)

    @classmethod
    def load(cls, path: Path) -> FlatIndex:
        """Raises InputError where the file is not a whole index of 16-bit vectors."""
        try:
            require_regular_file(path)
            with path.open("rb") as file:
                require_stored(file)
                return cls.read(file)
        except OSError as error:
            raise InputError(f"{path}: not a whole faiss index; build the index again") from error

    @classmethod
    def read(cls, file: BinaryIO) -> FlatIndex:
        """``load`` of an open file, whose size has to be what its header says before anything is read."""
        path = file.name
        head, size = file.read(HEAD.size), os.fstat(file.fileno()).st_size
        if len(head) < HEAD.size:
            raise InputError(f"{path}: not a whole faiss index; build the index again")
        kind, dim, rows, _, _, trained, metric, code, _, _, again, row_bytes, learned, codes = HEAD.unpack(head)
        sane = (kind, trained, metric, code, learned) == (KIND, True, METRIC_L2, QT_FP16, 0)
        fits = dim >= 1 and rows >= 1 and (again, row_bytes, codes) == (dim, 2 * dim, 2 * dim * rows)
        if not sane or not fits or size != HEAD.size + codes:
            raise InputError(f"{path}: not a whole faiss index of 16-bit vectors; build the index again")
        try:
            halves = np.fromfile(file, np.float16, rows * dim).reshape(rows, dim)
        except MemoryError as error:
            raise InputError(
                f"{path}: {codes:,} bytes of vectors are more than the memory; raise ulimit -v, or index fewer songs"
            ) from error
        if not _finite(halves):
            raise InputError(f"{path}: a vector holds NaN or infinity; build the index again")
        return cls(halves)


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


def _floats(halves: Halves) -> Floats:
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
