"""Why normalised embeddings with margin 1.0 or 2.0 "never work": the 2021 author's open question, by experiment.

Vectors of length 1 lie at most 2 apart, and many songs cannot all lie far apart: the mean squared distance
between n unit vectors is at most 2n / (n - 1), so the mean distance between songs is at most about 1.41,
whatever the network does. A triplet is satisfied when ``negative >= positive + margin``. With margin 0.2
there is room. With margin 1.0, every matching pair would have to lie within 0.41 (a cosine above 0.91) before
the average triplet is left alone. With margin 2.0 no triplet can ever be satisfied but between antipodes: the
loss cannot fall below 2 - 1.41 = 0.59, every triplet pulls at every step, easy and hard ones alike, and the
miner has nothing to choose. Without normalisation the network grows until any margin fits: the margin only
sets a unit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from humfind.config import AugmentConfig, ModelConfig
from humfind.encoders.checkpoint import Model
from humfind.training.dataset import Example, batch, make_bank
from humfind.training.tasks.hums import train
from humfind.types import Bools, Floats, Ints

LAST_STEPS = 10  # over which the final loss is averaged
MOST_SONGS = 24  # a batch


@dataclass(frozen=True)
class MarginRow:
    """One training. loss: at the end. Of held-out songs: share of triplets satisfied, mean distances."""

    normalise: bool
    margin: float
    loss: float
    satisfied: float
    positive: float
    negative: float
    mrr: float
    low: float
    high: float


def margin_experiment(
    recordings: Sequence[Example],
    base: ModelConfig,
    margins: Sequence[float] = (0.2, 1.0, 2.0),
    normalise: Sequence[bool] = (True, False),
    steps: int = 70,
) -> list[MarginRow]:
    """Train ``base`` with a triplet loss once for each pair of choices, all else equal.

    Batches are small (at most 24 songs x 2), so that six trainings fit into a minute on two cores.
    """
    rows = []
    for unit in normalise:
        for margin in margins:
            config = replace(
                base,
                encoder=replace(base.encoder, normalise=unit),
                train=replace(
                    base.train,
                    loss="triplet",
                    margin=margin,
                    songs_per_batch=min(base.train.songs_per_batch, MOST_SONGS),
                    recordings_per_song=2,
                    steps=steps,
                    validate_every=steps,
                ),
            )
            rows.append(_row(recordings, config))
    return rows


def triplet_margins(distance: Floats, song: Ints) -> tuple[Floats, Floats, Floats]:
    """All pairs and triplets of a batch: distances of matching pairs (p,), of others (q,), and of each
    triplet negative minus positive (t,). distance: (n, n). song: (n,).
    """
    same: Bools = song[:, None] == song[None, :]
    matching = same & ~np.eye(len(song), dtype=bool)
    gaps = [(distance[i, ~same[i]][None, :] - distance[i, matching[i]][:, None]).ravel() for i in range(len(song))]
    return distance[matching], distance[~same], np.concatenate(gaps)


def _row(recordings: Sequence[Example], config: ModelConfig) -> MarginRow:
    with TemporaryDirectory() as folder:
        result = train(recordings, config, Path(folder))
        model = Model.load(result.checkpoint)
    held_out = [take for take in recordings if take.music_id in set(result.validation_ids)]
    off = AugmentConfig(0, 0, 0, 0, 0, 0, 0, config.train.augment.crop_spread, mirror=0)
    bank = make_bank(held_out, config)
    values, song = batch(bank, replace(config, train=replace(config.train, augment=off)), step=0)
    with torch.inference_mode():
        vectors = model.network(torch.from_numpy(values))
        distance = torch.cdist(vectors, vectors, compute_mode="donot_use_mm_for_euclid_dist").numpy()
    positive, negative, gap = triplet_margins(distance, song)
    last = result.history[-1]
    return MarginRow(
        normalise=config.encoder.normalise,
        margin=config.train.margin,
        loss=float(np.mean(result.losses[-LAST_STEPS:])),
        satisfied=float(np.mean(gap >= config.train.margin)),
        positive=float(positive.mean()),
        negative=float(negative.mean()),
        mrr=last["validation_mrr"],
        low=last["low"],
        high=last["high"],
    )
