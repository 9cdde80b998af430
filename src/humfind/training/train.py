"""Pairs of hum and song -> checkpoint.

    out/model.safetensors + model.json    the network with the best validation MRR@10 so far
    out/history.json                      loss and validation MRR, written as training goes
    out/resume.safetensors                where training stands, to go on from

Songs are split by ``music_id``; validation takes the same way as search does, ranker included.
"""

from __future__ import annotations

import json
import logging
import platform
import time
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning
import torch
from torch import Tensor
from torch.utils.data import DataLoader
from tqdm import tqdm

from humfind.config import ModelConfig, RankConfig, TrainConfig, to_dict
from humfind.data.zalo import split_by_song
from humfind.encoders import build
from humfind.encoders.checkpoint import Model, input_channels
from humfind.runtime.files import atomic_write_json
from humfind.runtime.lock import writing
from humfind.training.dataset import Bank, Batches, Example, make_bank
from humfind.training.module import MetricModule, optimiser_tensors
from humfind.training.state import State
from humfind.training.validation import validate
from humfind.types import InputError

PACKAGES = ("humfind", "torch", "lightning", "pytorch-metric-learning", "numpy")
HistoryRow = dict[str, Any]


@dataclass(frozen=True)
class TrainResult:
    """checkpoint: the best one's path. history: a row a validation: step, loss (mean since the last),
    validation_mrr, low, high. losses: of every step. seconds: of training, resumed parts included.
    """

    checkpoint: Path
    history: tuple[HistoryRow, ...]
    losses: tuple[float, ...]
    best_step: int
    seconds: float
    train_ids: tuple[str, ...]
    validation_ids: tuple[str, ...]
    train_hums: int
    validation_hums: int


def train(
    recordings: Sequence[Example],
    config: ModelConfig,
    out: Path,
    resume: bool = True,
    rank: RankConfig | None = None,
    on_validation: Callable[[HistoryRow], None] | None = None,
    music_ids: Iterable[str] | None = None,
    corpus: str = "",
) -> TrainResult:
    """Train on ``recordings``; go on from what ``out`` holds where ``resume`` and it is the same training.

    music_ids: all songs of the data set, those without a recording here among them, so that the split does not depend
    on what could be read; those of ``recordings`` where None. The checkpoint says which it learned and which it held
    out; or the ``corpus``, where that is no data set that anybody would ask about.

    rank: the ranker that validates (default: vote, which hears the encoder alone). on_validation: called after
    each validation, when all is on disk. Raises InputError where there is too little to learn from, where ``out`` holds
    another training, where another process trains there, where the disk is full, and where the device or
    precision asked for is not there.
    """
    everything = {take.music_id for take in recordings} if music_ids is None else set(music_ids)
    train_ids, validation_ids = split_by_song(everything, config.train.validation_share, config.train.seed)
    held_out = [take for take in recordings if take.music_id in set(validation_ids)]
    learned = [take for take in recordings if take.music_id in set(train_ids)]
    hums = [sum(take.kind == "hum" for take in part) for part in (learned, held_out)]
    songs = sum(take.kind == "song" for take in held_out)
    if not hums[1] or not songs:
        raise InputError(f"validation: {hums[1]} hums, {songs} songs; give more songs that have hums")
    bank = make_bank(learned, config)
    keeper = _Keeper(config, out, bank, held_out, rank or RankConfig(ranker="vote"), on_validation)
    keeper.validation_ids = list(validation_ids)
    sides = {"train": list(train_ids), "validation": keeper.validation_ids}
    keeper.facts = {
        "data": {"sha256": bank.checksum, "songs": len(train_ids), "hums": hums[0]},
        "validation": {"songs": len(validation_ids), "hums": hums[1]},
        **({"corpus": corpus} if corpus else {"music_ids": sides}),
        "versions": {"python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }
    with writing(out):
        keeper.run(resume)
    return TrainResult(
        checkpoint=keeper.checkpoint,
        history=tuple(keeper.history),
        losses=tuple(keeper.losses),
        best_step=keeper.best_step,
        seconds=keeper.seconds,
        train_ids=train_ids,
        validation_ids=validation_ids,
        train_hums=hums[0],
        validation_hums=hums[1],
    )


class _Keeper(lightning.Callback):
    """Validates, keeps the best checkpoint, and keeps the state from which training can go on."""

    def __init__(
        self,
        config: ModelConfig,
        out: Path,
        bank: Bank,
        held_out: list[Example],
        rank: RankConfig,
        on_validation: Callable[[HistoryRow], None] | None,
    ) -> None:
        self.config, self.out, self.bank = config, Path(out), bank
        self.held_out, self.rank, self.on_validation = held_out, rank, on_validation
        self.checkpoint = self.out / "model.safetensors"
        self.resume_path = self.out / "resume.safetensors"
        self.facts: dict[str, Any] = {}
        self.validation_ids: list[str] = []
        self.losses: list[float] = []
        self.history: list[HistoryRow] = []
        self.seconds = 0.0

    @property
    def best_step(self) -> int:
        """Of equal figures the later: it has learned longer at a smaller rate."""
        return int(max(self.history, key=lambda row: (row["validation_mrr"], row["step"]))["step"])

    def run(self, resume: bool) -> None:
        train = self.config.train
        accelerator, precision = _device(train)
        self.out.mkdir(parents=True, exist_ok=True)
        state = self._resumed() if resume else None
        if state is not None:
            self._keep_history()  # a kill may have come before it was written
        if len(self.losses) >= train.steps:
            return
        with torch.random.fork_rng(), _quiet():
            torch.manual_seed(train.seed)
            network = build(self.config.encoder, input_channels(self.config))
            if state is not None:
                network.load_state_dict(dict(state.network))
            module = MetricModule(network, train, self.losses, state.optimiser if state else None)
            trainer = lightning.Trainer(
                accelerator=accelerator,
                devices=1,
                precision=precision,
                max_epochs=1,
                logger=False,
                enable_checkpointing=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                callbacks=[self],
            )
            batches = Batches(self.bank, self.config, len(self.losses))
            self.bar = tqdm(total=train.steps, initial=len(self.losses), desc="training", unit="step")
            self.since = time.monotonic() - self.seconds
            with self.bar:
                trainer.fit(module, DataLoader(batches, batch_size=None, num_workers=0))

    def on_train_batch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *_: object) -> None:
        assert isinstance(pl_module, MetricModule)
        step, train = len(self.losses), self.config.train
        self.bar.update()
        if step % train.validate_every and step != train.steps:
            return
        last = self.history[-1]["step"] if self.history else 0
        loss = sum(self.losses[last:]) / (step - last)
        model = Model(self.config, pl_module.network)
        mrr = validate(model, self.held_out, self.rank).mrr
        pl_module.network.train()
        row = {
            "step": step,
            "loss": loss,
            "validation_mrr": mrr.value,
            "low": mrr.low,
            "high": mrr.high,
        }
        self.history.append(row)
        self.seconds = time.monotonic() - self.since
        if self.best_step == step:
            Model(self.config, pl_module.network, self.facts | {"best": row, "seed": train.seed}).save(self.checkpoint)
            pl_module.network.train()
        self._keep(pl_module, trainer.optimizers[0])
        self.bar.set_postfix(loss=f"{loss:.3f}", mrr=f"{mrr.value:.3f}")
        if self.on_validation is not None:
            self.on_validation(row)

    def _keep(self, module: MetricModule, optimiser: torch.optim.Optimizer) -> None:
        about = self._progress() | {"config": to_dict(self.config), "data": self.bank.checksum}
        about |= {"held-out songs": self.validation_ids}
        weights: dict[str, Tensor] = module.network.state_dict()
        State(weights, optimiser_tensors(optimiser), about).save(self.resume_path)
        self._keep_history()

    def _progress(self) -> dict[str, Any]:
        return {"history": self.history, "losses": self.losses, "seconds": round(self.seconds, 2)}

    def _keep_history(self) -> None:
        atomic_write_json(self.out / "history.json", self._progress())

    def _resumed(self) -> State | None:
        """The state in ``out``, its losses and history taken over; None where there is none."""
        if not self.resume_path.is_file() or not self.checkpoint.is_file():
            return None
        state = State.load(self.resume_path)
        config = json.loads(json.dumps(to_dict(self.config)))
        same = {"config": config, "data": self.bank.checksum, "held-out songs": self.validation_ids}
        for what, mine in same.items():
            if state.about.get(what) != mine:
                names = f" ({', '.join(_differing(state.about[what], mine))})" if what == "config" else ""
                mend = "choose another folder or run name, or begin anew (--no-resume, in notebook 03 resume=False)"
                raise InputError(f"{self.out}: holds a training with another {what}{names}; {mend}")
        self.losses.extend(state.about["losses"])
        self.history.extend(state.about["history"])
        self.seconds = float(state.about["seconds"])
        return state


def _differing(was: Any, now: Any, name: str = "") -> list[str]:
    """The settings that two configurations do not share, by their dotted names."""
    if not isinstance(was, dict) or not isinstance(now, dict):
        return [] if was == now else [name]
    keys = sorted(set(was) | set(now))
    return [found for key in keys for found in _differing(was.get(key), now.get(key), f"{name}.{key}".lstrip("."))]


def _device(config: TrainConfig) -> tuple[str, Any]:
    """Lightning's words for the accelerator and the precision."""
    gpu = torch.cuda.is_available()
    if config.device not in ("auto", "cpu", "gpu"):
        raise InputError(f"device {config.device!r}: unknown; choose auto, cpu or gpu")
    if config.device == "gpu" and not gpu:
        raise InputError("device gpu: torch sees none here; choose auto or cpu")
    on_gpu = gpu and config.device != "cpu"
    if config.precision not in ("auto", "32", "bf16"):
        raise InputError(f"precision {config.precision!r}: unknown; choose auto, 32 or bf16")
    if config.precision == "bf16" and not on_gpu:
        raise InputError("precision bf16: only on a GPU; choose auto or 32")
    mixed = on_gpu and config.precision != "32"
    return ("gpu" if on_gpu else "cpu"), ("bf16-mixed" if mixed else "32-true")


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's advice and greetings are not this project's words."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="lightning.*")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
