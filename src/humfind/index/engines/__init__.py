"""Engines: which rows of a vector table may be near a query.

An engine only proposes: what it proposes is measured again from the rows, so that distances mean the same with every
engine. It is a class, made from a table alone or from a table and what ``state`` gave for the same rows. Adding one
takes a file and a line in ``ENGINES``, or an entry point (``humfind.runtime.plugins``).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from humfind.index.vectors import VectorTable
from humfind.runtime import plugins
from humfind.types import Floats, Ints

WIDER = 4  # as many rows are asked for again, where those proposed could hide a nearer one
State = dict[str, np.ndarray]


class Proposal(NamedTuple):
    """rows: (m, k) of each query, distinct, in any order. beyond: (m,) what no other row's squared distance is below,
    of an engine that can promise it; None of one that cannot."""

    rows: Ints
    beyond: NDArray[np.float64] | None


class Engine(Protocol):
    """One way to find neighbours in a table of vectors. It may also have ``estimate(vectors, k)``: of what it proposes,
    about the Euclidean distances, from what it keeps alone, and the rows, (m, k) each, the nearest first."""

    def propose(self, vectors: Floats, k: int) -> Proposal:
        """k rows (1 <= k <= rows of the table) that are likely the nearest of each of ``vectors`` (m, dim) float32."""
        ...

    def add(self, table: VectorTable) -> Engine:
        """The engine of ``table``, whose first rows are this one's own."""
        ...

    def delete(self, table: VectorTable, kept: Ints) -> Engine:
        """The engine of ``table``, which is this one's own rows ``kept`` (sorted) alone."""
        ...

    def state(self) -> State:
        """What is saved beside the vectors, so that the engine need not be built again: named arrays, maybe none."""
        ...


ENGINES: dict[str, str] = {
    "exact": "humfind.index.engines.exact:Exact",
    "ivf": "humfind.index.engines.ivf:InvertedFile",
    "ivfpq": "humfind.index.engines.ivfpq:ProductCodes",
    "milvus": "humfind.index.engines.milvus:Milvus",
}


def engine_class(name: str) -> Any:
    """Raises InputError for an unknown name."""
    return plugins.find("engines", name, ENGINES)


def require_engine(name: str) -> None:
    """Before an index is built for it: raises InputError for an unknown name, and where the engine's own ``require``,
    if it has one, finds that it could not be made."""
    getattr(engine_class(name), "require", lambda: None)()


def make_engine(name: str, table: VectorTable, state: Mapping[str, np.ndarray] | None = None) -> Engine:
    """state: what the engine's ``state`` gave for these rows; built anew where None.

    Raises InputError for an unknown name, ValueError for a state that is not one of this table.
    """
    kind = engine_class(name)
    engine: Engine = kind(table) if state is None else kind(table, state)
    return engine


def nearest(table: VectorTable, engine: Engine, vectors: Floats, k: int) -> tuple[Floats, Ints]:
    """The k nearest rows of each of ``vectors`` (m, dim), as far as the engine finds them: Euclidean distances and
    rows, (m, k') each, sorted by (distance, row); k' is k, or the number of rows where there are fewer.

    A query's neighbours are the same alone and among others.
    """
    k = min(k, len(table))
    distances, rows = np.empty((len(vectors), k), np.float32), np.empty((len(vectors), k), np.int64)
    pending, width = np.arange(len(vectors)), k
    while len(pending):
        asked = np.ascontiguousarray(vectors[pending], np.float32)
        proposed, beyond = engine.propose(asked, width)
        distance, row = table.measure(asked, proposed)
        distances[pending], rows[pending] = distance[:, :k], row[:, :k]
        if beyond is None or width == len(table):
            break
        reach = distance[:, k - 1].astype(np.float64) ** 2 * (1 + 1e-6)
        pending, width = pending[beyond <= reach], min(WIDER * width, len(table))
    return distances, rows


def estimated(table: VectorTable, engine: Engine, vectors: Floats, k: int) -> tuple[Floats, Ints]:
    """``nearest``, by what the engine estimates where it does, and no vector is read; else measured."""
    estimate = getattr(engine, "estimate", None)
    if estimate is None:
        return nearest(table, engine, vectors, k)
    found: tuple[Floats, Ints] = estimate(np.ascontiguousarray(vectors, np.float32), min(k, len(table)))
    return found
