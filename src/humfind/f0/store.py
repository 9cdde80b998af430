"""The parquet f0 store: ``<store>/<split>/<hum|song>/part-NNNN.parquet`` with a ``manifest.json`` beside the parts.

One row a recording: ``path`` str (the join key is its stem), ``music_id`` str or null, ``hop_s`` float, ``hz`` and
``confidence`` lists of floats, optional ``source_sha256``. Parts are written under another name, then renamed, so that
a kill leaves whole ones; a part's metadata name the recordings that it would hold, had they been readable. A folder
without a manifest is foreign: read with threshold 0.5.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from humfind.data.zalo import stem
from humfind.f0.columns import is_text, lists, numbers, optional_text, texts
from humfind.runtime.files import atomic_write, read_json, remove_partial_files, require_regular_file
from humfind.types import F0, InputError

KINDS = ("hum", "song")
FOREIGN_THRESHOLD = 0.5
HOPS_S = (0.0005, 0.5)  # outside, a hop is a slip: samples, or milliseconds
MOST_ROWS, MOST_VALUES = 100_000, 100_000_000  # of a part: 64 recordings of three hours have 69 million values
LONGEST_S, HIGHEST_HZ = 3 * 3600.0, 20_000.0  # of an f0
TEXTS = ("path", "music_id", "source_sha256")
MANIFEST = "manifest.json"
SKIPPED = "skipped.csv"
WRITTEN = re.compile(rf"part-\d{{4,}}\.parquet|{re.escape(MANIFEST)}|{re.escape(SKIPPED)}")  # all that a folder gets
# what pyarrow raises for bytes that are no parquet file, or not that of its own footer
UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError, MemoryError)
SKIPPED_KEY = b"humfind.skipped"  # of a part's metadata: JSON, [[path, reason, source_sha256], ...]
SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("music_id", pa.string()),
        ("hop_s", pa.float64()),
        ("hz", pa.list_(pa.float32())),
        ("confidence", pa.list_(pa.float32())),
        ("source_sha256", pa.string()),
    ]
)


@dataclass(frozen=True)
class Manifest:
    """What made the rows of one folder."""

    tracker: str
    version: str
    model: str
    decoder: str
    hop_s: float
    threshold: float
    part_size: int = 64
    seed: int = 0


_KINDS_OF_VALUE: dict[str, Any] = {"str": str, "float": (int, float), "int": int}


@dataclass(frozen=True)
class StoredF0:
    """One row: the f0 of the recording at ``path``, relative to the data set's folder."""

    path: str
    music_id: str | None
    f0: F0
    source_sha256: str | None = None

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def stem(self) -> str:
        return stem(self.path)


@dataclass(frozen=True)
class Row:
    """What a row says but its f0. voiced_s: how much of it has a pitch. part, number: where its f0 lies."""

    path: str
    music_id: str | None
    source_sha256: str | None
    voiced_s: float
    part: Path
    number: int

    @property
    def stem(self) -> str:
        return stem(self.path)


@dataclass(frozen=True)
class Skip:
    """A recording without f0, and why. source_sha256 is empty where there is no file."""

    path: str
    reason: str
    source_sha256: str = ""


class Store:
    """An f0 store, for reading. Raises InputError where there is no such folder."""

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self._part = lru_cache(maxsize=2)(lambda part: list(read_part(part, _threshold(part.parent))))
        if not self.folder.is_dir():
            raise InputError(f"{folder}: no such f0 store; make one with: humfind f0 DATA")

    @property
    def manifest(self) -> Manifest | None:
        """The manifest that all folders share; None where none has one. Raises InputError where they differ."""
        found = {path: read_manifest(path.parent) for path in sorted(self.folder.glob(f"*/*/{MANIFEST}"))}
        different = {manifest: path for path, manifest in found.items()}
        if len(different) > 1:
            a, b = list(different.values())[:2]
            raise InputError(f"{a} and {b}: made in different ways; use one store for each")
        return next(iter(different), None)

    def read(self, split: str, kind: str) -> list[StoredF0]:
        """Every row of one folder, sorted by name; none where the folder is missing.

        Raises InputError for a part that is cut, columns that are missing or of a wrong type, values that
        no f0 has, and two rows of one stem.
        """
        return sorted((row for _, _, row in self._each(split, kind)), key=lambda row: (row.name, row.path))

    def rows(self, split: str, kind: str) -> list[Row]:
        """``read`` without the f0, which ``f0`` reads one by one: a part at a time is in memory."""
        found = [
            (row.name, Row(row.path, row.music_id, row.source_sha256, row.f0.voiced_s, part, number))
            for part, number, row in self._each(split, kind)
        ]
        return [row for _, row in sorted(found, key=lambda pair: (pair[0], pair[1].path))]

    def f0(self, row: Row) -> F0:
        """Raises InputError where its part has changed since ``rows``."""
        held = self._part(row.part)
        if row.number >= len(held) or held[row.number].path != row.path:
            raise InputError(f"{row.part}: was changed while it was read; give the command again")
        return held[row.number].f0

    def _each(self, split: str, kind: str) -> Iterator[tuple[Path, int, StoredF0]]:
        """Every row of one folder with its part and its number there."""
        folder = self.folder / split / kind
        threshold = _threshold(folder)
        seen: dict[str, str] = {}
        for part in parts(folder):
            for number, row in enumerate(read_part(part, threshold)):
                other = seen.setdefault(row.stem, row.path)
                if other is not row.path:
                    raise InputError(f"{part}: {row.path} and {other} have the same stem; keep one of the two")
                yield part, number, row


def _threshold(folder: Path) -> float:
    """At which confidence a frame of this folder counts as voiced."""
    manifest = read_manifest(folder)
    return manifest.threshold if manifest else FOREIGN_THRESHOLD


def parts(folder: Path) -> list[Path]:
    """The part files of one folder, by name; half-written ones end in .part and are not among them."""
    return sorted(folder.glob("*.parquet"))


def read_manifest(folder: Path) -> Manifest | None:
    """The manifest in ``folder``; None where there is none (a foreign store)."""
    path = folder / MANIFEST
    if not path.is_file():
        return None
    try:
        values = read_json(path)
        kinds = {f.name: _KINDS_OF_VALUE[str(f.type)] for f in fields(Manifest)}
        manifest = Manifest(**{name: value for name, value in values.items() if name in kinds})
        wrong = [name for name, kind in kinds.items() if not isinstance(getattr(manifest, name), kind)]
        if wrong:
            raise ValueError(f"{wrong[0]} is {getattr(manifest, wrong[0])!r:.40}")
        hop_s, threshold = float(manifest.hop_s), float(manifest.threshold)
    except (ValueError, TypeError, AttributeError, OverflowError, OSError) as error:
        raise InputError(f"{path}: not a manifest ({error}); delete it to read the store as a foreign one") from error
    if not (HOPS_S[0] <= hop_s <= HOPS_S[1] and 0 <= threshold <= 1 and manifest.part_size > 0):
        raise InputError(f"{path}: hop_s {hop_s}, threshold {threshold} or part_size is out of range; correct it")
    return manifest


def open_for_writing(folder: Path, manifest: Manifest) -> None:
    """Make ``folder`` ready for parts made as ``manifest`` says; halves that a killed writer left are removed.

    Raises InputError where parts made in another way, or in an unknown one, are there already.
    """
    folder.mkdir(parents=True, exist_ok=True)
    remove_partial_files(folder, lambda name: WRITTEN.fullmatch(name) is not None)
    present = read_manifest(folder)
    mend = "choose another store or delete this folder"
    if present is None and parts(folder):
        raise InputError(f"{folder}: holds parts without a {MANIFEST}, of unknown origin; {mend}")
    if present is not None and present != manifest:
        was, asked = asdict(present), asdict(manifest)
        differ = ", ".join(f"{key} {was[key]} is not {asked[key]}" for key in was if was[key] != asked[key])
        raise InputError(f"{folder / MANIFEST}: not what was asked for ({differ}); {mend}")
    if present is None:
        text = json.dumps(asdict(manifest), indent=2) + "\n"
        atomic_write(folder / MANIFEST, text.encode())


def write_part(folder: Path, number: int, rows: Sequence[StoredF0], skipped: Sequence[Skip] = ()) -> Path:
    """Rows -> ``part-NNNN.parquet``, whole or not at all; the same rows give the same bytes.

    skipped: who is not among the rows, and why. Raises InputError where the disk is full.
    """
    columns: dict[str, list[Any]] = {
        "path": [row.path for row in rows],
        "music_id": [row.music_id for row in rows],
        "hop_s": [row.f0.hop_s for row in rows],
        "hz": [row.f0.hz for row in rows],
        "confidence": [row.f0.confidence for row in rows],
        "source_sha256": [row.source_sha256 for row in rows],
    }
    table = pa.table(columns, schema=SCHEMA)
    if skipped:
        absent = json.dumps([[skip.path, skip.reason, skip.source_sha256] for skip in skipped])
        table = table.replace_schema_metadata({SKIPPED_KEY: absent})
    path = part_path(folder, number)
    floats = ["hz.list.element", "confidence.list.element"]
    atomic_write(
        path,
        lambda file: pq.write_table(
            table,
            file,
            compression="zstd",
            use_dictionary=["music_id"],
            column_encoding=dict.fromkeys(floats, "BYTE_STREAM_SPLIT"),  # floats then compress, losslessly
        ),
    )
    return path


def part_path(folder: Path, number: int) -> Path:
    """Where part ``number`` lies."""
    return folder / f"part-{number:04d}.parquet"


def read_part(part: Path, threshold: float) -> Iterator[StoredF0]:
    """The rows of one part. Raises InputError naming the file, and the column or the row."""
    again = "delete it and track again"
    try:
        require_regular_file(part)
        with part.open("rb") as file:  # pyarrow itself opens no path that is not UTF-8
            # in this thread alone: one of Arrow's that still holds a file of Python may abort the process at its end
            header = pq.ParquetFile(file, pre_buffer=False)
            _require_sizes(part, header.metadata)
            text = [field.name for field in header.schema_arrow if field.name in TEXTS and is_text(field.type)]
            table = pq.ParquetFile(file, read_dictionary=text, pre_buffer=False).read(use_threads=False)
        table.validate(full=True)
        paths, hops = texts(part, table, "path"), numbers(part, table, "hop_s")
        hz, confidence = (lists(part, table, name) for name in ("hz", "confidence"))
        ids = optional_text(part, table, "music_id")
        sums = optional_text(part, table, "source_sha256")
    except UNREADABLE as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{part}: cannot be read as parquet ({reason}); {again}") from error
    for i, (path, hop_s) in enumerate(zip(paths, hops, strict=True)):
        if not stem(path) or "\0" in path:
            raise InputError(f"{part}: row {i + 1} has the path {path!r}, which names no recording; {again}")
        if not HOPS_S[0] <= hop_s <= HOPS_S[1]:
            raise InputError(f"{part}: row {path}: hop_s is {hop_s}, outside {HOPS_S} seconds; {again}")
        if len(hz[i]) * hop_s > 1.01 * LONGEST_S or hz[i].max(initial=0.0) > HIGHEST_HZ:
            said = f"{len(hz[i]) * hop_s / 3600:.1f} hours, up to {hz[i].max(initial=0.0):.3g} Hz"
            raise InputError(f"{part}: row {path}: {said}, which no recording has; track it again")
        try:
            f0 = F0(hz[i], confidence[i], hop_s, threshold)
        except ValueError as error:
            raise InputError(f"{part}: row {path}: {error}; track it again") from error
        yield StoredF0(path, ids[i], f0, sums[i])


def _require_sizes(part: Path, metadata: pq.FileMetaData) -> None:
    """Raises InputError where the header of a part asks for more memory than any has, before it is read."""
    again = "delete it and track again"
    if metadata.num_rows > MOST_ROWS:
        raise InputError(f"{part}: {metadata.num_rows:,} rows, more than {MOST_ROWS:,}; {again}")
    values, size = Counter[str](), 0
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            values[column.path_in_schema] += column.num_values
            size += column.total_uncompressed_size
    most = max(values.values(), default=0)
    if most > MOST_VALUES or size > 16 * MOST_VALUES:
        raise InputError(f"{part}: {most:,} values in a column, more than {MOST_VALUES:,}; {again}")


def checksums(store: Path) -> Iterator[tuple[str, str | None]]:
    """(path, source_sha256) of every row of every split and kind."""
    for part in sorted(store.glob("*/*/*.parquet")):
        for row in read_part(part, FOREIGN_THRESHOLD):
            yield row.path, row.source_sha256


def read_skipped(part: Path) -> list[Skip]:
    """Who is not among the rows of this part, and why. Raises InputError where it cannot be read."""
    try:
        require_regular_file(part)
        with part.open("rb") as file:
            metadata = pq.read_schema(file).metadata or {}
        return [Skip(*skip) for skip in json.loads(metadata.get(SKIPPED_KEY, b"[]"))]
    except (*UNREADABLE, ValueError, TypeError, RecursionError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{part}: cannot be read as parquet ({reason}); delete it and track again") from error
