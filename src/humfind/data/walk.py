"""The files below a folder, and those that cannot be used: one bad name or file never costs the others."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

from humfind.runtime.printable import printable

NOT_TEXT = "its name is not UTF-8; rename it"


def files_below(
    folder: Path, suffixes: Collection[str], unread: Collection[str] = ()
) -> tuple[list[Path], list[tuple[str, str]]]:
    """Regular files of these suffixes (lower case) at any depth, sorted; and (path below ``folder``, reason) of those
    that cannot be used: a name that is not UTF-8, a pipe or a link to nothing, a folder that may not be read, a file
    of the suffixes ``unread``.

    Links to folders are not followed.
    """
    files: list[Path] = []
    skipped: list[tuple[str, str]] = []

    def closed(error: OSError) -> None:
        if not isinstance(error, FileNotFoundError):
            place = printable(os.path.relpath(error.filename, folder))
            skipped.append((place, f"a folder that cannot be read ({error.strerror})"))

    for place, _, names in os.walk(folder, onerror=closed):
        for path in (Path(place, name) for name in names):
            suffix = path.suffix.lower()
            if suffix not in suffixes and suffix not in unread:
                continue
            if path.name.startswith("._"):  # a Mac's notes on a file
                continue
            below = str(path.relative_to(folder))
            if not is_text(below):
                skipped.append((printable(below), NOT_TEXT))
            elif suffix in unread:
                skipped.append((below, f"{suffix} files are not read; convert it, for example to flac"))
            elif not path.is_file():
                skipped.append((below, "not a regular file, or a link to nothing; remove it"))
            else:
                files.append(path)
    return sorted(files), sorted(skipped)


def is_text(path: str) -> bool:
    """Whether a path is UTF-8: Python holds other bytes as surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in path)
