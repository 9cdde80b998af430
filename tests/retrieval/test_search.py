"""From f0 to ranking, on melodies and an encoder that changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from tiny_world import HOP_S, PlainModel, f0_of, hum_of, melody

from humfind.config import ModelConfig, RankConfig
from humfind.index import Song
from humfind.rankers import Nearest, Vote, make_ranker
from humfind.rankers.hits import find_hits
from humfind.rankers.nearest import rank_hits
from humfind.retrieval import search
from humfind.retrieval.checkpoints import load_model
from humfind.types import F0, InputError

MODEL = PlainModel()
SONGS = 30


@pytest.fixture(scope="module")
def index():
    return search.build_index(((Song(f"{i:02d}"), f0_of(melody(i))) for i in range(SONGS)), MODEL)


@pytest.fixture(scope="module")
def queries():
    rng = np.random.default_rng(1)
    return [
        search.make_query(f"{i:02d}.mp3", hum_of(i, shift=rng.uniform(-9, 9), tempo=rng.choice([0.8, 1, 1.25])), MODEL)
        for i in range(SONGS)
    ]


@pytest.mark.parametrize("rank", [RankConfig(ranker="nearest"), RankConfig(ranker="vote", vote_k=1)])
def test_a_transposed_and_stretched_hum_finds_its_song(index, queries, rank):
    rankings = search.rank_all(queries, index, make_ranker(rank, index))
    report = search.evaluate(rankings, {query.name: query.name[:2] for query in queries}, SONGS)
    assert report.mrr.value > 0.95
    assert all(len(set(ranking.music_ids)) == 10 for ranking in rankings)


def test_the_match_tells_place_key_and_tempo(index):
    query = search.make_query("q", hum_of(3, start_s=7.0, length_s=6.0, shift=-5, tempo=1.25), MODEL)
    best = search.search(query, index, Nearest(index)).answers[0]
    assert best.music_id == "03"
    assert best.match is not None
    assert best.match.start_s == pytest.approx(7.0, abs=0.5)
    assert best.match.end_s == pytest.approx(13.0, abs=0.5)
    assert best.match.semitones == pytest.approx(5, abs=0.01)
    assert best.match.tempo_ratio == 1.25


@pytest.mark.parametrize("ranker", [Nearest, lambda index: Vote(index, 5)])
def test_one_by_one_equals_all_at_once(index, queries, ranker):
    ranker = ranker(index)
    alone = [search.search(query, index, ranker) for query in queries]
    assert alone == search.rank_all(queries, index, ranker)
    assert alone == search.rank_all(queries[::-1], index, ranker)[::-1]


@pytest.mark.parametrize("per_window", [10, 200, 10_000])
def test_more_hits_change_no_answer(index, queries, per_window):
    near, vote = Nearest(index), Vote(index, 3)
    for query, hits in zip(queries, find_hits(queries, index, per_window), strict=True):
        assert rank_hits(query, hits, 10).music_ids == near.rank(query, 10).music_ids
        assert vote.rank_hits(query, hits, 10).music_ids == vote.rank(query, 10).music_ids


def test_nearest_is_exact(index, queries):
    """Against every distance, written out."""
    for query in queries[:5]:
        difference = query.embeddings.vectors[:, None].astype(float) - index.vectors[:][None]
        distance = np.sqrt((difference**2).sum(axis=2)).min(axis=0)
        songs = {song: distance[index.window_song == row].min() for row, song in enumerate(index.music_ids)}
        expected = sorted(songs, key=lambda song: (songs[song], song))[:10]
        assert list(search.search(query, index, Nearest(index)).music_ids) == expected


def test_a_song_of_many_near_windows_does_not_crowd_out_the_rest():
    """One song has hundreds of windows like the hum; ten songs are answered all the same."""
    long = np.tile(melody(0), 12)
    songs = [(Song("long"), f0_of(long)), *((Song(f"{i:02d}"), f0_of(melody(i))) for i in range(1, 13))]
    index = search.build_index(songs, MODEL)
    query = search.make_query("q", hum_of(0), MODEL)
    for ranker in (Nearest(index), Vote(index, 2)):
        ranking = search.search(query, index, ranker)
        assert len(ranking.answers) == 10
        assert ranking.music_ids[0] == "long"


def test_fewer_answers_only_where_there_are_fewer_songs():
    index = search.build_index([(Song(name), f0_of(melody(i))) for i, name in enumerate("cab")], MODEL)
    ranking = search.search(search.make_query("q", hum_of(1), MODEL), index, Vote(index, 10))
    assert ranking.music_ids[0] == "a"
    assert sorted(ranking.music_ids) == ["a", "b", "c"]


def test_several_recordings_of_a_song_are_one_answer():
    songs = [(Song("x"), hum_of(1, 0)), (Song("x"), hum_of(1, 6)), (Song("y"), hum_of(2))]
    index = search.build_index(songs, MODEL)
    assert index.music_ids == ("x", "y")
    assert search.search(search.make_query("q", hum_of(1, 6), MODEL), index, Nearest(index)).music_ids == ("x", "y")


def test_silence_is_answered_too(index):
    silent = F0(np.zeros(500, np.float32), np.zeros(500, np.float32), HOP_S)
    ranking = search.search(search.make_query("q", silent, MODEL), index, Vote(index, 10))
    assert len(set(ranking.music_ids)) == 10


def test_no_match_passes_the_song_end(index, queries):
    for ranking in search.rank_all(queries, index, Vote(index, 10)):
        for answer in ranking.answers:
            assert answer.match is not None
            assert 0 <= answer.match.start_s <= answer.match.end_s <= index.song_length_s[answer.music_id] + 1e-6


def test_songs_know_length_and_checksum(index):
    assert index.songs[0].length_s == pytest.approx(20.0)
    assert len({song.checksum for song in index.songs}) == SONGS
    assert index.info.model_checksum == MODEL.checksum


def test_a_model_of_spectrograms_is_refused():
    other = PlainModel(replace(ModelConfig(), features="spectrogram"))
    with pytest.raises(InputError, match="reads audio, there is only f0"):
        search.make_query("q", hum_of(0), other)


def test_a_query_is_the_same_alone_and_among_others():
    model, _ = load_model("pretrained")
    hums = [(f"{song}.mp3", hum_of(song, 7.0, 4.0 + song)) for song in range(4)]
    for (name, f0), together in zip(hums, search.make_queries(hums, model), strict=True):
        alone = search.make_query(name, f0, model)
        assert together.name == name
        assert np.array_equal(together.windows.values, alone.windows.values)
        assert np.array_equal(together.embeddings.vectors, alone.embeddings.vectors)
    assert search.make_queries([], model) == []
