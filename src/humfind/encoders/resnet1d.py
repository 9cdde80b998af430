"""A residual network over time (He et al., Deep Residual Learning for Image Recognition, 2016, in 1-D)."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.utils.fusion import fuse_conv_bn_eval

from humfind.config import ResNet1dConfig
from humfind.types import InputError


class ResidualBlock(nn.Module):
    """Two convolutions and a shortcut: (B, width_in, L) -> (B, width_out, ceil(L / stride))."""

    def __init__(self, width_in: int, width_out: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.first = _convolution(width_in, width_out, kernel, stride)
        self.second = _convolution(width_out, width_out, kernel, 1)
        same = width_in == width_out and stride == 1
        self.shortcut = nn.Identity() if same else _convolution(width_in, width_out, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.second(functional.relu(self.first(x)))
        return functional.relu(y + self.shortcut(x))


class ResNet1d(nn.Module):
    """(B, channels, L) -> (B, embedding_dim), any L of at least one frame. in_shape: (channels, L).

    Time is averaged in ``segments`` equal parts: with 1 the embedding forgets where in the window a
    phrase was, with more it keeps their order.
    """

    Config = ResNet1dConfig

    def __init__(self, config: ResNet1dConfig, in_shape: tuple[int, ...]) -> None:
        super().__init__()
        if len(in_shape) != 2:
            raise InputError(f"encoder resnet1d: reads windows of (channels, frames), not of shape {in_shape}")
        if len(config.widths) != len(config.blocks) or not config.widths:
            raise InputError(f"encoder: {len(config.widths)} widths but {len(config.blocks)} blocks; give as many")
        if config.kernel % 2 == 0:
            raise InputError(f"encoder: kernel {config.kernel} has no middle; choose an odd one")
        few = len(config.widths) <= 20 and min(*config.widths, *config.blocks, config.embedding_dim) >= 1
        sizes = 1 <= config.stem_stride <= 1000 and 1 <= config.segments <= 1000 and 1 <= config.kernel <= 1001
        if not (few and sizes and 0 <= config.dropout < 1):  # far from any use
            raise InputError(f"encoder: {config} is no network; copy the file again")
        self.normalise = config.normalise
        self.segments = config.segments
        self.stem = _convolution(in_shape[0], config.widths[0], config.kernel, config.stem_stride)
        stages: list[nn.Module] = []
        width_in = config.widths[0]
        for stage, (width, blocks) in enumerate(zip(config.widths, config.blocks, strict=True)):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                stages.append(ResidualBlock(width_in, width, config.kernel, stride))
                width_in = width
        self.stages = nn.Sequential(*stages)
        self.dropout = nn.Dropout(config.dropout)
        self.head = nn.Linear(width_in * config.segments, config.embedding_dim)

    def forward(self, x: Tensor) -> Tensor:
        return self.finish(self.stages(functional.relu(self.stem(x))))

    def for_inference(self) -> nn.Module:
        """The same function in a faster form."""
        return Folded(self)

    def finish(self, y: Tensor) -> Tensor:
        """(B, width, L / 2^n) -> (B, embedding_dim)."""
        y = functional.adaptive_avg_pool1d(y, self.segments).flatten(1)  # (B, width * segments)
        embedding: Tensor = self.head(self.dropout(y))
        return functional.normalize(embedding, dim=1) if self.normalise else embedding


def _convolution(width_in: int, width_out: int, kernel: int, stride: int) -> nn.Sequential:
    convolution = nn.Conv1d(width_in, width_out, kernel, stride, padding=kernel // 2, bias=False)
    return nn.Sequential(convolution, nn.BatchNorm1d(width_out))


class Folded(nn.Module):
    """The same function for inference, sooner: each norm is folded into its convolution, and a window is an image one
    pixel high, since two-dimensional convolutions are the quickest where the channels lie together."""

    def __init__(self, network: ResNet1d) -> None:
        super().__init__()
        self.network = copy.deepcopy(network).eval()
        for module in list(self.network.modules()):
            for name, child in list(module.named_children()):
                match list(child.children()):
                    case nn.Conv1d() as convolution, nn.BatchNorm1d() as norm:
                        setattr(module, name, _flat(fuse_conv_bn_eval(convolution, norm)))

    def forward(self, x: Tensor) -> Tensor:
        image = x[:, :, None].contiguous(memory_format=torch.channels_last)
        y = self.network.stages(functional.relu(self.network.stem(image)))
        return self.network.finish(y.squeeze(2))


def _flat(line: nn.Conv1d) -> nn.Conv2d:
    size, stride, padding = (1, line.kernel_size[0]), (1, line.stride[0]), (0, int(line.padding[0]))
    flat = nn.Conv2d(line.in_channels, line.out_channels, size, stride, padding)
    flat.weight = nn.Parameter(line.weight[:, :, None].contiguous(memory_format=torch.channels_last))
    flat.bias = line.bias
    return flat
