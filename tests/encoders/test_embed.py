from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from humfind.config import ContourConfig, ModelConfig, ResNet1dConfig
from humfind.encoders import build
from humfind.encoders.checkpoint import ENCODER, Checkpoint, Model, input_shape
from humfind.types import InputError, Windows

CONFIG = ModelConfig(encoder=ResNet1dConfig(widths=(4, 8), blocks=(1, 1), kernel=3, embedding_dim=6))


def windows(n: int, seed: int = 0, channels: int = 2) -> Windows:
    values = np.random.default_rng(seed).standard_normal((n, channels, 50)).astype(np.float32)
    one = np.ones(n, np.float32)
    return Windows(values, one, one, one, one)


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    return Model(CONFIG, build(CONFIG.encoder, input_shape(CONFIG)), {"steps": 7})


@pytest.fixture
def saved(model: Model, tmp_path: Path) -> Path:
    model.save(tmp_path / "run" / "model.safetensors")
    return tmp_path / "run" / "model.safetensors"


def test_what_is_saved_comes_back(model: Model, saved: Path) -> None:
    back = Model.load(saved)
    assert (back.config, back.checksum, back.facts) == (model.config, model.checksum, {"steps": 7})
    assert np.array_equal(back.embed(windows(5)).vectors, model.embed(windows(5)).vectors)
    assert sorted(path.name for path in saved.parent.iterdir()) == ["model.json", "model.safetensors"]


def test_checksum_tells_weights_and_config_apart_but_not_runs(model: Model) -> None:
    torch.manual_seed(1)
    other_weights = Model(CONFIG, build(CONFIG.encoder, input_shape(CONFIG)))
    other_config = Model(replace(CONFIG, contour=ContourConfig(song_hop_s=0.5)), model.network)
    again = Model(CONFIG, model.network, {"steps": 8})
    assert again.checksum == model.checksum
    assert len({model.checksum, other_weights.checksum, other_config.checksum}) == 3


def test_many_recordings_at_once_or_one_by_one(model: Model) -> None:
    many = [windows(n, seed=n) for n in (1, 40, 3)]
    together = model.embed_many(many)
    assert [len(part) for part in together] == [1, 40, 3]
    for part, alone in zip(together, many, strict=True):
        assert np.array_equal(part.vectors, model.embed(alone).vectors)
    assert model.embed_many([]) == []


def test_input_shape_follow_the_features() -> None:
    control = replace(CONFIG, features="spectrogram")
    assert input_shape(CONFIG) == (2, 200)
    assert input_shape(replace(CONFIG, contour=ContourConfig(voicing_channel=False))) == (1, 200)
    assert input_shape(control) == (control.spectrogram.bands, 200)


def test_windows_of_another_kind_are_refused(model: Model) -> None:
    with pytest.raises(ValueError, match="48 channels"):
        model.embed(windows(2, channels=48))


def test_missing_files_say_so(saved: Path) -> None:
    saved.with_suffix(".json").rename(saved.parent / "elsewhere.json")
    with pytest.raises(InputError, match="JSON next to"):
        Model.load(saved)
    (saved.parent / "elsewhere.json").rename(saved.with_suffix(".json"))
    saved.unlink()
    with pytest.raises(InputError, match="no such file"):
        Model.load(saved)


def test_a_cut_file_says_so(saved: Path) -> None:
    whole = saved.read_bytes()
    for length in (0, 4, len(whole) // 2, len(whole) - 1):
        saved.write_bytes(whole[:length])
        with pytest.raises(InputError, match="cut short"):
            Model.load(saved)


def test_a_pickle_is_never_opened(saved: Path, tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple:
            return (Path.touch, (tmp_path / "exploded",))

    saved.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(InputError, match="not safetensors"):
        Model.load(saved)
    with pytest.raises(InputError, match="pickles are never read"):
        Model.load(tmp_path / "model.ckpt")
    assert not (tmp_path / "exploded").exists()


def test_json_of_another_network_or_format_is_refused(model: Model, saved: Path, tmp_path: Path) -> None:
    model.save(tmp_path / "twin.safetensors")
    path = saved.with_suffix(".json")
    about = json.loads(path.read_text())
    wider = json.loads(path.read_text())
    wider["config"]["encoder"]["embedding_dim"] = 7
    path.write_text(json.dumps(wider))
    with pytest.raises(InputError, match="not the weights that its JSON was saved with"):
        Model.load(saved)
    forged = replace(Checkpoint.load(tmp_path / "twin.safetensors", ENCODER), config=wider["config"], checksum="")
    forged.save(tmp_path / "forged.safetensors")  # a checksum that fits, of a network that does not
    with pytest.raises(InputError, match="does not fit"):
        Model.load(tmp_path / "forged.safetensors")
    path.write_text(json.dumps(about | {"format_version": 99}))
    with pytest.raises(InputError, match="format version 99"):
        Model.load(saved)
    path.write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        Model.load(saved)
    about["config"]["contour"]["query_hop_s"] = 3.0
    path.write_text(json.dumps(about))
    with pytest.raises(InputError, match="not the weights"):
        Model.load(saved)
