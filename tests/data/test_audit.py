"""Planted leaks are found, each by name; honest data has none."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from tiny_world import REPOSITORY
from toy import melody_f0
from typer.testing import CliRunner

from humfind import cli
from humfind.data import audit as leaks
from humfind.data.audit import Compared, find_leaks, in_both
from humfind.f0.store import Manifest, StoredF0, open_for_writing, write_part
from humfind.types import F0

DEMO = REPOSITORY / "crepe_freq" / "demo-tiny" / "torchcrepe"


def notes(song: int, count: int = 50) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(song)
    return 60 + np.cumsum(rng.integers(-4, 5, count)) % 13, rng.choice([0.2, 0.4, 0.6], count)


def song_f0(song: int) -> F0:
    return melody_f0(np.random.default_rng(song), *notes(song), human=False)


def hum_f0(song: int) -> F0:
    """The tune, as a person sings it: another key and tempo, uneven."""
    pitch, lengths = notes(song)
    return melody_f0(np.random.default_rng(100 + song), pitch[:25], lengths[:25], human=True)


def piece(f0: F0, first: int, count: int, cents: float = 0.0, seed: int = 0) -> F0:
    """Frames of an f0, heard once more: off by a few cents at random."""
    rng = np.random.default_rng(seed)
    hz = f0.hz[first : first + count] * 2 ** (cents * rng.standard_normal(len(f0.hz[first : first + count])) / 1200)
    return F0(hz.astype(np.float32), f0.confidence[first : first + count], f0.hop_s, f0.threshold)


def honest() -> list[Compared]:
    """Four songs in training, two in validation, three in the test, hummed by people."""
    world = []
    for song in range(9):
        side = "train" if song < 4 else "validation" if song < 6 else "public_test"
        world.append(Compared(f"song/{song}.mp3", "song", side, str(song), song_f0(song)))
        world.append(Compared(f"hum/{song}.mp3", "hum", side, str(song), hum_f0(song)))
    return world


def test_honest_data_has_no_leak():
    report = find_leaks(honest())
    assert report.leaks == ()
    assert (report.compared, report.silent) == (18, 0)
    assert "no leaks" in str(report)


def test_a_song_on_both_sides_by_its_id():
    assert in_both(["1", "2", "3"], ["4", "5"]) == []
    assert [str(leak) for leak in in_both(["1", "2"], ["2", "9"])] == [
        "song in train and validation: train 2 and validation 2"
    ]


@pytest.mark.parametrize("first", [0, 137, 530])
def test_a_cut_of_a_training_song_in_the_test(first):
    """Another encoding of a part of it, at an offset that is no multiple of a frame."""
    cut = Compared("full_song/new.mp3", "song", "public_test", "new", piece(song_f0(2), first, 900, cents=4))
    report = find_leaks([*honest(), cut])
    assert [(leak.what, leak.a, leak.b) for leak in report.leaks] == [
        ("one song in public_test and train", "train song/2.mp3 of 2", "public_test full_song/new.mp3 of new")
    ]
    assert "% of 4 s within 25 cents, " in report.leaks[0].detail


def test_the_same_f0_under_two_ids_on_one_side():
    twin = Compared("song/twin.mp3", "song", "train", "99", song_f0(1))
    assert [leak.what for leak in find_leaks([*honest(), twin]).leaks] == ["one song under two ids"]


def test_a_test_song_that_training_has_under_its_own_id():
    again = Compared("full_song/1.mp3", "song", "public_test", "1", song_f0(1))
    assert [leak.what for leak in find_leaks([*honest(), again]).leaks] == ["one song in public_test and train"]


def test_excerpts_of_one_song_on_one_side_are_no_leak():
    excerpt = Compared("song/1b.mp3", "song", "train", "1", piece(song_f0(1), 200, 900))
    assert find_leaks([*honest(), excerpt]).leaks == ()


@pytest.mark.parametrize("cents", [0.0, 5.0])
def test_a_hum_rendered_from_the_songs_own_audio(cents):
    rendered = Compared("hum/fake.mp3", "hum", "public_test", None, piece(song_f0(7), 301, 1000, cents))
    report = find_leaks([*honest(), rendered])
    assert [(leak.what, leak.a, leak.b) for leak in report.leaks] == [
        ("hum rendered from a song's own audio", "public_test song/7.mp3 of 7", "public_test hum/fake.mp3")
    ]


@pytest.mark.parametrize(("semitones", "stretch"), [(1.0, 1), (0.0, 2)])
def test_another_key_or_tempo_is_a_hum(semitones, stretch):
    own = song_f0(7)
    hz = np.repeat(own.hz, stretch)[:1000] * np.float32(2 ** (semitones / 12))
    sung = F0(hz, np.repeat(own.confidence, stretch)[:1000], own.hop_s, own.threshold)
    assert find_leaks([*honest(), Compared("hum/x.mp3", "hum", "public_test", None, sung)]).leaks == ()


def test_one_hum_in_train_and_test_and_one_twice():
    hums = [Compared(f"hum/{side}.mp3", "hum", side, None, hum_f0(0)) for side in ("train", "public_test")]
    assert [leak.what for leak in find_leaks(hums).leaks] == ["one hum in public_test and train"]
    twice = [dataclasses.replace(hum, side="public_test") for hum in hums]
    assert [leak.what for leak in find_leaks(twice).leaks] == ["one hum twice"]


def test_silence_and_held_tones_are_counted_not_compared():
    """Every held tone is like every other: no melody, no evidence."""
    tone = F0(np.full(1000, 220, np.float32), np.ones(1000, np.float32), 0.01)
    silence = F0(np.zeros(1000, np.float32), np.zeros(1000, np.float32), 0.01)
    short = F0(np.full(100, 220, np.float32), np.ones(100, np.float32), 0.01)
    odd = [Compared(f"{i}", "song", "train", str(i), f0) for i, f0 in enumerate([tone, tone, silence, silence, short])]
    report = find_leaks(odd)
    assert (report.leaks, report.compared, report.silent) == ((), 0, 5)
    assert find_leaks([*honest(), *odd]).silent == 5
    assert find_leaks([]).leaks == ()


def write_store(folder: Path, rendered: bool) -> None:
    """A store of a test split; with one hum cut from its song where asked for."""
    manifest = Manifest("toy", "1", "", "", 0.01, 0.5)
    hums = [hum_f0(song) for song in (6, 7, 8)]
    if rendered:
        hums[1] = piece(song_f0(7), 100, 900)
    for kind, f0s in (("song", [song_f0(song) for song in (6, 7, 8)]), ("hum", hums)):
        place = folder / "public_test" / kind
        open_for_writing(place, manifest)
        rows = [StoredF0(f"{song}.mp3", str(song) if kind == "song" else None, f0) for song, f0 in enumerate(f0s, 6)]
        write_part(place, 0, rows)


@pytest.mark.parametrize(("rendered", "status", "said"), [(False, 0, "no leaks"), (True, 2, "own audio")])
def test_the_command(tmp_path, rendered, status, said):
    write_store(tmp_path / "store", rendered)
    (tmp_path / "data").mkdir()
    result = CliRunner().invoke(cli.app, ["check", str(tmp_path / "data"), "--f0", str(tmp_path / "store")])
    assert (result.exit_code, result.exception if status == 0 else None) == (status, None)
    assert said in result.output
    assert "6 recordings compared" in result.output


def test_the_demo_set_is_clean(tmp_path):
    (tmp_path / "demo-tiny").mkdir()
    report, skipped = leaks.check(tmp_path / "demo-tiny", DEMO)
    assert report.leaks == ()
    assert report.compared == 44
    assert skipped == []
