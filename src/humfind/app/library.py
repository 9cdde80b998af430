"""A library held open: what its index can be asked, and its recordings."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from threading import Lock
from typing import Any, cast

import numpy as np

from humfind.config import AUDIO_SUFFIXES
from humfind.encoders.sound import SoundEncoder
from humfind.f0.extract import file_sha256
from humfind.index import Index
from humfind.index.parts import ABOUT, SOUND, TRACKS
from humfind.index.sound import load_sound, tags_of
from humfind.index.tracks import FILE, load_tracks
from humfind.retrieval.answers import verdict_of
from humfind.retrieval.playlist import Pick, Playlists, m3u8_of
from humfind.retrieval.query import NoMelodyError
from humfind.retrieval.searcher import Searcher
from humfind.retrieval.similar import SimilarSearcher, listen
from humfind.retrieval.sound import song_means
from humfind.retrieval.sound_map import MOST, flattened, group_of
from humfind.retrieval.words import WordSearcher
from humfind.types import F0, Contour, InputError, Ranking

LINE_HZ = 12.5  # of the lines that the page draws
AROUND_S = 2.0  # of a song, drawn before and after the place that was found
MOST_NAMED = 50  # songs by a name
log = logging.getLogger(__name__)
Sounding = Callable[[str], bytes]  # music_id -> wav, of a song that is written, not recorded


class OtherTrackerError(InputError):
    """Of an f0 that is not by the library's tracker."""


@dataclass(frozen=True)
class Library:
    """name: what it is called on the page. folder: its index. sounding: plays songs that have no recording."""

    name: str
    folder: Path
    sounding: Sounding | None = None

    @property
    def parts(self) -> dict[str, bool]:
        """What it can be asked, and what it would need to be built again with."""
        melody, sound = (self.folder / ABOUT).is_file(), (self.folder / SOUND / ABOUT).is_file()
        return {"melody": melody, "sound": sound, "tracks": sound and (self.folder / TRACKS / FILE).is_file()}

    @property
    def searcher(self) -> Searcher:
        """Of the index that is there now: one that was written since is opened, and the last whole one kept where it
        cannot be."""
        there = _version(self.folder)
        with self._opening:
            if not self._opened or (there and there != self._opened[0]):
                try:
                    found = self._opened[1].again() if self._opened else Searcher(self.folder)
                    self._opened[:] = [there, found]
                except InputError as error:
                    if not self._opened:
                        raise
                    log.warning("%s; the index that was there before is searched", error)
                    self._opened[0] = there
            return cast("Searcher", self._opened[1])

    @cached_property
    def _opened(self) -> list[Any]:
        """[version, searcher], once there is one."""
        return []

    @cached_property
    def _opening(self) -> Lock:
        return Lock()

    @cached_property
    def sound(self) -> Index:
        return load_sound(self.folder)

    @cached_property
    def words(self) -> WordSearcher:
        return WordSearcher.of(self.sound, _encoder())

    @cached_property
    def alike(self) -> SimilarSearcher:
        return SimilarSearcher.of(self.sound, _encoder())

    @cached_property
    def playlists(self) -> Playlists:
        return Playlists.of(load_tracks(self.folder), self.sound)

    @cached_property
    def tags(self) -> dict[str, tuple[str, ...]]:
        return tags_of(self.folder)

    def require(self) -> None:
        """Open all parts that are there. Raises InputError where there is none, or one is broken."""
        parts = self.parts
        if not any(parts.values()):
            raise InputError(f"{self.folder}: not an index; build one: humfind index MUSIC --out {self.folder}")
        if parts["melody"]:
            _ = self.searcher
        if parts["sound"]:
            _ = self.sound, self.tags
        if parts["tracks"]:
            _ = self.playlists

    def warm(self) -> None:
        """Open what a hum is searched with, before the first."""
        if self.parts["melody"]:
            self.searcher.warm()

    @property
    def songs(self) -> Index:
        """Any part's songs."""
        return self.searcher.index if self.parts["melody"] else self.sound

    @property
    def count(self) -> int:
        """Songs."""
        return len(self.songs.music_ids)

    @property
    def tracker(self) -> Mapping[str, Any]:
        """By which its hums are tracked, as the index names it; nothing where it takes recordings alone."""
        return self.searcher.index.info.tracker if self.parts["melody"] else {}

    def hum(self, hum: Path | F0, name: str, tracker: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The verdict on a recording of a hum, or on its f0 by ``tracker``, and for each answer the hum's line on the
        song's; without a melody it is not here, and ``reason`` says so. Raises InputError, OtherTrackerError."""
        searcher = self.searcher  # another may be there the next time
        if isinstance(hum, F0) and tracker != searcher.index.info.tracker:
            raise OtherTrackerError("not tracked as this library's hums; /api/indexes names its tracker")
        try:
            query, ranking = searcher.search(hum, name)
        except NoMelodyError as error:
            return {"query": name, "verdict": "not here", "here": 0.0, "reason": str(error), "answers": []}
        said = self._without_paths(verdict_of(ranking, searcher.index, self.tags))
        said["length_s"] = round(query.length_s, 2)
        said["line"] = _line(query.contour) if query.contour else []
        for row, answer in zip(said["answers"], ranking.answers, strict=True):
            contour = searcher.index.contour(answer.music_id)
            if answer.match and contour:
                row["line"] = _line(contour, answer.match.start_s - AROUND_S, answer.match.end_s + AROUND_S)
        return said

    def tag(self, words: str, top: int) -> dict[str, Any]:
        """Songs by words. Raises InputError for words that nothing has."""
        ranking = self.words.search(words, top)
        return self._answers(ranking) | {"left_out": self.words.unknown(words)}

    def similar(self, file: Path, name: str, at_s: float | None, top: int) -> dict[str, Any]:
        """Songs by a sound. Raises InputError."""
        vectors = listen(file, _encoder(), at_s).vectors
        own = frozenset({file_sha256(file)})
        return self._answers(self.alike.search(vectors, top, name, at_s or 0.0, own))

    def similar_to(self, music_id: str, top: int) -> dict[str, Any]:
        """Songs that sound like one of its own. Raises InputError where it is not there."""
        own = [row for row, song in enumerate(self.sound.songs) if song.music_id == music_id]
        if not own:
            raise InputError(f"{music_id:.80}: no such song")
        vectors = self.sound.vectors[np.flatnonzero(np.isin(self.sound.recording, own))]
        checksums = frozenset(self.sound.songs[row].checksum for row in own)
        return self._answers(self.alike.search(vectors, top, music_id, 0.0, checksums))

    @cached_property
    def map(self) -> dict[str, Any]:
        """Its songs, ``MOST`` at most, evenly thinned, on a plane where those of like sound lie together."""
        rows = np.unique(np.linspace(0, len(self.sound.music_ids) - 1, MOST).astype(int)).tolist()
        songs = [self.sound.song(self.sound.music_ids[row]) for row in rows]
        places = flattened(song_means(self.sound)[rows])
        points = [
            {"music_id": song.music_id, "title": song.title, "artist": song.artist, "group": group_of(song),
             "x": round(float(x), 4), "y": round(float(y), 4)}
            for song, (x, y) in zip(songs, places, strict=True)
        ]  # fmt: skip
        return {"points": points, "songs": len(self.sound.music_ids)}

    def called(self, like: str) -> list[dict[str, str]]:
        """Songs whose title, artist or id has all the words, ``MOST_NAMED`` at most."""
        words = like.casefold().split()
        found: list[dict[str, str]] = []
        for music_id in self.songs.music_ids:
            song = self.songs.song(music_id)
            text = f"{song.artist} {song.title} {music_id}".casefold()
            if all(word in text for word in words):
                found.append({"music_id": music_id, "title": song.title, "artist": song.artist})
            if len(found) == MOST_NAMED:
                break
        return found

    def playlist(self, tracks: list[str], length: int) -> list[Pick]:
        """Raises InputError for a track that is not there."""
        return self.playlists.make([self.playlists.find(one) for one in tracks], length)

    def m3u8(self, tracks: list[str]) -> str:
        """Tracks as players read them, with where each lies. Raises InputError for one that is not there."""
        return m3u8_of([self.playlists.tracks[self.playlists.find(one)] for one in tracks])

    def recording(self, music_id: str) -> Path | bytes:
        """A song's file, or its wav where it is written. Raises InputError where neither is there."""
        try:
            source = Path(self.songs.song(music_id).source)
        except KeyError as error:
            raise InputError(f"{music_id:.80}: no such song") from error
        if source.is_absolute() and source.is_file() and source.suffix.lower() in AUDIO_SUFFIXES:
            return source
        if self.sounding is not None:
            return self.sounding(music_id)
        raise InputError(f"{music_id:.80}: its recording is no longer where it was")

    def _answers(self, ranking: Ranking) -> dict[str, Any]:
        return self._without_paths(verdict_of(ranking, self.sound, self.tags))

    @staticmethod
    def _without_paths(said: Mapping[str, Any]) -> dict[str, Any]:
        """What a page may know of a song is not where it lies."""
        answers = [{name: value for name, value in one.items() if name != "path"} for one in said["answers"]]
        return {**said, "answers": answers}


def _version(folder: Path) -> tuple[int, int] | None:
    """Of an index, without reading it; None while it is not there."""
    try:
        there = (folder / ABOUT).stat()
    except OSError:
        return None
    return there.st_mtime_ns, there.st_ino


def _line(contour: Contour, start_s: float = 0.0, end_s: float = float("inf")) -> list[list[float | None]]:
    """[[second, semitones or null]], about ``LINE_HZ`` a second."""
    every = max(1, round(1 / (LINE_HZ * contour.frame_s)))
    first = max(0, int(start_s / contour.frame_s))
    last = min(len(contour.semitones), int(min(end_s, contour.length_s) / contour.frame_s) + 1)
    return [
        [round(at * contour.frame_s, 2), round(float(contour.semitones[at]), 2) if contour.voiced[at] else None]
        for at in range(first, last, every)
    ]


@cache
def _encoder() -> SoundEncoder:
    """One, for all libraries."""
    return SoundEncoder()
