"""The melody of a mix by a salience network of our own: which pitch, if any, leads at each moment.

Log-frequency spectra, each pitch with its harmonics, go through a small convolutional network whose coarse half sees
some seconds, so that it can tell which of the lines is the melody; a Viterbi path through its likelihoods is the f0.
Trained by ``humfind.training.pretrain_salience``.
"""

from __future__ import annotations

import hashlib
from importlib.resources import files

import numpy as np
import torch
from torch import Tensor, nn

from humfind.audio.harmonics import (
    BINS,
    CHANNELS,
    FFT,
    HOP,
    HOP_S,
    LEVEL_FRAMES,
    LOWEST_MIDI,
    PER_SEMITONE,
    RATE_HZ,
    harmonic_stack,
    levelled,
    log_spectra,
)
from humfind.audio.spans import SILENCE, stretches
from humfind.f0.swiftf0 import on_grid
from humfind.types import F0, Bools, Floats

WEIGHTS = files("humfind") / "pretrained" / "salience.safetensors"
FINE, COARSE, DILATIONS = 24, 48, (1, 2, 4, 8, 1)
NONE = BINS  # the class "no melody", after the pitches
SPAN = 1000  # frames that are taken at once
SEEN = 4 + sum(DILATIONS) + 1  # frames before and after one that the network sees
MARGIN = SEEN + LEVEL_FRAMES  # those that its likelihoods depend on
BEFORE = MARGIN * HOP + FFT // 2  # samples, of silence
THRESHOLD = 0.5
NEVER = -50.0  # a log-likelihood
# of the Viterbi path, in logarithms of likelihoods
STEP, LEAP = 0.25, 5.0  # cost of a bin up or down, and of any leap
BEGIN = 1.5  # of a melody's beginning or end
NEAR = 2  # bins to each side of the path's, whose mean is the pitch


class SalienceNet(nn.Module):
    """(batch, CHANNELS, frames, BINS) -> (batch, frames, BINS + 1) logits; the last one is "no melody"."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(
            nn.Conv2d(CHANNELS, FINE, 5, padding=2, bias=False), nn.BatchNorm2d(FINE), nn.ReLU(),
            nn.Conv2d(FINE, FINE, 3, padding=1, bias=False), nn.BatchNorm2d(FINE), nn.ReLU(),
        )  # fmt: skip
        self.coarse = nn.Sequential(
            nn.Conv2d(FINE, COARSE, 3, stride=(1, PER_SEMITONE), padding=(1, 0), bias=False),
            nn.BatchNorm2d(COARSE),
            nn.ReLU(),
            *(ContextBlock(COARSE, dilation) for dilation in DILATIONS),
        )
        self.up = nn.Conv2d(COARSE, FINE, 1)
        self.last = nn.Sequential(
            nn.Conv2d(2 * FINE, FINE, 1, bias=False), nn.BatchNorm2d(FINE), nn.ReLU(),
            nn.Conv2d(FINE, FINE, 3, padding=1, bias=False), nn.BatchNorm2d(FINE), nn.ReLU(),
            nn.Conv2d(FINE, 1, 1),
        )  # fmt: skip
        self.none = nn.Sequential(nn.Linear(2 * COARSE, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x: Tensor) -> Tensor:
        fine = self.first(x)
        coarse = self.coarse(fine)
        wide = self.up(coarse).repeat_interleave(PER_SEMITONE, dim=3)
        pitch = self.last(torch.cat([fine, wide], dim=1))[:, 0]
        pooled = torch.cat([coarse.mean(dim=3), coarse.amax(dim=3)], dim=1).transpose(1, 2)
        return torch.cat([pitch, self.none(pooled)], dim=2)


class ContextBlock(nn.Module):
    """A convolution over time, dilated, and over neighbouring pitches; and each frame's mean of all pitches."""

    def __init__(self, width: int, dilation: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(width)
        self.around = nn.Conv2d(width, width, 3, padding=(dilation, 1), dilation=(dilation, 1))
        self.frame = nn.Conv1d(width, width, 3, padding=1)
        self.mix = nn.Conv2d(width, width, 1)

    def forward(self, x: Tensor) -> Tensor:
        inner = torch.relu(self.norm(x))
        around = torch.relu(self.around(inner) + self.frame(inner.mean(dim=3))[:, :, :, None])
        out: Tensor = x + self.mix(around)
        return out


class MelodyLine:
    """The f0 of a mix's melody: samples at ``RATE_HZ`` in blocks of any lengths, whose lengths change no bit. The
    network reads them in the end, and only about the moments that are asked for."""

    def __init__(self, network: SalienceNet, hop_s: float) -> None:
        self.hop_s, self._network = hop_s, network
        self._kept = bytearray(4 * BEFORE)  # float32; grows in place, where an hour must not be held twice

    def push(self, block: Floats) -> None:
        """More samples."""
        self._kept += np.ascontiguousarray(block, np.float32).data.cast("B")

    def finish(self, wanted: Bools | None = None) -> F0:
        """The f0 of all that came. wanted: (frames,) every ``hop_s``; elsewhere there is no pitch. None: all."""
        samples = np.frombuffer(self._kept, np.float32)
        received = len(samples) - BEFORE
        frames = 1 + received // HOP
        likelihoods = np.where(np.arange(BINS + 1) == NONE, 0, NEVER).astype(np.float32)[None].repeat(frames, axis=0)
        for first, last in stretches(frames, SPAN, MARGIN, wanted, self.hop_s / HOP_S):
            wide = FFT + (last - first + 2 * MARGIN - 1) * HOP
            span = samples[first * HOP :][:wide]
            span = np.pad(span, (0, wide - len(span)))
            likelihoods[first:last] = log_likelihoods(span, last - first, self._network)
        hz, confidence = melody(likelihoods)
        return on_grid(hz, confidence, HOP_S, received / RATE_HZ, self.hop_s, THRESHOLD)


def log_likelihoods(samples: Floats, frames: int, network: SalienceNet) -> Floats:
    """(frames, BINS + 1) of each pitch and of no melody; samples as ``harmonics.log_spectra`` takes them, of ``MARGIN``
    frames more before and after."""
    stacked = harmonic_stack(levelled(log_spectra(samples, frames + 2 * MARGIN))[LEVEL_FRAMES:-LEVEL_FRAMES])
    with torch.inference_mode():
        values = torch.from_numpy(stacked)[None].to(memory_format=torch.channels_last)
        found: Floats = torch.log_softmax(network(values)[0, SEEN:-SEEN], dim=1).numpy()
    middle = samples[MARGIN * HOP + FFT // 2 :][: frames * HOP]
    loud = np.zeros(frames, bool)
    loud[: len(middle) // HOP] = np.abs(middle[: len(middle) // HOP * HOP]).reshape(-1, HOP).max(axis=1) >= SILENCE
    return np.where(loud[:, None], found, np.where(np.arange(BINS + 1) == NONE, 0, NEVER)).astype(np.float32)


def melody(likelihoods: Floats) -> tuple[Floats, Floats]:
    """(frames, BINS + 1) logarithms -> the path's pitch, (frames,) Hz, and confidence, both 0 where there is none."""
    path = viterbi(likelihoods)
    voiced = path < NONE
    near = np.clip(path[:, None] + np.arange(-NEAR, NEAR + 1), 0, BINS - 1)
    weight = np.exp(np.take_along_axis(likelihoods, near, axis=1).astype(np.float64))
    bins = (weight * near).sum(axis=1) / np.maximum(weight.sum(axis=1), 1e-30)
    hz = 440 * 2 ** ((LOWEST_MIDI + bins / PER_SEMITONE - 69) / 12)
    confidence = np.clip(1 - np.exp(likelihoods[:, NONE]), THRESHOLD, 1)
    return np.where(voiced, hz, 0).astype(np.float32), np.where(voiced, confidence, 0).astype(np.float32)


def viterbi(likelihoods: Floats) -> np.ndarray:
    """(frames, BINS + 1) logarithms -> (frames,) the states of the best path."""
    apart = np.abs(np.arange(BINS)[:, None] - np.arange(BINS)[None, :])
    cost = np.full((BINS + 1, BINS + 1), BEGIN)
    cost[:BINS, :BINS] = np.minimum(STEP * apart, LEAP)
    cost[NONE, NONE] = 0
    total = likelihoods[0].astype(np.float64)
    came = np.zeros((len(likelihoods), BINS + 1), np.int16)
    for t in range(1, len(likelihoods)):
        scores = total[None, :] - cost  # [to, from]: the cost is the same both ways
        came[t] = scores.argmax(axis=1)
        total = scores[np.arange(BINS + 1), came[t]] + likelihoods[t]
    path = np.empty(len(likelihoods), np.int64)
    path[-1] = total.argmax()
    for t in range(len(likelihoods) - 1, 0, -1):
        path[t - 1] = came[t, path[t]]
    return path


def load_network() -> SalienceNet:
    """The one that the package ships."""
    from safetensors.torch import load

    network = SalienceNet()
    network.load_state_dict(load(WEIGHTS.read_bytes()))
    return fast(network.eval())


def weights_version() -> str:
    """Eight letters that no other weights share."""
    return hashlib.sha256(WEIGHTS.read_bytes()).hexdigest()[:8]


def fast(network: SalienceNet) -> SalienceNet:
    """The same numbers in the order in which a processor convolves soonest."""
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
