"""The attention network: weights of sum one, padding that weighs nothing, recordings of any length."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from tiny_world import CONFIG

from humfind.config import AttentionConfig
from humfind.encoders import build
from humfind.encoders.attention import lengths
from humfind.encoders.inference import embed_any_length
from humfind.types import InputError

SMALL = AttentionConfig(widths=(4, 6, 8), hidden=10, embedding_dim=5)


def network(config: AttentionConfig = SMALL, bands: int = 12) -> torch.nn.Module:
    torch.manual_seed(0)
    return build(config, (bands, 40)).eval()


@pytest.mark.parametrize("heads", [1, 3])
@pytest.mark.parametrize("bands", [2, 12])
def test_weights_sum_to_one_and_padding_gets_none(heads: int, bands: int) -> None:
    net = network(replace(SMALL, heads=heads), bands)
    x = torch.rand(3, bands, 40) + 0.1
    x[1, :, 21:] = 0
    moments, there = net.moments(x)
    weights = net.weights(moments, there)
    assert weights.shape == (3, 10, heads)
    assert torch.allclose(weights.sum(dim=1), torch.ones(3, heads), atol=1e-6)
    assert (weights[1, 5:] == 0).all()
    assert (weights[1, :5] > 0).all()


@pytest.mark.parametrize("frames", [1, 3, 4, 17, 38])
def test_padding_changes_nothing(frames: int) -> None:
    net = network()
    x = torch.rand(1, 12, frames) + 0.1
    padded = torch.nn.functional.pad(x, (0, 50 - frames))
    assert torch.allclose(net(x), net(padded), atol=1e-5)


def test_a_recording_is_the_same_alone_and_among_longer_ones() -> None:
    net = network()
    rng = np.random.default_rng(0)
    recordings = [rng.random((12, n)).astype(np.float32) + 0.1 for n in (9, 60, 33, 4)]
    together = embed_any_length(net, recordings, batch=4)
    alone = np.concatenate([embed_any_length(net, [one]) for one in recordings])
    assert np.allclose(together, alone, atol=1e-5)


def test_loudness_and_offset_are_standardised_away() -> None:
    net = network()
    x = torch.rand(2, 12, 40) + 0.1
    assert torch.allclose(net(x), net(3 * x + 1), atol=1e-3)


def test_silence_alone_has_an_embedding() -> None:
    assert torch.isfinite(network()(torch.zeros(1, 12, 20))).all()


def test_lengths() -> None:
    x = torch.zeros(2, 3, 7)
    x[0, 1, 4] = -1.0
    assert lengths(x).tolist() == [5, 0]


def test_what_is_no_network_is_refused() -> None:
    for wrong in (replace(SMALL, kernel=4), replace(SMALL, widths=()), replace(SMALL, heads=0)):
        with pytest.raises(InputError, match="no network"):
            build(wrong, (12, 40))
    with pytest.raises(InputError, match="channels, frames"):
        build(SMALL, (12,))


def test_an_encoder_of_windows_is_not_given_recordings_of_any_length() -> None:
    with pytest.raises(ValueError, match="one length"):
        embed_any_length(build(CONFIG.encoder, (2, 100)), [np.ones((2, 10), np.float32)])
