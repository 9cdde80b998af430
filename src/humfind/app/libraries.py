"""The libraries that are open, those that are being built, and the folders that may be added."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from humfind.app import tunes
from humfind.app.build import Build
from humfind.app.library import Library
from humfind.app.shards import Shards
from humfind.config import INDEX_PARTS
from humfind.retrieval.music_folder import music_files
from humfind.types import InputError

log = logging.getLogger(__name__)
SHARDS = "all shards"  # what they are called together
DEEPEST, MOST = 3, 500  # levels and folders that are offered


@dataclass(frozen=True)
class MusicFolder:
    """A folder that may be added. id: says nothing of where it lies. files: recordings and written melodies in it and
    below."""

    id: str
    name: str
    path: Path
    files: int


class Libraries:
    """home: where indexes are built. music: folders at or below which one may be added."""

    def __init__(self, home: Path, music: Sequence[Path] = ()) -> None:
        """Raises InputError for a folder that is not there."""
        self.home, self.music = home, tuple(folder.resolve() for folder in music)
        for given, folder in zip(music, self.music, strict=True):
            if not folder.is_dir():
                raise InputError(f"{given}: no such folder; give one with music below it")
        self.open: dict[str, Library] = {}
        self.builds: dict[str, Build] = {}

    def add_index(self, folder: Path) -> None:
        """An index folder, called as it is. Raises InputError."""
        one = Library(folder.resolve().name, folder)
        one.require()
        if one.name in self.open:
            raise InputError(f"{folder}: two libraries are called {one.name}; rename one folder")
        self.open[one.name] = one

    def add_shards(self, links: Sequence[str]) -> None:
        """Servers that each have a part of the songs. Raises InputError where none of them answers."""
        one = Shards.at(SHARDS, links)
        one.require()
        self.open[one.name] = one

    def add_tunes(self) -> None:
        """The tune books, built where they are not there yet."""
        out = self.home / tunes.FOLDER
        if tunes.is_built(out):
            self.open[tunes.NAME] = tunes.library(out)
        else:
            command = [sys.executable, "-m", "humfind.app.tunes", str(out)]
            self._build(tunes.NAME, command, lambda: tunes.library(out))

    def folders(self) -> list[MusicFolder]:
        """Those with music, as ``humfind index`` finds it."""
        found: list[MusicFolder] = []
        for root in self.music:
            try:
                music = music_files(root)
            except InputError:  # there is none
                continue
            count: Counter[Path] = Counter()
            for file in (*music.recordings, *music.melodies):
                below = file.relative_to(root).parents  # the nearest first, the last is root itself
                count.update(root / folder for folder in below[-1 - DEEPEST :])
            found += [
                MusicFolder(_id(path), Path(root.name, path.relative_to(root)).as_posix(), path, count[path])
                for path in sorted(count)
            ]
        return found[:MOST]

    def add_known(self) -> None:
        """Of these folders, those that were added before."""
        for folder in self.folders():
            one = Library(folder.name, self._index(folder))
            if not any(one.parts.values()):
                continue
            try:
                one.require()
            except InputError as error:
                log.warning("%s is left out; add it again from the page: %s", one.name, error)
            else:
                self.open.setdefault(one.name, one)

    def add_folder(self, folder_id: str, parts: Sequence[str]) -> Build:
        """Index a folder. parts: of ``INDEX_PARTS``. Raises InputError for another folder, and where one is being
        built: two would take each other's processors."""
        folder = next((one for one in self.folders() if one.id == folder_id), None)
        if folder is None:
            raise InputError("no such folder below those that humfind app was given; see --music")
        wanted = [part for part in INDEX_PARTS if part in parts]
        if not wanted or len(wanted) < len(set(parts)):
            raise InputError(f"parts: give some of {', '.join(INDEX_PARTS)}")
        if running := next((one.name for one in self.builds.values() if one.state == "building"), None):
            raise InputError(f"{running} is being built; wait until it is done")
        out = self._index(folder)
        command = [sys.executable, "-m", "humfind", "index", str(folder.path), "--out", str(out)]
        return self._build(folder.name, [*command, "--parts", ",".join(wanted)], lambda: Library(folder.name, out))

    def close(self) -> None:
        """What is being built is kept as far as it is."""
        for build in self.builds.values():
            build.stop()

    def _index(self, folder: MusicFolder) -> Path:
        return self.home / f"{folder.path.name}-{folder.id}"

    def _build(self, name: str, command: list[str], opened: Callable[[], Library]) -> Build:
        self.home.mkdir(parents=True, exist_ok=True)
        self.builds[name] = Build(name, command, partial(self._opened, name, opened))
        self.builds[name].start()
        return self.builds[name]

    def _opened(self, name: str, opened: Callable[[], Library]) -> None:
        one = opened()
        one.require()
        one.warm()
        self.open[name] = one


def _id(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path)).hexdigest()[:16]
