"""Where a training stands, in one file, so that it can be stopped and goes on as if it had not been.

The file is safetensors: weights and optimiser as tensors, everything else as JSON in its header. It is
written under another name, then renamed. Nothing in it can run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
import torch
from safetensors.torch import save
from torch import Tensor

from humfind.runtime.files import atomic_write
from humfind.types import InputError


@dataclass(frozen=True)
class State:
    """module, optimiser: tensors by name. about: plain JSON values (losses, history, config ...)."""

    module: Mapping[str, Tensor]
    optimiser: Mapping[str, Tensor]
    about: Mapping[str, Any]

    def save(self, path: Path) -> None:
        named = {f"module/{name}": value for name, value in self.module.items()}
        named |= {f"optimiser/{name}": value for name, value in self.optimiser.items()}
        plain = {name: value.detach().cpu().contiguous() for name, value in named.items()}
        atomic_write(path, save(plain, {"about": json.dumps(dict(self.about))}))

    @classmethod
    def load(cls, path: Path) -> State:
        """Raises InputError where the file is cut or not a training's state."""
        parts: dict[str, dict[str, Tensor]] = {"module": {}, "optimiser": {}}
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                about = json.loads((file.metadata() or {})["about"])
                for name in sorted(file.keys()):
                    part, tensor_name = name.split("/", 1)
                    parts[part][tensor_name] = file.get_tensor(name)
        except (safetensors.SafetensorError, KeyError, ValueError) as error:
            mend = "delete it to train from the start"
            raise InputError(f"{path}: not a whole training state ({error}); {mend}") from error
        return cls(parts["module"], parts["optimiser"], about)


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
