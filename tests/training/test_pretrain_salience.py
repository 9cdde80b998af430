"""The salience network's clips, targets and training, in little."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from humfind.audio import harmonics
from humfind.f0.salience import NONE, SalienceNet
from humfind.synth.melody import Notes
from humfind.training import pretrain_salience as pretrain
from humfind.training.loop import fit

STARTS = np.arange(60, dtype=np.float32) * np.float32(0.4)
PITCHES = np.array([60, 62, 64, 67, 65, 64] * 10, np.float32)
TUNE = Notes(STARTS, STARTS + np.float32(0.35), PITCHES)


@pytest.fixture
def small(monkeypatch):
    for name, value in {"SHARD": 3, "BATCH": 2, "FRAMES": 60, "VALIDATED": 1, "CLIP_S": 6.0}.items():
        monkeypatch.setattr(pretrain, name, value)


def test_a_target_is_the_pitchs_bin_or_none():
    wanted = pretrain.targets(torch.tensor([69.0, 60.5, 0.0, 20.0]))
    assert wanted.argmax(dim=1)[:1].tolist() == [99]
    assert wanted[1, 73:75].tolist() == pytest.approx([wanted[1, 73].item()] * 2), "between two"
    assert wanted.argmax(dim=1)[2:].tolist() == [NONE, NONE], "a rest, and a pitch below all"
    assert wanted.sum(dim=1).tolist() == pytest.approx([1.0] * 4)


def test_clips_are_the_same_each_time_and_a_batch_moves_sound_and_pitch_alike(small, tmp_path):
    folders = [tmp_path / name for name in "ab"]
    for folder in folders:
        folder.mkdir()
    one, two = (pretrain.make_clips([TUNE], 3, folder) for folder in folders)
    assert one.read_bytes() == two.read_bytes()
    clips = pretrain.Clips.read([one])
    assert clips.spectra.shape[2:] == (2, harmonics.ROWS)
    assert 0.4 < (clips.pitch > 0).mean() < 1
    values, wanted = pretrain.batch_of(clips, [0, 0])
    again, _ = pretrain.batch_of(clips, [0, 0])
    assert torch.equal(values, again)
    assert values.shape == (2, harmonics.CHANNELS, 60, harmonics.BINS)
    sure = wanted[..., :NONE].sum(dim=-1) > 0.9
    own = (values[:, 2] * wanted[..., :NONE]).sum(dim=-1)[sure].mean()  # the fundamental, by the long window
    assert own > values[:, 2].mean() + 0.3, "where the target is, there is sound"


def test_a_training_gets_better_and_its_weights_are_the_networks(small, tmp_path):
    clips = pretrain.Clips.read([pretrain.make_clips([TUNE], 0, tmp_path)])
    config = replace(pretrain.CONFIG, steps=8, validate_every=4)
    result = fit(pretrain.SalienceTask(clips, clips, config), config, tmp_path / "model")
    assert result.losses[-1] < result.losses[0] - 0.3
    assert [set(row) for row in result.history] == [{"step", "loss", "likelihood"}] * 2
    SalienceNet().load_state_dict(load_file(result.checkpoint))
