"""Where a training stands, in one file, so that it can be stopped and goes on as if it had not been.

The file is safetensors: weights and optimiser as tensors, everything else as JSON in its header. It is
written aside and renamed. Nothing in it can run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import safetensors
from safetensors.torch import save
from torch import Tensor

from humfind.runtime.files import atomic_write
from humfind.types import InputError


@dataclass(frozen=True)
class State:
    """network, optimiser: tensors by name. about: plain JSON values (step, losses, history, config ...)."""

    network: Mapping[str, Tensor]
    optimiser: Mapping[str, Tensor]
    about: Mapping[str, Any]

    def save(self, path: Path) -> None:
        named = {f"network/{name}": value for name, value in self.network.items()}
        named |= {f"optimiser/{name}": value for name, value in self.optimiser.items()}
        plain = {name: value.detach().cpu().contiguous() for name, value in named.items()}
        atomic_write(path, save(plain, {"about": json.dumps(dict(self.about))}))

    @classmethod
    def load(cls, path: Path) -> State:
        """Raises InputError where the file is cut or not a training's state."""
        parts: dict[str, dict[str, Tensor]] = {"network": {}, "optimiser": {}}
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                about = json.loads((file.metadata() or {})["about"])
                for name in sorted(file.keys()):
                    part, tensor_name = name.split("/", 1)
                    parts[part][tensor_name] = file.get_tensor(name)
        except (safetensors.SafetensorError, KeyError, ValueError) as error:
            mend = "delete it to train from the start"
            raise InputError(f"{path}: not a whole training state ({error}); {mend}") from error
        return cls(parts["network"], parts["optimiser"], about)
