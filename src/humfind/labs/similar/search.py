"""Engines side by side: how much of the exact answer each gives, and how long it takes.

The trees of this lab, Annoy (where it is installed: ``pip install annoy``), faiss's graph of small worlds (Malkov and
Yashunin 2018) and faiss's exact search, through one interface.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple, Protocol

import numpy as np

from humfind.index.engines import Proposal
from humfind.index.vectors import VectorTable
from humfind.labs.similar.trees import Forest
from humfind.types import Floats

ANSWERS = 10
SEED = 1


class Searches(Protocol):
    """What is compared: the part of ``humfind.index.engines.Engine`` that searches."""

    def propose(self, vectors: Floats, k: int) -> Proposal:
        """k rows of each of ``vectors``, likely the nearest."""
        ...


class Annoy:
    """Spotify's trees, memory-mapped and single-threaded as ours are."""

    def __init__(self, table: VectorTable, trees: int) -> None:
        from annoy import AnnoyIndex

        self._index: Any = AnnoyIndex(table.dim, "euclidean")
        self._index.set_seed(SEED)
        for row, vector in enumerate(table[:]):
            self._index.add_item(row, vector)
        self._index.build(trees, n_jobs=1)
        self._rows = len(table)

    def propose(self, vectors: Floats, k: int) -> Proposal:
        found = [self._index.get_nns_by_vector(vector, k) for vector in vectors]
        return Proposal(np.array([_filled(rows, k) for rows in found], np.int64), None)


class Graph:
    """faiss's hierarchical graph of small worlds."""

    def __init__(self, table: VectorTable, width: int) -> None:
        import faiss

        self._index: Any = faiss.IndexHNSWFlat(table.dim, 32)
        self._index.hnsw.efConstruction = 80
        self._index.hnsw.efSearch = width
        self._index.add(table[:])

    def propose(self, vectors: Floats, k: int) -> Proposal:
        rows = self._index.search(np.ascontiguousarray(vectors), k)[1]
        return Proposal(np.array([_filled(one[one >= 0].tolist(), k) for one in rows], np.int64), None)


class Flat:
    """faiss, every vector with every query."""

    def __init__(self, table: VectorTable) -> None:
        import faiss

        self._index: Any = faiss.IndexFlatL2(table.dim)
        self._index.add(table[:])

    def propose(self, vectors: Floats, k: int) -> Proposal:
        return Proposal(self._index.search(np.ascontiguousarray(vectors), k)[1], None)


class Timed(NamedTuple):
    """family: which engine. setting: what was varied. overlap: the share of the exact ten that it finds, of each query.
    ms: of a query, the median. build_s: to build it."""

    family: str
    setting: str
    overlap: Floats
    ms: float
    build_s: float


def exact_rows(vectors: Floats, queries: Floats, k: int = ANSWERS) -> np.ndarray:
    """(m, k) nearest rows by distance."""
    import faiss

    rows: np.ndarray = faiss.knn(queries, vectors, k)[1]
    return rows


def overlap(found: np.ndarray, exact: np.ndarray) -> Floats:
    """(m,): the share of the exact rows that were found."""
    shares = [len(set(a.tolist()) & set(b.tolist())) / len(b) for a, b in zip(found, exact, strict=True)]
    return np.array(shares, np.float32)


def engines(table: VectorTable) -> Iterator[tuple[str, str, Callable[[], Searches]]]:
    """(family, setting, how to build it): the trees' number, threshold and pool swept, and their rivals."""
    for trees in (1, 2, 4, 8, 16, 32, 64):
        yield "trees", _said(trees), partial(Forest, table, trees=trees)
    for threshold in (0.001, 0.01, 0.1):
        yield "trees, threshold", f"{threshold:g}", partial(Forest, table, trees=4, threshold=threshold, pool=10_000)
    for pool in (10, 1000, 10_000):
        yield "trees, pool", f"{pool} an answer", partial(Forest, table, trees=4, threshold=1.0, pool=pool)
    if find_spec("annoy"):
        for trees in (1, 4, 16, 64):
            yield "Annoy", _said(trees), partial(Annoy, table, trees)
    for width in (16, 64, 256):
        yield "faiss HNSW", f"width {width}", partial(Graph, table, width)
    yield "faiss exact", "", partial(Flat, table)


def compare(vectors: Floats, queries: Floats, chosen: str = "") -> list[Timed]:
    """Every engine on the same vectors and queries, one query at a time on one thread. chosen: of these families alone,
    by the beginning of their names."""
    import faiss

    table = VectorTable.of([vectors.astype(np.float16)])
    stored = table[:]
    right = exact_rows(stored, queries)
    threads = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        return [
            _timed(family, setting, build, queries, right)
            for family, setting, build in engines(table)
            if family.startswith(chosen)
        ]
    finally:
        faiss.omp_set_num_threads(threads)


def _timed(family: str, setting: str, build: Callable[[], Searches], queries: Floats, right: np.ndarray) -> Timed:
    start = time.perf_counter()
    engine = build()
    build_s = time.perf_counter() - start
    engine.propose(queries[:1], ANSWERS)  # what is made on the first call
    found, taken = [], []
    for query in queries:  # one at a time, as a user asks
        start = time.perf_counter()
        found.append(engine.propose(query[None], ANSWERS).rows)
        taken.append(time.perf_counter() - start)
    rows = np.concatenate([one[:, :ANSWERS] for one in found])
    return Timed(family, setting, overlap(rows, right), 1000 * float(np.median(taken)), build_s)


def _said(trees: int) -> str:
    return f"{trees} tree" + "s" * (trees != 1)


def _filled(rows: list[int], k: int) -> list[int]:
    """k rows, where an engine found fewer: those that it found, the last again."""
    return (rows + [rows[-1]] * k)[:k]
