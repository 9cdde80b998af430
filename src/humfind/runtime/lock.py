"""One writer a folder: a second process gets the name of the first. Readers are never blocked.

The lock is the operating system's, on ``.NAME.lock`` beside the folder. The system lets go of it when its process ends,
also by ``kill -9``: a lock is never stale. The file itself is removed by whoever held it.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from humfind.types import InputError

NO_LOCKS_HERE = (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS)  # some network file systems
log = logging.getLogger(__name__)
_held: dict[tuple[int, Path], int] = {}  # (process, folder) -> how often, so that a holder may ask again


@contextmanager
def writing(folder: str | Path) -> Iterator[None]:
    """Be the only process that writes ``folder``, which need not be there yet.

    A process that holds it already may ask again. Raises InputError, naming the process, where another
    one holds it.
    """
    folder = Path(os.path.abspath(folder))
    key = (os.getpid(), folder)
    if key in _held:
        _held[key] += 1
        try:
            yield
        finally:
            _held[key] -= 1
        return
    path = lock_path(folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path, blocking=False)
    _acquire(lock, path, folder)
    _held[key] = 1
    try:
        yield
    finally:
        del _held[key]
        with suppress(PermissionError):  # where an open file cannot be removed, the lock removes it itself
            path.unlink(missing_ok=True)  # while it is held: whoever opened it meanwhile finds it gone and asks anew
        lock.release()


def lock_path(folder: Path) -> Path:
    """Beside the folder, since a folder may be replaced as a whole."""
    return folder.with_name(f".{folder.name}.lock")


def _acquire(lock: FileLock, path: Path, folder: Path) -> None:
    try:
        try:
            lock.acquire()
        except Timeout:
            if path.exists():
                raise
            lock.acquire()  # its last holder has removed it, in leaving
    except Timeout as error:
        holder = f"process {who}" if (who := _holder(path)) else "another process"
        mend = "wait until it is done, end it, or choose another folder"
        raise InputError(f"{folder}: {holder} is writing there; {mend}") from error
    except OSError as error:
        if error.errno not in NO_LOCKS_HERE:
            raise
        log.warning("%s: this file system has no locks; see that one process at a time writes there", folder)
        return
    with suppress(PermissionError):  # where a locked file is its holder's alone
        path.write_text(f"{os.getpid()}\n", "ascii")


def _holder(path: Path) -> str:
    """The process that holds the lock, where its file says so."""
    try:
        return path.read_text("ascii", "replace")[:32].strip()
    except OSError:
        return ""
