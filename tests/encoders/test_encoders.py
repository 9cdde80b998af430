from __future__ import annotations

import os
from dataclasses import replace

import pytest
import torch

from humfind.config import PRESETS, AttentionConfig, ResNet1dConfig
from humfind.encoders import ENCODERS, build, parameter_count
from humfind.encoders.checkpoint import input_shape
from humfind.encoders.inference import embed_batches
from humfind.encoders.resnet1d import Folded, ResNet1d
from humfind.types import InputError

SMALL = ResNet1dConfig(widths=(4, 8), blocks=(1, 1), kernel=3, embedding_dim=6)


@pytest.mark.parametrize("frames", [1, 7, 200])
def test_any_length_gives_one_vector_a_window(frames: int) -> None:
    configs = {"resnet1d": replace(SMALL, blocks=(1, 2)), "attention": AttentionConfig(widths=(4, 8), embedding_dim=6)}
    assert set(configs) == set(ENCODERS)
    for config in configs.values():
        network = build(config, (2, 200))
        assert network.eval()(torch.zeros(3, 2, frames)).shape == (3, 6)


def test_parameter_count_by_hand() -> None:
    # stem 2*4*3 + norm 8 = 32; stage 1: 2 * (4*4*3 + 8) = 112
    # stage 2: 4*8*3 + 16, 8*8*3 + 16, shortcut 4*8 + 16 = 368; head 8*6 + 6 = 54
    assert parameter_count(build(SMALL, (2, 200))) == 32 + 112 + 368 + 54


def test_presets_are_as_large_as_they_say() -> None:
    large, small = PRESETS["zalo2021"], PRESETS["small"]
    with torch.device("meta"):
        assert 65e6 < parameter_count(build(large.encoder, input_shape(large))) < 67e6
        assert parameter_count(build(small.encoder, input_shape(small))) < 1.5e6
    assert large.encoder.embedding_dim == 512
    assert not large.encoder.normalise


def test_normalised_vectors_have_length_one_and_others_do_not() -> None:
    values = torch.randn(5, 2, 40, generator=torch.Generator().manual_seed(0))
    for normalise in (True, False):
        torch.manual_seed(0)
        network = build(ResNet1dConfig(widths=(4,), blocks=(1,), kernel=3, normalise=normalise), (2, 200)).eval()
        is_one = torch.allclose(network(values).norm(dim=1), torch.ones(5), atol=1e-5)
        assert is_one == normalise


def test_segments_tell_the_order_that_an_average_forgets() -> None:
    early, late = torch.zeros(1, 1, 64), torch.zeros(1, 1, 64)
    early[0, 0, 8:16], late[0, 0, 40:48] = 1, 1
    for segments, differs in ((1, False), (2, True)):
        torch.manual_seed(0)
        one = ResNet1dConfig(widths=(4,), blocks=(1,), kernel=3, stem_stride=1, segments=segments)
        network = build(one, (1, 200)).eval()
        assert torch.allclose(network(early), network(late), atol=1e-5) != differs


def trained_a_little(name: str) -> ResNet1d:
    """Norms have seen something, so that folding them moves numbers."""
    torch.manual_seed(0)
    network = build(PRESETS[name].encoder if name != "tiny" else SMALL, (2, 200))
    for _ in range(3):
        network(3 * torch.randn(8, 2, 200) + 1)
    return network.eval()


@pytest.mark.parametrize("name", ["small", "tiny"])
@pytest.mark.parametrize("frames", [1, 7, 200])
def test_folded_norms_change_nothing_but_the_last_bits(name: str, frames: int) -> None:
    network = trained_a_little(name)
    values = torch.randn(5, 2, frames, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        wanted, found = network(values), Folded(network)(values)
    assert torch.allclose(found, wanted, atol=1e-6)
    assert not any(isinstance(part, torch.nn.BatchNorm1d) for part in Folded(network).modules())
    assert any(isinstance(part, torch.nn.BatchNorm1d) for part in network.modules())


def test_a_windows_vector_depends_neither_on_its_company_nor_on_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Folded(trained_a_little("small"))
    values = torch.randn(70, 2, 200, generator=torch.Generator().manual_seed(1))
    together = embed_batches(network, values, 32)
    assert torch.equal(together[40:41], embed_batches(network, values[40:41], 32))
    assert torch.equal(together[31:45], embed_batches(network, values[31:45], 32))
    threads = torch.get_num_threads()
    for cores in (1, 5):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _, cores=cores: set(range(cores)))
        assert torch.equal(together, embed_batches(network, values, 32))
    assert torch.get_num_threads() == threads


@pytest.mark.parametrize(
    ("config", "word"),
    [
        (ResNet1dConfig(name="transformer"), "resnet1d"),
        (ResNet1dConfig(kernel=4), "odd"),
        (ResNet1dConfig(widths=(8, 8), blocks=(1,)), "blocks"),
    ],
)
def test_what_cannot_be_built_says_why(config: ResNet1dConfig, word: str) -> None:
    with pytest.raises(InputError, match=word):
        build(config, (2, 200))
