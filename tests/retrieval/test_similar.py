"""A sound finds its like: scores by hand, places, and the map's page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_world import f0_of, melody, put_audio

from humfind.encoders import musicnn
from humfind.encoders.sound import NAME, SoundEncoder
from humfind.index import Entry, Index, IndexInfo, Song
from humfind.index.folder import WindowPlaces
from humfind.retrieval.similar import SimilarSearcher, listen
from humfind.retrieval.sound_map import Segment, flattened, page_of, url_of, write_map
from humfind.types import Embeddings, InputError


def index_of(songs: dict[str, list[list[float]]], source: str = "") -> Index:
    """A song a recording, a segment of three seconds a row."""
    entries = []
    for name, rows in songs.items():
        start_s = (3.0 * np.arange(len(rows))).astype(np.float32)
        places = WindowPlaces(start_s, np.full(len(rows), 3.0, np.float32), np.zeros(len(rows), np.float32))
        song = Song(name.partition("#")[0], title=name, source=source, checksum=f"sum of {name}")
        entries.append(Entry(song, None, places, Embeddings(np.array(rows, np.float32))))
    return Index.build(entries, IndexInfo("checksum", NAME))


SONGS = {"a": [[1, 0], [0, 2]], "b": [[3, 3]], "c": [[-1, 0], [0, -1], [1, -0.1]], "b#live": [[0, 5]]}


def test_a_song_scores_the_mean_of_each_segments_best_cosine():
    searcher = SimilarSearcher(index_of(SONGS))
    query = np.array([[2, 0], [0, 0.5]], np.float32)
    ranking = searcher.search(query, 10, "query")
    half = 0.5**0.5
    expected = {"a": 1.0, "b": half, "c": (1 / 1.01**0.5 - 0.1 / 1.01**0.5) / 2}
    assert ranking.music_ids == ("a", "b", "c")
    assert [answer.score for answer in ranking.answers] == pytest.approx(
        [expected["a"], expected["b"], (1 / 1.01**0.5 + 0) / 2], abs=1e-3
    )


def test_the_most_similar_pair_says_where():
    searcher = SimilarSearcher(index_of(SONGS))
    answer = searcher.search(np.array([[0, 1]], np.float32), 1, at_s=41.0).answers[0]
    assert (answer.music_id, answer.match.start_s, answer.match.end_s, answer.match.hum_start_s) == ("a", 3, 6, 41)
    best = {one.music_id: one for one in searcher.search(np.array([[0, 1]], np.float32), 3).answers}
    assert best["b"].score == pytest.approx(1), "of two recordings of a song the more similar counts"
    two = searcher.search(np.array([[-1, -0.2], [1, 0]], np.float32), 3).answers
    places = {one.music_id: (one.match.start_s, one.match.hum_start_s) for one in two}
    assert places["a"] == (0, pytest.approx(musicnn.SEGMENT_S))


def test_what_is_like_everything_is_no_place():
    """All songs end in silence, which the query does, too: the place is where this song alone is like it."""
    silence = [0.0, 0.0, 1.0]
    songs = {"a": [[1, 0.2, 0], silence], "b": [[0, 1, 0], silence], "c": [[0, -1, 0], silence]}
    answer = SimilarSearcher(index_of(songs)).search(np.array([[1, 0, 0], silence], np.float32), 1).answers[0]
    assert (answer.music_id, answer.match.start_s, answer.match.hum_start_s) == ("a", 0, 0)


def test_the_query_itself_is_no_answer():
    searcher = SimilarSearcher(index_of(SONGS))
    query = np.array([[1, 0]], np.float32)
    assert searcher.search(query, 1).music_ids == ("a",)
    assert searcher.search(query, 3, without=frozenset({"sum of a"})).music_ids == ("c", "b")
    with pytest.raises(InputError, match="no other recording"):
        searcher.search(query, 3, without=frozenset(f"sum of {name}" for name in SONGS))


def test_blocks_change_nothing(monkeypatch):
    rng = np.random.default_rng(0)
    songs = {f"s{i}": rng.standard_normal((1 + i % 7, 5)).tolist() for i in range(30)}
    query = rng.standard_normal((4, 5)).astype(np.float32)
    index = index_of(songs)
    whole = SimilarSearcher(index).search(query, 30)
    monkeypatch.setattr("humfind.index.vectors.BLOCK_ROWS", 3)
    parts = SimilarSearcher(index).search(query, 30)
    assert parts.music_ids == whole.music_ids
    assert [one.score for one in parts.answers] == pytest.approx([one.score for one in whole.answers], abs=1e-6)
    unit = {name: np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True) for name, rows in songs.items()}
    asked = query / np.linalg.norm(query, axis=1, keepdims=True)
    by_hand = {name: float((rows @ asked.T).max(axis=0).mean()) for name, rows in unit.items()}
    assert whole.music_ids == tuple(sorted(by_hand, key=lambda name: -by_hand[name]))


def test_a_place_is_read_from_there(tmp_path):
    put_audio(tmp_path / "x.wav", f0_of(melody(1)[:900]))  # nine seconds
    encoder = SoundEncoder()
    whole = listen(tmp_path / "x.wav", encoder).vectors
    assert len(whole) == 3
    there = listen(tmp_path / "x.wav", encoder, 3 * musicnn.SEGMENT_S / 3).vectors
    assert there.shape == (1, 402)
    cosine = (there[0] @ whole.T) / np.linalg.norm(there[0]) / np.linalg.norm(whole, axis=1)
    assert cosine.argmax() == 1
    with pytest.raises(InputError, match=r"--at 1:01: it ends at 0:09; give an earlier one"):
        listen(tmp_path / "x.wav", encoder, 61.0)


def test_silence_is_like_nothing(tmp_path):
    samples = np.zeros(6 * 16_000, np.float32)
    samples[:16_000] = 0.1
    soundfile.write(tmp_path / "x.wav", samples, 16_000)
    soundfile.write(tmp_path / "silent.wav", 0 * samples, 16_000)
    encoder = SoundEncoder()
    assert len(listen(tmp_path / "x.wav", encoder)) == 2
    with pytest.raises(InputError, match="silent; nothing sounds like nothing"):
        listen(tmp_path / "silent.wav", encoder)
    with pytest.raises(InputError, match=r"--at 0:03: silent there"):
        listen(tmp_path / "x.wav", encoder, 3.0)


def test_another_networks_index_is_refused():
    with pytest.raises(InputError, match="read by another network"):
        SimilarSearcher.of(index_of(SONGS), SoundEncoder())


# --- the map


def values_of(page: str) -> dict:
    return json.loads(re.search(r'type="application/json">(.*?)</script>', page).group(1))


def test_the_page_says_what_is_where(tmp_path):
    file = tmp_path / "music" / "a & b#1.wav"
    file.parent.mkdir()
    soundfile.write(file, np.zeros(16_000), 16_000)
    index = index_of({"a": [[1, 0], [0, 1]], "b": [[1, 1], [1, 0.5]]}, str(file))
    page = tmp_path / "map.html"
    assert write_map(index, page, file, np.array([[1, 0]], np.float32), 41.0) == 5
    values = values_of(page.read_text())
    assert values["urls"] == ["music/a%20%26%20b%231.wav"]
    assert values["names"] == ["a", "b", file.name]
    assert values["groups"] == ["music"]
    assert [point[5:] for point in values["points"]] == [
        [0, 3, 0], [3, 3, 0], [0, 3, 0], [3, 3, 0], [41, pytest.approx(3, abs=0.1), 1],
    ]  # fmt: skip


def test_a_title_is_text_and_no_page():
    evil = "</script><script>alert(1)</script> VALUES TITLE"
    page = page_of(np.zeros((1, 2), np.float32), [Segment(evil, evil, "", 0.0, 3.0)], evil)
    assert page.count("<script") == 2
    assert "<script>alert" not in page
    assert values_of(page)["names"] == [evil]


def test_alike_lies_together():
    rng = np.random.default_rng(0)
    middles = np.repeat(np.eye(4, 8), 30, axis=0)
    places = flattened((middles + rng.normal(0, 0.05, middles.shape)).astype(np.float32))
    assert places.shape == (120, 2)
    assert places.min() == 0
    assert places.max() == 1
    distance = np.linalg.norm(places[:, None] - places[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    nearest = distance.argmin(axis=1)
    assert (nearest // 30 == np.arange(120) // 30).all()
    assert flattened(np.ones((3, 8), np.float32)).shape == (3, 2)


def test_a_recording_is_reached_from_the_page(tmp_path):
    assert url_of(tmp_path / "é.wav", tmp_path / "pages" / "map.html") == "../%C3%A9.wav"
    assert url_of(Path(tmp_path / "a.wav"), tmp_path / "map.html") == "a.wav"
