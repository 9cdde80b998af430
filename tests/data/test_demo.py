"""The tiny data set: its layout, its truth, its bytes, and what happens when it is made again."""

import csv
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from humfind.config import DEMO_SIZES
from humfind.data import demo
from humfind.data.demo_plan import hum_counts
from humfind.types import InputError

FEW = replace(DEMO_SIZES["tiny"], train_songs=3, train_hums=5, public_songs=2, public_hums=2, public_song_s=(20, 22))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    out = tmp_path_factory.mktemp("demo") / "few"
    return out, demo.make("tiny", out, config=FEW, workers=1)


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_the_layout_is_the_competitions(made: tuple[Path, dict[str, Any]]) -> None:
    out, summary = made
    meta = rows(out / "train" / "train_meta.csv")
    assert list(meta[0]) == ["music_id", "song_path", "hum_path"]
    assert all((out / row["song_path"]).is_file() and (out / row["hum_path"]).is_file() for row in meta)
    assert len(meta) == 5 == summary["train_hums"]
    answers = rows(out / "public_test" / "answers.csv")
    songs = {p.stem for p in (out / "public_test" / "full_song").glob("*.mp3")}
    assert {row["music_id"] for row in answers} <= songs
    assert {row["hum"] for row in answers} == {p.name for p in (out / "public_test" / "hum").iterdir()}
    assert not songs & {row["music_id"] for row in meta}


def test_every_tune_is_credited(made: tuple[Path, dict[str, Any]]) -> None:
    out, _ = made
    titles = rows(out / "songs.csv")
    assert len(titles) == 5
    assert all(row["title"] and row["book"] == "Aird's Airs 1" and row["transcriber"] for row in titles)
    assert sum(int(row["tunes"]) for row in rows(out / "credits.csv")) == 5


def test_recordings_sound_and_last_as_long_as_promised(made: tuple[Path, dict[str, Any]]) -> None:
    out, summary = made
    total = 0.0
    for path in out.rglob("*.mp3"):
        samples, rate_hz = soundfile.read(path)
        assert 0.1 < np.abs(samples).max() <= 1.0
        total += len(samples) / rate_hz
        if "hum" in path.parts:
            assert 7.0 < len(samples) / rate_hz < 14.0
    assert total == pytest.approx(summary["audio_s"], abs=1.0)


def test_made_again_gives_the_same_bytes_even_where_it_was_interrupted(
    made: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    out, _ = made
    again = tmp_path / "again"
    demo.make("tiny", again, config=FEW, workers=1)
    files = sorted(p.relative_to(out) for p in out.rglob("*") if p.is_file())
    assert files == sorted(p.relative_to(again) for p in again.rglob("*") if p.is_file())
    # As after a kill: no marker, a recording missing.
    whole = {p: (again / p).read_bytes() for p in files}
    (again / "demo.json").rename(again / "demo.partial.json")
    (again / "train" / "hum" / "0001.mp3").unlink()
    demo.make("tiny", again, config=FEW, workers=1)
    for path in files:
        assert (again / path).read_bytes() == (out / path).read_bytes() == whole[path], path


def test_two_workers_make_the_same_bytes_as_one(
    made: tuple[Path, dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, _ = made
    monkeypatch.setattr(demo, "PARALLEL_FROM", 0)
    demo.make("tiny", tmp_path / "two", config=FEW, workers=2)
    for path in out.rglob("*.mp3"):
        assert (tmp_path / "two" / path.relative_to(out)).read_bytes() == path.read_bytes(), path


def test_a_finished_set_is_left_alone_and_another_is_refused(made: tuple[Path, dict[str, Any]]) -> None:
    out, summary = made
    stamp = (out / "demo.json").stat().st_mtime_ns
    assert demo.make("tiny", out, config=FEW) == summary
    assert (out / "demo.json").stat().st_mtime_ns == stamp
    with pytest.raises(InputError, match="another size, seed or version"):
        demo.make("tiny", out, config=FEW, seed=1)


def test_what_the_user_can_mend_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="tiny, small, full"):
        demo.make("huge", tmp_path / "out")
    (tmp_path / "mine.txt").write_text("do not touch")
    with pytest.raises(InputError, match="holds no demo set"):
        demo.make("tiny", tmp_path)
    (tmp_path / "mine.txt").unlink()
    with pytest.raises(InputError, match="ask for fewer"):
        demo.make("tiny", tmp_path, config=replace(FEW, train_songs=500, train_hums=500))


def test_every_song_is_hummed_and_none_too_often() -> None:
    counts = hum_counts(50, 90, 8, np.random.default_rng(0))
    assert sum(counts) == 90
    assert min(counts) == 1
    assert max(counts) <= 8


def test_the_marker_tells_what_was_made(made: tuple[Path, dict[str, Any]]) -> None:
    out, _ = made
    marker = json.loads((out / "demo.json").read_text())
    assert (marker["tunes_read"], marker["train_songs"], marker["public_songs"]) == (200, 3, 2)
    assert marker["duplicates_merged"] >= 0


def test_without_a_soundfont_nothing_is_begun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("humfind.synth.soundfont.find_spec", lambda name: None)
    with pytest.raises(InputError, match="pretty_midi is not installed; pip install --no-deps"):
        demo.make("tiny", tmp_path / "out", config=FEW)
    assert not (tmp_path / "out").exists()
