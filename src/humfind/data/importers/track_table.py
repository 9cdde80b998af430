"""Tables of tracks in the manner of Spotify's: artist, title, year, genres and audio features, one track a line.

Columns are known by several names; which there are differs from table to table, and those that are not known are left
alone. A date may be a year, a day (2004-06-21, 21.06.2004, 6/21/2004) or a month.
"""

from __future__ import annotations

import csv
import gzip
import io
import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from humfind.runtime.files import LARGEST_TABLE, require_file
from humfind.types import Floats, InputError, Ints

NAMES = {
    "id": ("file", "track_id", "id", "uri", "track_uri"),
    "title": ("song", "track_name", "name", "title", "track"),
    "artist": ("artist", "artists", "track_artist", "artist_name", "artist(s)_name"),
    "year": ("year", "release_date", "track_album_release_date", "album_release_date", "released_year", "date"),
    "genre": ("genre", "genres", "playlist_genre", "track_genre", "artist_genres"),
    "playlist": ("playlist_name", "playlist_id", "playlist"),
}
NUMBERS = ("duration_ms", "popularity", "danceability", "energy", "loudness", "speechiness", "acousticness",
           "instrumentalness", "liveness", "valence", "tempo")  # fmt: skip
CATEGORIES = ("explicit", "key", "mode", "time_signature")
YEAR = re.compile(r"(?<!\d)(1[89]\d\d|20\d\d)(?!\d)")
NOTHING = {"", "set()", "[]", "nan", "none", "null"}


@dataclass(frozen=True)
class TrackTable:
    """A row a track. genres: of each, the first its main one; may be empty. year: 0 where it is not said. numbers:
    column -> (n,), NaN where it is not said. categories: column -> values. playlists: of each track, those that it is
    in; empty where the table has none."""

    ids: tuple[str, ...]
    titles: tuple[str, ...]
    artists: tuple[str, ...]
    genres: tuple[tuple[str, ...], ...]
    years: Ints
    numbers: Mapping[str, Floats]
    categories: Mapping[str, tuple[str, ...]]
    playlists: tuple[tuple[str, ...], ...]

    def __post_init__(self) -> None:
        columns = (self.titles, self.artists, self.genres, self.years, self.playlists)
        every = (*columns, *self.numbers.values(), *self.categories.values())
        if any(len(column) != len(self.ids) for column in every):
            raise ValueError("a value a track is needed in each column")
        if len(set(self.ids)) != len(self.ids):
            raise ValueError("a track is there twice")

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def main_genre(self) -> tuple[str, ...]:
        """Of each track; empty where it has none."""
        return tuple(one[0] if one else "" for one in self.genres)

    def name(self, row: int) -> str:
        """``Artist - Title``, or what of the two there is."""
        return " - ".join(part for part in (self.artists[row], self.titles[row]) if part) or self.ids[row]

    def take(self, rows: Sequence[int] | Ints) -> TrackTable:
        """These tracks alone."""
        kept = [int(row) for row in rows]

        def of(column: tuple) -> tuple:
            return tuple(column[row] for row in kept)

        return TrackTable(
            of(self.ids),
            of(self.titles),
            of(self.artists),
            of(self.genres),
            self.years[kept],
            {name: values[kept] for name, values in self.numbers.items()},
            {name: of(values) for name, values in self.categories.items()},
            of(self.playlists),
        )


def read(path: Path) -> TrackTable:
    """A CSV, or one packed by gzip. A track that several lines have (one a playlist, or one twice) is one. Raises
    InputError where there is no title, or nothing to know a track by, and for a line that is not whole."""
    lines = list(_lines(path))
    if not lines:
        raise InputError(f"{path}: no tracks; give a table with a line a track")
    header = list(lines[0][1])
    column = {what: found for what in NAMES if (found := _column(header, NAMES[what]))}
    numbers = [name for name in NUMBERS if name in header]
    categories = [name for name in CATEGORIES if name in header]
    if "title" not in column and "id" not in column:
        raise InputError(f"{path}: no column of titles; name one {', '.join(NAMES['title'])}")
    if not numbers and "genre" not in column:
        raise InputError(f"{path}: nothing to know a track by; give genre, or some of {', '.join(NUMBERS)}")
    rows: dict[str, dict[str, str]] = {}
    playlists: dict[str, dict[str, None]] = {}
    for _, line in lines:
        said = {what: line[name].strip() for what, name in column.items()}
        key = said.get("id") or f"{said.get('artist', '')} - {said.get('title', '')}"
        rows.setdefault(key, line)
        if said.get("playlist"):
            playlists.setdefault(key, {})[said["playlist"]] = None

    def every(what: str) -> tuple[str, ...]:
        return tuple(line[column[what]].strip() if what in column else "" for line in rows.values())

    return TrackTable(
        tuple(rows),
        every("title"),
        tuple(_names(text)[0] if _names(text) else "" for text in every("artist")),
        tuple(_names(text) for text in every("genre")),
        np.array([_year(text) for text in every("year")], np.int64),
        {name: np.array([_number(line[name]) for line in rows.values()], np.float32) for name in numbers},
        {name: tuple(line[name].strip().casefold() for line in rows.values()) for name in categories},
        tuple(tuple(playlists.get(key, ())) for key in rows),
    )


def _lines(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """(number, line by column), column names in lower case."""
    require_file(path, LARGEST_TABLE)
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        opener: Any = gzip.open if packed else open
        with opener(path, "rb") as raw, io.TextIOWrapper(raw, "utf-8-sig", "replace", newline="") as text:
            table = csv.reader(text)
            header = [name.strip().casefold() for name in next(table, [])]
            if twice := [name for name, count in Counter(header).items() if count > 1 and name]:
                raise InputError(f"{path}: column {twice[0]} is there twice; take one out")
            for line in table:
                if line and len(line) != len(header):
                    raise InputError(
                        f"{path}: line {table.line_num}: {len(line)} values, not {len(header)}; correct it"
                    )
                if line:
                    yield table.line_num, dict(zip(header, line, strict=True))
    except (OSError, EOFError, csv.Error) as error:
        raise InputError(f"{path}: cannot be read ({error}); give a CSV, or one packed by gzip") from error


def _column(header: list[str], names: tuple[str, ...]) -> str:
    return next((name for name in names if name in header), "")


def _names(text: str) -> tuple[str, ...]:
    """``hip hop, pop`` and ``['hip hop', 'pop']`` in their order."""
    if text.strip().casefold() in NOTHING:
        return ()
    parts = (part.strip(" []'\"{}") for part in re.split(r"[,;]", text))
    return tuple(dict.fromkeys(part for part in parts if part and part.casefold() not in NOTHING))


def _year(text: str) -> int:
    found = YEAR.search(text)
    return int(found[1]) if found else 0


def _number(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return math.nan
    return value if math.isfinite(value) else math.nan
