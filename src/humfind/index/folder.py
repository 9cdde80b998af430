"""The index: songs, where their windows lie, the windows' vectors, the songs' contours.

As a folder: index.json (format version, model, config, tracker, counts), songs.parquet (id, title, source,
checksum, length_s; a row a recording), windows.parquet (recording, start_s, length_s, key; a row a vector),
vectors.faiss, contours.parquet (semitones, voiced, frame_s; a row a recording). It is written aside and
renamed: a reader sees the old index, the new one or none.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property, partial
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from humfind.aside import read_json, write_aside, write_json
from humfind.index.flat import FlatIndex, halved
from humfind.lock import writing
from humfind.types import Contour, Embeddings, Floats, InputError, Ints, Windows

FORMAT_VERSION = 2
PIECE_ROWS = 2**16  # vectors kept together while the index grows: small arrays' memory would not come back
CONTOURS = 50  # written together
SCHEMAS = {
    "songs": pa.schema(
        [
            ("id", pa.string()),
            ("title", pa.string()),
            ("source", pa.string()),
            ("checksum", pa.string()),
            ("length_s", pa.float64()),
        ]
    ),
    "windows": pa.schema(
        [("recording", pa.int64()), ("start_s", pa.float32()), ("length_s", pa.float32()), ("key", pa.float32())]
    ),
    "contours": pa.schema(
        [("semitones", pa.list_(pa.float32())), ("voiced", pa.list_(pa.bool_())), ("frame_s", pa.float64())]
    ),
}


@dataclass(frozen=True)
class Song:
    """One recording of a song; a song may have several. checksum: sha256 of what the contour came from."""

    music_id: str
    title: str = ""
    source: str = ""
    checksum: str = ""
    length_s: float = 0.0


@dataclass(frozen=True)
class Entry:
    """A recording, ready for the index. contour is None where the features are not f0."""

    song: Song
    contour: Contour | None
    windows: Windows
    embeddings: Embeddings

    def __post_init__(self) -> None:
        if len(self.windows) != len(self.embeddings):
            counts = f"{len(self.windows)} windows but {len(self.embeddings)} embeddings"
            raise ValueError(f"{self.song.music_id}: {counts}")


@dataclass(frozen=True)
class IndexInfo:
    """What made the index. model: its path as given; config, tracker: plain JSON values."""

    model_checksum: str = ""
    model: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    tracker: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Index:
    """songs, contours: a row a recording. recording, start_s, length_s, key: a row a vector of the engine."""

    songs: tuple[Song, ...]
    contours: tuple[Contour | None, ...]
    recording: Ints
    start_s: Floats
    length_s: Floats
    key: Floats
    engine: FlatIndex
    info: IndexInfo

    def __post_init__(self) -> None:
        if len(self.contours) != len(self.songs):
            raise ValueError(f"{len(self.songs)} recordings but {len(self.contours)} contours")
        for name in ("recording", "start_s", "length_s", "key"):
            if len(getattr(self, name)) != len(self.engine):
                raise ValueError(f"{len(self.engine)} vectors but {len(getattr(self, name))} windows")
        if self.recording.min() < 0 or self.recording.max() >= len(self.songs):
            raise ValueError("a window belongs to no recording")

    @classmethod
    def build(cls, entries: Iterable[Entry], info: IndexInfo) -> Index:
        """Raises InputError where there is no entry."""
        songs, contours, counts, columns, vectors, small = [], [], [], [], [], []
        held = 0
        for entry in entries:
            songs.append(entry.song)
            contours.append(entry.contour)
            counts.append(len(entry.windows))
            columns.append(np.stack([entry.windows.start_s, entry.windows.length_s, entry.windows.key]))
            small.append(halved(entry.embeddings.vectors))
            held += len(entry.embeddings)
            if held >= PIECE_ROWS:
                vectors.append(np.concatenate(small))
                small, held = [], 0
        if not songs:
            raise InputError("index: no songs to build it from; give recordings or a store that has some")
        vectors += small
        start_s, length_s, key = np.concatenate(columns, axis=1)
        return cls(
            tuple(songs),
            tuple(contours),
            np.repeat(np.arange(len(songs)), counts),
            start_s,
            length_s,
            key,
            FlatIndex.of(vectors),
            info,
        )

    @cached_property
    def music_ids(self) -> tuple[str, ...]:
        """Every song once, sorted; ``Hits.song`` counts in these."""
        return tuple(sorted({song.music_id for song in self.songs}))

    @cached_property
    def recording_song(self) -> Ints:
        """The row of ``music_ids`` that each recording belongs to."""
        row = {music_id: i for i, music_id in enumerate(self.music_ids)}
        return np.array([row[song.music_id] for song in self.songs], dtype=np.int64)

    @cached_property
    def window_song(self) -> Ints:
        """The row of ``music_ids`` that each window belongs to."""
        return self.recording_song[self.recording]

    @cached_property
    def song_length_s(self) -> dict[str, float]:
        """The longest recording of each song."""
        lengths: dict[str, float] = {}
        for song in self.songs:
            lengths[song.music_id] = max(song.length_s, lengths.get(song.music_id, 0.0))
        return lengths

    def title(self, music_id: str) -> str:
        """The first title that a recording of the song has, or nothing."""
        return next((song.title for song in self.songs if song.music_id == music_id and song.title), "")

    def nearest(self, vectors: Floats, k: int) -> tuple[Floats, Ints]:
        """Euclidean distances and windows, (m, k) each, sorted by distance, then window."""
        return self.engine.nearest(vectors, k)

    def save(self, folder: Path) -> None:
        """Raises InputError where ``folder`` holds something else, where another process writes it, and where
        the disk is full: what was there stays then.
        """
        folder = Path(os.path.abspath(folder))  # the names beside it come from its own
        if folder.exists() and not (folder / "index.json").is_file() and any(folder.iterdir()):
            raise InputError(f"{folder}: holds something else than an index; choose another folder")
        aside, old = (folder.with_name(f".{folder.name}.{what}") for what in ("part", "old"))
        with writing(folder):
            _clear(aside, old)
            aside.mkdir(parents=True)
            try:
                self._write(aside)
                if folder.exists():
                    os.replace(folder, old)
                os.replace(aside, folder)
            finally:
                _clear(aside, old)

    def _write(self, folder: Path) -> None:
        songs = [{"id": song.music_id, **asdict(song)} for song in self.songs]
        windows = {name: getattr(self, name) for name in SCHEMAS["windows"].names}
        tables = {
            "songs": pa.Table.from_pylist(songs, SCHEMAS["songs"]),
            "windows": pa.table(windows, SCHEMAS["windows"]),
        }
        for name, table in tables.items():
            write_aside(folder / f"{name}.parquet", partial(pq.write_table, table))
        write_aside(folder / "contours.parquet", self._write_contours)
        self.engine.save(folder / "vectors.faiss")
        counts = {"recordings": len(self.songs), "songs": len(self.music_ids), "windows": len(self.engine)}
        about = {"format_version": FORMAT_VERSION, **asdict(self.info), **counts, "dim": self.engine.dim}
        write_json(folder / "index.json", about)

    def _write_contours(self, file: BinaryIO) -> None:
        with pq.ParquetWriter(file, SCHEMAS["contours"]) as writer:
            for start in range(0, len(self.contours), CONTOURS):
                writer.write_table(_contour_table(self.contours[start : start + CONTOURS]))

    @classmethod
    def load(cls, folder: Path, model_checksum: str | None = None) -> Index:
        """Raises InputError where it is missing, damaged, of another format, or of another model."""
        about = read_about(folder)
        tables = {name: _read_table(folder / f"{name}.parquet", schema) for name, schema in SCHEMAS.items()}
        engine = FlatIndex.load(folder / "vectors.faiss")
        rows = tables["songs"].rename_columns(["music_id", *tables["songs"].column_names[1:]]).to_pylist()
        windows = {name: tables["windows"][name].combine_chunks().to_numpy() for name in SCHEMAS["windows"].names}
        counts = {"recordings": len(rows), "windows": len(engine), "dim": engine.dim}
        wrong = [name for name, count in counts.items() if about[name] != count]
        if wrong:
            raise InputError(
                f"{folder}: {wrong[0]} {counts[wrong[0]]}, index.json says {about[wrong[0]]}; build it again"
            )
        try:
            info = IndexInfo(**{name: about[name] for name in ("model_checksum", "model", "config", "tracker")})
            contours = _contours(tables["contours"])
            for name in ("start_s", "length_s", "key"):
                if not np.isfinite(windows[name]).all():
                    raise ValueError(f"windows.parquet holds a {name} that is no number")
            found = cls(tuple(Song(**row) for row in rows), contours, **windows, engine=engine, info=info)
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{folder}: {error}; build it again") from error
        if model_checksum is not None:
            found.require_model(model_checksum, folder)
        return found

    def require_model(self, checksum: str, folder: Path) -> None:
        """Raises InputError where another model made this index, which lies in ``folder``."""
        if self.info.model_checksum != checksum:
            made = self.info.model or "another model"
            raise InputError(f"{folder}: was built with {made}, not with this model; build it again")


def _contour_table(contours: Sequence[Contour | None]) -> pa.Table:
    """A row each, empty where there is none."""
    without = pa.array([contour is None for contour in contours])
    nothing = Contour(np.empty(0, np.float32), np.empty(0, np.bool_), 1.0)
    held = [contour or nothing for contour in contours]
    ends = pa.array(np.cumsum([0, *(len(contour.semitones) for contour in held)]), pa.int32())
    pitch = pa.array(np.concatenate([contour.semitones for contour in held]), pa.float32())
    voiced = pa.array(np.concatenate([contour.voiced for contour in held]))
    columns = [pa.ListArray.from_arrays(ends, values, mask=without) for values in (pitch, voiced)]
    frame_s = pa.array([contour.frame_s if contour else None for contour in contours], pa.float64())
    return pa.Table.from_arrays([*columns, frame_s], schema=SCHEMAS["contours"])


def _clear(*folders: Path) -> None:
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)


def read_about(folder: Path) -> dict[str, Any]:
    """index.json, checked. Raises InputError."""
    path = folder / "index.json"
    try:
        about: dict[str, Any] = read_json(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{folder}: not an index; build one with: humfind index DATA --out {folder}") from error
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: not JSON ({error}); build the index again") from error
    if not isinstance(about, dict) or about.get("format_version") != FORMAT_VERSION:
        raise InputError(f"{path}: not of format version {FORMAT_VERSION}; build the index again")
    wanted = ("model_checksum", "model", "config", "tracker", "recordings", "songs", "windows", "dim")
    missing = [name for name in wanted if name not in about]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; build the index again")
    kinds = (str, str, dict, dict, int, int, int, int)
    wrong = [name for name, kind in zip(wanted, kinds, strict=True) if not isinstance(about[name], kind)]
    if wrong:
        raise InputError(f"{path}: {wrong[0]} is {about[wrong[0]]!r:.40}; build the index again")
    return about


def _read_table(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        with pq.ParquetFile(path) as file:
            table = file.read()
        table.validate(full=True)
    except FileNotFoundError as error:
        raise InputError(f"{path}: missing; build the index again") from error
    except (pa.ArrowException, OSError, OverflowError, MemoryError) as error:
        raise InputError(f"{path}: not a whole parquet file; build the index again") from error
    if not table.schema.equals(schema):
        raise InputError(f"{path}: has other columns than {', '.join(schema.names)}; build the index again")
    empty = [name for name in table.column_names if schema is not SCHEMAS["contours"] and table[name].null_count]
    if empty:
        raise InputError(f"{path}: column {empty[0]} has empty rows; build the index again")
    return table


def _contours(table: pa.Table) -> tuple[Contour | None, ...]:
    """A row's contour, or None where it has none. They share the table's memory."""
    columns = {name: table[name].combine_chunks() for name in ("semitones", "voiced")}
    parts = {}
    for name, column in columns.items():
        flat = column.values.to_numpy(zero_copy_only=False)
        ends = column.offsets.to_numpy()
        parts[name] = [flat[start:end] for start, end in pairwise(ends)]
    rows = zip(parts["semitones"], parts["voiced"], table["frame_s"].to_pylist(), strict=True)
    return tuple(None if frame_s is None else Contour(pitch, voiced, frame_s) for pitch, voiced, frame_s in rows)
