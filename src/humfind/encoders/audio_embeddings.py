"""A recording -> one vector, by networks of others: EnCodec, Wav2Clip, wav2vec2, wav2vec2-BERT.

None of them comes with this project: what to install, and where its weights are to be put, each says itself. Of what a
network makes of every moment the mean is taken.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from humfind.types import Floats, InputError, did_you_mean


@dataclass(frozen=True)
class AudioEmbedding:
    """rate_hz: that the network reads. moments: samples (n,) -> (moments, d)."""

    name: str
    rate_hz: int
    moments: Callable[[Tensor], Tensor]

    def embed(self, samples: Floats) -> Floats:
        """(n,) at ``rate_hz`` -> (d,)."""
        with torch.inference_mode():
            vector: Floats = self.moments(torch.from_numpy(samples)).mean(dim=0).float().numpy()
        return vector


def load(name: str, weights: Path) -> AudioEmbedding:
    """weights: a folder in the form of Hugging Face (config.json, model.safetensors), of Wav2Clip a file. Raises
    InputError where the package or the weights are missing."""
    makers = {"encodec": encodec, "wav2vec2": wav2vec2, "wav2vec2-bert": wav2vec2_bert, "wav2clip": wav2clip}
    if name not in makers:
        known = list(makers)
        raise InputError(f"{name}: no such network; choose one of {', '.join(known)}{did_you_mean(name, known)}")
    if not weights.exists():
        raise InputError(f"{name}: {weights} is not there; download the network's weights, and name their place")
    if name == "wav2clip":
        return wav2clip(_state(weights))
    kind = {"encodec": "EncodecModel", "wav2vec2": "Wav2Vec2Model", "wav2vec2-bert": "Wav2Vec2BertModel"}[name]
    made_for = _package("transformers", part=kind)
    try:
        model = made_for.from_pretrained(weights, local_files_only=True, use_safetensors=True)
    except (OSError, ValueError) as error:
        line = str(error).strip().splitlines()[0]
        raise InputError(f"{name}: {weights} has no such weights ({line:.100}); give its folder") from error
    made: AudioEmbedding = makers[name](model)
    return made


def encodec(model: Any) -> AudioEmbedding:
    """model: an ``EncodecModel``; what its encoder makes before it is quantised."""
    return AudioEmbedding(
        "encodec",
        int(model.config.sampling_rate),
        lambda samples: model.eval().encoder(samples.expand(1, model.config.audio_channels, -1))[0].T,
    )


def wav2vec2(model: Any) -> AudioEmbedding:
    """model: a ``Wav2Vec2Model``; its last hidden state, of sound at mean 0 and deviation 1."""

    def moments(samples: Tensor) -> Tensor:
        scaled = (samples - samples.mean()) / (samples.std() + 1e-7)
        found: Tensor = model.eval()(scaled[None]).last_hidden_state[0]
        return found

    return AudioEmbedding("wav2vec2", 16_000, moments)


def wav2vec2_bert(model: Any) -> AudioEmbedding:
    """model: a ``Wav2Vec2BertModel``; its last hidden state, of the log-mel frames that it was made for."""
    read = _package("transformers", part="SeamlessM4TFeatureExtractor")()

    def moments(samples: Tensor) -> Tensor:
        values = read(samples.numpy(), sampling_rate=16_000, return_tensors="pt")
        found: Tensor = model.eval()(**values).last_hidden_state[0]
        return found

    return AudioEmbedding("wav2vec2-bert", 16_000, moments)


def wav2clip(state: dict[str, Tensor] | None) -> AudioEmbedding:
    """state: of its checkpoint; None: weights drawn at random."""
    model = _package("wav2clip.model.encoder", "wav2clip torchaudio", "ResNetExtractor")(checkpoint=state)
    return AudioEmbedding("wav2clip", 16_000, lambda samples: model.eval()(samples[None]))


def _state(weights: Path) -> dict[str, Tensor]:
    try:
        found: dict[str, Tensor] = torch.load(weights, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its reader does
        raise InputError(f"wav2clip: {weights} cannot be read ({error!s:.80}); download it again") from error
    if not any(name.startswith("audio_encoder") for name in found):
        raise InputError(f"wav2clip: {weights} has no audio encoder; give Wav2CLIP.pt")
    return found


def _package(name: str, install: str = "", part: str = "") -> Any:
    """A module, or a part of it, which may be imported only when it is asked for."""
    try:
        module = import_module(name)
        return getattr(module, part) if part else module
    except ImportError as error:
        raise InputError(f"{name}: the package is missing; pip install {install or name}") from error
    except OSError as error:  # a library of it that was made for another torch
        raise InputError(f"{name}: cannot be loaded ({error!s:.100}); install what fits this torch") from error
