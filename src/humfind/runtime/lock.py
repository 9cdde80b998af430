"""One writer a folder: a second process is told who is at it. Readers are never blocked.

The lock is the kernel's (``flock``) on ``.NAME.lock`` beside the folder. The kernel lets go of it when its
process ends, also by ``kill -9``: a lock is never stale. The file itself is removed by whoever held it.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    descriptor = _take(path, folder)
    _held[key] = 1
    try:
        yield
    finally:
        del _held[key]
        path.unlink(missing_ok=True)  # while it is held: whoever opened it meanwhile finds it gone and asks anew
        os.close(descriptor)


def lock_path(folder: Path) -> Path:
    """Beside the folder, since a folder may be replaced as a whole."""
    return folder.with_name(f".{folder.name}.lock")


def _take(path: Path, folder: Path) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in NO_LOCKS_HERE:
                log.warning("%s: this file system has no locks; see that one process at a time writes there", folder)
                return descriptor
            who = os.read(descriptor, 32).decode("ascii", "replace").strip()
            os.close(descriptor)
            if error.errno not in (errno.EAGAIN, errno.EACCES):
                raise
            holder = f"process {who}" if who else "another process"
            mend = "wait until it is done, end it, or choose another folder"
            raise InputError(f"{folder}: {holder} is writing there; {mend}") from error
        if _is_at(descriptor, path):
            os.ftruncate(descriptor, 0)
            os.write(descriptor, f"{os.getpid()}\n".encode())
            return descriptor
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether the open file is still the one of that name: its last holder removed it in leaving."""
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(descriptor)
    return (there.st_dev, there.st_ino) == (mine.st_dev, mine.st_ino)
