"""Hums beside the excerpts that they were hummed of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from humfind.config import ContourConfig
from humfind.data.zalo import Item
from humfind.melody.contour import from_f0
from humfind.melody.pairwise_alignment import Alignment, align
from humfind.types import F0, Contour, InputError, Match

if TYPE_CHECKING:
    from humfind.notebooks.run import Run

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


def gallery(run: Run, pairs: Sequence[Pair], n: int, seed: int) -> tuple[list[tuple[str, F0, F0, str, F0]], str]:
    """The arguments of ``plots.pairs.gallery``: n pairs of different songs at random, each hum beside the song of the
    next one."""
    rng = np.random.default_rng(seed)
    by_song = {str(pair.song.music_id): pair for pair in (pairs[i] for i in rng.permutation(len(pairs)))}
    chosen = list(by_song.values())[:n]
    others = [*chosen[1:], *chosen[:1]]
    rows = [
        (one.title, run.f0(one.hum), run.f0(one.song), other.title, run.f0(other.song))
        for one, other in zip(chosen, others, strict=True)
    ]
    nearer = sum(
        one.error < align(one.hum_contour, other.song_contour).error_semitones
        for one, other in zip(chosen, others, strict=True)
    )
    return rows, f"Once aligned, {nearer} of these {len(rows)} hums lie nearer to their own song than to the other"


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


def all_pairs(run: Run) -> list[Pair]:
    """Every training hum with the excerpt that it was hummed of, aligned."""
    from tqdm import tqdm

    contour = ContourConfig()
    songs = {item.path: (item, from_f0(f0, contour)) for item, f0 in run.tracked("train", "song")}
    hums = {item.path: (item, from_f0(f0, contour)) for item, f0 in run.tracked("train", "hum")}
    rows = [pair for pair in run.splits["train"].pairs if pair[0] in songs and pair[1] in hums]
    pairs = []
    for song_path, hum_path in tqdm(rows, desc="aligning pairs", unit="pair"):
        (song, song_line), (hum, hum_line) = songs[song_path], hums[hum_path]
        title = run.title(song.music_id)
        pairs.append(Pair(title, song, hum, song_line, hum_line, align(hum_line, song_line)))
    return pairs


def example_pair(run: Run) -> Pair:
    """The first training pair."""
    songs = {item.path: item for item in run.songs("train")}
    hums = {item.path: item for item in run.items("train", "hum")}
    if not run.splits["train"].pairs:
        mend = "name them in train/train_meta.csv (music_id,song_path,hum_path)"
        raise InputError(f"{run.data}: nothing says which recording each training hum is of; {mend}")
    song_path, hum_path = run.splits["train"].pairs[0]
    song, hum = songs[song_path], hums[hum_path]
    lines = [from_f0(run.f0(item), ContourConfig()) for item in (song, hum)]
    return Pair(run.title(song.music_id), song, hum, lines[0], lines[1], align(lines[1], lines[0]))


def hums_per_song(run: Run, groups: Mapping[str, Sequence[str]]) -> dict[str, list[int]]:
    """How many hums each song of each group has."""
    counts: dict[str, int] = {}
    for item in run.items("train", "hum"):
        counts[str(item.music_id)] = counts.get(str(item.music_id), 0) + 1
    return {name: [counts.get(music_id, 0) for music_id in ids] for name, ids in groups.items()}
