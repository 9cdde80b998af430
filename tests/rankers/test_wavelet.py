"""Ranker wavelet: Levenshtein distances by hand, and melodies found whatever their key."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_world import PlainModel, f0_of, hum_of, melody

from humfind.config import RankConfig
from humfind.index import Song
from humfind.rankers import make_ranker
from humfind.rankers.wavelet import nearest_stretch
from humfind.retrieval.query import make_query
from humfind.retrieval.search import build_index, search
from humfind.types import InputError

WAVELET = RankConfig(ranker="wavelet")


def edits(a: str, b: str) -> int:
    """Levenshtein distance, as it is defined."""
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        new = [i]
        for j, y in enumerate(b, 1):
            new.append(min(row[j] + 1, new[-1] + 1, row[j - 1] + (x != y)))
        row = new
    return row[-1]


def test_the_nearest_stretch_by_hand() -> None:
    found = nearest_stretch("abcd", ["xxabcdxx", "abxdyyyy", "zz"], places=4)
    assert found == [(1.0, 2), (0.75, 0), (0.0, 0)]


def test_it_is_the_definition_at_every_place() -> None:
    rng = np.random.default_rng(0)
    hummed, song = ("".join(rng.choice(list("abc"), n)) for n in (6, 40))
    least = min(edits(hummed, song[start : start + 6]) for start in range(40))
    assert nearest_stretch(hummed, [song], places=6)[0][0] == pytest.approx(1 - least / 6)


def test_a_hum_is_found_in_any_key_and_at_its_place() -> None:
    songs = [(Song(f"{i}"), f0_of(melody(i))) for i in range(6)]
    index = build_index(songs, PlainModel())
    ranker = make_ranker(WAVELET, index)
    found = [search(make_query("h", hum_of(i, 5.0, 8.0, shift=-5.0), PlainModel()), index, ranker) for i in range(6)]
    right = [ranking for i, ranking in enumerate(found) if ranking.music_ids[0] == f"{i}"]
    assert len(right) >= 4  # by chance, one of six
    for ranking in right:
        assert len(ranking.music_ids) == 6
        match = ranking.answers[0].match
        assert match is not None
        assert match.start_s == pytest.approx(5.0, abs=1.0)
        assert match.semitones == pytest.approx(5.0, abs=0.6)
        assert ranking.verdict is None  # it is not calibrated


def test_a_song_of_two_recordings_is_answered_once() -> None:
    songs = [(Song("a"), f0_of(melody(0))), (Song("a"), f0_of(melody(1))), (Song("b"), f0_of(melody(2)))]
    index = build_index(songs, PlainModel())
    found = search(make_query("h", hum_of(1), PlainModel()), index, make_ranker(WAVELET, index))
    assert found.music_ids == ("a", "b")


def test_an_index_without_melodies_is_refused() -> None:
    class Bare:
        music_ids = ("a",)
        contours = (None,)
        recording_song = np.zeros(1, np.int64)

    with pytest.raises(InputError, match="no melodies"):
        make_ranker(WAVELET, Bare())
