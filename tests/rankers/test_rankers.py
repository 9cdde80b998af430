"""Rankings of hits that were placed by hand."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from humfind.config import RankConfig
from humfind.rankers import Vote, make_ranker
from humfind.rankers.nearest import rank_hits
from humfind.types import Contour, Embeddings, Hits, InputError, Query, Windows

SONGS = ("a", "b", "c", "d")
NO_SONGS: Any = None  # these rankers look at the hits alone


def query_of(starts=(0.0, 1.0), tempos=(1.0, 1.0), keys=(60.0, 60.0), length_s=8.0) -> Query:
    n, frames = len(starts), round(length_s / 0.04)
    windows = Windows(
        np.zeros((n, 1, 4), np.float32),
        np.array(starts, np.float32),
        np.full(n, 4, np.float32) * np.array(tempos, np.float32),
        np.array(tempos, np.float32),
        np.array(keys, np.float32),
    )
    line = Contour(np.zeros(frames, np.float32), np.ones(frames, bool), 0.04)
    return Query("q.mp3", windows, Embeddings(np.zeros((n, 3), np.float32)), line.length_s, line)


def hits_of(*rows: tuple[int, str, float], songs=SONGS, start_s=10.0, key=60.0) -> Hits:
    """rows: (query window, song, distance), sorted as the index sorts them."""
    rows = tuple(sorted(rows, key=lambda row: (row[0], row[2])))
    m = len(rows)
    return Hits(
        np.array([row[0] for row in rows], np.int64),
        np.array([songs.index(row[1]) for row in rows], np.int64),
        np.arange(m),
        np.array([row[2] for row in rows], np.float32),
        np.full(m, start_s, np.float32),
        np.full(m, 4, np.float32),
        np.full(m, key, np.float32),
        songs,
    )


HITS = hits_of((0, "a", 0.1), (0, "b", 0.2), (0, "b", 0.3), (0, "c", 0.4), (1, "b", 0.2), (1, "c", 0.25), (1, "d", 0.9))


def test_nearest_by_hand():
    ranking = rank_hits(query_of(), HITS, 10)
    assert ranking.music_ids == ("a", "b", "c", "d")
    assert [answer.score for answer in ranking.answers] == pytest.approx([-0.1, -0.2, -0.25, -0.9])
    assert rank_hits(query_of(), HITS, 2).music_ids == ("a", "b")


def test_vote_by_hand():
    ranking = Vote(NO_SONGS, 3).rank_hits(query_of(), HITS, 10)  # a 1, b 3, c 1, d 1
    assert ranking.music_ids == ("b", "a", "c", "d")
    assert [int(answer.score) for answer in ranking.answers] == [3, 1, 1, 1]


def test_songs_without_a_vote_follow_by_distance():
    ranking = Vote(NO_SONGS, 1).rank_hits(query_of(), HITS, 10)  # a 1, b 1
    assert ranking.music_ids == ("a", "b", "c", "d")
    assert [int(answer.score) for answer in ranking.answers] == [1, 1, 0, 0]


def test_one_vote_more_beats_any_distance():
    hits = hits_of((0, "a", 0.0), (0, "b", 5.0), (1, "b", 5.0), (1, "c", 6.0))
    assert Vote(NO_SONGS, 2).rank_hits(query_of(), hits, 10).music_ids == ("b", "a", "c")


@pytest.mark.parametrize("ranker", [rank_hits, Vote(NO_SONGS, 2).rank_hits])
def test_full_ties_fall_to_the_smaller_id(ranker):
    hits = hits_of((0, "d", 0.5), (0, "c", 0.5), (1, "b", 0.5), (1, "a", 0.5))
    ranking = ranker(query_of(), hits, 10)
    assert ranking.music_ids == ("a", "b", "c", "d")


@pytest.mark.parametrize("ranker", [rank_hits, Vote(NO_SONGS, 2).rank_hits])
def test_hits_farther_than_the_last_answer_change_nothing(ranker):
    """What ``find_hits`` guarantees is enough: more of the same does not move an answer."""
    few = hits_of((0, "a", 0.1), (0, "b", 0.2), (0, "c", 0.6), (1, "b", 0.3), (1, "a", 0.35), (1, "a", 0.6))
    more = hits_of(
        (0, "a", 0.1), (0, "b", 0.2), (0, "c", 0.6), (0, "a", 0.7), (0, "b", 0.8),
        (1, "b", 0.3), (1, "a", 0.35), (1, "a", 0.6), (1, "c", 0.65), (1, "d", 0.7), (1, "d", 0.71),
    )  # fmt: skip
    assert ranker(query_of(), few, 2) == ranker(query_of(), more, 2)


def test_the_match_is_the_whole_hum_at_its_tempo():
    """A window 2 s into a hum of 10 s, sung at 1.25, lies at 10 s of the song, 3 semitones below it."""
    query = query_of(starts=(2.5,), tempos=(1.25,), keys=(57.0,), length_s=10.0)
    for ranker in (rank_hits, Vote(NO_SONGS, 1).rank_hits):
        match = ranker(query, hits_of((0, "a", 0.1), start_s=10.0), 10).answers[0].match
        assert match is not None
        assert (match.start_s, match.end_s) == pytest.approx((8.0, 16.0))
        assert (match.semitones, match.tempo_ratio) == (3.0, 1.25)


def test_a_match_begins_within_the_song():
    query = query_of(starts=(5.0,), tempos=(1.0,), keys=(60.0,), length_s=10.0)
    match = rank_hits(query, hits_of((0, "a", 0.1), start_s=3.0), 10).answers[0].match
    assert match is not None
    assert (match.start_s, match.end_s) == pytest.approx((0.0, 8.0))


@pytest.mark.parametrize("ranker", [rank_hits, Vote(NO_SONGS, 4).rank_hits])
def test_scores_are_finite_and_never_rise(ranker):
    rng = np.random.default_rng(0)
    songs = tuple(f"{i:02d}" for i in range(30))
    rows = [(int(w), str(s), float(d)) for w, s, d in zip(
        rng.integers(0, 2, 200), rng.choice(songs, 200), rng.integers(0, 20, 200) / 10, strict=True
    )]  # fmt: skip
    ranking = ranker(query_of(), hits_of(*rows, songs=songs), 10)
    scores = np.array([answer.score for answer in ranking.answers])
    assert len(set(ranking.music_ids)) == 10
    assert np.isfinite(scores).all()
    assert (np.diff(scores) <= 0).all()


def test_make_ranker():
    assert make_ranker(RankConfig(ranker="vote", vote_k=7), NO_SONGS).windows == 7
    known = "nearest, vote, sequence, dtw, fusion, wavelet"
    with pytest.raises(InputError, match=f"ranker 'votes': unknown; choose one of {known}"):
        make_ranker(RankConfig(ranker="votes"), NO_SONGS)
    with pytest.raises(ValueError, match="at least 1"):
        Vote(NO_SONGS, 0)
