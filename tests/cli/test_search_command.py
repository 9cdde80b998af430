"""``humfind index FOLDER``, ``search`` and ``listen`` on a folder of music as somebody keeps it: real files, real
processes. The player and the microphone are programs of the test's own, since no machine of ours has either."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import mido
import numpy as np
import pytest
import soundfile
from mutagen.flac import FLAC
from tiny_world import f0_of, melody, put_audio

from humfind.synth.microphone import talk

RATE_HZ = 16_000
NOTES = 120  # of a melody, half a second each: chance is read off some minutes of music


def humfind(*arguments: object, path: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "humfind", *map(str, arguments)]
    environment = os.environ | ({"PATH": path} if path else {})
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def put_midi(path: Path, midi: np.ndarray, note_s: float = 0.5) -> None:
    """A melody of notes of one length, 120 quarter notes a minute."""
    file, track = mido.MidiFile(ticks_per_beat=480), mido.MidiTrack()
    file.tracks.append(track)
    for note in midi:
        track.append(mido.Message("note_on", note=int(note), velocity=90, time=0))
        track.append(mido.Message("note_off", note=int(note), velocity=0, time=round(note_s * 960)))
    path.parent.mkdir(parents=True, exist_ok=True)
    file.save(path)


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    """music/: six recordings, one with tags, a MIDI file, an ABC file of two tunes, what is no music and what is
    broken; index/; hums of the tagged recording and of the MIDI file, and noise."""
    root = tmp_path_factory.mktemp("library")
    music = root / "music"
    for song in range(6):
        put_audio(music / f"recordings/{song}.flac", f0_of(melody(song, NOTES)))
    tags = FLAC(music / "recordings/3.flac")
    tags["title"], tags["artist"], tags["album"] = "A tune", "Somebody", "Together"
    tags.save()
    put_midi(music / "written/seven.mid", melody(7, NOTES)[::50])
    bars = {"Up and down": "CDEF GABc|cBAG FEDC|CDEF GABc|", "Thirds": "CEDF EGFA|GBAc BdcB|AFGE FDEC|"}
    tunes = [f"X:{i}\nT:{title}\nM:4/4\nL:1/8\nK:C\n{bars[title]}\n" for i, title in enumerate(bars, 1)]
    (music / "tunes.abc").write_text("\n".join(tunes))
    for name in ("cover.jpg", "list.m3u", "._0.flac"):
        (music / name).write_bytes(b"no music")
    (music / "broken.mid").write_bytes(b"MThd")
    (music / "tracker.xm").write_bytes(b"Extended Module: ")
    put_audio(root / "three.wav", f0_of(melody(3, NOTES)[300:1100], -4, 1.1))
    put_audio(root / "seven.wav", f0_of(melody(7, NOTES)[300:1100], 2))
    soundfile.write(root / "noise.wav", 0.1 * np.random.default_rng(0).standard_normal(5 * RATE_HZ), RATE_HZ)
    done = humfind("index", music, "--model", "pretrained", "--tracker", "swiftf0", "--out", root / "index")
    assert done.returncode == 0, done.stderr
    assert "skipped: broken.mid: not a whole MIDI file" in done.stderr
    assert "skipped: tracker.xm: .xm files are not read; convert it, for example to flac" in done.stderr
    assert "9 songs" in done.stdout
    assert ", 2 skipped: " in done.stdout
    return root


def test_written_melodies_are_songs_and_tags_are_kept(library):
    done = humfind("search", library / "three.wav", library / "seven.wav", "--index", library / "index", "--json")
    assert done.returncode == 0, done.stderr
    three, seven = json.loads(done.stdout)
    assert (three["query"], three["verdict"]) == ("three.wav", "found")
    first = three["answers"][0]
    assert (first["title"], first["artist"], first["album"]) == ("A tune", "Somebody", "Together")
    assert Path(first["path"]) == (library / "music/recordings/3.flac").resolve()
    assert first["match"]["start_s"] == pytest.approx(3.0, abs=0.5)
    assert 0.8 < first["probability"] <= three["here"] <= 1
    assert seven["answers"][0]["music_id"] == "written/seven"
    assert {"tunes/1", "tunes/2"} <= {answer["music_id"] for answer in seven["answers"]}


def test_a_hum_without_melody_costs_the_others_nothing(library, tmp_path):
    hums = [library / name for name in ("three.wav", "noise.wav", "seven.wav")]
    done = humfind("search", *hums, "--index", library / "index", "--plot", tmp_path / "plots")
    assert done.returncode == 2
    assert "found: Somebody - A tune (probability" in done.stdout
    assert "noise.wav: " in done.stderr
    assert "noise.wav" not in done.stdout
    assert sorted(path.name for path in (tmp_path / "plots").iterdir()) == ["seven.png", "three.png"]
    assert (tmp_path / "plots/three.png").read_bytes().startswith(b"\x89PNG")


def test_a_melody_that_is_not_there_is_not_here(library):
    put_audio(library / "absent.wav", f0_of(melody(99, NOTES)[300:1100]))
    done = humfind("search", library / "absent.wav", "--index", library / "index")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("not here: none of 9 songs fits (probability 0.")


@pytest.mark.parametrize("seed", range(3))
def test_speech_is_not_here(library, seed):
    speech = talk(8 * RATE_HZ, RATE_HZ, np.random.default_rng(seed))
    soundfile.write(library / "speech.wav", 0.3 * speech / np.abs(speech).max(), RATE_HZ)
    done = humfind("search", library / "speech.wav", "--index", library / "index", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "not here"


def program(folder: Path, name: str, script: str) -> str:
    """A folder for PATH that has this program and Python."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)
    return f"{folder}:/bin:/usr/bin"


def test_the_matched_place_is_played(library, tmp_path):
    path = program(tmp_path / "bin", "ffplay", f'for last; do :; done; cp "$last" {tmp_path}/played.wav')
    done = humfind("search", library / "three.wav", "--index", library / "index", "--play", path=path)
    assert done.returncode == 0, done.stderr
    assert soundfile.info(tmp_path / "played.wav").duration == pytest.approx(8.0, abs=1.0)


def test_listen_searches_what_is_recorded(library, tmp_path):
    path = program(tmp_path / "bin", "arecord", f'for last; do :; done; cp {library}/three.wav "$last"')
    done = humfind("listen", "--index", library / "index", "--seconds", "2", path=path)
    assert done.returncode == 0, done.stderr
    assert "found: Somebody - A tune" in done.stdout
    path = program(tmp_path / "bin", "arecord", "echo no such device >&2; exit 1")
    done = humfind("listen", "--index", library / "index", "--seconds", "2", path=path)
    assert (done.returncode, done.stdout) == (2, "")
    assert "records nothing (no such device); see that a microphone is there" in done.stderr
    done = humfind("listen", "--index", library / "index", path=str(tmp_path / "no programs"))
    assert done.returncode == 2
    assert done.stderr.startswith("humfind: listen: no program to record sound is there; install one of arecord,")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--plot", "hum.jpg"], "hum.jpg: not a .png; name one, for example hum.png"),
        (["--plot", "nowhere/hum.png"], "nowhere/hum.png: its folder is not there; make it first"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_any_work(library, arguments, words):
    done = humfind("search", library / "three.wav", "--index", library / "no index", *arguments)
    assert done.returncode == 2
    assert done.stderr == f"humfind: {words}\n"


def test_without_a_trained_model_an_index_takes_the_shipped_one_and_says_so(tmp_path: Path) -> None:
    music = tmp_path / "music"
    music.mkdir()
    (music / "scale.abc").write_text("X:1\nT:A scale\nL:1/4\nK:C\n" + "CDEF GABc cBAG FEDC " * 4 + "\n")
    done = humfind("index", music, "--out", tmp_path / "index")
    assert done.returncode == 0, done.stderr
    assert "no model was trained on music: the one that the package carries is taken" in done.stderr
    again = humfind("index", music, "--model", "pretrained", "--out", tmp_path / "named")
    assert "no model was trained" not in again.stderr
    one, other = (json.loads((tmp_path / folder / "index.json").read_text()) for folder in ("index", "named"))
    assert one["model_checksum"] == other["model_checksum"]
