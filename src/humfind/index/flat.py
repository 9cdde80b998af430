"""Exact nearest neighbours by faiss: every vector is compared with every query.

faiss picks another kernel for few queries than for many, and their last bits differ. The candidates that it
finds are therefore measured again in float64 and sorted by (distance, row); a query whose candidates could
hide a nearer row is searched again, wider. So a query's neighbours are the same alone and among others.
"""

from __future__ import annotations

import struct
from pathlib import Path

import faiss
import numpy as np

from humfind.aside import write_aside
from humfind.types import Floats, InputError, Ints

SPARE = 16  # candidates beyond k: enough for all but the closest ties
# what faiss writes before a flat index's floats: kind, dim, rows, two spare, trained, metric, count of floats.
# faiss trusts these numbers, so they are held against the file's size before it may
HEAD = struct.Struct("<4siqqq?iQ")
BLOCK_BYTES = 128 * 2**20  # of gathered vectors while measuring again


class FlatIndex:
    """vectors: (n, dim) float32, n >= 1."""

    def __init__(self, engine: faiss.IndexFlat) -> None:
        self._engine = engine
        vectors = faiss.rev_swig_ptr(engine.get_xb(), engine.ntotal * engine.d)
        self._vectors: Floats = vectors.reshape(engine.ntotal, engine.d)
        self._norm_limit = float(np.einsum("nd,nd->n", self._vectors, self._vectors).max())

    @classmethod
    def of(cls, vectors: Floats) -> FlatIndex:
        if len(vectors) == 0:
            raise ValueError("an index of no vectors")
        engine = faiss.IndexFlatL2(vectors.shape[1])
        engine.add(np.ascontiguousarray(vectors))
        return cls(engine)

    def __len__(self) -> int:
        return int(self._engine.ntotal)

    @property
    def dim(self) -> int:
        return int(self._engine.d)

    @property
    def vectors(self) -> Floats:
        """(n, dim), a view: do not write."""
        return self._vectors

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
        rough, found = self._engine.search(np.ascontiguousarray(vectors), width)
        difference = self._vectors[found].astype(np.float64) - vectors[:, None, :]
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

    def save(self, path: Path) -> None:
        """By Python's hand: faiss only prints it when the disk is full as it closes a file."""
        write_aside(path, lambda file: file.write(faiss.serialize_index(self._engine).data))

    @classmethod
    def load(cls, path: Path) -> FlatIndex:
        """Raises InputError where the file is not a whole flat index."""
        try:
            with path.open("rb") as file:
                head, size = file.read(HEAD.size), path.stat().st_size
            if len(head) == HEAD.size:
                kind, dim, rows, _, _, trained, metric, floats = HEAD.unpack(head)
                fits = floats == dim * rows and size == HEAD.size + 4 * floats
                if kind != b"IxF2" or dim < 1 or rows < 1 or trained != 1 or metric != faiss.METRIC_L2 or not fits:
                    raise InputError(f"{path}: not a whole faiss index of flat vectors; build the index again")
            engine = faiss.read_index(str(path))
            if not isinstance(engine, faiss.IndexFlat):
                raise InputError(f"{path}: not a flat faiss index; build the index again")
        except (RuntimeError, OSError) as error:
            raise InputError(f"{path}: not a whole faiss index; build the index again") from error
        made = cls(engine)
        if not np.isfinite(made.vectors).all():
            raise InputError(f"{path}: a vector holds NaN or infinity; build the index again")
        return made
