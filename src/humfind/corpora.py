"""``humfind import``: other people's corpora into this project's formats, a command each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from humfind.types import Floats

corpora = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Bring in a corpus of another kind.")


@corpora.callback()
def group() -> None:
    """Bring in a corpus of another kind."""


@corpora.command("pickle-2021")
def pickle_2021(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a pickled list of (path, f0 in Hz every 10 ms)")],
    out: Annotated[Path, typer.Option(metavar="STORE", help="f0 store to make or to add to")],
    split: Annotated[str, typer.Option(help="train | public_test | private_test")],
    kind: Annotated[str, typer.Option(help="hum | song")],
) -> None:
    """The f0 files of the 2021 entry into an f0 store; nothing in them is run."""
    from humfind.data.pickle2021 import read
    from humfind.data.zalo import KINDS, SPLITS
    from humfind.types import InputError

    for name, value, choices in (("split", split, SPLITS), ("kind", kind, KINDS)):
        if value not in choices:
            raise InputError(f"{name} {value}: unknown; choose one of {', '.join(choices)}")
    rows = read(file)
    without = store_rows(rows, out, split, kind)
    print(f"{len(rows)} recordings, {without} of them without a pitch: {out / split / kind}")


def store_rows(rows: Sequence[tuple[str, Floats]], out: Path, split: str, kind: str) -> int:
    """(path, hz) every 10 ms -> ``<out>/<split>/<kind>``, whole or not at all; how many have no pitch.

    The folder has no manifest, since nobody knows what tracked these: it is a foreign one, to be read only.
    Confidence is 1 where there is a pitch. Raises InputError where the folder is there, for two paths of one
    stem and for a path that names nothing.
    """
    import numpy as np

    from humfind.config import F0Config
    from humfind.data.pickle2021 import HOP_S
    from humfind.data.zalo import stem
    from humfind.f0.store import StoredF0, write_part
    from humfind.lock import writing
    from humfind.types import F0, InputError

    folder, aside = out / split / kind, out / split / f".{kind}.part"
    seen: dict[str, str] = {}
    for path, _ in rows:
        if not stem(path) or any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in path):
            raise InputError(f"{path!a}: names no recording; mend the file's paths")
        if stem(path) in seen:
            raise InputError(f"{seen[stem(path)]} and {path}: one stem; keep one of the two")
        seen[stem(path)] = path
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder}: holds something already; choose another store or delete this folder")
    stored = [StoredF0(path, None, F0(hz, (hz > 0).astype(np.float32), HOP_S)) for path, hz in rows]
    size = F0Config.part_size
    with writing(out):
        shutil.rmtree(aside, ignore_errors=True)  # what a kill left
        aside.mkdir(parents=True)
        for number, start in enumerate(range(0, len(stored), size)):
            write_part(aside, number, stored[start : start + size])
        os.replace(aside, folder)
    return sum(not row.f0.voiced.any() for row in stored)
