"""The part that Lightning runs: one step of learning, and the learning rate of each step."""

from __future__ import annotations

import math
from collections.abc import Mapping

import lightning
import torch
from torch import Tensor

from humfind.config import TrainConfig
from humfind.encoders.resnet1d import ResNet1d
from humfind.training.losses import make_loss

WARM_UP_SHARE = 0.1  # of the steps; the rate rises linearly, then falls along half a cosine


def learning_rate(step: int, config: TrainConfig) -> float:
    """The rate of step ``step`` (from 0) of ``config.steps``: a function of the step alone."""
    warm_up = max(1, round(WARM_UP_SHARE * config.steps))
    if step < warm_up:
        return config.learning_rate * (step + 1) / warm_up
    progress = (step - warm_up) / max(1, config.steps - warm_up)
    return config.learning_rate * (1 + math.cos(math.pi * progress)) / 2


class MetricModule(lightning.LightningModule):
    """network: windows (B, channels, frames) -> embeddings. losses: the loss of every step so far.

    The optimiser starts from ``optimiser_state`` (see ``optimiser_tensors``) where training goes on.
    """

    def __init__(
        self,
        network: ResNet1d,
        config: TrainConfig,
        losses: list[float],
        optimiser_state: Mapping[str, Tensor] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.config = config
        self.loss = make_loss(config)
        self.losses = losses
        self.optimiser_state = optimiser_state

    @property
    def step(self) -> int:
        """Steps taken, resumed ones included."""
        return len(self.losses)

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> Tensor:
        values, song = batch
        for group in self.trainer.optimizers[0].param_groups:
            group["lr"] = learning_rate(self.step, self.config)
        torch.manual_seed(self.config.seed * 1_000_003 + self.step)  # dropout, the same after a resume
        embeddings = self.network(values)
        loss: Tensor = self.loss(embeddings.float(), song)
        self.losses.append(float(loss.detach()))
        return loss

    def configure_optimizers(self) -> torch.optim.Optimizer:
        optimiser = torch.optim.AdamW(
            self.network.parameters(), lr=self.config.learning_rate, weight_decay=self.config.weight_decay
        )
        if self.optimiser_state:
            load_optimiser(optimiser, self.optimiser_state)
        return optimiser


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """All that AdamW remembers, by name: ``3.exp_avg`` is of the fourth parameter."""
    state = optimiser.state_dict()["state"]
    return {f"{row}.{name}": value for row, part in state.items() for name, value in part.items()}


def load_optimiser(optimiser: torch.optim.Optimizer, named: Mapping[str, Tensor]) -> None:
    """The inverse of ``optimiser_tensors``."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in named.items():
        row, name = key.split(".", 1)
        state.setdefault(int(row), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
