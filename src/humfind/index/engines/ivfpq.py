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
            codes, list_of = _encoded(table, 0, centroids, codebooks)
            listed = _in_lists(codes, np.arange(len(table), dtype=np.int32), list_of, len(centroids))
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
        before, centroids = self._state["rows"], self._state["centroids"]
        codes, list_of = _encoded(table, len(before), centroids, self._state["codebooks"])
        listed = _in_lists(
            np.concatenate([self._state["codes"], codes]),
            np.concatenate([before, np.arange(len(before), len(table), dtype=np.int32)]),
            np.concatenate([self._list_of, list_of]),
            len(centroids),
        )
        return ProductCodes(table, self._state | listed)

    def delete(self, table: VectorTable, kept: Ints) -> ProductCodes:
        number = np.full(len(self._state["rows"]), -1, np.int32)
        number[kept] = np.arange(len(kept))
        rows = number[self._state["rows"]]
        stays = rows >= 0
        lists = len(self._state["centroids"])
        listed = _in_lists(self._state["codes"][stays], rows[stays], self._list_of[stays], lists)
        return ProductCodes(table, self._state | listed)

    @property
    def _list_of(self) -> NDArray[np.int32]:
        """Of each of ``codes``."""
        counts = np.diff(self._state["begin"]).astype(np.int64)
        return np.repeat(np.arange(len(counts), dtype=np.int32), counts)

    def state(self) -> State:
        return self._state


def _in_lists(codes: NDArray[np.uint8], rows: NDArray[np.int32], list_of: NDArray[np.int32], lists: int) -> State:
    """What of the state lies list after list; within a list the rows rise."""
    order = np.argsort(list_of, kind="stable")
    begin = np.concatenate([[0], np.cumsum(np.bincount(list_of, minlength=lists))]).astype(np.int64)
    return {"codes": codes[order], "rows": rows[order], "begin": begin}


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


def _encoded(
    table: VectorTable, start: int, centroids: Floats, codebooks: Floats
) -> tuple[NDArray[np.uint8], NDArray[np.int32]]:
    """Codes and lists of the rows of ``table`` from ``start`` on."""
    index, list_of = _index(centroids, codebooks), nearest_centroid(table, start, centroids)
    codes, done = [np.empty((0, len(codebooks)), np.uint8)], 0
    for first, block in table.blocks():
        part = block[max(0, start - first) :]
        if len(part):
            own = centroids[list_of[done : done + len(part)]]
            codes.append(index.pq.compute_codes(_padded(part - own)))
            done += len(part)
    return np.concatenate(codes), list_of


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
