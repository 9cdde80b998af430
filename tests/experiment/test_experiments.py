"""Experiments: composed by Hydra, swept side by side, kept in MLflow, read back and reproduced."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from humfind.cli import app
from humfind.config import (
    PRESETS,
    AttentionConfig,
    ModelConfig,
    MorletConfig,
    SingingLabConfig,
    TagModelConfig,
    TrackModelConfig,
)
from humfind.experiment.plan import plan, setting
from humfind.experiment.records import Records, differing
from humfind.experiment.sweep import reproduced, require_kept, sweep
from humfind.experiment.tasks import leaves, task_of
from humfind.metrics import Interval
from humfind.notebooks import playlist as lab
from humfind.plots import playlist as plots
from humfind.types import InputError

TASKS = ("hums", "singing", "tags", "sounds", "tracks")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tracks of two genres that their energy tells apart."""
    path = tmp_path_factory.mktemp("table") / "tracks, all.csv"
    rng = np.random.default_rng(0)
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["artist", "song", "year", "genre", "energy", "tempo"])
        for i in range(160):
            genre = i % 2
            energy, tempo = genre + rng.normal(0, 0.3), rng.uniform(60, 180)
            lines.writerow([f"a{i % 9}", f"s{i}", 1990 + i % 20, ("rock", "pop")[genre], energy, tempo])
    return path


def words(table: Path, *more: str) -> list[str]:
    small = ["train.steps=8", "train.validate_every=4", "batch=16"]
    return ["task=tracks", setting("table", str(table)), *small, *more]


# --- what words mean


@pytest.mark.parametrize(
    ("task", "default"),
    [
        ("hums", ModelConfig()),
        ("singing", SingingLabConfig()),
        ("tags", TagModelConfig()),
        ("sounds", MorletConfig()),
        ("tracks", TrackModelConfig()),
    ],
)
def test_defaults_are_those_of_config(task, default):
    (run,) = plan([f"task={task}"])
    assert task_of(task).config(run.values) == default


def test_settings_are_called_by_the_end_of_their_names():
    (run,) = plan(["task=hums", "encoder=attention", "loss=triplet", "steps=7", "heads=2"])
    config = task_of("hums").config(run.values)
    assert config.encoder == AttentionConfig(heads=2)
    assert (config.train.loss, config.train.steps) == ("triplet", 7)
    (preset,) = plan(["preset=zalo2021"])
    assert task_of("hums").config(preset.values) == PRESETS["zalo2021"]


def test_a_sweep_is_every_combination():
    runs = plan(["task=tracks", "loss=triplet,arcface", "margin=0.0,0.25,0.5", "hidden=[32,64]"], many=True)
    made = [(run.values["loss"], run.values["margin"]) for run in runs]
    assert made == [(loss, margin) for loss in ("triplet", "arcface") for margin in (0.0, 0.25, 0.5)]
    assert len({run.key for run in runs}) == 6
    assert all(run.values["hidden"] == [32, 64] for run in runs)


def test_keys_know_settings_and_files(table, tmp_path):
    (run,), (same,), (other,) = (plan(words(table, *more)) for more in ((), (), ("scale=10.0",)))
    assert run.key == same.key != other.key
    copy = tmp_path / "t.csv"
    copy.write_bytes(table.read_bytes())
    first = plan(words(copy))[0].key
    copy.write_bytes(table.read_bytes() + b"x,y,2000,pop,1,100\n")
    assert plan(words(copy))[0].key != first
    copy.rename(odd := tmp_path / "it's a, b=c")
    assert plan(words(odd))[0].values["data"]["table"] == str(odd)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        (["task=humz"], "task=humz: unknown; choose one of hums, singing, tags, sounds, tracks; did you mean hums?"),
        (["steps"], "give each setting once, as name=value"),
        (["steps=1", "steps=2"], "give each setting once"),
        (["stepz=1"], "stepz: task hums has no such setting; did you mean steps?"),
        (["task=tags", "seed=1"], "say data.seed or train.seed"),
        (["loss=tripled"], "loss=tripled: unknown; choose one of ntxent, triplet, multisimilarity"),
        (["task=tracks", "loss=ntxent"], "choose one of arcface, additive, softmax, triplet"),
        (["steps=many"], "train.steps: 'many' is not of the kind of 600"),
        (["steps=0"], "steps=0: not from 1"),
        (["loss=triplet,ntxent"], "several values; give -m"),
        (["encoder=resnet"], "encoder=resnet: unknown; choose one of resnet1d, attention"),
        (["task=tracks", "table=nosuch.csv"], "data.table=nosuch.csv: no such file or folder"),
        (["encoder=attention", "encoder.blocks=[1]"], "blocks"),
        (["steps=[1"], "steps=[1: not a value that Hydra can read"),
    ],
)
def test_what_cannot_be_is_one_line(said, message):
    with pytest.raises(InputError) as found:
        plan(said)
    assert message in str(found.value)
    assert "\n" not in str(found.value)


# --- what is kept


def test_a_sweep_is_kept_and_goes_on(table, tmp_path):
    """Of eight runs, killed at the third: the rest is trained, what was there is not; the bytes are those of a sweep
    that nobody killed."""
    said = words(table, "loss=softmax,arcface", "margin=0.1,0.5", "scale=10.0,30.0")
    command = [sys.executable, "-m", "humfind", "experiment", *said, "-m", "--store", str(tmp_path / "a")]
    process = subprocess.Popen([*command, "--workers", "2"], stderr=subprocess.PIPE, text=True, start_new_session=True)
    assert process.stderr is not None
    while not process.stderr.readline().startswith("3 of 8"):
        assert process.poll() is None
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    kept = {one.key: one.id for one in Records(tmp_path / "a").every()}
    assert 3 <= len(kept) < 8

    lines: list[str] = []
    found = sweep(said, tmp_path / "a", many=True, workers=2, tell=lines.append)
    assert lines[0] == f"{len(kept)} of 8 runs are there already"
    assert len(lines) == 1 + 8 - len(kept)
    assert {one.key for one in found} == {run.key for run in plan(said, many=True)}
    assert {key: one.id for one in found if (key := one.key) in kept} == kept
    assert differing(found) == ["loss", "scale", "margin"]

    whole = sweep(words(table, "loss=arcface", "margin=0.1,0.5", "scale=30.0"), tmp_path / "b", many=True, workers=1)
    mine = {one.key: one for one in found}
    for one in whole:
        assert one.figures == mine[one.key].figures
        assert one.checkpoint.read_bytes() == mine[one.key].checkpoint.read_bytes()
        assert one.history == mine[one.key].history

    first = Records(tmp_path / "a").one(found[0].id[:12])
    assert first == found[0]
    assert (first.history[-1]["step"], first.values["data"]["table"]) == (8, str(table))
    assert len(first.facts["data"]) == 64
    require_kept(first, reproduced(first, tmp_path / "a"))
    wrong = {**first.figures, "precision@10": Interval(0.0, 0.0, 0.0)}
    with pytest.raises(InputError, match="data or code changed"):
        require_kept(replace(first, figures=wrong), reproduced(first, tmp_path / "a"))

    # as the notebook shows it
    swept, claim = lab.swept(found)
    assert {scale: list(mine) for scale, mine in swept.items()} == {10.0: [0.1, 0.5], 30.0: [0.1, 0.5]}
    assert "ArcFace is best at scale" in claim
    assert list(lab.kept(found).columns[:3]) == ["loss", "scale", "margin"]
    assert plots.sweep(swept, claim).axes

    # as people read it
    def shown(*more: str) -> str:
        done = CliRunner().invoke(app, ["experiment", *more, "--store", str(tmp_path / "a")])
        assert done.exit_code == 0, done.output
        return done.stdout

    assert shown("list").count("precision@10") == 8
    text = shown("show", first.id[:12], "--check")
    for part in ("loss=softmax", "validation_precision", "model.safetensors"):
        assert part in text
    table_of = shown("compare", found[0].id, found[-1].id).splitlines()
    assert [("margin=" in line, "batch=" in line) for line in table_of] == [(True, False)] * 2


def test_mlflow_has_it_all(table, tmp_path):
    """Read with MLflow alone: settings, curves by step, figures, checkpoint, picture, checksum, revision."""
    from mlflow import MlflowClient

    (one,) = sweep(words(table), tmp_path)
    client = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    run = client.get_run(one.id)
    flat = leaves(one.values)
    assert run.info.run_name == f"data.table={table} batch=16 train.steps=8 train.validate_every=4"
    assert run.data.params == {name: str(value) for name, value in flat.items()}
    curve = client.get_metric_history(one.id, "validation_precision")
    assert [(point.step, point.value) for point in sorted(curve, key=lambda point: point.step)] == [
        (row["step"], row["validation_precision"]) for row in one.history
    ]
    assert run.data.metrics["precision at 10"] == one.figures["precision@10"].value
    assert {item.path for item in client.list_artifacts(one.id)} == {
        "config.json", "curves.png", "model.json", "model.safetensors",
    }  # fmt: skip
    assert run.data.tags["humfind.data"] == one.facts["data"]
    taken_ms = run.info.end_time - run.info.start_time
    assert 1000 * one.seconds - 1 <= taken_ms < 1000 * one.seconds + 60_000


def test_no_runs_is_one_line(tmp_path):
    with pytest.raises(InputError, match="no experiments; give: humfind experiment"):
        Records(tmp_path)
    with pytest.raises(InputError, match="no run begins so"):
        Records(tmp_path, make=True).one("abc")
