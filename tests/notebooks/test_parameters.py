"""Every parameter is checked before the first cell runs, and before anything is made."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_world import REPOSITORY

from humfind import config
from humfind.config import CHOICES, RANGES, require_valid
from humfind.data.demo import ensure
from humfind.encoders import ENCODERS
from humfind.f0 import TRACKERS
from humfind.notebooks import runner
from humfind.rankers import RANKERS
from humfind.runtime import paths
from humfind.training.losses import LOSSES, MINERS
from humfind.types import InputError

NOTEBOOKS = REPOSITORY / "notebooks"
BAD = [
    ("ranker", "foo"),
    ("loss", "foo"),
    ("miner", "soft"),
    ("tracker", "crêpe"),
    ("crepe_model", "huge"),
    ("decoder", "guess"),
    ("preset", "zalo2022"),
    ("features", "chroma"),
    ("precision", "8"),
    ("split", "train"),
    ("steps", "-5"),
    ("steps", "0"),
    ("steps", "1e3"),
    ("steps", "nan"),
    ("validate_every", "0"),
    ("margin", "1e999"),
    ("margin", "-1"),
    ("learning_rate", "0"),
    ("learning_rate", "1e999"),
    ("validation_share", "1.0"),
    ("validation_share", "-0.1"),
    ("seed", str(2**64)),
    ("seed", "-1"),
    ("songs_per_batch", "1"),
    ("recordings_per_song", "0"),
    ("vote_k", "0"),
    ("top", "11"),
    ("top", "0"),
    ("experiment_steps", "-1"),
    ("checkpoint", "nowhere/model.safetensors"),
    ("resume", "maybe"),
    ("data", "/elsewhere"),
    ("run_dir", "/elsewhere"),
    ("steps", "[" * 5000),
]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The notebooks, and nothing else."""
    (tmp_path / "notebooks").symlink_to(NOTEBOOKS)
    monkeypatch.setenv("HUMFIND_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize(("name", "text"), BAD)
def test_a_value_that_cannot_be_is_refused_before_anything_is_made(name: str, text: str, home: Path) -> None:
    with pytest.raises(InputError, match=f"{name}="):
        runner.run(None, "", None, {name: text})
    assert [path.name for path in home.iterdir()] == ["notebooks"]


@pytest.mark.parametrize("asked", ["", "3", "07", "03 "])
def test_a_notebook_that_is_none_is_refused(asked: str, home: Path) -> None:
    with pytest.raises(InputError, match="no such notebook"):
        runner.run(None, "", [asked], {})


@pytest.mark.parametrize("name", ["../../x", "a/b", "..", ".", "/tmp/x", "x/"])
def test_a_run_never_leaves_its_folder(name: str, home: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    data.mkdir()
    with pytest.raises(InputError, match="not a path"):
        runner.run(data, name, ["01"], {})
    assert not (home / "runs").exists()


def test_a_data_set_without_train_is_pointed_to_predict(home: Path, tmp_path: Path) -> None:
    data = tmp_path / "data"
    for kind in ("full_song", "hum"):
        (data / "public_test" / kind).mkdir(parents=True)
    with pytest.raises(InputError, match=r"has no train/, which 02_eda needs; .*humfind predict"):
        runner.run(data, "", None, {})
    assert not (home / "runs").exists()


def test_choices_are_those_that_the_library_knows() -> None:
    assert CHOICES["ranker"] == tuple(RANKERS)
    assert CHOICES["tracker"] == tuple(TRACKERS)
    assert (CHOICES["loss"], CHOICES["miner"]) == (LOSSES, MINERS)
    assert CHOICES["preset"] == tuple(config.PRESETS)
    assert "resnet1d" in ENCODERS


def test_every_default_of_a_notebook_is_valid_and_every_rule_is_of_some_parameter() -> None:
    known: dict[str, object] = {}
    for stem in (*runner.SUITE, *(f"labs/{lab}" for lab in runner.LABS)):
        path = NOTEBOOKS / f"{stem}.ipynb"
        parameters = runner.parameters_of(path)
        chosen = runner.choose_parameters([path], {name: text.strip("\"'") for name, text in parameters.items()})
        known |= chosen[0]
        comments = "".join(json.loads(path.read_text())["cells"][1]["source"])
        for name in set(parameters) & set(CHOICES):
            assert all(choice in comments for choice in CHOICES[name]), f"{stem}: {name}'s comment lacks a choice"
    assert set(CHOICES) - {"device", "parts"} <= set(known)
    assert set(RANGES) - {"weight_decay", "temperature"} <= set(known)
    for name, value in known.items():
        require_valid(name, value)


def test_home_is_not_touched_by_a_test() -> None:
    assert paths.home() == NOTEBOOKS.parent
    assert callable(ensure)
