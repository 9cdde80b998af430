"""Convolutions over a picture of sound, then attention over time: an encoder of recordings of any length (2017 report).

Feed-forward attention (Raffel and Ellis, 2015): each moment h[t] is scored, e[t] = a(h[t]); the embedding is made of
the mean of all moments, weighted by softmax(e).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from humfind.config import AttentionConfig
from humfind.types import InputError

FEW_BANDS = 8  # what has fewer channels is no spectrogram: not pooled across
POOL = 2  # frames, and bands of a spectrogram


class Attention(nn.Module):
    """(B, channels, L) -> (B, embedding_dim), any L. in_shape: (channels, L).

    Frames at the end whose every channel is 0 are padding: they weigh nothing, and the embedding is the one that the
    recording has without them.
    """

    Config = AttentionConfig
    any_length = True  # what is longer or shorter than ``in_shape`` may be embedded, too

    def __init__(self, config: AttentionConfig, in_shape: tuple[int, ...]) -> None:
        super().__init__()
        if len(in_shape) != 2:
            raise InputError(f"encoder attention: reads windows of (channels, frames), not of shape {in_shape}")
        sizes = (*config.widths, config.heads, config.hidden, config.embedding_dim)
        few = 1 <= len(config.widths) <= 8 and min(sizes) >= 1 and max(sizes) <= 65_536
        if not (few and config.kernel % 2 and 1 <= config.kernel <= 31):
            raise InputError(f"encoder: {config} is no network; copy the file again")
        bands = in_shape[0]
        self.pool_bands = POOL if bands >= FEW_BANDS else 1
        self.normalise = config.normalise
        height = min(config.kernel, bands if bands % 2 else bands - 1) or 1
        layers, width_in = [], 1
        for i, width in enumerate(config.widths):
            padding = (height // 2, config.kernel // 2)
            layers.append(nn.Conv2d(width_in, width, (height, config.kernel), padding=padding))
            width_in = width
            if i < len(config.widths) - 1:
                bands = max(1, bands // self.pool_bands)
        self.layers = nn.ModuleList(layers)
        self.score = nn.Linear(width_in * bands, config.heads)
        self.hidden = nn.Linear(width_in * bands * config.heads, config.hidden)
        self.head = nn.Linear(config.hidden, config.embedding_dim)

    def forward(self, x: Tensor) -> Tensor:
        moments, there = self.moments(x)
        weights = self.weights(moments, there)  # (B, T, heads)
        mean = torch.einsum("bth,btw->bhw", weights, moments).flatten(1)
        embedding: Tensor = self.head(functional.relu(self.hidden(mean)))
        return functional.normalize(embedding, dim=1) if self.normalise else embedding

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, channels, L) -> h (B, T, width) and which of them are no padding, (B, T)."""
        least = POOL ** (len(self.layers) - 1)
        x = functional.pad(x, (0, max(0, least - x.shape[-1])))
        length = lengths(x).clamp_min(least)
        there = _until(length, x.shape[-1])
        y = _standardised(x, there)[:, None]
        for i, layer in enumerate(self.layers):
            y = functional.relu(layer(y)) * there[:, None, None]
            if i < len(self.layers) - 1:
                bands = self.pool_bands if y.shape[2] >= self.pool_bands else 1
                y = functional.max_pool2d(y, (bands, POOL))
                length = length // POOL
                there = _until(length, y.shape[-1])
                y = y * there[:, None, None]
        return y.flatten(1, 2).transpose(1, 2), there.bool()

    def weights(self, moments: Tensor, there: Tensor) -> Tensor:
        """(B, T, width), (B, T) -> (B, T, heads): positive, of sum 1 over time, 0 for padding."""
        scores = torch.tanh(self.score(moments)).float()
        return torch.softmax(scores.masked_fill(~there[:, :, None], -torch.inf), dim=1).to(moments.dtype)


def lengths(x: Tensor) -> Tensor:
    """(B, channels, L) -> (B,): the last frame that is not all 0, and those before."""
    any_there = (x != 0).any(dim=1)
    at = torch.arange(1, x.shape[-1] + 1, device=x.device)
    return (any_there * at).amax(dim=1)


def _until(length: Tensor, frames: int) -> Tensor:
    """(B,) -> (B, frames): 1 for the first ``length``, then 0."""
    return (torch.arange(frames, device=length.device) < length[:, None]).float()


def _standardised(x: Tensor, there: Tensor) -> Tensor:
    """Mean 0 and deviation 1 over all that is no padding; padding stays 0."""
    count = there.sum(dim=1)[:, None, None] * x.shape[1]
    mean = (x * there[:, None]).sum(dim=(1, 2), keepdim=True) / count
    centred = (x - mean) * there[:, None]
    deviation = (centred.square().sum(dim=(1, 2), keepdim=True) / count).sqrt()
    return centred / (deviation + 1e-5)
