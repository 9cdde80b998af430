"""Recordings -> f0, from the store where it has them and from the audio where not.

A store of this project, or a new one, is extended. A foreign store, which has no manifest, is only read, and
what it lacks is tracked and kept nowhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

from humfind.config import TRACKER_FIELDS, F0Config, to_dict
from humfind.data.identity import adopt, demo_recipe, identify, own_folder, record, recorded
from humfind.data.zalo import Item, has_recordings, splits_of, stem
from humfind.f0 import too_little
from humfind.f0.extract import extract, file_sha256
from humfind.f0.store import Row, Store, checksums, parts, read_manifest
from humfind.runtime import paths
from humfind.runtime.lock import writing
from humfind.runtime.logs import check_counts
from humfind.types import F0, InputError

log = logging.getLogger(__name__)
Skipped = list[tuple[str, str]]  # (path, reason)


def no_f0(item: Item) -> F0:
    raise KeyError(item.path)


@dataclass(frozen=True)
class F0Set:
    """items: the recordings that have an f0, in the order asked for. tracker: what made it; empty where unknown."""

    items: tuple[Item, ...] = ()
    f0_of: Callable[[Item], F0] = no_f0
    skipped: Skipped = field(default_factory=list)
    tracker: dict[str, Any] = field(default_factory=dict)

    @property
    def f0(self) -> Iterator[tuple[Item, F0]]:
        """Each recording with its f0, which is read from the store when its turn comes."""
        return ((item, self.f0_of(item)) for item in self.items)


class F0Cache:
    """An f0 store that may not be there yet, each of its folders read once.

    data: the data set whose default store it is, which is recorded in what is written; None where it was given.
    """

    def __init__(self, folder: Path, data: Path | None = None) -> None:
        self.folder, self.data = folder, data
        self._rows: dict[tuple[str, str], list[Row]] = {}

    def read(self, split: str, kind: str) -> list[Row]:
        """The rows, none where the folder is missing."""
        if (split, kind) not in self._rows:
            self._rows[split, kind] = self.store.rows(split, kind) if self.folder.is_dir() else []
        return self._rows[split, kind]

    @property
    def default(self) -> bool:
        """Whether nobody gave it."""
        return self.data is not None

    def splits(self, data: Path) -> tuple[str, ...]:
        """The splits of a data set, and those of which only f0 are known. Raises InputError where there is none."""
        gone = self.default and has_recordings(data)
        return splits_of(data, None if gone else self.folder)

    @cached_property
    def store(self) -> Store:
        return Store(self.folder)

    def foreign(self) -> bool:
        """Whether there are parts of unknown origin: nothing may be added."""
        folders = {part.parent for part in self.folder.glob("*/*/*.parquet")}
        return any(read_manifest(folder) is None for folder in folders if parts(folder))

    def tracker(self, split: str, kind: str) -> dict[str, Any]:
        """The manifest of one folder, empty where there is none."""
        manifest = read_manifest(self.folder / split / kind)
        return asdict(manifest) if manifest else {}

    def config(self, default: F0Config | None = None) -> F0Config:
        """How this store's f0 was made; ``default`` (that of F0Config) where that is unknown."""
        manifest = self.store.manifest if self.folder.is_dir() else None
        return F0Config.of(asdict(manifest)) if manifest else default or F0Config()

    def extend(self, items: Sequence[Item], f0: F0Config, split: str, kind: str) -> dict[str, str]:
        """Track what is lacking; path -> reason of what could not be."""
        with writing(self.folder):
            if self.data is not None:
                record(self.folder, self.data)
            done = extract(items, f0, self.folder, split, kind)
        self._rows.pop((split, kind), None)
        self.__dict__.pop("store", None)  # and the parts that it holds
        return {skip.path: skip.reason for skip in done.skipped}


def load_f0(
    items: Sequence[Item], split: str, kind: str, store: F0Cache | Path | None = None, f0: F0Config | None = None
) -> F0Set:
    """The f0 of ``items``. f0: how to track; as the store was made where None. store None: keep nothing.

    Raises InputError where a recording has changed since it was stored, and where the store was made in
    another way than ``f0`` and lacks something.
    """
    cache = F0Cache(store) if isinstance(store, Path) else store
    rows = {stem(row.path): row for row in cache.read(split, kind)} if cache else {}
    _require_unchanged(items, rows)
    if cache is not None and f0 is not None:
        _require_made_so(cache, split, kind, f0)
    config = f0 or (cache.config() if cache else F0Config())
    lacking = [item for item in items if item.stem not in rows and item.audio is not None]
    reasons: dict[str, str] = {}
    tracked: dict[str, F0] = {}
    if lacking and cache is not None and not cache.foreign():
        reasons = cache.extend(items, config, split, kind)
        rows = {stem(row.path): row for row in cache.read(split, kind)}
    elif lacking:
        tracked, reasons = track(lacking, config, kind)
    tracked, unsung = sung(tracked, kind)
    unsung |= {key: reason for key, row in rows.items() if (reason := too_little(row.voiced_s, kind))}
    present = tuple(i for i in items if i.stem in tracked or (i.stem in rows and i.stem not in unsung))

    with_f0 = {item.stem for item in present}

    def f0_of(item: Item) -> F0:
        if item.stem in tracked or cache is None:
            return tracked[item.stem]
        return cache.store.f0(rows[item.stem])

    skipped = [
        (item.path, unsung.get(item.stem) or _without_place(reasons.get(item.path, "neither audio nor f0"), item))
        for item in items
        if item.stem not in with_f0
    ]
    tracker = cache.tracker(split, kind) if cache else {}
    if not rows and not tracker:
        tracker = tracker_of(config)
    check_counts(log, f"f0 {split}/{kind}", len(items), "recordings", with_f0=len(present), skipped=len(skipped))
    return F0Set(present, f0_of, skipped, tracker)


def track(items: Sequence[Item], f0: F0Config, kind: str) -> tuple[dict[str, F0], dict[str, str]]:
    """Kept nowhere: stem -> f0, and path -> reason of what cannot be read."""
    from tqdm import tqdm

    from humfind.f0 import make_tracker, track_file

    tracker = make_tracker(f0, kind)
    lines: dict[str, F0] = {}
    reasons: dict[str, str] = {}
    for item in tqdm(items, desc="f0", unit="recording", disable=len(items) < 2):
        try:
            lines[item.stem] = track_file(tracker, item.audio or Path(item.path))
        except InputError as error:
            reasons[item.path] = str(error)
    return lines, reasons


def _without_place(reason: str, item: Item) -> str:
    """A reason stands beside its recording's path and need not say it again."""
    return reason.removeprefix(f"{item.audio}: ").removeprefix(f"{item.path}: ")


def sung(lines: dict[str, F0], kind: str) -> tuple[dict[str, F0], dict[str, str]]:
    """stem -> f0 of those with enough melody, and stem -> reason of the others."""
    reasons = {key: reason for key, line in lines.items() if (reason := too_little(line.voiced_s, kind))}
    return {key: line for key, line in lines.items() if key not in reasons}, reasons


def tracker_of(f0: F0Config) -> dict[str, Any]:
    """What an index keeps of the tracker where no manifest says it."""
    return {name: value for name, value in to_dict(f0).items() if name in TRACKER_FIELDS[:4]}


def _require_made_so(cache: F0Cache, split: str, kind: str, f0: F0Config) -> None:
    """A store that says how it was made is not taken for another one."""
    made = cache.tracker(split, kind)
    names = ("tracker", "model", "decoder", "hop_s") if f0.tracker in ("torchcrepe", "crepe") else ("tracker",)
    for name in names:
        if name in made and made[name] != getattr(f0, name):
            place, asked = cache.folder / split / kind, getattr(f0, name)
            raise InputError(f"{place}: was made with {name} {made[name]}, not {asked}; give another store")


def _require_unchanged(items: Sequence[Item], rows: dict[str, Row]) -> None:
    changed: list[tuple[Item, Row]] = []
    for item in items:
        row = rows.get(item.stem)
        if row is None or row.source_sha256 is None or item.audio is None:
            continue
        if file_sha256(item.audio) != row.source_sha256:
            changed.append((item, row))
    if changed:
        places = {row.part for _, row in changed}
        place = places.pop() if len(places) == 1 else changed[0][1].part.parent
        more = f" ({len(changed)} such recordings)" if len(changed) > 1 else ""
        raise InputError(
            f"{changed[0][0].path}: changed since its f0 was stored{more}; delete {place}, which is then tracked again"
        )


def store_of(data: Path, root: Path, tracker: str) -> Path:
    """``root/NAME/TRACKER``, the f0 store of a data set where none is given; its own, whatever else has its NAME.

    A store is a data set's where it says so; where the recordings of both are the same, as when the data set was
    moved; and where nothing but its name is known, for a data set that has no recordings.
    """
    dataset = identify(data)
    made = own_folder(root, dataset, tracker, lambda folder: _made_from(folder, data))
    named = root / dataset.name / tracker
    if made != named and named.is_dir() and recorded(made) is None:
        unknown = recorded(named) is None
        if unknown or not has_recordings(data):
            why = "does not say which data set it is of" if unknown else "is of another data set"
            log.warning("%s: %s, so %s takes %s; to use the first give --f0 %s", named, why, data, made, named)
    return made


def _made_from(store: Path, data: Path) -> bool:
    """Whether a store that is not recorded as this data set's is its own all the same; recorded then."""
    found = recorded(store)
    sums = {path: sha256 for path, sha256 in checksums(store) if sha256 is not None}
    files = {path: data / path for path in sums if _is_inside(path) and (data / path).is_file()}
    if any(file_sha256(file) != sums[path] for path, file in files.items()):
        return False
    if found is not None and found == demo_recipe(data):
        return True
    if files:
        adopt(store, data)
        return True
    return found is None and not has_recordings(data)


def _is_inside(path: str) -> bool:
    return not PurePosixPath(path).is_absolute() and ".." not in PurePosixPath(path).parts


def default_store(data: Path, f0: F0Config | None = None) -> Path:
    """``crepe_freq/<dataset>/<tracker>`` of the project; ``<dataset>-<hash>`` for a second one of that name."""
    return store_of(data, paths.home() / "crepe_freq", (f0 or F0Config()).tracker)


def open_store(data: Path, store: Path | None = None, f0: F0Config | None = None) -> F0Cache:
    """The f0 store that is given, or the data set's own."""
    return F0Cache(store) if store is not None else F0Cache(default_store(data, f0), data)
