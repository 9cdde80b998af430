"""Networks that map a window to a vector, one a file.

An encoder is a class with an attribute ``Config``, a frozen dataclass that has a ``name`` and an ``embedding_dim``. It
is made as ``Encoder(config, in_shape)``; ``in_shape`` is the shape of one window, for example (channels, frames). It
maps (batch, *in_shape) float32 to (batch, embedding_dim) float32. It may offer ``for_inference() -> nn.Module``: the
same function in a faster form. Where its attribute ``any_length`` is true it reads windows of any number of frames,
and frames of zeros at the end change nothing (``inference.embed_any_length``). Adding one takes a file and a line in
``ENCODERS``, or an entry point
(``runtime.plugins``).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from torch import nn

from humfind.config import ModelConfig
from humfind.runtime import plugins
from humfind.types import InputError

ENCODERS: dict[str, Any] = {
    "resnet1d": "humfind.encoders.resnet1d:ResNet1d",
    "attention": "humfind.encoders.attention:Attention",
}


def encoder_class(name: str) -> Any:
    """The encoder of that name. Raises InputError for an unknown one."""
    return plugins.find("encoders", name, ENCODERS)


def build(config: Any, in_shape: tuple[int, ...]) -> nn.Module:
    """The network that ``config`` describes, its weights drawn from torch's current random state.

    config: the encoder's own. Raises InputError for an unknown name, and for a config of another encoder.
    """
    encoder = encoder_class(config.name)
    if not isinstance(config, encoder.Config):
        raise InputError(
            f"encoder {config.name}: its config is a {encoder.Config.__name__}, not a {type(config).__name__}; "
            "give the one that belongs to it"
        )
    network: nn.Module = encoder(config, in_shape)
    return network


def with_encoder(config: ModelConfig, name: str) -> ModelConfig:
    """The same model with another encoder, in its default configuration. Raises InputError for an unknown name."""
    return replace(config, encoder=encoder_class(name).Config())


def for_inference(network: nn.Module) -> nn.Module:
    """The faster form that the network offers, or the network itself, in evaluation mode."""
    faster = getattr(network, "for_inference", None)
    made: nn.Module = network.eval() if faster is None else faster()
    return made


def parameter_count(network: nn.Module) -> int:
    """How many numbers training can change."""
    return sum(weight.numel() for weight in network.parameters() if weight.requires_grad)
