"""Words -> songs."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from humfind.data.tag_table import lemma
from humfind.index import Entry, Index, IndexInfo, Song
from humfind.index.folder import WindowPlaces
from humfind.retrieval.words import WordSearcher, parse
from humfind.types import Embeddings, InputError

TAGS = ("classic rock", "female vocals", "hip-hop", "rock", "slow")
ODDS = np.array([[0, 0, 0, 5, 0], [0, 0, 0, 1, 3], [0, 9, 0, 1, 0], [0, 0, 4, 0, 3]], np.float32)


@pytest.fixture(scope="module")
def searcher() -> WordSearcher:
    nowhere = np.zeros(1, np.float32)
    songs = [Song(str(i), title, artist) for i, (title, artist) in enumerate([("Rain", "Ada"), ("Rain Dance", ""),
             ("", "Béla"), ("Sun", "Ada")])]  # fmt: skip
    entries = [
        Entry(one, None, WindowPlaces(nowhere, nowhere, nowhere), Embeddings(np.ones((1, 4), np.float32)))
        for one in songs
    ]
    return WordSearcher(Index.build(entries, IndexInfo()), TAGS, ODDS)


@pytest.mark.parametrize(
    ("words", "tags", "rest"),
    [
        ("rock", ["rock"], []),
        ("Classic Rock", ["classic rock"], []),
        ("classic, rock", ["classic rock"], []),
        ("hip hop", ["hip-hop"], []),
        ("HIPHOP slow", ["hip-hop", "slow"], []),
        ("woman", ["female vocals"], []),
        ("female vocalist", ["female vocals"], []),
        ("slow slow", ["slow"], []),
        ("slow rain", ["slow"], ["rain"]),
        ("", [], []),
    ],
)
def test_words_are_read_as_tags_the_longest_first(words, tags, rest):
    assert parse(words, TAGS) == (tags, rest)


def test_spellings_are_one():
    assert lemma("Hip-Hop") == lemma("hip hop") == lemma("HIPHOPS")
    assert lemma("80s") != lemma("80")
    assert lemma("Béla") == lemma("bÉla")


def test_a_tag_orders_songs_by_its_odds(searcher):
    assert searcher.search("rock", 4).music_ids == ("0", "1", "2", "3")
    assert searcher.search("rock", 2).music_ids == ("0", "1")


def test_several_tags_count_alike_whatever_their_range(searcher):
    """By standard scores: song 3 is high in both, song 2 in none, though its other numbers are large."""
    found = searcher.search("hip hop slow", 4)
    assert found.music_ids[0] == "3"
    column = ODDS[:, [2, 4]].astype(float)
    expected = ((column - column.mean(axis=0)) / column.std(axis=0)).mean(axis=1)
    assert {a.music_id: a.score for a in found.answers} == pytest.approx({str(i): s for i, s in enumerate(expected)})


def test_other_words_are_looked_for_in_titles_and_artists(searcher):
    assert set(searcher.search("rain", 2).music_ids) == {"0", "1"}
    assert searcher.search(["bela", "béla"][1], 1).music_ids == ("2",)
    assert searcher.search("rain slow", 1).music_ids == ("1",)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("rok", "did you mean rock"),
        ("quixotic", "tags are: classic rock"),
        ("", "words: none"),
        (" , ", "words: none"),
        ("quixotic waltz", "quixotic is no tag"),
    ],
)
def test_unknown_words_are_refused_in_one_line(searcher, words, message):
    with pytest.raises(InputError, match=message) as raised:
        searcher.search(words, 3)
    assert "\n" not in str(raised.value)


def test_a_word_that_nothing_has_costs_the_others_nothing(searcher):
    assert searcher.search("slow quixotic", 4) == replace(searcher.search("slow", 4), query="slow quixotic")
    assert searcher.unknown("slow quixotic rain") == [
        "quixotic is no tag, and no title has it (a model of lab tags knows more: --model)"
    ]


def test_a_single_song_has_no_average():
    nowhere = np.zeros(1, np.float32)
    entry = Entry(Song("only"), None, WindowPlaces(nowhere, nowhere, nowhere), Embeddings(np.ones((1, 4), np.float32)))
    searcher = WordSearcher(Index.build([entry], IndexInfo()), TAGS, ODDS[:1])
    assert searcher.search("rock", 3).answers[0].score == 5
