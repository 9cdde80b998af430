"""Each hand-over checks itself."""

from dataclasses import FrozenInstanceError, replace

import numpy as np
import pytest

from humfind.types import F0, Answer, Contour, Embeddings, Hits, Query, Ranking, Recording, Windows

ONES = np.ones(3, np.float32)
NAN = np.array([1, np.nan, 1], np.float32)
WINDOWS = Windows(np.zeros((3, 2, 5), np.float32), ONES, ONES, ONES, ONES)
CONTOUR = Contour(ONES, np.ones(3, bool), 0.04)
INTS = np.zeros(3, np.int64)
HITS = Hits(INTS, INTS, INTS, ONES, ONES, ONES, ONES, ("a",))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Recording(ONES.astype(float), 8000), "float64"),
        (lambda: Recording(NAN, 8000), "NaN"),
        (lambda: Recording(np.ones((2, 3), np.float32), 8000), "dimensions"),
        (lambda: Recording(ONES, 0), "rate_hz"),
        (lambda: F0(NAN, ONES, 0.01), "NaN"),
        (lambda: F0(-ONES, ONES, 0.01), "negative"),
        (lambda: F0(ONES, 2 * ONES, 0.01), "confidence leaves"),
        (lambda: F0(ONES, ONES[:2], 0.01), "confidence has shape"),
        (lambda: F0(ONES, ONES, 0.0), "hop_s"),
        (lambda: Contour(ONES, np.ones(2, bool), 0.04), "voiced has shape"),
        (lambda: Contour(ONES, ONES, 0.04), "expected bool"),
        (lambda: Contour(NAN, np.ones(3, bool), 0.04), "NaN"),
        (lambda: Contour(ONES, np.ones(3, bool), 0.0), "frame_s"),
        (lambda: replace(WINDOWS, values=np.zeros((0, 2, 5), np.float32)), "at least one window"),
        (lambda: replace(WINDOWS, start_s=ONES[:2]), "start_s has shape"),
        (lambda: replace(WINDOWS, key=NAN), "key holds NaN"),
        (lambda: replace(WINDOWS, tempo_ratio=0 * ONES), "positive"),
        (lambda: Embeddings(ONES), "dimensions"),
        (lambda: Embeddings(NAN[None]), "NaN"),
        (lambda: Query("q", WINDOWS, Embeddings(np.ones((2, 4), np.float32)), 1.0), "3 windows but 2"),
        (lambda: replace(HITS, song=INTS + 1), "does not have"),
        (lambda: replace(HITS, song=INTS.astype(np.int32)), "int32"),
        (lambda: replace(HITS, distance=ONES[:2]), "distance has shape"),
        (lambda: Ranking("q", (Answer("a", 1.0), Answer("a", 0.5))), "ranked twice"),
        (lambda: Ranking("q", (Answer("a", 1.0), Answer("b", 2.0))), "not sorted"),
    ],
)
def test_a_wrong_value_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_frozen():
    with pytest.raises(FrozenInstanceError):
        CONTOUR.frame_s = 1.0


def test_voiced_needs_pitch_and_confidence():
    f0 = F0(np.array([0, 100, 100], np.float32), np.array([1, 0.5, 0.4], np.float32), 0.01)
    assert f0.voiced.tolist() == [False, True, False]
    assert f0.length_s == pytest.approx(0.03)


def test_lengths():
    assert Recording(np.zeros(4000, np.float32), 8000).length_s == 0.5
    assert CONTOUR.length_s == pytest.approx(0.12)
    assert (len(WINDOWS), len(HITS)) == (3, 3)


def test_a_ranking_may_be_empty():
    assert Ranking("q", ()).music_ids == ()


@pytest.mark.parametrize(
    ("probability", "here", "verdict"),
    [
        (0.9, 0.95, "found"),
        (0.8, 0.8, "found"),
        (0.79, 0.95, "one of these"),
        (0.3, 0.5, "one of these"),
        (0.3, 0.49, "not here"),
        (None, None, None),
    ],
)
def test_a_verdict_says_how_sure_a_ranking_is(probability, here, verdict):
    assert Ranking("q", (Answer("a", 1.0, probability),), here).verdict == verdict


def test_the_verdict_of_no_answers():
    assert Ranking("q", (), 0.0).verdict == "not here"
