"""Query + index -> ranking: the one path that predict, search, training's validation and the page share.

from humfind.retrieval import search
index = search.build_index([(Song("0001"), f0_of_a_song), ...], model)
ranking = search.search(search.make_query("hum.wav", f0_of_a_hum, model), index, make_ranker(RankConfig(), index))
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from humfind import metrics
from humfind.config import RankConfig, to_dict
from humfind.index import Entry, Index, IndexInfo, Song
from humfind.melody import contour
from humfind.rankers import Ranker
from humfind.retrieval.query import Encoder as QueryEncoder
from humfind.retrieval.query import make_queries as make_queries
from humfind.retrieval.query import make_query as make_query
from humfind.retrieval.query import require_f0
from humfind.runtime.logs import check_counts
from humfind.types import F0, Contour, Floats, Hits, Ints, Query, Ranking, Windows, normal_form

log = logging.getLogger(__name__)
EMBED_WINDOWS = 1024  # song windows embedded together
RANK_QUERIES = 256  # queries whose hits are held together
QUIET_S = 2.0  # what takes longer shows how far it is


class Encoder(QueryEncoder, Protocol):
    """What is needed of ``humfind.encoders.checkpoint.Model``."""

    @property
    def checksum(self) -> str: ...


def build_index(
    recordings: Iterable[tuple[Song, F0]],
    model: Encoder,
    model_path: str = "",
    tracker: Mapping[str, Any] | None = None,
    total: int | None = None,
) -> Index:
    """Songs' f0 -> index. model_path, tracker: kept in the index for those who open it later. total: recordings, for
    the time left, where ``recordings`` has no length.

    Where a Song lacks its length or checksum, they are taken from the f0. Raises InputError when empty.
    """
    require_f0(model.config)
    config = json.loads(json.dumps(to_dict(model.config)))  # as it will be read back
    info = IndexInfo(model.checksum, model_path, config, dict(tracker or {}))
    seen: Counter[str] = Counter()
    made = Index.build(_entries(recordings, model, seen, total), info)
    check_counts(log, "index", seen["recordings"], "recordings", rows=len(made.songs))
    check_counts(log, "index", seen["windows"], "windows", vectors=len(made.engine))
    return made


def find_hits(queries: Sequence[Query], index: Index, per_window: int, songs: int = RankConfig.top) -> list[Hits]:
    """The song windows near each query's windows.

    Guaranteed of each query's hits: the ``per_window`` nearest of each of its windows; and every pair of
    windows at most as far apart as the ``songs``-th nearest song is (a song's distance being that of its
    nearest window), so that the nearest songs are really those, however few hits a window began with. None for
    ``per_window`` 0.
    """
    if per_window == 0:
        return [_hits([np.empty(0, np.float32)], [np.empty(0, np.int64)], index) for _ in queries]
    vectors = np.concatenate([query.embeddings.vectors for query in queries])
    owner = np.repeat(np.arange(len(queries)), [len(query.embeddings) for query in queries])
    rows: list[Ints] = [np.empty(0, np.int64)] * len(vectors)
    distances: list[Floats] = [np.empty(0, np.float32)] * len(vectors)
    width, total = min(per_window, len(index.engine)), len(index.engine)
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


def search(query: Query, index: Index, ranker: Ranker, k: int = RankConfig.top) -> Ranking:
    """The k best songs; fewer only where the index has fewer."""
    return rank_all([query], index, ranker, k)[0]


def rank_all(queries: Sequence[Query], index: Index, ranker: Ranker, k: int = RankConfig.top) -> list[Ranking]:
    """``search`` of each query, many at a time: the same rankings, sooner."""
    rankings = []
    with tqdm(total=len(queries), desc="searching", unit="hum", delay=QUIET_S, leave=False) as bar:
        for start in range(0, len(queries), RANK_QUERIES):
            block = queries[start : start + RANK_QUERIES]
            for query, hits in zip(block, find_hits(block, index, ranker.hits_per_window, k), strict=True):
                rankings.append(_within_songs(ranker.rank(query, hits, k), index))
                bar.update()
    check_counts(log, "rank", len(queries), "hums", rankings=len(rankings))
    return rankings


def evaluate(rankings: Sequence[Ranking], answers: Mapping[str, str], songs: int) -> metrics.Report:
    """The figures of rankings whose right songs are known; every hum of ``answers`` counts."""
    return metrics.report(ranks_of(rankings, answers), songs)


def ranks_of(rankings: Sequence[Ranking], answers: Mapping[str, str]) -> Ints:
    """The rank of each right song (0: not among ten), in the order of ``answers``."""
    right = {query: normal_form(music_id) for query, music_id in answers.items()}
    return metrics.ranks({ranking.query: ranking.music_ids for ranking in rankings}, right)


def f0_checksum(f0: F0) -> str:
    """sha256 of what a tracker heard."""
    digest = hashlib.sha256(np.ascontiguousarray(f0.hz).tobytes())
    digest.update(np.ascontiguousarray(f0.confidence).tobytes())
    digest.update(f"{f0.hop_s} {f0.threshold}".encode())
    return digest.hexdigest()


def _entries(
    recordings: Iterable[tuple[Song, F0]], model: Encoder, seen: Counter[str], total: int | None
) -> Iterator[Entry]:
    """seen: counts what goes in."""
    block: list[tuple[Song, Contour, Windows]] = []
    for song, f0 in tqdm(recordings, total=total, desc="indexing", unit="recording", delay=QUIET_S, leave=False):
        line = contour.from_f0(f0, model.config.contour)
        full = replace(song, length_s=song.length_s or f0.length_s, checksum=song.checksum or f0_checksum(f0))
        windows = contour.song_windows(line, model.config.contour)
        seen.update(recordings=1, windows=len(windows))
        block.append((full, line, windows))
        if sum(len(windows) for _, _, windows in block) >= EMBED_WINDOWS:
            yield from _embedded(block, model)
            block = []
    yield from _embedded(block, model)


def _embedded(block: list[tuple[Song, Contour, Windows]], model: Encoder) -> Iterator[Entry]:
    embeddings = model.embed_many([windows for _, _, windows in block]) if block else []
    for (song, line, windows), vectors in zip(block, embeddings, strict=True):
        yield Entry(song, line, windows, vectors)


def _radii(pending: Ints, owner: Ints, distances: list[Floats], rows: list[Ints], index: Index, songs: int) -> Floats:
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


def _hits(distances: Sequence[Floats], rows: Sequence[Ints], index: Index) -> Hits:
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


def _within_songs(ranking: Ranking, index: Index) -> Ranking:
    """No match ends after its song does."""
    answers = []
    for answer in ranking.answers:
        length_s = index.song_length_s[answer.music_id]
        if answer.match and 0 < length_s < answer.match.end_s:
            answer = replace(answer, match=replace(answer.match, end_s=length_s))
        answers.append(answer)
    return replace(ranking, answers=tuple(answers))
