"""The files of an index folder: which version is there, how it is replaced, and how much memory it may ask for.

index.json names the parts (``songs-<hash>.parquet``, ``windows-<hash>.npy``, ``contours-<hash>.npy``,
``vectors-<hash>.npy``, ``engine-<hash>.safetensors``), each after its own content, and is replaced last. A reader
opens all that one index.json names, so it gets one version or none; a writer that is killed leaves the old version
whole. Only files that are named so, and hold what their name says, are ever removed.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from humfind.runtime.files import ENDING, atomic_write_json, read_json, require_regular_file, require_stored
from humfind.runtime.lock import lock_path, writing
from humfind.types import InputError

FORMAT_VERSION = 6
ABOUT = "index.json"
ENDINGS = {
    "songs": ".parquet", "windows": ".npy", "contours": ".npy", "vectors": ".npy", "engine": ".safetensors",
}  # fmt: skip
NAMES = {part: re.compile(rf"{part}-([0-9a-f]{{16}}){re.escape(ending)}") for part, ending in ENDINGS.items()}
OWN = (*NAMES.values(), re.compile(r"(?:windows|contours)-([0-9a-f]{16})\.parquet"))  # the latter of formats 3 to 5
FORMAT_2 = frozenset({"songs.parquet", "windows.parquet", "contours.parquet", "vectors.faiss"})  # its fixed names
STAGING = ".humfind-unfinished"  # a version on its way; what a kill leaves of it is cleared by the next writer
SOUND = "sound"  # within an index: the part that knows how songs sound, an index of its own
TRACKS = "tracks"  # within an index: the part that knows tempo, key and tags of its tracks, a table
F0 = "f0"  # the store of an audio folder's f0, kept so that a second run tracks only what is new
PARTS = ".humfind-parts"  # within an index that several processes build: what each has made
TRIES, PAUSE_S = 25, 0.02  # to open a version that is being replaced
# A column that repeats itself takes next to nothing on the disk: so many bytes of memory are always granted, and so
# many more for each byte of the file. The most even contours, of melodies written in long notes, need a tenth of it.
FREE_BYTES, BYTES_A_BYTE = 256 * 2**20, 512
UNREADABLE = (pa.ArrowException, OSError, UnicodeDecodeError, OverflowError)
Write = Callable[[Path], object]
_KINDS = {F0, PARTS, STAGING, SOUND, TRACKS}  # what may lie in the folder of an index before its index.json does


def index_folder(out: Path, source: Path | None = None) -> Path:
    """The folder ``out`` with its links followed, where an index may be written; it need not be there yet.

    source: what the index is made of. Raises InputError for a file, a link to nothing, a folder that holds something
    else than an index, one that may not be written, and the source itself.
    """
    other = "choose another folder for --out"
    folder = Path(os.path.realpath(out))
    if out.is_symlink() and not out.exists():
        raise InputError(f"{out}: a link to {os.readlink(out)!a}, which is not there; remove the link, or {other}")
    if source is not None and folder == Path(os.path.realpath(source)):
        raise InputError(f"{out}: the very folder that is read; {other}")
    above = next(place for place in (folder, *folder.parents) if place.exists())
    if not above.is_dir():
        raise InputError(f"{above}: a file, not a folder; {other}")
    if not os.access(above, os.R_OK | os.W_OK | os.X_OK):
        raise InputError(f"{above}: may not be written; {other}")
    if above == folder:
        _require_ours(folder, other)
    return folder


def _require_ours(folder: Path, other: str) -> None:
    names = {entry.name for entry in folder.iterdir()}
    if ABOUT in names:
        about = _about_of(folder)
        if not {"format_version", "model_checksum"} <= set(about):
            raise InputError(f"{folder / ABOUT}: not an index's; remove it, or {other}")
    elif names - _KINDS - {lock_path(folder / kind).name for kind in _KINDS} or not _is_part(names, folder):
        raise InputError(f"{folder}: holds something else than an index; {other}")


def _is_part(names: set[str], folder: Path) -> bool:
    """Whether what an index without melodies may hold is of one: the f0 store of an interrupted run, other parts."""
    if SOUND in names and not _is_index(folder / SOUND):
        return False
    if TRACKS in names and not _is_tracks(folder / TRACKS):
        return False
    return F0 not in names or _is_store(folder / F0)


def _is_tracks(folder: Path) -> bool:
    names = {path.name.removesuffix(ENDING) for path in folder.iterdir()} if folder.is_dir() else {""}
    return names <= {"tracks.parquet"}


def _is_index(folder: Path) -> bool:
    names = {entry.name for entry in folder.iterdir()} if folder.is_dir() else {""}
    return "model_checksum" in _about_of(folder) or not names - {STAGING}


def _is_store(folder: Path) -> bool:
    """Whether an interrupted run left this f0 store, or has only just made its folders."""
    files = [path for path in folder.rglob("*") if not path.is_dir()]
    return not files or any(folder.glob("*/song/manifest.json"))


def _about_of(folder: Path) -> dict[str, Any]:
    """index.json as it is, empty where it cannot be read."""
    try:
        about = read_json(folder / ABOUT)
    except (ValueError, OSError):
        return {}
    return about if isinstance(about, dict) else {}


def replace_version(folder: Path, writers: Mapping[str, Write], about: Mapping[str, Any]) -> None:
    """Write every part, then put all in place of the version that is there.

    writers: part -> a function that fills a file. Raises InputError where another process writes the folder, and where
    the disk is full: the version that was there stays.
    """
    staging = folder / STAGING
    with writing(folder):
        fresh = not folder.exists()
        before = _named(folder)
        staging.mkdir(parents=True, exist_ok=True)
        try:
            names = {}
            for part, write in writers.items():
                path = staging / f"{part}{ENDINGS[part]}"
                write(path)
                names[part] = f"{part}-{content_hash(path)}{ENDINGS[part]}"
            atomic_write_json(staging / ABOUT, {"format_version": FORMAT_VERSION, **about, "parts": names})
            for part, name in names.items():
                os.replace(staging / f"{part}{ENDINGS[part]}", folder / name)
            os.replace(staging / ABOUT, folder / ABOUT)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
            if fresh and not any(folder.iterdir()):
                folder.rmdir()
        _remove_old(folder, before)


def _remove_old(folder: Path, before: frozenset[str]) -> None:
    """Parts of the version before, and what a writer left that was killed while it put parts in place."""
    now = _named(folder)
    for path in sorted(folder.iterdir()):
        named = next(filter(None, (pattern.fullmatch(path.name) for pattern in OWN)), None)
        if path.name in now or path.is_symlink() or not path.is_file():
            continue
        if path.name in before or (named and named[1] == content_hash(path)):
            path.unlink(missing_ok=True)


def _named(folder: Path) -> frozenset[str]:
    """The part files of the version that is there, by its index.json."""
    about = _about_of(folder)
    if about.get("format_version") == 2 and "model_checksum" in about:
        return FORMAT_2
    parts = about.get("parts")
    values = [name for name in parts.values() if isinstance(name, str)] if isinstance(parts, dict) else []
    return frozenset(name for name in values if any(pattern.fullmatch(name) for pattern in OWN))


def content_hash(path: Path) -> str:
    """64 bits of a file's SHA-256, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def read_about(folder: Path) -> dict[str, Any]:
    """index.json, checked. Raises InputError."""
    path = folder / ABOUT
    try:
        about: dict[str, Any] = read_json(path)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise InputError(f"{folder}: not an index; build one with: humfind index DATA --out {folder}") from error
    except InputError:
        raise
    except (ValueError, OSError) as error:
        raise InputError(f"{path}: not JSON ({error}); delete it and build the index again") from error
    if not isinstance(about, dict) or about.get("format_version") != FORMAT_VERSION:
        raise InputError(f"{path}: not of format version {FORMAT_VERSION}; build the index again")
    kinds: dict[str, type] = dict.fromkeys(("model_checksum", "model", "engine"), str)
    kinds |= dict.fromkeys(("config", "tracker", "parts"), dict)
    kinds |= dict.fromkeys(("recordings", "songs", "windows", "dim"), int)
    missing = [name for name in kinds if name not in about]
    if missing:
        raise InputError(f"{path}: lacks {', '.join(missing)}; build the index again")
    sane = {name: isinstance(about[name], kind) and about[name] is not True for name, kind in kinds.items()}
    sane |= {name: sane[name] and about[name] >= 1 for name, kind in kinds.items() if kind is int}
    parts = about["parts"]
    named = isinstance(parts, dict) and set(NAMES) == set(parts)
    sane["parts"] = named and all(NAMES[part].fullmatch(str(parts[part])) for part in NAMES)
    wrong = [name for name in kinds if not sane[name]]
    if wrong:
        raise InputError(f"{path}: {wrong[0]} is {about[wrong[0]]!r:.40}; build the index again")
    return about


@contextmanager
def open_version(folder: Path) -> Iterator[tuple[dict[str, Any], dict[str, BinaryIO]]]:
    """index.json and its parts, part -> file, all of one version whatever a writer does meanwhile.

    Raises InputError where a part is missing, and what is no regular file or has holes.
    """
    with ExitStack() as stack:
        for left in reversed(range(TRIES)):
            about = read_about(folder)
            paths = {part: folder / about["parts"][part] for part in ENDINGS}
            try:
                files = {part: stack.enter_context(_opened(path)) for part, path in paths.items()}
                break
            except FileNotFoundError as error:  # removed by a writer since index.json was read, unless it stays so
                if not left:
                    raise InputError(f"{error.filename}: missing; build the index again") from error
                time.sleep(PAUSE_S)
        yield about, files


def _opened(path: Path) -> BinaryIO:
    require_regular_file(path)
    file = path.open("rb")
    try:
        require_stored(file)
    except BaseException:
        file.close()
        raise
    return file


def read_table(file: BinaryIO, schema: pa.Schema, most_rows: int) -> pa.Table:
    """A part's table. Raises InputError where it is not a whole parquet file of these columns, has more rows than
    ``most_rows``, or would take far more memory than a part of its size does: what its header says of that is looked
    at before anything is read."""
    path, again = file.name, "build the index again"
    try:
        # in this thread alone: one of Arrow's that still holds a file of Python may abort the process at its end
        with pq.ParquetFile(file, pre_buffer=False) as parquet:
            if not parquet.schema_arrow.equals(schema):
                raise InputError(f"{path}: has other columns than {', '.join(schema.names)}; {again}")
            rows, asked = parquet.metadata.num_rows, _memory(parquet.metadata)
            granted = FREE_BYTES + BYTES_A_BYTE * os.fstat(file.fileno()).st_size
            if not 1 <= rows <= most_rows or asked > granted:
                raise InputError(f"{path}: {rows:,} rows of {asked:,} bytes, which no index has; {again}")
            table = parquet.read(use_threads=False)
        table.validate(full=True)
    except MemoryError as error:
        raise InputError(f"{path}: too little memory to read it; close other programs, or raise ulimit -v") from error
    except UNREADABLE as error:
        raise InputError(f"{path}: not a whole parquet file; {again}") from error
    return table


def _memory(metadata: pq.FileMetaData) -> int:
    """Bytes of a table's values by its header; text must be written without a dictionary, so that its size is
    what the header says."""
    asked = 0
    for group in range(metadata.num_row_groups):
        for number in range(metadata.num_columns):
            column = metadata.row_group(group).column(number)
            if column.physical_type == "BYTE_ARRAY" and column.has_dictionary_page:
                raise pa.ArrowInvalid("text in a dictionary")
            asked += max(column.total_uncompressed_size, 8 * column.num_values)
    return asked
