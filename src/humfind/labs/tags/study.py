"""Models of words and music, trained on the same tracks and compared, tag by tag."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from humfind.audio.load import resample
from humfind.audio.mel import compressed_mel
from humfind.config import TagModelConfig
from humfind.data.tag_table import TagTable
from humfind.encoders import musicnn
from humfind.encoders.sound import SoundEncoder
from humfind.encoders.tag_model import TagModel
from humfind.labs.tags import culture, words
from humfind.metrics import Interval, SetReport, bootstrap
from humfind.retrieval import sound as sounds_of
from humfind.runtime.cores import cores
from humfind.training.loop import Training
from humfind.training.tasks.tags import TaggedTracks, average_precisions, scores_of, tag_report, train_tags
from humfind.types import Bools, Floats, Recording

RATE_HZ, FFT, HOP, BANDS, FRAMES = 22_050, 1024, 512, 128, 173  # of a chunk for the CNN
MOST_CHUNKS = 8  # of a track


@dataclass(frozen=True)
class Material:
    """table: split. tracks: what the towers read of all of its tracks."""

    table: TagTable
    tracks: TaggedTracks

    def part(self, name: str) -> TaggedTracks:
        """train | validation | test."""
        return self.tracks.take(self.table.rows(name))


@dataclass(frozen=True)
class Found:
    """One model on the test tracks. average_precision: of each tag."""

    report: SetReport
    by_category: dict[str, Interval]
    average_precision: Floats

    def gain(self, other: Found) -> Interval:
        """How much better than another on the same tracks and tags: the mean difference, tag by tag."""
        return bootstrap(self.average_precision.astype(np.float64) - other.average_precision)


def material(table: TagTable, sound: Floats, word_vectors: str, seed: int = 0) -> Material:
    """sound: of each track; (tracks, 0) where there is none. Vectors of words learn from training tracks alone."""
    vectors = words.vectors(word_vectors, table.take(table.rows("train")))
    category = {tag: table.category[tag] for tag in table.tags}
    return Material(table, TaggedTracks(table.has, category, vectors, sound, culture.vectors(table, seed=seed)))


def heard(sounds: Sequence[Recording], encoder: SoundEncoder) -> Floats:
    """(n, 402): the mean over a recording's segments of what the frozen networks hear, and of the mode."""

    def one(sound: Recording) -> Floats:
        found: Floats = sounds_of.heard(iter([resample(sound, musicnn.RATE_HZ).samples]), encoder).vectors.mean(axis=0)
        return found

    with ThreadPoolExecutor(cores(), initializer=lambda: torch.set_num_threads(1)) as pool:
        return np.stack(list(pool.map(one, sounds)))


def chunks(sounds: Sequence[Recording]) -> Floats:
    """(n, chunks, 173, 128) float32 for the CNN: as many of each, evenly spread, as the shortest recording has."""
    mels = [compressed_mel(resample(sound, RATE_HZ).samples, RATE_HZ, FFT, HOP, BANDS) for sound in sounds]
    mels = [np.tile(mel, (-(-FRAMES // len(mel)), 1)) if len(mel) < FRAMES else mel for mel in mels]
    count = min(MOST_CHUNKS, min(len(mel) for mel in mels) // FRAMES)
    starts = [np.linspace(0, len(mel) - FRAMES, count).astype(int) for mel in mels]
    return np.stack([np.stack([mel[at : at + FRAMES] for at in mine]) for mel, mine in zip(mels, starts, strict=True)])


def train(given: Material, config: TagModelConfig, folder: Path, resume: bool = True) -> tuple[Training, TagModel]:
    """On the training tracks; the step is chosen on those held out for validation."""
    return train_tags(given.part("train"), given.part("validation"), config, folder, resume)


def test(given: Material, model: TagModel) -> Found:
    """The figures of a model on tracks that it has not seen."""
    part = given.part("test")
    return judged(scores_of(model, part), part.has, given.tracks.category)


def judged(scores: Floats, has: Bools, category: Mapping[str, str]) -> Found:
    """Over all tags, and over those of each category. scores, has: (tracks, tags)."""
    tags = tuple(category)
    by_category = {}
    for kind in dict.fromkeys(category.values()):
        columns = [column for column, tag in enumerate(tags) if category[tag] == kind]
        mine = tuple(tags[column] for column in columns)
        by_category[kind] = tag_report(scores[:, columns], has[:, columns], mine).map
    return Found(tag_report(scores, has, tags), by_category, average_precisions(scores, has))


def compare(
    given: Material,
    configs: Mapping[str, TagModelConfig],
    folder: Path,
    resume: bool = True,
    trained: TagModel | None = None,
) -> dict[str, Found]:
    """Each configuration, trained into a folder of its name and tested. trained: a model on the same material, which is
    taken for the configuration that it has."""

    def model(name: str, config: TagModelConfig) -> TagModel:
        if trained is not None and trained.config == config:
            return trained
        return train(given, config, folder / name, resume)[1]

    return {name: test(given, model(name, config)) for name, config in configs.items()}


def towers(config: TagModelConfig, has_sound: bool) -> dict[str, TagModelConfig]:
    """What a track can be known by, everything else the same."""
    names = {"sound": "spec", "culture": "cf", "both, concatenated": "hybrid", "both, gated": "gated"}
    return {name: replace(config, song=song) for name, song in names.items() if has_sound or song == "cf"}


def samplings(config: TagModelConfig) -> dict[str, TagModelConfig]:
    """How triplets can be drawn, everything else the same."""
    return {name: replace(config, sampling=name) for name in ("random", "balanced", "balanced-weighted")}


def chance(has: Bools, category: Mapping[str, str], repeats: int = 20, seed: int = 0) -> float:
    """MAP of a random order, the mean of several."""
    rng = np.random.default_rng(seed)
    drawn = (rng.random(has.shape).astype(np.float32) for _ in range(repeats))
    return float(np.mean([tag_report(scores, has, tuple(category)).map.value for scores in drawn]))
