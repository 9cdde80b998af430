"""MTG-QBH (Salamon, Serrà and Gómez 2013): 118 queries sung or hummed by 17 people, without the songs.

    <anything>/*.wav    the queries
    *.csv               a table that says which song each is of

The corpus does not hand out the recordings that were searched (Zenodo, record 1290712): put your own as
OUT/public_test/full_song/<music_id>.<suffix>; songs.csv names them. The table's exact columns could not be verified, so
they are found by name: one whose cells are the queries' file names, one with "title" or "song" in its name, and where
there is one, "artist".
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from humfind.data.importers.corpus import Corpus, Part, require
from humfind.runtime.files import LARGEST_TABLE, require_file
from humfind.types import InputError


def read(folder: Path) -> Corpus:
    """The queries; songs without f0 or audio, for their titles. Raises InputError."""
    require(folder, "**/*.wav", "**/*.csv", corpus="MTG-QBH")
    audio = {file.stem.lower(): file for file in sorted(folder.glob("**/*.wav")) if file.is_file()}
    table, key, title, artist = _table(folder, set(audio))
    songs, hums, skipped = dict[str, Part](), [], []
    for row in table:
        stem = Path((row[key] or "").strip()).stem.lower()
        name = " - ".join(text for text in ((row.get(artist) or "").strip(), (row[title] or "").strip()) if text)
        music_id = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")
        if stem not in audio:
            skipped.append((row[key] or "", "no such wav file"))
        elif not music_id:
            skipped.append((audio[stem].name, "the table does not say which song it is of"))
        else:
            songs.setdefault(music_id, Part(music_id, music_id, title=name))
            file = audio.pop(stem)
            hums.append(Part(file.name, music_id, file))
    skipped += [(file.name, "not in the table") for file in audio.values()]
    return Corpus(tuple(hums), tuple(songs[one] for one in sorted(songs)), tuple(skipped)).known(folder)


def _table(folder: Path, stems: set[str]) -> tuple[list[dict[str, str]], str, str, str]:
    """The rows, and the columns of query, title and artist."""
    for file in sorted(folder.glob("**/*.csv")):
        require_file(file, LARGEST_TABLE)
        try:
            text = file.read_text(encoding="utf-8-sig")
        except UnicodeDecodeError:
            text = file.read_text(encoding="latin-1")
        head = text.split("\n", 1)[0]
        delimiter = ";" if head.count(";") > head.count(",") else ","
        try:
            rows = list(csv.DictReader(text.splitlines(), delimiter=delimiter))
        except csv.Error as error:
            raise InputError(f"{file}: not a CSV ({error}); save it as one, or remove it") from error
        columns = [column for column in (rows[0] if rows else {}) if column]
        keys = [c for c in columns if any(Path((row[c] or "").strip()).stem.lower() in stems for row in rows)]
        titles = [c for c in columns if ("title" in c.lower() or "song" in c.lower()) and c not in keys[:1]]
        if keys and titles:
            return rows, keys[0], titles[0], next((c for c in columns if "artist" in c.lower()), "")
    raise InputError(f"{folder}: no table that names the wav files and their titles; give the corpus as it is unpacked")
