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
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from tqdm import tqdm

from humfind import metrics
from humfind.config import IndexConfig, RankConfig, to_dict
from humfind.index import Entry, Index, IndexInfo, Song
from humfind.rankers import Ranker, rank_each
from humfind.retrieval.features import Extracted, make_features
from humfind.retrieval.query import Encoder as QueryEncoder
from humfind.retrieval.query import make_queries as make_queries
from humfind.retrieval.query import make_query as make_query
from humfind.runtime.logs import check_counts
from humfind.types import F0, Ints, Query, Ranking, Recording, normal_form

log = logging.getLogger(__name__)
EMBED_WINDOWS = 1024  # song windows embedded together
QUIET_S = 2.0  # what takes longer shows how far it is


class Encoder(QueryEncoder, Protocol):
    """What is needed of ``humfind.encoders.checkpoint.Model``."""

    @property
    def checksum(self) -> str: ...


def build_index(
    recordings: Iterable[tuple[Song, F0 | Recording]],
    model: Encoder,
    model_path: str = "",
    tracker: Mapping[str, Any] | None = None,
    total: int | None = None,
    engine: str = IndexConfig.engine,
    known: Index | None = None,
    beside: Path | None = None,
) -> Index:
    """Songs' f0 (or audio, as the model reads) -> index. model_path, tracker: kept in the index for those who open it
    later. total: recordings, for the time left, where ``recordings`` has no length. known: an index by the same model,
    from which recordings are taken that have not changed: the same index, sooner. beside: a folder, on whose disk
    what grows with the songs is kept until the index is saved, rather than in memory.

    Where a Song lacks its length or checksum, they are taken from its source. Raises InputError when empty, and for an
    unknown engine.
    """
    config = json.loads(json.dumps(to_dict(model.config)))  # as it will be read back
    info = IndexInfo(model.checksum, model_path, config, dict(tracker or {}), engine)
    seen: Counter[str] = Counter()
    made = Index.build(entries_of(recordings, model, total, known, seen), info, beside)
    check_counts(log, "index", seen["recordings"], "recordings", rows=len(made.songs))
    check_counts(log, "index", seen["windows"], "windows", vectors=len(made.vectors))
    return made


def search(query: Query, index: Index, ranker: Ranker, k: int = RankConfig.top) -> Ranking:
    """The k best songs; fewer only where the index has fewer."""
    return rank_all([query], index, ranker, k)[0]


def rank_all(queries: Sequence[Query], index: Index, ranker: Ranker, k: int = RankConfig.top) -> list[Ranking]:
    """``search`` of each query, many at a time: the same rankings, sooner."""
    rankings = []
    alone = len(queries) < 2  # as the page searches; a bar of one step tells nothing
    with tqdm(total=len(queries), desc="searching", unit="hum", delay=QUIET_S, leave=False, disable=alone) as bar:
        for ranking in rank_each(ranker, queries, k):
            rankings.append(_within_songs(ranking, index))
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


def source_checksum(source: F0 | Recording) -> str:
    """sha256 of an f0 or of audio samples."""
    if isinstance(source, Recording):
        digest = hashlib.sha256(np.ascontiguousarray(source.samples).tobytes())
        digest.update(f"{source.rate_hz}".encode())
        return digest.hexdigest()
    digest = hashlib.sha256(np.ascontiguousarray(source.hz).tobytes())
    digest.update(np.ascontiguousarray(source.confidence).tobytes())
    digest.update(f"{source.hop_s} {source.threshold}".encode())
    return digest.hexdigest()


def entries_of(
    recordings: Iterable[tuple[Song, F0 | Recording]],
    model: Encoder,
    total: int | None = None,
    known: Index | None = None,
    seen: Counter[str] | None = None,
) -> Iterator[Entry]:
    """What an index is built from, or is added to it. total, known: of ``build_index``. seen: counts what goes in."""
    features = make_features(model.config)
    seen = Counter() if seen is None else seen
    before = _rows_by_checksum(known) if known and known.info.model_checksum == model.checksum else {}
    block: list[tuple[Song, Extracted]] = []
    for song, source in tqdm(recordings, total=total, desc="indexing", unit="recording", delay=QUIET_S, leave=False):
        checksum = song.checksum or source_checksum(source)
        if known and (row := before.get(checksum)) is not None:
            yield from _embedded(block, model)
            block = []
            entry = known.entry(row)
            seen.update(recordings=1, windows=len(entry.windows), known=1)
            yield replace(entry, song=replace(song, length_s=song.length_s or entry.song.length_s, checksum=checksum))
            continue
        found = features.song(song.music_id, source)
        full = replace(song, length_s=song.length_s or found.length_s, checksum=checksum)
        seen.update(recordings=1, windows=len(found.windows))
        block.append((full, found))
        if sum(len(found.windows) for _, found in block) >= EMBED_WINDOWS:
            yield from _embedded(block, model)
            block = []
    yield from _embedded(block, model)


def _rows_by_checksum(index: Index) -> dict[str, int]:
    return {song.checksum: row for row, song in enumerate(index.songs) if song.checksum}


def _embedded(block: list[tuple[Song, Extracted]], model: Encoder) -> Iterator[Entry]:
    embeddings = model.embed_many([found.windows for _, found in block]) if block else []
    for (song, found), vectors in zip(block, embeddings, strict=True):
        yield Entry(song, found.contour, found.windows, vectors)


def _within_songs(ranking: Ranking, index: Index) -> Ranking:
    """No match ends after its song does."""
    answers = []
    for answer in ranking.answers:
        length_s = index.song_length_s[answer.music_id]
        if answer.match and 0 < length_s < answer.match.end_s:
            answer = replace(answer, match=replace(answer.match, end_s=length_s))
        answers.append(answer)
    return replace(ranking, answers=tuple(answers))
