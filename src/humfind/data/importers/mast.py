"""MASTmelody (Bozkurt, Baysal and Yuret 2017): candidates sing back a melody that was played on a piano; f0 alone.

    f0data/51_mel1_per101559_fail.f0s.txt    a performance of melody 51_mel1, failed by all three jurors
    f0data/55_mel2_ref280758.f0s.txt         a reference on the piano

Two columns, seconds and Hz, 0 where there is no pitch. Names as the corpus's README has them (repository
barisbozkurt/MASTmelody_dataset, CC BY-NC-SA 4.0). A melody may have several references: all are recordings of its song.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from humfind.data.importers.corpus import Corpus, Part, require
from humfind.data.notes import HOP_S, LONGEST_S
from humfind.runtime.files import LARGEST_TEXT, require_file
from humfind.types import Floats

NAME = re.compile(r"(?P<melody>.+)_(?:ref\w*|per\w*?_(?P<grade>pass|fail))")
GRADES = ("pass", "fail", "all")
SUFFIX = ".f0s.txt"


def read(folder: Path, grade: str = "all") -> Corpus:
    """The performances of one grade, and the references. Raises InputError."""
    require(folder, f"**/*_ref*{SUFFIX}", f"**/*_per*{SUFFIX}", corpus="MASTmelody")
    songs: list[Part] = []
    hums: list[Part] = []
    skipped: list[tuple[str, str]] = []
    for file in sorted(folder.glob(f"**/*{SUFFIX}")):
        name = file.name.removesuffix(SUFFIX)
        found = NAME.fullmatch(name)
        if found is None:
            skipped.append((file.name, "neither a reference nor a graded performance"))
            continue
        if found["grade"] and grade not in ("all", found["grade"]):
            continue
        try:
            hz = series(file)
        except (OSError, ValueError) as error:
            skipped.append((file.name, str(error).splitlines()[0]))
            continue
        (hums if found["grade"] else songs).append(Part(name, found["melody"], hz=hz))
    return Corpus(tuple(hums), tuple(songs), tuple(skipped)).known(folder)


def series(file: Path) -> Floats:
    """Seconds and Hz, a row each -> Hz every ``HOP_S``: the value of the nearest row."""
    require_file(file, LARGEST_TEXT)
    rows = np.loadtxt(file, dtype=np.float64, ndmin=2)
    if rows.shape[1:] != (2,) or len(rows) < 2 or not np.isfinite(rows).all() or (np.diff(rows[:, 0]) <= 0).any():
        raise ValueError("not two columns of rising seconds and Hz")
    if rows[-1, 0] - rows[0, 0] > LONGEST_S:
        raise ValueError(f"{rows[-1, 0] - rows[0, 0]:.3g} seconds, which no singing lasts")
    times = np.arange(rows[0, 0], rows[-1, 0], HOP_S)
    right = np.clip(np.searchsorted(rows[:, 0], times), 1, len(rows) - 1)
    nearer = times - rows[right - 1, 0] < rows[right, 0] - times
    return np.maximum(rows[np.where(nearer, right - 1, right), 1], 0.0).astype(np.float32)
