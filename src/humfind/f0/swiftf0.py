"""SwiftF0 (Nieradzik 2025): the quick tracker, 47 to 2094 Hz, its weights in the swift-f0 package.

It answers every 16 ms; its answers are laid onto the project's grid, in log-frequency between voiced
neighbours, the nearer one where only one of the two is voiced.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from humfind.audio.load import resample
from humfind.audio.spans import stretches
from humfind.config import F0Config
from humfind.runtime.cores import cores
from humfind.types import F0, Bools, Floats, InputError, Recording

if TYPE_CHECKING:
    from swift_f0 import SwiftF0 as Detector

RATE_HZ = 16_000
NATIVE_HOP_S = 0.016
SHORTEST = 256  # samples: one native frame
SPAN = 1875  # native frames, 30 s: what the network sees at once
WINDOW = SPAN * SHORTEST  # samples
MARGIN = 12  # native frames before and after one that it depends on


class SwiftF0:
    """recording -> F0. Raises InputError where the swift-f0 package is missing."""

    name = "swiftf0"
    model = "swiftf0"
    decoder = "native"
    threshold = 0.5  # its confidence is calibrated to this
    rate_hz = RATE_HZ

    def __init__(self, config: F0Config) -> None:
        try:
            from swift_f0 import SwiftF0 as Detector
        except ImportError as error:
            raise InputError(f"swiftf0: the swift-f0 package is missing ({error}); pip install swift-f0") from error
        if config.hop_s <= 0:
            raise InputError(f"f0 hop_s {config.hop_s}: must be above 0; try 0.01")
        self.hop_s = config.hop_s
        self.version = metadata.version("swift-f0")
        self.detector: Detector = Detector(threads=config.threads or cores(), spin=False)

    def __call__(self, recording: Recording) -> F0:
        return self.track([resample(recording, RATE_HZ).samples])

    def track(self, blocks: Iterable[Floats]) -> F0:
        stream = self.stream()
        for block in blocks:
            stream.push(block)
        return stream.finish()

    def stream(self) -> Stream:
        """A recording whose samples come one block after the other."""
        return Stream(self.detector, self.hop_s, self.threshold)

    def parts(self) -> Parts:
        """A recording of which parts alone are tracked."""
        return Parts(self.detector, self.hop_s, self.threshold)


class Stream:
    """A signal in pieces of ``WINDOW`` samples, whatever its blocks' lengths, through the network."""

    def __init__(self, detector: Detector, hop_s: float, threshold: float) -> None:
        self.hop_s, self.threshold = hop_s, threshold
        self._native = detector.stream()
        self._waiting = np.zeros(0, np.float32)
        self._received = 0
        self._hz: list[np.ndarray] = []
        self._confidence: list[np.ndarray] = []

    def push(self, block: Floats) -> None:
        """More samples, at ``RATE_HZ``."""
        self._waiting = np.concatenate([self._waiting, block])
        whole = len(self._waiting) // WINDOW * WINDOW
        for start in range(0, whole, WINDOW):
            self._take(self._native.push(self._waiting[start : start + WINDOW], RATE_HZ))
        self._received += len(block)
        self._waiting = self._waiting[whole:].copy()

    def finish(self) -> F0:
        """The f0 of all that came."""
        if len(self._waiting):
            self._take(self._native.push(self._waiting, RATE_HZ))
        if self._received < SHORTEST:
            self._native.push(np.zeros(SHORTEST - self._received, np.float32), RATE_HZ)
        self._take(self._native.flush())
        hz, confidence = np.concatenate(self._hz), np.concatenate(self._confidence)
        return on_grid(hz, confidence, NATIVE_HOP_S, self._received / RATE_HZ, self.hop_s, self.threshold)

    def _take(self, found: Any) -> None:
        self._hz.append(found.pitch_hz)
        self._confidence.append(found.confidence)


class Parts:
    """The f0 of parts of a signal, whose samples are kept until it is known which are asked for."""

    def __init__(self, detector: Detector, hop_s: float, threshold: float) -> None:
        self.hop_s, self.threshold = hop_s, threshold
        self._detector = detector
        self._kept = bytearray()  # float32; grows in place

    def push(self, block: Floats) -> None:
        """More samples, at ``RATE_HZ``."""
        self._kept += np.ascontiguousarray(block, np.float32).data.cast("B")

    def finish(self, wanted: Bools, every_s: float) -> F0:
        """wanted: of each ``every_s`` of the signal, whether it is; elsewhere there is no pitch."""
        samples = np.frombuffer(self._kept, np.float32)
        frames = max(1, len(samples) // SHORTEST)
        hz, confidence = np.zeros(frames), np.zeros(frames)
        for first, last in stretches(frames, SPAN - 2 * MARGIN, 2 * MARGIN, wanted, every_s / NATIVE_HOP_S):
            before = max(0, first - MARGIN)
            found = self._detector.detect(samples[before * SHORTEST : (last + MARGIN) * SHORTEST], RATE_HZ)
            hz[first:last] = found.pitch_hz[first - before : last - before]
            confidence[first:last] = found.confidence[first - before : last - before]
        return on_grid(hz, confidence, NATIVE_HOP_S, len(samples) / RATE_HZ, self.hop_s, self.threshold)


def on_grid(
    hz: np.ndarray, confidence: np.ndarray, native_hop_s: float, length_s: float, hop_s: float, threshold: float
) -> F0:
    """Of a recording of ``length_s``, every ``hop_s``: see ``regrid``."""
    times_s = np.arange(1 + round(length_s * 1e6) // round(hop_s * 1e6)) * hop_s
    return F0(*regrid(hz, confidence, native_hop_s, times_s, threshold), hop_s, threshold)


def regrid(
    hz: np.ndarray, confidence: np.ndarray, hop_s: float, times_s: np.ndarray, threshold: float
) -> tuple[Floats, Floats]:
    """Pitch every ``hop_s`` -> pitch at ``times_s``.

    Between two voiced frames (hz > 0, confidence >= threshold) log-frequency and confidence are
    interpolated; elsewhere the nearest frame counts. After the last frame, that one holds.
    """
    position = np.clip(np.asarray(times_s) / hop_s, 0, len(hz) - 1)
    low = np.floor(position).astype(np.int64)
    high = np.minimum(low + 1, len(hz) - 1)
    share = position - low
    nearest = np.where(share < 0.5, low, high)
    voiced = (hz > 0) & (confidence >= threshold)
    between = voiced[low] & voiced[high]
    log_hz = np.log2(np.where(hz > 0, hz, 1.0))
    line = 2.0 ** (log_hz[low] * (1 - share) + log_hz[high] * share)
    sure = confidence[low] * (1 - share) + confidence[high] * share
    new_hz = np.where(between, line, hz[nearest])
    new_confidence = np.where(between, sure, confidence[nearest])
    return new_hz.astype(np.float32), np.clip(new_confidence, 0, 1).astype(np.float32)
