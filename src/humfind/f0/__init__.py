"""Audio -> f0: one file a pitch tracker, one interface; ``store`` keeps what was tracked."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from humfind.audio.load import stream
from humfind.audio.mains_filter import without_mains
from humfind.config import F0Config
from humfind.runtime import plugins
from humfind.types import F0, Floats, InputError, Recording


class Tracker(Protocol):
    """recording -> F0 at ``hop_s``, deterministic. A frame is voiced from confidence ``threshold`` on.

    ``track`` takes the samples of one recording at ``rate_hz``, in blocks of any lengths, and needs no more memory
    than a few seconds of audio; calling the tracker gives the same bytes.
    """

    name: str
    version: str
    model: str
    decoder: str
    threshold: float
    hop_s: float
    rate_hz: int

    def __call__(self, recording: Recording) -> F0: ...
    def track(self, blocks: Iterable[Floats]) -> F0: ...


TRACKERS = {
    "torchcrepe": "humfind.f0.torchcrepe:TorchCrepe",
    "crepe": "humfind.f0.crepe:Crepe",
    "swiftf0": "humfind.f0.swiftf0:SwiftF0",
    "pyin": "humfind.f0.pyin:Pyin",
    "mix": "humfind.f0.mix:Mix",
}


class WithoutMains:
    """A tracker of hums: the mains are taken out of the sound first, where there are any (``audio.mains_filter``). What
    is longer than ``LONGEST_S`` is tracked as it is: no hum, and in bounded memory."""

    LONGEST_S = 120.0

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker

    def __getattr__(self, name: str) -> Any:  # all else is the tracker's
        if name == "tracker":
            raise AttributeError(name)
        return getattr(self.tracker, name)

    def __call__(self, recording: Recording) -> F0:
        if recording.length_s > self.LONGEST_S:
            return self.tracker(recording)
        return self.tracker(Recording(without_mains(recording.samples, recording.rate_hz), recording.rate_hz))

    def track(self, blocks: Iterable[Floats]) -> F0:
        read, count, rest = [], 0, iter(blocks)
        for block in rest:
            read.append(block)
            count += len(block)
            if count > self.LONGEST_S * self.tracker.rate_hz:
                return self.tracker.track(chain(read, rest))
        if not read:
            return self.tracker.track(read)
        samples = np.concatenate(read)
        cleaned = without_mains(samples, self.tracker.rate_hz)
        return self.tracker.track(read if cleaned is samples else [cleaned])


SHORTEST_HUM_S = 0.5  # of pitch: about two short notes; less lies in every song


def too_little(voiced_s: float, kind: str) -> str:
    """Why a recording of this ``kind`` (hum or song) has too little melody to be used; empty where it has enough."""
    if voiced_s <= 0:
        return "silent: no frame has a pitch"
    if kind == "hum" and voiced_s < SHORTEST_HUM_S:
        return f"too short: {voiced_s:.2f} s have a pitch, at least {SHORTEST_HUM_S:g} s are needed; hum for longer"
    return ""


def make_tracker(config: F0Config, kind: str = "song") -> Tracker:
    """The tracker that ``config`` names. kind: song | hum, what is tracked; a tracker that takes a hum otherwise than a
    mix offers ``for_hums() -> Tracker``.

    Raises InputError for an unknown one, or when the library that it needs is not installed.
    """
    try:
        tracker: Tracker = plugins.find("trackers", config.tracker, TRACKERS)(config)
        if kind == "hum" and (for_hums := getattr(tracker, "for_hums", None)):
            tracker = for_hums()
        if kind == "hum":
            tracker = WithoutMains(tracker)
    except ModuleNotFoundError as error:
        hint = f"pip install {error.name}"
        raise InputError(f"f0 tracker {config.tracker}: {error.name} is not installed; {hint}") from error
    return tracker


def track_file(tracker: Tracker, path: str | Path) -> F0:
    """``tracker(load(path))`` to the bit, in the memory of a few blocks however long it is.

    Raises InputError as ``audio.load`` does.
    """
    return tracker.track(stream(path, tracker.rate_hz))
