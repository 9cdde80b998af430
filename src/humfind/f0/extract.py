"""Recordings -> the f0 store: resumable, with a progress bar, and nothing lost without a word.

The recordings that the store lacks, sorted by name, are cut into slices of ``part_size``, one a part. What a
kill leaves are whole parts, and the same call again makes only the missing ones: the result is that of an
unbroken run. Recordings that come later go into parts of their own; rows whose recording is gone are kept
and counted. A recording that cannot be read is skipped with a reason: in its part, in the result and in
``skipped.csv``.
"""

from __future__ import annotations

import csv
import hashlib
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Protocol

from tqdm import tqdm

from humfind.audio.load import promised_s
from humfind.config import F0Config
from humfind.data.zalo import csv_line, stem
from humfind.f0 import Tracker, make_tracker, track_file
from humfind.f0.store import (
    KINDS,
    SKIPPED,
    Manifest,
    Skip,
    StoredF0,
    open_for_writing,
    part_path,
    parts,
    read_part,
    read_skipped,
    write_part,
)
from humfind.runtime.files import atomic_write
from humfind.runtime.lock import writing
from humfind.types import InputError

SKIPPED_HEADER = ["path", "reason", "source_sha256"]
BAR = "{desc} {percentage:3.0f}%|{bar}| {n:.0f}/{total:.0f} s of audio [{elapsed}<{remaining}{postfix}]"
log = logging.getLogger(__name__)


class Item(Protocol):
    """A recording of a data set. audio: its file; None where there is only a row in some store."""

    @property
    def path(self) -> str: ...
    @property
    def music_id(self) -> str | None: ...
    @property
    def audio(self) -> Path | None: ...


@dataclass(frozen=True)
class Extraction:
    """What became of the recordings: tracked now, found in the store, or skipped. They add up to all.

    kept: rows of the store, by path, that belong to none of the recordings.
    """

    done: int
    reused: int
    skipped: tuple[Skip, ...]
    audio_s: float = 0.0
    elapsed_s: float = 0.0
    kept: tuple[str, ...] = ()

    def __str__(self) -> str:
        speed = f" at {self.audio_s / self.elapsed_s:.0f}x real time" if self.done and self.elapsed_s else ""
        kept = f", {len(self.kept)} kept whose recording is gone" if self.kept else ""
        return f"{self.done} tracked{speed}, {self.reused} reused, {len(self.skipped)} skipped{kept}"


def extract(
    items: Iterable[Item], config: F0Config, store: str | Path, split: str, kind: str, progress: bool = True
) -> Extraction:
    """Track every item that ``<store>/<split>/<kind>`` does not hold yet.

    Raises InputError where the folder was made in another way, where a recording has changed since, where
    two items share a stem, where another process writes the store, and where the disk is full.
    """
    if kind not in KINDS:
        raise InputError(f"kind {kind!r}: unknown; choose {' or '.join(KINDS)}")
    ordered = _ordered(items)
    tracker = make_tracker(config, kind)
    folder = Path(store) / split / kind
    with writing(store):
        open_for_writing(folder, manifest_of(tracker, config))
        return _fill(folder, ordered, tracker, config.part_size, f"f0 {split}/{kind}" if progress else "")


def _fill(folder: Path, ordered: list[Item], tracker: Tracker, part_size: int, title: str) -> Extraction:
    held = _held(folder)
    reused, skipped, lacking = _sort_out(ordered, held)
    stems = {stem(item.path) for item in ordered}
    kept = tuple(sorted(row.path for key, row in held.rows.items() if key not in stems))
    if kept:
        log.warning("%s: %d rows are kept whose recording is gone, %s first", folder, len(kept), kept[0])
    slices = [lacking[i : i + part_size] for i in range(0, len(lacking), part_size)]
    free = (number for number in count() if not part_path(folder, number).exists())
    tracked, audio_s, start = 0, 0.0, time.perf_counter()
    with _Bar(title, lacking) as bar:
        for members in slices:
            results = [_track(item, tracker, bar) for item in members]
            rows = [result for result in results if isinstance(result, StoredF0)]
            skips = [result for result in results if isinstance(result, Skip)]
            write_part(folder, next(free), rows, skips)
            tracked, audio_s = tracked + len(rows), audio_s + sum(row.f0.length_s for row in rows)
            skipped += skips
    skipped.sort(key=lambda skip: skip.path)
    _write_skipped(folder, skipped)
    result = Extraction(tracked, reused, tuple(skipped), audio_s, time.perf_counter() - start, kept)
    if tracked + reused + len(skipped) != len(ordered):
        raise RuntimeError(f"{len(ordered)} recordings in, but {result}")
    return result


def manifest_of(tracker: Tracker, config: F0Config) -> Manifest:
    """What a tracker writes beside its parts."""
    return Manifest(
        tracker=tracker.name,
        version=tracker.version,
        model=tracker.model,
        decoder=tracker.decoder,
        hop_s=tracker.hop_s,
        threshold=tracker.threshold,
        part_size=config.part_size,
    )


def file_sha256(path: Path) -> str:
    """The SHA-256 of a file, in hex."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _ordered(items: Iterable[Item]) -> list[Item]:
    ordered = sorted(items, key=lambda item: (PurePosixPath(item.path).name, item.path))
    seen: dict[str, str] = {}
    for item in ordered:
        key = stem(item.path)
        if key in seen:
            raise InputError(f"{seen[key]} and {item.path}: the same stem twice; rename one of the two")
        seen[key] = item.path
    return ordered


@dataclass(frozen=True)
class _Row:
    """What tells whether a row of the store is a recording's."""

    path: str
    music_id: str | None
    source_sha256: str | None
    part: Path


@dataclass(frozen=True)
class _Held:
    """rows: by stem. skips: by path and by what the file was then."""

    rows: dict[str, _Row]
    skips: dict[tuple[str, str], Skip]


def _held(folder: Path) -> _Held:
    """What the parts of ``folder`` hold, and what they were to hold. Raises InputError for a broken part."""
    rows: dict[str, _Row] = {}
    skips = _read_skipped(folder)
    for part in parts(folder):
        for row in read_part(part, threshold=0.0):
            if row.stem in rows:
                mend = f"delete {part} to track its recordings again"
                raise InputError(f"{part}: {row.path} is in {rows[row.stem].part.name} too; {mend}")
            rows[row.stem] = _Row(row.path, row.music_id, row.source_sha256, part)
        skips += read_skipped(part)
    return _Held(rows, {(skip.path, skip.source_sha256): skip for skip in skips})


def _sort_out(ordered: Sequence[Item], held: _Held) -> tuple[int, list[Skip], list[Item]]:
    """How many recordings have their row, which are known to be unreadable, and which are to be tracked."""
    reused, skipped, lacking = 0, [], []
    for item in ordered:
        row = held.rows.get(stem(item.path))
        now = file_sha256(item.audio) if item.audio is not None and item.audio.is_file() else ""
        if row is not None:
            _require_same(item, row, now)
            reused += 1
        elif (skip := held.skips.get((item.path, now))) is not None:
            skipped.append(skip)
        else:
            lacking.append(item)
    return reused, skipped, lacking


def _require_same(item: Item, row: _Row, now: str) -> None:
    mend = f"delete {row.part} to track it again"
    if now and row.source_sha256 not in (None, now):
        if row.path != item.path:
            raise InputError(f"{item.path}: the store holds {row.path}, another recording of that name; {mend}")
        raise InputError(f"{item.path}: changed since it was tracked; {mend}")
    if row.music_id != item.music_id:
        was = f"music_id {row.music_id} in the store, {item.music_id} in the data set"
        raise InputError(f"{item.path}: {was}; {mend}")


def _track(item: Item, tracker: Tracker, bar: _Bar) -> StoredF0 | Skip:
    if item.audio is None:
        return Skip(item.path, "no recording, and no row in this store")
    digest = file_sha256(item.audio) if item.audio.is_file() else ""
    try:
        f0 = track_file(tracker, item.audio)
    except InputError as error:
        reason = str(error).replace(str(item.audio), item.path)
        log.info("skipped %s", reason)
        bar.add(item, 0.0)
        return Skip(item.path, reason, digest)
    bar.add(item, f0.length_s)
    return StoredF0(item.path, item.music_id, f0, digest)


def _read_skipped(folder: Path) -> list[Skip]:
    """Raises InputError for a table of that name that is not ours: it would be replaced."""
    path = folder / SKIPPED
    if not path.is_file():
        return []
    try:
        with open(path, newline="", encoding="utf-8") as file:
            header, *rows = list(csv.reader(file)) or [[]]
        if header != SKIPPED_HEADER:
            raise ValueError(f"its header is not {','.join(SKIPPED_HEADER)}")
        return [Skip(*row) for row in rows]
    except (ValueError, TypeError, csv.Error) as error:
        raise InputError(f"{path}: not written by humfind f0 ({error}); choose another store or move it") from error


def _write_skipped(folder: Path, skipped: Sequence[Skip]) -> None:
    """``skipped.csv``: path, reason, source_sha256; no file where nothing was skipped."""
    path = folder / SKIPPED
    if not skipped:
        path.unlink(missing_ok=True)
        return
    rows = [SKIPPED_HEADER, *((skip.path, skip.reason, skip.source_sha256) for skip in skipped)]
    atomic_write(path, "".join(map(csv_line, rows)).encode())


class _Bar:
    """Seconds of audio done, the speed as a multiple of real time, and the time left."""

    def __init__(self, title: str, items: Sequence[Item]) -> None:
        self.lengths = {item.path: _length_s(item) for item in items}
        total = sum(self.lengths.values())
        self.bar = tqdm(total=total, desc=title, bar_format=BAR, disable=not (title and items))
        self.start, self.audio_s = time.perf_counter(), 0.0

    def add(self, item: Item, length_s: float) -> None:
        self.audio_s += length_s
        speed = self.audio_s / max(1e-9, time.perf_counter() - self.start)
        self.bar.set_postfix_str(f"{speed:.0f}x real time", refresh=False)
        self.bar.update(self.lengths[item.path])

    def __enter__(self) -> _Bar:
        return self

    def __exit__(self, *_: object) -> None:
        self.bar.close()


def _length_s(item: Item) -> float:
    """0 where it is not known."""
    return promised_s(item.audio) if item.audio else 0.0
