"""The melody of a mix: the singing voice is separated and tracked by SwiftF0; where nobody sings, the mix is.

Whether somebody sings is read off the separated voice: it is all but silent where a lead is played. Hums hold no
accompaniment and are tracked as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np
from scipy.ndimage import uniform_filter1d

from humfind.audio.load import resample
from humfind.audio.separate import RATE_HZ, VoiceSeparator
from humfind.config import F0Config
from humfind.f0 import swiftf0
from humfind.f0.swiftf0 import SwiftF0
from humfind.runtime.cores import cores
from humfind.types import F0, Floats, Recording

SECTION_S = 20.0  # around a moment, that say whether somebody sings there
# of a section's power is the voice's where somebody sings; the mixes of benchmarks/accuracy/mixes.py have 0.25 to 0.68,
# and at most 0.09 where an instrument leads
SUNG = 0.12
SURE = 0.6  # confidence of a sung frame: what the network leaves of the band is pitched, too
FAINT = 0.01  # of its section's power: the voice's echo, no note
POWER_S = 0.01
POWER_SAMPLES = round(POWER_S * RATE_HZ)
SILENT = 1e-12  # a power below which there is no sound


class Mix:
    """recording -> F0. Raises InputError where a package is missing."""

    name = "mix"
    decoder = "native"

    def __init__(self, config: F0Config, separates: bool = True) -> None:
        self.config, self.separates = config, separates
        self.pitch = SwiftF0(config)
        self.hop_s, self.threshold = config.hop_s, self.pitch.threshold
        self.rate_hz = RATE_HZ if separates else swiftf0.RATE_HZ
        self.model = "spleeter, swiftf0" if separates else "swiftf0"
        self.version = f"{self.separator.version}, swift-f0 {self.pitch.version}" if separates else self.pitch.version

    def for_hums(self) -> Mix:
        """The tracker of recordings without accompaniment."""
        return Mix(self.config, separates=False)

    @cached_property
    def separator(self) -> VoiceSeparator:
        return VoiceSeparator(self.config.threads or cores())

    def __call__(self, recording: Recording) -> F0:
        return self.track([resample(recording, self.rate_hz).samples])

    def track(self, blocks: Iterable[Floats]) -> F0:
        if not self.separates:
            return self.pitch.track(blocks)
        mix, voice = Line(self.pitch.stream()), Line(self.pitch.stream())

        def both() -> Iterator[Floats]:
            for block in blocks:
                mix.push(block)
                yield block

        for block in self.separator.voice(both()):
            voice.push(block)
        (sung, voice_power), (played, mix_power) = voice.finish(), mix.finish()
        return choose(sung, played, voice_power, mix_power)


class Line:
    """A signal at the separator's rate, block after block: its f0, and its power."""

    def __init__(self, stream: swiftf0.Stream) -> None:
        import soxr

        self._stream = stream
        self._resampler = soxr.ResampleStream(RATE_HZ, swiftf0.RATE_HZ, 1, dtype="float32", quality="HQ")
        self._left = np.zeros(0, np.float32)
        self._power: list[Floats] = []

    def push(self, block: Floats) -> None:
        """More samples."""
        self._stream.push(self._resampler.resample_chunk(block))
        joined = np.concatenate([self._left, block])
        whole = len(joined) // POWER_SAMPLES * POWER_SAMPLES
        self._power.append(np.square(joined[:whole]).reshape(-1, POWER_SAMPLES).mean(axis=1))
        self._left = joined[whole:].copy()

    def finish(self) -> tuple[F0, Floats]:
        """The f0, and the mean square of every ``POWER_S``."""
        self._stream.push(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        rest = [np.square(self._left).mean(keepdims=True)] if len(self._left) else []
        return self._stream.finish(), np.concatenate([*self._power, *rest])


def choose(voice: F0, mix: F0, voice_power: Floats, mix_power: Floats) -> F0:
    """The voice's frames where somebody sings, the mix's elsewhere. powers: a row every ``POWER_S``."""
    rows = np.minimum((np.arange(len(mix.hz)) * mix.hop_s / POWER_S).astype(np.int64), max(0, len(mix_power) - 1))
    if not len(mix_power):
        return mix
    around = _section(voice_power)
    sings = (around >= SUNG * np.maximum(_section(mix_power), SILENT))[rows]
    note = (voice.confidence >= SURE) & (voice_power >= FAINT * around)[rows]
    hz = np.where(sings, voice.hz, mix.hz)
    confidence = np.where(sings, np.where(note, voice.confidence, 0), mix.confidence)
    return F0(hz, confidence.astype(np.float32), mix.hop_s, mix.threshold)


def _section(power: Floats) -> np.ndarray:
    """The mean over the section around each row."""
    size = max(1, min(len(power), round(SECTION_S / POWER_S)))
    mean: np.ndarray = uniform_filter1d(power.astype(np.float64), size, mode="nearest")
    return mean
