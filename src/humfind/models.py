"""Which checkpoint a name means."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from humfind import paths
from humfind.types import InputError

if TYPE_CHECKING:
    from humfind.embed import Model

PRETRAINED = "pretrained"  # the name of the model that the package ships
PRETRAINED_PATH = Path(__file__).parent / "pretrained" / "model.safetensors"


def default_model(data: Path) -> Path:
    """Where ``humfind train`` and notebook 03 leave the model of a data set."""
    return paths.home() / "runs" / data.resolve().name / "model" / "model.safetensors"


def load_model(model: str, data: Path | None = None) -> tuple[Model, str]:
    """A checkpoint's path (empty: the data set's own; ``pretrained``: the one that the package ships) -> the model,
    and its path. Raises InputError."""
    from humfind.embed import Model

    if model == PRETRAINED:
        return Model.load(PRETRAINED_PATH), PRETRAINED
    path = Path(model) if model else default_model(data or Path())
    if not path.is_file():
        mend = "give a model.safetensors or --model pretrained, or train one with: humfind train DATA"
        raise InputError(f"{path}: no such model; {mend}")
    return Model.load(path), str(path.resolve())
