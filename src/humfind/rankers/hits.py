"""The song windows nearest to a query's windows: what ``nearest`` and ``vote`` rank by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from humfind.config import RankConfig
from humfind.types import Floats, Hits, Ints, Query


class Vectors(Protocol):
    """What is needed of an index's vectors."""

    def __len__(self) -> int: ...


class Searchable(Protocol):
    """What is needed of ``humfind.index.Index``. window_song, start_s, length_s, key: a row a window."""

    @property
    def music_ids(self) -> tuple[str, ...]: ...
    @property
    def window_song(self) -> Ints: ...
    @property
    def start_s(self) -> Floats: ...
    @property
    def length_s(self) -> Floats: ...
    @property
    def key(self) -> Floats: ...
    @property
    def vectors(self) -> Vectors: ...
    def nearest(self, vectors: Floats, k: int) -> tuple[Floats, Ints]: ...


def find_hits(queries: Sequence[Query], index: Searchable, per_window: int, songs: int = RankConfig.top) -> list[Hits]:
    """The song windows near each query's windows.

    Guaranteed of each query's hits: the ``per_window`` nearest of each of its windows; and every pair of
    windows at most as far apart as the ``songs``-th nearest song is (a song's distance being that of its
    nearest window), so that the nearest songs are really those, however few hits a window began with.
    """
    vectors = np.concatenate([query.embeddings.vectors for query in queries])
    owner = np.repeat(np.arange(len(queries)), [len(query.embeddings) for query in queries])
    rows: list[Ints] = [np.empty(0, np.int64)] * len(vectors)
    distances: list[Floats] = [np.empty(0, np.float32)] * len(vectors)
    width, total = min(per_window, len(index.vectors)), len(index.vectors)
    pending = np.arange(len(vectors))
    while len(pending):
        for window, distance, row in zip(pending, *index.nearest(vectors[pending], width), strict=True):
            distances[window], rows[window] = distance, row
        if width == total:
            break
        reach = np.array([distances[window][-1] for window in pending])
        pending = pending[reach <= _radii(pending, owner, distances, rows, index, songs)]
        width = min(4 * width, total)
    ends = np.cumsum([len(query.embeddings) for query in queries])
    return [
        _hits(distances[end - len(query.embeddings) : end], rows[end - len(query.embeddings) : end], index)
        for query, end in zip(queries, ends, strict=True)
    ]


def _radii(
    pending: Ints, owner: Ints, distances: list[Floats], rows: list[Ints], index: Searchable, songs: int
) -> Floats:
    """For each pending window, its query's distance to its ``songs``-th nearest song, infinity if unknown."""
    radius: dict[int, float] = {}
    wanted = min(songs, len(index.music_ids))
    for query in np.unique(owner[pending]):
        windows = np.flatnonzero(owner == query)
        nearest = np.full(len(index.music_ids), np.inf)
        song = index.window_song[np.concatenate([rows[window] for window in windows])]
        np.minimum.at(nearest, song, np.concatenate([distances[window] for window in windows]))
        radius[int(query)] = float(np.partition(nearest, wanted - 1)[wanted - 1])
    return np.array([radius[int(owner[window])] for window in pending], dtype=np.float32)


def _hits(distances: Sequence[Floats], rows: Sequence[Ints], index: Searchable) -> Hits:
    found = np.concatenate(rows)
    return Hits(
        query_window=np.repeat(np.arange(len(rows)), [len(row) for row in rows]),
        song=index.window_song[found],
        song_window=found,
        distance=np.concatenate(distances),
        start_s=index.start_s[found],
        length_s=index.length_s[found],
        key=index.key[found],
        music_ids=index.music_ids,
    )
