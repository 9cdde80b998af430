"""Pairs of hum and song -> an encoder in which a hum lies near its song.

Songs are split by ``music_id``; validation searches as ``humfind search`` does, ranker included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from humfind.config import ModelConfig, RankConfig
from humfind.data.zalo import split_by_song
from humfind.encoders import build
from humfind.encoders.checkpoint import Model, input_shape
from humfind.index import Song
from humfind.metrics import Report
from humfind.rankers import make_ranker
from humfind.retrieval import search
from humfind.retrieval.query import make_queries
from humfind.training.dataset import Bank, Example, batch, make_bank
from humfind.training.loop import HistoryRow, Training, config_of, fit
from humfind.training.losses import make_loss
from humfind.types import InputError


@dataclass(frozen=True)
class TrainResult(Training):
    """A training of hums. train_ids, validation_ids: which songs were learned from, and which held out; train_hums,
    validation_hums: how many hums each side had."""

    train_ids: tuple[str, ...]
    validation_ids: tuple[str, ...]
    train_hums: int
    validation_hums: int


class HumTask:
    """Contrastive learning of hums and songs. examples: to learn from. held_out: to validate with. rank: the ranker
    that validates."""

    score = "validation_mrr"

    def __init__(
        self,
        examples: Sequence[Example],
        held_out: Sequence[Example],
        config: ModelConfig,
        rank: RankConfig | None = None,
        facts: Mapping[str, Any] | None = None,
    ) -> None:
        self.bank: Bank = make_bank(examples, config)
        self.held_out, self.model_config = held_out, config
        self.rank, self.facts = rank or RankConfig(ranker="vote"), facts or {}
        self.validation_ids: tuple[str, ...] = ()
        with torch.random.fork_rng():
            torch.manual_seed(config.train.seed)
            network = build(config.encoder, input_shape(config))
            self.module = nn.ModuleDict({"network": network, "loss": make_loss(config.train)})

    @property
    def config(self) -> Mapping[str, Any]:
        return config_of(self.model_config) | {"held-out songs": list(self.validation_ids)}

    @property
    def data_checksum(self) -> str:
        return self.bank.checksum

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        """values (P*K, channels, frames) float32, song (P*K,) int64."""
        values, song = batch(self.bank, self.model_config, step)
        return torch.from_numpy(values), torch.from_numpy(song)

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        values, song = batch
        loss: Tensor = self.module["loss"](self.module["network"](values).float(), song)
        return loss

    def validate(self) -> dict[str, float]:
        mrr = validate(self._model({}), self.held_out, self.rank).mrr
        return {"validation_mrr": mrr.value, "low": mrr.low, "high": mrr.high}

    def save(self, path: Path, facts: Mapping[str, Any]) -> None:
        self._model({**self.facts, **facts}).save(path)

    def _model(self, facts: Mapping[str, Any]) -> Model:
        return Model(self.model_config, self.module["network"], facts, loss=self.module["loss"].state_dict())


def train(
    recordings: Sequence[Example],
    config: ModelConfig,
    out: Path,
    resume: bool = True,
    rank: RankConfig | None = None,
    on_validation: Callable[[HistoryRow], None] | None = None,
    music_ids: Iterable[str] | None = None,
    corpus: str = "",
    hours: float = 0.0,
) -> TrainResult:
    """Train on ``recordings``, ``config.train.validation_share`` of their songs held out.

    music_ids: all songs of the data set, those without a recording here among them, so that the split does not depend
    on what could be read; those of ``recordings`` where None. The checkpoint says which it learned and which it held
    out; or the ``corpus``, where that is no data set that anybody would ask about.

    rank: the ranker that validates (default: vote, which uses the encoder alone). resume, on_validation, hours: as
    of ``fit``. Raises InputError where there is too little to learn from, and as ``fit`` does.
    """
    everything = {example.music_id for example in recordings} if music_ids is None else set(music_ids)
    train_ids, validation_ids = split_by_song(everything, config.train.validation_share, config.train.seed)
    held_out = [example for example in recordings if example.music_id in set(validation_ids)]
    learned = [example for example in recordings if example.music_id in set(train_ids)]
    hums = [sum(example.kind == "hum" for example in part) for part in (learned, held_out)]
    songs = sum(example.kind == "song" for example in held_out)
    if not hums[1] or not songs:
        raise InputError(f"validation: {hums[1]} hums, {songs} songs; give more songs that have hums")
    task = HumTask(learned, held_out, config, rank)
    task.validation_ids = validation_ids
    sides = {"train": list(train_ids), "validation": list(validation_ids)}
    task.facts = {
        "data": {"sha256": task.data_checksum, "songs": len(train_ids), "hums": hums[0]},
        "validation": {"songs": len(validation_ids), "hums": hums[1]},
        **({"corpus": corpus} if corpus else {"music_ids": sides}),
    }
    done = fit(task, config.train, out, resume, on_validation, hours)
    return TrainResult(
        **vars(done),
        train_ids=train_ids,
        validation_ids=validation_ids,
        train_hums=hums[0],
        validation_hums=hums[1],
    )


def validate(model: Model, examples: Sequence[Example], rank: RankConfig) -> Report:
    """Every hum of ``examples`` is searched among the songs of ``examples``."""
    hums = [example for example in examples if example.kind == "hum"]
    songs = [(Song(example.music_id), example.source) for example in examples if example.kind == "song"]
    index = search.build_index(songs, model)
    queries = make_queries(((hum.name, hum.source) for hum in hums), model)
    rankings = search.rank_all(queries, index, make_ranker(rank, index), rank.top)
    return search.evaluate(rankings, {hum.name: hum.music_id for hum in hums}, len(index.music_ids))
