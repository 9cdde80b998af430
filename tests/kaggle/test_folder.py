"""The Kaggle folder: what it holds, and what the kaggle client makes of it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest

from humfind.kaggle import folder
from humfind.kaggle.folder import Plan, write
from humfind.notebooks.runner import SUITE
from humfind.types import InputError

PLAN = Plan("someone/hum-to-song", "me", 8.0)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("kaggle") / "folder"
    write(PLAN, out, wheels=False)
    return out


def test_the_wheel_carries_notebooks_and_weights(made: Path) -> None:
    (wheel,) = (made / "dataset").glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {f"humfind/suite/{stem}.ipynb" for stem in SUITE} <= set(names)
    assert "humfind/pretrained/model.safetensors" in names
    assert "humfind/pretrained/salience.safetensors" in names


def test_every_kernel_names_a_notebook_that_is_there_and_valid(made: Path) -> None:
    for stem in (*SUITE, "suite"):
        about = json.loads((made / "kernels" / stem / "kernel-metadata.json").read_text())
        notebook = nbformat.read(made / "kernels" / stem / about["code_file"], 4)
        nbformat.validate(notebook)
        sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
        assert "install_humfind.py" in sources[0]
        assert about["dataset_sources"] == ["me/humfind-wheels", "someone/hum-to-song"]
        assert about["id"] == "me/" + about["title"].replace(" ", "-")  # else Kaggle gives it another address
        assert about["enable_internet"] is False


def test_a_notebook_finds_its_data_after_its_parameters_are_set(made: Path) -> None:
    notebook = nbformat.read(made / "kernels" / "03_train" / "03_train.ipynb", 4)
    tagged = [i for i, cell in enumerate(notebook.cells) if "parameters" in cell.metadata.get("tags", [])]
    assert "session.place(data)" in notebook.cells[tagged[0] + 1].source


def test_a_competition_is_no_dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folder, "_own_wheel", lambda dataset: dataset.mkdir(parents=True))
    write(Plan("hum-to-song", "me", 8.0), tmp_path / "out", wheels=False)
    about = json.loads((tmp_path / "out" / "kernels" / "suite" / "kernel-metadata.json").read_text())
    assert about["competition_sources"] == ["hum-to-song"]
    assert about["dataset_sources"] == ["me/humfind-wheels"]


@pytest.mark.parametrize(
    ("data", "user", "hours", "words"),
    [
        ("a/b/c", "me", 8.0, "--data a/b/c: not a Kaggle name"),
        ("https://kaggle.com/x", "me", 8.0, "not a Kaggle name"),
        ("a/b", "", 8.0, "give your user name"),
        ("a/b", "me", 13.0, "a kernel runs 0.1 to 12 hours"),
    ],
)
def test_what_kaggle_would_refuse_is_refused_here(data: str, user: str, hours: float, words: str) -> None:
    with pytest.raises(InputError, match=words):
        Plan(data, user, hours)


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="is not empty and holds no Kaggle folder"):
        write(PLAN, tmp_path, wheels=False)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_kaggle_client_takes_the_folder(made: Path, tmp_path: Path) -> None:
    """Its own reading of both metadata files, up to the call that would leave the machine."""
    asked = tmp_path / "asked.json"
    script = f"""
import json
from kaggle import api
sent = []
class Stop(Exception): pass
def request(*args, **kwargs):
    sent.append(repr(args) + repr(kwargs)); raise Stop
api.kernel_push_with_http_info = request
api.kernel_push = request
for stem in {[*SUITE, "suite"]!r}:
    try:
        api.kernels_push({str(made / "kernels")!r} + "/" + stem)
    except Stop:
        pass
api.upload_files = request
try:
    api.dataset_create_new({str(made / "dataset")!r}, dir_mode="skip")
except Stop:
    pass
json.dump(sent, open({str(asked)!r}, "w"))
"""
    environment = {"KAGGLE_USERNAME": "me", "KAGGLE_KEY": "0" * 32, "HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    sent = json.loads(asked.read_text())
    assert len(sent) == len(SUITE) + 2, done.stdout
    assert "humfind-suite" in sent[len(SUITE)]
