"""The questions of 2021, each a few short trainings that differ in one thing.

    python -m benchmarks.accuracy.experiments --out runs/experiments [--steps 200] [--questions NAME ...]

Tunes of music21's O'Neill, Aird and Ryan books: 600 to learn from, 300 others to find, by 150 simulated hums of
8 to 14 s of those. A row a variant: MRR@10 of the nearest window (of ``vote`` where K is the question), so that no
alignment hides what the encoder does, with its bootstrap 95 % interval and the paired difference to the base. A
variant that OUT holds is not trained again. Writes OUT/experiments.md and a picture a question.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.accuracy.rankers import table
from humfind import metrics
from humfind.config import ContourConfig, ModelConfig, RankConfig
from humfind.data.tunebooks import read_books
from humfind.encoders.checkpoint import Model
from humfind.index import Index, Song
from humfind.plots.training import variants
from humfind.rankers import make_ranker
from humfind.retrieval import search
from humfind.runtime.files import atomic_write_json, read_json
from humfind.synth.hum import perform
from humfind.synth.melody import Notes, from_lengths, pitch_line, sung_tempo, timed
from humfind.training.dataset import Example
from humfind.training.pretrain import CONFIG, HUMMER, NOTES_PER_S, examples_of, sure
from humfind.training.tasks.hums import train
from humfind.types import F0, Ints

LEARNED, SEARCHED, HUMS = 600, 300, 150
HUM_S = (8.0, 14.0)
BASE = "base"
# What the questions are asked of: the shipped recipe, but NT-Xent, and every window tells where is singing
RECIPE = replace(
    CONFIG,
    contour=replace(CONFIG.contour, query_hop_s=1.0),
    train=replace(CONFIG.train, loss="ntxent", songs_per_batch=64, augment=replace(CONFIG.train.augment, voicing=0.0)),
)
Change = dict[str, dict[str, Any]]  # stage -> settings; rank: of the search
HIDDEN: Change = {"augment": {"voicing": 0.5}}


@dataclass(frozen=True)
class Question:
    """asked: the picture's title. variants: label -> what it changes. trained: False where the base's weights serve."""

    asked: str
    variants: dict[str, Change]
    trained: bool = True


def _losses() -> dict[str, Change]:
    found: dict[str, Change] = {"multisimilarity": {"train": {"loss": "multisimilarity"}}}
    for margin in (0.1, 0.2, 0.5, 1.0, 2.0):
        found[f"triplet, margin {margin:g}, unit length"] = {
            "train": {"loss": "triplet", "margin": margin, "miner": "semihard"}
        }
    for margin in (0.5, 2.0):
        found[f"triplet, margin {margin:g}, any length"] = {
            "train": {"loss": "triplet", "margin": margin, "miner": "semihard"},
            "encoder": {"normalise": False},
        }
    found["triplet, margin 0.2, hardest"] = {"train": {"loss": "triplet", "miner": "hard"}}
    return found


def _without() -> dict[str, Change]:
    parts = {name: 0.0 for name, value in asdict(RECIPE.train.augment).items() if value and name != "crop_spread"}
    return {f"without {name}": {"augment": {name: 0.0}} for name in parts} | {
        "without any": {"augment": parts},
        "crops begin anywhere": {"augment": {"crop_spread": 1.0}},
    }


QUESTIONS = {
    "window": Question(
        "How long a window should the encoder hear?",
        {f"{s} s": {"contour": {"window_s": float(s)}} for s in (2, 4, 12)},
    ),
    "loss": Question("Which loss, which margin, on the sphere or off it?", _losses()),
    "augmentation": Question("What is each augmentation worth?", _without()),
    "contour": Question(
        "What should the encoder be told?",
        {
            "key not removed": {"contour": {"key": "none"}},
            "no voicing channel": {"contour": {"voicing_channel": False}},
            "voicing hidden in half": HIDDEN,
            "hidden, multisimilarity": HIDDEN | {"train": {"loss": "multisimilarity"}},
            "one average over time": {"encoder": {"segments": 1}},
        },
    ),
    "hop": Question(
        "How far apart may windows be?",
        {
            f"song {a:g} s, hum {b:g} s": {"contour": {"song_hop_s": a, "query_hop_s": b}}
            for a, b in ((0.5, 1.0), (2.0, 1.0), (4.0, 1.0), (1.0, 4.0))
        },
        trained=False,
    ),
    "tempo": Question(
        "At how many tempos should a hum be tried?",
        {
            "its own alone": {"contour": {"query_tempos": (1.0,)}},
            "five": {"contour": {"query_tempos": ContourConfig().query_tempos}},
        },
        trained=False,
    ),
    "vote": Question(
        "How many neighbours of a window should vote?",
        {f"K = {k}": {"rank": {"ranker": "vote", "vote_k": k}} for k in (1, 2, 4, 8, 16, 64)},
        trained=False,
    ),
}


def melodies() -> Iterator[tuple[str, Notes]]:
    """Tunes in a fixed order that mixes the books."""
    tunes = read_books().merged
    for row in np.random.default_rng(0).permutation(len(tunes))[: LEARNED + SEARCHED]:
        tune = tunes[row]
        melody = from_lengths(tune.midi[tune.order], tune.length_q[tune.order], tempo=tune.tempo)
        yield f"{tune.book} {tune.number} {tune.title}", timed(melody, sung_tempo(melody, NOTES_PER_S))


def changed(config: ModelConfig, change: Change) -> ModelConfig:
    """The configuration with the change's stages replaced."""
    augment = replace(config.train.augment, **change.get("augment", {}))
    return replace(
        config,
        contour=replace(config.contour, **change.get("contour", {})),
        encoder=replace(config.encoder, **change.get("encoder", {})),
        train=replace(config.train, augment=augment, **change.get("train", {})),
    )


@dataclass(frozen=True)
class Trial:
    """songs: (music_id, f0). hums: (name, right music_id, f0)."""

    songs: list[tuple[str, F0]]
    hums: list[tuple[str, str, F0]]

    @classmethod
    def of(cls, tunes: list[tuple[str, Notes]]) -> Trial:
        rng = np.random.default_rng(1)
        hums = []
        while len(hums) < HUMS:
            name, notes = tunes[int(rng.integers(len(tunes)))]
            start = float(rng.uniform(0, max(0.0, float(notes.end_s[-1]) - HUM_S[1])))
            part = notes.between(start, start + float(rng.uniform(*HUM_S)))
            if len(part) >= 8:
                hums.append((f"hum{len(hums):03d}", name, sure(perform(part, rng, HUMMER).hz)))
        return cls([(name, sure(pitch_line(notes))) for name, notes in tunes], hums)

    def ranks(self, model: Model, rank: RankConfig) -> Ints:
        index: Index = search.build_index([(Song(name), f0) for name, f0 in self.songs], model)
        queries = [search.make_query(name, f0, model) for name, _, f0 in self.hums]
        rankings = search.rank_all(queries, index, make_ranker(rank, index), rank.top)
        return search.ranks_of(rankings, {name: right for name, right, _ in self.hums})


def measured(name: str, change: Change, base: Path | None, examples: list[Example], trial: Trial, asked: Any) -> Ints:
    """The ranks of one variant; from OUT where they are there. base: the weights that serve, None to train."""
    folder = asked.out / name.replace(" ", "_").replace(",", "")
    done = folder / "ranks.json"
    wanted = json.loads(json.dumps({"change": change, "steps": asked.steps}))
    if done.is_file() and read_json(done)["variant"] == wanted:
        return np.array(read_json(done)["ranks"], dtype=np.int64)
    steps = {"steps": asked.steps, "validate_every": asked.steps}
    folder.mkdir(parents=True, exist_ok=True)
    config = changed(replace(RECIPE, train=replace(RECIPE.train, **steps)), change)
    if base is None:
        base = train(examples, config, folder, rank=RankConfig(ranker="nearest")).checkpoint
    model = Model.load(base)
    model = Model(replace(model.config, contour=config.contour), model.network)
    rank = replace(RankConfig(ranker="nearest"), **change.get("rank", {}))
    ranks = trial.ranks(model, rank)
    atomic_write_json(done, {"variant": wanted, "ranks": ranks.tolist()})
    return ranks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=200, help="of each training")
    parser.add_argument("--questions", nargs="*", default=list(QUESTIONS), choices=list(QUESTIONS))
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: one a core")
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    tunes = list(melodies())
    examples, trial = list(examples_of(tunes[:LEARNED])), Trial.of(tunes[LEARNED:])
    asked.out.mkdir(parents=True, exist_ok=True)
    whole = measured(BASE, {}, None, examples, trial, asked)
    text = [f"{asked.steps} steps of 64 songs, {LEARNED} tunes learned, {SEARCHED} others searched by {HUMS} hums."]
    for name in asked.questions:
        question = QUESTIONS[name]
        weights = None if question.trained else asked.out / BASE / "model.safetensors"
        first = "K = 4" if name == "vote" else BASE
        found = {} if name == "vote" else {first: whole}
        for label, change in question.variants.items():
            found[label] = measured(f"{name} {label}", change, weights, examples, trial, asked)
        mrr = {label: metrics.report(ranks, SEARCHED).mrr for label, ranks in found.items()}
        gap = {label: metrics.paired_difference(ranks, found[first]) for label, ranks in found.items()}
        rows = [
            {"variant": label, "MRR@10": str(mrr[label]), f"minus {first}": "" if label == first else str(gap[label])}
            for label in found
        ]
        text += [f"## {question.asked}", table(rows), f"![{name}](experiments/{name}.png)"]
        print(question.asked, table(rows), sep="\n", flush=True)
        variants(mrr, first, question.asked).savefig(asked.out / f"{name}.png", dpi=110)
    (asked.out / "experiments.md").write_text("\n\n".join(text) + "\n")


if __name__ == "__main__":
    main()
