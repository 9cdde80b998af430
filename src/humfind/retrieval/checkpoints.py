"""Which checkpoint a name means."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from humfind.data.identity import DataSet, identify, recorded, run_folder
from humfind.runtime.files import read_json, require_writable
from humfind.types import InputError

if TYPE_CHECKING:
    from humfind.encoders.checkpoint import Model

log = logging.getLogger(__name__)
PRETRAINED = "pretrained"  # the name of the model that the package ships
MODEL = Path("model") / "model.safetensors"  # below a run's folder
PRETRAINED_PATH = Path(__file__).parents[1] / "pretrained" / "model.safetensors"


def default_model(dataset: DataSet) -> Path:
    """Where ``humfind train`` and notebook 03 leave the model of a data set."""
    return run_folder(dataset) / MODEL


def require_training_folder(out: Path) -> None:
    """Raises InputError where ``out`` cannot hold a training, or holds files of these names that are none of one."""
    if out.exists() and not out.is_dir():
        raise InputError(f"{out}: is a file; give the folder of a training")
    mend = "choose another folder, or move them away"
    for name, wanted in (("model.json", ("config", "checksum")), ("history.json", ("history", "losses"))):
        path = out / name
        if not path.is_file():
            continue
        try:
            about = read_json(path)
        except (ValueError, OSError) as error:
            raise InputError(f"{path}: is not of a training ({error}); {mend}") from error
        if not isinstance(about, dict) or any(key not in about for key in wanted):
            raise InputError(f"{path}: is not of a training; {mend}")
    if (out / "model.safetensors").is_file() and not (out / "model.json").is_file():
        raise InputError(f"{out / 'model.safetensors'}: lies there without its model.json; {mend}")
    require_writable(out / "model.json")


def load_model(model: str, data: Path | DataSet | None = None) -> tuple[Model, str]:
    """A checkpoint's path (empty: the data set's own; ``pretrained``: the one that the package ships) -> the model,
    and its path. data: the data set's folder, or which one it is. Raises InputError."""
    dataset = data if isinstance(data, DataSet) else identify(data or Path())
    path = PRETRAINED_PATH if model == PRETRAINED else Path(model) if model else default_model(dataset)
    if not path.is_file():
        mend = "give a model.safetensors or --model pretrained, or train one with: humfind train DATA"
        raise InputError(f"{path}: no such model{'' if model else _others_model(path, dataset)}; {mend}")
    if not model and recorded(path.parents[1]) is None:
        log.warning("%s does not say which data set it was trained on: it is taken by its name", path)
    from humfind.encoders.checkpoint import Model  # seconds to import: after what can be refused at once

    if model == PRETRAINED:
        return Model.load(path), PRETRAINED
    return Model.load(path), str(path.resolve())


def trained_or_shipped(dataset: DataSet) -> str:
    """What ``load_model`` is given where nobody named a model: nothing where the data set has a trained one (or another
    data set of its name has), else the one that the package ships, with a warning that says so."""
    path = default_model(dataset)
    if path.is_file() or _others_model(path, dataset):
        return ""
    log.warning(
        "no model was trained on %s: the one that the package carries is taken (--model %s)", dataset.name, PRETRAINED
    )
    return PRETRAINED


def _others_model(path: Path, dataset: DataSet) -> str:
    """That another data set of the same name has one, which is not taken for this one's."""
    other = path.parents[2] / dataset.name / MODEL
    return f" ({other} is of another data set called {dataset.name})" if other.is_file() else ""
