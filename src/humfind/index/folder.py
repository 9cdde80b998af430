"""The index: songs, where their windows lie, the windows' vectors, the songs' contours.

As a folder: index.json (format version, model, config, tracker, engine, counts, names of the parts) and five parts:
songs (id, title, source, checksum, length_s, tags ...; a row a recording), windows (recording, start_s, length_s, key;
a row a vector), vectors, contours (semitones, voiced, frame_s; a row a recording), and what the engine keeps.
``humfind.index.parts`` says how a reader sees the old index, the new one or none. What is read is checked: an index may
come from anywhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import safetensors.numpy

from humfind.config import F0Config, IndexConfig, ModelConfig, from_dict, require_sane
from humfind.index import engines
from humfind.index.parts import index_folder, open_version, read_state, read_table, replace_version
from humfind.index.vectors import VectorTable, to_float16
from humfind.runtime.files import atomic_write
from humfind.types import Contour, Embeddings, Floats, InputError, Ints, Windows, normal_form

PIECE_ROWS = 2**16  # vectors kept together while the index grows: small arrays' memory would not come back
CONTOURS = 50  # written together
LONGEST_S = 1e7  # no recording is longer
SEMITONES = 2000.0  # no pitch that a float32 of Hz can hold is further from 0
FRAMES_S = (0.001, 1.0)  # of a contour
STATE_BYTES, STATE_A_VECTOR = 2**20, 8  # the most that an engine keeps: always, and for each number of a vector
SCHEMAS = {
    "songs": pa.schema(
        [
            ("id", pa.string()),
            ("title", pa.string()),
            ("artist", pa.string()),
            ("album", pa.string()),
            ("source", pa.string()),
            ("checksum", pa.string()),
            ("length_s", pa.float64()),
            ("tags", pa.list_(pa.string())),
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
    """One recording of a song; a song may have several. music_id: in normal form. source: the path of the file, or a
    name in a store. checksum: sha256 of what its vectors came from. tags: what fits it best, by its sound."""

    music_id: str
    title: str = ""
    artist: str = ""
    album: str = ""
    source: str = ""
    checksum: str = ""
    length_s: float = 0.0
    tags: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "music_id", normal_form(self.music_id))
        if not self.music_id:
            raise ValueError(f"a song without an id ({self.source or self.title or 'no source'})")


@dataclass(frozen=True)
class WindowPlaces:
    """Where windows lie in a recording, as ``Windows`` say it. start_s, length_s, key: (n,) float32."""

    start_s: Floats
    length_s: Floats
    key: Floats

    def __len__(self) -> int:
        return len(self.start_s)


@dataclass(frozen=True)
class Entry:
    """A recording, ready for the index. contour is None where the features are not f0."""

    song: Song
    contour: Contour | None
    windows: Windows | WindowPlaces
    embeddings: Embeddings

    def __post_init__(self) -> None:
        if len(self.windows) != len(self.embeddings):
            counts = f"{len(self.windows)} windows but {len(self.embeddings)} embeddings"
            raise ValueError(f"{self.song.music_id}: {counts}")


@dataclass(frozen=True)
class IndexInfo:
    """What made the index. model: its path as given; config, tracker: plain JSON values. engine: the name of what
    proposes neighbours."""

    model_checksum: str = ""
    model: str = ""
    config: dict[str, Any] = field(default_factory=dict)
    tracker: dict[str, Any] = field(default_factory=dict)
    engine: str = IndexConfig.engine


@dataclass(frozen=True)
class Index:
    """songs, contours: a row a recording. recording, start_s, length_s, key: a row a vector. Never changed: ``add`` and
    ``delete`` give another index."""

    songs: tuple[Song, ...]
    contours: tuple[Contour | None, ...]
    recording: Ints
    start_s: Floats
    length_s: Floats
    key: Floats
    vectors: VectorTable
    engine: engines.Engine
    info: IndexInfo

    def __post_init__(self) -> None:
        if len(self.contours) != len(self.songs):
            raise ValueError(f"{len(self.songs)} recordings but {len(self.contours)} contours")
        for name in ("recording", "start_s", "length_s", "key"):
            if len(getattr(self, name)) != len(self.vectors):
                raise ValueError(f"{len(self.vectors)} vectors but {len(getattr(self, name))} windows")
        if self.recording.min() < 0 or self.recording.max() >= len(self.songs):
            raise ValueError("a window belongs to no recording")

    @classmethod
    def build(cls, entries: Iterable[Entry], info: IndexInfo) -> Index:
        """Raises InputError where there is no entry, and for an unknown engine."""
        songs, contours, counts, columns, vectors, small = [], [], [], [], [], []
        held = 0
        for entry in entries:
            songs.append(entry.song)
            contours.append(entry.contour)
            counts.append(len(entry.windows))
            columns.append(np.stack([entry.windows.start_s, entry.windows.length_s, entry.windows.key]))
            small.append(to_float16(entry.embeddings.vectors))
            held += len(entry.embeddings)
            if held >= PIECE_ROWS:
                vectors.append(np.concatenate(small))
                small, held = [], 0
        if not songs:
            raise InputError("index: no songs to build it from; give recordings or a store that has some")
        vectors += small
        start_s, length_s, key = np.concatenate(columns, axis=1)
        table = VectorTable.of(vectors)
        return cls(
            tuple(songs),
            tuple(contours),
            np.repeat(np.arange(len(songs)), counts),
            start_s,
            length_s,
            key,
            table,
            engines.make_engine(info.engine, table),
            info,
        )

    def add(self, entries: Iterable[Entry]) -> Index:
        """With these recordings after its own."""
        more = Index.build(entries, replace(self.info, engine=IndexConfig.engine))
        table = self.vectors.add(more.vectors)
        joined = {
            name: np.concatenate([getattr(self, name), getattr(more, name)]) for name in ("start_s", "length_s", "key")
        }
        return Index(
            self.songs + more.songs,
            self.contours + more.contours,
            np.concatenate([self.recording, more.recording + len(self.songs)]),
            **joined,
            vectors=table,
            engine=self.engine.add(table),
            info=self.info,
        )

    def delete(self, music_ids: Iterable[str]) -> Index:
        """Without the recordings of these songs. Raises InputError for a song that it does not have, and where none
        would be left."""
        gone = {normal_form(music_id) for music_id in music_ids}
        if strange := sorted(gone - set(self.music_ids)):
            raise InputError(f"index: {strange[0]} is no song of it; give ids that it has")
        keeps = np.array([song.music_id not in gone for song in self.songs])
        if not keeps.any():
            raise InputError("index: no song would be left; remove the folder instead")
        kept = np.flatnonzero(keeps[self.recording])
        table = self.vectors.take(kept)
        row = np.cumsum(keeps) - 1  # of each recording that stays
        return Index(
            tuple(song for song, stays in zip(self.songs, keeps, strict=True) if stays),
            tuple(one for one, stays in zip(self.contours, keeps, strict=True) if stays),
            row[self.recording[kept]],
            **{name: getattr(self, name)[kept] for name in ("start_s", "length_s", "key")},
            vectors=table,
            engine=self.engine.delete(table, kept),
            info=self.info,
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

    def song(self, music_id: str) -> Song:
        """The first recording of the song that has a title, else its first. Raises KeyError where it has none."""
        recordings = [song for song in self.songs if song.music_id == music_id]
        if not recordings:
            raise KeyError(music_id)
        return next((song for song in recordings if song.title), recordings[0])

    def title(self, music_id: str) -> str:
        """``Artist - Title``, or what of the two there is."""
        song = self.song(music_id)
        return " - ".join(part for part in (song.artist, song.title) if part)

    def entry(self, recording: int) -> Entry:
        """What a recording was added as."""
        rows = slice(*np.searchsorted(self.recording, [recording, recording + 1]))
        places = WindowPlaces(self.start_s[rows], self.length_s[rows], self.key[rows])
        return Entry(self.songs[recording], self.contours[recording], places, Embeddings(self.vectors[rows]))

    def nearest(self, vectors: Floats, k: int) -> tuple[Floats, Ints]:
        """Euclidean distances and windows, (m, k) each, sorted by distance, then window."""
        return engines.nearest(self.vectors, self.engine, vectors, k)

    def save(self, folder: Path) -> None:
        """Raises InputError where ``folder`` holds something else, where another process writes it, and where
        the disk is full: what was there stays then.
        """
        songs = [{"id": song.music_id, **asdict(song)} for song in self.songs]
        windows = {name: getattr(self, name) for name in SCHEMAS["windows"].names}
        writers = {
            "songs": _table_writer(pa.Table.from_pylist(songs, SCHEMAS["songs"]), use_dictionary=False),
            "windows": _table_writer(pa.table(windows, SCHEMAS["windows"])),
            "contours": lambda path: atomic_write(path, self._write_contours),
            "vectors": self.vectors.save,
            "engine": lambda path: atomic_write(path, safetensors.numpy.save(self.engine.state())),
        }
        replace_version(index_folder(folder), writers, asdict(self.info) | self._counts)

    @property
    def _counts(self) -> dict[str, int]:
        counts = {"recordings": len(self.songs), "songs": len(self.music_ids), "windows": len(self.vectors)}
        return counts | {"dim": self.vectors.dim}

    def _write_contours(self, file: BinaryIO) -> None:
        with pq.ParquetWriter(file, SCHEMAS["contours"]) as writer:
            for start in range(0, len(self.contours), CONTOURS):
                writer.write_table(_contour_table(self.contours[start : start + CONTOURS]))

    @classmethod
    def load(cls, folder: Path, model_checksum: str | None = None) -> Index:
        """One version of it, whatever a writer does meanwhile. Raises InputError where it is missing, damaged, of
        another format, or of another model."""
        with open_version(folder) as (about, files):
            vectors = VectorTable.read(files["vectors"])
            # a recording has a window and a window its vector, which takes its bytes: no table can be longer
            tables = {name: read_table(files[name], schema, len(vectors)) for name, schema in SCHEMAS.items()}
            state = read_state(files["engine"], STATE_BYTES + STATE_A_VECTOR * len(vectors) * (vectors.dim + 1))
        try:
            info = IndexInfo(**{field.name: about[field.name] for field in fields(IndexInfo)})
            _require_sane_info(info)
            engine = engines.make_engine(info.engine, vectors, state)
            songs, windows = _songs(tables["songs"]), _windows(tables["windows"])
            contours = _contours(tables["contours"])
            found = cls(songs, contours, **windows, vectors=vectors, engine=engine, info=info)
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{folder}: {error}; build it again") from error
        counts = found._counts
        wrong = [name for name, count in counts.items() if about[name] != count]
        if wrong:
            raise InputError(
                f"{folder}: {wrong[0]} {counts[wrong[0]]}, index.json says {about[wrong[0]]}; build it again"
            )
        if model_checksum is not None:
            found.require_model(model_checksum, folder)
        return found

    def require_model(self, checksum: str, folder: Path) -> None:
        """Raises InputError where another model made this index, which lies in ``folder``."""
        if self.info.model_checksum != checksum:
            made = self.info.model or "another model"
            raise InputError(f"{folder}: was built with {made}, not with this model; build it again")


def songs_at(folder: Path) -> tuple[Song, ...]:
    """The songs of an index folder alone. Raises InputError as ``Index.load`` does."""
    with open_version(folder) as (about, files):
        table = read_table(files["songs"], SCHEMAS["songs"], about["recordings"])
        try:
            return _songs(table)
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{folder}: {error}; build it again") from error


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


def _table_writer(table: pa.Table, **options: Any) -> Callable[[Path], None]:
    return lambda path: atomic_write(path, lambda file: pq.write_table(table, file, **options))


def _require_sane_info(info: IndexInfo) -> None:
    """Raises ValueError for a configuration or a tracker that none of this program has."""
    where = "index.json: config"
    others = {name: value for name, value in info.config.items() if name != "encoder"}  # which its own class reads
    require_sane(from_dict(ModelConfig, others, where), where)
    F0Config.of(info.tracker)


def _require_within(name: str, values: np.ndarray, low: float, high: float) -> None:
    """Raises ValueError; the least and the most of what holds NaN are NaN, which lies nowhere."""
    if len(values) and not (low <= values.min() and values.max() <= high):
        raise ValueError(f"{name} leaves {low:g} to {high:g}")


def _require_full(part: str, table: pa.Table) -> None:
    empty = [name for name in table.column_names if table[name].null_count]
    if empty:
        raise ValueError(f"{part}: column {empty[0]} has empty rows")


def _songs(table: pa.Table) -> tuple[Song, ...]:
    _require_full("songs", table)
    _require_within("songs: length_s", table["length_s"].to_numpy(), 0, LONGEST_S)
    rows = table.rename_columns(["music_id", *table.column_names[1:]]).to_pylist()
    return tuple(Song(**{**row, "tags": tuple(row["tags"])}) for row in rows)


def _windows(table: pa.Table) -> dict[str, np.ndarray]:
    _require_full("windows", table)
    columns = {name: table[name].combine_chunks().to_numpy() for name in SCHEMAS["windows"].names}
    for name, (low, high) in {
        "start_s": (0, LONGEST_S), "length_s": (0, LONGEST_S), "key": (-SEMITONES, SEMITONES),
    }.items():  # fmt: skip
        _require_within(f"windows: {name}", columns[name], low, high)
    return columns


def _contours(table: pa.Table) -> tuple[Contour | None, ...]:
    """A row's contour, or None where it has none. They share the table's memory."""
    columns = {name: table[name].combine_chunks() for name in ("semitones", "voiced")}
    parts = {}
    for name, column in columns.items():
        flat = column.values.to_numpy(zero_copy_only=False)
        ends = column.offsets.to_numpy()
        parts[name] = [flat[start:end] for start, end in pairwise(ends)]
    _require_within("contours: semitones", columns["semitones"].values.to_numpy(), -SEMITONES, SEMITONES)
    _require_within("contours: frame_s", table["frame_s"].drop_null().to_numpy(), *FRAMES_S)
    rows = zip(parts["semitones"], parts["voiced"], table["frame_s"].to_pylist(), strict=True)
    return tuple(None if frame_s is None else Contour(pitch, voiced, frame_s) for pitch, voiced, frame_s in rows)
