"""The training loop, the same for every task: steps, learning rate, validation, the best checkpoint, resume.

    out/model.safetensors + model.json    the task's checkpoint with the best validation score so far
    out/history.json                      loss and validation figures, written as training goes
    out/resume.safetensors                where training stands, to go on from

A task says what is learned; the loop knows nothing about hums. Batches are a function of (seed, step) and dropout's
seed too, so that a resumed training is the unbroken one to the bit.
"""

from __future__ import annotations

import hashlib
import json
import math
import platform
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from humfind.config import TrainConfig, to_dict
from humfind.runtime.files import atomic_write_json
from humfind.runtime.lock import writing
from humfind.training import distributed
from humfind.training.state import State, load_optimiser, optimiser_tensors
from humfind.types import InputError

PACKAGES = ("humfind", "torch", "pytorch-metric-learning", "numpy")
WARM_UP_SHARE = 0.1  # of the steps; the rate rises linearly, then falls along half a cosine
HistoryRow = dict[str, Any]


class Task(Protocol):
    """What is learned.

    module: holds every number that training changes: the network, or several, and the parameters of the loss. config:
    as plain JSON values, what must be the same for a training to be resumed. data_checksum: the same, of the data.
    score: the name of the figure by which the best step is chosen; larger is better.
    """

    score: str

    @property
    def module(self) -> nn.Module: ...
    @property
    def config(self) -> Mapping[str, Any]: ...
    @property
    def data_checksum(self) -> str: ...

    def batch(self, step: int) -> Any:
        """The batch of one step: a function of the task's seed and ``step`` alone. Tensors, or tuples of them."""
        ...

    def loss(self, batch: Any) -> Tensor:
        """One number, to be made smaller."""
        ...

    def validate(self) -> Mapping[str, float]:
        """Figures by name, ``score`` among them."""
        ...

    def save(self, path: Path, facts: Mapping[str, Any]) -> None:
        """Write the checkpoint, the parameters of the loss in it. facts: to be kept beside the weights."""
        ...


@dataclass(frozen=True)
class Training:
    """checkpoint: the best one's path. history: a row a validation: step, loss (mean since the last) and the task's
    figures. losses: of every step. seconds: of training, resumed parts included."""

    checkpoint: Path
    history: tuple[HistoryRow, ...]
    losses: tuple[float, ...]
    best_step: int
    seconds: float


def fit(
    task: Task,
    config: TrainConfig,
    out: Path,
    resume: bool = True,
    on_validation: Callable[[HistoryRow], None] | None = None,
    hours: float = 0.0,
) -> Training:
    """Train; go on from what ``out`` holds where ``resume`` and it is the same training.

    on_validation: called after each validation, when everything is on disk. hours: after so many, counted from now, it
    validates and stops, to be gone on with another time; 0: no limit. Raises InputError where ``out`` holds
    another training, where another process trains there, where the loss is no longer a number, where the disk is full,
    where the device or precision asked for is not there, and where the task cannot be shared by ``config.processes``.
    """
    distributed.require_shareable(task.module, config.processes)
    with writing(out):
        return _Loop(task, config, Path(out), on_validation, hours).run(resume)


def learning_rate(step: int, config: TrainConfig) -> float:
    """The rate of step ``step`` (from 0) of ``config.steps``: a function of the step alone."""
    warm_up = max(1, round(WARM_UP_SHARE * config.steps))
    if step < warm_up:
        return config.learning_rate * (step + 1) / warm_up
    progress = (step - warm_up) / max(1, config.steps - warm_up)
    return config.learning_rate * (1 + math.cos(math.pi * progress)) / 2


def versions() -> dict[str, str]:
    """Of what could change the weights."""
    return {"python": platform.python_version()} | {name: version(name) for name in PACKAGES}


class _Loop:
    def __init__(
        self,
        task: Task,
        config: TrainConfig,
        out: Path,
        on_validation: Callable[[HistoryRow], None] | None,
        hours: float,
    ) -> None:
        self.task, self.config, self.out, self.on_validation = task, config, out, on_validation
        self.stop = time.monotonic() + 3600 * hours if hours else math.inf
        self.checkpoint, self.resume_path = out / "model.safetensors", out / "resume.safetensors"
        self.losses: list[float] = []
        self.history: list[HistoryRow] = []
        self.seconds = 0.0

    @property
    def best_step(self) -> int:
        """Of equal scores the later: it has been trained longer, at a smaller rate."""
        return int(max(self.history, key=lambda row: (row[self.task.score], row["step"]))["step"])

    def run(self, resume: bool) -> Training:
        device, mixed = _device(self.config)
        self.out.mkdir(parents=True, exist_ok=True)
        state = self._resumed() if resume else None
        if state is not None:
            self._write_history()  # a kill may have come before it was written
        if len(self.losses) < self.config.steps and (not self.history or time.monotonic() < self.stop):
            beside = partial(_train_beside, self.task, self.config, self.out, state is not None)
            with torch.random.fork_rng(), distributed.together(self.config.processes, beside, device):
                self._train(state, device, mixed)
        return Training(self.checkpoint, tuple(self.history), tuple(self.losses), self.best_step, self.seconds)

    def _train(self, state: State | None, device: torch.device, mixed: bool) -> None:
        """Where several processes train, all of them do this; only the first validates and writes."""
        module, config = self.task.module.to(device), self.config
        if state is not None:
            module.load_state_dict(dict(state.module))
        optimiser = torch.optim.AdamW(module.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        if state is not None:
            load_optimiser(optimiser, state.optimiser)
        started, first = time.monotonic() - self.seconds, distributed.number() == 0
        share = distributed.sharing(module)
        with tqdm(total=config.steps, initial=len(self.losses), desc="training", unit="step", disable=not first) as bar:
            while (step := len(self.losses)) < config.steps:
                with share():
                    self._step(step, module, optimiser, device, mixed)
                bar.update()
                late = distributed.agreed(time.monotonic() >= self.stop)
                if not late and (step + 1) % config.validate_every and step + 1 != config.steps:
                    continue
                if first:
                    row = self._validate(module)
                    self.seconds = time.monotonic() - started
                    self._keep(module, optimiser, row)
                    bar.set_postfix(loss=f"{row['loss']:.3f}", score=f"{row[self.task.score]:.3f}")
                    if self.on_validation is not None:
                        self.on_validation(row)
                if late:
                    return

    def _step(
        self, step: int, module: nn.Module, optimiser: torch.optim.Optimizer, device: torch.device, mixed: bool
    ) -> None:
        module.train()
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(step, self.config)
        torch.manual_seed(self.config.seed * 1_000_003 + step)  # dropout, the same after a resume
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=mixed):
            loss = self.task.loss(_to(self.task.batch(step), device))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        value = float(loss.detach())
        if not math.isfinite(value):
            mend = "choose a smaller learning_rate, or another loss or margin"
            raise InputError(f"training: the loss is {value} at step {step + 1}, so nothing can be learned; {mend}")
        self.losses.append(value)

    def _validate(self, module: nn.Module) -> HistoryRow:
        step, last = len(self.losses), self.history[-1]["step"] if self.history else 0
        module.eval()
        figures = self.task.validate()
        row = {"step": step, "loss": sum(self.losses[last:]) / (step - last), **figures}
        self.history.append(row)
        return row

    def _keep(self, module: nn.Module, optimiser: torch.optim.Optimizer, row: HistoryRow) -> None:
        if self.best_step == row["step"]:
            self.task.save(self.checkpoint, {"versions": versions(), "best": row, "seed": self.config.seed})
        about = self._progress() | {"config": dict(self.task.config), "data": self.task.data_checksum}
        State(module.state_dict(), optimiser_tensors(optimiser), about).save(self.resume_path)
        self._write_history()

    def _progress(self) -> dict[str, Any]:
        return {"history": self.history, "losses": self.losses, "seconds": round(self.seconds, 2)}

    def _write_history(self) -> None:
        atomic_write_json(self.out / "history.json", self._progress())

    def _resumed(self) -> State | None:
        """The state in ``out``, its losses and history taken over; None where there is none."""
        if not self.resume_path.is_file() or not self.checkpoint.is_file():
            return None
        state = State.load(self.resume_path)
        config = json.loads(json.dumps(dict(self.task.config)))
        for what, mine in (("config", config), ("data", self.task.data_checksum)):
            if state.about[what] != mine:
                names = f" ({', '.join(_differing(state.about[what], mine))})" if what == "config" else ""
                mend = "choose another folder or run name, or begin anew (--no-resume, in notebook 03 resume=False)"
                raise InputError(f"{self.out}: holds a training with another {what}{names}; {mend}")
        self.losses.extend(state.about["losses"])
        self.history.extend(state.about["history"])
        self.seconds = float(state.about["seconds"])
        return state


def _train_beside(task: Task, config: TrainConfig, out: Path, resumed: bool) -> None:
    """What the first process does, in another: the same steps, nothing written."""
    distributed.take_over(task.module)
    loop = _Loop(task, config, out, None, 0.0)
    state = loop._resumed() if resumed else None
    device, mixed = _device(config)
    loop._train(state, device, mixed)


def _differing(was: Any, now: Any, name: str = "") -> list[str]:
    """The settings that two configurations do not share, by their dotted names."""
    if not isinstance(was, dict) or not isinstance(now, dict):
        return [] if was == now else [name]
    keys = sorted(set(was) | set(now))
    return [found for key in keys for found in _differing(was.get(key), now.get(key), f"{name}.{key}".lstrip("."))]


def _to(batch: Any, device: torch.device) -> Any:
    """A batch's tensors on the device."""
    return tuple(_to(part, device) for part in batch) if isinstance(batch, tuple) else batch.to(device)


def _device(config: TrainConfig) -> tuple[torch.device, bool]:
    """The device, and whether to compute in bfloat16 where that is safe."""
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
    return torch.device("cuda" if on_gpu else "cpu"), on_gpu and config.precision != "32"


def checksum_of(arrays: Iterable[np.ndarray]) -> str:
    """sha256 of what a training learns from, in this order."""
    digest = hashlib.sha256()
    for values in arrays:
        digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()


def config_of(values: Any) -> dict[str, Any]:
    """A dataclass as it will be read back from JSON."""
    made: dict[str, Any] = json.loads(json.dumps(to_dict(values)))
    return made
