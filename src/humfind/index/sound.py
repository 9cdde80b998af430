"""The sound part of an index folder: an index of its own in ``sound`` (``humfind.retrieval.sound``)."""

from __future__ import annotations

from pathlib import Path

from humfind.index.folder import Index, songs_at
from humfind.index.parts import ABOUT, SOUND
from humfind.types import InputError


def load_sound(folder: Path) -> Index:
    """The sound part of an index folder. Raises InputError where it has none."""
    if not (folder / SOUND / ABOUT).is_file():
        what = "does not know how its songs sound" if (folder / ABOUT).is_file() else "not an index"
        mend = f"give: humfind index FOLDER --parts sound --out {folder}"
        raise InputError(f"{folder}: {what}; {mend}")
    return Index.load(folder / SOUND)


def tags_of(folder: Path) -> dict[str, tuple[str, ...]]:
    """The tags of each song of an index folder by their sound, empty where it has no sound part."""
    if not (folder / SOUND / ABOUT).is_file():
        return {}
    return {song.music_id: song.tags for song in songs_at(folder / SOUND)}
