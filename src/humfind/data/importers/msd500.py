"""Tables in the manner of MSD500 (Won et al. 2020): tags with scores, vectors of collaborative filtering, a split.

FOLDER/tags.csv      song_id,original_tag,cleaned_tag,tag_category,score
FOLDER/cf.csv        song_id,then one number a column          (optional: without it, no track has listeners)
FOLDER/splits.csv    song_id,split     train | validation | test    (optional)
"""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from humfind.data.tag_table import PARTS, TagTable, table_of
from humfind.runtime.files import LARGEST_TABLE, require_file
from humfind.types import InputError

HEADER = ("song_id", "original_tag", "cleaned_tag", "tag_category", "score")
SPLITS_HEADER = ("song_id", "split")


def read(folder: Path, least_score: float = 50.0) -> TagTable:
    """Tags of a lower score are left out, and where there are vectors or a split, tracks without. Raises InputError
    with the file and the line."""
    category: dict[str, str] = {}
    tags: dict[str, dict[str, None]] = {}
    path = folder / "tags.csv"
    for number, row in _rows(path, HEADER):
        try:
            score = float(row[4])
        except ValueError:
            score = math.nan
        if not math.isfinite(score) or not row[2] or not row[3]:
            raise InputError(f"{path}: line {number}: no tag, no category or no score; correct it")
        if score >= least_score:
            category.setdefault(row[2], row[3])
            tags.setdefault(row[0], {})[row[2]] = None
    vectors = dict(_vectors(folder / "cf.csv")) if (folder / "cf.csv").exists() else None
    parts = dict(_splits(folder / "splits.csv")) if (folder / "splits.csv").exists() else None
    kept = [one for one in tags if (vectors is None or one in vectors) and (parts is None or one in parts)]
    table = table_of([(track, tuple(tags[track]), ()) for track in kept], category)
    culture = None if vectors is None else np.stack([vectors[track] for track in kept])
    return replace(table, culture=culture, part=tuple(parts[track] for track in kept) if parts else ())


def _vectors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    width = 0
    for number, row in _rows(path, ("song_id",)):
        try:
            vector = np.array(row[1:], np.float32)
        except ValueError:
            vector = np.empty(0, np.float32)
        width = width or len(vector)
        if len(vector) != width or not width or not np.isfinite(vector).all():
            raise InputError(f"{path}: line {number}: not {width or 'one or more'} numbers; correct it")
        yield row[0], vector


def _splits(path: Path) -> Iterator[tuple[str, str]]:
    for number, row in _rows(path, SPLITS_HEADER):
        if row[1] not in PARTS:
            raise InputError(f"{path}: line {number}: split {row[1]!r}; choose {', '.join(PARTS)}")
        yield row[0], row[1]


def _rows(path: Path, header: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    require_file(path, LARGEST_TABLE)
    try:
        with path.open(encoding="utf-8", newline="") as file:
            reader = csv.reader(file)
            if tuple(next(reader, [])[: len(header)]) != header:
                raise InputError(f"{path}: its first line is not {','.join(header)}; correct it")
            for row in reader:
                if row and len(row) < len(header):
                    raise InputError(
                        f"{path}: line {reader.line_num}: {len(row)} columns, not {len(header)}; correct it"
                    )
                if row:
                    yield reader.line_num, row
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; see docs/labs/tags.md for what such a folder holds") from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}); save it as CSV in UTF-8") from error
