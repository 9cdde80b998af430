"""Recordings -> the f0 store: resumable, with a progress bar, and nothing lost without a word.

The recordings, sorted by name, are cut into slices of ``part_size``; slice k is part k. What a kill leaves
are whole parts, and the same call again makes only the missing ones: the result is that of an unbroken run.
A recording that cannot be read is skipped with a reason, in the result and in ``skipped.csv``.
"""

from __future__ import annotations

import csv
import hashlib
import io
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol

from tqdm import tqdm

from humfind.aside import write_aside
from humfind.config import F0Config
from humfind.data.zalo import stem
from humfind.f0 import Tracker, make_tracker
from humfind.f0.audio import load
from humfind.f0.store import (
    KINDS,
    Manifest,
    StoredF0,
    open_for_writing,
    part_path,
    parts,
    read_part,
    write_part,
)
from humfind.types import InputError, Recording

SKIPPED = "skipped.csv"
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
class Skip:
    """A recording without f0, and why. source_sha256 is empty where there is no file."""

    path: str
    reason: str
    source_sha256: str = ""


@dataclass(frozen=True)
class Extraction:
    """What became of the recordings: tracked now, found in the store, or skipped. They add up to all."""

    done: int
    reused: int
    skipped: tuple[Skip, ...]
    audio_s: float = 0.0
    elapsed_s: float = 0.0

    def __str__(self) -> str:
        speed = f" at {self.audio_s / self.elapsed_s:.0f}x real time" if self.done and self.elapsed_s else ""
        return f"{self.done} tracked{speed}, {self.reused} reused, {len(self.skipped)} skipped"


def extract(
    items: Iterable[Item], config: F0Config, store: str | Path, split: str, kind: str, progress: bool = True
) -> Extraction:
    """Track every item that ``<store>/<split>/<kind>`` does not hold yet.

    Raises InputError where the folder was made in another way or from other recordings, where a recording
    has changed since, and where two items share a stem.
    """
    if kind not in KINDS:
        raise InputError(f"kind {kind!r}: unknown; choose {' or '.join(KINDS)}")
    ordered = _ordered(items)
    tracker = make_tracker(config)
    folder = Path(store) / split / kind
    open_for_writing(folder, manifest_of(tracker, config))
    slices = [ordered[i : i + config.part_size] for i in range(0, len(ordered), config.part_size)]
    extra = {part.name for part in parts(folder)} - {part_path(folder, k).name for k in range(len(slices))}
    if extra:
        raise InputError(f"{folder / min(extra)}: no recordings belong here any more; delete {folder}")
    known = {skip.path: skip for skip in _read_skipped(folder)}
    skipped: dict[str, Skip] = {}
    missing, reused = [], 0
    for number, members in enumerate(slices):
        kept = _check_part(part_path(folder, number), members, known)
        if kept is None:
            missing.append(number)
            continue
        skipped |= {skip.path: skip for skip in kept}
        reused += len(members) - len(kept)
    tracked, audio_s, start = 0, 0.0, time.perf_counter()
    with _Bar(f"f0 {split}/{kind}", [item for k in missing for item in slices[k]], progress) as bar:
        for number in missing:
            rows = []
            for item in slices[number]:
                row, skip = _track(item, tracker, bar)
                if row is not None:
                    rows.append(row)
                    audio_s += row.f0.length_s
                if skip is not None:
                    skipped[skip.path] = skip
            _write_skipped(folder, skipped)  # first, so that a finished part's absences are always explained
            write_part(folder, number, rows)
            tracked += len(rows)
    _write_skipped(folder, skipped)
    result = Extraction(
        tracked, reused, tuple(skipped[key] for key in sorted(skipped)), audio_s, time.perf_counter() - start
    )
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


def _check_part(part: Path, members: Sequence[Item], known: dict[str, Skip]) -> list[Skip] | None:
    """The skipped members of a finished part; None where the part is missing or a skipped file was mended."""
    if not part.is_file():
        return None
    rows = {row.path: row for row in read_part(part, threshold=0.0)}
    strange = sorted(set(rows) - {item.path for item in members})
    if strange:
        raise InputError(f"{part}: holds {strange[0]}, which belongs elsewhere or is gone; delete {part.parent}")
    skips = []
    for item in members:
        now = file_sha256(item.audio) if item.audio is not None and item.audio.is_file() else ""
        row, skip = rows.get(item.path), known.get(item.path)
        if row is not None and now and row.source_sha256 not in (None, now):
            raise InputError(f"{item.path}: changed since it was tracked; delete {part} to track it again")
        if row is not None and row.music_id != item.music_id:
            was = f"music_id {row.music_id} in the store, {item.music_id} in the data set"
            raise InputError(f"{item.path}: {was}; delete {part} to track it again")
        if row is None and (skip is None or skip.source_sha256 != now):
            return None
        if row is None and skip is not None:
            skips.append(skip)
    return skips


def _track(item: Item, tracker: Tracker, bar: _Bar) -> tuple[StoredF0 | None, Skip | None]:
    if item.audio is None:
        return None, Skip(item.path, "no recording, and no row in this store")
    digest = file_sha256(item.audio) if item.audio.is_file() else ""
    try:
        recording: Recording = load(item.audio)
    except InputError as error:
        reason = str(error).replace(str(item.audio), item.path)
        log.warning("skipped %s", reason)
        bar.add(item, 0.0)
        return None, Skip(item.path, reason, digest)
    row = StoredF0(item.path, item.music_id, tracker(recording), digest)
    bar.add(item, recording.length_s)
    return row, None


def _read_skipped(folder: Path) -> list[Skip]:
    path = folder / SKIPPED
    if not path.is_file():
        return []
    with open(path, newline="", encoding="utf-8") as file:
        return [Skip(r["path"], r["reason"], r["source_sha256"]) for r in csv.DictReader(file)]


def _write_skipped(folder: Path, skipped: dict[str, Skip]) -> None:
    """``skipped.csv``: path, reason, source_sha256; no file where nothing was skipped."""
    path = folder / SKIPPED
    if not skipped:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["path", "reason", "source_sha256"])
    writer.writerows([s.path, s.reason, s.source_sha256] for _, s in sorted(skipped.items()))
    write_aside(path, text.getvalue().encode())


class _Bar:
    """Seconds of audio done, the speed as a multiple of real time, and the time left."""

    def __init__(self, title: str, items: Sequence[Item], shown: bool) -> None:
        self.lengths = {item.path: _length_s(item) for item in items}
        total = sum(self.lengths.values())
        self.bar = tqdm(total=total, desc=title, bar_format=BAR, disable=not (shown and items))
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
    """From the file's header; 0 where it has none that can be read (the recording will be skipped then)."""
    import soundfile

    if item.audio is None:
        return 0.0
    try:
        return float(soundfile.info(str(item.audio)).duration)
    except (soundfile.LibsndfileError, RuntimeError, OSError):
        return 0.0
