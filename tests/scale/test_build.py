"""An index built by several processes is the one that one process builds, whichever of them die."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from tiny_world import LONGEST_S, f0_of, melody, put_audio

from humfind.f0.store import parts, read_skipped
from humfind.index import Index
from humfind.index.parts import PARTS

SONGS = 20
POISON = """
import os
opened = os.open
def poisoned(path, *more, **named):
    if "poison" in str(path):
        os._exit(9)
    return opened(path, *more, **named)
os.open = poisoned
"""  # as a decoder that crashes


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Recordings in three folders, one of them twice, one that is none, and a tune that is written."""
    folder = tmp_path_factory.mktemp("music")
    for i in range(SONGS):
        put_audio(folder / f"{i % 3}/{i}.wav", f0_of(melody(i, notes=16), shift=12))
    shutil.copy(folder / "1/1.wav", folder / "again.wav")
    (folder / "text.wav").write_text("no sound")
    notes = " ".join("CDEF GABc cBAG FEDC EGEG" for _ in range(8))
    (folder / "tune.abc").write_text(f"X:1\nT:A tune\nM:4/4\nL:1/8\nK:C\n{notes}|\n")
    return folder


def command(music: Path, out: Path, *more: str) -> list[str]:
    given = [sys.executable, "-m", "humfind", "index", str(music), "--out", str(out)]
    return [*given, "--tracker", "swiftf0", "--model", "pretrained", *more]


@pytest.fixture(scope="module")
def serial(music: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    out = tmp_path_factory.mktemp("serial") / "index"
    subprocess.run(command(music, out), check=True, capture_output=True)
    return files_of(out)


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def until(there: Callable[[], object], process: subprocess.Popen[str]) -> bool:
    """Whether it came to be while the process ran."""
    while process.poll() is None:
        if there():
            return True
        time.sleep(0.02)
    return False


def made(out: Path) -> list[Path]:
    return sorted((out / PARTS).glob("*/done.json"))


def begun(out: Path) -> bool:
    return any((out / PARTS).glob("*/f0/*/song/*"))


def workers_of(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """Those of its descendants that hold the networks."""
    found = []
    for child in psutil.Process(process.pid).children(recursive=True):
        if child.memory_info().rss > 200e6:
            found.append(child)
    return found


def test_two_workers_make_what_one_process_makes(music: Path, serial: dict[str, bytes], tmp_path: Path):
    out = tmp_path / "index"
    done = subprocess.run(command(music, out, "--workers", "2"), check=True, capture_output=True, text=True)
    assert f"{SONGS + 1} songs" in done.stdout
    assert "again.wav: the same file as 1/1.wav" in done.stderr
    assert "text.wav: cannot be read as audio" in done.stderr
    assert files_of(out) == serial
    again = subprocess.run(command(music, out, "--workers", "2"), check=True, capture_output=True, text=True)
    assert "recording" not in again.stderr.partition("skipped")[0], "nothing is made again"
    assert files_of(out) == serial


def test_workers_that_are_killed_cost_nothing_but_time(music: Path, serial: dict[str, bytes], tmp_path: Path):
    out, killed = tmp_path / "index", 0
    with subprocess.Popen(
        command(music, out, "--workers", "2"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        for turn in range(2):
            if until(lambda turn=turn: begun(out) and len(made(out)) >= turn and workers_of(process), process):
                victims = workers_of(process)
                victims[turn % len(victims)].kill()
                killed += 1
                time.sleep(1.5)
        said = process.communicate(timeout=LONGEST_S)
    assert process.returncode == 0, said
    assert killed
    assert files_of(out) == serial


def test_a_build_that_is_killed_goes_on_where_it_was(music: Path, serial: dict[str, bytes], tmp_path: Path):
    out = tmp_path / "index"
    with subprocess.Popen(
        command(music, out, "--workers", "1"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert until(lambda: made(out), process)
        family = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
        for one in family:
            one.kill()
    before = {path: path.stat().st_mtime_ns for path in made(out)}
    assert before
    with subprocess.Popen(
        command(music, out, "--workers", "2"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as again:
        assert until(lambda: len(made(out)) > len(before), again)
        assert {path: path.stat().st_mtime_ns for path in before} == before, "they are not made again"
        again.communicate(timeout=LONGEST_S)
    assert again.returncode == 0
    assert files_of(out) == serial


def test_a_recording_that_ends_its_workers_is_left_out_and_named(music: Path, tmp_path: Path):
    """And it alone: those that wait behind it for the same worker are not to blame."""
    folder = tmp_path / "music"
    shutil.copytree(music / "0", folder)
    shutil.copy(music / "1/4.wav", folder / "0-poison.wav")  # before all others
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(POISON)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])}
    environment |= {"DASK_DISTRIBUTED__SCHEDULER__WORKER_SATURATION": "inf"}  # all wait at their worker from the start
    given = command(folder, tmp_path / "index", "--workers", "1")
    done = subprocess.run(given, capture_output=True, text=True, env=environment, timeout=LONGEST_S)
    assert done.returncode == 0, done.stderr
    assert "skipped: 0-poison.wav: it ended 3 workers, and a process of its own; the next build" in done.stderr
    found = Index.load(tmp_path / "index")
    assert found.music_ids == tuple(sorted(path.stem for path in (music / "0").iterdir()))
    store = tmp_path / "index/f0/public_test/song"
    assert [skip.path.split("/")[0] for one in parts(store) for skip in read_skipped(one)] == ["0-poison.wav"]
    again = subprocess.run(given, check=True, capture_output=True, text=True, timeout=LONGEST_S)
    assert "skipped" not in again.stderr, "it reads well now, and is tried again"
    assert Index.load(tmp_path / "index").music_ids == ("0", "0-poison", *found.music_ids[1:])


@contextmanager
def cluster(address: str, folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], subprocess.Popen[bytes]]]:
    """A scheduler and a worker, each a process."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    port = address.rpartition(":")[2]
    base = [sys.executable, "-m", "distributed.cli.dask_scheduler"]
    scheduler = subprocess.Popen([*base, "--host", "127.0.0.1", "--port", port, "--no-dashboard"], **quiet)
    base = [sys.executable, "-m", "distributed.cli.dask_worker", address, "--nthreads", "1", "--no-dashboard"]
    worker = subprocess.Popen([*base, "--local-directory", str(folder)], **quiet)
    try:
        yield scheduler, worker
    finally:
        for one in (worker, scheduler):
            one.send_signal(signal.SIGTERM)
            one.wait(30)


def test_a_cluster_whose_scheduler_dies_and_comes_back(music: Path, serial: dict[str, bytes], tmp_path: Path):
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"tcp://127.0.0.1:{listening.getsockname()[1]}"
    out = tmp_path / "index"
    given = command(music, out, "--scheduler", address)
    with (
        cluster(address, tmp_path) as (scheduler, _),
        subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
    ):
        assert until(lambda: made(out), process)
        scheduler.kill()
        said = process.communicate(timeout=LONGEST_S)[1]
        assert process.returncode == 2, said
        assert "the scheduler is gone; give the same command again: it goes on from here" in said
    there = made(out)
    assert there
    with cluster(address, tmp_path):
        subprocess.run(given, check=True, capture_output=True, timeout=LONGEST_S)
    assert files_of(out) == serial


@pytest.mark.parametrize(
    ("more", "words"),
    [
        (["--workers", "2", "--scheduler", "tcp://127.0.0.1:9"], "give one of the two"),
        (["--scheduler", "tcp://127.0.0.1:9"], r"tcp://127\.0\.0\.1:9: no Dask scheduler answers .*; see that it runs"),
        (["--scheduler", "nowhere at all"], "nowhere at all: no Dask scheduler answers"),
        (["--workers", "2", "--parts", "sound"], "build melodies; give --parts melody too"),
        (["--workers", "2", "--engine", "none"], "engine 'none': unknown"),
        (["--workers", "2", "--f0", "there"], "workers track a folder of music themselves; leave --f0 out"),
    ],
)
def test_what_cannot_be_built_so(music: Path, tmp_path: Path, more: list[str], words: str):
    done = subprocess.run(command(music, tmp_path / "index", *more), capture_output=True, text=True, timeout=LONGEST_S)
    assert done.returncode == 2
    assert re.search(words, done.stderr)
    assert len([line for line in done.stderr.splitlines() if line.startswith("humfind")]) == 1
