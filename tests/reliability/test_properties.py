"""What holds for every hum, song and index, searched for counterexamples (hypothesis, the same ones each time).

Tolerances, stated: a transposed hum has the same scores within 1e-4 and the same ranking. A hum that starts one
10 ms frame later has the same first song, every score within 0.4. Silence of whole hops
before a hum leaves the right song's score where it was or above, within 1e-3, and the first song the same. For the
alignment: the first song is the same whatever the key moves by; scores within 0.1 where it moves by whole quarter tones
and the song's own key is not preferred.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_world import CONTOUR, PlainModel, f0_of, hum_of, melody

from humfind.config import ContourConfig, DtwConfig, ModelConfig, ResNet1dConfig
from humfind.encoders import build
from humfind.encoders.checkpoint import Model, input_shape
from humfind.index import Song
from humfind.melody import contour
from humfind.rankers import Dtw, Fusion, Nearest, Vote
from humfind.retrieval import search
from humfind.types import F0, Contour

SONGS = 20
BOUNDED = settings(max_examples=25, derandomize=True, deadline=None, database=None)
FEW = settings(BOUNDED, max_examples=8)  # where a network is asked
RANKERS = [Nearest, lambda index: Vote(index, 4)]  # index -> ranker
songs = st.integers(0, SONGS - 1)
rankers = st.sampled_from(RANKERS)


def network() -> Model:
    """A real encoder, small, as it is before training."""
    config = replace(
        ModelConfig(contour=CONTOUR), encoder=ResNet1dConfig(widths=(8, 16), blocks=(1, 1), embedding_dim=16)
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return Model(config, build(config.encoder, input_shape(config)).eval())


MODEL = network()
PLAIN = PlainModel()


def index_of(numbers, model=MODEL):
    return search.build_index([(Song(f"{i:03d}"), f0_of(melody(i))) for i in numbers], model)


INDEX = index_of(range(SONGS))
PLAIN_INDEX = index_of(range(SONGS), PLAIN)


def scores(f0, ranker, index=INDEX, model=MODEL) -> dict[str, float]:
    """music_id -> score, best first, of every song."""
    ranking = search.search(search.make_query("q", f0, model), index, ranker(index), len(index.music_ids))
    return {answer.music_id: answer.score for answer in ranking.answers}


def transposed(f0: F0, semitones: float) -> F0:
    return replace(f0, hz=(f0.hz * 2.0 ** (semitones / 12)).astype(np.float32))


def later(f0: F0, frames: int) -> F0:
    """The same after so many frames of silence."""
    silence = np.zeros(frames, np.float32)
    return replace(f0, hz=np.concatenate([silence, f0.hz]), confidence=np.concatenate([silence, f0.confidence]))


@FEW
@given(song=songs, semitones=st.integers(-24, 24) | st.floats(-24, 24), start=st.floats(0, 9), ranker=rankers)
def test_transposing_a_hum_changes_no_ranking(song, semitones, start, ranker):
    hum = hum_of(song, start, 8.0)
    before, after = scores(hum, ranker), scores(transposed(hum, semitones), ranker)
    assert after == pytest.approx(before, abs=1e-4)
    close = {round(score, 3) for score in before.values()}
    if len(close) == len(before):  # no two so near each other that the last bits decide
        assert list(before) == list(after)
    assert before[next(iter(after))] == pytest.approx(max(before.values()), abs=2e-4)


ALIGNED = Dtw(PLAIN_INDEX, threads=1), Fusion(PLAIN_INDEX, threads=1)  # made once: that takes seconds
ANY_KEY = Dtw(PLAIN_INDEX, DtwConfig(own_key=0.0), threads=1)
aligned = st.sampled_from([lambda _: ALIGNED[0], lambda _: ALIGNED[1]])


@FEW
@given(song=songs, quarters=st.integers(-48, 48), start=st.floats(0, 9), ranker=st.just(lambda _: ANY_KEY))
def test_transposing_a_hum_moves_no_alignment(song, quarters, start, ranker):
    hum = hum_of(song, start, 8.0)
    before, after = (scores(f0, ranker, PLAIN_INDEX, PLAIN) for f0 in (hum, transposed(hum, quarters / 2)))
    assert after == pytest.approx(before, abs=0.1)
    assert next(iter(before)) == next(iter(after)) == f"{song:03d}"


@FEW
@given(song=songs, semitones=st.floats(-24, 24), frames=st.integers(1, 400), ranker=aligned)
def test_neither_key_nor_silence_before_a_hum_changes_the_first_song(song, semitones, frames, ranker):
    hum = later(transposed(hum_of(song, 4.0, 8.0), semitones), frames)
    assert next(iter(scores(hum, ranker, PLAIN_INDEX, PLAIN))) == f"{song:03d}"


@FEW
@given(song=songs, few=st.integers(1, SONGS), shift=st.floats(-9, 9), tempo=st.floats(0.7, 1.4))
def test_adding_songs_never_raises_the_right_one_by_alignment(song, few, shift, tempo):
    hum = hum_of(song, 3.0, 9.0, shift, tempo)
    indexes = (index_of(sorted({song, *range(few)}), PLAIN), PLAIN_INDEX)
    found = [list(scores(hum, lambda one: Dtw(one, threads=1), index, PLAIN)) for index in indexes]
    assert found[0].index(f"{song:03d}") <= found[1].index(f"{song:03d}")


@BOUNDED
@given(song=songs, start=st.integers(0, 8), semitones=st.integers(-9, 9))
def test_a_frame_later_the_first_song_is_the_same(song, start, semitones):
    hum = transposed(hum_of(song, float(start), 8.0), semitones)
    before, after = (scores(f0, Nearest, PLAIN_INDEX, PLAIN) for f0 in (hum, later(hum, 1)))
    assert next(iter(before)) == next(iter(after)) == f"{song:03d}"
    assert max(abs(before[name] - after[name]) for name in before) < 0.4


@BOUNDED
@given(song=songs, start=st.integers(0, 8), seconds=st.integers(1, 4))
def test_silence_before_a_hum_takes_nothing_away(song, start, seconds):
    hum = hum_of(song, float(start), 8.0)
    before, after = (scores(f0, Nearest, PLAIN_INDEX, PLAIN) for f0 in (hum, later(hum, 100 * seconds)))
    right = f"{song:03d}"
    assert next(iter(before)) == next(iter(after)) == right
    assert after[right] >= before[right] - 1e-3


@FEW
@given(song=songs, few=st.integers(1, SONGS), shift=st.floats(-9, 9), tempo=st.floats(0.7, 1.4))
def test_adding_songs_never_raises_the_right_one(song, few, shift, tempo):
    """Exactly, by the nearest window: other songs are only ever in between."""
    chosen = sorted({song, *range(few)})
    hum = hum_of(song, 3.0, 9.0, shift, tempo)
    ranks = [list(scores(hum, Nearest, index)).index(f"{song:03d}") for index in (index_of(chosen), INDEX)]
    assert ranks[0] <= ranks[1]


@FEW
@given(count=st.integers(1, 14), k=st.integers(1, 12), ranker=rankers, tempo=st.floats(0.7, 1.4), silent=st.booleans())
def test_k_answers_are_k_distinct_songs_or_all(count, k, ranker, tempo, silent):
    index = index_of(range(count))
    hum = hum_of(0, 2.0, 6.0, 3.0, tempo)
    hum = replace(hum, hz=np.zeros_like(hum.hz)) if silent else hum
    ranking = search.search(search.make_query("q", hum, MODEL), index, ranker(index), k)
    assert len(ranking.answers) == len(set(ranking.music_ids)) == min(k, count)
    assert set(ranking.music_ids) <= set(index.music_ids)


@BOUNDED
@given(
    frames=st.integers(1, 900),
    window=st.integers(1, 250),
    hop=st.integers(1, 100),
    tempos=st.lists(st.floats(0.5, 2.0), min_size=1, max_size=4).map(tuple),
)
def test_windows_add_up(frames, window, hop, tempos):
    """One window where the line is not longer than it; else one a hop, and one more for what is left at the end."""
    config = ContourConfig(
        window_s=window * 0.04, song_hop_s=hop * 0.04, query_hop_s=hop * 0.04, query_tempos=tempos, min_voiced_share=0.0
    )
    line = Contour(np.full(frames, 60, np.float32), np.ones(frames, bool), 0.04)

    def expected(length: int) -> int:
        return 1 + math.ceil(max(0, length - window) / hop)

    made = contour.song_windows(line, config)
    assert len(made) == expected(frames)
    assert made.start_s[0] == 0
    assert float(made.start_s[-1]) == pytest.approx(max(0, frames - window) * 0.04, abs=1e-4), "the tail is inside"
    lengths = [len(contour.at_tempo(line, tempo).semitones) if tempo != 1 else frames for tempo in tempos]
    assert len(contour.query_windows(line, config)) == sum(expected(length) for length in lengths)


@BOUNDED
@given(count=st.integers(1, 12), length_s=st.integers(1, 20))
def test_an_index_has_the_windows_of_its_songs(count, length_s):
    f0s = [f0_of(melody(i)[: 100 * length_s]) for i in range(count)]
    index = search.build_index([(Song(str(i)), f0) for i, f0 in enumerate(f0s)], PLAIN)
    each = max(1, 1 + length_s - round(CONTOUR.window_s))  # one a second
    assert len(index.vectors) == count * each
    assert np.bincount(index.window_song).tolist() == [each] * count
