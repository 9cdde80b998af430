"""Files that are whole or not there: written under another name, flushed, then renamed.

A full disk is reported here, once: where, how much was to be written and how much there is. Python ignores
SIGXFSZ, so a limit on file sizes (ulimit -f) comes as an error like any other.
"""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from humfind.runtime.limits import limit
from humfind.runtime.paths import can_write
from humfind.types import InputError

ENDING = ".part"
WRITER = re.compile(r"\.\d+$")  # the process that wrote, where several may write the same file
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
LARGEST_TABLE = 512 * 2**20  # bytes of a CSV: ten million rows
LARGEST_TEXT = 64 * 2**20  # of a melody or a pitch track: thousands of tunes
MEND = "make room, then give the same command again: it goes on where it stopped"
LARGEST_JSON = 64 * 2**20  # bytes; what this program writes is a thousandth of it


def atomic_write(path: Path, content: bytes | Callable[[BinaryIO], object], writer: str = "") -> None:
    """Fill ``path`` with bytes, or by a function that writes to an open file. A reader never sees a half.

    What a kill leaves is ``NAME.part``, which nothing reads and the next call overwrites. writer: sets the
    names of several processes apart that may write the same file. Raises InputError where the disk is full.
    """
    path = Path(os.path.realpath(path))  # through a symlink, as whoever made it expects
    partial = path.with_name(f"{path.name}{'.' if writer else ''}{writer}{ENDING}")
    with raise_if_disk_full(path):
        try:
            with open(partial, "wb") as file:
                if isinstance(content, bytes):
                    file.write(content)
                else:
                    content(file)
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            partial.unlink(missing_ok=True)  # a half of no use, on a disk that may be full
            raise
        os.replace(partial, path)


def require_regular_file(path: Path) -> None:
    """Raises InputError for a folder, a pipe, a socket and a device: reading one might never end. OSError where there
    is nothing."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise InputError(f"{path}: not a regular file; give a file")


def require_file(path: Path, largest: int) -> None:
    """Raises InputError for what is there and is no regular file, or is larger than any of its kind: before it is
    read."""
    if not path.exists():
        return  # whoever opens it says so
    require_regular_file(path)
    if (size := path.stat().st_size) > largest:
        raise InputError(
            f"{path}: {size:,} bytes, more than {largest:,}, the most of such a file; see that it is the right one"
        )


def require_stored(file: BinaryIO) -> None:
    """Raises InputError for a file with holes: a few bytes on the disk that would fill any memory."""
    size = os.fstat(file.fileno()).st_size
    if size and hasattr(os, "SEEK_HOLE") and os.lseek(file.fileno(), 0, os.SEEK_HOLE) < size:
        raise InputError(f"{file.name}: has holes where its data should be; make or copy it again")
    file.seek(0)


def atomic_write_json(path: Path, values: Any) -> None:
    """``values`` as indented JSON, the same bytes for the same values. Bytes of a file name that are no UTF-8 are
    written as JSON's escapes, and read back as they were."""
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    atomic_write(path, text.encode("utf-8", "backslashreplace"))


def read_json(path: Path) -> Any:
    """What a JSON file in UTF-8 holds. Raises ValueError where it is not one, OSError where it cannot be read."""
    require_regular_file(path)
    if path.stat().st_size > LARGEST_JSON:
        raise ValueError(f"{path.stat().st_size:,} bytes, more than any that this program wrote")
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def require_writable(path: Path) -> None:
    """Raises InputError where a file could not be written to ``path``: before the work, not after it."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise InputError(f"{path}: is a folder; give the name of a file")
    there = next(above for above in target.parents if above.exists() or above == above.parent)
    if not there.is_dir():
        raise InputError(f"{path}: {there} is a file, not a folder; choose another place")
    if not can_write(there):
        raise InputError(f"{path}: {there} cannot be written; choose another place, or ask who owns it")


def remove_partial_files(folder: Path, writes: Callable[[str], bool]) -> None:
    """Remove the halves that a killed writer left in ``folder``, of files whose name it ``writes`` and of no others.

    Only for who holds the folder's lock.
    """
    for stray in sorted(folder.glob(f"*{ENDING}")):
        name = stray.name.removesuffix(ENDING)
        if stray.is_file() and (writes(name) or writes(WRITER.sub("", name))):
            stray.unlink(missing_ok=True)


@contextmanager
def raise_if_disk_full(path: Path) -> Iterator[None]:
    """An InputError in place of the system's error where ``path`` found no room."""
    try:
        yield
    except OSError as error:
        message = full_disk(error, path)
        if message is None:
            raise
        raise InputError(message) from error


def full_disk(error: BaseException | None, path: Path | None = None) -> str | None:
    """The line to print where ``error``, or what caused it, is a full disk; None where it is not."""
    while error is not None:
        if isinstance(error, OSError) and error.errno in FULL:
            place = path or (Path(os.fsdecode(error.filename)) if error.filename else None)
            return f"{place or 'disk'}: {_shortage(error.errno, place or Path.cwd())}; {MEND}"
        error = error.__cause__ or error.__context__
    return None


def _shortage(code: int, place: Path) -> str:
    if code == errno.EFBIG:
        most = limit("RLIMIT_FSIZE")
        return f"larger than files may be here ({f'{most:,} bytes, ulimit -f' if most else 'by the file system'})"
    folder = next((above for above in (place, *place.parents) if above.is_dir()), Path.cwd())
    room = shutil.disk_usage(folder)
    what = "quota used up" if code == errno.EDQUOT else "disk full"
    return f"{what} ({room.free:,} of {room.total:,} bytes free)"
