"""A few odd recordings must not decide what chance does for all songs: drones, silence, repeats, an hour of anything.

Each is added to an index of ordinary songs; ranks and probabilities stay.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from tiny_world import f0_of, melody, put_audio

from humfind.config import RankConfig
from humfind.f0 import SHORTEST_HUM_S
from humfind.index import Song
from humfind.rankers import make_ranker
from humfind.rankers.null_model import NullModel, alike_blocks, block_weights
from humfind.retrieval import search, searcher
from humfind.retrieval.checkpoints import load_model
from humfind.types import F0, InputError

SONGS, ABSENT = 20, range(100, 106)
MODEL = load_model("pretrained")[0]


def line(hz: np.ndarray) -> F0:
    return F0(hz.astype(np.float32), (hz > 0).astype(np.float32), 0.01)


def drone(length_s: int, hz: float = 220.0) -> F0:
    return line(np.full(100 * length_s, hz))


def wobbling_drone(length_s: int) -> F0:
    """One pitch on the border of two semitones, as a tracker would follow it."""
    return line(226.4 * 2 ** (np.random.default_rng(0).normal(0, 0.03, 100 * length_s) / 12))


def sparse(length_s: int) -> F0:
    """Half a second of a note in every ten."""
    return line(np.where(np.arange(100 * length_s) % 1000 < 50, 330.0, 0.0))


def loop(length_s: int) -> F0:
    bar = f0_of(melody(77)).hz[:370]
    return line(np.tile(bar, 1 + 100 * length_s // len(bar))[: 100 * length_s])


def siren(length_s: int) -> F0:
    return line(110 * 2 ** (2 * (np.arange(100 * length_s) / 700 % 1)))


def noise(length_s: int) -> F0:
    return line(np.repeat(110 * 2 ** np.random.default_rng(1).uniform(0, 2, 5 * length_s), 20))


ODD: dict[str, Callable[[], list[F0]]] = {
    "ten minutes of one pitch": lambda: [drone(600)],
    "an hour of one pitch": lambda: [drone(3600)],
    "an hour of a wobbling pitch": lambda: [wobbling_drone(3600)],
    "six drones": lambda: [drone(600, 220 * 2 ** (i / 7)) for i in range(6)],
    "silence with a few notes": lambda: [sparse(3600)],
    "an hour of one bar": lambda: [loop(3600)],
    "an hour of a siren": lambda: [siren(3600)],
    "an hour of random pitch": lambda: [noise(3600)],
}


def songs_of(count: int) -> list[tuple[Song, F0]]:
    return [(Song(f"{i:03d}"), f0_of(melody(i, notes=120))) for i in range(count)]


def probabilities(added: list[F0], count: int = SONGS) -> list[dict[str, float]]:
    """music_id -> probability, best first: hums of three songs that are there, then of six that are not."""
    index = search.build_index([*songs_of(count), *((Song(f"odd {i}"), f0) for i, f0 in enumerate(added))], MODEL)
    ranker = make_ranker(RankConfig(), index)
    hums = [hum_of_song(song) for song in (0, 1, 2, *ABSENT)]
    rankings = search.rank_all(search.make_queries([(str(i), hum) for i, hum in enumerate(hums)], MODEL), index, ranker)
    return [{one.music_id: one.probability or 0.0 for one in ranking.answers} for ranking in rankings]


def hum_of_song(song: int) -> F0:
    rng = np.random.default_rng(song)
    part = melody(song, notes=120)[1000:2000] + rng.normal(0, 0.4, 20).repeat(50)
    return f0_of(part.astype(np.float32), shift=float(rng.uniform(-6, 6)), tempo=float(rng.uniform(0.85, 1.2)))


@pytest.fixture(scope="module")
def ordinary() -> dict[int, list[dict[str, float]]]:
    return {count: probabilities([], count) for count in (4, SONGS)}


@pytest.mark.parametrize("count", [4, SONGS])
@pytest.mark.parametrize("name", ODD)
def test_odd_recordings_change_neither_ranks_nor_probabilities_much(
    name: str, count: int, ordinary: dict[int, list[dict[str, float]]]
) -> None:
    found = probabilities(ODD[name](), count)
    near = 0.15 if count == SONGS else 0.9  # the 28 blocks of four songs say little about chance by themselves
    for song, (before, after) in enumerate(zip(ordinary[count], found, strict=True)):
        if song < 3:
            right = f"{song:03d}"
            assert list(after).index(right) <= list(before).index(right)
            assert after[right] == pytest.approx(before[right], abs=near)
            assert max(p for music_id, p in after.items() if music_id != right) < 0.2
        else:
            assert max(after.values()) <= min(0.95, max(before.values()) + near)


def test_a_hum_of_one_pitch_names_no_song() -> None:
    index = search.build_index([*songs_of(4), (Song("drone"), drone(600))], MODEL)
    for hum in (drone(8, 233.0), wobbling_drone(8)):
        ranking = search.search(search.make_query("q", hum, MODEL), index, make_ranker(RankConfig(), index))
        assert len(ranking.answers) == 5
        assert max(one.probability or 0.0 for one in ranking.answers) < 0.05


def test_ordinary_songs_count_as_ever() -> None:
    rng = np.random.default_rng(0)
    lengths = rng.integers(100, 400, 60)
    owner, alike = np.repeat(np.arange(60), lengths), np.ones(lengths.sum())
    assert block_weights(owner, alike) is None
    assert block_weights(owner[:0], alike[:0]) is None


@pytest.mark.parametrize("recordings", [3, 5, 25, 400])
def test_one_long_recording_has_no_more_than_its_share(recordings: int) -> None:
    owner = np.repeat(np.arange(recordings), [*([30] * (recordings - 1)), 100_000])
    weight = block_weights(owner, np.ones(len(owner)))
    assert weight is not None
    share = np.bincount(owner, weight) / weight.sum()
    assert share.max() <= max(2.0 / recordings, 0.02) * 1.001
    assert (weight[owner < recordings - 1] == 1).all()


def test_melodies_that_come_again_are_counted_in_any_key_wherever_blocks_begin() -> None:
    rng = np.random.default_rng(0)
    bar, song = rng.integers(48, 72, 9).repeat(8).astype(np.float32), rng.integers(48, 72, 400).repeat(10)
    voiced = np.ones(4000, bool)
    assert (alike_blocks(song.astype(np.float32), voiced, 12.0, 200) < 1.5).all()
    looped = np.resize(bar, 4000)
    assert (alike_blocks(looped, voiced, 12.0, 200)[:-1] > 4).all()  # the last ones' stretches end with the recording
    climbing = looped + 5 * (np.arange(4000) // len(bar) % 2)
    assert np.median(alike_blocks(climbing.astype(np.float32), voiced, 12.0, 200)) > 4
    levels = (looped * 8 % 96).astype(np.int16)  # 96 steps an octave, on a circle
    assert np.array_equal(
        alike_blocks(levels, np.ones_like(levels), 96.0, 200), alike_blocks(looped, voiced, 12.0, 200)
    )
    half = np.where(np.arange(4000) < 2000, song, 60).astype(np.float32)
    found = alike_blocks(half, voiced, 12.0, 200)
    assert (found[:9] < 1.5).all()
    assert (found[10:19] > 50).all()


def test_equal_weights_are_no_weights() -> None:
    best = np.random.default_rng(0).normal(1, 0.2, 1000)
    plain, weighted = NullModel.of(best), NullModel.of(best, np.full(1000, 1.0))
    assert (plain.centre, plain.spread) == pytest.approx((weighted.centre, weighted.spread))
    heavy = np.concatenate([best, np.zeros(5000)])
    light = NullModel.of(heavy, np.append(np.ones(1000), np.full(5000, 1e-9)))
    assert light.centre == pytest.approx(plain.centre, rel=1e-3)
    assert NullModel.of(heavy).centre < 0.5


@pytest.mark.parametrize("length_s", [0.02, 0.09, SHORTEST_HUM_S - 0.1])
def test_a_hum_that_is_too_short_says_so(tmp_path: Path, length_s: float) -> None:
    index = tmp_path / "index"
    search.build_index(songs_of(3), MODEL, "pretrained", {"tracker": "swiftf0"}).save(index)
    tone = drone(1)
    frames = round(100 * length_s)
    put_audio(tmp_path / "hum.wav", F0(tone.hz[:frames], tone.confidence[:frames], 0.01))
    with pytest.raises(InputError, match=r"hum.wav: (too short|silent)"):
        searcher.search_file(tmp_path / "hum.wav", index)
