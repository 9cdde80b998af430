"""Which data set a folder is, and which of the project's own folders were made from it.

A name is not enough: many data sets lie in a folder called ``data``. What is made from one by default, its f0 store
and its run, keeps in ``dataset.json`` which one that was; another of the same name gets a folder with a suffix.

A data set is known by where it lies, kept as a hash: no path of a machine is written anywhere. Below the project's
folder the path counts from there, so that both may be moved together. What is shipped for a demo set, wherever that is
made, is recorded by the demo set's recipe instead.
"""

from __future__ import annotations

import glob
import hashlib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from humfind.runtime import paths
from humfind.runtime.files import atomic_write_json, read_json
from humfind.types import InputError

RECORD = "dataset.json"
DEMO_MARKER = "demo.json"  # in a demo set's folder: how its recordings were made
RECIPE = ("format", "size", "config")  # of the marker: what settles the recordings
SUFFIX = 8  # hex digits of the hash in a folder's name


@dataclass(frozen=True)
class DataSet:
    """sha256 is the identity, in hex; name that of the folder."""

    name: str = field(compare=False)
    sha256: str


def identify(data: Path) -> DataSet:
    """The data set that lies in ``data``, by its place."""
    place, home = data.resolve(), paths.home().resolve()
    inside = place.is_relative_to(home)
    key = b"home:" + os.fsencode(place.relative_to(home)) if inside else b"path:" + os.fsencode(place)
    return _data_set(data, key)


def demo_recipe(data: Path) -> DataSet | None:
    """The demo set that ``data`` is, by how it was made; None where it is none."""
    try:
        marker = read_json(data / DEMO_MARKER)
        recipe = json.dumps({name: marker[name] for name in RECIPE}, sort_keys=True)
    except (ValueError, TypeError, KeyError, OSError):
        return None  # no demo set then: known by its place alone
    return _data_set(data, recipe.encode())


def recorded(folder: Path) -> DataSet | None:
    """The data set that ``folder`` says it was made from; None where it says nothing. Raises InputError."""
    path = folder / RECORD
    if not path.is_file():
        return None
    try:
        values = read_json(path)
        found = DataSet(values["name"], values["sha256"])
        if not isinstance(found.name, str) or not re.fullmatch(r"[0-9a-f]{64}", found.sha256):
            raise ValueError(f"name {found.name!r:.40}, sha256 {found.sha256!r:.40}")
    except (ValueError, TypeError, KeyError, OSError) as error:
        raise InputError(f"{path}: does not name a data set ({error}); delete it") from error
    return found


def record(folder: Path, data: Path) -> None:
    """Let ``folder`` say that it is made from ``data``. Raises InputError where it says that of another data set."""
    dataset, found = identify(data), recorded(folder)
    if found is None:
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder, dataset)
    elif found not in (dataset, demo_recipe(data)):
        what = f"was made from another data set, {found.name} elsewhere"
        raise InputError(f"{folder}: {what}; choose another folder, or delete this one if that data set was moved")


def adopt(folder: Path, data: Path) -> None:
    """``record`` where it is known that the data set was only moved; a folder that is read-only stays as it is."""
    if os.access(folder, os.W_OK):
        _write(folder, identify(data))


def own_folder(root: Path, dataset: DataSet, inner: str, same: Callable[[Path], bool]) -> Path:
    """``root/NAME/inner`` for what is made from a data set, its NAME with a suffix where that folder is another's.

    same: whether a folder that is not recorded as this data set's is its own nevertheless.
    """
    plain, own = (root / name / inner for name in (dataset.name, f"{dataset.name}-{dataset.sha256[:SUFFIX]}"))
    alike = sorted(root.glob(f"{glob.escape(dataset.name)}-{'[0-9a-f]' * SUFFIX}"))
    places = [plain, own, *(folder / inner for folder in alike)]
    for place in places:
        if recorded(place) == dataset:
            return place
    if not _files_in(plain):
        return plain
    return next((place for place in places if _files_in(place) and same(place)), own)


def run_folder(dataset: DataSet) -> Path:
    """``runs/NAME``: the results of a data set. One that does not say whose they are is taken by its name."""
    root = paths.home() / "runs"
    return own_folder(root, dataset, "", lambda run: run == root / dataset.name and recorded(run) is None)


def _data_set(data: Path, key: bytes) -> DataSet:
    return DataSet(data.resolve().name or "data", hashlib.sha256(key).hexdigest())


def _write(folder: Path, dataset: DataSet) -> None:
    name = os.fsencode(dataset.name).decode("utf-8", "replace")  # JSON holds text alone
    atomic_write_json(folder / RECORD, {"name": name, "sha256": dataset.sha256})


def _files_in(folder: Path) -> bool:
    return any(path.is_file() and not path.name.startswith(".") for path in folder.rglob("*"))
