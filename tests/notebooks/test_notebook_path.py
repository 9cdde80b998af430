"""Notebooks take the path of the commands: the same rows, filled and checked, the same songs held out, the same
figures."""

from __future__ import annotations

import ast
import csv
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from tiny_world import CONFIG, REPOSITORY, f0_of, hum_of, melody, put_audio

from humfind import notebooks
from humfind.config import F0Config, RankConfig
from humfind.encoders import build
from humfind.encoders.checkpoint import Model, input_shape
from humfind.notebooks.ranking import submit, worst_queries
from humfind.retrieval import submission
from humfind.retrieval.predict import predict
from humfind.types import InputError

TRACKER = F0Config(tracker="swiftf0")
SONGS = 12
NOTEBOOKS = sorted((REPOSITORY / "notebooks").glob("*.ipynb"))
SECOND_PATHS = {"rank_all", "make_ranker", "build_index", "make_queries", "evaluate", "write", "load_split", "hear"}


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set with a hum that cannot be read, a silent one, and a song without f0 that is an answer."""
    monkeypatch.setenv("HUMFIND_HOME", str(tmp_path / "home"))
    data = tmp_path / "data"
    for i in range(SONGS):
        put_audio(data / f"public_test/full_song/{i:04d}.wav", f0_of(melody(i, notes=24), shift=12))
    for i in range(3):
        put_audio(data / f"public_test/hum/h{i}.wav", hum_of(i, 2.0, 6.0, shift=8))
    (data / "public_test/full_song/0099.wav").write_bytes(b"")
    (data / "public_test/hum/broken.wav").write_bytes(b"RIFF")
    put_audio(data / "public_test/hum/silent.wav", f0_of(np.full(10, -40.0, np.float32)))
    rows = [("h0", "0000"), ("h1", "0001"), ("h2", "0099"), ("broken", "0003"), ("silent", "0000")]
    with open(data / "public_test/answers.csv", "w", newline="") as file:
        csv.writer(file).writerows([("hum", "music_id"), *rows])
    return data


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    path = tmp_path / "model" / "model.safetensors"
    Model(CONFIG, build(CONFIG.encoder, input_shape(CONFIG))).save(path)
    return path


@pytest.mark.parametrize("ranker", ["fusion", "vote"])
def test_the_notebooks_submission_is_that_of_predict(data: Path, checkpoint: Path, tmp_path: Path, ranker: str) -> None:
    rank = RankConfig(ranker=ranker)
    done = predict(data, "public_test", tmp_path / "command.csv", model=str(checkpoint), rank=rank, f0=TRACKER)
    run = notebooks.open_run(str(data), str(tmp_path / "run"), TRACKER)
    model = run.model(str(checkpoint))
    trial = run.trial("public_test", model)
    table = submit(trial, model, rank, tmp_path / "notebook.csv")
    for ending in (".csv", ".json"):
        mine, theirs = ((tmp_path / f"{who}{ending}").read_bytes() for who in ("notebook", "command"))
        assert mine == theirs
    assert sorted(table.index) == sorted(f"{name}.wav" for name in ("h0", "h1", "h2", "broken", "silent"))
    assert trial.report(rank) == done.report
    assert done.report is not None
    assert (done.report.queries, done.without_f0) == (5, 2)
    assert len(submission.read_card(tmp_path / "notebook.csv")["without_f0"]) == 3


def test_the_worst_queries_are_those_that_can_be_shown(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    run = notebooks.open_run(str(data), str(tmp_path / "run"), TRACKER)
    trial = run.trial("public_test", run.model(str(checkpoint)))
    shown = worst_queries(run, trial, RankConfig(ranker="nearest"), queries=5)
    assert {case["name"] for case in shown} <= {"h0.wav", "h1.wav"}


def test_a_notebook_takes_the_shipped_model_by_its_name(data: Path, tmp_path: Path) -> None:
    run = notebooks.open_run(str(data), str(tmp_path / "run"), TRACKER)
    model = run.model("pretrained")
    assert model.checksum == notebooks.shipped().checksum
    assert run.trial("public_test", model).index.info.model == "pretrained"


def test_a_data_set_without_train_says_so(data: Path, checkpoint: Path, tmp_path: Path) -> None:
    run = notebooks.open_run(str(data), str(tmp_path / "run"), TRACKER)
    with pytest.raises(InputError, match="has no train"):
        run.trial("validation", run.model(str(checkpoint)))


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_no_notebook_ranks_fills_splits_or_writes_by_itself(path: Path) -> None:
    """What the library does, a notebook calls: none of the functions that a second path would be made of."""
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "code":
            calls = [n.func for n in ast.walk(ast.parse(cell.source.replace("%matplotlib inline", "")))
                     if isinstance(n, ast.Call)]  # fmt: skip
            called = {getattr(call, "attr", getattr(call, "id", "")) for call in calls}
            assert not called & SECOND_PATHS, f"{path.name}: {called & SECOND_PATHS}"
