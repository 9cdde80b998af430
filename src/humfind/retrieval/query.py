"""A hum -> what is searched. Nothing of the index is imported, so that a hum can be tracked in a process of its own
while the index is read in another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from humfind.config import F0Config, ModelConfig
from humfind.retrieval.checkpoints import load_model
from humfind.retrieval.features import make_features
from humfind.runtime.files import read_json
from humfind.runtime.printable import printable
from humfind.types import F0, Embeddings, InputError, Query, Recording, Windows

EMBED_HUMS = 256  # hums whose windows are held together


@dataclass(frozen=True)
class HumQueries:
    """Of each hum its query, or the reason why it has none; with the checksum of the model and the tracker that made
    them: those of the index, or there is no answer."""

    queries: tuple[Query | str, ...]
    model_checksum: str
    tracker: dict[str, Any]


class Encoder(Protocol):
    """What is needed of ``humfind.encoders.checkpoint.Model``."""

    @property
    def config(self) -> ModelConfig: ...
    def embed_many(self, many: Sequence[Windows]) -> list[Embeddings]: ...


def make_query(name: str, source: F0 | Recording, model: Encoder) -> Query:
    """A hum's f0 (or audio, as the model reads) -> query: the same alone and among others."""
    return make_queries([(name, source)], model)[0]


def make_queries(hums: Iterable[tuple[str, F0 | Recording]], model: Encoder) -> list[Query]:
    """(name, f0 or audio) of each hum -> queries. Windows of many hums are embedded together, which makes it faster.

    Raises InputError where a source is not what the model reads.
    """
    features = make_features(model.config)
    queries, left = [], iter(hums)
    while block := list(islice(left, EMBED_HUMS)):
        extracted = [features.hum(name, source) for name, source in block]
        embedded = model.embed_many([one.windows for one in extracted])
        for (name, _), one, vectors in zip(block, extracted, embedded, strict=True):
            queries.append(Query(name, one.windows, vectors, one.length_s, one.contour))
    return queries


class NoMelodyError(InputError):
    """Of a recording that can be read, but in which nobody hums."""


class QueryMaker:
    """Recordings of hums -> queries, tracked and embedded as the songs of an index folder were; model and tracker are
    opened once. about: the tracker, as the index names it."""

    def __init__(self, index: Path, model: str = "") -> None:
        """model: the one that made the index where empty. Raises InputError where there is no index or no model."""
        from humfind.f0 import make_tracker

        try:
            self.about: dict[str, Any] = read_json(index / "index.json")["tracker"]
            config, named = F0Config.of(self.about), str(read_json(index / "index.json")["model"])
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise InputError(f"{index}: not an index ({error}); build it again") from error
        self.encoder, _ = load_model(model or named)
        self.tracker = make_tracker(config, "hum")

    def query(self, hum: Path | F0, name: str = "") -> Query:
        """hum: a recording, or what ``tracker`` made of it elsewhere. name: what it is called; the file's where empty.
        Raises InputError where it cannot be read, and NoMelodyError where nobody hums."""
        from humfind.f0 import too_little, track_file

        line = hum if isinstance(hum, F0) else track_file(self.tracker, hum)
        where = name or ("the hum" if isinstance(hum, F0) else str(hum))
        if reason := too_little(line.voiced_s, "hum"):
            louder = "" if line.voiced_s else "; hum louder, or nearer to the microphone"
            raise NoMelodyError(f"{where}: {reason}{louder}")
        return make_query(printable(name or Path(where).name), line, self.encoder)


def load_queries(hums: Sequence[Path], index: Path, model: str = "") -> HumQueries:
    """Recordings, tracked and embedded as the songs of an index folder were.

    model: the one that made the index where empty. What cannot be read, or has no melody, costs the others nothing.
    Raises InputError where there is no index or no model.
    """
    if len(hums) == 1 and (index / "index.json").is_file():
        from humfind.audio.load import require_readable

        require_readable(hums[0])  # before the model is loaded
    maker = QueryMaker(index, model)
    found: list[Query | str] = []
    for hum in hums:
        try:
            found.append(maker.query(hum))
        except InputError as error:
            found.append(str(error))
    return HumQueries(tuple(found), maker.encoder.checksum, maker.about)
