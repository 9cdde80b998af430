"""Tags and tracks -> a space in which a track lies near its tags (Won et al. 2020).

Tracks are split, tags are not: each is learned and asked. Validation ranks the tracks that were held out by every tag.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from humfind.config import TagModelConfig
from humfind.encoders.tag_model import TagModel, TagNetwork
from humfind.metrics import SetReport, set_report
from humfind.training import tag_sampler
from humfind.training.loop import HistoryRow, Training, checksum_of, config_of, fit
from humfind.types import Bools, Floats, InputError, Ints

PRECISION_AT = 10


@dataclass(frozen=True)
class TaggedTracks:
    """What the towers read. has: (tracks, tags). word_vectors: (tags, d). sound: (tracks, d) or (tracks, chunks,
    frames, bands). culture: (tracks, d). category: of each tag, in their order."""

    has: Bools
    category: Mapping[str, str]
    word_vectors: Floats
    sound: Floats
    culture: Floats

    @property
    def sizes(self) -> dict[str, int]:
        """As ``TagNetwork`` wants them."""
        sound = self.sound.shape[1] if self.sound.ndim == 2 else 0
        return {"word": self.word_vectors.shape[1], "sound": sound, "culture": self.culture.shape[1]}

    def take(self, rows: Ints) -> TaggedTracks:
        """These tracks alone."""
        return replace(self, has=self.has[rows], sound=self.sound[rows], culture=self.culture[rows])


class TagTask:
    """learned, held_out: different tracks with the same tags."""

    score = "validation_map"

    def __init__(self, learned: TaggedTracks, held_out: TaggedTracks, config: TagModelConfig) -> None:
        self.learned, self.held_out, self.model_config = learned, held_out, config
        count = learned.has.sum(axis=0)
        if ((count == 0) | (count == len(learned.has))).any():
            tag = tuple(learned.category)[int(np.flatnonzero((count == 0) | (count == len(learned.has)))[0])]
            raise InputError(f"training: all tracks have tag {tag}, or none; it cannot be learned: leave it out")
        with torch.random.fork_rng():
            torch.manual_seed(config.train.seed)
            self.module: nn.Module = TagNetwork(config, learned.sizes)

    @property
    def config(self) -> Mapping[str, Any]:
        return config_of(self.model_config)

    @property
    def data_checksum(self) -> str:
        parts = (self.learned, self.held_out)
        return checksum_of([one for part in parts for one in (part.has, part.word_vectors, part.sound, part.culture)])

    def batch(self, step: int) -> tuple[Tensor, ...]:
        """words (B, d); sound and culture of the tracks that have the tag, then of those that have not; allowed (B, B):
        which track of the batch has not which anchor's tag."""
        config = self.model_config
        rng = np.random.default_rng([config.train.seed, step])
        anchor, positive, negative = tag_sampler.draw(self.learned.has, config.sampling, config.triplets, rng)
        rows = positive if config.sampling == "balanced-weighted" else np.concatenate([positive, negative])
        allowed = ~self.learned.has[positive][:, anchor].T
        values = (self.learned.word_vectors[anchor], self._sound(rows, rng), self.learned.culture[rows], allowed)
        return tuple(torch.from_numpy(np.ascontiguousarray(one)) for one in values)

    def _sound(self, rows: Ints, rng: np.random.Generator) -> Floats:
        """One chunk of each track, in training."""
        sound: Floats = self.learned.sound
        if sound.ndim == 2:
            return sound[rows]
        return sound[rows, rng.integers(sound.shape[1], size=len(rows))][:, None]

    def loss(self, batch: tuple[Tensor, ...]) -> Tensor:
        words, sound, culture, allowed = batch
        network: Any = self.module
        tags, songs = network.words(words), network.songs(sound, culture)
        near = (tags * songs[: len(tags)]).sum(dim=1)
        if self.model_config.sampling == "balanced-weighted":
            cosines = tags @ songs.T
            weights = tag_sampler.negative_weights(cosines.detach(), allowed)
            some = weights.sum(dim=1) > 0
            if not some.any():
                return cosines.sum() * 0
            drawn = torch.multinomial(weights[some], 1)
            near, far = near[some], cosines[some].gather(1, drawn)[:, 0]
        else:
            far = (tags * songs[len(tags) :]).sum(dim=1)
        return (self.model_config.margin - near + far).clamp_min(0).mean()

    def validate(self) -> dict[str, float]:
        found = tag_report(scores_of(self.model(), self.held_out), self.held_out.has, tuple(self.learned.category)).map
        return {"validation_map": found.value, "low": found.low, "high": found.high}

    def save(self, path: Path, facts: Mapping[str, Any]) -> None:
        self.model({**facts, "tracks": {"learned": len(self.learned.has), "held out": len(self.held_out.has)}}).save(
            path
        )

    def model(self, facts: Mapping[str, Any] | None = None) -> TagModel:
        """What has been learned so far."""
        network: Any = self.module
        one = self.learned
        return TagModel(self.model_config, network, one.category, one.word_vectors, one.sizes, facts or {})


def scores_of(model: TagModel, tracks: TaggedTracks) -> Floats:
    """(tracks, tags): cosines."""
    return model.scores(model.embed_songs(tracks.sound, tracks.culture))


def tag_report(scores: Floats, has: Bools, tags: tuple[str, ...]) -> SetReport:
    """Tracks ranked by each tag that some of them have: MAP over tags, precision@10 and the others. scores, has:
    (tracks, tags)."""
    ranked, right = {}, {}
    for column, tag in enumerate(tags):
        if has[:, column].any():
            ranked[tag] = [str(row) for row in np.argsort(-scores[:, column], kind="stable")]
            right[tag] = {str(row) for row in np.flatnonzero(has[:, column])}
    return set_report(ranked, right, len(has), PRECISION_AT)


def average_precisions(scores: Floats, has: Bools) -> Floats:
    """Of each tag that some track has, in order: to compare two models tag by tag. scores, has: (tracks, tags)."""
    found = []
    for column in np.flatnonzero(has.any(axis=0)):
        order = np.argsort(-scores[:, column], kind="stable")
        right = np.flatnonzero(has[order, column]) + 1
        found.append(np.mean(np.arange(1, len(right) + 1) / right))
    return np.array(found, np.float32)


def train_tags(
    learned: TaggedTracks,
    held_out: TaggedTracks,
    config: TagModelConfig,
    out: Path,
    resume: bool = True,
    on_validation: Callable[[HistoryRow], None] | None = None,
) -> tuple[Training, TagModel]:
    """Train, and keep the step with the best MAP on ``held_out``. resume, on_validation: as of ``fit``. Raises
    InputError for a tag that all tracks have or none, and as ``fit`` does."""
    done = fit(TagTask(learned, held_out, config), config.train, out, resume, on_validation)
    return done, TagModel.load(done.checkpoint)
