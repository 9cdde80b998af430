"""An inverted file of product codes: a vector is listed by its nearest centroid, and what it differs from it is kept in
a byte for each of some parts of its numbers.

An eighth of the vectors' size stays in memory (32 of 256 bytes); what it proposes is measured again from them, which
may stay on disk. Source: H. Jégou, M. Douze, C. Schmid, Product quantization for nearest neighbor search, IEEE TPAMI
2011; faiss's own code does the search.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from humfind.index.engines import Proposal, State
from humfind.index.engines.ivf import ITERATIONS, SAMPLE_A_CENTROID, SEED, centroids_of, checked_lists, nearest_centroid
from humfind.index.vectors import VectorTable
from humfind.types import Floats, Ints

SAMPLE_A_CODE = 200  # of k-means
PART = 4  # numbers of a vector that share a byte
CODES = 256  # of a byte
OPENED = 32  # lists compared with a query, all where they hold too few rows


class ProductCodes:
    """State: centroids (lists, dim) float32; codebooks (parts, 256, PART) float32; codes (rows, parts) uint8; list_of
    (rows,) int32, the list of each row."""

    def __init__(self, table: VectorTable, state: Mapping[str, np.ndarray] | None = None) -> None:
        if state is None:
            self._centroids, self._codebooks = _trained(table)
            codes, self._list_of = _encoded(table, 0, self._centroids, self._codebooks)
        else:
            self._centroids, self._codebooks, codes, self._list_of = _checked(state, table)
        self._faiss = _index(self._centroids, self._codebooks)
        import faiss

        for one, rows in self._lists():
            ids, mine = rows.astype(np.int64), np.ascontiguousarray(codes[rows])
            self._faiss.invlists.add_entries(one, len(rows), faiss.swig_ptr(ids), faiss.swig_ptr(mine))
        self._faiss.ntotal = len(table)

    def _lists(self) -> Iterator[tuple[int, Ints]]:
        """Those that hold any rows, and which."""
        order = np.argsort(self._list_of, kind="stable")
        begin = np.searchsorted(self._list_of[order], np.arange(len(self._centroids) + 1))
        for one in np.flatnonzero(np.diff(begin)).tolist():
            yield one, order[begin[one] : begin[one + 1]]

    @property
    def _codes(self) -> NDArray[np.uint8]:
        """faiss's own, by row: they are held once."""
        import faiss

        codes = np.empty((len(self._list_of), len(self._codebooks)), np.uint8)
        for one, rows in self._lists():
            held = faiss.rev_swig_ptr(self._faiss.invlists.get_codes(one), codes.shape[1] * len(rows))
            codes[rows] = held.reshape(len(rows), -1)
        return codes

    def propose(self, vectors: Floats, k: int) -> Proposal:
        """The k nearest by their codes, of the lists that are opened."""
        asked = _padded(vectors)
        rows = self._faiss.search(asked, k, params=_opening(min(OPENED, len(self._centroids))))[1]
        short = np.flatnonzero((rows < 0).any(axis=1))
        if len(short):
            every = _opening(len(self._centroids))
            rows[short] = self._faiss.search(np.ascontiguousarray(asked[short]), k, params=every)[1]
        return Proposal(rows, None)

    def add(self, table: VectorTable) -> ProductCodes:
        """New rows go to the lists that there are."""
        codes, list_of = _encoded(table, len(self._list_of), self._centroids, self._codebooks)
        more = {"codes": np.concatenate([self._codes, codes]), "list_of": np.concatenate([self._list_of, list_of])}
        return ProductCodes(table, self.state() | more)

    def delete(self, table: VectorTable, kept: Ints) -> ProductCodes:
        return ProductCodes(table, self.state() | {"codes": self._codes[kept], "list_of": self._list_of[kept]})

    def state(self) -> State:
        return {
            "centroids": self._centroids,
            "codebooks": self._codebooks,
            "codes": self._codes,
            "list_of": self._list_of,
        }


def _opening(lists: int) -> Any:
    """So many lists; of a search, so that threads do not change it for each other."""
    import faiss

    given: Any = faiss.SearchParametersIVF()
    given.nprobe = lists
    return given


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


def _checked(
    state: Mapping[str, np.ndarray], table: VectorTable
) -> tuple[Floats, Floats, NDArray[np.uint8], NDArray[np.int32]]:
    """Raises ValueError for what is no state of this table."""
    if set(state) != {"centroids", "codebooks", "codes", "list_of"}:
        raise ValueError("engine ivfpq: its state is not centroids, codebooks, codes and list_of")
    centroids, codebooks, codes, list_of = (state[name] for name in ("centroids", "codebooks", "codes", "list_of"))
    checked_lists(centroids, list_of, table)
    parts = -(-table.dim // PART)
    if codebooks.dtype != np.float32 or codebooks.shape != (parts, CODES, PART):
        raise ValueError(f"engine: {parts} codebooks of {CODES} times {PART} numbers expected")
    if not (np.abs(codebooks) <= np.finfo(np.float16).max).all():
        raise ValueError("engine: a codebook holds NaN, or lies beyond every vector")
    if codes.dtype != np.uint8 or codes.shape != (len(table), parts):
        raise ValueError(f"engine: {parts} codes for each of {len(table)} rows expected")
    return centroids, codebooks, codes, list_of
