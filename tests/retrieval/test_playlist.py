"""Playlists: what is chosen, in which order, why; and the tracks part that they are made of."""

from __future__ import annotations

from itertools import pairwise, permutations
from pathlib import Path

import numpy as np
import pytest
import soundfile
from mutagen.flac import FLAC
from tiny_world import f0_of, melody, put_audio

from humfind.audio.rhythm import tempo_bpm
from humfind.audio.tonality import key_of
from humfind.index import index_folder
from humfind.index.tracks import Track, load_tracks, save_tracks
from humfind.retrieval.playlist import Playlists, key_gap, tempo_gap, write_m3u8
from humfind.retrieval.tracks import write_tracks
from humfind.types import InputError


def track(name: str, **said: object) -> Track:
    return Track(name, title=f"Title of {name}", **{"tempo_bpm": 120.0, "tonic": 0, **said})


def library(count: int = 12, seed: int = 0) -> Playlists:
    """Two kinds of sound, tempi and keys at random."""
    rng = np.random.default_rng(seed)
    tracks = tuple(
        track(f"t{i}", tempo_bpm=float(rng.uniform(70, 170)), tonic=int(rng.integers(12)), artist=f"a{i % 4}")
        for i in range(count)
    )
    means = np.eye(2)[np.arange(count) % 2] @ rng.standard_normal((2, 8)) + 0.3 * rng.standard_normal((count, 8))
    return Playlists(tracks, (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32))


# --- steps


def test_keys_are_as_far_as_on_the_circle_of_fifths():
    c, g, a_minor, f_sharp = (track("x", tonic=tonic, minor=minor) for tonic, minor in ((0, 0), (7, 0), (9, 1), (6, 0)))
    assert [key_gap(c, other) for other in (c, g, a_minor, f_sharp)] == [0, 1, 0, 6]
    assert key_gap(track("e", tonic=4, minor=True), g) == 0
    assert key_gap(track("unknown", tonic=-1), c) == 3


def test_half_and_double_time_are_the_same_tempo():
    gaps = [tempo_gap(track("x", tempo_bpm=80.0), track("y", tempo_bpm=bpm)) for bpm in (80.0, 160.0, 40.0, 113.137)]
    assert gaps == pytest.approx([0, 0, 0, 0.5], abs=1e-4)
    assert tempo_gap(track("x", tempo_bpm=0.0), track("y")) == 0.25


# --- what is chosen


def test_more_of_the_kind_that_was_given():
    found = library()
    picks = found.make([0], 5)
    kinds = [int(pick.track.music_id[1:]) % 2 for pick in picks]
    assert kinds == [0] * 5
    assert picks[0].track.music_id == "t0"
    assert picks[0].given
    assert picks[0].why == "given"
    assert all("sounds like Title of t0" in pick.why or "sounds like a0" in pick.why for pick in picks[1:])
    assert len(found.make([0], 100)) == 12, "fewer where the library has fewer"
    assert len({pick.track.music_id for pick in found.make([0, 3, 0], 12)}) == 12


def test_a_twin_waits_behind_what_is_new():
    """The nearest is no second copy of what is there: diverse, not all the same."""
    means = np.array([[1, 0, 0], [1, 0.01, 0], [0.8, 0.6, 0], [0.8, 0, 0.6]])
    tracks = tuple(track(name) for name in ("given", "like it", "twin", "other"))
    found = Playlists(tracks, (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32))
    chosen = found._choose([0], 3)
    assert chosen[0] == 0
    assert set(chosen[1:]) & {2, 3}, "not only the copies"


def test_the_order_is_the_shortest_way():
    found = library(7, seed=3)
    rows = list(range(7))
    order = found._order(rows)
    assert order[0] == 0
    assert sorted(order) == rows

    def length(way: tuple[int, ...]) -> float:
        return sum(found.step(a, b) for a, b in pairwise(way))

    best = min(((0, *way) for way in permutations(rows[1:])), key=length)
    assert length(tuple(order)) <= 1.1 * length(best)
    shuffled = np.mean([length((0, *np.random.default_rng(i).permutation(rows[1:]).tolist())) for i in range(50)])
    assert length(tuple(order)) < 0.8 * shuffled


def test_a_track_is_found_by_id_title_or_file(tmp_path):
    file = tmp_path / "x.wav"
    tracks = (track("a/x", artist="A", source=str(file)), track("b", artist="B"), Track("c", title="Title of b"))
    found = Playlists(tracks, np.eye(3, dtype=np.float32))
    assert [found.find(said) for said in ("a/x", "A - Title of a/x", str(file), "title of A/X", "C")] == [0, 0, 0, 0, 2]
    with pytest.raises(InputError, match=r"several tracks are called so \(b, c\)"):
        found.find("Title of b")
    with pytest.raises(InputError, match="no track of the index; did you mean"):
        found.find("a/xx")


def test_the_list_is_what_players_read(tmp_path):
    found = library(3)
    with pytest.raises(InputError, match="no file is known"):
        write_m3u8(found.make([0], 3), tmp_path / "l.m3u8")
    tracks = tuple(
        Track(f"t{i}", title="A\nB", artist="é", source=str(tmp_path / f"{i}.flac"), length_s=61.6) for i in range(2)
    )
    picks = Playlists(tracks, np.eye(2, dtype=np.float32)).make([1], 2)
    write_m3u8(picks, tmp_path / "l.m3u8")
    lines = (tmp_path / "l.m3u8").read_text("utf-8").splitlines()
    assert lines == [
        "#EXTM3U",
        "#EXTINF:62,é - A B",
        str(tmp_path / "1.flac"),
        "#EXTINF:62,é - A B",
        str(tmp_path / "0.flac"),
    ]


# --- the tracks part


def clicks(bpm: float, seconds: float = 20.0, rate_hz: int = 22_050) -> np.ndarray:
    samples = np.zeros(round(seconds * rate_hz), np.float32)
    click = 0.5 * np.sin(2 * np.pi * 880 * np.arange(800) / rate_hz) * np.linspace(1, 0, 800)
    for at in np.arange(0, seconds - 0.1, 60 / bpm):
        start = round(at * rate_hz)
        samples[start : start + 800] += click.astype(np.float32)

    return samples


@pytest.mark.parametrize("bpm", [75, 100, 132])
def test_tempo_of_clicks(bpm):
    assert tempo_bpm(clicks(bpm), 22_050) == pytest.approx(bpm, rel=0.03)


def test_nothing_has_no_tempo_and_no_key():
    silence = np.zeros(22_050 * 10, np.float32)
    assert (tempo_bpm(silence, 22_050), key_of(silence, 22_050)) == (0.0, None)
    assert tempo_bpm(clicks(100)[:20_000], 22_050) == 0.0


@pytest.mark.parametrize(("tonic", "minor"), [(0, False), (7, False), (9, True), (2, True)])
def test_the_key_of_chords(tonic, minor):
    """Tonic, subdominant, dominant, tonic."""
    third = 3 if minor else 4
    at = np.arange(22_050) / 22_050
    sounds = []
    for root, chord in ((0, third), (5, third), (7, 4), (0, third), (0, third)):
        pitches = [60 + tonic + root + step for step in (0, chord, 7)]
        sounds.append(sum(np.sin(2 * np.pi * 440 * 2 ** ((pitch - 69) / 12) * at) for pitch in pitches))
    assert key_of(0.1 * np.concatenate(sounds).astype(np.float32), 22_050) == (tonic, minor)


@pytest.fixture
def music(tmp_path) -> Path:
    folder = tmp_path / "music"
    for i, name in enumerate(("a", "b")):
        put_audio(folder / f"{name}.wav", f0_of(melody(i)[:600]))
    soundfile.write(folder / "c.flac", clicks(100), 22_050)
    tags = FLAC(folder / "c.flac")
    for name, value in (("title", "Clicks"), ("genre", "Noise"), ("date", "2004-06-21")):
        tags[name] = value
    tags.save()
    return folder


def test_tracks_are_taken_over_and_go_when_their_files_do(music, tmp_path, monkeypatch):
    tracks, skipped = write_tracks(music, tmp_path / "out", "public_test")
    assert ([one.music_id for one in tracks], skipped) == (["a", "b", "c"], [])
    assert load_tracks(tmp_path / "out") == tracks
    third = tracks[2]
    assert (third.title, third.genre, third.year, round(third.length_s)) == ("Clicks", "Noise", 2004, 20)
    assert third.tempo_bpm == pytest.approx(100, rel=0.03)
    heard: list[Path] = []
    monkeypatch.setattr("humfind.retrieval.tracks._heard", lambda file, digest: heard.append(file))
    (music / "b.wav").unlink()
    again, _ = write_tracks(music, tmp_path / "out", "public_test")
    assert (again, heard) == ((tracks[0], tracks[2]), [])
    assert index_folder(tmp_path / "out") == tmp_path / "out", "other parts may be added"


def test_a_bad_file_costs_no_other(music, tmp_path):
    (music / "broken.wav").write_bytes(b"RIFF" + b"\0" * 50)
    tracks, skipped = write_tracks(music, tmp_path / "out", "public_test")
    assert len(tracks) == 3
    assert len(skipped) == 1
    only = tmp_path / "only"
    only.mkdir()
    (music / "broken.wav").rename(only / "broken.wav")
    with pytest.raises(InputError, match=r"no recording can be read|no audio|no music"):
        write_tracks(only, tmp_path / "other", "public_test")


def test_a_damaged_table_is_said(tmp_path):
    save_tracks([track("a")], tmp_path)
    assert load_tracks(tmp_path) == (track("a"),)
    file = tmp_path / "tracks" / "tracks.parquet"
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match="damaged"):
        load_tracks(tmp_path)
    with pytest.raises(InputError, match="--parts tracks"):
        load_tracks(tmp_path / "none")
