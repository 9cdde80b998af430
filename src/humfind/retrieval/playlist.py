"""A few tracks -> a playlist: more of their kind, not all the same, in an order in which neighbours fit.

What is chosen sounds like what was given (maximal marginal relevance, Carbonell and Goldstein 1998: like the given, and
unlike what is chosen already). The order is the shortest way through all that a greedy start and 2-opt find, from the
first that was given on; a step costs what it changes in tempo, key and sound.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from humfind.index import Index
from humfind.index.tracks import Track
from humfind.index.vectors import unit
from humfind.retrieval.sound import song_means
from humfind.runtime.files import atomic_write
from humfind.types import Floats, InputError, did_you_mean

DIVERSITY = 0.3  # of maximal marginal relevance: what likeness to the chosen costs
SAME_ARTIST = 0.1  # and a track of an artist who is there already
SAME_GENRE = 0.1  # what a genre of the given is worth, where tags or a table say it
TEMPO, KEY, SOUND = 1.0, 0.6, 1.0  # what the farthest step in each costs
FARTHEST_TEMPO = 0.5  # octaves; half and double time are near
FIFTHS = 6  # around half of the circle
LEAST_GAIN = 1e-9
ALIKE = 0.1  # cosine, what all tracks share taken out, from which on two sound alike


@dataclass(frozen=True)
class Pick:
    """A track of a playlist, and why it is there, at that place."""

    track: Track
    why: str
    given: bool


@dataclass(frozen=True)
class Playlists:
    """What playlists are made of. tracks: those of which sound and tempo are known. means: (n, d) of length 1, how each
    sounds."""

    tracks: tuple[Track, ...]
    means: Floats

    @classmethod
    def of(cls, tracks: Sequence[Track], sound: Index) -> Playlists:
        """Raises InputError where no track is in both parts."""
        row = {music_id: i for i, music_id in enumerate(sound.music_ids)}
        kept = tuple(track for track in tracks if track.music_id in row)
        if not kept:
            raise InputError("index: its tracks and its sounds are of other recordings; build both parts again")
        means = song_means(sound)
        centred = means - means.mean(axis=0)  # what all share tells nothing
        mine = centred[[row[track.music_id] for track in kept]]
        return cls(kept, unit(mine))

    def find(self, said: str) -> int:
        """The row of a track, by its id, its file, or its name or title. Raises InputError where none is called so, or
        several are."""
        path = str(Path(said).resolve())
        exact = [[one.music_id, one.source] for one in self.tracks]
        called = [[one.name, one.title, one.music_id.rpartition("/")[2]] for one in self.tracks]
        for names in (exact, called):
            wanted = {said.casefold(), path.casefold()}
            rows = [row for row, some in enumerate(names) if wanted & {name.casefold() for name in some if name}]
            if len(rows) == 1:
                return rows[0]
            if rows:
                several = ", ".join(self.tracks[row].music_id for row in rows[:3])
                raise InputError(f"{said}: several tracks are called so ({several}); give the id of one")
        known = [name for one in self.tracks for name in (one.music_id, one.title, one.name) if name]
        raise InputError(f"{said}: no track of the index{did_you_mean(said, known)}; give an id, a title or a file")

    def make(self, given: Sequence[int], length: int) -> list[Pick]:
        """``length`` tracks, those given among them; fewer where the library has fewer."""
        seeds = list(dict.fromkeys(given))
        chosen = self._choose(seeds, min(length, len(self.tracks)))
        order = self._order(chosen)
        return [self._pick(order, place, seeds) for place in range(len(order))]

    def _choose(self, seeds: list[int], length: int) -> list[int]:
        chosen = list(seeds)
        relevance = (self.means @ self.means[seeds].T).mean(axis=1)
        genres = {self.tracks[row].genre.casefold() for row in seeds} - {""}
        relevance = relevance + SAME_GENRE * np.array([track.genre.casefold() in genres for track in self.tracks])
        while len(chosen) < length:
            alike = (self.means @ self.means[chosen].T).max(axis=1)
            artists = {self.tracks[row].artist for row in chosen} - {""}
            again = np.array([SAME_ARTIST * (track.artist in artists) for track in self.tracks])
            score = (1 - DIVERSITY) * relevance - DIVERSITY * alike - again
            score[chosen] = -np.inf
            chosen.append(int(score.argmax()))
        return chosen

    def step(self, a: int, b: int) -> float:
        """What it costs to go from one track to another, from 0 on."""
        one, other = self.tracks[a], self.tracks[b]
        sound = (1 - float(self.means[a] @ self.means[b])) / 2
        tempo = min(1.0, tempo_gap(one, other) / FARTHEST_TEMPO)
        return TEMPO * tempo + KEY * key_gap(one, other) / FIFTHS + SOUND * sound

    def _order(self, rows: list[int]) -> list[int]:
        """From the first on: a greedy way, then parts of it turned around as long as that shortens it."""
        cost = np.array([[self.step(a, b) for b in rows] for a in rows])
        order, left = [0], set(range(1, len(rows)))
        while left:
            order.append(min(left, key=lambda one: (cost[order[-1], one], one)))
            left.remove(order[-1])
        better = True
        while better:
            better = False
            for i in range(1, len(order) - 1):
                for j in range(i + 1, len(order)):
                    before, first, last = order[i - 1], order[i], order[j]
                    gain = cost[before, first] - cost[before, last]
                    if j + 1 < len(order):
                        gain += cost[last, order[j + 1]] - cost[first, order[j + 1]]
                    if gain > LEAST_GAIN:
                        order[i : j + 1] = order[i : j + 1][::-1]
                        better = True
        return [rows[one] for one in order]

    def _pick(self, order: list[int], place: int, seeds: list[int]) -> Pick:
        row = order[place]
        track = self.tracks[row]
        if row in seeds:
            said = ["given"]
        else:
            nearest = max(seeds, key=lambda seed: float(self.means[seed] @ self.means[row]))
            cosine = float(self.means[nearest] @ self.means[row])
            how = f"sounds like {self.tracks[nearest].name}" if cosine > ALIKE else "of another sound: the nearest left"
            said = [f"{how} ({cosine:.2f})"]
            if track.genre and track.genre.casefold() in {self.tracks[seed].genre.casefold() for seed in seeds}:
                said.append(f"{track.genre}, too")
        if place:
            said += _changes(self.tracks[order[place - 1]], track)
        return Pick(track, "; ".join(said), row in seeds)


def tempo_gap(one: Track, other: Track) -> float:
    """Octaves from one tempo to the other, half and double time counted as the same; half of the farthest where one is
    not known."""
    if not one.tempo_bpm or not other.tempo_bpm:
        return FARTHEST_TEMPO / 2
    octaves = abs(math.log2(one.tempo_bpm / other.tempo_bpm)) % 1
    return min(octaves, 1 - octaves)


def key_gap(one: Track, other: Track) -> float:
    """Steps on the circle of fifths from one key to the other, minor keys at their relative major; half of the farthest
    where one is not known."""
    if one.tonic < 0 or other.tonic < 0:
        return FIFTHS / 2
    places = [7 * (track.tonic + 3 * track.minor) % 12 for track in (one, other)]
    steps = (places[0] - places[1]) % 12
    return float(min(steps, 12 - steps))


def _changes(before: Track, track: Track) -> list[str]:
    """From the track before."""
    said = []
    if track.tempo_bpm and before.tempo_bpm:
        said.append(f"{before.tempo_bpm:.0f} to {track.tempo_bpm:.0f} beats a minute")
    if track.key and before.key:
        steps = key_gap(before, track)
        near = "the same notes" if steps == 0 else f"{steps:.0f} fifth{'s' * (steps != 1)} away"
        said.append(f"{track.key}, {near}")
    return said


def m3u8_of(tracks: Sequence[Track]) -> str:
    """A playlist as players read it, with title and length of each. Raises InputError where a track has no file."""
    lines = ["#EXTM3U"]
    for track in tracks:
        if not Path(track.source).is_absolute():
            raise InputError(f"{track.music_id}: no file is known of it; index a folder of recordings")
        lines += [f"#EXTINF:{track.length_s:.0f},{' '.join(track.name.split())}", track.source]
    return "\n".join(lines) + "\n"


def write_m3u8(picks: Sequence[Pick], path: Path) -> None:
    """``m3u8_of`` a playlist, as a file."""
    atomic_write(path, m3u8_of([pick.track for pick in picks]).encode())
