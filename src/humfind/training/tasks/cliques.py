"""Several renditions of a tune (a cover clique) -> an encoder in which they lie together (2017 report).

Cliques are split, never renditions. Validation asks each rendition that was held out for the others of its clique.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.spatial.distance import cdist
from torch import Tensor, nn

from humfind.config import ModelConfig
from humfind.encoders import build
from humfind.encoders.checkpoint import Model, input_shape
from humfind.encoders.inference import embed_any_length
from humfind.metrics import SetReport, set_report
from humfind.training.loop import HistoryRow, Training, config_of, fit
from humfind.training.losses import PairLoss
from humfind.types import Floats, InputError

MAP_AT = 10  # k of the figures beside MAP


@dataclass(frozen=True)
class Rendition:
    """name: its own. clique: the tune's. values: (channels, frames) float32, as the encoder reads it."""

    name: str
    clique: str
    values: Floats


@dataclass(frozen=True)
class PairConfig:
    """Of ``PairLoss``, and how many pairs a batch has."""

    threshold: float = 1.0
    weight: float = 1.0
    inverse: bool = False
    entropy: float = 0.0
    pairs: int = 10


class CliqueTask:
    """learned, held_out: renditions of different cliques. A batch: ``pairs.pairs`` cliques, two renditions of each, cut
    anew to the model's window."""

    score = "validation_map"

    def __init__(
        self,
        learned: Sequence[Rendition],
        held_out: Sequence[Rendition],
        config: ModelConfig,
        pairs: PairConfig,
        start: Model | None = None,
    ) -> None:
        """start: weights to go on from, in place of random ones."""
        self.learned, self.held_out, self.model_config, self.pairs = learned, held_out, config, pairs
        by_clique: dict[str, list[int]] = {}
        for row, one in enumerate(learned):
            by_clique.setdefault(one.clique, []).append(row)
        self.cliques = [rows for _, rows in sorted(by_clique.items()) if len(rows) > 1]
        if len(self.cliques) < 2:
            raise InputError(f"training: {len(self.cliques)} tunes of several renditions; at least two are needed")
        with torch.random.fork_rng():
            torch.manual_seed(config.train.seed)
            network = build(config.encoder, input_shape(config))
            if start is not None:
                network.load_state_dict(start.network.state_dict())
            loss = PairLoss(pairs.threshold, pairs.weight, pairs.inverse, pairs.entropy)
            self.module = nn.ModuleDict({"network": network, "loss": loss})
        self.started = start.checksum if start else ""

    @property
    def config(self) -> Mapping[str, Any]:
        return config_of(self.model_config) | {"pairs": vars(self.pairs), "start": self.started}

    @property
    def data_checksum(self) -> str:
        digest = hashlib.sha256()
        for one in (*self.learned, *self.held_out):
            digest.update(f"{one.name} {one.clique} ".encode() + np.ascontiguousarray(one.values).tobytes())
        return digest.hexdigest()

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """values (2 * pairs, channels, frames) float32, clique (2 * pairs,) int64."""
        rng = np.random.default_rng([self.model_config.train.seed, step])
        count = min(self.pairs.pairs, len(self.cliques))
        chosen = rng.permutation(len(self.cliques))[:count]
        rows = [int(row) for clique in chosen for row in rng.permutation(self.cliques[clique])[:2]]
        frames = input_shape(self.model_config)[1]
        values = np.stack([_crop(self.learned[row].values, frames, rng) for row in rows])
        return torch.from_numpy(values), torch.from_numpy(np.repeat(chosen, 2))

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        values, clique = batch
        loss: Tensor = self.module["loss"](self.module["network"](values).float(), clique)
        return loss

    def validate(self) -> dict[str, float]:
        network: Any = self.module["network"]
        found = cover_report(embed_any_length(network, [one.values for one in self.held_out]), self.held_out).map
        return {"validation_map": found.value, "low": found.low, "high": found.high}

    def save(self, path: Path, facts: Mapping[str, Any]) -> None:
        network: Any = self.module["network"]
        Model(self.model_config, network, {**facts, "corpus": "cover cliques"}).save(path)


def _crop(values: Floats, frames: int, rng: np.random.Generator) -> Floats:
    """A stretch of ``frames``; what is shorter is filled up with zeros."""
    spare = values.shape[1] - frames
    start = int(rng.integers(spare + 1)) if spare > 0 else 0
    part = values[:, start : start + frames]
    return np.pad(part, ((0, 0), (0, frames - part.shape[1])))


def cover_report(vectors: Floats, renditions: Sequence[Rendition]) -> SetReport:
    """Each rendition of a clique of several asks for the others, by distance: MAP and its companions."""
    return report_of(cdist(vectors, vectors), renditions)


def report_of(distance: np.ndarray, renditions: Sequence[Rendition]) -> SetReport:
    """``cover_report`` of distances that were measured elsewhere: (n, n), query by rendition."""
    cliques = np.array([one.clique for one in renditions])
    asked, right = {}, {}
    for row, one in enumerate(renditions):
        others = np.flatnonzero((cliques == one.clique) & (np.arange(len(cliques)) != row))
        if len(others):
            order = [other for other in np.argsort(distance[row], kind="stable").tolist() if other != row]
            asked[one.name] = [str(other) for other in order]
            right[one.name] = {str(other) for other in others}
    return set_report(asked, right, len(renditions) - 1, MAP_AT)


def train_cliques(
    learned: Sequence[Rendition],
    held_out: Sequence[Rendition],
    config: ModelConfig,
    pairs: PairConfig,
    out: Path,
    start: Model | None = None,
    resume: bool = True,
    on_validation: Callable[[HistoryRow], None] | None = None,
) -> Training:
    """Train, and keep the step with the best validation MAP. resume, on_validation: as of ``fit``. Raises InputError
    where the two share a clique, and as ``fit`` does."""
    if shared := {one.clique for one in learned} & {one.clique for one in held_out}:
        raise InputError(f"training: tune {min(shared)} is learned from and held out; split tunes, not renditions")
    return fit(CliqueTask(learned, held_out, config, pairs, start), config.train, out, resume, on_validation)
