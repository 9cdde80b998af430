"""The index folder comes back as it was saved, or says what is wrong with it."""

from __future__ import annotations

import json

import faiss
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_world import PlainModel, f0_of, melody

from humfind.index import Entry, Index, IndexInfo, Song
from humfind.index.flat import FlatIndex, halved
from humfind.melody import contour
from humfind.retrieval import search
from humfind.types import InputError

MODEL = PlainModel()


@pytest.fixture(scope="module")
def index():
    songs = [(Song(f"Bài hát {i}", f"Title, {i}", f"full_song/{i}.mp3"), f0_of(melody(i))) for i in range(5)]
    return search.build_index(songs, MODEL, "runs/demo/model.safetensors", {"name": "torchcrepe"})


@pytest.fixture
def folder(index, tmp_path):
    index.save(tmp_path / "index")
    return tmp_path / "index"


def test_round_trip(index, folder):
    found = Index.load(folder, MODEL.checksum)
    assert found.songs == index.songs
    assert found.info == index.info
    assert found.music_ids == index.music_ids
    for name in ("recording", "start_s", "length_s", "key"):
        assert (getattr(found, name) == getattr(index, name)).all()
    assert (found.engine[:] == index.engine[:]).all()
    for a, b in zip(found.contours, index.contours, strict=True):
        assert a is not None
        assert b is not None
        assert (a.semitones == b.semitones).all()
        assert (a.voiced == b.voiced).all()
        assert a.frame_s == b.frame_s
    assert sorted(file.name.partition("-")[0] for file in folder.iterdir()) == [
        "contours", "index.json", "songs", "vectors", "windows",
    ]  # fmt: skip


def test_without_contours(index, tmp_path):
    windows = contour.song_windows(index.contours[0], MODEL.config.contour)
    plain = Index.build([Entry(Song("a"), None, windows, MODEL.embed(windows))], IndexInfo())
    plain.save(tmp_path / "i")
    assert Index.load(tmp_path / "i").contours == (None,)


def test_saving_again_replaces_it_and_leaves_nothing_beside(index, folder):
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    index.save(folder)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [file.name for file in folder.parent.iterdir()] == ["index"]


def test_another_folder_is_not_overwritten(index, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(InputError, match="holds something else"):
        index.save(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def part(folder, name):
    """The file of a part, by its name in index.json."""
    return folder / json.loads((folder / "index.json").read_text())["parts"][name]


def cut(path):
    path.write_bytes(path.read_bytes()[:-20])


def edit(path, **values):
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


DAMAGE = {
    "no folder": (lambda f: [file.unlink() for file in f.iterdir()], "not an index"),
    "not json": (lambda f: (f / "index.json").write_text("{"), "not JSON"),
    "other format": (lambda f: edit(f / "index.json", format_version=99), "format version 3"),
    "json without counts": (lambda f: (f / "index.json").write_text('{"format_version": 3}'), "lacks"),
    "other counts": (lambda f: edit(f / "index.json", windows=3), "index.json says 3"),
    "cut parquet": (lambda f: cut(part(f, "windows")), r"windows-\w+\.parquet: not a whole"),
    "cut vectors": (lambda f: cut(part(f, "vectors")), r"vectors-\w+\.faiss: not a whole"),
    "missing part": (lambda f: part(f, "contours").unlink(), r"contours-\w+\.parquet: missing"),
    "other columns": (lambda f: pq.write_table(pa.table({"id": [1]}), part(f, "songs")), "other columns"),
    "pickle": (lambda f: part(f, "vectors").write_bytes(b"\x80\x04N."), "not a whole faiss"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told(folder, damage):
    spoil, message = DAMAGE[damage]
    spoil(folder)
    with pytest.raises(InputError, match=message):
        Index.load(folder)


def test_rows_that_went_missing_are_told(folder):
    table = pq.read_table(part(folder, "windows"))
    pq.write_table(table.slice(0, len(table) - 1), part(folder, "windows"))
    with pytest.raises(InputError, match="windows; build it again"):
        Index.load(folder)


def test_another_model_is_told(folder):
    with pytest.raises(InputError, match=r"was built with runs/demo/model\.safetensors, not with this model"):
        Index.load(folder, "0" * 64)


def test_an_index_of_nothing_is_refused():
    with pytest.raises(InputError, match="no songs"):
        search.build_index([], MODEL)


def test_neighbours_are_exact_sorted_and_alone_as_in_company():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(3000, 16)).astype(np.float16).astype(np.float32)
    vectors[100:160] = vectors[7]  # equal distances: the lower row first
    queries = np.concatenate([vectors[[7]], rng.normal(size=(50, 16)).astype(np.float32)])
    engine = FlatIndex(vectors.astype(np.float16))
    distance, row = engine.nearest(queries, 12)
    assert row[0].tolist() == [7, *range(100, 111)]
    expected = np.sqrt(((queries[:, None].astype(float) - vectors) ** 2).sum(-1)).astype(np.float32)
    order = np.stack([np.lexsort((np.arange(3000), line)) for line in expected])[:, :12]
    assert (row == order).all()
    assert (distance == np.take_along_axis(expected, order, 1)).all()
    for i, query in enumerate(queries):
        one_distance, one_row = engine.nearest(query[None], 12)
        assert (one_distance[0] == distance[i]).all()
        assert (one_row[0] == row[i]).all()


def test_more_neighbours_than_rows_are_all_rows():
    engine = FlatIndex(np.eye(3, dtype=np.float16))
    distance, row = engine.nearest(np.zeros((2, 3), np.float32), 10)
    assert row.tolist() == [[0, 1, 2]] * 2
    assert distance == pytest.approx(1)


def test_threads_change_no_byte():
    vectors = np.random.default_rng(1).normal(size=(2000, 32)).astype(np.float32)
    engine, found = FlatIndex(vectors.astype(np.float16)), []
    threads = faiss.omp_get_max_threads()
    for n in (1, 2):
        faiss.omp_set_num_threads(n)
        found.append([part.tobytes() for part in engine.nearest(vectors[:100], 10)])
    faiss.omp_set_num_threads(threads)
    assert found[0] == found[1]


def test_faiss_reads_the_vectors(tmp_path):
    vectors = np.random.default_rng(2).normal(size=(40_000, 8)).astype(np.float16)
    FlatIndex(vectors).save(tmp_path / "vectors.faiss")
    theirs = faiss.read_index(str(tmp_path / "vectors.faiss"))
    assert (theirs.reconstruct_n(0, len(vectors)) == vectors.astype(np.float32)).all()
    ours = FlatIndex.load(tmp_path / "vectors.faiss")
    queries = vectors[::4000].astype(np.float32)
    assert (ours.nearest(queries, 5)[1] == theirs.search(queries, 5)[1]).all()  # over several blocks


def test_every_16_bit_number_is_read_as_numpy_reads_it():
    numbers = np.arange(2**16, dtype=np.uint16).view(np.float16)
    numbers = numbers[np.isfinite(numbers)].reshape(1, -1)
    assert FlatIndex(numbers)[:].tobytes() == numbers.astype(np.float32).tobytes()


@pytest.mark.parametrize("number", [1e6, np.nan])
def test_vectors_that_16_bits_cannot_hold_are_refused(number):
    with pytest.raises(InputError, match="number beyond 65,504, or none"):
        halved(np.full((2, 3), number, np.float32))
