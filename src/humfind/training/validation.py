"""How well a model finds held-out songs: ``humfind.retrieval.search`` asked with their hums, nothing of its own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from humfind.audio import mel as spectrogram
from humfind.config import RankConfig
from humfind.encoders.checkpoint import Model
from humfind.index import Entry, Index, IndexInfo, Song
from humfind.metrics import Report
from humfind.rankers import make_ranker
from humfind.retrieval import search
from humfind.training.dataset import Example
from humfind.types import F0, Contour, InputError, Query, Recording


def validate(model: Model, examples: Sequence[Example], rank: RankConfig) -> Report:
    """Every hum of ``takes`` is searched among the songs of ``takes``."""
    hums = [take for take in examples if take.kind == "hum"]
    index = build_index([take for take in examples if take.kind == "song"], model)
    queries = make_queries(hums, model)
    rankings = search.rank_all(queries, index, make_ranker(rank, index), rank.top)
    return search.evaluate(rankings, {take.name: take.music_id for take in hums}, len(index.music_ids))


def build_index(songs: Sequence[Example], model: Model) -> Index:
    """``search.build_index``; for the spectrogram control, the same from its own windows."""
    if model.config.train.features != "spectrogram":
        return search.build_index([(Song(take.music_id), _f0(take)) for take in songs], model)
    entries = []
    for take in songs:
        windows = spectrogram.song_windows(_log_mel(take, model), model.config.contour)
        entries.append(Entry(Song(take.music_id), None, windows, model.embed(windows)))
    return Index.build(entries, IndexInfo(model.checksum))


def make_queries(hums: Sequence[Example], model: Model) -> list[Query]:
    """``search.make_queries``; for the spectrogram control, the same from its own windows."""
    if model.config.train.features != "spectrogram":
        return search.make_queries(((hum.name, _f0(hum)) for hum in hums), model)
    return [_query(hum, model) for hum in hums]


def _query(hum: Example, model: Model) -> Query:
    mel = _log_mel(hum, model)
    windows = spectrogram.query_windows(mel, model.config.contour)
    n = len(mel.values)
    unsung = Contour(np.zeros(n, np.float32), np.zeros(n, bool), mel.frame_s)
    return Query(hum.name, unsung, windows, model.embed(windows))


def _f0(take: Example) -> F0:
    if not isinstance(take.source, F0):
        raise InputError(f"{take.name}: this model reads f0, there is only audio; extract f0 first")
    return take.source


def _log_mel(take: Example, model: Model) -> spectrogram.Spectrogram:
    if not isinstance(take.source, Recording):
        raise InputError(f"{take.name}: this model reads audio, there is only f0")
    return spectrogram.log_mel(take.source, model.config.spectrogram, model.config.contour.frame_s)
