"""``humfind index --parts sound`` and ``humfind tag``, in processes of their own, on real instruments."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mutagen.flac import FLAC
from tiny_world import hum_of, melody, put_audio

from humfind.synth.soundfont import RATE_HZ, Played, Soundfont

PROGRAMS = {"piano": 0, "violin": 40, "flute": 73, "harpsichord": 6}  # General MIDI


def humfind(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "humfind", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    """music/: a melody by each of four instruments, titled; index/ with both parts; a hum."""
    root = tmp_path_factory.mktemp("library")
    for n, (name, program) in enumerate(PROGRAMS.items()):
        line = np.round(melody(n, 40)[::50]).astype(int)
        played = [Played(i * 0.5, i * 0.5 + 0.48, program, int(note), 100) for i, note in enumerate(line)]
        file = root / f"music/{n}.flac"
        file.parent.mkdir(exist_ok=True)
        soundfile.write(file, 0.8 * Soundfont().play(played, 20.0), RATE_HZ)
        tags = FLAC(file)
        tags["title"] = f"Tune for {name[:2]}"
        tags.save()
    put_audio(root / "hum.wav", hum_of(0, 4.0, 10.0))
    parts = ("index", root / "music", "--tracker", "swiftf0", "--out", root / "index", "--parts", "melody,sound")
    done = humfind(*parts)
    assert done.returncode == 0, done.stderr
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [
        f"4 songs, {json.loads((root / 'index/index.json').read_text())['windows']} windows of melody",
        "4 songs, 28 segments of sound",
    ]
    return root


@pytest.mark.parametrize("name", PROGRAMS)
def test_an_instrument_is_found_by_its_name(library, name):
    done = humfind("tag", name, "--index", library / "index", "--json")
    assert done.returncode == 0, done.stderr
    first = json.loads(done.stdout)["answers"][0]
    assert first["music_id"] == str(list(PROGRAMS).index(name))
    assert first["title"] == f"Tune for {name[:2]}"
    assert first["tags"][0].startswith(f"{name} 0.")


def test_words_of_a_title_count_and_what_nothing_has_is_named(library):
    done = humfind("tag", "slow", "vi", "quixotic", "--index", library / "index", "--top", 1)
    assert done.returncode == 0, done.stderr
    assert "Tune for vi" in done.stdout
    assert done.stderr.startswith("left out: quixotic is no tag, and no title has it")


def test_a_hum_is_answered_with_tags_and_without_where_they_are_broken(library, tmp_path):
    done = humfind("search", library / "hum.wav", "--index", library / "index", "--top", 2)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[1].split()[-1] == "tags"
    shutil.copytree(library / "index", tmp_path / "index")
    (tmp_path / "index/sound/index.json").write_text("{")
    broken = humfind("search", library / "hum.wav", "--index", tmp_path / "index", "--top", 2)
    assert broken.returncode == 0, broken.stderr
    assert "without tags: " in broken.stderr
    assert "tags" not in broken.stdout
    assert broken.stdout.splitlines()[2].split()[:4] == done.stdout.splitlines()[2].split()[:4]
