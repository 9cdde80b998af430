"""Notebook 03: the configuration from its parameters, and the two experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import numpy as np

from humfind.config import PRESETS, AugmentConfig, ModelConfig, TrainConfig, to_dict
from humfind.data.zalo import KINDS
from humfind.encoders.checkpoint import Model
from humfind.index import Song
from humfind.retrieval.query import make_queries
from humfind.retrieval.search import build_index
from humfind.training.dataset import Example, batch, make_bank
from humfind.training.margin import margin_experiment as margin_rows
from humfind.training.tasks.hums import TrainResult, train
from humfind.types import InputError

if TYPE_CHECKING:
    from humfind.notebooks.run import Run

AUGMENTATIONS = {
    "tempo": "faster or slower",
    "warp": "a pace that drifts",
    "detune": "a pitch that drifts",
    "note_error": "wrong notes",
    "octave_error": "octave slips",
    "mask": "a span of silence",
    "jitter": "noise",
    "mirror": "upside down, backwards",
    "voicing": "voicing not told",
}  # fields of AugmentConfig, as they are called in the figure


def model_config(preset: str, features: str = ModelConfig.features, **train_values: Any) -> ModelConfig:
    """The preset, with each value that is not config.py's default put in its place."""
    if preset not in PRESETS:
        raise InputError(f"preset {preset}: unknown; choose one of {', '.join(PRESETS)}")
    config, default = PRESETS[preset], TrainConfig()
    changed = {name: value for name, value in train_values.items() if value != getattr(default, name)}
    return replace(config, features=features, train=replace(config.train, **changed))


def training_facts(result: TrainResult, config: ModelConfig) -> dict[str, Any]:
    """What the run's summary keeps of a training."""
    best = max(result.history, key=lambda row: row["validation_mrr"])
    return {
        "best_step": result.best_step,
        "validation_mrr": {name: round(best[name], 4) for name in ("validation_mrr", "low", "high")},
        "seconds": round(result.seconds, 1),
        "songs": {"train": len(result.train_ids), "validation": len(result.validation_ids)},
        "hums": {"train": result.train_hums, "validation": result.validation_hums},
        "config": to_dict(config),
    }


def pair_distances(run: Run, result: TrainResult) -> tuple[np.ndarray, np.ndarray]:
    """The smallest window distance of each validation hum to its own song, and to each other song."""
    model = Model.load(result.checkpoint)
    held_out = [t for t in run.examples(model.config.features) if t.music_id in set(result.validation_ids)]
    index = build_index([(Song(one.music_id), one.source) for one in held_out if one.kind == "song"], model)
    matching, other = [], []
    hums = [example for example in held_out if example.kind == "hum"]
    queries = make_queries(((hum.name, hum.source) for hum in hums), model)
    for example, query in zip(hums, queries, strict=True):
        distance, rows = index.nearest(query.embeddings.vectors, len(index.recording))
        nearest = np.full(len(index.music_ids), np.inf)
        np.minimum.at(nearest, index.window_song[rows].ravel(), distance.ravel())
        own = np.array(index.music_ids) == example.music_id
        matching.append(nearest[own])
        other.append(nearest[~own])
    return np.concatenate(matching), np.concatenate(other)


def augmentations(run: Run, config: ModelConfig) -> tuple[list[tuple[str, np.ndarray, np.ndarray]], float, str]:
    """The arguments of ``plots.training.augmentations``: the crops of the first batch, each augmentation alone. Shown
    is the crop that it changes most, of the half whose lines move least, which an eye can follow."""
    default, seen = config.train.augment, replace(config, features="f0")
    bank = make_bank(run.examples("f0"), seen)

    def crops(**on: float) -> np.ndarray:
        augment = replace(AugmentConfig(**dict.fromkeys(AUGMENTATIONS, 0.0)), crop_spread=default.crop_spread, **on)
        return batch(bank, replace(seen, train=replace(seen.train, augment=augment)), 0)[0]

    plain, panels = crops(), []
    moves = np.abs(np.diff(plain[:, 0])).sum(axis=1)
    calm = np.argsort(moves, kind="stable")[: max(1, len(moves) // 2)]
    for name, title in AUGMENTATIONS.items():
        if strength := getattr(default, name):
            damaged = crops(**{name: strength})
            row = int(calm[np.argmax(np.abs(damaged - plain)[calm].mean(axis=(1, 2)))])
            panels.append((f"{title} ({name} {strength:g})", plain[row], damaged[row]))
    claim = f"{len(panels)} ways in which a crop differs each time it is seen"
    return panels, config.contour.frame_s, claim


def margin_experiment(examples: Sequence[Example], config: ModelConfig, steps: int) -> Any:
    """Six short trainings with a triplet loss, as a table; empty where ``steps`` is 0."""
    import pandas as pd

    return pd.DataFrame([asdict(row) for row in margin_rows(examples, config, steps=steps)] if steps else [])


def margin_claim(table: Any) -> str:
    """What the experiment says, in a line, from its own numbers."""
    on_sphere = table[table.normalise].sort_values("margin")
    easy, hard = on_sphere.iloc[0], on_sphere.iloc[-1]
    return (
        f"On the unit sphere {easy.satisfied:.0%} of triplets meet margin {easy.margin:g}, "
        f"{hard.satisfied:.0%} meet margin {hard.margin:g}"
    )


def features_experiment(run: Run, config: ModelConfig, steps: int) -> dict[str, tuple[dict[str, Any], ...]]:
    """Validation history of the same network on f0 and on spectrograms; empty where ``steps`` is 0 or audio lacks."""
    if not steps or not all(item.audio for kind in KINDS for item in run.items("train", kind)):
        return {}
    histories = {}
    for features in ("f0", "spectrogram"):
        short = replace(config.train, steps=steps, validate_every=max(1, steps // 4))
        asked = replace(config, features=features, train=short)
        with TemporaryDirectory() as folder:
            result = train(run.examples(features), asked, Path(folder))
        histories[features] = result.history
    return histories


def control_claim(histories: Mapping[str, Sequence[Mapping[str, Any]]]) -> tuple[str, str]:
    """Claim and caption, from the numbers."""
    last = {name: rows[-1] for name, rows in histories.items()}
    f0, spectrogram = last["f0"], last["spectrogram"]
    claim = (
        f"After {f0['step']} steps: f0 {f0['validation_mrr']:.2f}, spectrogram {spectrogram['validation_mrr']:.2f} "
        "validation MRR@10"
    )
    apart = f0["low"] > spectrogram["high"] or spectrogram["low"] > f0["high"]
    verdict = "The intervals do not overlap." if apart else "The intervals overlap: this run alone does not settle it."
    return claim, f"Same network, songs and steps; only the first layer's channels differ. {verdict}"
