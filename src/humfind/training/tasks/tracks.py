"""Metadata of tracks -> a space in which tracks that have to do with each other lie together (2024 report).

By triples drawn by relevance, or by classes of genre and decade: ArcFace (Deng et al. 2019), an additive margin (Wang
et al. 2018), or softmax of scaled cosines (Wang et al. 2017). The middles of the classes are learned, and kept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pytorch_metric_learning import losses
from torch import Tensor, nn

from humfind.config import TrackModelConfig, require_valid
from humfind.encoders.track_network import TrackModel, TrackNetwork
from humfind.metrics import Interval, bootstrap
from humfind.training.loop import HistoryRow, Training, checksum_of, config_of, fit
from humfind.types import Floats, InputError, Ints

NEIGHBOURS = 10  # of a validation


@dataclass(frozen=True)
class Tracks:
    """values: (n, columns). kind: (n,) what is to lie together, -1 for none. classes: (n,), -1 for none."""

    values: Floats
    kind: Ints
    classes: Ints


Triple = Callable[[int, np.random.Generator], tuple[int, int]]  # of a row: a positive and a negative


class Learner(nn.Module):
    """The network, and what the loss learns."""

    def __init__(self, config: TrackModelConfig, size: int, classes: int) -> None:
        super().__init__()
        self.network = TrackNetwork(config, size)
        self.loss: Any = class_loss(config, classes) if config.loss != "triplet" else nn.Identity()


def class_loss(config: TrackModelConfig, classes: int) -> nn.Module:
    """Embeddings and classes -> one number. With a margin of 0 arcface and additive are softmax."""
    if config.loss == "arcface":
        made: nn.Module = losses.ArcFaceLoss(
            classes, config.dim, margin=math.degrees(config.margin), scale=config.scale
        )
    elif config.loss == "additive":
        made = losses.CosFaceLoss(classes, config.dim, margin=config.margin, scale=config.scale)
    else:
        made = losses.NormalizedSoftmaxLoss(classes, config.dim, 1 / config.scale)
    return made


class TrackTask:
    """learned, held_out: different tracks. triple: draws from the learned ones, for the triplet loss."""

    score = "validation_precision"

    def __init__(
        self,
        learned: Tracks,
        held_out: Tracks,
        columns: tuple[str, ...],
        config: TrackModelConfig,
        triple: Triple | None = None,
    ) -> None:
        require_valid("track_loss", config.loss)
        self.learned, self.held_out, self.columns, self.model_config = learned, held_out, columns, config
        self.known = np.flatnonzero(learned.classes >= 0)
        if config.loss == "triplet" and triple is None:
            raise ValueError("the triplet loss needs triples")
        if not len(self.known):
            raise InputError("training: no track has a genre and a year; give a table that has both")
        self.triple = triple
        with torch.random.fork_rng():
            torch.manual_seed(config.train.seed)
            self.module: nn.Module = Learner(config, learned.values.shape[1], int(learned.classes.max()) + 1)

    @property
    def config(self) -> Mapping[str, Any]:
        return config_of(self.model_config)

    @property
    def data_checksum(self) -> str:
        parts = (self.learned, self.held_out)
        return checksum_of(values for part in parts for values in (part.values, part.kind, part.classes))

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """values (B, columns) and classes (B,); of triples (3, B, columns), then no classes."""
        rng = np.random.default_rng([self.model_config.train.seed, step])
        rows = rng.choice(self.known, self.model_config.batch)
        if self.triple is None or self.model_config.loss != "triplet":
            return torch.from_numpy(self.learned.values[rows]), torch.from_numpy(self.learned.classes[rows])
        every = np.array([(row, *self.triple(int(row), rng)) for row in rows]).T
        return torch.from_numpy(self.learned.values[every]), torch.zeros(0)

    def loss(self, batch: tuple[Tensor, ...]) -> Tensor:
        learner: Any = self.module
        values, classes = batch
        if self.model_config.loss != "triplet":
            found: Tensor = learner.loss(learner.network(values), classes)
            return found
        anchor, near, far = learner.network(values.flatten(0, 1)).unflatten(0, values.shape[:2])
        gap = (anchor * far).sum(dim=1) - (anchor * near).sum(dim=1)
        return (self.model_config.margin + gap).clamp_min(0).mean()

    def validate(self) -> dict[str, float]:
        """Of each held-out track's nearest others among them, the share of its own kind."""
        vectors, kind = self.model().embed(self.held_out.values), self.held_out.kind
        found = neighbour_precision(vectors, kind)
        return {"validation_precision": found.value, "low": found.low, "high": found.high}

    def save(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.model({**facts, "tracks": {"learned": len(self.learned.kind), "held out": len(self.held_out.kind)}}).save(
            path
        )

    def model(self, facts: Mapping[str, Any] | None = None) -> TrackModel:
        """What has been learned so far."""
        learner: Any = self.module
        return TrackModel(
            self.model_config, learner.network, self.columns, facts or {}, dict(learner.loss.state_dict())
        )


def neighbour_precision(vectors: Floats, kind: Ints) -> Interval:
    """Of each track's ten nearest others by cosine, the share of its kind. vectors: (n, d) of length 1. kind: (n,), -1
    for none."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    near = np.argsort(-cosines, axis=1, kind="stable")[:, : min(NEIGHBOURS, len(kind) - 1)]
    asked = np.flatnonzero(kind >= 0)
    return bootstrap((kind[near[asked]] == kind[asked, None]).mean(axis=1))


def train_tracks(
    learned: Tracks,
    held_out: Tracks,
    columns: tuple[str, ...],
    config: TrackModelConfig,
    out: Path,
    triple: Triple | None = None,
    resume: bool = True,
    on_validation: Callable[[HistoryRow], None] | None = None,
) -> tuple[Training, TrackModel]:
    """Train, and keep the step at which most neighbours are of a track's kind. resume, on_validation: as of ``fit``."""
    task = TrackTask(learned, held_out, columns, config, triple)
    done = fit(task, config.train, out, resume, on_validation)
    return done, TrackModel.load(done.checkpoint)
