"""The tracks part of an index folder: what is known of each recording, in ``tracks/tracks.parquet``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from humfind.index.parts import TRACKS, UNREADABLE
from humfind.runtime.files import atomic_write, require_regular_file
from humfind.types import InputError, normal_form

FILE = "tracks.parquet"
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("title", pa.string()),
        ("artist", pa.string()),
        ("source", pa.string()),
        ("checksum", pa.string()),
        ("tempo_bpm", pa.float64()),
        ("tonic", pa.int64()),
        ("minor", pa.bool_()),
        ("genre", pa.string()),
        ("year", pa.int64()),
        ("length_s", pa.float64()),
    ]
)
MAJOR = ("C", "D flat", "D", "E flat", "E", "F", "F sharp", "G", "A flat", "A", "B flat", "B")
MINOR = ("C", "C sharp", "D", "E flat", "E", "F", "F sharp", "G", "G sharp", "A", "B flat", "B")


@dataclass(frozen=True)
class Track:
    """tempo_bpm: 0 where it is not known. tonic: 0 (C) to 11, -1 where it is not known. year: 0 where it is not
    known."""

    music_id: str
    title: str = ""
    artist: str = ""
    source: str = ""
    checksum: str = ""
    tempo_bpm: float = 0.0
    tonic: int = -1
    minor: bool = False
    genre: str = ""
    year: int = 0
    length_s: float = 0.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "music_id", normal_form(self.music_id))
        if not (self.music_id and -1 <= self.tonic <= 11 and 0 <= self.tempo_bpm < 1e4 and self.length_s >= 0):
            raise ValueError(f"{self.music_id or 'a track without an id'}: no tempo, key or length")

    @property
    def name(self) -> str:
        """``Artist - Title``, or what of the two there is, else the id."""
        return " - ".join(part for part in (self.artist, self.title) if part) or self.music_id

    @property
    def key(self) -> str:
        """``D minor``; empty where it is not known."""
        if self.tonic < 0:
            return ""
        return f"{MINOR[self.tonic]} minor" if self.minor else f"{MAJOR[self.tonic]} major"


def save_tracks(tracks: Sequence[Track], folder: Path) -> None:
    """Into the index folder, whole or not at all."""
    names = ["music_id", *SCHEMA.names[1:]]
    columns = [[getattr(track, name) for track in tracks] for name in names]
    table = pa.Table.from_arrays(
        [pa.array(values, field.type) for values, field in zip(columns, SCHEMA, strict=True)], schema=SCHEMA
    )
    path = folder / TRACKS / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, lambda file: pq.write_table(table, file))


def load_tracks(folder: Path) -> tuple[Track, ...]:
    """Raises InputError where the index has no such part, or it is damaged."""
    path = folder / TRACKS / FILE
    if not path.is_file():
        raise InputError(
            f"{folder}: does not know its tracks; give: humfind index FOLDER --parts tracks --out {folder}"
        )
    require_regular_file(path)
    try:
        table = pq.read_table(path, memory_map=False)
        if table.schema != SCHEMA:
            raise ValueError("other columns")
        rows = table.to_pylist()
        return tuple(Track(row.pop("id"), **row) for row in rows)
    except (*UNREADABLE, ValueError, TypeError) as error:
        mend = "give humfind index --parts tracks again"
        raise InputError(f"{path}: damaged ({str(error).splitlines()[0]:.80}); remove it, and {mend}") from error
