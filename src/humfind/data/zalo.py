"""The competition's layout: which recordings a split has, and which song each hum is of.

    DATA/train/train_meta.csv                  music_id,song_path,hum_path    (paths relative to DATA)
    DATA/public_test/full_song/<music_id>.mp3  DATA/public_test/hum/<name>.mp3
    DATA/public_test/answers.csv               hum,music_id                   (optional)

Conventions
-----------
Recordings and rows of an f0 store are one where their stems are (file name without folder and suffix),
so either may be missing: a folder without recordings has all rows, a table's recordings may be rows. But a row
that was tracked from a recording, where the folder has others and not this one, is no part of the data set: its
recording was removed, or is another data set's. Such rows are left out, counted and named in a warning.
Ids and stems are in ``types.normal_form``, whichever file they come from. ``train`` is split by song, never by row.
"""

from __future__ import annotations

import csv
import io
import logging
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, Literal, Protocol

import numpy as np

from humfind.config import AUDIO_SUFFIXES
from humfind.data.walk import NOT_TEXT, is_text
from humfind.runtime.files import LARGEST_TABLE, require_file
from humfind.runtime.printable import printable
from humfind.types import InputError, normal_form

SPLITS = ("train", "public_test", "private_test")
KINDS = ("song", "hum")
META_HEADER = ("music_id", "song_path", "hum_path")
ANSWERS_HEADER = ("hum", "music_id")
TEST_FOLDERS = {"song": "full_song", "hum": "hum"}
NAMED = 3  # of the rows that a warning counts
OUT = "they are left out"
USED = "they are used as they are"
TAKEN = "there are no recordings, and they are used instead"
log = logging.getLogger(__name__)


class StoredRow(Protocol):
    """What is read here of a row of an f0 store."""

    @property
    def path(self) -> str: ...
    @property
    def music_id(self) -> str | None: ...


class Rows(Protocol):
    """An f0 store, as far as it is needed here.

    read: its rows, none where it lacks the split or kind. tracker: what tracked them from recordings, empty where
    that is unknown. default: whether it is the data set's own, since none was given.
    """

    @property
    def default(self) -> bool: ...
    def read(self, split: str, kind: str) -> Sequence[StoredRow]: ...
    def tracker(self, split: str, kind: str) -> Mapping[str, Any]: ...


@dataclass(frozen=True)
class Item:
    """One recording. path: as the meta file, folder or store has it; music_id: in normal form, None where unknown;
    audio: its file, where there is one."""

    path: str
    music_id: str | None
    audio: Path | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "music_id", normal_form(self.music_id or "") or None)

    @property
    def name(self) -> str:
        """The base name of the path."""
        return PurePosixPath(self.path).name

    @property
    def stem(self) -> str:
        """The key that joins recordings, store rows and answers."""
        return stem(self.path)


@dataclass(frozen=True)
class Split:
    """The recordings of a split, sorted by path. answers: hum name -> music_id, None where unknown.

    pairs: (song path, hum path), the rows of train_meta.csv; without one, each hum with its song's only recording;
    none in a test split.
    strays: (path, reason) of the files in the split's folders that are none of its recordings.
    """

    name: str
    songs: tuple[Item, ...]
    hums: tuple[Item, ...]
    answers: dict[str, str] | None
    pairs: tuple[tuple[str, str], ...] = ()
    strays: tuple[tuple[str, str], ...] = ()

    @property
    def music_ids(self) -> tuple[str, ...]:
        """Every song once, sorted, whether its recordings can be read or not."""
        return tuple(sorted({item.music_id for item in (*self.songs, *self.hums) if item.music_id}))

    def by_song(self, validation_share: float, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(train ids, validation ids) as training splits them: over all songs of the split, so that one without f0
        moves no other from side to side."""
        return split_by_song(self.music_ids, validation_share, seed)

    def of_songs(self, music_ids: Collection[str]) -> Split:
        """The part of the split that belongs to ``music_ids``; only of a split with answers."""
        chosen = set(music_ids)
        songs = tuple(item for item in self.songs if item.music_id in chosen)
        hums = tuple(item for item in self.hums if item.music_id in chosen)
        answers = {hum: song for hum, song in (self.answers or {}).items() if song in chosen}
        kept = {item.path for item in songs}
        pairs = tuple(pair for pair in self.pairs if pair[0] in kept)
        return Split(self.name, songs, hums, answers, pairs, self.strays)


def stem(path: str) -> str:
    """``train/hum/0001.mp3`` -> ``0001``, in normal form; the suffix itself where nothing is before it."""
    name = normal_form(PurePosixPath(path.replace("\\", "/")).name)
    suffix = PurePosixPath(name).suffix
    is_recording = suffix.lower() in AUDIO_SUFFIXES
    return (is_recording and normal_form(name.removesuffix(suffix))) or name


def load_split(data: Path, split: str, store: Rows | None = None) -> Split:
    """The split of the data set in the folder ``data``, joined with the rows of an f0 store.

    Raises InputError for an unknown split, a wrong header, a path that leaves ``data``, two recordings of
    one stem, a split without songs or hums, and a folder that is itself a split.
    """
    if split not in SPLITS:
        raise InputError(f"split {split}: unknown; choose one of {', '.join(SPLITS)}")
    if not data.is_dir():
        raise InputError(f"{data}: no such folder; give the folder that holds {split}/")
    rows = {kind: list(store.read(split, kind)) if store else [] for kind in KINDS}
    if not (data / split).is_dir() and not any(rows.values()):
        require_no_split(data)
    fate = {kind: _fate(data, split, kind, store) for kind in KINDS}
    loaded = _load_train(data, rows, fate) if split == "train" else _load_test(data, split, rows, fate)
    for kind, items in (("songs", loaded.songs), ("hums", loaded.hums)):
        if not items:
            place = "train/train_meta.csv" if split == "train" else f"{split}/{TEST_FOLDERS[kind[:-1]]}"
            raise InputError(f"{data / place}: no {kind}; put them there, or give a store that has their f0")
    return loaded


def splits_of(data: Path, store: Path | None = None) -> tuple[str, ...]:
    """The splits that the folder ``data`` or an f0 store has. Raises InputError where there is none."""
    if not data.is_dir():
        raise InputError(f"{data}: no such folder; give a data set in the competition's layout")
    present = tuple(name for name in SPLITS if (data / name).is_dir() or (store and (store / name).is_dir()))
    if not present:
        require_no_split(data)
        raise InputError(f"{data}: no {', '.join(SPLITS)} in it; give a data set in the competition's layout")
    return present


def has_recordings(data: Path) -> bool:
    """Whether a data set has any audio of its own, not only tables."""
    return any(_is_recording(file) for split in SPLITS for file in (data / split).rglob("*"))


def split_by_song(
    music_ids: Iterable[str], validation_share: float, seed: int
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(train_ids, validation_ids), each sorted; the same for the same set of ids, share and seed.

    With two songs or more and a share above 0, each side has at least one song.
    """
    ids = sorted(set(music_ids))
    wanted = math.floor(validation_share * len(ids) + 0.5)
    if validation_share > 0 and len(ids) > 1:
        wanted = min(max(wanted, 1), len(ids) - 1)
    order = np.random.default_rng(seed).permutation(len(ids))
    validation = {ids[row] for row in order[:wanted]}
    return tuple(i for i in ids if i not in validation), tuple(i for i in ids if i in validation)


def read_table(path: Path, header: tuple[str, ...]) -> list[tuple[str, ...]]:
    """The rows of a CSV below exactly this header; a BOM and Windows line ends are welcome.

    Raises InputError naming the file, the line and the mend.
    """
    require_file(path, LARGEST_TABLE)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file)
            lines = [(reader.line_num, tuple(cell.strip() for cell in row)) for row in reader if any(row)]
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; give a CSV with the header {','.join(header)}") from error
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise InputError(f"{path}: not a CSV in UTF-8 ({error}); save it as one") from error
    found = lines[0][1] if lines else ()
    if found != header:
        mend = f"expected '{','.join(header)}', with commas between"
        raise InputError(f"{path}: header is '{','.join(found)}'; {mend}")
    for number, row in lines[1:]:
        if len(row) != len(header) or not all(row) or "\0" in "".join(row):
            raise InputError(f"{path} line {number}: expected {','.join(header)}, found {','.join(row)}; mend the line")
    first: dict[tuple[str, ...], int] = {}
    for number, row in lines[1:]:
        if first.setdefault(row, number) != number:
            raise InputError(f"{path} line {number}: the same as line {first[row]}; remove one of the two")
    return [row for _, row in lines[1:]]


def csv_line(cells: Iterable[str]) -> str:
    """A row of a CSV that every reader reads back: quoted where a cell holds what ends a cell, a line or, at the start
    of a file, is taken for its byte order mark."""
    row, text = list(cells), io.StringIO()
    quoting: Literal[0, 1] = csv.QUOTE_ALL if any("\ufeff" in cell for cell in row) else csv.QUOTE_MINIMAL
    csv.writer(text, quoting=quoting).writerow(row)  # its line end, \r\n, has it quote both letters
    return text.getvalue().removesuffix("\r\n") + "\n"


def read_answers(path: Path) -> dict[str, str]:
    """hum stem -> music_id, from a CSV with the header hum,music_id, or from a train_meta.csv; hums with or without
    suffix, folder."""
    answers: dict[str, str] = {}
    if path.name == "train_meta.csv":
        rows = [(hum, music_id) for music_id, _, hum in read_table(path, META_HEADER)]
    else:
        rows = [(hum, music_id) for hum, music_id in read_table(path, ANSWERS_HEADER)]
    for hum, music_id in rows:
        if answers.setdefault(stem(hum), normal_form(music_id)) != normal_form(music_id):
            raise InputError(f"{path}: {hum} has two answers; keep one")
    return answers


def read_titles(data: Path) -> dict[str, str]:
    """music_id -> title, from ``DATA/songs.csv`` where there is one with these columns; else nothing."""
    path = data / "songs.csv"
    if not path.is_file():
        return {}
    require_file(path, LARGEST_TABLE)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [row for row in csv.DictReader(file) if row.get("music_id") and row.get("title")]
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise InputError(f"{path}: not a CSV in UTF-8 ({error}); save it as one, or remove it") from error
    return {normal_form(row["music_id"]): row["title"] for row in rows}


def _load_train(data: Path, rows: dict[str, list[StoredRow]], fate: Mapping[str, str]) -> Split:
    meta = data / "train" / "train_meta.csv"
    kinds: dict[str, list[Item]] = {kind: [] for kind in KINDS}
    pairs: list[tuple[str, ...]] = []
    if meta.is_file():
        pairs = read_table(meta, META_HEADER)
        for column, kind in enumerate(KINDS, start=1):
            seen: dict[str, str] = {}
            for pair in pairs:
                if seen.setdefault(pair[column], normal_form(pair[0])) != normal_form(pair[0]):
                    raise InputError(f"{meta}: {pair[column]} belongs to two songs; keep one")
            kinds[kind] = [Item(path, song, _inside(data, path, meta)) for path, song in seen.items()]
            _warn_of_rows(meta, kind, kinds[kind], rows[kind], fate[kind])
    else:
        for kind in KINDS:
            kinds[kind] = _of_rows(data, kind, rows[kind], fate[kind])
        if not any(kinds.values()):
            raise InputError(f"{meta}: missing; it has the header {','.join(META_HEADER)}")
    songs, hums = (_unique(kinds[kind], f"{data}: train, {kind}s") for kind in KINDS)
    answers = {item.name: item.music_id for item in hums if item.music_id}
    strays = _unlisted(data, {stem(path) for _, *paths in pairs for path in paths}) if pairs else ()
    named = tuple((song, hum) for _, song, hum in pairs) if pairs else _pairs_by_song(songs, hums)
    return Split("train", songs, hums, answers, named, strays)


def _load_test(data: Path, split: str, rows: dict[str, list[StoredRow]], fate: Mapping[str, str]) -> Split:
    kinds: dict[str, tuple[Item, ...]] = {}
    strays: list[tuple[str, str]] = []
    for kind in KINDS:
        where = f"{data}: {split}, {kind}s"
        folder = data / split / TEST_FOLDERS[kind]
        files = _files(folder)
        audio = [
            Item(f"{split}/{folder.name}/{file.name}", None, _inside(data, str(file.relative_to(data)), folder))
            for file in files
            if _is_recording(file)
        ]
        strays += [(printable(str(file.relative_to(data))), _oddity(file)) for file in files if not _is_recording(file)]
        known = {item.stem for item in _unique(audio, where)}
        stored = _unique([Item(row.path, row.music_id, None) for row in rows[kind]], f"f0 store: {split}, {kind}s")
        alone = [item for item in stored if item.stem not in known]
        _warn(str(folder), kind, [item.path for item in alone], "without their recording", fate[kind])
        items = audio + (alone if fate[kind] != OUT else [])
        if kind == "song":
            items = [Item(item.path, item.music_id or item.stem, item.audio) for item in items]
        kinds[kind] = _unique(items, where)
    file = data / split / "answers.csv"
    if not file.is_file():
        return Split(split, kinds["song"], kinds["hum"], None, (), tuple(strays))
    right = read_answers(file)
    answers = {item.name: right[item.stem] for item in kinds["hum"] if item.stem in right}
    unknown = sorted(set(right) - {item.stem for item in kinds["hum"]})
    if unknown:
        raise InputError(f"{file}: no hum {unknown[0]} in {split} ({len(unknown)} such); remove or add it")
    return Split(split, kinds["song"], kinds["hum"], answers, (), tuple(strays))


def _fate(data: Path, split: str, kind: str, store: Rows | None) -> str:
    """What becomes of rows without their recording, in words for a warning; none where that is as it should be."""
    folder = data / split / (kind if split == "train" else TEST_FOLDERS[kind])
    has_some = any(_is_recording(file) for file in _files(folder))
    if store is None or not store.tracker(split, kind):
        return USED if has_some else ""  # nobody knows that they ever had one
    if not has_recordings(data):
        return ""
    return OUT if has_some or store.default else TAKEN


def _warn(where: str, kind: str, paths: Sequence[str], what: str, fate: str) -> None:
    """Count and name rows of an f0 store; nothing where there are none, or nothing to say."""
    if paths and fate:
        names = ", ".join(sorted(paths)[:NAMED]) + (" ..." if len(paths) > NAMED else "")
        plural = "s" if len(paths) > 1 else ""
        log.warning("%s: %d %s%s of the f0 store %s (%s): %s", where, len(paths), kind, plural, what, names, fate)


def _warn_of_rows(meta: Path, kind: str, items: Sequence[Item], rows: Sequence[StoredRow], fate: str) -> None:
    """Rows that a meta file does not list, and those that it lists though their recording was removed."""
    listed = {item.stem for item in items}
    _warn(str(meta), kind, [row.path for row in rows if stem(row.path) not in listed], "that it does not list", OUT)
    gone = listed - {item.stem for item in items if item.audio is not None}
    if fate == OUT:
        paths = [row.path for row in rows if stem(row.path) in gone]
        _warn(str(meta), kind, paths, "without their recording, which it lists", USED)


def _of_rows(data: Path, kind: str, rows: Sequence[StoredRow], fate: str) -> list[Item]:
    """The recordings of a train split without a meta file: the rows that name their song."""
    folder = data / "train" / kind
    files = {stem(file.name): file.relative_to(data).as_posix() for file in _files(folder) if _is_recording(file)}
    named = [row for row in rows if row.music_id]
    _warn(str(folder), kind, [row.path for row in rows if not row.music_id], "without a music_id", OUT)
    alone = {row.path for row in named if stem(row.path) not in files}
    _warn(str(folder), kind, sorted(alone), "without their recording", fate)
    return [
        Item(row.path, row.music_id, _inside(data, files[key], folder) if key in files else None)
        for row in named
        if row.music_id and not (fate == OUT and row.path in alone)
        for key in [stem(row.path)]
    ]


def _pairs_by_song(songs: Sequence[Item], hums: Sequence[Item]) -> tuple[tuple[str, str], ...]:
    """Each hum with the only recording of its song: which of several was hummed, nobody knows."""
    recordings: dict[str | None, list[str]] = {}
    for song in songs:
        recordings.setdefault(song.music_id, []).append(song.path)
    return tuple((recordings[h.music_id][0], h.path) for h in hums if len(recordings.get(h.music_id, ())) == 1)


def require_no_split(data: Path) -> None:
    """Raises InputError for the folder of a split where that of its data set was meant."""
    inside = ("train_meta.csv", "answers.csv", *TEST_FOLDERS.values(), *KINDS)
    if data.resolve().name in SPLITS and any((data / name).exists() for name in inside):
        raise InputError(f"{data}: a split, not a data set; give the folder that holds it, {data.resolve().parent}")


def _files(folder: Path) -> list[Path]:
    """What lies in a folder, hidden files and folders left out."""
    found = sorted(folder.iterdir()) if folder.is_dir() else []
    return [file for file in found if not file.name.startswith(".") and not file.is_dir()]


def _is_recording(file: Path) -> bool:
    return file.suffix.lower() in AUDIO_SUFFIXES and is_text(file.name)


def _oddity(file: Path) -> str:
    """Why a file is no recording."""
    return NOT_TEXT if not is_text(file.name) else "no recording by its suffix; rename or remove it"


def _unlisted(data: Path, listed: Collection[str]) -> tuple[tuple[str, str], ...]:
    """The recordings of the train split's folders that no row of the meta file names."""
    files = [file for kind in KINDS for file in _files(data / "train" / kind)]
    reason = "no row of train_meta.csv names it; add one or remove the file"
    misnamed = [(printable(str(f.relative_to(data))), NOT_TEXT) for f in files if not is_text(f.name)]
    unlisted = [f for f in files if _is_recording(f) and stem(f.name) not in listed]
    return (*misnamed, *((f.relative_to(data).as_posix(), reason) for f in unlisted))


def _inside(data: Path, path: str, where: Path) -> Path | None:
    """The file of a path relative to ``data``, None when it is not there."""
    relative = PurePosixPath(path.replace("\\", "/"))
    file = data / relative
    try:
        inside = not relative.is_absolute() and ".." not in relative.parts
        if not inside or not file.resolve().is_relative_to(data.resolve()):
            raise InputError(f"{where}: {path} lies outside {data}; paths are relative to it")
        if not file.is_file() and not path.isascii():
            file = _spelt_otherwise(data, relative)
        return file if file.is_file() else None
    except (OSError, RuntimeError) as error:  # a name too long, or links in a circle
        raise InputError(f"{where}: {path} cannot be looked up ({error}); rename it") from error


def _spelt_otherwise(data: Path, relative: PurePosixPath) -> Path:
    """The file whose name has the same normal form; the path as given where there is none."""
    found = data
    for part in relative.parts:
        names = [child.name for child in found.iterdir()] if found.is_dir() else []
        found = found / next((name for name in names if normal_form(name) == normal_form(part)), part)
    return found


def _unique(items: Iterable[Item], where: str) -> tuple[Item, ...]:
    """Sorted by path. Raises InputError where two recordings have one stem, and for a name that is no text."""
    seen: dict[str, Item] = {}
    for item in sorted(items, key=lambda item: item.path):
        if any("\ud800" <= letter <= "\udfff" for letter in item.path):  # how Python holds bytes that are no text
            raise InputError(f"{where}: the name {item.path!a} is not UTF-8; rename it")
        other = seen.setdefault(item.stem, item)
        if other is not item:
            raise InputError(f"{where}: {other.path} and {item.path} have one stem; rename one")
    return tuple(seen.values())
