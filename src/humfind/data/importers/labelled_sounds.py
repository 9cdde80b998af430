"""A folder of recordings with labels: in a CSV in the manner of ESC-50, or in the names of its folders.

FOLDER/labels.csv or FOLDER/meta/*.csv    filename,category and more columns of text (Piczak 2015)
FOLDER/LABEL/recording.wav                where there is no CSV
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from humfind.config import AUDIO_SUFFIXES
from humfind.runtime.files import LARGEST_TABLE, require_file
from humfind.types import InputError

NAME, LABEL = "filename", "category"


@dataclass(frozen=True)
class LabelledSounds:
    """files: sorted. labels: of each column, one a file; ``category`` is one of them."""

    files: tuple[Path, ...]
    labels: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        if any(len(column) != len(self.files) for column in self.labels.values()):
            raise ValueError("a label a file is needed in each column")


def read(folder: Path) -> LabelledSounds:
    """Raises InputError where there is no recording, and for a CSV that is not such a table, with the line."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such folder; give one of recordings")
    files = sorted(path for path in _walk(folder) if path.suffix.lower() in AUDIO_SUFFIXES)
    if not files:
        raise InputError(f"{folder}: no recordings; give a folder of wav, flac, mp3, ogg, m4a ...")
    tables = [*sorted(folder.glob("*.csv")), *sorted(folder.glob("meta/*.csv"))]
    if not tables:
        return LabelledSounds(tuple(files), {LABEL: tuple(file.parent.name for file in files)})
    by_name = {file.name: file for file in files}
    rows = dict(_rows(tables[0], set(by_name)))
    kept = tuple(by_name[name] for name in sorted(rows))
    columns = next(iter(rows.values())).keys()
    return LabelledSounds(kept, {name: tuple(rows[file.name][name] for file in kept) for name in columns})


def _walk(folder: Path) -> Iterator[Path]:
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield from (Path(place) / name for name in sorted(names) if not name.startswith("."))


def _rows(path: Path, names: set[str]) -> Iterator[tuple[str, dict[str, str]]]:
    """The file's name, and its labels by column."""
    require_file(path, LARGEST_TABLE)
    with path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
        table = csv.DictReader(file)
        if not {NAME, LABEL} <= set(table.fieldnames or ()):
            raise InputError(f"{path}: its first line has not {NAME} and {LABEL}; name them so")
        for row in table:
            name, labels = row.get(NAME) or "", {key: value for key, value in row.items() if key and key != NAME}
            where = f"{path}: line {table.line_num}"
            if None in row or not all(isinstance(value, str) for value in labels.values()) or not labels[LABEL]:
                raise InputError(f"{where}: not a value a column, or no {LABEL}; correct it")
            if Path(name).name not in names:
                raise InputError(f"{where}: {name:.60} is no recording of the folder; copy it there, or take it out")
            yield Path(name).name, labels
