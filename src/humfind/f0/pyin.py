"""pYIN (Mauch & Dixon 2014) as librosa computes it: no network, no weights; the yardstick that needs no training.

16 kHz, frames of 64 ms centred on ``i * hop_s``. Its hidden Markov model looks at ``CORE_S`` at a time and
``MARGIN_S`` on either side, so an hour takes no more memory than a minute; a recording no longer than that
gives librosa's very own pitch. Confidence is the probability that a frame is voiced.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import metadata

import numpy as np

from humfind.audio.load import resample
from humfind.config import F0Config
from humfind.runtime.compiled import make_librosa
from humfind.types import F0, Floats, InputError, Recording

RATE_HZ = 16_000
LOWEST_HZ, HIGHEST_HZ = 55.0, 1000.0
FRAME = 1024  # samples
CORE_S, MARGIN_S = 30, 2
THRESHOLD = 0.05  # of the voiced probability: 0.01 in a pause, and low in noise where the pitch is still right


class Pyin:
    """recording -> F0. Raises InputError for a hop that is no whole number of samples, or no librosa."""

    name = "pyin"
    model = "pyin"
    decoder = "native"
    threshold = THRESHOLD
    rate_hz = RATE_HZ

    def __init__(self, config: F0Config) -> None:
        self.hop = round(config.hop_s * RATE_HZ)
        if self.hop < 1 or abs(self.hop / RATE_HZ - config.hop_s) > 1e-9:
            raise InputError(f"f0 hop_s {config.hop_s}: pyin needs a multiple of {1 / RATE_HZ} s; try 0.01")
        self.hop_s = config.hop_s
        self.version = metadata.version("librosa")

    def __call__(self, recording: Recording) -> F0:
        return self.track([resample(recording, RATE_HZ).samples])

    def track(self, blocks: Iterable[Floats]) -> F0:
        pairs = [self._pitch(samples, frames) for samples, frames in self._windows(blocks)]
        hz, confidence = (np.concatenate([pair[i] for pair in pairs]) for i in (0, 1))
        return F0(hz, confidence, self.hop_s, self.threshold)

    def _windows(self, blocks: Iterable[Floats]) -> Iterator[tuple[Floats, slice]]:
        """(samples with their margins, which of their frames count), window after window."""
        core, margin = (seconds * RATE_HZ // self.hop * self.hop for seconds in (CORE_S, MARGIN_S))
        waiting, before = np.zeros(0, np.float32), 0  # before: samples of margin that ``waiting`` begins with
        for block in blocks:
            waiting = np.concatenate([waiting, block])
            while len(waiting) > before + core + margin:
                yield waiting[: before + core + margin], slice(before // self.hop, (before + core) // self.hop)
                waiting, before = waiting[before + core - margin :], margin
        yield waiting, slice(before // self.hop, None)

    def _pitch(self, samples: Floats, frames: slice) -> tuple[Floats, Floats]:
        make_librosa()
        import librosa

        hz, _, probability = librosa.pyin(
            samples if len(samples) else np.zeros(1, np.float32),
            fmin=LOWEST_HZ,
            fmax=HIGHEST_HZ,
            sr=RATE_HZ,
            frame_length=FRAME,
            hop_length=self.hop,
            fill_na=None,
        )
        return hz[frames].astype(np.float32), np.clip(probability[frames], 0, 1).astype(np.float32)
