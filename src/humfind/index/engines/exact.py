"""Every vector is compared with every query.

faiss searches block after block; it picks another kernel for few queries than for many, and their last bits differ. So
more rows are proposed than were asked for, with the distance below which no other row can lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property

import numpy as np

from humfind.index.engines import Proposal, State
from humfind.index.vectors import VectorTable
from humfind.types import Floats, Ints

SPARE = 16  # rows beyond those asked for: enough for all but the closest ties


class Exact:
    """Has no state but the vectors."""

    def __init__(self, table: VectorTable, state: Mapping[str, np.ndarray] | None = None) -> None:
        if state:
            raise ValueError("engine exact has no state")
        self._table = table

    @cached_property
    def _norm_limit(self) -> float:
        """The largest product of a row with itself."""
        return max(float(np.einsum("nd,nd->n", part, part).max()) for _, part in self._table.blocks())

    def propose(self, vectors: Floats, k: int) -> Proposal:
        """The rows nearest by faiss's rounding, ``SPARE`` more than k where there are as many."""
        import faiss  # late: most searches need no neighbours

        width = min(k + SPARE, len(self._table))
        heap = faiss.ResultHeap(len(vectors), width)
        for start, part in self._table.blocks():
            distance, row = faiss.knn(vectors, part, min(width, len(part)))
            heap.add_result(distance, row + start)
        heap.finalize()
        if width == len(self._table):
            return Proposal(heap.I, np.full(len(vectors), np.inf))
        # |x - y|^2 as |x|^2 + |y|^2 - 2xy loses at most about dim roundings of the norms
        norms = np.einsum("md,md->m", vectors, vectors).astype(np.float64) + self._norm_limit
        error = 2 * self._table.dim * np.finfo(np.float32).eps * norms
        return Proposal(heap.I, heap.D[:, -1] - error)

    def add(self, table: VectorTable) -> Exact:
        return Exact(table)

    def delete(self, table: VectorTable, kept: Ints) -> Exact:
        return Exact(table)

    def state(self) -> State:
        return {}
