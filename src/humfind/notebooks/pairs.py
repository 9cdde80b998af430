"""Hums beside the excerpts that they were hummed of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from humfind.config import ContourConfig
from humfind.data.zalo import Item
from humfind.melody.contour import from_f0
from humfind.melody.pairwise_alignment import Alignment
from humfind.types import F0, Contour, Match

JUMP_SEMITONES = 9.0  # between neighbouring frames: no voice does that


@dataclass(frozen=True)
class Pair:
    """A training pair and how the hum lies on the song."""

    title: str
    song: Item
    hum: Item
    song_contour: Contour
    hum_contour: Contour
    alignment: Alignment

    @property
    def match(self) -> Match:
        return self.alignment.match

    @property
    def error(self) -> float:
        return self.alignment.error_semitones


def typical(pairs: Sequence[Pair], n: int) -> list[Pair]:
    """n pairs of different songs, from the better half: fits that an eye can follow, not the best ones."""
    chosen: dict[str, Pair] = {}
    better_half = sorted(pairs, key=lambda pair: pair.error)[: max(n, len(pairs) // 2)]
    for pair in better_half[len(better_half) // 3 :] + better_half:
        chosen.setdefault(str(pair.song.music_id), pair)
    return list(chosen.values())[:n]


def spread(pairs: Sequence[Pair]) -> dict[str, np.ndarray]:
    """The arguments of ``plots.pairs.distributions``, one value a pair."""
    return {
        "length_ratio": np.array([p.hum_contour.length_s / p.song_contour.length_s for p in pairs]),
        "key_offset": np.array([p.match.semitones for p in pairs]),
        "tempo_ratio": np.array([p.match.tempo_ratio for p in pairs]),
        "error": np.array([p.error for p in pairs]),
    }


def octave_jumps(f0: F0) -> float:
    """Jumps of more than nine semitones between neighbouring voiced frames, a voiced second."""
    line = from_f0(f0, ContourConfig())
    both = line.voiced[1:] & line.voiced[:-1]
    jumps = (np.abs(np.diff(line.semitones)) > JUMP_SEMITONES) & both
    return float(jumps.sum() / max(line.voiced.sum() * line.frame_s, line.frame_s))
