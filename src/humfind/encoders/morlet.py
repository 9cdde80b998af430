"""Raw sound -> a vector on the sphere: a bank of Morlet wavelets as the first layer, then convolutions (2019).

A Morlet wavelet is a complex exponential under a Gaussian envelope (J. Morlet et al., Wave propagation and sampling
theory, 1982). The magnitudes of the bank, pooled over time, are a spectrogram with a logarithmic axis; four
convolutions of 13 bands by 3 frames read its logarithm. Distances are of cosines.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as f

from humfind.config import MorletConfig, from_dict, require_valid, to_dict
from humfind.encoders.checkpoint import Checkpoint
from humfind.types import Floats, InputError

KIND = "sound"
REACH = 3.0  # standard deviations of the envelope to either side, which the taps hold at least
LEAST = 1e-4  # of a magnitude, under the logarithm: -80 dB
BATCH = 16  # segments at a time, always: the last bits of a sum depend on how many are summed together


def centres_hz(config: MorletConfig) -> Floats:
    """(filters,) float32, rising: evenly spaced in octaves, or in mel (O'Shaughnessy, Speech communication, 1987).
    Raises InputError for another spacing."""
    require_valid("spacing", config.spacing)
    if config.spacing == "log":
        return np.geomspace(config.low_hz, config.high_hz, config.filters).astype(np.float32)
    low, high = (2595 * math.log10(1 + hz / 700) for hz in (config.low_hz, config.high_hz))
    mel = np.linspace(low, high, config.filters)
    return (700 * (10 ** (mel / 2595) - 1)).astype(np.float32)


def deviations_s(config: MorletConfig) -> Floats:
    """(filters,) float32: the envelopes' standard deviations. As many cycles for each wavelet, as far as the taps hold
    them: below that, the bandwidth stays the same."""
    longest = config.taps / config.rate_hz / 2 / REACH
    cycles = config.cycles / 2 / REACH
    return np.minimum(cycles / centres_hz(config), longest).astype(np.float32)


def bandwidths_hz(config: MorletConfig) -> Floats:
    """(filters,) float32: from the one side to the other, where a wavelet's response falls to half its power."""
    return (math.sqrt(math.log(2)) / (math.pi * deviations_s(config))).astype(np.float32)


def bank(config: MorletConfig) -> tuple[Floats, Floats]:
    """Real and imaginary parts, (filters, taps) float32: a tone at its centre comes out as large as it is."""
    seconds = (np.arange(config.taps) - (config.taps - 1) / 2) / config.rate_hz
    centres, deviations = centres_hz(config)[:, None], deviations_s(config)[:, None]
    envelope = np.exp(-0.5 * (seconds / deviations) ** 2)
    envelope /= envelope.sum(axis=1, keepdims=True)
    phase = 2 * np.pi * centres * seconds
    return (2 * envelope * np.cos(phase)).astype(np.float32), (2 * envelope * np.sin(phase)).astype(np.float32)


class MorletBank(nn.Module):
    """Samples (n, samples) -> (n, filters, frames), log10 of the magnitude."""

    def __init__(self, config: MorletConfig) -> None:
        super().__init__()
        self.config = config
        for name, values in zip(("real", "imaginary"), bank(config), strict=True):
            weights = torch.from_numpy(values)[:, None]
            if config.learnable:
                self.register_parameter(name, nn.Parameter(weights))
            else:
                self.register_buffer(name, weights)

    def forward(self, samples: Tensor) -> Tensor:
        around = (self.config.taps // 2, self.config.taps - 1 - self.config.taps // 2)
        padded = f.pad(samples[:, None], around)
        weights: tuple[Any, Any] = self.real, self.imaginary
        real, imaginary = (f.conv1d(padded, part, stride=self.config.stride) for part in weights)
        power = f.adaptive_avg_pool1d(real.square() + imaginary.square(), self.config.frames)
        return torch.log10(power.clamp_min(LEAST**2)) / 2


class MorletNetwork(nn.Module):
    """Samples (n, samples) -> (n, dim) of length 1."""

    def __init__(self, config: MorletConfig) -> None:
        super().__init__()
        c = config.channels
        self.bank = MorletBank(config)
        layers: list[nn.Module] = [nn.BatchNorm2d(1)]
        for before in (1, c, c, c):
            layers += [nn.Conv2d(before, c, (13, 3), padding=(6, 1)), nn.BatchNorm2d(c), nn.ReLU(), nn.MaxPool2d(2)]
        self.layers = nn.Sequential(*layers)
        self.out = nn.Linear(c * (config.filters // 16), config.dim)

    def forward(self, samples: Tensor) -> Tensor:
        image: Tensor = self.layers(self.bank(samples)[:, None])
        return f.normalize(self.out(image.mean(dim=3).flatten(1)), dim=1)


@dataclass(frozen=True)
class SoundModel:
    """A trained network. facts: about its training."""

    config: MorletConfig
    network: MorletNetwork
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network.eval()

    @classmethod
    def untrained(cls, config: MorletConfig) -> SoundModel:
        """As its training begins."""
        with torch.random.fork_rng():
            torch.manual_seed(config.train.seed)
            return cls(config, MorletNetwork(config))

    def embed(self, segments: Floats) -> Floats:
        """(n, samples) float32 -> (n, dim) of length 1; a segment gives the same bytes alone and among others."""
        rows = []
        with torch.inference_mode():
            for at in range(0, len(segments), BATCH):
                part = torch.from_numpy(np.ascontiguousarray(segments[at : at + BATCH]))
                full = torch.cat([part, part[-1:].expand(BATCH - len(part), -1)])
                rows.append(self.network(full)[: len(part)].numpy())
        return np.concatenate(rows)

    def save(self, path: Path) -> None:
        """NAME.safetensors and NAME.json."""
        Checkpoint(KIND, to_dict(self.config), self.network.state_dict(), self.facts).save(path)

    @classmethod
    def load(cls, path: Path) -> SoundModel:
        """Raises InputError where a file is missing, cut, of another kind, or does not fit the other."""
        found = Checkpoint.load(path, KIND)
        config = from_dict(MorletConfig, dict(found.config), f"{Path(path).with_suffix('.json')}: config")
        try:
            _require_same_sizes(config, found.tensors)
            network = MorletNetwork(config)
            network.load_state_dict(dict(found.tensors))
        except (RuntimeError, TypeError, ValueError) as error:
            raise InputError(f"{path}: does not fit its JSON ({str(error).splitlines()[0]}); train it again") from error
        return cls(config, network, found.facts)


def _require_same_sizes(config: MorletConfig, weights: Mapping[str, Tensor]) -> None:
    """What the JSON says is what the tensors are, before any memory is spent on it. Raises RuntimeError."""
    sizes = {
        "bank.real": (config.filters, 1, config.taps),
        "layers.1.weight": (config.channels, 1, 13, 3),
        "out.bias": (config.dim,),
    }
    for name, size in sizes.items():
        there = tuple(weights[name].shape) if name in weights else "missing"
        if there != size:
            raise RuntimeError(f"{name}: {there}, by its JSON {size}")
    for name, value in weights.items():
        if value.is_floating_point() and not torch.isfinite(value).all():
            raise RuntimeError(f"{name} holds NaN or infinity")
