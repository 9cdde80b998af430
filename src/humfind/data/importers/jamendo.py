"""MTG-Jamendo's tables (Bogdanov et al. 2019): tracks with their uploaders' tags, artists and albums.

A row: TRACK_ID, ARTIST_ID, ALBUM_ID, PATH, DURATION, then one tag a column, ``category---tag``; separated by tabs. The
artist and the album are what a track stands with others in.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from humfind.data.tag_table import TagTable, table_of
from humfind.runtime.files import LARGEST_TABLE, require_file
from humfind.types import InputError

COLUMNS = ("TRACK_ID", "ARTIST_ID", "ALBUM_ID", "PATH", "DURATION", "TAGS")


def read(paths: Sequence[Path]) -> TagTable:
    """Several tables of the same tracks are joined. Raises InputError with the file and the line."""
    tags: dict[str, dict[str, None]] = {}
    contexts: dict[str, tuple[str, ...]] = {}
    category: dict[str, str] = {}
    for path in paths:
        for track, artist, album, said in _rows(path):
            contexts[track] = (artist, album)
            for kind, tag in said:
                category.setdefault(tag, kind)
                tags.setdefault(track, {})[tag] = None
    return table_of([(track, tuple(found), contexts[track]) for track, found in tags.items()], category)


def _rows(path: Path) -> Iterator[tuple[str, str, str, list[tuple[str, str]]]]:
    require_file(path, LARGEST_TABLE)
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            header = tuple(file.readline().rstrip("\n").split("\t"))
            if header[: len(COLUMNS)] != COLUMNS:
                raise InputError(f"{path}: its first line is not {' '.join(COLUMNS)}; give one of MTG-Jamendo's tables")
            for number, line in enumerate(file, start=2):
                cells = line.rstrip("\n").split("\t")
                said = [cell.split("---", 1) for cell in cells[5:] if cell]
                if len(cells) < len(COLUMNS) or any(len(pair) != 2 or not all(pair) for pair in said):
                    raise InputError(f"{path}: line {number}: not a track with its tags (category---tag); correct it")
                yield cells[0], cells[1], cells[2], [(kind, tag) for kind, tag in said]
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; give one of MTG-Jamendo's tables") from error
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}); get it again") from error
