"""Checkpoints: two files of one stem. NAME.safetensors holds tensors; NAME.json the format version, the ``kind``, the
configuration, facts about the training, and the ids that training held out for validation.

Never a pickle: nothing in a checkpoint can run. ``Checkpoint`` is the pair of files, whatever its kind; ``Model`` is
the kind "encoder": a network that maps windows to vectors. Tensors named ``loss.…`` are the parameters that the
training's loss learned (the class centres of ArcFace, for example); a model keeps them and does not use them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
import torch
from safetensors import torch as tensors
from torch import Tensor, nn

from humfind.config import ModelConfig, from_dict, require_sane, to_dict
from humfind.encoders import build, encoder_class, for_inference
from humfind.encoders.inference import embed_batches
from humfind.melody.contour import channel_count
from humfind.runtime.files import (
    atomic_write,
    atomic_write_json,
    read_json,
    require_regular_file,
    require_stored,
)
from humfind.types import Embeddings, InputError, Windows

FORMAT_VERSION = 2
ENCODER = "encoder"  # the kind of a Model
LARGEST = 1e12  # of a weight's size; beyond, sums of products overflow
LOSS = "loss."  # prefix of the loss's own tensors
BATCH = 32  # windows at a time, always: the last bits of a sum depend on how many are summed together


@dataclass(frozen=True)
class Checkpoint:
    """kind: what it is of. config: plain JSON values. facts: plain JSON values about the training (steps, best figures,
    versions ...). checksum: sha256 of the tensors and of the configuration as they were first written."""

    kind: str
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    facts: Mapping[str, Any] = field(default_factory=dict)
    checksum: str = ""

    def __post_init__(self) -> None:
        if not self.checksum:
            object.__setattr__(self, "checksum", _checksum(_to_bytes(self.tensors), self.config))

    def save(self, path: Path) -> None:
        """Write NAME.safetensors and NAME.json, each atomically."""
        path = Path(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        about = {
            "format_version": FORMAT_VERSION,
            "kind": self.kind,
            "checksum": self.checksum,
            "config": dict(self.config),
            "training": dict(self.facts),
        }
        atomic_write(path, _to_bytes(self.tensors))
        atomic_write_json(path.with_suffix(".json"), about)

    @classmethod
    def load(cls, path: Path, kind: str) -> Checkpoint:
        """Raises InputError where a file is missing, cut, of another format or kind, or not the other's pair."""
        path = Path(path)
        if path.suffix != ".safetensors":
            raise InputError(f"{path}: a checkpoint is a .safetensors file (pickles are never read); give that")
        about = _read_about(path.with_suffix(".json"))
        if about["kind"] != kind:
            raise InputError(f"{path}: a checkpoint of kind {about['kind']!r:.40}, not {kind}; give another")
        content = _bytes(path)
        try:
            named = tensors.load(content)
        except (safetensors.SafetensorError, KeyError, ValueError) as error:
            mend = "copy it again or train again"
            raise InputError(f"{path}: cut short or not safetensors ({_first_line(error)}); {mend}") from error
        if about["checksum"] != _checksum(content, about["config"]):
            raise InputError(f"{path}: not the weights that its JSON was saved with; copy both files again")
        return cls(kind, about["config"], named, about["training"], about["checksum"])


def input_shape(config: ModelConfig) -> tuple[int, int]:
    """(channels, frames) of the windows that this model reads."""
    frames = round(config.contour.window_s / config.contour.frame_s)
    channels = config.spectrogram.bands if config.features == "spectrogram" else channel_count(config.contour)
    return channels, frames


@dataclass(frozen=True)
class Model:
    """A trained encoder and the configuration that made it.

    facts, checksum: as of a ``Checkpoint``; an index built with this model names its checksum. loss: the parameters
    that the loss learned, by name.
    """

    config: ModelConfig
    network: nn.Module
    facts: Mapping[str, Any] = field(default_factory=dict)
    checksum: str = ""
    loss: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network.eval()
        if not self.checksum:
            object.__setattr__(self, "checksum", self._checkpoint().checksum)

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
    def _fast(self) -> nn.Module:
        return for_inference(self.network)

    def embed(self, windows: Windows) -> Embeddings:
        """(n, channels, frames) -> (n, embedding_dim); a window gives the same bytes alone and among others."""
        return self.embed_many([windows])[0]

    def embed_many(self, many: Sequence[Windows]) -> list[Embeddings]:
        """One result a recording; small recordings share a batch, which makes it faster."""
        if not many:
            return []
        expected = input_shape(self.config)[0]
        for windows in many:
            if windows.values.shape[1] != expected:
                raise ValueError(f"windows have {windows.values.shape[1]} channels, the model reads {expected}")
        device = next(self.network.parameters()).device
        values = torch.from_numpy(np.concatenate([windows.values for windows in many])).to(device)
        vectors = embed_batches(self._fast, values, BATCH).cpu().numpy()
        if not np.isfinite(vectors).all():
            raise InputError("model: its embeddings are no numbers; train again, with a smaller learning rate")
        ends = np.cumsum([len(windows) for windows in many])
        return [Embeddings(part) for part in np.split(vectors, ends[:-1])]

    def save(self, path: Path) -> None:
        """NAME.safetensors and NAME.json, each atomically. Raises InputError where ``load`` would."""
        where = f"{path}: config"
        require_sane(config_from(to_dict(self.config), where), where)
        _require_finite(Path(path), self.network.state_dict())
        self._checkpoint(self.checksum).save(path)

    def _checkpoint(self, checksum: str = "") -> Checkpoint:
        named = dict(self.network.state_dict()) | {LOSS + name: value for name, value in self.loss.items()}
        return Checkpoint(ENCODER, to_dict(self.config), named, self.facts, checksum)

    @classmethod
    def load(cls, path: Path) -> Model:
        """Raises InputError where a file is missing, cut, of another format, or does not fit the other."""
        found = Checkpoint.load(path, ENCODER)
        where = f"{Path(path).with_suffix('.json')}: config"
        config = config_from(found.config, where)
        require_sane(config, where)
        weights = {name: value for name, value in found.tensors.items() if not name.startswith(LOSS)}
        loss = {name.removeprefix(LOSS): value for name, value in found.tensors.items() if name.startswith(LOSS)}
        try:
            _require_same_shapes(config, weights)
            network = build(config.encoder, input_shape(config))
            network.load_state_dict(weights)
        except InputError as error:
            raise InputError(f"{where}: {error}") from error
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            mend = "take the JSON that was saved with these weights"
            raise InputError(f"{path}: does not fit its JSON ({_first_line(error)}); {mend}") from error
        _require_finite(Path(path), network.state_dict())
        return cls(config, network, found.facts, found.checksum, loss)


def config_from(values: Mapping[str, Any], where: str) -> ModelConfig:
    """From plain values; the encoder's own are read by the class that its name means. Raises InputError."""
    encoder = values.get("encoder", {})
    name = encoder.get("name", "") if isinstance(encoder, dict) else ""
    if not isinstance(name, str):
        raise InputError(f"{where}.encoder.name: {name!r:.40} is no name; copy it again")
    own = from_dict(encoder_class(name).Config, encoder, f"{where}.encoder")
    others = {key: value for key, value in values.items() if key != "encoder"}
    return replace(from_dict(ModelConfig, others, where), encoder=own)


def _to_bytes(named: Mapping[str, Tensor]) -> bytes:
    return tensors.save({name: value.detach().cpu().contiguous() for name, value in named.items()})


def _checksum(weights: bytes, config: Mapping[str, Any]) -> str:
    digest = hashlib.sha256(weights)
    digest.update(json.dumps(config, sort_keys=True).encode())
    return digest.hexdigest()


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _read_about(path: Path) -> dict[str, Any]:
    try:
        about = read_json(path)
    except FileNotFoundError as error:
        raise InputError(f"{path}: missing; a checkpoint needs its JSON next to the weights") from error
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: not JSON ({error}); copy it again") from error
    version = about.get("format_version") if isinstance(about, dict) else None
    if version != FORMAT_VERSION:
        raise InputError(f"{path}: format version {version}, this humfind reads {FORMAT_VERSION}; train again")
    kinds = {"kind": str, "checksum": str, "config": dict, "training": dict}
    missing = [name for name in kinds if name not in about]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; copy it again")
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


def _require_same_shapes(config: ModelConfig, weights: Mapping[str, Tensor]) -> None:
    """The network of ``config`` has these tensors, before any memory is spent on it. Raises RuntimeError."""
    blocks = getattr(config.encoder, "blocks", None)  # how long it takes to build even without memory
    if isinstance(blocks, tuple) and not 1 <= sum(blocks) <= len(weights):
        raise RuntimeError(f"{sum(blocks)} blocks of {len(weights)} tensors")
    with torch.device("meta"):
        wanted = build(config.encoder, input_shape(config)).state_dict()
    for name in sorted(set(wanted) | set(weights)):
        there, asked = (list(state[name].shape) if name in state else "missing" for state in (weights, wanted))
        if there != asked:
            raise RuntimeError(f"{name}: {there}, by its JSON {asked}")
