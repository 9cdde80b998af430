"""Audio -> f0: one file a pitch tracker, one interface; ``store`` keeps what was tracked."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol

from humfind.config import F0Config
from humfind.types import F0, InputError, Recording


class Tracker(Protocol):
    """recording -> F0 at ``hop_s``, deterministic. A frame is voiced from confidence ``threshold`` on."""

    name: str
    version: str
    model: str
    decoder: str
    threshold: float
    hop_s: float

    def __call__(self, recording: Recording) -> F0: ...


TRACKERS = {
    "torchcrepe": "humfind.f0.torchcrepe:TorchCrepe",
    "swiftf0": "humfind.f0.swiftf0:SwiftF0",
}


def make_tracker(config: F0Config) -> Tracker:
    """The tracker that ``config`` names.

    Raises InputError for an unknown one, or when the library that it needs is not installed.
    """
    if config.tracker not in TRACKERS:
        raise InputError(f"f0 tracker {config.tracker!r}: unknown; choose {' or '.join(TRACKERS)}")
    module, _, kind = TRACKERS[config.tracker].partition(":")
    try:
        tracker: Tracker = getattr(import_module(module), kind)(config)
    except ModuleNotFoundError as error:
        hint = f"pip install {error.name}"
        raise InputError(f"f0 tracker {config.tracker}: {error.name} is not installed; {hint}") from error
    return tracker
