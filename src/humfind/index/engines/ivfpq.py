"""An inverted file of product codes: a vector is listed by its nearest centroid, and what it differs from it is kept in
a byte for each of some parts of its numbers.

It reads an eighth of the vectors' bytes (32 of 256), of the lists that it opens alone; what it proposes is measured
again from the vectors. Both may stay on disk. Source: H. Jégou, M. Douze, C. Schmid, Product quantization for nearest
neighbor search, IEEE TPAMI 2011; faiss's own code does the search.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from itertools import pairwise
from typing import Any
from weakref import finalize

import numpy as np
from numpy.typing import NDArray

from humfind.index.engines import Proposal, State
from humfind.index.engines.ivf import (
    ITERATIONS,
    SAMPLE_A_CENTROID,
    SEED,
    centroids_of,
    checked_centroids,
    nearest_centroid,
)
from humfind.index.vectors import VectorTable
from humfind.types import Floats, Ints

SAMPLE_A_CODE = 200  # of k-means
PART = 4  # numbers of a vector that share a byte
CODES = 256  # of a byte
BY_LIST = True  # faiss says in which list a code lies, and where in it
OPENED = 32  # lists compared with a query, all where they hold too few rows


class ProductCodes:
    """State: centroids (lists, dim) float32; codebooks (parts, 256, PART) float32; list after list: codes (rows, parts)
    uint8 and rows (rows,) int32, whose they are; begin (lists + 1,) int64, where each list begins. It may be mapped
    from disk: faiss reads the codes where they lie."""

    def __init__(self, table: VectorTable, state: Mapping[str, np.ndarray] | None = None) -> None:
        if state is None:
            centroids, codebooks = _trained(table)
            listed = _listed(table, centroids, codebooks)
            self._state = {"centroids": centroids, "codebooks": codebooks} | listed
        else:
            self._state = _checked(state, table)

    @cached_property
    def _faiss(self) -> Any:
        import faiss

        made = _index(self._state["centroids"], self._state["codebooks"])
        codes, begin = np.ascontiguousarray(self._state["codes"], np.uint8), self._state["begin"]
        lists: Any = faiss.OnDiskInvertedLists()  # which takes them where they lie, on disk or not
        lists.nlist, lists.code_size, lists.read_only, lists.prefetch_nthread = made.nlist, codes.shape[1], True, 0
        for first, end in pairwise(begin.tolist()):
            one = faiss.OnDiskOneList()
            one.size = one.capacity = end - first
            one.offset = first * codes.shape[1]
            lists.lists.push_back(one)
        lists.ptr = faiss.swig_ptr(codes)
        made.replace_invlists(lists, False)
        made.ntotal = len(codes)
        finalize(made, _let_go, lists, codes)
        return made

    def propose(self, vectors: Floats, k: int) -> Proposal:
        """The k nearest by their codes, of the lists that are opened."""
        return Proposal(self.estimate(vectors, k)[1], None)

    def estimate(self, vectors: Floats, k: int) -> tuple[Floats, Ints]:
        asked, lists = _padded(vectors), len(self._state["centroids"])
        distances, rows = self._nearest(asked, k, min(OPENED, lists))
        short = np.flatnonzero((rows < 0).any(axis=1))
        if len(short):
            distances[short], rows[short] = self._nearest(np.ascontiguousarray(asked[short]), k, lists)
        return distances, rows

    def _nearest(self, asked: Floats, k: int, opened: int) -> tuple[Floats, Ints]:
        """(m, k) distances by the codes, and rows, -1 where the lists that are opened hold fewer."""
        import faiss

        opening: Any = faiss.SearchParametersIVF()  # of a search, so that threads do not change it for each other
        opening.nprobe = opened
        apart, lists = self._faiss.quantizer.search(asked, opened)
        distances, places = np.empty((len(asked), k), np.float32), np.empty((len(asked), k), np.int64)
        queries, *others = (faiss.swig_ptr(array) for array in (asked, lists, apart, distances, places))
        self._faiss.search_preassigned_c(len(asked), queries, k, *others, BY_LIST, opening)
        at = self._state["begin"][places >> 32] + (places & 0xFFFFFFFF)
        rows = np.where(places < 0, -1, self._state["rows"][np.where(places < 0, 0, at)]).astype(np.int64)
        return np.sqrt(np.maximum(distances, 0)), rows

    def add(self, table: VectorTable) -> ProductCodes:
        """New rows go to the lists that there are."""
        return ProductCodes(
            table, self._state | _listed(table, self._state["centroids"], self._state["codebooks"], self._state)
        )

    def delete(self, table: VectorTable, kept: Ints) -> ProductCodes:
        number = np.full(len(self._state["rows"]), -1, np.int32)
        number[kept] = np.arange(len(kept))
        rows = number[self._state["rows"]]
        stays = rows >= 0
        lists = len(self._state["centroids"])
        begin = _begin(_list_of(self._state["begin"])[stays], lists)
        return ProductCodes(
            table, self._state | {"codes": self._state["codes"][stays], "rows": rows[stays], "begin": begin}
        )

    def state(self) -> State:
        return self._state


def _listed(table: VectorTable, centroids: Floats, codebooks: Floats, before: State | None = None) -> State:
    """What of the state lies list after list; within a list the rows rise. Codes are put where they go as they are
    made, so that they are held once. before: the state of its first rows."""
    start = 0 if before is None else len(before["rows"])
    list_of = nearest_centroid(table, start, centroids)
    if before is not None:
        own = np.empty(start, np.int32)
        own[before["rows"]] = _list_of(before["begin"])
        list_of = np.concatenate([own, list_of])
    rows = np.argsort(list_of, kind="stable").astype(np.int32)
    place = np.empty_like(rows)
    place[rows] = np.arange(len(rows), dtype=np.int32)
    codes = np.empty((len(table), len(codebooks)), np.uint8)
    if before is not None:
        codes[place[before["rows"]]] = before["codes"]
    index = _index(centroids, codebooks)
    for first, block in table.blocks():
        skipped = max(0, start - first)
        part, mine = block[skipped:], slice(first + skipped, first + len(block))
        if len(part):
            codes[place[mine]] = index.pq.compute_codes(_padded(part - centroids[list_of[mine]]))
    return {"codes": codes, "rows": rows, "begin": _begin(list_of, len(centroids))}


def _begin(list_of: NDArray[np.int32], lists: int) -> Ints:
    """(lists + 1,): where each one's begin."""
    return np.concatenate([[0], np.cumsum(np.bincount(list_of, minlength=lists))]).astype(np.int64)


def _list_of(begin: np.ndarray) -> NDArray[np.int32]:
    """That each of what is listed is in."""
    counts = np.diff(begin)
    return np.repeat(np.arange(len(counts), dtype=np.int32), counts)


def _let_go(lists: Any, codes: NDArray[np.uint8]) -> None:
    """faiss would unmap what it did not map. codes: held until then."""
    lists.ptr = None


def _index(centroids: Floats, codebooks: Floats) -> Any:
    """faiss's index of nothing yet, with these."""
    import faiss

    padded = _padded(centroids)
    lists, dim = padded.shape
    quantizer: Any = faiss.IndexFlatL2(dim)
    quantizer.add(padded)
    made: Any = faiss.IndexIVFPQ(quantizer, dim, lists, len(codebooks), 8)
    made.own_fields = True  # of the quantizer, which nothing here holds any longer
    quantizer.this.disown()
    made.use_precomputed_table = -1  # which takes a KB for each list and part
    faiss.copy_array_to_vector(codebooks.reshape(-1), made.pq.centroids)
    made.is_trained = True
    return made


def _trained(table: VectorTable) -> tuple[Floats, Floats]:
    """Centroids, and codebooks of an evenly spaced sample."""
    import faiss

    centroids = centroids_of(table)
    wanted = CODES * SAMPLE_A_CODE
    sample = table[:: max(1, len(table) // max(len(centroids) * SAMPLE_A_CENTROID, wanted))]
    sample = sample[:: max(1, len(sample) // wanted)]
    residual = _padded(sample - centroids[faiss.knn(sample, centroids, 1)[1][:, 0]])
    books = []
    for part in np.split(residual, residual.shape[1] // PART, axis=1):
        book = faiss.Kmeans(PART, CODES, niter=ITERATIONS, seed=SEED, min_points_per_centroid=1)
        book.train(np.ascontiguousarray(_at_least(part, CODES)))
        books.append(np.asarray(book.centroids, np.float32))
    return centroids, np.ascontiguousarray(np.stack(books), np.float32)


def _padded(vectors: Floats) -> Floats:
    """With zeros, to a multiple of ``PART`` numbers."""
    return np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, -vectors.shape[1] % PART))), np.float32)


def _at_least(rows: Floats, count: int) -> Floats:
    """Rows, over and over where they are too few for k-means."""
    found: Floats = np.tile(rows, (-(-count // len(rows)), 1)) if len(rows) < count else rows
    return found


def _checked(state: Mapping[str, np.ndarray], table: VectorTable) -> State:
    """Raises ValueError for what is no state of this table."""
    names = ("centroids", "codebooks", "codes", "rows", "begin")
    if set(state) != set(names):
        raise ValueError(f"engine ivfpq: its state is not {', '.join(names)}")
    centroids, codebooks, codes, rows, begin = (state[name] for name in names)
    checked_centroids(centroids, table)
    parts = -(-table.dim // PART)
    if codebooks.dtype != np.float32 or codebooks.shape != (parts, CODES, PART):
        raise ValueError(f"engine: {parts} codebooks of {CODES} times {PART} numbers expected")
    if not (np.abs(codebooks) <= np.finfo(np.float16).max).all():
        raise ValueError("engine: a codebook holds NaN, or lies beyond every vector")
    if codes.dtype != np.uint8 or codes.shape != (len(table), parts):
        raise ValueError(f"engine: {parts} codes for each of {len(table)} rows expected")
    if rows.dtype != np.int32 or rows.shape != (len(table),) or rows.min() < 0 or rows.max() >= len(table):
        raise ValueError(f"engine: the rows of {len(table)} codes expected")
    there = np.zeros(len(table), bool)
    there[rows] = True
    if not there.all():
        raise ValueError("engine: two codes are of the same of the rows")
    if begin.dtype != np.int64 or begin.shape != (len(centroids) + 1,) or begin[0] or begin[-1] != len(table):
        raise ValueError(f"engine: the begin of {len(centroids)} lists expected")
    if (np.diff(begin) < 0).any() or begin.max() > len(table):
        raise ValueError("engine: lists begin in no order")
    return {name: state[name] for name in names}
