"""What the embedded data set holds: which tunes, in which split, who hums them and where.

Every recording has its own random generator, seeded by (seed, kind, number), so that the bytes do not
depend on how many workers there are, nor on where a killed run went on.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humfind.config import DemoConfig, HummerConfig, SongConfig
from humfind.data.abc import Tune
from humfind.synth.melody import Melody
from humfind.types import InputError

KINDS = {"plan": 0, "arrange": 1, "excerpt": 2, "full": 3, "hum": 4}
TRAIN_SONG_S = 48.0  # of which train gets an excerpt
EARLY_S, LATE_S = 1.5, 2.5  # a training hum starts so much before or after its excerpt at most


@dataclass(frozen=True)
class SongPlan:
    """One song to be made. number: its place in the whole set, the seed of its arrangement."""

    number: int
    music_id: str
    split: str
    melody: Melody
    length_s: float
    excerpt: tuple[float, float] | None  # start_s, end_s of the stretch that train gets


@dataclass(frozen=True)
class Job:
    """One file. start_s, length_s: of a hum, the stretch of song that is hummed."""

    path: str
    kind: str
    number: int
    song: SongPlan
    start_s: float
    length_s: float
    seed: int
    song_config: SongConfig
    hummer_config: HummerConfig
    bitrate_kbps: int


def rng_of(seed: int, kind: str, number: int) -> np.random.Generator:
    return np.random.default_rng([seed, KINDS[kind], number])


def plan_songs(tunes: tuple[Tune, ...], config: DemoConfig) -> tuple[list[SongPlan], list[Tune]]:
    """Which tunes become songs of which split; every third tune is public where sizes are not given."""
    rng = rng_of(config.seed, "plan", 0)
    train = config.train_songs if config.train_songs is not None else (2 * len(tunes)) // 3
    public = config.public_songs if config.public_songs is not None else len(tunes) - train
    if train + public > len(tunes):
        raise InputError(f"{train + public} songs asked for, but the books hold {len(tunes)} tunes; ask for fewer")
    rows = rng.permutation(len(tunes))[: train + public]
    songs = []
    for number, row in enumerate(rows):
        rng_song = rng_of(config.seed, "plan", 1 + number)
        is_train = number < train
        length_s = TRAIN_SONG_S if is_train else rng_song.uniform(*config.public_song_s)
        excerpt = None
        if is_train:
            excerpt_s = rng_song.uniform(*config.excerpt_s)
            start = rng_song.uniform(0.0, length_s - excerpt_s - 2 * LATE_S)
            excerpt = (start, start + excerpt_s)
        split = "train" if is_train else "public_test"
        songs.append(SongPlan(number, f"{number:04d}", split, tunes[row].melody, length_s, excerpt))
    return songs, [tunes[row] for row in rows]


def plan_files(
    songs: list[SongPlan], config: DemoConfig
) -> tuple[list[Job], list[tuple[str, ...]], list[tuple[str, ...]]]:
    """Every file, and the rows of train_meta.csv and answers.csv."""
    rng = rng_of(config.seed, "plan", len(songs) + 1)
    extra = (config.seed, config.song, config.hummer, config.bitrate_kbps)
    jobs: list[Job] = []
    meta: list[tuple[str, ...]] = []
    answers: list[tuple[str, ...]] = []
    train = [s for s in songs if s.split == "train"]
    public = [s for s in songs if s.split == "public_test"]
    for song, hums in zip(train, hum_counts(len(train), config.train_hums, config.hums_per_song, rng), strict=True):
        assert song.excerpt is not None
        song_path = f"train/song/{len(meta):04d}.mp3"
        jobs.append(Job(song_path, "excerpt", song.number, song, 0.0, 0.0, *extra))
        for _ in range(hums):
            number = len(meta)
            path = f"train/hum/{number:04d}.mp3"
            start = max(0.0, song.excerpt[0] + rng.uniform(-EARLY_S, LATE_S))
            jobs.append(Job(path, "hum", number, song, start, rng.uniform(*config.hum_s), *extra))
            meta.append((song.music_id, song_path, path))
    for song in public:
        jobs.append(Job(f"public_test/full_song/{song.music_id}.mp3", "full", song.number, song, 0.0, 0.0, *extra))
    asked = config.public_hums if config.public_hums is not None else len(public)
    for i, turn in enumerate(rng.permutation(asked)):  # every song in turn, names in no order
        song = public[turn % len(public)]
        length_s = rng.uniform(*config.hum_s)
        start = rng.uniform(0.0, song.length_s - config.hum_s[1] * 0.8)
        path = f"public_test/hum/{i:04d}.mp3"
        jobs.append(Job(path, "hum", len(meta) + i, song, start, length_s, *extra))
        answers.append((f"{i:04d}.mp3", song.music_id))
    return jobs, meta, answers


def hum_counts(songs: int, hums: int | None, most: int, rng: np.random.Generator) -> list[int]:
    """How many hums each song gets: at least one, at most ``most``, few for most songs, ``hums`` in all."""
    if hums is None:
        return [int(n) for n in np.minimum(rng.geometric(0.4, songs), most)]
    if not songs <= hums <= most * songs:
        raise InputError(f"{hums} hums of {songs} songs: a song needs 1 to {most}")
    counts = np.ones(songs, np.int64)
    popularity = rng.pareto(1.5, songs) + 0.2
    while counts.sum() < hums:
        share = popularity * (counts < most)
        counts[int(rng.choice(songs, p=share / share.sum()))] += 1
    return [int(n) for n in counts]
