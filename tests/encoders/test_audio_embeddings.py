"""Networks of others: with random weights where their packages are installed, and what is said where they are not."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from humfind.encoders import audio_embeddings
from humfind.encoders.audio_embeddings import AudioEmbedding, load
from humfind.types import InputError

SAMPLES = np.sin(np.arange(32_000) / 20).astype(np.float32)


def test_a_vector_is_the_mean_of_its_moments():
    network = AudioEmbedding("halves", 16_000, lambda samples: samples.reshape(2, -1))
    assert np.allclose(network.embed(np.arange(6, dtype=np.float32)), [1.5, 2.5, 3.5])


def test_what_is_missing_is_said(tmp_path, monkeypatch):
    with pytest.raises(InputError, match="wav2vec: no such network; choose one of encodec, wav2vec2"):
        load("wav2vec", tmp_path)
    with pytest.raises(InputError, match="is not there; download the network's weights"):
        load("encodec", tmp_path / "none")
    monkeypatch.setitem(sys.modules, "transformers", None)
    monkeypatch.setitem(sys.modules, "wav2clip.model.encoder", None)
    with pytest.raises(InputError, match="transformers: the package is missing; pip install transformers"):
        load("encodec", tmp_path)
    with pytest.raises(InputError, match="cannot be read"):
        load("wav2clip", tmp_path)
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(InputError, match="has no audio encoder"):
        load("wav2clip", tmp_path / "other.pt")
    torch.save({"audio_encoder.conv1.weight": torch.zeros(1)}, tmp_path / "w.pt")
    with pytest.raises(InputError, match="the package is missing; pip install wav2clip torchaudio"):
        load("wav2clip", tmp_path / "w.pt")


def networks() -> dict[str, object]:
    """Small ones, weights drawn at random."""
    transformers = pytest.importorskip("transformers")
    try:
        _ = transformers.Wav2Vec2BertModel
    except (ImportError, OSError):
        pytest.skip("transformers cannot be loaded: torchaudio does not fit this torch")
    small = {"hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    return {
        "encodec": transformers.EncodecModel(transformers.EncodecConfig(num_filters=4)),
        "wav2vec2": transformers.Wav2Vec2Model(
            transformers.Wav2Vec2Config(
                **small, conv_dim=(16, 16), conv_stride=(5, 4), conv_kernel=(10, 8), num_feat_extract_layers=2
            )
        ),
        "wav2vec2-bert": transformers.Wav2Vec2BertModel(transformers.Wav2Vec2BertConfig(**small)),
    }


@pytest.mark.parametrize(("name", "size"), [("encodec", 128), ("wav2vec2", 32), ("wav2vec2-bert", 32)])
def test_adapters_read_what_was_saved(tmp_path: Path, name: str, size: int):
    """Saved and loaded, the vector is that of the model in memory, and another sound has another."""
    torch.manual_seed(0)
    model = networks()[name]
    model.save_pretrained(tmp_path)  # type: ignore[attr-defined]
    found = load(name, tmp_path).embed(SAMPLES)
    assert found.shape == (size,)
    assert found.dtype == np.float32
    same = getattr(audio_embeddings, name.replace("-", "_"))(model).embed(SAMPLES)
    assert np.allclose(found, same, atol=1e-5)
    assert not np.array_equal(found, load(name, tmp_path).embed(SAMPLES[::-1].copy() ** 3))
    (tmp_path / "model.safetensors").unlink()
    with pytest.raises(InputError, match="has no such weights"):
        load(name, tmp_path)


def test_wav2clip_reads_what_was_saved(tmp_path: Path):
    pytest.importorskip("wav2clip")
    try:
        encoder = importlib.import_module("wav2clip.model.encoder")
    except (ImportError, OSError):
        pytest.skip("torchaudio does not fit this torch")
    torch.manual_seed(0)
    state = {f"audio_encoder.{name}": value for name, value in encoder.ResNetExtractor().encoder.state_dict().items()}
    torch.save(state, tmp_path / "Wav2CLIP.pt")
    found = load("wav2clip", tmp_path / "Wav2CLIP.pt").embed(SAMPLES)
    assert found.shape == (512,)
    assert np.allclose(found, load("wav2clip", tmp_path / "Wav2CLIP.pt").embed(SAMPLES))
