"""Words and music in one space (Won et al. 2020): a tower for tags, one for how a track sounds, one for who it stands
with. Distances are of cosines.

The acoustic tower is a short-chunk CNN over log-mel chunks (Won et al., "Evaluation of CNN-based automatic music
tagging models", SMC 2020), or dense layers over what ``humfind.encoders.sound`` hears.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as f

from humfind.config import TagModelConfig, from_dict, to_dict
from humfind.encoders.checkpoint import Checkpoint
from humfind.types import Floats, InputError

KIND = "tags"
BATCH = 256
WORDS = "word_vectors"  # of the tensors in a checkpoint


def dense(size: int, config: TagModelConfig) -> nn.Sequential:
    """A tower of two layers."""
    return nn.Sequential(
        nn.Linear(size, config.hidden), nn.ReLU(), nn.Dropout(config.dropout), nn.Linear(config.hidden, config.dim)
    )


class ShortChunkCnn(nn.Module):
    """Chunks of log-mel, (n, frames, bands) -> (n, dim)."""

    def __init__(self, config: TagModelConfig) -> None:
        super().__init__()
        c = config.channels
        layers: list[nn.Module] = [nn.BatchNorm2d(1)]
        widths = [1, c, c, 2 * c, 2 * c, 2 * c, 2 * c, 4 * c]
        for before, after in pairwise(widths):  # seven, each of which halves bands and frames
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)]
        self.layers = nn.Sequential(*layers)
        self.out = dense(4 * c, config)

    def forward(self, chunks: Tensor) -> Tensor:
        found: Tensor = self.out(self.layers(chunks.transpose(1, 2)[:, None]).amax(dim=(2, 3)))
        return found


class TagNetwork(nn.Module):
    """sizes: numbers of a word's vector, of a track's sound (0: chunks for the CNN) and of its culture."""

    def __init__(self, config: TagModelConfig, sizes: Mapping[str, int]) -> None:
        super().__init__()
        self.config = config
        self.word_tower = dense(sizes["word"], config)
        if config.song != "cf":
            self.acoustic = dense(sizes["sound"], config) if config.acoustic == "musicnn" else ShortChunkCnn(config)
        if config.song != "spec":
            self.cultural = dense(sizes["culture"], config)
        if config.song == "hybrid":
            self.joined = nn.Linear(2 * config.dim, config.dim)
        if config.song == "gated":
            self.gate = nn.Linear(2 * config.dim, config.dim)

    def words(self, vectors: Tensor) -> Tensor:
        """(n, word) -> (n, dim) of length 1."""
        return f.normalize(self.word_tower(vectors), dim=1)

    def songs(self, sound: Tensor, culture: Tensor) -> Tensor:
        """sound: (n, sound), or (n, chunks, frames, bands) for the CNN, of which the mean over chunks counts. culture:
        (n, culture). -> (n, dim) of length 1. What the configuration does not use may be empty."""
        parts = []
        if self.config.song != "cf":
            if self.config.acoustic == "musicnn":
                parts.append(self.acoustic(sound))
            else:
                parts.append(self.acoustic(sound.flatten(0, 1)).unflatten(0, sound.shape[:2]).mean(dim=1))
        if self.config.song != "spec":
            parts.append(self.cultural(culture))
        if self.config.song == "hybrid":
            found = self.joined(f.relu(torch.cat(parts, dim=1)))
        elif self.config.song == "gated":  # each number from the tower that knows better
            parts = [f.normalize(part, dim=1) for part in parts]
            share = torch.sigmoid(self.gate(torch.cat(parts, dim=1)))
            found = share * parts[0] + (1 - share) * parts[1]
        else:
            found = parts[0]
        return f.normalize(found, dim=1)


@dataclass(frozen=True)
class TagModel:
    """A trained network and the tags that it knows. category: tag -> category, in the order of word_vectors."""

    config: TagModelConfig
    network: TagNetwork
    category: Mapping[str, str]
    word_vectors: Floats
    sizes: Mapping[str, int]
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network.eval()

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(self.category)

    @cached_property
    def tag_embeddings(self) -> Floats:
        """(tags, dim) of length 1."""
        return self.embed_words(self.word_vectors)

    def embed_words(self, vectors: Floats) -> Floats:
        """(n, word) -> (n, dim)."""
        with torch.inference_mode():
            found: Floats = self.network.words(torch.from_numpy(vectors)).numpy()
        return found

    def embed_songs(self, sound: Floats, culture: Floats) -> Floats:
        """As ``TagNetwork.songs``, a batch at a time."""
        batch = BATCH if self.config.acoustic == "musicnn" else 8
        count = max(len(sound), len(culture))
        rows = []
        with torch.inference_mode():
            for at in range(0, count, batch):
                part = (torch.from_numpy(np.ascontiguousarray(one[at : at + batch])) for one in (sound, culture))
                rows.append(self.network.songs(*part).numpy())
        return np.concatenate(rows)

    def scores(self, songs: Floats) -> Floats:
        """(n, dim) -> (n, tags): cosines."""
        found: Floats = songs @ self.tag_embeddings.T
        return found

    def save(self, path: Path) -> None:
        """NAME.safetensors and NAME.json."""
        config = {"model": to_dict(self.config), "category": dict(self.category), "sizes": dict(self.sizes)}
        tensors = dict(self.network.state_dict()) | {WORDS: torch.from_numpy(np.ascontiguousarray(self.word_vectors))}
        Checkpoint(KIND, config, tensors, self.facts).save(path)

    @classmethod
    def load(cls, path: Path) -> TagModel:
        """Raises InputError where a file is missing, cut, of another kind, or does not fit the other."""
        found = Checkpoint.load(path, KIND)
        where = f"{Path(path).with_suffix('.json')}: config"
        try:
            config = from_dict(TagModelConfig, found.config["model"], where)
            sizes = {name: int(found.config["sizes"][name]) for name in ("word", "sound", "culture")}
            category = {str(tag): str(kind) for tag, kind in found.config["category"].items()}
            weights = dict(found.tensors)
            words = weights.pop(WORDS).numpy()
            _require_small(config, sizes, weights)
            network = TagNetwork(config, sizes)
            network.load_state_dict(weights)
        except InputError:
            raise
        except (KeyError, TypeError, ValueError, AttributeError, RuntimeError) as error:
            raise InputError(f"{path}: does not fit its JSON ({str(error).splitlines()[0]}); train it again") from error
        if words.shape != (len(category), sizes["word"]) or not np.isfinite(words).all():
            raise InputError(f"{path}: not a vector a tag; train it again")
        return cls(config, network, category, words, sizes, found.facts)


def _require_small(config: TagModelConfig, sizes: Mapping[str, int], weights: Mapping[str, Tensor]) -> None:
    """The network has these tensors, before any memory is spent on it. Raises RuntimeError."""
    with torch.device("meta"):
        wanted = TagNetwork(config, sizes).state_dict()
    for name in sorted(set(wanted) | set(weights)):
        there, asked = (list(state[name].shape) if name in state else "missing" for state in (weights, wanted))
        if there != asked:
            raise RuntimeError(f"{name}: {there}, by its JSON {asked}")
        if weights[name].is_floating_point() and not torch.isfinite(weights[name]).all():
            raise RuntimeError(f"{name} holds NaN or infinity")
