"""What a Kaggle kernel does: find the competition's data, run the suite within its hours, leave submission.csv.

Everything is written below the working directory, where Kaggle keeps a kernel's output. What an earlier kernel left,
attached as input, is gone on with.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from humfind.data.zalo import SPLITS, TEST_FOLDERS
from humfind.retrieval.checkpoints import PRETRAINED
from humfind.types import InputError

INPUT = Path("/kaggle/input")
KEPT = ("crepe_freq", "runs")  # what a kernel leaves for the next
TRAIN_SHARE = 0.6  # of the hours that are left once f0 are there; inference and the figures take the rest
SUBMISSION = "submission.csv"


def input_folder() -> Path:
    """Kaggle's, or the environment variable HUMFIND_KAGGLE_INPUT."""
    return Path(os.environ.get("HUMFIND_KAGGLE_INPUT", INPUT))


def find_data(root: Path) -> Path:
    """The folder below ``root``, however deep, in the competition's layout; of several the one with the most splits.

    Raises InputError where there is none, or no single one.
    """
    splits: dict[Path, int] = {}
    for place, folders, files in os.walk(root):
        here = Path(place)
        is_train = here.name == "train" and "train_meta.csv" in files
        is_test = here.name in SPLITS and set(TEST_FOLDERS.values()) <= set(folders)
        if is_train or is_test:
            splits[here.parent] = splits.get(here.parent, 0) + 1
        folders[:] = sorted(name for name in folders if name not in (*TEST_FOLDERS.values(), *KEPT))
    most = [folder for folder, count in splits.items() if count == max(splits.values())]
    if not most:
        raise InputError(f"{root}: no data set in the competition's layout; attach it to the notebook (Add input)")
    if len(most) > 1:
        raise InputError(
            f"{root}: several data sets: {', '.join(map(str, sorted(most)))}; say data=FOLDER, or detach one"
        )
    return most[0]


def adopt(root: Path, home: Path) -> list[Path]:
    """Copy f0 and runs of earlier kernels below ``root``; what ``home`` has stays. Returns what it found."""
    found = sorted(path for name in KEPT for path in root.glob(f"*/{name}") if path.is_dir())
    for folder in found:
        for source in sorted(path for path in folder.rglob("*") if path.is_file()):
            target = home / folder.name / source.relative_to(folder)
            if not target.exists():
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, target)
    return found


def place(data: str = "") -> str:
    """For one notebook by itself: its ``data``. Results go below the working directory; earlier output is adopted."""
    home = Path.cwd()
    os.environ["HUMFIND_HOME"] = str(home)
    found = Path(data) if data and not data.startswith("demo-") else find_data(input_folder())
    adopt(input_folder(), home)
    return str(found)


def run(hours: float = 8.0, data: str = "", parameters: Mapping[str, str] | None = None) -> Path:
    """The suite within ``hours``: f0 first, then training for most of what is left, inference, submission.csv.

    Without a train split, or where f0 took all the hours, the shipped model answers. parameters: of the notebooks, as
    text. Returns the submission's path. Raises InputError as ``find_data``
    and the notebooks do.
    """
    from humfind.notebooks import runner

    started = time.monotonic()
    found, home = Path(place(data)), Path.cwd()
    out = home / SUBMISSION
    split = "private_test" if (found / "private_test").is_dir() else "public_test"
    given = {"split": split, **(parameters or {})}
    own = {name: value for name, value in given.items() if name in ("tracker", "crepe_model", "decoder")}
    print(f"data: {found}; submission of {split}", flush=True)
    if (found / "train" / "train_meta.csv").is_file():
        runner.run(found, notebooks=["01", "02"], parameters=own)
        left = hours - (time.monotonic() - started) / 3600
        if left > 0:
            limit = {"train_hours": f"{TRAIN_SHARE * left:.4f}"}
            summary = runner.run(found, notebooks=["03", "04", "05", "06"], parameters=limit | given)
            print(runner.closing_text(summary), flush=True)
            shutil.copyfile(runner.report_of(summary).parents[1] / SUBMISSION, out)
            return out
    from humfind.retrieval.predict import predict

    predict(found, split, out, model=PRETRAINED)
    return out
