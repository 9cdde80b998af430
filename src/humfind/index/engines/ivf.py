"""An inverted file: vectors are listed by the nearest of some centroids, and a query is compared with the lists of its
own nearest centroids alone.

Approximate: a near row in a list that is not opened is not found. Source: J. Sivic, A. Zisserman, Video Google: a text
retrieval approach to object matching in videos, ICCV 2003. Worth it for many vectors; the vectors themselves are not
kept twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from humfind.index.engines import Proposal, State
from humfind.index.vectors import VectorTable
from humfind.types import Floats, Ints

CENTROIDS_A_ROOT = 4.0  # centroids: so many times the square root of the vectors
SAMPLE_A_CENTROID, ITERATIONS = 40, 10  # of k-means
MANY, OPENED_CENTROIDS = 4000, 8  # centroids that are themselves in lists, of which so many are looked into
OPENED = 16  # lists compared with a query, more where they hold too few rows
SEED = 0


class InvertedFile:
    """State: centroids (lists, dim) float32; list_of (rows,) int32, the list of each row."""

    def __init__(self, table: VectorTable, state: Mapping[str, np.ndarray] | None = None) -> None:
        self._table = table
        if state is None:
            self._centroids = centroids_of(table)
            self._list_of = nearest_centroid(table, 0, self._centroids)
        else:
            self._centroids, self._list_of = _checked(state, table)
        self._squares = np.einsum("nd,nd->n", self._centroids, self._centroids)
        self._order = np.argsort(self._list_of, kind="stable")  # rows by list
        self._begin = np.searchsorted(self._list_of[self._order], np.arange(len(self._centroids) + 1))

    def propose(self, vectors: Floats, k: int) -> Proposal:
        """Of the lists that are opened, the k nearest rows; as many lists are opened as hold k."""
        by_distance = np.argsort(self._squares - 2 * vectors @ self._centroids.T, axis=1, kind="stable")
        held = np.cumsum(np.diff(self._begin)[by_distance], axis=1)
        opened = np.maximum((held < k).sum(axis=1) + 1, OPENED)
        asked_by = np.zeros((len(self._centroids), len(vectors)), bool)  # which queries open a list
        for i, count in enumerate(opened):
            asked_by[by_distance[i, :count], i] = True
        queries, rows, distances = [], [], []
        for one in np.flatnonzero(asked_by.any(axis=1) & (np.diff(self._begin) > 0)):
            listed = self._order[self._begin[one] : self._begin[one + 1]]
            asking = np.flatnonzero(asked_by[one])
            part, squares = self._table.with_squares(listed)
            distance = squares - 2 * vectors[asking] @ part.T
            queries.append(np.repeat(asking, len(listed)))
            rows.append(np.tile(listed, len(asking)))
            distances.append(distance.reshape(-1))
        query, row, distance = np.concatenate(queries), np.concatenate(rows), np.concatenate(distances)
        order = np.lexsort((row, distance, query))
        first = np.searchsorted(query[order], np.arange(len(vectors)))
        return Proposal(row[order[first[:, None] + np.arange(k)]], None)

    def add(self, table: VectorTable) -> InvertedFile:
        """New rows go to the lists that there are."""
        more = nearest_centroid(table, len(self._list_of), self._centroids)
        return InvertedFile(table, self.state() | {"list_of": np.concatenate([self._list_of, more])})

    def delete(self, table: VectorTable, kept: Ints) -> InvertedFile:
        return InvertedFile(table, self.state() | {"list_of": self._list_of[kept]})

    def state(self) -> State:
        return {"centroids": self._centroids, "list_of": self._list_of}


def _checked(state: Mapping[str, np.ndarray], table: VectorTable) -> tuple[Floats, np.ndarray]:
    """Raises ValueError for what is no state of this table."""
    if set(state) != {"centroids", "list_of"}:
        raise ValueError("engine ivf: its state is not centroids and list_of")
    centroids, list_of = checked_centroids(state["centroids"], table), state["list_of"]
    if list_of.dtype != np.int32 or list_of.shape != (len(table),):
        raise ValueError(f"engine: the lists of {len(table)} rows expected")
    if list_of.min() < 0 or list_of.max() >= len(centroids):
        raise ValueError("engine: a row is in a list that is not there")
    return centroids, list_of


def checked_centroids(centroids: np.ndarray, table: VectorTable) -> Floats:
    """Raises ValueError for what are no centroids of this table's rows."""
    if centroids.dtype != np.float32 or centroids.ndim != 2 or centroids.shape[1] != table.dim or not len(centroids):
        raise ValueError(f"engine: centroids of {table.dim} numbers expected")
    if not (np.abs(centroids) <= np.finfo(np.float16).max).all():
        raise ValueError("engine: a centroid holds NaN, or lies beyond every vector")
    return centroids


def centroids_of(table: VectorTable) -> Floats:
    """By k-means of an evenly spaced sample."""
    import faiss

    count = max(1, min(round(CENTROIDS_A_ROOT * len(table) ** 0.5), len(table) // SAMPLE_A_CENTROID))
    sample = table[:: max(1, len(table) // (count * SAMPLE_A_CENTROID))]
    kmeans = faiss.Kmeans(table.dim, count, niter=ITERATIONS, seed=SEED, min_points_per_centroid=1)
    kmeans.train(sample)
    centroids: Floats = np.ascontiguousarray(kmeans.centroids, np.float32)
    return centroids


def nearest_centroid(table: VectorTable, start: int, centroids: Floats) -> np.ndarray:
    """The list of each row of ``table`` from ``start`` on: of its nearest centroid, or where there are many of one that
    is nearly so, since the centroids are then in lists themselves."""
    import faiss

    looked_up: Any = faiss.IndexFlatL2(centroids.shape[1])
    if len(centroids) > MANY:
        lists = round(len(centroids) ** 0.5)
        looked_up = faiss.IndexIVFFlat(looked_up, centroids.shape[1], lists)
        looked_up.cp.seed, looked_up.nprobe = SEED, OPENED_CENTROIDS
        looked_up.train(centroids)
    looked_up.add(centroids)
    found = [np.empty(0, np.int64)]
    for first, part in table.blocks():
        if first + len(part) > start:
            found.append(looked_up.search(part[max(0, start - first) :], 1)[1][:, 0])
    return np.concatenate(found).astype(np.int32)
