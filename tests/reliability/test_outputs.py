"""Nothing that this program did not write is ever replaced or removed, by any command that writes."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny_world import CONFIG, LONGEST_S, f0_of, hum_of, melody, put_audio

from humfind import cli
from humfind.encoders import build
from humfind.encoders.checkpoint import Model, input_shape
from humfind.retrieval import submission
from humfind.types import InputError

ABC = "X:1\nT:A tune\nM:4/4\nL:1/4\nK:C\nCDEF GABc|cBAG FEDC|CDEF GABc|cBAG FEDC|\n"


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data set, a checkpoint, a tune, and files of the user's own."""
    monkeypatch.setenv("HUMFIND_HOME", str(tmp_path / "home"))
    for i in range(3):
        put_audio(tmp_path / f"data/public_test/full_song/{i:04d}.wav", f0_of(melody(i, notes=16), shift=12))
    put_audio(tmp_path / "data/public_test/hum/h.wav", hum_of(1, 1.0, 5.0, shift=9))
    (tmp_path / "data/public_test/answers.csv").write_text("hum,music_id\nh,0001\n")
    (tmp_path / "data/songs.csv").write_text("music_id,title\n0001,One\n")
    torch.manual_seed(0)
    Model(CONFIG, build(CONFIG.encoder, input_shape(CONFIG))).save(tmp_path / "model.safetensors")
    (tmp_path / "tunes").mkdir()
    (tmp_path / "tunes" / "a.abc").write_text(ABC)
    for name in ("notes.csv", "notes.json", "mine/model.json", "mine/history.json", "full/keep.txt", "other.csv"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("mine")
    (tmp_path / ".new.humfind-part").mkdir()
    (tmp_path / ".new.humfind-part" / "x").write_text("mine")
    (tmp_path / "ro").mkdir()
    return tmp_path


def snapshot(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "home" not in path.parts
    }


PREDICT = ("predict", "data", "--model", "model.safetensors", "--tracker", "swiftf0", "--out")
TRAIN = ("train", "data", "--steps", "1", "--out")
MELODIES = ("import", "melodies", "tunes", "--out")


@pytest.mark.parametrize(
    "command",
    [
        (*PREDICT, "data/public_test/answers.csv"),
        (*PREDICT, "data/songs.csv"),
        (*PREDICT, "model.csv"),
        (*PREDICT, "other.csv"),
        (*PREDICT, "notes.csv"),
        (*PREDICT, "full"),
        (*PREDICT, "full/keep.txt"),
        (*PREDICT, "notes.json"),
        (*PREDICT, "notes.json/x.csv"),
        (*TRAIN, "mine"),
        (*TRAIN, "notes.csv"),
        (*TRAIN, "."),
        (*MELODIES, "full"),
        (*MELODIES, "notes.csv"),
        (*MELODIES, "new"),
        ("demo-data", "--size", "tiny", "--out", "full"),
        ("demo-data", "--size", "tiny", "--out", "notes.csv"),
        ("f0", "data", "--out", "notes.csv"),
        ("index", "data/public_test/full_song", "--model", "model.safetensors", "--out", "full"),
    ],
    ids=" ".join,
)
def test_what_is_there_stays(command: tuple[str, ...], world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world)
    before = snapshot(world)
    with pytest.raises((InputError, OSError)):  # what the command line turns into one line and status 2
        cli.app([*command], prog_name="humfind", standalone_mode=False)
    assert snapshot(world) == before


def test_a_submission_may_be_written_again_until_somebody_changes_it(
    world: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(world)
    for _ in range(2):
        cli.app([*PREDICT, "out.csv"], prog_name="humfind", standalone_mode=False)
    content = (world / "out.csv").read_bytes()
    (world / "out.csv").write_bytes(content + b"x.wav,0001\n")
    with pytest.raises(InputError, match="somebody has changed it"):
        submission.require_replaceable(world / "out.csv")
    (world / "out.csv").unlink()
    submission.require_replaceable(world / "out.csv")  # a card alone is ours


def test_through_a_symlink_the_target_is_written_again_and_again(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world)
    (world / "deep").mkdir()
    (world / "link.csv").symlink_to(world / "deep" / "target.csv")
    for _ in range(2):
        cli.app([*PREDICT, "link.csv"], prog_name="humfind", standalone_mode=False)
    assert (world / "link.csv").is_symlink()
    assert submission.read(world / "deep" / "target.csv")
    assert sorted(path.name for path in (world / "deep").iterdir()) == ["target.csv"]


def test_a_refused_output_costs_no_tracking(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world)
    with pytest.raises(InputError):
        cli.app([*PREDICT, "other.csv"], prog_name="humfind", standalone_mode=False)
    assert not (world / "home").exists()


def test_what_a_killed_import_left_is_cleared_and_only_that(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(world)
    left = world / ".tunes-store.humfind-part"
    (left / "x").mkdir(parents=True)
    (world / ".tunes-store.humfind-part.mark").touch()
    cli.app([*MELODIES, "tunes-store"], prog_name="humfind", standalone_mode=False)
    assert (world / "tunes-store").is_dir()
    assert not list(world.glob(".tunes-store*"))


def run(arguments: list[str], cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "humfind", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=LONGEST_S)


def one_line(done: subprocess.CompletedProcess[str], word: str) -> None:
    assert done.returncode == 2, done.stderr
    assert word in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.strip().count("\n") == 0, done.stderr


def test_a_deleted_working_folder_is_one_line(world: Path) -> None:
    gone = world / "gone"
    script = f"cd {gone} && rmdir {gone} && {sys.executable} -m humfind doctor"
    gone.mkdir()
    environment = {name: value for name, value in os.environ.items() if name != "HUMFIND_HOME"}
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, env=environment, timeout=LONGEST_S)
    one_line(done, "working folder is not there any more")


@pytest.mark.parametrize("handles", [7, 8, 10])
def test_few_file_handles_are_no_trace(world: Path, handles: int) -> None:
    script = f"ulimit -n {handles}; exec {sys.executable} -m humfind check data"
    done = subprocess.run(["sh", "-c", script], cwd=world, capture_output=True, text=True, timeout=LONGEST_S)
    assert done.returncode in (0, 2)
    assert "Traceback" not in done.stderr, done.stderr


def test_a_reader_that_has_seen_enough_ends_the_command_quietly() -> None:
    script = f"{sys.executable} -m humfind --help | head -n 1"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {script}"], capture_output=True, text=True, timeout=LONGEST_S
    )
    assert done.stderr == ""
    assert done.returncode == 0


def test_the_doctor_tries_whether_it_can_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from humfind.runtime import doctor

    monkeypatch.setattr(doctor, "can_write", lambda folder: folder.name != "runs")
    (tmp_path / "runs").mkdir()
    assert not doctor.diagnose(doctor.look(tmp_path)).fit


@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_closed_stream_takes_what_is_said_and_no_other_does(closed: str) -> None:
    command = "--version" if closed == "1" else "search nothing.wav --index x"
    script = f"exec {sys.executable} -m humfind {command} {closed}>&-"
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0 if closed == "1" else 2, "", "")
