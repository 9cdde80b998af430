"""One writer a folder, across processes; a killed holder holds nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from humfind.config import F0Config
from humfind.data import demo
from humfind.f0.extract import extract
from humfind.index import Index
from humfind.index.folder import Entry, IndexInfo, Song
from humfind.runtime.lock import lock_path, writing
from humfind.types import Embeddings, InputError, Windows

HOLD = """
import sys, time
from humfind.runtime.lock import writing
with writing(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture
def holder(tmp_path: Path):
    """Another process that writes ``tmp_path/"out"``."""
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()


def small_index() -> Index:
    zeros, row = np.zeros(1, np.float32), np.eye(1, 4, dtype=np.float32)
    windows = Windows(np.zeros((1, 2, 8), np.float32), zeros, zeros + 1, zeros + 1, zeros)
    return Index.build([Entry(Song("a"), None, windows, Embeddings(row))], IndexInfo())


def test_the_second_process_is_told_who_is_there(tmp_path: Path, holder: subprocess.Popen) -> None:
    out = tmp_path / "out"
    told = pytest.raises(InputError, match=rf"out: process {holder.pid} is writing there; wait until it is done")
    with told, writing(out):
        pass
    with told:
        demo.make("tiny", out)
    with told:
        extract([], F0Config(tracker="swiftf0"), out, "train", "hum")
    with told:
        small_index().save(out)
    assert not out.exists(), "who is refused leaves nothing"


def test_a_command_that_is_refused_ends_in_one_line_and_2(tmp_path: Path, holder: subprocess.Popen) -> None:
    command = [sys.executable, "-m", "humfind", "demo-data", "--size", "tiny", "--out", str(tmp_path / "out")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert f"process {holder.pid} is writing there" in done.stderr


def test_a_killed_holder_holds_nothing(tmp_path: Path, holder: subprocess.Popen) -> None:
    holder.send_signal(signal.SIGKILL)
    holder.wait()
    assert lock_path(tmp_path / "out").exists(), "its file is left"
    with writing(tmp_path / "out"):
        assert lock_path(tmp_path / "out").read_text() == f"{os.getpid()}\n"
    assert list(tmp_path.iterdir()) == []


def test_a_holder_may_ask_again_and_others_only_after_it_left(tmp_path: Path) -> None:
    ask = [sys.executable, "-c", HOLD.replace("time.sleep(60)", "pass"), str(tmp_path / "out")]
    with writing(tmp_path / "out"):
        with writing(tmp_path / "out"):
            pass
        assert subprocess.run(ask, capture_output=True).returncode == 1, "the inner one has not let go"
        with writing(tmp_path / "other"):
            pass
    assert subprocess.run(ask, capture_output=True).returncode == 0


def test_readers_are_not_blocked(tmp_path: Path) -> None:
    small_index().save(tmp_path / "index")
    read = "import sys; from humfind.index import Index; from pathlib import Path; Index.load(Path(sys.argv[1]))"
    with writing(tmp_path / "index"):
        assert subprocess.run([sys.executable, "-c", read, str(tmp_path / "index")]).returncode == 0


def test_four_at_once_are_one_after_the_other(tmp_path: Path) -> None:
    """Each adds a line where it finds none of another's; a lock file that is removed must not let two in."""
    script = """
import sys, time
from pathlib import Path
from humfind.runtime.lock import writing
from humfind.types import InputError
busy = Path(sys.argv[1]) / "busy"
for _ in range(200):
    try:
        with writing(Path(sys.argv[1]) / "out"):
            assert not busy.exists()
            busy.touch()
            time.sleep(0.0005)
            busy.unlink()
    except InputError:
        time.sleep(0.0002)
"""
    many = [subprocess.Popen([sys.executable, "-c", script, str(tmp_path)]) for _ in range(4)]
    assert [process.wait() for process in many] == [0] * 4
