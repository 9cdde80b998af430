"""Checkpoint + windows -> embeddings.

A checkpoint is two files of one stem: NAME.safetensors (the weights) and NAME.json (format version, the
``ModelConfig`` that made them, facts about the training). Never a pickle: nothing in it can run.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors import torch as tensors
from torch import nn

from humfind.config import ModelConfig, from_dict, require_sane, to_dict
from humfind.encoders import build
from humfind.encoders.resnet1d import Folded, ResNet1d, embed_batches
from humfind.melody.contour import channel_count
from humfind.runtime.files import atomic_write, atomic_write_json, read_json, require_regular_file, require_stored
from humfind.types import Embeddings, InputError, Windows

FORMAT_VERSION = 1
LARGEST = 1e12  # of a weight's size; beyond, sums of products overflow
BATCH = 32  # windows at a time, always: the last bits of a sum depend on how many are summed together


def input_channels(config: ModelConfig) -> int:
    """Channels of the windows that this model reads."""
    if config.train.features == "spectrogram":
        return config.spectrogram.bands
    return channel_count(config.contour)


@dataclass(frozen=True)
class Model:
    """A trained encoder and the configuration that made it.

    facts: what the checkpoint tells about its training (steps, best validation MRR, seed, versions ...).
    checksum: sha256 of the weights and of the configuration as first written; an index built with it belongs
    to this model.
    """

    config: ModelConfig
    network: ResNet1d
    facts: Mapping[str, Any] = field(default_factory=dict)
    checksum: str = ""

    def __post_init__(self) -> None:
        self.network.eval()
        if not self.checksum:
            object.__setattr__(self, "checksum", _checksum(_weights(self.network), to_dict(self.config)))

    def held_out(self, music_ids: Collection[str]) -> tuple[str, ...]:
        """Those of a data set's songs that its training held out, as the checkpoint says; of a model that the package
        ships, all, since it learned from no data set. Raises InputError where the checkpoint does not say, and where
        it was trained on other songs."""
        if self.facts.get("corpus"):
            return tuple(sorted(music_ids))
        sides = self.facts.get("music_ids")
        if not isinstance(sides, dict) or not isinstance(sides.get("validation"), list):
            raise InputError("model: does not say which songs its training held out; train it again with this version")
        found = tuple(sorted(set(sides["validation"]) & set(music_ids)))
        if not found:
            mend = "give the model of this data set"
            raise InputError(f"model: its training held out none of these songs, so it was trained on others; {mend}")
        return found

    @cached_property
    def _folded(self) -> Folded:
        return Folded(self.network)

    def embed(self, windows: Windows) -> Embeddings:
        """(n, channels, frames) -> (n, embedding_dim); a window gives the same bytes alone and among others."""
        return self.embed_many([windows])[0]

    def embed_many(self, many: Sequence[Windows]) -> list[Embeddings]:
        """One result a recording; small recordings share a batch, which is what makes it quick."""
        if not many:
            return []
        expected = input_channels(self.config)
        for windows in many:
            if windows.values.shape[1] != expected:
                raise ValueError(f"windows have {windows.values.shape[1]} channels, the model reads {expected}")
        device = next(self.network.parameters()).device
        values = torch.from_numpy(np.concatenate([windows.values for windows in many])).to(device)
        vectors = embed_batches(self._folded, values, BATCH).cpu().numpy()
        if not np.isfinite(vectors).all():
            raise InputError("model: its embeddings are no numbers; train again, with a smaller learning rate")
        ends = np.cumsum([len(windows) for windows in many])
        return [Embeddings(part) for part in np.split(vectors, ends[:-1])]

    def save(self, path: Path) -> None:
        """NAME.safetensors and NAME.json; each is written aside and renamed. Raises InputError where ``load`` would."""
        path = Path(path)
        require_sane(from_dict(ModelConfig, to_dict(self.config), f"{path}: config"), f"{path}: config")
        _require_finite(path, self.network.state_dict())
        path.parent.mkdir(parents=True, exist_ok=True)
        about = {
            "format_version": FORMAT_VERSION,
            "checksum": self.checksum,
            "config": to_dict(self.config),
            "training": dict(self.facts),
        }
        atomic_write(path, _weights(self.network))
        atomic_write_json(path.with_suffix(".json"), about)

    @classmethod
    def load(cls, path: Path) -> Model:
        """Raises InputError where a file is missing, cut, of another format, or does not fit the other."""
        path = Path(path)
        if path.suffix != ".safetensors":
            raise InputError(f"{path}: a checkpoint is a .safetensors file (pickles are never read); give that")
        about = _read_about(path.with_suffix(".json"))
        where = f"{path.with_suffix('.json')}: config"
        config = from_dict(ModelConfig, about["config"], where)
        require_sane(config, where)
        weights = _bytes(path)
        try:
            named = tensors.load(weights)
            _require_same_shapes(config, named)
            network = build(config.encoder, input_channels(config))
            network.load_state_dict(named)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        except (safetensors.SafetensorError, KeyError, ValueError) as error:
            mend = "copy it again or train again"
            raise InputError(f"{path}: cut short or not safetensors ({_first_line(error)}); {mend}") from error
        except (RuntimeError, TypeError, OverflowError) as error:
            mend = "take the JSON that was saved with these weights"
            raise InputError(f"{path}: does not fit its JSON ({_first_line(error)}); {mend}") from error
        _require_finite(path, network.state_dict())
        if about["checksum"] != _checksum(weights, about["config"]):
            raise InputError(f"{path}: not the weights that its JSON was saved with; copy both files again")
        return cls(config, network, about["training"], about["checksum"])


def _weights(network: nn.Module) -> bytes:
    state = {name: value.detach().cpu().contiguous() for name, value in network.state_dict().items()}
    return tensors.save(state)


def _checksum(weights: bytes, config: dict[str, Any]) -> str:
    digest = hashlib.sha256(weights)
    digest.update(json.dumps(config, sort_keys=True).encode())
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _read_about(path: Path) -> dict[str, Any]:
    try:
        about = read_json(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: missing; a checkpoint needs its JSON beside the weights") from error
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: not JSON ({error}); copy it again") from error
    version = about.get("format_version") if isinstance(about, dict) else None
    if version != FORMAT_VERSION:
        raise InputError(f"{path}: format version {version}, this humfind reads {FORMAT_VERSION}; train again")
    missing = [name for name in ("checksum", "config", "training") if name not in about]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; copy it again")
    kinds = {"checksum": str, "config": dict, "training": dict}
    wrong = [name for name, kind in kinds.items() if not isinstance(about[name], kind)]
    if wrong:
        raise InputError(f"{path}: {wrong[0]} is {about[wrong[0]]!r:.40}; copy it again")
    return about


def _bytes(path: Path) -> bytes:
    try:
        require_regular_file(path)
        with path.open("rb") as file:
            require_stored(file)
            return file.read()
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; train first, or check the path") from error
    except MemoryError as error:
        raise InputError(f"{path}: larger than the memory; copy it again, or raise ulimit -v") from error


def _require_finite(path: Path, weights: Mapping[str, torch.Tensor]) -> None:
    """Raises InputError for weights with which no embedding is a number: what a training that diverged leaves."""
    for name, values in weights.items():
        low, high = (-LARGEST, LARGEST) if not name.endswith("running_var") else (0.0, LARGEST)
        if values.numel() and not (low <= values.min().item() and values.max().item() <= high):
            raise InputError(f"{path}: {name} holds NaN or huge numbers; train again, with a smaller learning rate")


def _require_same_shapes(config: ModelConfig, weights: Mapping[str, torch.Tensor]) -> None:
    """The network of ``config`` has these tensors, before any memory is spent on it. Raises RuntimeError."""
    if not 1 <= sum(config.encoder.blocks) <= len(weights):
        raise RuntimeError(f"{sum(config.encoder.blocks)} blocks of {len(weights)} tensors")
    with torch.device("meta"):
        wanted = build(config.encoder, input_channels(config)).state_dict()
    for name in sorted(set(wanted) | set(weights)):
        there, asked = (list(state[name].shape) if name in state else "missing" for state in (weights, wanted))
        if there != asked:
            raise RuntimeError(f"{name}: {there}, by its JSON {asked}")
