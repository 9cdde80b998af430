"""What an importer reads off a corpus, before it is written in this project's layout."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from humfind.types import Floats, InputError


@dataclass(frozen=True)
class Part:
    """One recording or melody. name: unique among its kind. audio: its file; hz: its f0 every 10 ms, 0 unvoiced."""

    name: str
    music_id: str
    audio: Path | None = None
    hz: Floats | None = None
    title: str = ""


@dataclass(frozen=True)
class Corpus:
    """skipped: (path, reason) of what could not be read, or belongs to nothing."""

    hums: tuple[Part, ...]
    songs: tuple[Part, ...]
    skipped: tuple[tuple[str, str], ...] = ()

    def known(self, folder: Path) -> Corpus:
        """Without the hums whose song is not there, which are logged. Raises InputError where nothing is left."""
        ids = {song.music_id for song in self.songs}
        lost = [(hum.name, f"its song {hum.music_id} is not there") for hum in self.hums if hum.music_id not in ids]
        hums = tuple(hum for hum in self.hums if hum.music_id in ids)
        if not hums:
            reason = f" ({(self.skipped + tuple(lost))[0][1]})" if self.skipped or lost else ""
            raise InputError(f"{folder}: no hum whose song is there{reason}; see that the corpus is whole")
        return Corpus(hums, self.songs, (*self.skipped, *lost))


def require(folder: Path, *parts: str, corpus: str) -> None:
    """Raises InputError where the folder does not look like the corpus. parts: patterns that must match something."""
    lacking = [part for part in parts if not folder.is_dir() or next(folder.glob(part), None) is None]
    if lacking:
        raise InputError(
            f"{folder}: not {corpus}: no {lacking[0]} in it; give the folder that holds {', '.join(parts)}"
        )
