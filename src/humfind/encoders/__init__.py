"""Networks that turn a window into a vector, one a file.

A network is made from an ``EncoderConfig`` and a number of input channels, and maps
(batch, channels, frames) float32 to (batch, embedding_dim) float32.
"""

from __future__ import annotations

from torch import nn

from humfind.config import EncoderConfig
from humfind.encoders.resnet1d import ResNet1d
from humfind.types import InputError

ENCODERS: dict[str, type[ResNet1d]] = {"resnet1d": ResNet1d}


def build(config: EncoderConfig, in_channels: int) -> ResNet1d:
    """The network that ``config`` names, with fresh weights drawn from torch's current random state."""
    if config.name not in ENCODERS:
        raise InputError(f"encoder {config.name!r}: unknown; choose one of {', '.join(ENCODERS)}")
    return ENCODERS[config.name](config, in_channels)


def parameter_count(network: nn.Module) -> int:
    """How many numbers training can move."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
