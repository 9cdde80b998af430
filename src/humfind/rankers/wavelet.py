"""Singing search by wavelet strings (2017): melodies as short strings, songs by the least Levenshtein distance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from rapidfuzz.distance import Levenshtein
from rapidfuzz.process import cdist

from humfind.config import RankConfig
from humfind.melody import wavelet_string
from humfind.melody.contour import at_tempo, semitones_to_hz
from humfind.rankers.best_recording import Songs, ranking_of
from humfind.types import Contour, InputError, Match, Query, Ranking


class Wavelet:
    """The hum's string, at each of ``config.tempos``, against each stretch of every song's string that is as long. The
    score is 1 - distance / length: 1 where every symbol is the same. Songs of one score are ordered by music_id.

    Raises InputError where the index has no contours.
    """

    def __init__(self, config: RankConfig, songs: Songs) -> None:
        if any(line is None for line in songs.contours):
            raise InputError("ranker wavelet: this index has no melodies; choose nearest or vote")
        self.songs, self.config = songs, config.wavelet
        self.strings = [self.string(line) for line in songs.contours if line is not None]

    def string(self, line: Contour) -> str:
        """One character a symbol, ``2^discarded`` frames of the contour each."""
        if not len(line.semitones):
            return ""
        hz = semitones_to_hz(line.semitones)
        short = wavelet_string.shortened(hz, self.config.wavelet, self.config.discarded)
        return wavelet_string.as_text(wavelet_string.symbols(short, self.config.per_octave))

    def rank(self, query: Query, k: int) -> Ranking:
        return self.rank_contour(query.name, query.melody, k)

    def rank_contour(self, name: str, hum: Contour, k: int) -> Ranking:
        """The k best songs for a melody."""
        best = np.full(len(self.strings), -1.0)
        place: list[tuple[int, float]] = [(0, 1.0)] * len(self.strings)
        for tempo in self.config.tempos:
            hummed = self.string(at_tempo(hum, tempo))
            for row, (score, start) in enumerate(nearest_stretch(hummed, self.strings, self.config.places)):
                if score > best[row]:
                    best[row], place[row] = score, (start, tempo)
        return ranking_of(name, self.songs, -best, k, lambda row: self._match(hum, row, *place[row]))

    def _match(self, hum: Contour, row: int, start: int, tempo: float) -> Match:
        """Where the stretch lies; key: the middle distance between what is sung in both."""
        line, moved = self.songs.contours[row], at_tempo(hum, tempo)
        assert line is not None
        first = min(start * 2**self.config.discarded, max(0, len(line.semitones) - 1))
        frames = min(len(moved.semitones), len(line.semitones) - first)
        both = moved.voiced[:frames] & line.voiced[first : first + frames]
        apart = (line.semitones[first : first + frames] - moved.semitones[:frames])[both]
        start_s, key = first * line.frame_s, float(np.median(apart)) if len(apart) else 0.0
        return Match(start_s, start_s + len(moved.semitones) * line.frame_s, key, tempo)


def nearest_stretch(hummed: str, strings: Sequence[str], places: int) -> list[tuple[float, int]]:
    """Of each string: how alike its nearest stretch of ``hummed``'s length is, 1 - Levenshtein distance / length, and
    where that begins. places: that are compared, in each length of the hum."""
    length = max(1, len(hummed))
    step = max(1, length // places)
    starts = [range(0, max(1, len(one) - length + step), step) for one in strings]
    stretches = [one[start : start + length] for one, at in zip(strings, starts, strict=True) for start in at]
    distance = cdist([hummed], stretches, scorer=Levenshtein.distance, workers=1)[0]
    ends = np.cumsum([len(at) for at in starts])
    found = []
    for part, at in zip(np.split(distance, ends[:-1]), starts, strict=True):
        least = int(np.argmin(part))
        found.append((1.0 - float(part[least]) / length, at[least]))
    return found
