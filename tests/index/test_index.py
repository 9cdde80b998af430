"""The index folder comes back as it was saved, or says what is wrong with it."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from tiny_world import PlainModel, f0_of, melody

from humfind.index import Entry, Index, IndexInfo, Song, contours
from humfind.index.vectors import VectorTable, to_float16
from humfind.melody import contour
from humfind.retrieval import search
from humfind.types import InputError

MODEL = PlainModel()


@pytest.fixture(scope="module")
def index():
    songs = [(Song(f"Bài hát {i}", f"Title, {i}", source=f"full_song/{i}.mp3"), f0_of(melody(i))) for i in range(5)]
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
    assert (found.vectors[:] == index.vectors[:]).all()
    for a, b in zip(found.contours, index.contours, strict=True):
        assert a is not None
        assert b is not None
        assert (a.semitones == b.semitones).all()
        assert (a.voiced == b.voiced).all()
        assert a.frame_s == b.frame_s
    assert sorted(file.name.partition("-")[0] for file in folder.iterdir()) == [
        "contours", "engine", "index.json", "songs", "vectors", "windows",
    ]  # fmt: skip


def test_an_index_that_grows_on_a_disk_is_the_same(index, folder, tmp_path):
    entries = (index.entry(row) for row in range(len(index.songs)))
    Index.build(entries, index.info, tmp_path / "elsewhere" / "other").save(tmp_path / "other")
    assert sorted(path.name for path in folder.iterdir()) == sorted(
        path.name for path in (tmp_path / "other").iterdir()
    )
    assert not (tmp_path / "elsewhere").exists()


def test_contours_are_read_together_or_one_by_one(index, folder, monkeypatch):
    monkeypatch.setattr(contours, "TOGETHER", 2)
    stored = Index.load(folder).contours
    rows = list(range(len(index.songs)))
    together = (list(stored), stored[:], [stored[row] for row in rows], stored[::-1][::-1])
    for found in together:
        assert len(found) == len(rows) > 2
        assert all((one.semitones == index.contours[row].semitones).all() for row, one in zip(rows, found, strict=True))
    assert len(stored[1:1]) == 0
    with pytest.raises(IndexError):
        stored[len(rows)]


def test_without_contours(index, tmp_path):
    windows = contour.song_windows(index.contours[0], MODEL.config.contour)
    plain = Index.build([Entry(Song("a"), None, windows, MODEL.embed(windows))], IndexInfo())
    plain.save(tmp_path / "i")
    assert list(Index.load(tmp_path / "i").contours) == [None]


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
    "other format": (lambda f: edit(f / "index.json", format_version=99), "format version 6"),
    "parts that are null": (lambda f: edit(f / "index.json", parts=None), "parts is None"),
    "json without counts": (lambda f: (f / "index.json").write_text('{"format_version": 6}'), "lacks"),
    "other counts": (lambda f: edit(f / "index.json", windows=3), "index.json says 3"),
    "cut parquet": (lambda f: cut(part(f, "songs")), r"songs-\w+\.parquet: not a whole"),
    "cut windows": (lambda f: cut(part(f, "windows")), r"windows-\w+\.npy: not a whole table of windows"),
    "cut contours": (lambda f: cut(part(f, "contours")), r"contours-\w+\.npy: not a whole table of contours"),
    "cut engine": (lambda f: cut(part(f, "engine")), r"engine-\w+\.safetensors: not a whole safetensors"),
    "cut vectors": (lambda f: cut(part(f, "vectors")), r"vectors-\w+\.npy: not a whole"),
    "missing part": (lambda f: part(f, "contours").unlink(), r"contours-\w+\.npy: missing"),
    "other columns": (lambda f: pq.write_table(pa.table({"id": [1]}), part(f, "songs")), "other columns"),
    "pickle": (lambda f: part(f, "vectors").write_bytes(b"\x80\x04N."), "not a whole npy"),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_told(folder, damage):
    spoil, message = DAMAGE[damage]
    spoil(folder)
    with pytest.raises(InputError, match=message):
        Index.load(folder)


def test_rows_that_went_missing_are_told(folder):
    np.save(part(folder, "windows"), np.load(part(folder, "windows"))[:, :-1])
    with pytest.raises(InputError, match="windows; build it again"):
        Index.load(folder)


def test_another_model_is_told(folder):
    with pytest.raises(InputError, match=r"was built with runs/demo/model\.safetensors, not with this model"):
        Index.load(folder, "0" * 64)


def test_an_index_of_nothing_is_refused():
    with pytest.raises(InputError, match="no songs"):
        search.build_index([], MODEL)


def test_every_16_bit_number_is_read_as_numpy_reads_it():
    numbers = np.arange(2**16, dtype=np.uint16).view(np.float16)
    numbers = numbers[np.isfinite(numbers)].reshape(1, -1)
    assert VectorTable(numbers)[:].tobytes() == numbers.astype(np.float32).tobytes()


@pytest.mark.parametrize("number", [1e6, np.nan])
def test_vectors_that_16_bits_cannot_hold_are_refused(number):
    with pytest.raises(InputError, match="number beyond 65,504, or none"):
        to_float16(np.full((2, 3), number, np.float32))
