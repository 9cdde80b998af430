"""Metadata of a track -> a vector: dense layers, with batch norm or without (2024 report)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as f

from humfind.config import TrackModelConfig, from_dict, to_dict
from humfind.encoders.checkpoint import LOSS, Checkpoint
from humfind.types import Floats, InputError

KIND = "tracks"


class TrackNetwork(nn.Module):
    """(n, size) -> (n, dim) of length 1."""

    def __init__(self, config: TrackModelConfig, size: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((size, *config.hidden)):
            layers.append(nn.Linear(before, after))
            if config.batch_norm:
                layers.append(nn.BatchNorm1d(after))
            layers.append(nn.ReLU())
        self.layers = nn.Sequential(*layers, nn.Linear((size, *config.hidden)[-1], config.dim))

    def forward(self, values: Tensor) -> Tensor:
        found: Tensor = f.normalize(self.layers(values), dim=1)
        return found


@dataclass(frozen=True)
class TrackModel:
    """A trained network, the columns that it reads, and what its loss learned (the middles of the classes)."""

    config: TrackModelConfig
    network: TrackNetwork
    columns: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)
    loss: Mapping[str, Tensor] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.network.eval()

    def embed(self, values: Floats) -> Floats:
        """(n, columns) -> (n, dim)."""
        with torch.inference_mode():
            found: Floats = self.network(torch.from_numpy(np.ascontiguousarray(values))).numpy()
        return found

    def save(self, path: Path) -> None:
        """NAME.safetensors and NAME.json."""
        named = dict(self.network.state_dict()) | {LOSS + name: value for name, value in self.loss.items()}
        config = {"model": to_dict(self.config), "columns": list(self.columns)}
        Checkpoint(KIND, config, named, self.facts).save(path)

    @classmethod
    def load(cls, path: Path) -> TrackModel:
        """Raises InputError where a file is missing, cut, of another kind, or does not fit the other."""
        found = Checkpoint.load(path, KIND)
        where = f"{Path(path).with_suffix('.json')}: config"
        try:
            config = from_dict(TrackModelConfig, found.config["model"], where)
            columns = tuple(str(name) for name in found.config["columns"])
            weights = {name: value for name, value in found.tensors.items() if not name.startswith(LOSS)}
            loss = {name.removeprefix(LOSS): value for name, value in found.tensors.items() if name.startswith(LOSS)}
            with torch.device("meta"):
                wanted = {name: value.shape for name, value in TrackNetwork(config, len(columns)).state_dict().items()}
            if {name: value.shape for name, value in weights.items()} != wanted:
                raise RuntimeError("other layers")
            network = TrackNetwork(config, len(columns))
            network.load_state_dict(weights)
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise InputError(f"{path}: does not fit its JSON ({str(error).splitlines()[0]}); train it again") from error
        return cls(config, network, columns, found.facts, loss)
