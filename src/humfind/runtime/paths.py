"""Where the project's own folders are, from whichever working directory a notebook is opened."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def home() -> Path:
    """The folder that holds ``notebooks/``, ``meta_data/``, ``crepe_freq/`` and ``runs/``.

    In order: the environment variable HUMFIND_HOME; the nearest folder at or above the working directory
    that has the notebooks; the checkout that this package was installed from; the working directory.
    """
    if chosen := os.environ.get("HUMFIND_HOME"):
        return Path(chosen).resolve()
    here = Path.cwd().resolve()
    checkout = Path(__file__).resolve().parents[3]
    for folder in (here, *here.parents, checkout):
        if (folder / "notebooks" / "01_crepe_transform.ipynb").is_file():
            return folder
    return here


def notebooks() -> Path:
    """The folder of the suite's notebooks: of ``home()``, else those that travel in the package."""
    own = home() / "notebooks"
    return own if (own / "01_crepe_transform.ipynb").is_file() else Path(__file__).resolve().parents[1] / "suite"


def can_write(folder: Path) -> bool:
    """Whether a file can be made in an existing folder, tried out: permissions alone do not tell of a read-only
    disk."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False
