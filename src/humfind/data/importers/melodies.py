"""A folder of written melodies: MIDI, ABC and kern files, in any subfolders."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from tqdm import tqdm

from humfind.data.importers.corpus import Corpus, Part
from humfind.data.notes import SUFFIXES, NoMelodyError
from humfind.data.notes import read as read_melodies
from humfind.data.walk import files_below
from humfind.types import InputError, normal_form

QUIET_S = 2.0  # what takes longer shows how far it is


def read(folder: Path) -> Corpus:
    """A song a melody, named by its path below the folder, and for ABC its number in the file. Raises InputError."""
    files, skipped = files_below(folder, SUFFIXES)
    if not files:
        reason = ": ".join(skipped[0]) if skipped else f"give a folder of {', '.join(SUFFIXES)} files"
        raise InputError(f"{folder}: no melodies; {reason}")
    names = {file: "__".join(file.relative_to(folder).with_suffix("").parts) for file in files}
    songs, unread = melodies_of(names, folder, "__")
    return Corpus((), tuple(part for _, part in songs), (*skipped, *unread))


def melodies_of(
    names: Mapping[Path, str], folder: Path, between: str
) -> tuple[list[tuple[Path, Part]], list[tuple[str, str]]]:
    """(file, melody) of each, and (path below ``folder``, reason) of what cannot be read. names: of each file's song;
    where a file has several, their numbers follow after ``between``."""
    songs: dict[str, tuple[Path, Part]] = {}
    skipped: list[tuple[str, str]] = []
    for file, name in tqdm(names.items(), desc="melodies", unit="file", delay=QUIET_S, leave=False):
        unread: list[tuple[str, str]] = []
        try:
            for number, title, hz in read_melodies(file, unread):
                music_id = normal_form(f"{name}{between}{number}" if number else name)
                if music_id in songs:
                    skipped.append((file.relative_to(folder).as_posix(), f"a second melody is called {music_id}"))
                    continue
                songs[music_id] = file, Part(music_id, music_id, hz=hz, title=title)
        except NoMelodyError as error:
            skipped.append((file.relative_to(folder).as_posix(), str(error)))
        skipped += [(f"{file.relative_to(folder).as_posix()}, tune {number}", reason) for number, reason in unread]
    return list(songs.values()), skipped
