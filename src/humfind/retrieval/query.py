"""A hum -> what is searched. Nothing of the index is imported, so that a hum can be heard in a process of its own
while the index is read in another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

from humfind.config import F0Config, ModelConfig
from humfind.melody import contour
from humfind.retrieval.checkpoints import load_model
from humfind.runtime.files import read_json
from humfind.runtime.printable import printable
from humfind.types import F0, Embeddings, InputError, Query, Windows

EMBED_HUMS = 256  # hums whose windows are held together


@dataclass(frozen=True)
class HumQuery:
    """A hum's query, with the checksum of the model and the tracker that made it: those of the index, or there is no
    answer."""

    query: Query
    model_checksum: str
    tracker: dict[str, Any]


class Encoder(Protocol):
    """What is needed of ``humfind.encoders.checkpoint.Model``."""

    @property
    def config(self) -> ModelConfig: ...
    def embed_many(self, many: Sequence[Windows]) -> list[Embeddings]: ...


def make_query(name: str, f0: F0, model: Encoder) -> Query:
    """A hum's f0 -> query: the same alone and among others."""
    return make_queries([(name, f0)], model)[0]


def make_queries(hums: Iterable[tuple[str, F0]], model: Encoder) -> list[Query]:
    """(name, f0) of each hum -> queries. Windows of many hums are embedded together, which is what makes it quick."""
    require_f0(model.config)
    queries, left = [], iter(hums)
    while block := list(islice(left, EMBED_HUMS)):
        lines = [contour.from_f0(f0, model.config.contour) for _, f0 in block]
        windows = [contour.query_windows(line, model.config.contour) for line in lines]
        parts = zip(block, lines, windows, model.embed_many(windows), strict=True)
        queries += [Query(name, line, cut, vectors) for (name, _), line, cut, vectors in parts]
    return queries


def load_query(hum: Path, index: Path, model: str = "") -> HumQuery:
    """One recording, heard as the songs of an index folder were.

    model: the one that made the index where empty. Raises InputError where the recording cannot be read, or nothing is
    sung in it.
    """
    from humfind.audio.load import require_readable
    from humfind.f0 import make_tracker, too_little, track_file

    try:
        about = read_json(index / "index.json")
        tracker, named = F0Config.of(about["tracker"]), str(about["model"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"{index}: not an index ({error}); build it again") from error
    require_readable(hum)  # before the model is loaded
    encoder, _ = load_model(model or named)
    line = track_file(make_tracker(tracker), hum)
    if reason := too_little(line.voiced_s, "hum"):
        raise InputError(f"{hum}: {reason if line.voiced_s else reason + '; hum louder, or nearer to the microphone'}")
    return HumQuery(make_query(printable(hum.name), line, encoder), encoder.checksum, about["tracker"])


def require_f0(config: ModelConfig) -> None:
    """Raises InputError for a model that reads something else."""
    if config.train.features != "f0":
        raise InputError(f"model: reads {config.train.features}, not f0; train one with features f0 for this")
