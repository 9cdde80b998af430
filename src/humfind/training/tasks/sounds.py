"""Sounds without labels -> a space in which a sound lies near its like (2019).

A triplet is a segment, its deformed copy or one of within ten seconds of it, and another recording's segment. Which of
the batch's negatives an anchor is pushed from is mined: one farther than the positive, but no farther than it must be
(semi-hard, Schroff et al. 2015). Validation asks held-out recordings for the original of a deformed copy: no label is
ever read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from humfind.config import MorletConfig, require_valid
from humfind.encoders.morlet import MorletNetwork, SoundModel
from humfind.index.vectors import unit
from humfind.metrics import Interval, bootstrap, ranks, reciprocal
from humfind.training.deformations import KINDS, SILENT, deform, levelled, rms
from humfind.training.loop import HistoryRow, Training, checksum_of, config_of, fit
from humfind.types import Floats, InputError, Ints

NEAR_S = 10.0  # a segment so far from the anchor, at most, is like it
TRIES = 20  # places that are tried, so that a segment is not silent
ASKED = 200  # deformed copies of a validation
HOP, MOST = 0.5, 600  # segments from one of a validation's to the next; at most so many, evenly spread


class Place(NamedTuple):
    """clip: which recording. start: of a segment, in samples."""

    clip: int
    start: int


class Triplets(NamedTuple):
    """(n, samples) float32 each, levelled. clip: the recording of each anchor; other: of each negative. said: how each
    positive was made."""

    anchors: Floats
    positives: Floats
    negatives: Floats
    clip: Ints
    other: Ints
    said: tuple[str, ...]


@dataclass(frozen=True)
class Sounds:
    """Recordings to learn from. clips: samples at ``rate_hz``, each at least a segment long."""

    clips: tuple[Floats, ...]
    config: MorletConfig

    def __post_init__(self) -> None:
        if short := [i for i, clip in enumerate(self.clips) if len(clip) < self.config.samples]:
            raise ValueError(f"clip {short[0]} is shorter than a segment")

    def segment(self, place: Place) -> Floats:
        """(samples,), levelled."""
        return levelled(self.clips[place.clip][place.start : place.start + self.config.samples])

    def draw(self, rng: np.random.Generator, within: Place | None = None, without: int = -1) -> Place:
        """Somewhere that is not silent: in any recording but ``without``, or less than ten seconds from ``within``."""
        place = within or Place(0, 0)
        for _ in range(TRIES):
            if within is None:
                clip = int(rng.integers(len(self.clips) - (without >= 0)))
                clip += clip >= without >= 0
                low, high = 0, len(self.clips[clip]) - self.config.samples
            else:
                clip, reach = within.clip, round(NEAR_S * self.config.rate_hz)
                low = max(0, within.start - reach)
                high = min(len(self.clips[clip]) - self.config.samples, within.start + reach)
            place = Place(clip, int(rng.integers(low, high + 1)))
            if rms(self.clips[clip][place.start : place.start + self.config.samples]) > SILENT:
                break
        return place

    def deformed(self, place: Place, kind: str, rng: np.random.Generator) -> tuple[Floats, str]:
        """A deformed copy of the segment there, and what was done."""
        length = self.config.samples
        other = self.segment(self.draw(rng, without=place.clip if len(self.clips) > 1 else -1))
        after = self.clips[place.clip][place.start : place.start + 2 * length]
        return deform(kind, after, length, self.config.rate_hz, other, rng)

    def triplets(self, rng: np.random.Generator) -> Triplets:
        """A batch, as the configuration asks."""
        config, rows = self.config, []
        for _ in range(config.triplets):
            anchor = self.draw(rng)
            if config.positives == "near" or (config.positives == "both" and rng.random() < 0.5):
                near = self.draw(rng, within=anchor)
                positive, said = self.segment(near), f"{(near.start - anchor.start) / config.rate_hz:+.1f} s from it"
            else:
                positive, said = self.deformed(anchor, str(rng.choice(KINDS)), rng)
            negative = self.draw(rng, without=anchor.clip)
            rows.append((self.segment(anchor), positive, self.segment(negative), anchor.clip, negative.clip, said))
        anchors, positives, negatives, clip, other, said_of = zip(*rows, strict=True)
        sounds = (np.stack(anchors), np.stack(positives), np.stack(negatives))
        return Triplets(*sounds, np.array(clip), np.array(other), said_of)


def mine(positive: Tensor, cosines: Tensor, allowed: Tensor) -> Tensor:
    """Which negative each anchor is pushed from: of those that are less similar than its positive the most similar;
    where none is, the least similar. One negative may serve several anchors.

    positive: (n,) cosines of anchors and positives. cosines: (n, m) of anchors and negatives. allowed: (n, m). -> (n,)
    columns; 0 where nothing is allowed.
    """
    nearer = cosines.masked_fill(~(allowed & (cosines < positive[:, None])), -torch.inf)
    easiest = cosines.masked_fill(~allowed, torch.inf).argmin(dim=1)
    return torch.where(nearer.isfinite().any(dim=1), nearer.argmax(dim=1), easiest)


class SoundTask:
    """learned, held_out: different recordings."""

    score = "validation_mrr"

    def __init__(self, learned: Sounds, held_out: Sounds, config: MorletConfig) -> None:
        for name in ("positives", "mining", "spacing"):
            require_valid(name, getattr(config, name))
        if len(learned.clips) < 2 or not held_out.clips:
            raise InputError("training: needs three recordings or more, to learn from and to hold out; give more")
        self.learned, self.held_out, self.model_config = learned, held_out, config
        self.module: nn.Module = SoundModel.untrained(config).network
        self.copies = Copies.of(held_out, config.train.seed)

    @property
    def config(self) -> Mapping[str, Any]:
        return config_of(self.model_config)

    @property
    def data_checksum(self) -> str:
        return checksum_of((*self.learned.clips, *self.held_out.clips))

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """sounds (3, B, samples): anchors, positives, negatives; allowed (B, B): which negative is of another recording
        than which anchor."""
        drawn = self.learned.triplets(np.random.default_rng([self.model_config.train.seed, step]))
        sounds = np.stack([drawn.anchors, drawn.positives, drawn.negatives])
        return torch.from_numpy(sounds), torch.from_numpy(drawn.clip[:, None] != drawn.other[None])

    def loss(self, batch: tuple[Tensor, ...]) -> Tensor:
        sounds, allowed = batch
        anchors, positives, negatives = self.module(sounds.flatten(0, 1)).unflatten(0, sounds.shape[:2])
        near, cosines = (anchors * positives).sum(dim=1), anchors @ negatives.T
        if self.model_config.mining == "semihard":
            chosen = mine(near.detach(), cosines.detach(), allowed)
            far = cosines.gather(1, chosen[:, None])[:, 0]
        else:
            far = cosines.diagonal()
        return (self.model_config.margin - near + far).clamp_min(0).mean()

    def validate(self) -> dict[str, float]:
        found = self.copies.found(self.model().embed).overall
        return {"validation_mrr": found.value, "low": found.low, "high": found.high}

    def save(self, path: Path, facts: Mapping[str, Any]) -> None:
        clips = {"learned": len(self.learned.clips), "held out": len(self.held_out.clips)}
        self.model({**facts, "recordings": clips}).save(path)

    def model(self, facts: Mapping[str, Any] | None = None) -> SoundModel:
        """What has been learned so far."""
        network: Any = self.module
        if not isinstance(network, MorletNetwork):
            raise TypeError(f"{type(network).__name__} is no MorletNetwork")
        return SoundModel(self.model_config, network, facts or {})


class CopyReport(NamedTuple):
    """MRR@10 of the originals of deformed copies: of all, and of each kind."""

    overall: Interval
    by_kind: Mapping[str, Interval]
    segments: int


@dataclass(frozen=True)
class Copies:
    """Segments, evenly spaced, of which some are asked for by a deformed copy. kind: of each copy; right: the row of
    its original."""

    segments: Floats
    copies: Floats
    kind: tuple[str, ...]
    right: Ints

    @classmethod
    def of(cls, sounds: Sounds, seed: int, count: int = ASKED) -> Copies:
        """``count`` copies, of each kind in turn."""
        hop = round(HOP * sounds.config.samples)
        every = [
            Place(clip, start)
            for clip, samples in enumerate(sounds.clips)
            for start in range(0, len(samples) - sounds.config.samples + 1, hop)
        ]
        audible = [place for place in every if rms(sounds.segment(place)) > SILENT]
        if not audible:
            raise InputError("training: the recordings that are held out are silent; give others")
        audible = [audible[row] for row in np.unique(np.linspace(0, len(audible) - 1, MOST).astype(int))]
        rng = np.random.default_rng([seed, 1])
        right = rng.permutation(len(audible))[: min(count, len(audible))]
        kinds = [KINDS[i % len(KINDS)] for i in range(len(right))]
        made = [sounds.deformed(audible[row], kind, rng)[0] for row, kind in zip(right, kinds, strict=True)]
        return cls(np.stack([sounds.segment(one) for one in audible]), np.stack(made), tuple(kinds), right)

    def found(self, embed: Callable[[Floats], Floats]) -> CopyReport:
        """embed: segments (n, samples) -> (n, d) vectors, of which cosines count."""
        every, asked = (unit(embed(one)) for one in (self.segments, self.copies))
        order = np.argsort(-(asked @ every.T), axis=1, kind="stable")[:, :10]
        names = [str(i) for i in range(len(order))]
        answers = {name: [str(row) for row in rows] for name, rows in zip(names, order, strict=True)}
        score = reciprocal(ranks(answers, {name: str(row) for name, row in zip(names, self.right, strict=True)}))
        of = {kind: [i for i, one in enumerate(self.kind) if one == kind] for kind in dict.fromkeys(self.kind)}
        return CopyReport(bootstrap(score), {kind: bootstrap(score[rows]) for kind, rows in of.items()}, len(every))


def train_sounds(
    clips: Sequence[Floats],
    held_out: Sequence[Floats],
    config: MorletConfig,
    out: Path,
    resume: bool = True,
    on_validation: Callable[[HistoryRow], None] | None = None,
) -> tuple[Training, SoundModel]:
    """Train on recordings at ``config.rate_hz``, and keep the step that finds most copies among ``held_out``. resume,
    on_validation: as of ``fit``. Raises InputError where there are too few recordings, and as ``fit`` does."""
    task = SoundTask(Sounds(tuple(clips), config), Sounds(tuple(held_out), config), config)
    done = fit(task, config.train, out, resume, on_validation)
    return done, SoundModel.load(done.checkpoint)
