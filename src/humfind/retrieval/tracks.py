"""The tracks part of an index: tempo and key of every recording, and what its own tags say."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
from tqdm import tqdm

from humfind.audio.load import stream
from humfind.audio.rhythm import tempo_bpm
from humfind.audio.tonality import key_of
from humfind.data.importers.track_table import TrackTable
from humfind.data.tags import read_tags
from humfind.f0.load import Skipped
from humfind.index import Song, index_folder
from humfind.index.parts import TRACKS
from humfind.index.tracks import Track, load_tracks, save_tracks
from humfind.retrieval.sound import recordings_of
from humfind.runtime.cores import cores
from humfind.runtime.lock import writing
from humfind.types import Floats, InputError, normal_form

RATE_HZ = 22_050
LONGEST_S = 120.0  # that is listened to, from the first sound on
SAVE_S = 60.0
YEAR = re.compile(r"(?<!\d)(1[89]\d\d|20\d\d)(?!\d)")


def write_tracks(
    source: Path, out: Path, split: str, table: TrackTable | None = None
) -> tuple[tuple[Track, ...], Skipped]:
    """The tracks part of a data set's split or of a folder of music, saved in ``out``/tracks. Recordings that are there
    and have not changed are taken over, also from a run that was stopped. table: what it says of a track goes before
    the file's own tags; a track is known by its id there (the song's, or the file's name), or as ``Artist - Title``.
    Raises InputError, also where the table knows no file."""
    folder = index_folder(out, source)
    files, skipped = recordings_of(source, split)
    said = {} if table is None else _rows(table)
    if table is not None and not any(_row_of(said, song, file) for song, file, _ in files):
        raise InputError(f"{source}: the table knows none of its files; name them by id, or by artist and title")
    with writing(folder / TRACKS):
        known = _known(folder)
        made = {digest: known[digest] for _, _, digest in files if digest in known}
        left = [(file, digest) for _, file, digest in files if digest not in made]
        last = time.monotonic()
        with ThreadPoolExecutor(cores()) as pool:
            done = pool.map(lambda one: _heard(*one), left)
            for (file, digest), found in zip(
                left, tqdm(done, total=len(left), desc="listening", leave=False), strict=True
            ):
                if isinstance(found, InputError):
                    skipped.append((str(file), str(found).removeprefix(f"{file}: ")))
                    continue
                made[digest] = found
                if time.monotonic() - last > SAVE_S:
                    save_tracks(_tracks(files, made, said), folder)
                    last = time.monotonic()
        tracks = _tracks(files, made, said)
        if not tracks:
            raise InputError(f"{source}: no recording can be read, so there are no tracks; give recordings")
        save_tracks(tracks, folder)
    return tracks, skipped


def _known(folder: Path) -> dict[str, Track]:
    """By checksum; what is damaged is made anew."""
    try:
        return {track.checksum: track for track in load_tracks(folder) if track.checksum}
    except InputError:
        return {}


def _heard(file: Path, digest: str) -> Track | InputError:
    """Tempo, key and length of a recording."""
    parts: list[Floats] = []
    kept = length = 0
    try:
        for block in stream(file, RATE_HZ):
            length += len(block)
            if parts or block.any():
                parts.append(block[: max(0, round(LONGEST_S * RATE_HZ) - kept)])
                kept += len(parts[-1])
    except InputError as error:
        return error
    samples = np.concatenate([np.zeros(0, np.float32), *parts])
    key = key_of(samples, RATE_HZ)
    tonic, minor = key if key is not None else (-1, False)
    tempo = round(tempo_bpm(samples, RATE_HZ), 2)
    return Track("unnamed", checksum=digest, tempo_bpm=tempo, tonic=tonic, minor=minor, length_s=length / RATE_HZ)


def _tracks(
    files: Sequence[tuple[Song, Path, str]], made: dict[str, Track], table: Mapping[str, Row]
) -> tuple[Track, ...]:
    """Of what has been heard so far, in the order of the files, with what a table or they themselves say."""
    tracks = []
    for song, file, digest in files:
        if digest in made:
            row, tags = _row_of(table, song, file) or Row(), read_tags(file)
            year = YEAR.search(tags.date)
            tracks.append(
                replace(
                    made[digest],
                    music_id=song.music_id,
                    title=row.title or song.title,
                    artist=row.artist or song.artist,
                    source=song.source,
                    genre=row.genre or tags.genre,
                    year=row.year or (int(year[1]) if year else 0),
                    checksum=digest,
                )
            )
    return tuple(tracks)


class Row(NamedTuple):
    """What a table says of a track."""

    title: str = ""
    artist: str = ""
    genre: str = ""
    year: int = 0


def _rows(table: TrackTable) -> dict[str, Row]:
    """By id and by name."""
    found: dict[str, Row] = {}
    for i, genre in enumerate(table.main_genre):
        row = Row(table.titles[i], table.artists[i], genre, int(table.years[i]))
        for name in (table.ids[i], table.name(i)):
            found.setdefault(_key(name), row)
    return found


def _row_of(table: Mapping[str, Row], song: Song, file: Path) -> Row | None:
    names = (song.music_id, file.name, file.stem, f"{song.artist} - {song.title}")
    return next((table[key] for name in names if (key := _key(name)) in table), None)


def _key(name: str) -> str:
    return normal_form(name).casefold()
