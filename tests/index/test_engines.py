"""Neighbours: exact, approximate, and as songs are added and deleted."""

from __future__ import annotations

from collections.abc import Iterator

import faiss
import numpy as np
import pytest
from tiny_world import PlainModel, f0_of, melody

from humfind.index import Index, IndexInfo, Song, engines
from humfind.index.engines import ivf
from humfind.index.engines.ivf import InvertedFile
from humfind.index.engines.ivfpq import ProductCodes
from humfind.index.vectors import VectorTable
from humfind.retrieval import search
from humfind.types import InputError

RNG = np.random.default_rng(0)
MODEL = PlainModel()
NAMES = list(engines.ENGINES)


@pytest.fixture(scope="module", autouse=True)
def milvus(tmp_path_factory) -> Iterator[None]:
    """Milvus Lite, in a file."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HUMFIND_MILVUS", str(tmp_path_factory.mktemp("milvus") / "vectors.db"))
        yield


def clustered(rows: int, dim: int = 16) -> np.ndarray:
    """Vectors around 50 centres, rounded to 16 bits."""
    centres = RNG.normal(size=(50, dim))
    return (centres[RNG.integers(0, 50, rows)] + 0.3 * RNG.normal(size=(rows, dim))).astype(np.float16)


def exact_order(vectors: np.ndarray, query: np.ndarray) -> np.ndarray:
    distance = np.sqrt(((query.astype(float) - vectors.astype(float)) ** 2).sum(-1)).astype(np.float32)
    return np.lexsort((np.arange(len(vectors)), distance))


def test_exact_neighbours_are_sorted_and_alone_as_in_company():
    vectors = RNG.normal(size=(3000, 16)).astype(np.float16).astype(np.float32)
    vectors[100:160] = vectors[7]  # equal distances: the lower row first
    queries = np.concatenate([vectors[[7]], RNG.normal(size=(50, 16)).astype(np.float32)])
    table = VectorTable(vectors.astype(np.float16))
    engine = engines.make_engine("exact", table)
    distance, row = engines.nearest(table, engine, queries, 12)
    assert row[0].tolist() == [7, *range(100, 111)]
    expected = np.sqrt(((queries[:, None].astype(float) - vectors) ** 2).sum(-1)).astype(np.float32)
    assert (row == np.stack([exact_order(vectors, query)[:12] for query in queries])).all()
    assert (distance == np.take_along_axis(expected, row, 1)).all()
    for i, query in enumerate(queries):
        one_distance, one_row = engines.nearest(table, engine, query[None], 12)
        assert (one_distance[0] == distance[i]).all()
        assert (one_row[0] == row[i]).all()


@pytest.mark.parametrize("name", NAMES)
def test_more_neighbours_than_rows_are_all_rows(name):
    table = VectorTable(np.eye(3, dtype=np.float16))
    distance, row = engines.nearest(table, engines.make_engine(name, table), np.zeros((2, 3), np.float32), 10)
    assert row.tolist() == [[0, 1, 2]] * 2
    assert distance == pytest.approx(1)


@pytest.mark.parametrize("many", [ivf.MANY, 10], ids=["", "lists among lists"])
@pytest.mark.parametrize("name", [name for name in NAMES if name != "milvus"])  # which goes on building
def test_threads_change_no_byte(name, many, monkeypatch):
    monkeypatch.setattr(ivf, "MANY", many)
    vectors = clustered(2000, 32)
    found = []
    threads = faiss.omp_get_max_threads()
    for n in (1, 2):
        faiss.omp_set_num_threads(n)
        table = VectorTable(vectors)
        engine = engines.make_engine(name, table)
        neighbours = engines.nearest(table, engine, vectors[:100].astype(np.float32), 10)
        found.append([part.tobytes() for part in (*neighbours, *engine.state().values())])
    faiss.omp_set_num_threads(threads)
    assert found[0] == found[1]


def test_the_inverted_file_finds_most_of_the_nearest_and_their_true_distances():
    vectors = clustered(40_000)
    table = VectorTable(vectors)
    queries = clustered(200).astype(np.float32)
    exact = engines.nearest(table, engines.make_engine("exact", table), queries, 10)
    found = engines.nearest(table, InvertedFile(table), queries, 10)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact[1], found[1], strict=True)])
    assert 0.9 < recall < 1, "approximate"
    same = exact[1] == found[1]
    assert (exact[0][same] == found[0][same]).all(), "one measure of distance"


def test_product_codes_find_most_of_the_nearest_from_an_eighth_of_the_bytes():
    vectors = clustered(40_000, 32)
    table = VectorTable(vectors)
    queries = clustered(200, 32).astype(np.float32)
    exact = engines.nearest(table, engines.make_engine("exact", table), queries, 10)
    engine = ProductCodes(table)
    found = engines.nearest(table, engine, queries, 100)
    recall = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(exact[1], found[1], strict=True)])
    assert 0.9 < recall < 1, "approximate"
    assert engine.state()["codes"].nbytes == vectors.nbytes // 8
    again = ProductCodes(table, engine.state())
    assert (engines.nearest(table, again, queries, 100)[1] == found[1]).all()


@pytest.mark.parametrize("wrong", ["codes", "codebooks", "centroids", "rows", "begin"])
def test_codes_of_another_table_are_refused(wrong):
    table = VectorTable(clustered(300, 8))
    state = ProductCodes(table).state()
    damaged = {
        "codes": state["codes"][:-1], "codebooks": np.full_like(state["codebooks"], np.nan),
        "centroids": state["centroids"][:, :-1], "rows": np.zeros_like(state["rows"]), "begin": state["begin"][::-1],
    }  # fmt: skip
    with pytest.raises(ValueError, match=rf"engine: .*{wrong.rstrip('s')}"):
        ProductCodes(table, state | {wrong: damaged[wrong]})
    with pytest.raises(ValueError, match="engine ivfpq: its state is not"):
        ProductCodes(table, {name: part for name, part in state.items() if name != wrong})


def test_what_codes_estimate_is_near_what_is_measured():
    vectors = clustered(3000, 32)
    table = VectorTable(vectors)
    engine = engines.make_engine("ivfpq", table)
    queries = vectors[:40].astype(np.float32) + 0.1
    apart, rows = engines.estimated(table, engine, queries, 20)
    assert (rows == engine.propose(queries, 20).rows).all()
    assert (np.diff(apart, axis=1) >= 0).all()
    measured = np.linalg.norm(vectors[rows].astype(float) - queries[:, None], axis=2)
    assert np.abs(apart - measured).mean() < 0.1 * measured.mean()
    assert np.corrcoef(apart.ravel(), measured.ravel())[0, 1] > 0.9
    exact = engines.make_engine("exact", table)
    for one, other in zip(
        engines.estimated(table, exact, queries, 20), engines.nearest(table, exact, queries, 20), strict=True
    ):
        assert (one == other).all()


def test_of_many_centroids_nearly_the_nearest_lists_a_vector(monkeypatch):
    vectors = VectorTable(RNG.normal(size=(20_000, 16)).astype(np.float16))
    centroids = ivf.centroids_of(vectors)
    nearest = ivf.nearest_centroid(vectors, 0, centroids)
    monkeypatch.setattr(ivf, "MANY", len(centroids) - 1)
    found = ivf.nearest_centroid(vectors, 0, centroids)
    assert found.dtype == np.int32
    assert 0.8 < (found == nearest).mean() < 1, "not all centroids were compared"
    far, near = (np.linalg.norm(vectors[:] - centroids[rows], axis=1).mean() for rows in (found, nearest))
    assert far < 1.02 * near
    assert (ivf.nearest_centroid(vectors, 0, centroids) == found).all()
    assert (ivf.nearest_centroid(vectors, 12_345, centroids) == found[12_345:]).all()


@pytest.mark.parametrize("name", NAMES)
def test_every_row_is_found_when_all_are_asked_for(name):
    vectors = clustered(500)
    table = VectorTable(vectors)
    query = np.zeros((1, 16), np.float32)
    _, row = engines.nearest(table, engines.make_engine(name, table), query, 500)
    assert (row[0] == exact_order(vectors, query[0])).all()


def index_of(numbers: range, engine: str) -> Index:
    made = [(Song(f"{i:02d}"), f0_of(melody(i))) for i in numbers]
    entries = search.entries_of(made, MODEL)
    return Index.build(entries, IndexInfo(MODEL.checksum, engine=engine))


@pytest.mark.parametrize("name", NAMES)
def test_songs_are_added_and_deleted(name, tmp_path):
    whole = index_of(range(8), name)
    more = [(Song(f"{i:02d}"), f0_of(melody(i))) for i in (5, 6, 7)]
    grown = index_of(range(5), name).add(search.entries_of(more, MODEL))
    assert grown.songs == whole.songs
    for column in ("recording", "start_s", "length_s", "key"):
        assert (getattr(grown, column) == getattr(whole, column)).all()
    assert (grown.vectors[:] == whole.vectors[:]).all()
    less = grown.delete(["02", "06"])
    assert less.music_ids == ("00", "01", "03", "04", "05", "07")
    less.save(tmp_path / "index")
    for index in (less, Index.load(tmp_path / "index")):
        query = whole.vectors[:20]
        distance, row = index.nearest(query, len(index.vectors))
        rest = np.flatnonzero(~np.isin(whole.recording, [2, 6]))
        assert (whole.vectors[rest] == index.vectors[:]).all()
        assert (row == np.stack([exact_order(whole.vectors[rest], one) for one in query])).all()
        assert np.isfinite(distance).all()
    state = Index.load(tmp_path / "index").engine.state()
    assert all((state[key] == less.engine.state()[key]).all() for key in less.engine.state())


def test_what_is_not_there_cannot_be_deleted():
    index = index_of(range(2), "exact")
    with pytest.raises(InputError, match="09 is no song"):
        index.delete(["09"])
    with pytest.raises(InputError, match="no song would be left"):
        index.delete(["00", "01"])


def test_an_unknown_engine_is_told():
    with pytest.raises(InputError, match="unknown; choose one of exact, ivf, ivfpq, milvus"):
        index_of(range(2), "annoy")


def test_numpy_reads_the_vectors(tmp_path):
    vectors = clustered(40_000, 8)
    VectorTable(vectors).save(tmp_path / "vectors.npy")
    assert (np.load(tmp_path / "vectors.npy") == vectors).all()
    table = VectorTable.load(tmp_path / "vectors.npy")
    assert table[:].tobytes() == vectors.astype(np.float32).tobytes()  # over several blocks
    assert table.with_squares(slice(5, 9))[1] == pytest.approx((vectors[5:9].astype(float) ** 2).sum(axis=1))
