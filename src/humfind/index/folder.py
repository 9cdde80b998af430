"""The index: songs, where their windows lie, the windows' vectors, the songs' contours.

As a folder: index.json (format version, model, config, tracker, engine, counts, names of the parts) and five parts:
songs (id, title, source, checksum, length_s, tags ..., how many windows and frames it has; a row a recording), windows
(start_s, length_s, key; a column a vector), vectors, contours (semitones, voiced; a row a frame), and what the engine
keeps. All but the songs are mapped into memory, and take none before they are looked at. ``humfind.index.parts`` says
how a reader sees the old index, the new one or none. What is read is checked, vectors and contours where they are used:
an index may come from anywhere.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from humfind.config import F0Config, IndexConfig, ModelConfig, from_dict, require_sane
from humfind.index import engines
from humfind.index.contours import FRAME, SEMITONES, ContourSpool, StoredContours, read_contours
from humfind.index.mapped import Spool, map_array, map_tensors, write_array, write_tensors
from humfind.index.parts import index_folder, open_version, read_table, replace_version
from humfind.index.vectors import DTYPE, Halves, VectorTable, to_float16
from humfind.runtime.files import atomic_write
from humfind.types import Contour, Contours, Embeddings, Floats, InputError, Ints, Windows, normal_form

PIECE_ROWS = 2**16  # vectors kept together while the index grows: small arrays' memory would not come back
LONGEST_S = 1e7  # no recording is longer
STATE_BYTES, STATE_A_VECTOR = 2**20, 8  # the most that an engine keeps: always, and for each number of a vector
SONGS = pa.schema(
    [
        ("id", pa.string()),
        ("title", pa.string()),
        ("artist", pa.string()),
        ("album", pa.string()),
        ("source", pa.string()),
        ("checksum", pa.string()),
        ("length_s", pa.float64()),
        ("tags", pa.list_(pa.string())),
        ("windows", pa.int64()),
        ("frames", pa.int64()),
        ("frame_s", pa.float64()),
    ]
)
COUNTED = ("windows", "frames", "frame_s")  # of a song's recording: what its vectors and its contour are found by
PLACES = ("start_s", "length_s", "key")  # the rows of the windows' table


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
    """songs, contours: a row a recording. begin: (recordings + 1,) where each one's windows begin. start_s, length_s,
    key: a row a vector. Never changed: ``add`` and ``delete`` give another index."""

    songs: tuple[Song, ...]
    contours: StoredContours
    begin: Ints
    start_s: Floats
    length_s: Floats
    key: Floats
    vectors: VectorTable
    engine: engines.Engine
    info: IndexInfo

    def __post_init__(self) -> None:
        if len(self.contours) != len(self.songs):
            raise ValueError(f"{len(self.songs)} recordings but {len(self.contours)} contours")
        for name in PLACES:
            if len(getattr(self, name)) != len(self.vectors):
                raise ValueError(f"{len(self.vectors)} vectors but {len(getattr(self, name))} windows")
        counts = np.diff(self.begin)
        if len(counts) != len(self.songs) or self.begin[0] or self.begin[-1] != len(self.vectors):
            raise ValueError("a window belongs to no recording")
        if counts.min() < 0 or counts.max() > len(self.vectors):
            raise ValueError("a recording has more windows than there are")

    @classmethod
    def build(cls, entries: Iterable[Entry], info: IndexInfo, beside: Path | None = None) -> Index:
        """beside: a folder, on whose disk vectors and contours are then kept as they come, rather than in memory.
        Raises InputError where there is no entry, for an unknown engine, and where that disk is full."""
        contours, vectors = ContourSpool(beside), Spool(DTYPE, beside)
        songs, counts, columns = list[Song](), list[int](), list[np.ndarray]()
        small, held = list[Halves](), 0
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
        if small:
            vectors.append(np.concatenate(small))
        table = VectorTable(vectors.rows())
        engine = engines.make_engine(info.engine, table)
        start_s, length_s, key = np.concatenate(columns, axis=1)
        return cls(
            tuple(songs), contours.contours(), _begin(counts), start_s, length_s, key, table, engine, info
        )  # fmt: skip

    def add(self, entries: Iterable[Entry]) -> Index:
        """With these recordings after its own."""
        more = Index.build(entries, replace(self.info, engine=IndexConfig.engine))
        table = self.vectors.add(more.vectors)
        joined = {name: np.concatenate([getattr(self, name), getattr(more, name)]) for name in PLACES}
        return Index(
            self.songs + more.songs,
            StoredContours.of((*self.contours, *more.contours)),
            np.concatenate([self.begin, self.begin[-1] + more.begin[1:]]),
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
        return self._take(keeps)

    def shard(self, number: int, of: int) -> Index:
        """The songs whose id falls to this one of so many shards, ``number`` from 0; a song always falls to the same.
        Raises InputError where there is none."""
        mine = {one for one in self.music_ids if int.from_bytes(sha256(one.encode()).digest()[:8]) % of == number}
        if not mine:
            raise InputError(f"index: shard {number + 1} of {of} would have no song; take fewer shards")
        return self._take(np.array([song.music_id in mine for song in self.songs]))

    def _take(self, keeps: np.ndarray) -> Index:
        """These recordings alone."""
        kept = np.flatnonzero(keeps[self.recording])
        table = self.vectors.take(kept)
        return Index(
            tuple(song for song, stays in zip(self.songs, keeps, strict=True) if stays),
            StoredContours.of(one for one, stays in zip(self.contours, keeps, strict=True) if stays),
            _begin(np.diff(self.begin)[keeps]),
            **{name: getattr(self, name)[kept] for name in PLACES},
            vectors=table,
            engine=self.engine.delete(table, kept),
            info=self.info,
        )

    @cached_property
    def recording(self) -> Ints:
        """The recording that each window belongs to."""
        return np.repeat(np.arange(len(self.songs)), np.diff(self.begin))

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
        recordings = [self.songs[row] for row in self.recordings_of(music_id)]
        if not recordings:
            raise KeyError(music_id)
        return next((song for song in recordings if song.title), recordings[0])

    def recordings_of(self, music_id: str) -> list[int]:
        """The rows of a song's recordings; none of what is no song of it."""
        row = bisect_left(self.music_ids, music_id)
        if self.music_ids[row : row + 1] != (music_id,):
            return []
        by_song, begin = self._by_song
        rows: list[int] = by_song[begin[row] : begin[row + 1]].tolist()
        return rows

    @cached_property
    def _by_song(self) -> tuple[Ints, Ints]:
        """Recordings, a song's beside each other; where each song's begin."""
        counts = np.bincount(self.recording_song, minlength=len(self.music_ids))
        return np.argsort(self.recording_song, kind="stable"), _begin(counts)

    def contour(self, music_id: str) -> Contour | None:
        """Of the first recording of the song that has one."""
        contours = (self.contours[row] for row in self.recordings_of(music_id))
        return next((one for one in contours if one is not None), None)

    def contours_between(self, recordings: Ints, start_s: Floats, end_s: Floats) -> Contours:
        """Of these recordings' contours the parts from one second to another; nothing else is read."""
        return self.contours.between(recordings, start_s, end_s)

    def title(self, music_id: str) -> str:
        """``Artist - Title``, or what of the two there is."""
        song = self.song(music_id)
        return " - ".join(part for part in (song.artist, song.title) if part)

    def entry(self, recording: int) -> Entry:
        """What a recording was added as."""
        rows = slice(*self.begin[recording : recording + 2])
        places = WindowPlaces(self.start_s[rows], self.length_s[rows], self.key[rows])
        return Entry(self.songs[recording], self.contours[recording], places, Embeddings(self.vectors[rows]))

    def nearest(self, vectors: Floats, k: int) -> tuple[Floats, Ints]:
        """Euclidean distances and windows, (m, k) each, sorted by distance, then window."""
        return engines.nearest(self.vectors, self.engine, vectors, k)

    def estimated(self, vectors: Floats, k: int) -> tuple[Floats, Ints]:
        """The same by what the engine keeps, where it can tell without the vectors: about the distances."""
        return engines.estimated(self.vectors, self.engine, vectors, k)

    def save(self, folder: Path) -> None:
        """Raises InputError where ``folder`` holds something else, where another process writes it, and where
        the disk is full: what was there stays then.
        """
        songs = pa.Table.from_pylist(
            [{"id": song.music_id, **asdict(song)} for song in self.songs], pa.schema(list(SONGS)[: -len(COUNTED)])
        )
        counted = (np.diff(self.begin), np.diff(self.contours.begin), self.contours.frame_s)
        for name, column in zip(COUNTED, counted, strict=True):
            songs = songs.append_column(SONGS.field(name), pa.array(column))
        places = [getattr(self, name) for name in PLACES]
        writers = {
            "songs": lambda path: atomic_write(path, lambda file: pq.write_table(songs, file, use_dictionary=False)),
            "windows": lambda path: write_array(path, "<f4", (len(PLACES), len(self.vectors)), places),
            "contours": lambda path: write_array(path, FRAME, self.contours.frames.shape, [self.contours.frames]),
            "vectors": self.vectors.save,
            "engine": lambda path: write_tensors(path, self.engine.state()),
        }
        replace_version(index_folder(folder), writers, asdict(self.info) | self._counts)

    @property
    def _counts(self) -> dict[str, int]:
        counts = {"recordings": len(self.songs), "songs": len(self.music_ids), "windows": len(self.vectors)}
        return counts | {"dim": self.vectors.dim}

    @classmethod
    def load(cls, folder: Path, model_checksum: str | None = None) -> Index:
        """One version of it, whatever a writer does meanwhile. Raises InputError where it is missing, damaged, of
        another format, or of another model."""
        with open_version(folder) as (about, files):
            vectors = VectorTable.read(files["vectors"])
            # a recording has a window and a window its vector, which takes its bytes: no table can be longer
            table = read_table(files["songs"], SONGS, len(vectors))
            windows = map_array(files["windows"], "<f4", 2, "a whole table of windows")
            state = map_tensors(files["engine"], STATE_BYTES + STATE_A_VECTOR * len(vectors) * (vectors.dim + 1))
            try:
                info = IndexInfo(**{field.name: about[field.name] for field in fields(IndexInfo)})
                _require_sane_info(info)
                songs, counts, *frames = _songs(table), *(table[name].to_numpy() for name in COUNTED)
                contours = read_contours(files["contours"], *frames)
                engine = engines.make_engine(info.engine, vectors, state)
                found = cls(songs, contours, _begin(counts), *_places(windows), vectors, engine, info)
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
        table = read_table(files["songs"], SONGS, about["recordings"])
        try:
            return _songs(table)
        except (ValueError, TypeError, AttributeError) as error:
            raise InputError(f"{folder}: {error}; build it again") from error


def _begin(counts: Sequence[int] | Ints) -> Ints:
    """Where each begins, and where the last ends."""
    return np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)


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


def _songs(table: pa.Table) -> tuple[Song, ...]:
    if empty := [name for name in table.column_names if table[name].null_count]:
        raise ValueError(f"songs: column {empty[0]} has empty rows")
    _require_within("songs: length_s", table["length_s"].to_numpy(), 0, LONGEST_S)
    own = table.drop_columns(list(COUNTED))
    rows = own.rename_columns(["music_id", *own.column_names[1:]]).to_pylist()
    return tuple(Song(**{**row, "tags": tuple(row["tags"])}) for row in rows)


def _places(windows: np.ndarray) -> tuple[Floats, Floats, Floats]:
    """The rows of ``PLACES``."""
    if len(windows) != len(PLACES):
        raise ValueError(f"windows: {len(windows)} rows, not {', '.join(PLACES)}")
    limits = {"start_s": (0, LONGEST_S), "length_s": (0, LONGEST_S), "key": (-SEMITONES, SEMITONES)}
    for row, name in zip(windows, PLACES, strict=True):
        _require_within(f"windows: {name}", row, *limits[name])
    start_s, length_s, key = windows
    return start_s, length_s, key
