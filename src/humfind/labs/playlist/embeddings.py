"""Tracks by their sound: what several networks make of it, how long that takes, and metadata and sound together.

The tracks are tunes of the old books, each played at the tempo of its dance by an instrument of a family drawn at
random. Two things are asked for: the dance, which the books' notes tell, and who plays, which only the sound tells.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from humfind.audio.load import resample
from humfind.audio.mel import mfcc
from humfind.config import MorletConfig, TrackModelConfig
from humfind.encoders.audio_embeddings import AudioEmbedding
from humfind.encoders.sound import SoundEncoder
from humfind.index.vectors import unit
from humfind.labs.playlist import study, tunes
from humfind.labs.playlist.features import principal
from humfind.labs.playlist.study import Material
from humfind.labs.similar.study import by_segments, frozen
from humfind.labs.tags.tunes import AS_PRINTED, ENSEMBLES, Rendered, render
from humfind.metrics import Interval
from humfind.training.tasks.sounds import train_sounds
from humfind.types import Floats, Ints, Recording

DANCES = 6  # the commonest
FAMILIES = {
    "keys": ("piano", "harpsichord", "organ", "accordion"),
    "bowed": ("violin", "cello"),
    "plucked": ("guitar", "harp", "banjo"),
    "winds": ("trumpet", "clarinet", "flute"),
}
DANCE, PLAYER, BOTH = "the dance", "who plays", "both"
TIMED_S, TIMES = 30.0, 3  # of sound, and how often
MFCCS = 20
Embed = Callable[[Sequence[Recording]], Floats]  # recordings -> (n, d)


@dataclass(frozen=True)
class Embedded:
    """What a way makes of the tracks. vectors: (tracks, d), each column of mean 0 and deviation 1 among the learned
    tracks. seconds: for 30 s of sound, the median of three."""

    vectors: Floats
    seconds: float


@dataclass(frozen=True)
class Sounds:
    """given: the tunes as a table, split; its classes are dance and family. labels: by what is asked, (n,) codes.
    families: of each. recordings: of each."""

    given: Material
    labels: Mapping[str, Ints]
    families: tuple[str, ...]
    recordings: tuple[Recording, ...]

    def take(self, part: str, rate_hz: int) -> tuple[Floats, ...]:
        """The recordings of a part."""
        return tuple(resample(self.recordings[row], rate_hz).samples for row in self.given.rows(part))


def rendered(count: int, length_s: float, seed: int = 0) -> Sounds:
    """``count`` tunes, as many of each of the commonest dances."""
    every = tunes.danced()
    rng = np.random.default_rng([seed, 4])
    names = [name for name, _ in Counter(tunes.dance(tune) for tune in every).most_common(DANCES)]
    rows = {name: [row for row, tune in enumerate(every) if tunes.dance(tune) == name] for name in names}
    chosen = [row for name in names for row in rng.permutation(rows[name])[: max(1, count // DANCES)].tolist()]
    families = rng.choice(list(FAMILIES), len(chosen)).tolist()
    played = [
        Rendered(every[row], str(rng.choice(FAMILIES[family])), AS_PRINTED, str(rng.choice(ENSEMBLES)), False, False)
        for row, family in zip(chosen, families, strict=True)
    ]
    given = study.material(tunes.table([every[row] for row in chosen]), seed)
    family = np.array([list(FAMILIES).index(name) for name in families], np.int64)
    both = given.kind * len(FAMILIES) + family
    labels = {DANCE: given.kind, PLAYER: family, BOTH: both}
    return Sounds(replace(given, classes=both), labels, tuple(families), tuple(render(played, length_s, seed)))


def ways(sounds: Sounds, config: MorletConfig, folder: Path, others: Sequence[AudioEmbedding] = ()) -> dict[str, Embed]:
    """The network of lab similar, trained on the learned tracks into ``folder``; musicnn's; statistics of MFCCs; and
    networks of others."""
    learned, held_out = (sounds.take(part, config.rate_hz) for part in ("learned", "held out"))
    ours = by_segments(train_sounds(learned, held_out, config, folder)[1].embed, config)
    musicnn = frozen(SoundEncoder(), config.rate_hz)

    def at(rate_hz: int, embed: Callable[[Sequence[Floats]], Floats]) -> Embed:
        return lambda many: embed([resample(one, rate_hz).samples for one in many])

    made = {
        "ours, without labels": at(config.rate_hz, ours.clips),
        "musicnn": at(config.rate_hz, musicnn.clips),
        "MFCC statistics": lambda many: np.stack([statistics(one) for one in many]),
    }
    return made | {one.name: at(one.rate_hz, _each(one)) for one in others}


def _each(network: AudioEmbedding) -> Callable[[Sequence[Floats]], Floats]:
    return lambda many: np.stack([network.embed(samples) for samples in many])


def statistics(recording: Recording) -> Floats:
    """(2 x 20,): mean and deviation of its MFCCs."""
    values = mfcc(recording.samples, recording.rate_hz, MFCCS)
    return np.concatenate([values.mean(axis=0), values.std(axis=0)])


def embed(sounds: Sounds, found: Mapping[str, Embed]) -> dict[str, Embedded]:
    """Every track by every way, and how long 30 s take."""
    first = sounds.recordings[0]
    times = -(-round(TIMED_S * first.rate_hz) // len(first.samples))
    asked = replace(first, samples=np.tile(first.samples, times)[: round(TIMED_S * first.rate_hz)])
    learned = sounds.given.rows("learned")
    made = {}
    for name, way in found.items():
        vectors = way(sounds.recordings)
        mean, spread = vectors[learned].mean(axis=0), vectors[learned].std(axis=0) + 1e-6
        made[name] = Embedded(((vectors - mean) / spread).astype(np.float32), _seconds(way, asked))
    return made


def _seconds(embed: Embed, asked: Recording) -> float:
    taken = []
    for _ in range(TIMES):
        started = time.perf_counter()
        embed([asked])
        taken.append(time.perf_counter() - started)
    return float(np.median(taken))


def judged(sounds: Sounds, vectors: Floats) -> dict[str, Interval]:
    """Of ten neighbours, those that share what is asked. vectors: of the tracks that are asked."""
    rows = sounds.given.rows("asked")
    return {name: study.precision(vectors, kind[rows]) for name, kind in sounds.labels.items()}


def chance(sounds: Sounds) -> dict[str, float]:
    """The same for neighbours drawn at random."""
    rows = sounds.given.rows("asked")
    return {name: study.chance(kind[rows]) for name, kind in sounds.labels.items()}


def together(sounds: Sounds, sound: Floats, config: TrackModelConfig, folder: Path) -> dict[str, dict[str, Interval]]:
    """Metadata, sound, and both: by principal components, each kind with as much weight as the other, and by the
    network, which learns dance and family of the same tracks each time. sound: (tracks, d)."""
    given = sounds.given
    kinds = {"metadata": given.features.values, "sound": sound}
    learned, asked = given.rows("learned"), given.rows("asked")
    parts = {}
    for name, values in kinds.items():
        reduced = principal(values[learned]).of(values)
        parts[name] = reduced / np.sqrt((reduced[learned] ** 2).sum(axis=1).mean())
    joined = "metadata and sound"
    parts[joined] = np.concatenate([parts[name] for name in kinds], axis=1)
    kinds[joined] = np.concatenate(list(kinds.values()), axis=1)
    found = {name: judged(sounds, values[asked]) for name, values in parts.items()}
    for name, values in kinds.items():
        columns = tuple(f"{name} {i}" for i in range(values.shape[1]))
        mine = replace(given, features=replace(given.features, values=values, names=columns))
        model = study.train(mine, config, folder / name.replace(" ", "-"))[1]
        found[f"{name}, learned"] = judged(sounds, model.embed(values[asked]))
    return found


def family_cosines(sounds: Sounds, vectors: Floats) -> tuple[Floats, list[str]]:
    """(families, families): mean cosine between different tracks of the one and the other, among those asked; and the
    families' names. vectors: of all tracks."""
    rows = sounds.given.rows("asked")
    near = unit(vectors[rows])
    family = np.array([sounds.families[row] for row in rows])
    cosines = near @ near.T
    np.fill_diagonal(cosines, np.nan)
    names = list(FAMILIES)
    means = [[np.nanmean(cosines[np.ix_(family == a, family == b)]) for b in names] for a in names]
    return np.array(means, np.float32), names
