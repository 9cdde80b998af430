"""A data set's train split as what training learns from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from humfind.data.zalo import load_split
from humfind.f0.load import Skipped, load_f0, open_store

if TYPE_CHECKING:
    from humfind.training.dataset import Example


def training_examples(data: Path, store: Path | None = None) -> tuple[list[Example], Skipped, tuple[str, ...]]:
    """The train split's recordings with their f0, those without, and all of its songs' ids: what
    ``humfind.training.tasks.hums.train`` takes."""
    from humfind.training.dataset import Example

    cache = open_store(data, store)
    parts = load_split(data, "train", cache)
    examples: list[Example] = []
    skipped: Skipped = list(parts.strays)
    for kind, items in (("song", parts.songs), ("hum", parts.hums)):
        f0s = load_f0(items, "train", kind, cache)
        examples += [Example(item.name, item.music_id or item.stem, kind, line) for item, line in f0s.f0]
        skipped += f0s.skipped
    return examples, skipped, parts.music_ids
