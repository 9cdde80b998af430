"""The whole suite as a Kaggle kernel: no network, input that cannot be written, another working folder, no checkout,
killed once in the middle."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest
from tiny_world import LONGEST_S

from humfind.data import demo
from humfind.kaggle import session
from humfind.kaggle.folder import SUITE_KERNEL, Plan, write
from humfind.types import InputError

QUICK = {"steps": "24", "validate_every": "12", "experiment_steps": "0", "songs_per_batch": "8"}
LOOPBACK_UP = """\
import fcntl, socket, struct
with socket.socket() as it:
    fcntl.ioctl(it, 0x8914, struct.pack("16sh14x", b"lo", 0x49))  # notebooks talk to their kernels through it
"""


def isolated(command: list[str], read_only: Path) -> list[str]:
    """The command without a network and with a folder that cannot be written, where this machine lets us."""
    allowed = subprocess.run(["unshare", "-rmn", "true"], capture_output=True, check=False).returncode == 0
    if not allowed:
        return command
    mount = f"mount --bind '{read_only}' '{read_only}' && mount -o remount,bind,ro '{read_only}'"
    return [
        "unshare",
        "-rmn",
        "sh",
        "-c",
        f'{mount} && "$0" -c \'{LOOPBACK_UP}\' && exec "$@"',
        sys.executable,
        *command,
    ]


@pytest.fixture(scope="module")
def attached(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The input folder as Kaggle mounts it, and the suite's notebook, its training shortened."""
    root = tmp_path_factory.mktemp("kaggle")
    write(Plan("someone/hum-to-song", "me", 8.0), root / "folder", wheels=False)
    shutil.copytree(root / "folder" / "dataset", root / "input" / "humfind-wheels")
    demo.make("tiny", root / "input" / "hum-to-song" / "deep" / "data")
    path = root / "folder" / "kernels" / SUITE_KERNEL / f"{SUITE_KERNEL}.ipynb"
    notebook = nbformat.read(path, 4)
    notebook.cells[-1].source = notebook.cells[-1].source.replace("hours=8", f"hours=8, parameters={QUICK}")
    notebook.cells.append(nbformat.v4.new_code_cell("import humfind; print(humfind.__file__)"))
    nbformat.write(notebook, path)
    return root / "input", path


def test_the_suite_runs_offline_and_goes_on_after_a_kill(attached: tuple[Path, Path], tmp_path: Path) -> None:
    given, notebook = attached
    working = tmp_path / "working"
    working.mkdir()
    out = working / "__notebook__.ipynb"
    command = isolated(
        [sys.executable, "-m", "papermill", "--no-progress-bar", "-k", "python3", str(notebook), str(out)], given
    )
    kept = {name: os.environ[name] for name in ("PATH", "LANG", "OMP_NUM_THREADS") if name in os.environ}
    environment = {**kept, "HOME": str(tmp_path), "HUMFIND_KAGGLE_INPUT": str(given)}
    run = {"cwd": working, "env": environment, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}

    first = subprocess.Popen(command, start_new_session=True, **run)
    until = time.monotonic() + LONGEST_S
    while not list(working.glob("crepe_freq/**/part-*.parquet")) and time.monotonic() < until:
        assert first.poll() is None, first.communicate()[0]
        time.sleep(0.2)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    first.communicate()
    assert not (working / "submission.csv").exists()

    done = subprocess.run(command, timeout=LONGEST_S, check=False, **run)
    assert done.returncode == 0, done.stdout[-4000:]
    with (working / "submission.csv").open(newline="") as file:
        rows = list(csv.reader(file))
    assert len(rows) == 12
    assert all(len(set(row[1:])) == 10 for row in rows)
    printed = "".join(
        str(part.get("text", "")) for cell in json.loads(out.read_text())["cells"] for part in cell.get("outputs", [])
    )
    assert "MRR@10" in printed
    assert str(working / ".humfind" / "humfind") in printed  # the wheel's, not a checkout's


def test_data_are_found_at_any_depth_and_more_than_one_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no data set in the competition's layout"):
        session.find_data(tmp_path)
    for kind in ("full_song", "hum"):
        (tmp_path / "a" / "b" / "data" / "public_test" / kind).mkdir(parents=True)
    assert session.find_data(tmp_path) == tmp_path / "a" / "b" / "data"
    for kind in ("full_song", "hum"):
        (tmp_path / "c" / "public_test" / kind).mkdir(parents=True)
    with pytest.raises(InputError, match="several data sets"):
        session.find_data(tmp_path)
    (tmp_path / "c" / "train").mkdir()
    (tmp_path / "c" / "train" / "train_meta.csv").write_text("music_id,song_path,hum_path\n")
    assert session.find_data(tmp_path) == tmp_path / "c"


def test_what_an_earlier_kernel_left_is_taken_over_and_what_is_there_stays(tmp_path: Path) -> None:
    earlier, home = tmp_path / "input" / "humfind-03-train", tmp_path / "home"
    for folder, text in ((earlier, "theirs"), (home, "mine")):
        (folder / "runs" / "data").mkdir(parents=True)
        (folder / "runs" / "data" / "summary.json").write_text(text)
    (earlier / "runs" / "data" / "model.json").write_text("theirs")
    assert session.adopt(tmp_path / "input", home) == [earlier / "runs"]
    assert (home / "runs" / "data" / "summary.json").read_text() == "mine"
    assert (home / "runs" / "data" / "model.json").read_text() == "theirs"
