"""The five notebooks: how they are written, and a toy data set taken through all of them."""

import ast
import csv
import html
import json
import os
import shutil
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
import soundfile
from tiny_world import REPOSITORY

from humfind import config
from humfind.config import F0Config, ModelConfig, NotebookConfig, RankConfig, TrainConfig
from humfind.notebooks import runner
from humfind.retrieval import submission
from humfind.runtime import paths

NOTEBOOKS = REPOSITORY / "notebooks"
LONGEST_CELL = 12
RENAMED = {"crepe_model": (F0Config, "model")}  # notebook parameters whose name would not say enough


def cells(stem: str) -> list[Any]:
    return list(nbformat.read(NOTEBOOKS / f"{stem}.ipynb", 4).cells)


def default_of(name: str) -> Any:
    kind, attribute = RENAMED.get(name, (None, name))
    kinds = [kind] if kind else [NotebookConfig, F0Config, ModelConfig, TrainConfig, RankConfig]
    found = [f.default for k in kinds for f in fields(k) if f.name == attribute]
    assert found, f"{name} is in no dataclass of config.py"
    return found[0]


@pytest.mark.parametrize("stem", runner.SUITE)
def test_parameters_are_typed_commented_and_equal_to_config(stem: str) -> None:
    code = next(cell for cell in cells(stem) if "parameters" in cell.metadata.get("tags", []))
    tree = ast.parse(code.source)
    for node, line in zip(tree.body, code.source.splitlines(), strict=True):
        assert isinstance(node, ast.AnnAssign), line
        assert isinstance(node.target, ast.Name)
        assert node.value is not None
        assert "#" in line or node.target.id == "seed", f"{line}: no comment"
        literal = ast.literal_eval(node.value)
        assert literal == default_of(node.target.id), f"{stem}: {line}"
        assert type(literal).__name__ == ast.unparse(node.annotation), f"{stem}: {line}"


@pytest.mark.parametrize("stem", runner.SUITE)
def test_cells_are_thin_and_committed_without_outputs(stem: str) -> None:
    for cell in cells(stem):
        if cell.cell_type != "code":
            continue
        assert not cell.outputs
        assert cell.execution_count is None
        if "parameters" in cell.metadata.get("tags", []):
            continue
        assert len(cell.source.splitlines()) <= LONGEST_CELL, cell.source
        tree = ast.parse(cell.source.replace("%matplotlib inline", ""))
        assert not any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in ast.walk(tree)), cell.source


def test_there_is_a_word_before_every_plot() -> None:
    for stem in runner.SUITE:
        kinds = [cell.cell_type for cell in cells(stem)]
        assert kinds[0] == "markdown"
        assert kinds.count("markdown") >= 4


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of its own, with what is committed, so that nothing is written into the checkout."""
    folder = tmp_path_factory.mktemp("home")
    for name in ("notebooks", "crepe_freq", "meta_data"):
        source = NOTEBOOKS.parent / name
        ignored = shutil.ignore_patterns("demo-small", "demo-full", ".ipynb_checkpoints")
        shutil.copytree(source, folder / name, ignore=ignored)
    return folder


@pytest.fixture(scope="module")
def summary(home: Path) -> dict[str, Any]:
    """The suite on the tiny demo set, all five notebooks, through the command."""
    quick = ["-p", "steps=24", "-p", "validate_every=12", "-p", "experiment_steps=4", "-p", "songs_per_batch=8"]
    environment = os.environ | {"HUMFIND_HOME": str(home)}
    made = [sys.executable, "-m", "humfind", "demo-data", "--size", "tiny", "--out", str(home / "data" / "demo-tiny")]
    subprocess.run(made, env=environment, check=True, capture_output=True)
    command = [sys.executable, "-m", "humfind", "run", "--data", str(home / "data" / "demo-tiny"), *quick]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout
    assert "MRR@10" in done.stdout
    found: dict[str, Any] = json.loads((home / "runs" / "demo-tiny" / "summary.json").read_text())
    return found


def test_all_five_run_and_leave_notebook_html_and_summary(home: Path, summary: dict[str, Any]) -> None:
    folder = home / "runs" / "demo-tiny"
    assert list(summary["notebooks"]) == list(runner.SUITE)
    for stem in runner.SUITE:
        executed = nbformat.read(folder / f"{stem}.ipynb", 4)
        pictures = [o for c in executed.cells if c.cell_type == "code" for o in c.outputs if "image/png" in str(o)]
        assert pictures, f"{stem} shows nothing"
        assert (folder / "html" / f"{stem}.html").stat().st_size > 50_000


def test_the_committed_store_was_used_and_not_tracked_again(summary: dict[str, Any]) -> None:
    rows = summary["transform"]["rows"]
    assert sum(row["recordings"] for row in rows) == sum(row["reused"] for row in rows) == 44


def test_the_summary_has_both_rankers_on_both_trials(summary: dict[str, Any]) -> None:
    for trial in ("validation", "public_test"):
        for ranker in ("nearest", "vote"):
            figures = summary["ranking"][trial][ranker]
            assert 0 <= figures["mrr"]["low"] <= figures["mrr"]["value"] <= figures["mrr"]["high"] <= 1
            assert figures["queries"] > 0


def test_the_submission_is_whole(home: Path, summary: dict[str, Any]) -> None:
    path = home / "runs" / "demo-tiny" / "submission.csv"
    rows = submission.read(path)
    hums = [f"{i:04d}.mp3" for i in range(12)]
    assert list(rows) == hums
    assert all(len(ids) == 10 for ids in rows.values())
    assert submission.read_card(path)["metrics"]["queries"] == 12


@pytest.mark.parametrize("stem", [pytest.param(s, marks=pytest.mark.slow) for s in runner.SUITE[:-1]] + ["05_rank"])
def test_a_notebook_runs_alone_from_another_folder(
    stem: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With its own defaults but for where results go: no notebook ran before it in that folder."""
    (tmp_path / "html").mkdir()
    monkeypatch.setenv("HUMFIND_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    runner.execute(home / "notebooks" / f"{stem}.ipynb", tmp_path / f"{stem}.ipynb", {"run_dir": str(tmp_path / "r")})
    assert (tmp_path / "html" / f"{stem}.html").is_file()


def test_home_is_found_from_a_folder_inside_it(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HUMFIND_HOME", raising=False)
    monkeypatch.chdir(home / "crepe_freq")
    assert paths.home() == home.resolve()
    monkeypatch.chdir(tmp_path)
    assert paths.home() == NOTEBOOKS.parent  # the checkout that is installed
    assert config.to_dict(NotebookConfig())["data"] == "demo-tiny"


def test_a_recording_of_ones_own_goes_through_notebook_06(home: Path, summary: dict[str, Any], tmp_path: Path) -> None:
    hum = tmp_path / "mine.mp3"
    shutil.copy(home / "data" / "demo-tiny" / "public_test" / "hum" / "0001.mp3", hum)
    command = [sys.executable, "-m", "humfind", "run", "--data", "data/demo-tiny", "--notebook", "06"]
    environment = os.environ | {"HUMFIND_HOME": str(home)}
    done = subprocess.run([*command, "-p", f"hum={hum}"], env=environment, cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    executed = (home / "runs" / "demo-tiny" / "06_hum_yourself.ipynb").read_text()
    titles = csv.DictReader((home / "meta_data" / "demo-tiny" / "songs.csv").read_text().splitlines())
    kept = NOTEBOOKS.parent / "tests" / "retrieval" / "demo_tiny" / "fusion.csv"  # of the same hum, in the data set
    first = next(row.split(",")[1] for row in kept.read_text().splitlines() if row.startswith("0001.mp3,"))
    title = next(row["title"] for row in titles if row["music_id"] == first)
    table = next(cell for cell in nbformat.reads(executed, 4).cells if "found_table" in cell.source)
    shown = str(table.outputs)
    assert shown.index(html.escape(title, quote=False)) < shown.index("<th>2</th>"), "in the first row"
    assert executed.count("data:audio/") == 2, "the hum, and the place in the song"
    silent = tmp_path / "silent.wav"
    soundfile.write(silent, np.zeros(32_000), 16_000)
    refused = subprocess.run(
        [*command, "-p", f"hum={silent}"], env=environment, cwd=home, capture_output=True, text=True
    )
    assert refused.returncode == 2
    assert "silent.wav: silent: no frame has a pitch" in refused.stderr
    refused = subprocess.run(
        [*command, "-p", "hum=nowhere.wav"], env=environment, cwd=home, capture_output=True, text=True
    )
    assert refused.returncode == 2
    assert (
        refused.stderr.strip()
        == "humfind: hum=nowhere.wav: no such file; give a recording, or nothing for a hum of the data set"
    )
