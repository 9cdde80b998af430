"""musicnn: sound -> 200 numbers and 50 tags every three seconds, with the weights of the musicnn package.

Pons and Serra, "musicnn: pre-trained convolutional neural networks for music audio tagging", late-breaking at ISMIR
2019; Pons et al., "End-to-end learning for music audio tagging at scale", ISMIR 2018. The package itself is not
imported: it asks for TensorFlow, and its weights are read without (``runtime.tensor_bundle``).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as f

from humfind.runtime import tensor_bundle
from humfind.types import InputError

RATE_HZ, FFT, HOP, BANDS = 16_000, 512, 256, 96  # of the spectrogram that it reads
FRAMES = 187  # of a segment: three seconds
SEGMENT_S = FRAMES * HOP / RATE_HZ
EPS = 1e-3  # TensorFlow's, of batch normalisation
TIMBRAL, TEMPORAL, MIDDLE = (38, 67), (128, 64, 32), 3  # bands; frames; layers

# The tags that its networks know, by the collection that each learned from, in the order of their outputs.
TAGS: Mapping[str, tuple[str, ...]] = {
    "MSD": (
        "rock", "pop", "alternative", "indie", "electronic", "female vocalists", "dance", "00s", "alternative rock",
        "jazz", "beautiful", "metal", "chillout", "male vocalists", "classic rock", "soul", "indie rock", "mellow",
        "electronica", "80s", "folk", "90s", "chill", "instrumental", "punk", "oldies", "blues", "hard rock", "ambient",
        "acoustic", "experimental", "female vocalist", "guitar", "hip-hop", "70s", "party", "country", "easy listening",
        "sexy", "catchy", "funk", "electro", "heavy metal", "progressive rock", "60s", "rnb", "indie pop", "sad",
        "house", "happy",
    ),
    "MTT": (
        "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano", "ambient",
        "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing", "vocals", "no vocals",
        "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop", "soft", "sitar", "solo",
        "man", "classic", "choir", "voice", "new age", "dance", "male voice", "female vocal", "beats", "harp", "cello",
        "no voice", "weird", "country", "metal", "female voice", "choral",
    ),
}  # fmt: skip


class Musicnn(nn.Module):
    """log-mel segments (n, 187, 96) float32 -> (n, 200): what lies before the tags. collection: MSD, the Million Song
    Dataset with Last.fm's tags, or MTT, MagnaTagATune. output: from there to the log odds of ``tags``. Raises
    InputError where the weights are missing or damaged."""

    def __init__(self, collection: str = "MSD") -> None:
        super().__init__()
        self.tags = TAGS[collection]
        weights = _weights(collection)
        self.input_norm, *norms = (_norm(weights, n) for n in range(len(TIMBRAL) + len(TEMPORAL) + MIDDLE + 1))
        convolutions = [_conv(weights, n) for n in range(len(TIMBRAL) + len(TEMPORAL) + MIDDLE)]
        front = len(TIMBRAL) + len(TEMPORAL)
        self.front, self.front_norms = nn.ModuleList(convolutions[:front]), nn.ModuleList(norms[:front])
        self.middle, self.middle_norms = nn.ModuleList(convolutions[front:]), nn.ModuleList(norms[front:])
        self.pool_norm, self.norm = (_norm(weights, n, nn.BatchNorm1d) for n in (front + 4, front + 5))
        self.dense, self.output = _linear(weights, "dense"), _linear(weights, "dense_1")
        self.eval().requires_grad_(False)

    def forward(self, mel: Tensor) -> Tensor:
        x = self.input_norm(mel[:, None])  # (n, 1, frames, bands)
        seen = torch.cat(list(self._front(x)), dim=1)  # (n, channels, frames)
        features = [seen]
        for layer, norm in zip(self.middle, self.middle_norms, strict=True):
            found = norm(f.relu(layer(features[-1][:, None].transpose(2, 3)))).squeeze(3)
            features.append(found if len(features) == 1 else found + features[-1])
        every = torch.cat(features, dim=1)
        pooled = torch.stack([every.amax(dim=2), every.mean(dim=2)], dim=2).flatten(1)
        vectors: Tensor = self.norm(f.relu(self.dense(self.pool_norm(pooled))))
        return vectors

    def _front(self, x: Tensor) -> Iterator[Tensor]:
        """Each convolution's loudest band: shapes of the spectrum first, then of time."""
        for n, (layer, norm) in enumerate(zip(self.front, self.front_norms, strict=True)):
            if n < len(TIMBRAL):
                padded = f.pad(x, (0, 0, 3, 3))
            else:
                before = (TEMPORAL[n - len(TIMBRAL)] - 1) // 2
                padded = f.pad(x, (0, 0, before, TEMPORAL[n - len(TIMBRAL)] - 1 - before))
            yield norm(f.relu(layer(padded))).amax(dim=3)


def _weights(collection: str) -> dict[str, np.ndarray]:
    mend = "pip install --no-deps musicnn==0.1.0"
    found = find_spec("musicnn")
    if found is None or found.origin is None:
        raise InputError(f"sound: the weights of musicnn are not installed; {mend}")
    folder = Path(found.origin).parent / f"{collection}_musicnn"
    try:
        return tensor_bundle.read(folder / ".index", folder / ".data-00000-of-00001")
    except (OSError, ValueError) as error:
        raise InputError(f"{folder}: not the weights that are known ({error}); {mend}") from error


def _tensor(weights: Mapping[str, np.ndarray], name: str) -> Tensor:
    if name not in weights:
        raise InputError(f"sound: the weights of musicnn lack {name}; pip install --no-deps musicnn==0.1.0")
    return torch.from_numpy(weights[name].copy())


def _conv(weights: Mapping[str, np.ndarray], number: int) -> nn.Conv2d:
    """TensorFlow has (height, width, in, out)."""
    name = f"conv2d_{number}" if number else "conv2d"
    kernel, bias = _tensor(weights, f"{name}/kernel").permute(3, 2, 0, 1), _tensor(weights, f"{name}/bias")
    width = kernel.shape[3]
    middle = number >= len(TIMBRAL) + len(TEMPORAL)
    layer = nn.Conv2d(1, len(bias), (kernel.shape[2], width), padding=(3, 0) if middle else 0)
    layer.load_state_dict({"weight": kernel.contiguous(), "bias": bias})
    return layer


def _norm(
    weights: Mapping[str, np.ndarray], number: int, kind: type[nn.BatchNorm1d] | type[nn.BatchNorm2d] = nn.BatchNorm2d
) -> nn.BatchNorm1d | nn.BatchNorm2d:
    name = f"batch_normalization_{number}" if number else "batch_normalization"
    parts = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
    found = {ours: _tensor(weights, f"{name}/{theirs}") for ours, theirs in parts.items()}
    layer = kind(len(found["bias"]), eps=EPS)
    layer.load_state_dict(found | {"num_batches_tracked": torch.tensor(0)})
    return layer


def _linear(weights: Mapping[str, np.ndarray], name: str) -> nn.Linear:
    kernel, bias = _tensor(weights, f"{name}/kernel").T, _tensor(weights, f"{name}/bias")
    layer = nn.Linear(kernel.shape[1], kernel.shape[0])
    layer.load_state_dict({"weight": kernel.contiguous(), "bias": bias})
    return layer
