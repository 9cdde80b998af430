"""``humfind similar``, in processes of its own, on real instruments."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_world import melody

from humfind.synth.soundfont import RATE_HZ, Played, Soundfont

PROGRAMS = {"piano": 0, "violin": 40, "flute": 73, "harpsichord": 6}  # General MIDI


def humfind(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "humfind", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | environment)


def played(file: Path, program: int, seed: int) -> None:
    """Ten seconds of a melody."""
    line = np.round(melody(seed, 20)[::50]).astype(int)
    notes = [Played(i * 0.5, i * 0.5 + 0.48, program, int(note), 100) for i, note in enumerate(line)]
    file.parent.mkdir(exist_ok=True, parents=True)
    soundfile.write(file, 0.8 * Soundfont().play(notes, 10.0), RATE_HZ)


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    """music/NAME.flac: a melody by each of four instruments; index/ with a sound part; queries by the same."""
    root = tmp_path_factory.mktemp("library")
    for n, (name, program) in enumerate(PROGRAMS.items()):
        played(root / f"music/{name}.flac", program, n)
        played(root / f"queries/{name}.wav", program, n + 10)
    done = humfind("index", root / "music", "--out", root / "index", "--parts", "sound")
    assert done.returncode == 0, done.stderr
    return root


@pytest.mark.parametrize("name", ["violin", "harpsichord"])
def test_an_instrument_finds_itself_in_another_melody(library, name):
    done = humfind("similar", library / f"queries/{name}.wav", "--index", library / "index", "--json")
    assert done.returncode == 0, done.stderr
    answers = json.loads(done.stdout)["answers"]
    assert answers[0]["music_id"] == name
    assert len(answers) == 4
    assert answers[0]["match"]["end_s"] - answers[0]["match"]["start_s"] == pytest.approx(3, abs=0.1)


def test_a_place_the_table_and_the_map(library, tmp_path):
    page = tmp_path / "map.html"
    track = library / "music/piano.flac"
    done = humfind("similar", track, "--at", "0:05", "--index", library / "index", "--map", page)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["song", "title", "where", "score", "tags"]
    assert [line.split()[1] for line in lines[1:]].count("piano") == 0, "a track is not like itself: it is itself"
    assert len(lines) == 4
    assert done.stderr.strip().endswith(f"segments: {page}")
    assert "piano.flac" in page.read_text()


def test_the_place_is_played(library, tmp_path):
    """By the first program that there is: one that keeps what it was given."""
    player = tmp_path / "bin" / "ffplay"
    player.parent.mkdir()
    player.write_text(f'#!/bin/sh\nfor last; do :; done\ncp "$last" {tmp_path}/asked.wav\n')
    player.chmod(0o755)
    query = library / "queries/flute.wav"
    path = f"{player.parent}{os.pathsep}{os.environ['PATH']}"
    done = humfind("similar", query, "--index", library / "index", "--top", 1, "--play", PATH=path)
    assert done.returncode == 0, done.stderr
    asked, rate_hz = soundfile.read(tmp_path / "asked.wav")
    assert len(asked) / rate_hz == pytest.approx(3, abs=0.1)
    flute, _ = soundfile.read(library / "music/flute.flac")
    starts = [round(n * 2.992 * rate_hz) for n in range(3)]
    mono = flute.mean(axis=1)
    assert min(np.abs(mono[at : at + 20_000] - asked[:20_000]).max() for at in starts) < 1e-3


def test_a_playlist_of_the_library(library, tmp_path):
    """Genres come from a table; the list is one that players read."""
    table = tmp_path / "tracks.csv"
    table.write_text("file,artist,title,year,genre\npiano.flac,Ann,First,1999,hall\nharpsichord.flac,,,,hall\n")
    index = ["--out", library / "index", "--parts", "tracks", "--table", table]
    assert humfind("index", library / "music", *index).returncode == 0
    listed = tmp_path / "list.m3u8"
    command = ["playlist", "first", "--index", library / "index", "--length", "3"]
    done = humfind(*command, "--out", listed)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[0] == "1  Ann - First: given"
    assert "hall, too" in done.stdout
    lines = listed.read_text().splitlines()
    assert lines[:2] == ["#EXTM3U", "#EXTINF:10,Ann - First"]
    assert all(Path(line).is_file() for line in lines[2::2])
    found = json.loads(humfind(*command, "--json").stdout)
    assert [one["given"] for one in found] == [True, False, False]
    assert found[0]["year"] == 1999
    wrong = humfind("playlist", "thirst", "--index", library / "index")
    assert (wrong.returncode, wrong.stderr.count("\n")) == (2, 1)
    assert "no track of the index; did you mean First?" in wrong.stderr
    table.write_text("file,genre\nother.flac,hall\n")
    unknown = humfind("index", library / "music", *index)
    assert unknown.returncode == 2
    assert "the table knows none of its files" in unknown.stderr
