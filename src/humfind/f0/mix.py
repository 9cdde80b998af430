"""The melody of a mix: the singing voice is separated and tracked by SwiftF0; where nobody sings, a salience network
follows the instrument that leads.

Whether somebody sings is read off the separated voice: it is all but silent where a lead is played. Hums hold no
accompaniment and are tracked as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
from scipy.ndimage import uniform_filter1d

from humfind.audio.load import resample
from humfind.audio.separate import RATE_HZ, VoiceSeparator
from humfind.config import F0Config
from humfind.f0 import swiftf0
from humfind.f0.salience import MelodyLine, SalienceNet, load_network, weights_version
from humfind.f0.swiftf0 import SwiftF0
from humfind.runtime.cores import cores
from humfind.types import F0, Bools, Floats, Recording

SECTION_S = 20.0  # around a moment, that say whether somebody sings there
# of a section's power is the voice's where somebody sings: 0.23 to 0.63 at the median of a song of
# benchmarks/accuracy/mixes.py (--seed 2), and 0.17 at most where an instrument leads, which separation may take for one
SUNG = 0.2
STILL_SUNG = 0.1  # next to such a section
SURE = 0.6  # confidence of a sung frame: what the network leaves of the band is pitched, too
REST_S = 3.0  # a voice's rest, from which on what is played is followed
FAINT = 0.01  # of its section's power: the voice's echo, no note
POWER_S = 0.01
POWER_SAMPLES = round(POWER_S * RATE_HZ)
SILENT = 1e-12  # a power below which there is no sound
Stream = TypeVar("Stream", swiftf0.Parts, MelodyLine)


class Mix:
    """recording -> F0. Raises InputError where a package is missing."""

    name = "mix"
    decoder = "native"

    def __init__(self, config: F0Config, separates: bool = True) -> None:
        self.config, self.separates = config, separates
        self.pitch = SwiftF0(config)
        self.hop_s, self.threshold = config.hop_s, self.pitch.threshold
        self.rate_hz = RATE_HZ if separates else swiftf0.RATE_HZ
        self.model = "spleeter, swiftf0, salience" if separates else "swiftf0"
        self.version = self.pitch.version
        if separates:
            self.version = f"{self.separator.version}, swift-f0 {self.version}, salience {weights_version()}"

    def for_hums(self) -> Mix:
        """The tracker of recordings without accompaniment."""
        return Mix(self.config, separates=False)

    @cached_property
    def separator(self) -> VoiceSeparator:
        return VoiceSeparator(self.config.threads or cores())

    @cached_property
    def network(self) -> SalienceNet:
        return load_network()

    def __call__(self, recording: Recording) -> F0:
        return self.track([resample(recording, self.rate_hz).samples])

    def track(self, blocks: Iterable[Floats]) -> F0:
        if not self.separates:
            return self.pitch.track(blocks)
        mix, voice = Line(MelodyLine(self.network, self.hop_s)), Line(self.pitch.parts())

        def both() -> Iterator[Floats]:
            for block in blocks:
                mix.push(block)
                yield block

        for block in self.separator.voice(both()):
            voice.push(block)
        mix.end()
        voice.end()
        sings = singing(voice.power(), mix.power())
        sung = voice.stream.finish(sings, POWER_S)
        of_voice, note = sung_frames(sung, voice.power(), sings)
        played = mix.stream.finish(~of_voice)
        hz = np.where(of_voice, sung.hz, played.hz)
        confidence = np.where(of_voice, np.where(note, sung.confidence, 0), played.confidence)
        return F0(hz, confidence.astype(np.float32), self.hop_s, self.threshold)


class Line(Generic[Stream]):
    """A signal at the separator's rate, block after block: resampled into what finds its f0; and its power."""

    def __init__(self, stream: Stream) -> None:
        import soxr

        self.stream: Stream = stream
        self._resampler = soxr.ResampleStream(RATE_HZ, swiftf0.RATE_HZ, 1, dtype="float32", quality="HQ")
        self._left = np.zeros(0, np.float32)
        self._power: list[Floats] = []

    def push(self, block: Floats) -> None:
        """More samples."""
        self.stream.push(self._resampler.resample_chunk(block))
        joined = np.concatenate([self._left, block])
        whole = len(joined) // POWER_SAMPLES * POWER_SAMPLES
        self._power.append(np.square(joined[:whole]).reshape(-1, POWER_SAMPLES).mean(axis=1))
        self._left = joined[whole:].copy()

    def end(self) -> None:
        """No more samples."""
        self.stream.push(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))
        if len(self._left):
            self._power.append(np.square(self._left).mean(keepdims=True))

    def power(self) -> Floats:
        """The mean square of every ``POWER_S``."""
        return np.concatenate(self._power) if self._power else np.zeros(0, np.float32)


def singing(voice_power: Floats, mix_power: Floats) -> Bools:
    """Whether somebody sings around each row. powers, rows: every ``POWER_S``."""
    return _with_peak(_section(voice_power) / np.maximum(_section(mix_power), SILENT), STILL_SUNG, SUNG)


def sung_frames(voice: F0, voice_power: Floats, sings: Bools) -> tuple[Bools, Bools]:
    """Of each frame: whether it is the voice's, and whether the voice has a note there. voice_power, sings: a row every
    ``POWER_S``."""
    if not len(sings):
        return np.zeros(len(voice.hz), bool), np.zeros(len(voice.hz), bool)
    rows = np.minimum((np.arange(len(voice.hz)) * voice.hop_s / POWER_S).astype(np.int64), len(sings) - 1)
    heard = sings & (voice_power >= FAINT * _section(voice_power))
    note = heard[rows] & (voice.confidence >= SURE)
    return sings[rows] & ~_long_runs(sings[rows] & ~note, round(REST_S / voice.hop_s)), note


def _runs(chosen: Bools) -> list[tuple[int, int]]:
    """(n,) -> (first, past the last) of each of its runs."""
    edges = np.flatnonzero(np.diff(chosen.astype(np.int8), prepend=0, append=0)).tolist()
    return list(zip(edges[::2], edges[1::2], strict=True))


def _long_runs(chosen: Bools, shortest: int) -> Bools:
    """(n,) -> those of its runs that are no shorter."""
    long = np.zeros(len(chosen), bool)
    for start, end in _runs(chosen):
        long[start:end] = end - start >= shortest
    return long


def _with_peak(values: np.ndarray, low: float, high: float) -> Bools:
    """(n,) -> its runs of ``low`` and more that reach ``high``."""
    reaching = np.zeros(len(values), bool)
    for start, end in _runs(values >= low):
        reaching[start:end] = values[start:end].max() >= high
    return reaching


def _section(power: Floats) -> np.ndarray:
    """The mean over the section around each row."""
    size = max(1, min(len(power), round(SECTION_S / POWER_S)))
    mean: np.ndarray = uniform_filter1d(power.astype(np.float64), size, mode="nearest")
    return mean
