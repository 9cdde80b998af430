"""hum-to-find: hum ten seconds of a song, get the song.

What a program needs is here by one name each, and is imported when it is first used:

    load_audio, make_tracker                    a file -> a Recording -> F0
    Example, PRESETS, train                     f0 of hums and songs -> a trained model
    Model, load_model                           a checkpoint; "pretrained" is the shipped one
    Song, make_index, make_query, make_ranker   songs -> an index, a hum -> a query
    RankConfig, search, evaluate                a query -> a ranking; rankings -> MRR@10, top-1, top-10

Each is documented where it lives.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from humfind.audio.load import load as load_audio
    from humfind.config import PRESETS, F0Config, RankConfig
    from humfind.encoders.checkpoint import Model
    from humfind.f0 import make_tracker
    from humfind.index import Song
    from humfind.rankers import make_ranker
    from humfind.retrieval.checkpoints import load_model
    from humfind.retrieval.query import make_query
    from humfind.retrieval.search import build_index as make_index
    from humfind.retrieval.search import evaluate, search
    from humfind.training.dataset import Example
    from humfind.training.tasks.hums import train
    from humfind.types import F0

__version__ = "0.2.0"
__all__ = [
    "F0",
    "PRESETS",
    "Example",
    "F0Config",
    "Model",
    "RankConfig",
    "Song",
    "evaluate",
    "load_audio",
    "load_model",
    "make_index",
    "make_query",
    "make_ranker",
    "make_tracker",
    "search",
    "train",
]

_WHERE = {
    "F0": "types:F0",
    "PRESETS": "config:PRESETS",
    "Example": "training.dataset:Example",
    "F0Config": "config:F0Config",
    "Model": "encoders.checkpoint:Model",
    "RankConfig": "config:RankConfig",
    "Song": "index:Song",
    "evaluate": "retrieval.search:evaluate",
    "load_audio": "audio.load:load",
    "load_model": "retrieval.checkpoints:load_model",
    "make_index": "retrieval.search:build_index",
    "make_query": "retrieval.query:make_query",
    "make_ranker": "rankers:make_ranker",
    "make_tracker": "f0:make_tracker",
    "search": "retrieval.search:search",
    "train": "training.tasks.hums:train",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _WHERE[name].partition(":")
    return getattr(import_module(f"{__name__}.{module}"), attribute)


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
