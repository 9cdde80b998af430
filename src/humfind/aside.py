"""Files that are whole or not there: written under another name, flushed, then renamed."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO


def write_aside(path: Path, content: bytes | Callable[[BinaryIO], object]) -> None:
    """Fill ``path`` with bytes, or by a function that writes to an open file. A reader never sees a half.

    What a kill leaves is ``NAME.part``, which nothing reads and the next call overwrites.
    """
    aside = path.with_name(path.name + ".part")
    with open(aside, "wb") as file:
        if isinstance(content, bytes):
            file.write(content)
        else:
            content(file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(aside, path)


def write_json(path: Path, values: Any) -> None:
    """``values`` as indented JSON, the same bytes for the same values."""
    write_aside(path, (json.dumps(values, indent=2, ensure_ascii=False) + "\n").encode())
