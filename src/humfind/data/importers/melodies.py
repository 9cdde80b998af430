"""A folder of written melodies: MIDI, ABC and kern files, in any subfolders."""

from __future__ import annotations

from pathlib import Path

from humfind.data.importers.corpus import Corpus, Part
from humfind.data.notes import SUFFIXES, NoMelodyError
from humfind.data.notes import read as read_melodies
from humfind.data.walk import files_below
from humfind.types import InputError


def read(folder: Path) -> Corpus:
    """A song a melody, named by its path below the folder, and for ABC its number in the file. Raises InputError."""
    files, skipped = files_below(folder, SUFFIXES)
    if not files:
        reason = ": ".join(skipped[0]) if skipped else f"give a folder of {', '.join(SUFFIXES)} files"
        raise InputError(f"{folder}: no melodies; {reason}")
    songs = dict[str, Part]()
    for file in files:
        name = "__".join(file.relative_to(folder).with_suffix("").parts)
        try:
            for number, title, hz in read_melodies(file):
                music_id = f"{name}__{number}" if number else name
                if music_id in songs:
                    skipped.append((file.name, f"a second melody is called {music_id}"))
                    continue
                songs[music_id] = Part(music_id, music_id, hz=hz, title=title)
        except NoMelodyError as error:
            skipped.append((file.relative_to(folder).as_posix(), str(error)))
    return Corpus((), tuple(songs.values()), tuple(skipped))
