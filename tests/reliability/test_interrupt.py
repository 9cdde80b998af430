"""Ctrl-C, as a terminal sends it to every process of the command: status 130, no trace, what is done is kept."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tiny_world import LONGEST_S, REPOSITORY, f0_of, melody, put_audio

from humfind import cli
from humfind.f0.store import Store
from humfind.training.state import State
from humfind.types import InputError

NOTEBOOKS = REPOSITORY / "notebooks"
SONGS = 16


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Songs and hums enough for some seconds of tracking by CREPE; the notebooks."""
    folder = tmp_path_factory.mktemp("world")
    (folder / "home").mkdir()
    (folder / "home" / "notebooks").symlink_to(NOTEBOOKS)
    rows = ["music_id,song_path,hum_path"]
    for i in range(SONGS):
        put_audio(folder / f"data/train/song/{i:04d}.wav", f0_of(melody(i, notes=40), shift=12))
        put_audio(folder / f"data/train/hum/{i:04d}.wav", f0_of(melody(i, notes=20), shift=9))
        rows.append(f"{i:04d},train/song/{i:04d}.wav,train/hum/{i:04d}.wav")
    (folder / "data/train/train_meta.csv").write_text("\n".join(rows) + "\n")
    return folder


def interrupted(arguments: list[str], world: Path, ready: Callable[[], bool]) -> subprocess.Popen[str]:
    """Start the command, send SIGINT to its group once it is ``ready``, and wait for its end."""
    environment = {**os.environ, "HUMFIND_HOME": str(world / "home"), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "humfind", *arguments]
    process = subprocess.Popen(
        command,
        cwd=world,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background jobs ignore it
        start_new_session=True,
    )
    deadline = time.monotonic() + LONGEST_S
    while not (begun := ready()) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGINT)
    try:
        _, errors = process.communicate(timeout=LONGEST_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raise
    assert begun, f"it was not so far within {LONGEST_S} s: {errors}"
    assert "Traceback" not in errors, errors
    assert process.returncode == 130, errors
    return process


def test_tracking_keeps_its_parts(world: Path) -> None:
    store = world / "store"
    folder = store / "train" / "song"
    interrupted(["f0", "data", "--out", "store"], world, lambda: (folder / "manifest.json").exists())
    assert not list(folder.glob("*.part"))
    done = subprocess.run(
        [sys.executable, "-m", "humfind", "f0", "data", "--out", "store", "--tracker", "torchcrepe"],
        cwd=world,
        env={**os.environ, "HUMFIND_HOME": str(world / "home")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert len(Store(store).rows("train", "song")) == SONGS


def test_an_index_of_a_folder_keeps_what_was_tracked(world: Path) -> None:
    kept = world / "index" / "f0"
    command = ["index", "data/train/song", "--model", "pretrained", "--out", "index"]
    interrupted(command, world, lambda: len(list(kept.rglob("*.parquet"))) >= 3)
    assert len(list(kept.rglob("*.parquet"))) >= 3
    assert not (world / "index" / "index.json").exists()


def test_training_keeps_its_last_validation(world: Path) -> None:
    environment = {**os.environ, "HUMFIND_HOME": str(world / "home")}
    track = ["f0", "data", "--split", "train", "--tracker", "swiftf0", "--out", "quick"]
    subprocess.run([sys.executable, "-m", "humfind", *track], cwd=world, env=environment, check=True)
    history = world / "trained" / "history.json"
    interrupted(["train", "data", "--f0", "quick", "--out", "trained", "--steps", "9999"], world, history.exists)
    assert json.loads(history.read_text())["history"][0]["step"] == 100
    State.load(world / "trained" / "resume.safetensors")


@pytest.mark.parametrize("after", ["start", "cell"])
def test_notebooks_end_with_their_kernel(world: Path, after: str) -> None:
    """While they start, and within a cell."""
    out = world / "home" / "runs" / after / "01_crepe_transform.ipynb"
    ready = out.parent.is_dir if after == "start" else out.exists
    interrupted(["run", "--data", "data", "--name", after, "--notebook", "01"], world, ready)


def test_making_the_demo_set_ends_its_workers(world: Path) -> None:
    out = world / "demo"
    command = ["demo-data", "--size", "small", "--out", "demo"]
    interrupted(command, world, lambda: len(list(out.rglob("*.mp3"))) >= 2)


def test_a_killed_worker_of_search_is_one_line(world: Path) -> None:
    """The process that tracks the hum is killed, as the system does when memory runs out."""
    plug = world / "plug"
    plug.mkdir(exist_ok=True)
    (plug / "sitecustomize.py").write_text(
        "import sys, threading, time\n"
        "def end():\n"
        "    while 'humfind.retrieval.query' not in sys.modules: time.sleep(0.01)\n"
        "    import multiprocessing\n"
        "    while True:\n"
        "        for child in multiprocessing.active_children():\n"
        "            child.kill()\n"  # of a child that has ended just now it makes nothing
        "        time.sleep(0.005)\n"
        "threading.Thread(target=end, daemon=True).start()\n"
    )
    index = ["index", "data/train/hum", "--model", "pretrained", "--tracker", "swiftf0", "--out", "hums"]
    environment = {**os.environ, "HUMFIND_HOME": str(world / "home")}
    made = subprocess.run([sys.executable, "-m", "humfind", *index], cwd=world, env=environment, capture_output=True)
    assert made.returncode == 0, made.stderr
    search = [sys.executable, "-m", "humfind", "search", "data/train/hum/0001.wav", "--index", "hums"]
    environment["PYTHONPATH"] = os.pathsep.join([str(plug), environment.get("PYTHONPATH", "")])
    done = subprocess.run(search, cwd=world, env=environment, capture_output=True, text=True, timeout=LONGEST_S)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    assert "a worker process was ended from outside" in done.stderr


def test_ctrl_c_while_an_extension_module_is_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    """pybind11 makes an ImportError of it, and the tracker a complaint of that."""

    def app(**_: object) -> None:
        try:
            try:
                raise KeyboardInterrupt
            except KeyboardInterrupt as error:
                raise ImportError("initialization failed") from error
        except ImportError as error:
            raise InputError("swiftf0: the swift-f0 package is missing") from error

    monkeypatch.setattr(cli, "app", app)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == 130
