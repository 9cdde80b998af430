"""A full disk ends in one clear line and exit status 2; what was there still opens, and it goes on after."""

from __future__ import annotations

import errno
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
from tiny_world import REPOSITORY

from benchmarks.reliability import small_steps
from humfind.f0.store import Store
from humfind.index import Index
from humfind.index.folder import Entry, IndexInfo, Song
from humfind.index.mapped import Spool
from humfind.runtime.files import atomic_write, full_disk
from humfind.types import Embeddings, InputError, Windows

SMALL = "benchmarks.reliability.small_steps"


def run(*arguments: object, largest: int | None = None) -> subprocess.CompletedProcess[str]:
    """``python -m`` with these arguments; largest: bytes that a file may have, as on a full disk."""
    command = ["bash", "-c", 'ulimit -f "$1"; shift; exec "$@"', "-", str(largest // 1024 if largest else "unlimited")]
    command += [sys.executable, "-B", "-m", *(str(argument) for argument in arguments)]
    return subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)


@contextmanager
def files_of(largest: int) -> Iterator[None]:
    """In this process, for a while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def told(done: subprocess.CompletedProcess[str], file: str) -> None:
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("humfind: ")]
    assert len(lines) == 1
    assert file in lines[0]
    assert "make room, then give the same command again" in lines[0]
    assert "Traceback" not in done.stderr


def no_halves(folder: Path) -> bool:
    return not [path for path in folder.parent.rglob("*") if path.name.endswith((".part", ".lock", ".old"))]


@pytest.mark.slow
def test_demo_data(small_world: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    told(
        run(SMALL, "data", out, largest=100 * 1024),
        ".mp3: larger than files may be here (102,400",
    )
    assert no_halves(out)
    small_steps.make_data(out)
    for path in (small_world / "data").rglob("*.*"):
        assert (out / path.relative_to(small_world / "data")).read_bytes() == path.read_bytes()


def test_f0(small_world: Path, tmp_path: Path) -> None:
    out = tmp_path / "store"
    told(
        run(SMALL, "f0", small_world / "data", out, largest=16 * 1024),
        ".parquet: larger than files may",
    )
    assert no_halves(out)
    held = Store(out).read("train", "song") + Store(out).read("public_test", "song")
    small_steps.track(small_world / "data", out)
    assert 0 < len(held) < 5
    for path in (small_world / "f0").rglob("*.*"):
        assert (out / path.relative_to(small_world / "f0")).read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_train(small_world: Path, tmp_path: Path) -> None:
    out, small = tmp_path / "model", small_world / "train" / "model.safetensors"
    largest = (small.stat().st_size // 1024 + 4) * 1024  # a model fits, a training's state does not
    told(
        run(
            SMALL,
            "train",
            small_world / "data",
            small_world / "f0",
            out,
            largest=largest,
        ),
        "resume.safet",
    )
    assert no_halves(out)
    small_steps.train(small_world / "data", small_world / "f0", out)
    assert (out / "model.safetensors").read_bytes() == small.read_bytes()


def test_an_index_that_grows_on_the_disk(tmp_path: Path) -> None:
    grows = Spool("<f4", tmp_path / "index")
    with files_of(64 * 1024):
        grows.append(np.zeros((4, 1024), np.float32))
        with pytest.raises(InputError, match=rf"{tmp_path}: larger than files may be here"):
            grows.append(np.zeros((16, 1024), np.float32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_index_and_predict(small_world: Path, tmp_path: Path) -> None:
    model, out = small_world / "train" / "model.safetensors", tmp_path / "index"
    command = ("humfind", "index", small_world / "f0", "--model", model, "--out", out)
    told(run(*command, largest=1024), "larger than files may be")
    assert not out.exists()
    assert no_halves(out)
    assert run(*command).returncode == 0
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    told(run(*command, largest=1024), "larger than files may be")
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before, "the index that was there stays"
    csv = tmp_path / "submission.csv"
    arguments = ("humfind", "predict", small_world / "data", "--f0", small_world / "f0", "--model", model, "--out", csv)
    told(run(*arguments, largest=1024), "submission.json: larger than files may be")


@pytest.mark.slow
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting needs root")
def test_a_disk_that_is_full(small_world: Path, tmp_path: Path) -> None:
    """The real thing: a disk of 64 kB in memory."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)], capture_output=True)
    if mounted.returncode:
        pytest.skip("no tmpfs can be mounted here")
    try:
        done = run(SMALL, "f0", small_world / "data", disk / "store")
        told(done, "disk full (")
        assert "of 65,536 bytes free)" in done.stderr
        held = Store(disk / "store").read("train", "song")
        assert 0 < len(held) <= 3
        assert no_halves(disk / "store")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_which_errors_are_a_full_disk(tmp_path: Path) -> None:
    assert "disk full" in str(full_disk(OSError(errno.ENOSPC, "No space left", str(tmp_path / "x"))))
    assert "quota used up" in str(full_disk(OSError(errno.EDQUOT, "Quota exceeded")))
    wrapped = RuntimeError("a library's own words")
    wrapped.__cause__ = OSError(errno.ENOSPC, "No space left")
    assert "disk full" in str(full_disk(wrapped))
    assert full_disk(OSError(errno.EACCES, "no")) is None
    assert full_disk(ValueError()) is None


def test_a_write_that_finds_no_room_keeps_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    atomic_write(path, b"old")
    with files_of(1000), pytest.raises(InputError, match=r"a\.txt: larger than files may be here \(1,000 bytes"):
        atomic_write(path, b"x" * 2000)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_index_that_finds_no_room_keeps_the_one_before(tmp_path: Path) -> None:
    small, large = (random_index(windows) for windows in (1, 3000))
    small.save(tmp_path / "index")
    with files_of(100_000), pytest.raises(InputError, match=r"vectors\.npy: larger than files may be"):
        large.save(tmp_path / "index")
    assert len(Index.load(tmp_path / "index").vectors) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["index"]


def random_index(windows: int) -> Index:
    zeros = np.zeros(windows, np.float32)
    vectors = np.random.default_rng(0).standard_normal((windows, 32)).astype(np.float32)
    cut = Windows(np.zeros((windows, 2, 8), np.float32), zeros, zeros + 1, zeros + 1, zeros)
    return Index.build([Entry(Song("a"), None, cut, Embeddings(vectors))], IndexInfo())
