"""The pair loss by hand, and a training on cliques."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from humfind.config import AttentionConfig, ContourConfig, ModelConfig, SpectrogramConfig, TrainConfig
from humfind.encoders.checkpoint import Model
from humfind.training.losses import PairLoss
from humfind.training.tasks.cliques import CliqueTask, PairConfig, Rendition, cover_report, report_of, train_cliques
from humfind.types import InputError

CONFIG = ModelConfig(
    features="spectrogram",
    contour=replace(ContourConfig(), window_s=0.8),
    spectrogram=SpectrogramConfig(bands=8),
    encoder=AttentionConfig(widths=(4, 8), hidden=16, embedding_dim=8),
    train=TrainConfig(steps=30, validate_every=10, learning_rate=1e-2),
)


def test_the_loss_by_hand() -> None:
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])
    clique = torch.tensor([7, 7, 9])
    far = (2 - 1) ** 2 / 2  # of distances 1 and 3 * sqrt(2), the second beyond the threshold
    assert PairLoss(2.0, 1.0)(x, clique).item() == pytest.approx(25 + far, rel=1e-5)
    assert PairLoss(2.0, 0.5)(x, clique).item() == pytest.approx(25 + far / 2, rel=1e-5)
    inverse = (1 / (1 + 2) + 1 / (18 + 2)) / 2
    assert PairLoss(2.0, 1.0, inverse=True)(x, clique).item() == pytest.approx(25 + inverse, rel=1e-5)
    squares = (9 + 16 + 1) / 6
    assert PairLoss(2.0, 1.0, entropy=0.1)(x, clique).item() == pytest.approx(25 + far + 0.1 * squares, rel=1e-5)


def test_the_same_place_has_a_slope() -> None:
    x = torch.zeros(3, 2, requires_grad=True)
    PairLoss(1.0, 1.0)(x, torch.tensor([0, 0, 1])).backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


def renditions(tunes: int, each: int, seed: int = 0) -> list[Rendition]:
    """A tune is a picture; a rendition is that, somewhat damaged."""
    rng = np.random.default_rng(seed)
    pictures = [rng.random((8, 30)) for _ in range(tunes)]
    return [
        Rendition(
            f"{seed}-{tune}-{i}", f"{seed}-{tune}", (picture + 0.2 * rng.random((8, 30)) + 0.1).astype(np.float32)
        )
        for tune, picture in enumerate(pictures)
        for i in range(each)
    ]


def test_a_batch_is_pairs_and_a_function_of_the_step() -> None:
    task = CliqueTask(renditions(6, 3), [], CONFIG, PairConfig(pairs=4))
    values, clique = task.batch(5)
    assert values.shape == (8, 8, 20)
    assert clique.reshape(4, 2).diff(dim=1).abs().sum() == 0
    assert len(set(clique.tolist())) == 4
    assert torch.equal(values, task.batch(5)[0])
    assert not torch.equal(values, task.batch(6)[0])


def test_it_learns_and_comes_back_from_its_checkpoint(tmp_path: Path) -> None:
    held_out = renditions(5, 2, seed=1)
    done = train_cliques(renditions(12, 3), held_out, CONFIG, PairConfig(pairs=6), tmp_path)
    assert np.mean(done.losses[-5:]) < 0.7 * done.losses[0]
    model = Model.load(done.checkpoint)
    assert model.config == CONFIG
    again = train_cliques(renditions(12, 3), held_out, CONFIG, PairConfig(pairs=6), tmp_path)  # nothing is left to do
    assert again.history == done.history


def test_a_tune_on_both_sides_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="learned from and held out"):
        train_cliques(renditions(4, 2), renditions(1, 2), CONFIG, PairConfig(), tmp_path)


def test_tunes_of_one_rendition_teach_nothing() -> None:
    with pytest.raises(InputError, match="at least two"):
        CliqueTask(renditions(5, 1), [], CONFIG, PairConfig())


def test_average_precision_of_covers_by_hand() -> None:
    asked = [Rendition(name, name[0], np.zeros((1, 1), np.float32)) for name in ("a1", "a2", "b1", "b2", "c1")]
    line = np.array([[0.0], [1.0], [1.5], [9.0], [1.2]])
    # a1 finds a2 first; a2 has c1, b1 before a1; b1 has c1, a2, a1 before b2; b2 finds b1 first
    assert cover_report(line, asked).map.value == pytest.approx((1 + 1 / 3 + 1 / 4 + 1) / 4)
    assert report_of(np.abs(line - line.T), asked).queries == 4  # a tune of one recording asks for nothing
