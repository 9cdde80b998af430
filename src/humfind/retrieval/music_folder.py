"""A folder of music, as people keep it: recordings of any format, and written melodies (MIDI, ABC, kern), at any
depth, with what their tags say."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from humfind.config import AUDIO_SUFFIXES, UNREAD_SUFFIXES, F0Config, IndexConfig
from humfind.data import notes
from humfind.data.importers.melodies import melodies_of
from humfind.data.tags import read_tags
from humfind.data.walk import files_below
from humfind.data.zalo import Item, stem
from humfind.f0 import too_little
from humfind.f0.extract import file_sha256
from humfind.f0.load import F0Cache, F0Set, Skipped, load_f0
from humfind.index import Song
from humfind.types import F0, InputError, normal_form

KEPT_SPLIT = "public_test"  # of the store within an index: an f0 store has splits


@dataclass(frozen=True)
class MusicFiles:
    """Below a folder. skipped: (path, reason) of those that cannot be used."""

    recordings: tuple[Path, ...] = ()
    melodies: tuple[Path, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()


class FolderItem(Item):
    """A recording whose key is its whole path, so that files of one name in different folders stay apart."""

    @property
    def stem(self) -> str:
        return self.path


def music_files(folder: Path) -> MusicFiles:
    """Raises InputError where there are none."""
    files, skipped = files_below(folder, {*AUDIO_SUFFIXES, *notes.SUFFIXES}, UNREAD_SUFFIXES)
    if not files:
        reason = ": ".join(skipped[0]) if skipped else "give one of these"
        raise InputError(f"{folder}: no data set, no f0 store, no music files; {reason}")
    written = [path.suffix.lower() in notes.SUFFIXES for path in files]
    recordings = (path for path, is_written in zip(files, written, strict=True) if not is_written)
    melodies = (path for path, is_written in zip(files, written, strict=True) if is_written)
    return MusicFiles(tuple(recordings), tuple(melodies), tuple(skipped))


def read_folder(
    files: MusicFiles, folder: Path, f0: F0Config | None, keep: Path | None
) -> tuple[F0Set, dict[str, Song]]:
    """The f0 of what lies below a folder, and what is known of each song. A song's id is its path below the folder,
    without the suffix where no other file differs in that alone; in an ABC file, and the tune's number.

    A recording that lies there twice, byte for byte, is one song: the other file is named as skipped. In the store, a
    row's key is the checksum of the file: files of one name stay apart, a file that has changed is tracked anew, and
    one that was moved is not.
    """
    names = _names(folder, [*files.recordings, *files.melodies])
    cache = F0Cache(keep) if keep else None
    of_folder = F0Config(tracker=IndexConfig.folder_tracker)
    config = f0 or (cache.config(of_folder) if cache else of_folder)
    audible, skipped = distinct_files(files, folder)
    stored = [Item(f"{file.relative_to(folder).as_posix()}/{digest}", None, file) for _, file, digest in audible]
    f0s = load_f0(stored, KEPT_SPLIT, "song", cache, replace(config, part_size=1))
    by_digest = {item.stem: item for item in f0s.items}
    reasons = {stem(path): reason for path, reason in f0s.skipped}
    written, songs = _written(dict(zip(names[len(files.recordings) :], files.melodies, strict=True)), folder, skipped)
    for name, file, digest in audible:
        if digest in by_digest:
            songs[name] = song_of(name, file)
        else:
            skipped.append((file.relative_to(folder).as_posix(), reasons[digest]))
    items = tuple(FolderItem(name, name, None) for name in songs)
    digests = {name: digest for name, _, digest in audible}

    def f0_of(item: Item) -> F0:
        return written[item.stem] if item.stem in written else f0s.f0_of(by_digest[digests[item.stem]])

    return replace(f0s, items=items, f0_of=f0_of, skipped=skipped), songs


def distinct_files(files: MusicFiles, folder: Path) -> tuple[list[tuple[str, Path, str]], Skipped]:
    """The recordings below a folder as (id, file, checksum), each once, and those that are skipped, with why. Raises
    InputError where two have the same id."""
    names = _names(folder, [*files.recordings, *files.melodies])
    skipped: Skipped = list(files.skipped)
    found: dict[str, tuple[str, Path, str]] = {}  # by checksum
    for name, file in zip(names, files.recordings, strict=False):
        below = file.relative_to(folder).as_posix()
        try:
            digest = file_sha256(file)
        except OSError as error:
            skipped.append((below, f"cannot be read ({error.strerror})"))
            continue
        if digest in found:
            other = found[digest][1].relative_to(folder).as_posix()
            skipped.append((below, f"the same file as {other}, which is used"))
            continue
        found[digest] = (name, file, digest)
    return list(found.values()), skipped


def song_of(music_id: str, file: Path) -> Song:
    """What a file's own tags say of it."""
    tags = read_tags(file)
    return Song(music_id, tags.title, tags.artist, tags.album, str(file.resolve()))


def _names(folder: Path, files: list[Path]) -> list[str]:
    """Raises InputError where two are the same."""
    below = (path.relative_to(folder).with_suffix("").as_posix() for path in files)
    short = [normal_form(name) or path.name.strip() for name, path in zip(below, files, strict=True)]
    count = Counter(short)
    names = [
        name if count[name] == 1 else normal_form(path.relative_to(folder).as_posix())
        for name, path in zip(short, files, strict=True)
    ]
    if twice := [name for name, n in Counter(names).items() if n > 1]:  # by other letters for the same accents
        raise InputError(f"{folder}: two recordings are named {twice[0]}; rename one")
    return names


def _written(files: dict[str, Path], folder: Path, skipped: Skipped) -> tuple[dict[str, F0], dict[str, Song]]:
    """The f0 of written melodies, and the songs that they are; what cannot be read is added to ``skipped``."""
    lines: dict[str, F0] = {}
    songs: dict[str, Song] = {}
    melodies, unread = melodies_of({file: name for name, file in files.items()}, folder, "/")
    skipped += unread
    for file, melody in melodies:
        hz = np.zeros(0, np.float32) if melody.hz is None else melody.hz
        f0 = F0(hz, (hz > 0).astype(np.float32), notes.HOP_S)
        if reason := too_little(f0.voiced_s, "song"):
            skipped.append((melody.name, reason))
        else:
            lines[melody.name] = f0
            songs[melody.name] = Song(melody.name, melody.title, source=str(file.resolve()))
    return lines, songs
