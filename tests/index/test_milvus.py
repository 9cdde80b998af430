"""The engine milvus, with Milvus Lite: a real server's process keeps the vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_world import PlainModel, f0_of, melody, put_audio

from humfind.index import Index, IndexInfo, Song, engines
from humfind.index.engines import milvus
from humfind.index.vectors import VectorTable
from humfind.retrieval import search
from humfind.retrieval.indexing import write_index
from humfind.types import InputError

MODEL = PlainModel()


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> str:
    return str(tmp_path_factory.mktemp("milvus") / "vectors.db")


@pytest.fixture(autouse=True)
def there(address, monkeypatch) -> None:
    monkeypatch.setenv("HUMFIND_MILVUS", address)


def clustered(rows: int, dim: int = 32, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(50, dim))
    return (centres[rng.integers(0, 50, rows)] + 0.3 * rng.normal(size=(rows, dim))).astype(np.float16)


def index_of(numbers: range) -> Index:
    entries = search.entries_of([(Song(f"{i:02d}"), f0_of(melody(i))) for i in numbers], MODEL)
    return Index.build(entries, IndexInfo(MODEL.checksum, engine="milvus"))


def collections(address: str) -> set[str]:
    return set(milvus._opened(address, "").list_collections())


def test_most_of_the_nearest_are_found_and_measured_from_the_vectors():
    table = VectorTable(clustered(12_000))
    queries = clustered(100, seed=1).astype(np.float32)
    exact = engines.nearest(table, engines.make_engine("exact", table), queries, 10)
    found = engines.nearest(table, milvus.Milvus(table), queries, 100)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact[1], found[1], strict=True)])
    assert recall > 0.9
    first = exact[1][:, 0] == found[1][:, 0]
    assert first.mean() > 0.9
    assert (exact[0][first, 0] == found[0][first, 0]).all(), "one measure of distance"


def test_an_index_is_saved_and_searched_again_and_the_same_vectors_are_sent_once(tmp_path, address, monkeypatch):
    index_of(range(4)).save(tmp_path / "index")
    before = collections(address)
    sent: list[Any] = []
    client = milvus._opened(address, "")
    monkeypatch.setattr(client, "insert", lambda *given: sent.append(given))
    index_of(range(4))
    assert not sent
    assert collections(address) == before
    found = Index.load(tmp_path / "index")
    assert (found.nearest(found.vectors[:5], 1)[1][:, 0] == np.arange(5)).all()


def test_what_an_interrupted_build_left_is_made_again(address):
    table = VectorTable(clustered(700, seed=2))
    name = milvus.Milvus(table).collection
    milvus._opened(address, "").delete(name, ids=[1, 2, 3])
    milvus._opened(address, "").flush(name)
    assert milvus.Milvus(table).propose(table[1:4], 1).rows[:, 0].tolist() == [1, 2, 3]


def test_what_is_not_as_the_index_says_is_told(tmp_path, address, monkeypatch):
    index_of(range(3)).save(tmp_path / "index")
    found = Index.load(tmp_path / "index")
    assert isinstance(found.engine, milvus.Milvus)
    milvus._opened(address, "").drop_collection(found.engine.collection)
    with pytest.raises(InputError, match=f"vectors.db has no collection {found.engine.collection}; build the index"):
        found.nearest(found.vectors[:1], 1)
    with pytest.raises(InputError, match="16,384 rows at most, not 20,000; take engine exact or ivfpq"):
        found.engine.propose(found.vectors[:1], 20_000)
    for state in ({}, {"collection": np.frombuffer(b"humfind_../../else", np.uint8)}, {"collection": np.zeros(3)}):
        with pytest.raises(ValueError, match="not the name of a collection"):
            milvus.Milvus(found.vectors, state)


def test_where_it_is_is_asked_for_and_that_it_answers(tmp_path, monkeypatch):
    monkeypatch.delenv("HUMFIND_MILVUS")
    with pytest.raises(InputError, match="HUMFIND_MILVUS is not set; set it to an address, or to a file"):
        index_of(range(2))
    monkeypatch.setenv("HUMFIND_MILVUS", "http://127.0.0.1:9")
    with pytest.raises(InputError, match=r"milvus: http://127\.0\.0\.1:9: .*; see that it runs, or set HUMFIND_MILVUS"):
        index_of(range(2))


def test_a_build_does_not_begin_where_no_server_is(tmp_path, monkeypatch):
    monkeypatch.delenv("HUMFIND_MILVUS")
    put_audio(tmp_path / "music/1.wav", f0_of(melody(1), shift=12))
    with pytest.raises(InputError, match="HUMFIND_MILVUS is not set"):
        write_index(tmp_path / "music", tmp_path / "index", "public_test", engine="milvus")
    assert not (tmp_path / "index").exists()


def test_the_file_is_where_it_was_said(tmp_path, address):
    index_of(range(2))
    assert Path(address).exists()
