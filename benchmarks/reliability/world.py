"""A small world to attack: a data set of clear melodies, an f0 store, an index, models, a submission, tunes.

Everything is made by the commands themselves, in processes of their own; each try gets a copy.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import mido
import numpy as np
import soundfile

SONGS = 5
RATE_HZ = 16_000
TUNE = "X:1\nT:A tune\nM:4/4\nL:1/4\nK:C\n" + "CDEF GABc|eGcE DFAc|" * 3 + "\n"


def melody(number: int, notes: int = 40) -> np.ndarray:
    """MIDI semitones, half a second a note: a random walk."""
    steps = np.random.default_rng(number).choice([-4, -3, -2, -1, 1, 2, 3, 4], notes)
    return 62.0 + np.cumsum(steps) - np.median(np.cumsum(steps))


def sing(path: Path, midi: np.ndarray, note_s: float = 0.5) -> None:
    """Two partials, half a second a note."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hz = np.repeat(440.0 * 2.0 ** ((midi - 69.0) / 12.0), round(note_s * RATE_HZ))
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    soundfile.write(path, 0.5 * np.sin(phase) + 0.2 * np.sin(2 * phase), RATE_HZ)


def make(root: Path) -> None:
    """The world, in ``root``; HUMFIND_HOME is ``root``/home."""
    data = root / "data"
    meta = ["music_id,song_path,hum_path"]
    for i in range(SONGS):
        sing(data / f"public_test/full_song/{i:04d}.wav", melody(i))
        sing(data / f"train/song/{i:04d}.wav", melody(i + 50, 20))
        sing(data / f"train/hum/{i:04d}.wav", melody(i + 50, 20) + 3)
        meta.append(f"{i:04d},train/song/{i:04d}.wav,train/hum/{i:04d}.wav")
    for i in range(3):
        sing(data / f"public_test/hum/h{i}.wav", melody(i)[6:26] + 4)
    (data / "public_test/answers.csv").write_text("hum,music_id\n" + "".join(f"h{i},{i:04d}\n" for i in range(3)))
    (data / "train/train_meta.csv").write_text("\n".join(meta) + "\n")
    (data / "songs.csv").write_text("music_id,title\n" + "".join(f"{i:04d},Song {i}\n" for i in range(SONGS)))
    sing(root / "hum.wav", melody(1)[4:24] + 2)
    (root / "notes.txt").write_text("the user's own\n")
    (root / "mine.csv").write_text("the user's own\n")
    (root / "tunes").mkdir()
    (root / "tunes/a.abc").write_text(TUNE)
    track = mido.MidiTrack()
    for note in melody(7):
        track += [mido.Message("note_on", note=int(note)), mido.Message("note_off", note=int(note), time=480)]
    mido.MidiFile(tracks=[track]).save(root / "tunes/b.mid")
    for arguments in (
        ["f0", "data", "--out", "store", "--tracker", "swiftf0"],
        ["train", "data", "--f0", "store", "--out", "model", "--steps", "1"],
        ["index", "data/public_test/full_song", "--model", "pretrained", "--tracker", "swiftf0", "--out", "index"],
        ["predict", "data", "--f0", "store", "--model", "pretrained", "--out", "submission.csv"],
    ):
        command = [sys.executable, "-m", "humfind", *arguments]
        subprocess.run(command, cwd=root, env=environment(root), check=True, capture_output=True)


def environment(root: Path) -> dict[str, str]:
    return {**os.environ, "HUMFIND_HOME": str(root / "home"), "OMP_NUM_THREADS": "1"}


def copy(world: Path, to: Path) -> None:
    shutil.copytree(world, to, symlinks=True)


def snapshot(root: Path) -> dict[str, str]:
    """What lies below ``root``: path -> what it is; contents by their checksum."""
    found = {}
    for folder, folders, files in os.walk(os.fsencode(root)):
        for name in (*folders, *files):
            path = os.path.join(folder, name)
            mode = os.lstat(path).st_mode
            key = os.fsdecode(os.path.relpath(path, os.fsencode(root)))
            if stat.S_ISLNK(mode):
                found[key] = f"link {os.fsdecode(os.readlink(path))}"
            elif stat.S_ISREG(mode):
                size = os.lstat(path).st_size
                with open(path, "rb") as file:
                    found[key] = f"{size} {hashlib.sha256(file.read(2**22)).hexdigest()}"
            else:
                found[key] = f"kind {stat.S_IFMT(mode):o}"
    return found
