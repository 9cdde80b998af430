"""What a worker makes: the f0 and the vectors of a few recordings, kept in a folder as soon as they are made."""

from __future__ import annotations

import io
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from humfind.config import F0Config, IndexConfig, to_dict
from humfind.data.zalo import Item
from humfind.encoders.checkpoint import Model
from humfind.f0.load import load_f0
from humfind.index import Song
from humfind.index.parts import F0
from humfind.retrieval import search
from humfind.retrieval.checkpoints import load_model
from humfind.retrieval.music_folder import KEPT_SPLIT
from humfind.retrieval.trial import recordings
from humfind.runtime.files import atomic_write_json, read_json
from humfind.types import InputError

INDEX = "index"  # of a part, where any of its recordings has a melody
DONE = "done.json"  # of a part: its recordings, and the model


@dataclass(frozen=True)
class Part:
    """keys: of its recordings, what an f0 store knows them by. files: of each. model: as ``load_model`` takes it.
    checksum: the model's."""

    folder: Path
    keys: tuple[str, ...]
    files: tuple[Path, ...]
    model: str
    checksum: str
    f0: F0Config

    @property
    def is_made(self) -> bool:
        """By this model, in this way."""
        try:
            done: object = read_json(self.folder / DONE)
        except (OSError, ValueError):
            return False
        return done == self._about

    @property
    def _about(self) -> dict[str, object]:
        return {"recordings": list(self.keys), "model": self.checksum, "f0": to_dict(self.f0)}

    @property
    def store(self) -> Path:
        """An f0 store of one recording a part."""
        return self.folder / F0

    def alone(self) -> list[Part]:
        """Each recording as a part of its own."""
        pairs = enumerate(zip(self.keys, self.files, strict=True))
        return [
            replace(self, folder=self.folder.with_name(f"{self.folder.name}-{row}"), keys=(key,), files=(file,))
            for row, (key, file) in pairs
        ]


def make(part: Part) -> str:
    """Does nothing where it is made; goes on where it was interrupted. The name of its folder. Raises InputError."""
    if part.is_made:
        return part.folder.name
    with redirect_stderr(io.StringIO()):  # a bar tells how far all workers are, none how far this one is
        _make(part)
    return part.folder.name


def _make(part: Part) -> None:
    items = [Item(key, None, file) for key, file in zip(part.keys, part.files, strict=True)]
    f0s = load_f0(items, KEPT_SPLIT, "song", part.store, replace(part.f0, part_size=1))
    model = _model(part.model)
    if model.checksum != part.checksum:
        raise InputError(f"{part.model}: another model on this machine than where the build began; give it everywhere")
    if f0s.items:
        songs = {item.stem: Song(item.stem) for item in f0s.items}
        entries = recordings(f0s.f0, {}, songs)
        search.build_index(entries, model, part.model, f0s.tracker, engine=IndexConfig.engine).save(part.folder / INDEX)
    atomic_write_json(part.folder / DONE, part._about)


@lru_cache(maxsize=1)
def _model(path: str) -> Model:
    """Read once a worker."""
    import torch

    torch.set_num_threads(1)  # one worker a core
    return load_model(path)[0]
