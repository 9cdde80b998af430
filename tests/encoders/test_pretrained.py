"""The model that the package ships: it loads, it is small, and it finds hums of tunes that it never saw."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from humfind.config import HummerConfig, RankConfig
from humfind.index import Song
from humfind.rankers import make_ranker
from humfind.retrieval import search
from humfind.retrieval.checkpoints import PRETRAINED, PRETRAINED_PATH, load_model
from humfind.synth.hum import HOP_S, perform
from humfind.synth.melody import Notes, from_lengths, pitch_line, timed
from humfind.training import pretrain
from humfind.types import F0

SONGS = 40


@pytest.fixture(scope="module")
def model():
    return load_model(PRETRAINED)[0]


def tune(seed: int) -> Notes:
    """A melody of no book: steps and leaps about a middle, in a rhythm."""
    rng = np.random.default_rng([77, seed])
    scale = np.array([0, 2, 4, 5, 7, 9, 11])
    degree = np.clip(np.cumsum(rng.choice([-3, -2, -1, -1, 0, 1, 1, 2, 4], 60)), -7, 9) + 7
    return timed(from_lengths(55 + 12 * (degree // 7) + scale[degree % 7], rng.choice([0.5, 1, 1, 2], 60)), 120)


def sure(hz) -> F0:
    return F0(hz, (hz > 0).astype(np.float32), HOP_S)


def test_it_is_small_and_says_what_made_it(model):
    assert PRETRAINED_PATH.stat().st_size < 16e6
    assert model.config.features == "f0"
    assert model.facts["data"]["songs"] > 10_000
    frames = round(model.config.contour.window_s / model.config.contour.frame_s)
    with FlopCounterMode(display=False) as counted:
        model.network(torch.zeros(1, 2, frames))
    assert counted.get_total_flops() <= 50e6
    assert (PRETRAINED_PATH.parent / "README.md").is_file()


def test_it_embeds_the_same_bytes_twice(model):
    queries = [search.make_query("q", sure(pitch_line(tune(0))), model) for _ in range(2)]
    assert queries[0].embeddings.vectors.tobytes() == queries[1].embeddings.vectors.tobytes()


@pytest.mark.parametrize(("ranker", "floor"), [("nearest", 0.3), ("sequence", 0.4), ("dtw", 0.7), ("fusion", 0.7)])
def test_it_finds_hums_of_melodies_that_it_never_saw(model, ranker, floor):
    index = search.build_index(((Song(f"{i:02d}"), sure(pitch_line(tune(i)))) for i in range(SONGS)), model, PRETRAINED)
    rng = np.random.default_rng(1)
    parts = {f"{i:02d}": tune(i).between(4.0, 14.0) for i in range(0, SONGS, 2)}
    hums = {name: perform(part, rng, HummerConfig()).hz for name, part in parts.items()}
    queries = [search.make_query(name, sure(hz), model) for name, hz in hums.items()]
    rankings = search.rank_all(queries, index, make_ranker(RankConfig(ranker=ranker), index))
    report = search.evaluate(rankings, {name: name for name in hums}, SONGS)
    assert report.mrr.value > floor


def test_pretraining_reads_only_odd_songs(tmp_path):
    rows = [{"song": f"{i:03d}", "notes": [[0.5 * j, 0.5 * j + 0.4, 60 + j % 5] for j in range(20)]} for i in (1, 2, 3)]
    file = tmp_path / "melodies.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    names = [name for name, _ in pretrain.melodies(file)]
    assert [name for name in names if name.startswith("POP909")] == ["POP909 001", "POP909 003"]
    assert len(names) > 3000
