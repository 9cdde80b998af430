"""Lists of covers in the manner of Second Hand Songs: which recordings are of the same song.

clique,track,path          a CSV in UTF-8 with this header; paths relative to the list
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from humfind.data.zalo import read_table
from humfind.types import InputError, normal_form

HEADER = ("clique", "track", "path")


@dataclass(frozen=True)
class Track:
    """clique: the song that it is a recording of. name: its own."""

    clique: str
    name: str
    path: Path


def read(path: Path) -> tuple[Track, ...]:
    """The tracks of cliques that have several; a clique of one track has nothing to be found.

    Raises InputError for another header, a track that is named twice, a file that is not there, and where no clique
    has two tracks.
    """
    table = read_table(path, HEADER)
    rows = [Track(normal_form(clique), normal_form(name), path.parent / file) for clique, name, file in table]
    names: set[str] = set()
    for one in rows:
        if one.name in names:
            raise InputError(f"{path}: track {one.name} stands twice; keep one")
        if not one.path.is_file():
            raise InputError(f"{path}: {one.path}: no such file; correct its path, or remove the line")
        names.add(one.name)
    counts: dict[str, int] = {}
    for one in rows:
        counts[one.clique] = counts.get(one.clique, 0) + 1
    found = tuple(one for one in rows if counts[one.clique] > 1)
    if not found:
        raise InputError(f"{path}: no clique has two tracks; give several recordings of a song")
    return found
