"""librosa's compiled parts, made by one process at a time.

numba keeps what it compiles beside the package. Where two processes compile a part at once, on a fresh installation,
its two files may come from different ones, and every process that reads them later crashes (numba's issue 10128).
"""

from __future__ import annotations

import getpass
import tempfile
from functools import cache
from importlib import import_module
from pathlib import Path

from filelock import FileLock

PARTS = ("librosa.util.utils", "librosa.core.audio", "librosa.core.pitch")  # compiled when imported


@cache
def make_librosa() -> None:
    """To be called before anything of librosa is imported; waits while another process does the same."""
    with FileLock(Path(tempfile.gettempdir()) / f".humfind-librosa-{getpass.getuser()}.lock"):
        for part in PARTS:
            import_module(part)
