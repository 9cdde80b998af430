"""Recordings split, networks trained on their sound alone, and who finds what by labels that no training saw."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from humfind.audio.load import resample, stream
from humfind.audio.mel import compressed_mel
from humfind.config import MorletConfig
from humfind.data.importers.labelled_sounds import LABEL, LabelledSounds
from humfind.encoders import musicnn
from humfind.encoders.morlet import SoundModel
from humfind.encoders.sound import BATCH, Segment, SoundEncoder
from humfind.index.vectors import unit
from humfind.metrics import Interval, SetReport, bootstrap, set_report
from humfind.retrieval.sound import segments as segments_of
from humfind.runtime.cores import cores
from humfind.training.deformations import SILENT, levelled, rms
from humfind.training.loop import Training
from humfind.training.tasks.sounds import Copies, CopyReport, Sounds, train_sounds
from humfind.types import Floats, InputError, Ints, Recording

LONGEST_S = 60.0  # that is read of a recording
SHARES = {"learned": 0.6, "held out": 0.1, "asked": 0.3}
PRECISION_AT, NEIGHBOURS = 5, 5
FEWEST = 2  # recordings of a label, so that one asks for the other
MEL = (512, 128, 40)  # of the statistics: FFT and hop in samples, bands
Embed = Callable[[Floats], Floats]  # segments (n, samples) -> (n, d)


class Way(NamedTuple):
    """One way to know sounds. segments: as they are cut here. clips: recordings -> (n, d) of length 1."""

    segments: Embed
    clips: Callable[[Sequence[Floats]], Floats]


@dataclass(frozen=True)
class Material:
    """clips: of each recording, at ``config.rate_hz``. labels: by column, never read by a training. part: of each
    recording, one of ``SHARES``."""

    clips: tuple[Floats, ...]
    labels: Mapping[str, tuple[str, ...]]
    files: tuple[Path, ...]
    part: tuple[str, ...]
    config: MorletConfig

    def rows(self, part: str) -> Ints:
        return np.array([row for row, one in enumerate(self.part) if one == part], np.int64)

    def take(self, part: str) -> tuple[Floats, ...]:
        """The recordings of a part."""
        return tuple(self.clips[row] for row in self.rows(part))

    def label(self, part: str, column: str = LABEL) -> tuple[str, ...]:
        return tuple(self.labels[column][row] for row in self.rows(part))


def material(sounds: LabelledSounds, config: MorletConfig, seed: int = 0) -> Material:
    """Recordings of a folder, split at random. Raises InputError where there are fewer than ten, or one cannot be
    read."""
    count = len(sounds.files)
    if count < 10:
        raise InputError(f"{count} recordings: too few to learn from, to hold out and to ask; give ten or more")
    order = np.random.default_rng([seed, 2]).permutation(count)
    edges = np.round(np.cumsum(list(SHARES.values())) * count).astype(int)
    part = np.empty(count, object)
    for name, first, last in zip(SHARES, [0, *edges], edges, strict=False):
        part[order[first:last]] = name
    clips = tuple(beginning(file, config.rate_hz, config.samples) for file in sounds.files)
    return Material(clips, sounds.labels, sounds.files, tuple(part.tolist()), config)


def beginning(file: Path, rate_hz: int, least: int, longest_s: float = LONGEST_S) -> Floats:
    """The first minute of a recording, at ``rate_hz``; what is shorter than ``least`` samples is repeated. Raises
    InputError where it cannot be read."""
    parts: list[Floats] = []
    wanted, count = round(longest_s * rate_hz), 0
    for block in stream(file, rate_hz):
        parts.append(block[: wanted - count])
        count += len(parts[-1])
        if count >= wanted:
            break
    samples = np.concatenate(parts)
    return samples if count >= least else np.tile(samples, -(-least // max(1, count)))[:least]


def train(given: Material, config: MorletConfig, folder: Path, resume: bool = True) -> tuple[Training, SoundModel]:
    """On the sound of the recordings to learn from; the step is chosen on those held out."""
    return train_sounds(given.take("learned"), given.take("held out"), config, folder, resume)


# --- what a segment is known by


def segments(clip: Floats, config: MorletConfig, hop: float = 1.0) -> Floats:
    """(n, samples), levelled, ``hop`` segments from one to the next; silent ones are left out, unless all are."""
    starts = range(0, len(clip) - config.samples + 1, max(1, round(hop * config.samples)))
    every = [clip[start : start + config.samples] for start in starts]
    return np.stack([levelled(one) for one in every if rms(one) > SILENT] or [every[0]])


def mel_statistics(given: Material) -> Embed:
    """The floor: mean and deviation over a segment of 40 log-mel bands, each scaled as among the learned recordings."""

    def raw(many: Floats) -> Floats:
        fft, hop, bands = MEL
        mels = [np.log10(compressed_mel(one, given.config.rate_hz, fft, hop, bands) + 1e-4) for one in many]
        return np.stack([np.concatenate([mel.mean(axis=0), mel.std(axis=0)]) for mel in mels])

    known = raw(np.concatenate([segments(clip, given.config, 2.0) for clip in given.take("learned")]))
    mean, spread = known.mean(axis=0), known.std(axis=0) + 1e-6

    def embed(many: Floats) -> Floats:
        scaled: Floats = (raw(many) - mean) / spread
        return scaled

    return embed


def frozen(encoder: SoundEncoder, rate_hz: int) -> Way:
    """musicnn's networks, which learned the tags of other music. They read three seconds: so much of a recording at a
    time, and a segment repeated until it fills them."""

    def heard(samples: Floats) -> list[Segment]:
        return list(segments_of(iter([resample(Recording(samples, rate_hz), musicnn.RATE_HZ).samples])))

    def vectors(many: Sequence[Segment]) -> Floats:
        batches = [many[at : at + BATCH] for at in range(0, len(many), BATCH)]
        with ThreadPoolExecutor(cores(), initializer=lambda: torch.set_num_threads(1)) as pool:
            return np.concatenate([found.vectors for found in pool.map(encoder.embed, batches)])

    def clips(many: Sequence[Floats]) -> Floats:
        parts = [heard(one) for one in many]
        found = unit(vectors([segment for part in parts for segment in part]))
        ends = np.cumsum([len(part) for part in parts])[:-1]
        return unit(np.stack([part.mean(axis=0) for part in np.split(found, ends)]))

    return Way(lambda many: vectors([heard(one)[0] for one in many]), clips)


def by_segments(embed: Embed, config: MorletConfig) -> Way:
    """Recordings are known by the mean of their segments."""
    return Way(embed, lambda clips: of_clips(clips, embed, config))


def of_clips(clips: Sequence[Floats], embed: Embed, config: MorletConfig) -> Floats:
    """(n, d) of length 1: the mean of each recording's segments."""
    cut = [segments(clip, config) for clip in clips]
    vectors = unit(embed(np.concatenate(cut)))
    ends = np.cumsum([len(one) for one in cut])[:-1]
    return unit(np.stack([part.mean(axis=0) for part in np.split(vectors, ends)]))


# --- who finds what


@dataclass(frozen=True)
class Found:
    """vectors: (n, d), of the recordings that are asked. same: those with the label of the one asked, among all.
    average_precision: of each of those. copies: originals of deformed copies."""

    vectors: Floats
    same: SetReport
    average_precision: Floats
    copies: CopyReport

    def gain(self, other: Found) -> Interval:
        """How much better than another on the same queries: the mean difference of their average precisions."""
        return bootstrap(self.average_precision.astype(np.float64) - other.average_precision)


def judge(given: Material, way: Way, column: str = LABEL) -> Found:
    """One way to know sounds, on recordings that no training saw. Raises InputError where no label has two of
    them."""
    vectors = way.clips(given.take("asked"))
    same, precision = same_label(vectors, given.label("asked", column))
    copies = Copies.of(Sounds(given.take("asked"), given.config), given.config.train.seed).found(way.segments)
    return Found(vectors, same, precision, copies)


def same_label(vectors: Floats, labels: Sequence[str]) -> tuple[SetReport, Floats]:
    """Each recording of a label that two have or more asks for the others of it, among all; and the average precision
    of each. Raises InputError where there is none."""
    count = {label: labels.count(label) for label in dict.fromkeys(labels)}
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :-1]
    ranked, right, precision = {}, {}, []
    for row, label in enumerate(labels):
        if count[label] >= FEWEST:
            ranked[str(row)] = [str(i) for i in order[row]]
            right[str(row)] = {str(i) for i, one in enumerate(labels) if one == label and i != row}
            places = np.flatnonzero([labels[i] == label for i in order[row].tolist()]) + 1
            precision.append(float(np.mean(np.arange(1, len(places) + 1) / places)))
    if not ranked:
        raise InputError("recordings: of no label are two asked; give more of each")
    return set_report(ranked, right, len(labels), PRECISION_AT), np.array(precision, np.float32)


def chance(labels: Sequence[str], repeats: int = 20, seed: int = 0) -> float:
    """MAP of ``same_label`` for vectors that say nothing."""
    rng = np.random.default_rng(seed)
    drawn = (unit(rng.standard_normal((len(labels), 16)).astype(np.float32)) for _ in range(repeats))
    return float(np.mean([same_label(one, labels)[0].map.value for one in drawn]))


def ways(given: Material, model: SoundModel) -> dict[str, Way]:
    """What a sound can be known by."""
    untrained = SoundModel.untrained(model.config)
    return {
        "learned without labels": by_segments(model.embed, model.config),
        "the same, untrained": by_segments(untrained.embed, model.config),
        "musicnn, frozen": frozen(SoundEncoder(), given.config.rate_hz),
        "mel statistics": by_segments(mel_statistics(given), model.config),
    }


def variants(config: MorletConfig) -> dict[str, MorletConfig]:
    """What the training can do without, everything else the same."""
    return {
        "as it is": config,
        "negatives at random": replace(config, mining="random"),
        "deformed copies alone": replace(config, positives="deformed"),
        "near in time alone": replace(config, positives="near"),
        "centres by mel": replace(config, spacing="mel"),
        "bank learned, too": replace(config, learnable=True),
    }


# --- the author's questions


def arithmetic(vectors: Floats, labels: Sequence[str]) -> dict[str, Floats]:
    """Does piano + violin find their duet? Of each duet ``a+b`` whose instruments both have a recording of their own:
    the reciprocal rank of the first duet of the two among all recordings but those two, asked by the sum of a solo of
    each, by each alone, and what a random order would give."""
    solo: dict[str, list[int]] = {}
    for row, label in enumerate(labels):
        if "+" not in label:
            solo.setdefault(label, []).append(row)
    found: dict[str, list[float]] = {"both, added": [], "one alone": [], "random order": []}
    for label in dict.fromkeys(one for one in labels if one.count("+") == 1):
        first, second = label.split("+")
        if first not in solo or second not in solo:
            continue
        a, b = vectors[solo[first][0]], vectors[solo[second][0]]
        asked = {"both, added": [a + b], "one alone": [a, b]}
        for name, queries in asked.items():
            score = [_first(vectors, query, labels, label, {solo[first][0], solo[second][0]}) for query in queries]
            found[name].append(float(np.mean(score)))
        found["random order"].append(_first_by_chance(labels.count(label), len(labels) - 2))
    return {name: np.array(values, np.float32) for name, values in found.items()}


def _first(vectors: Floats, query: Floats, labels: Sequence[str], wanted: str, without: set[int]) -> float:
    order = [row for row in np.argsort(-(vectors @ query), kind="stable").tolist() if row not in without]
    return 1 / (1 + next(place for place, row in enumerate(order) if labels[row] == wanted))


def _first_by_chance(right: int, among: int) -> float:
    """The mean reciprocal rank of the first of ``right`` recordings in a random order of ``among``."""
    found, none_before = 0.0, 1.0
    for rank in range(1, among - right + 2):
        here = right / (among - rank + 1)
        found += none_before * here / rank
        none_before *= 1 - here
    return found


def named_by_neighbours(
    known: Floats, known_labels: Sequence[str], asked: Floats, labels: Sequence[str], k: int = NEIGHBOURS
) -> Interval:
    """The share of recordings whose label is that of most of their ``k`` nearest with a label, of equals the nearest;
    asked are those whose label is known at all."""
    right = []
    for row in np.flatnonzero([label in set(known_labels) for label in labels]).tolist():
        near = [known_labels[i] for i in np.argsort(-(known @ asked[row]), kind="stable")[:k].tolist()]
        right.append(max(near, key=lambda name: (near.count(name), -near.index(name))) == labels[row])
    if not right:
        raise InputError("recordings: no label that is asked is known; give more of each")
    return bootstrap(np.array(right, np.float64))
