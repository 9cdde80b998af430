"""An index folder is of one version: while it is rebuilt, when the rebuild is killed, and whatever else lies there."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from humfind.index import Entry, Index, IndexInfo, Song
from humfind.retrieval import searcher
from humfind.retrieval.query import HumQueries
from humfind.types import Contour, Embeddings, InputError, Query, Windows

SONGS, FRAMES, DIM = 12, 40, 8


def windows_of(number: float, count: int = 3) -> Windows:
    filled = np.full(count, number, np.float32)
    return Windows(np.zeros((count, 2, 8), np.float32), filled, filled, filled, filled)


def version(number: int, tracker: str = "torchcrepe") -> Index:
    """An index in which everything says ``number``."""
    entries = [
        Entry(
            Song(f"{number}-{i}", length_s=float(number)),
            Contour(np.full(FRAMES, number, np.float32), np.ones(FRAMES, bool), 0.04),
            windows_of(number),
            Embeddings(np.full((3, DIM), number, np.float32)),
        )
        for i in range(SONGS)
    ]
    return Index.build(entries, IndexInfo(model_checksum=str(number), tracker={"tracker": tracker}))


def numbers_in(found: Index) -> set[float]:
    """The versions that an index is made of."""
    said = [float(song.music_id.split("-")[0]) for song in found.songs]
    said += [found.info.model_checksum and float(found.info.model_checksum)]
    for values in (found.start_s, found.length_s, found.key, found.vectors[:]):
        said += np.unique(values).tolist()
    return {*said, *(float(contour.semitones[0]) for contour in found.contours if contour)}


def in_child(work: Callable[[], object]) -> int:
    """The id of a process that does ``work`` and ends."""
    child = os.fork()
    if child == 0:
        try:
            work()
        finally:
            os._exit(0)
    return child


def test_a_reader_during_rebuilds_gets_one_version(tmp_path):
    folder = tmp_path / "index"
    made = [version(1), version(2)]
    made[0].save(folder)

    def write() -> None:
        for turn in range(1, 10_000):
            made[turn % 2].save(folder)

    writer = in_child(write)
    try:
        loads, seen, end = 0, set(), time.monotonic() + 2.5
        while time.monotonic() < end:
            found = numbers_in(Index.load(folder))
            assert len(found) == 1, f"load {loads} is mixed of versions {found}"
            seen |= found
            loads += 1
    finally:
        os.kill(writer, signal.SIGKILL)
        os.waitpid(writer, 0)
    assert loads > 20
    assert seen == {1.0, 2.0}, "the rebuilds were seen"


@pytest.mark.parametrize("renames", range(12))
def test_a_rebuild_killed_at_any_rename_leaves_one_version_whole(tmp_path, monkeypatch, renames):
    folder, clean = tmp_path / "index", tmp_path / "clean"
    version(1).save(folder)
    version(2).save(clean)

    def rebuild() -> None:
        left = iter(range(renames))
        rename = os.replace

        def once_more(*names: str) -> None:
            if next(left, None) is None:
                os._exit(1)
            rename(*names)

        monkeypatch.setattr(os, "replace", once_more)
        version(2).save(folder)

    os.waitpid(in_child(rebuild), 0)
    assert numbers_in(Index.load(folder)) in ({1.0}, {2.0})
    version(2).save(folder)
    assert files_of(folder) == files_of(clean), "what the kill left is cleared"


def files_of(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_nothing_that_the_program_did_not_write_is_removed(tmp_path):
    folder = tmp_path / "index"
    version(1).save(folder)
    own = {
        "notes.txt": b"mine",
        "songs.parquet": b"mine",
        "vectors.faiss.part": b"mine",
        f"songs-{'0' * 16}.parquet": b"named like a part, with other content",
        "index.json.part": b"mine",
    }
    for name, content in own.items():
        (folder / name).write_bytes(content)
    for number in (2, 3):
        version(number).save(folder)
    there = files_of(folder)
    assert {name: there.get(name) for name in own} == own
    assert numbers_in(Index.load(folder)) == {3.0}
    assert len(there) == len(own) + 6, "one version beside them"


@pytest.mark.parametrize("about", ["{}", "[]", "not JSON", '{"name": "a web page\'s", "version": 1}'])
def test_anothers_index_json_is_not_replaced(tmp_path, about):
    (tmp_path / "index.json").write_text(about)
    with pytest.raises(InputError, match="not an index's; remove it, or choose another folder"):
        version(1).save(tmp_path)
    assert files_of(tmp_path) == {"index.json": about.encode()}


def test_an_index_of_the_format_before_is_built_again(tmp_path):
    version(1).save(tmp_path)
    about = json.loads((tmp_path / "index.json").read_text())
    parts = about.pop("parts")
    (tmp_path / parts.pop("engine")).unlink()
    for part, name in parts.items():
        (tmp_path / name).rename(tmp_path / f"{part}{'.faiss' if part == 'vectors' else '.parquet'}")
    (tmp_path / "index.json").write_text(json.dumps(about | {"format_version": 2}))
    with pytest.raises(InputError, match="not of format version 6; build the index again"):
        Index.load(tmp_path)
    version(2).save(tmp_path)
    assert len(files_of(tmp_path)) == 6
    assert numbers_in(Index.load(tmp_path)) == {2.0}


def test_parts_of_the_format_before_are_removed(tmp_path):
    version(1).save(tmp_path)
    about = json.loads((tmp_path / "index.json").read_text())
    for part in ("windows", "contours"):
        content = f"{part} as a table".encode()
        name = f"{part}-{hashlib.sha256(content).hexdigest()[:16]}.parquet"
        (tmp_path / about["parts"][part]).unlink()
        (tmp_path / name).write_bytes(content)
        about["parts"][part] = name
    (tmp_path / "index.json").write_text(json.dumps(about | {"format_version": 5}))
    with pytest.raises(InputError, match="not of format version 6; build the index again"):
        Index.load(tmp_path)
    version(2).save(tmp_path)
    assert len(files_of(tmp_path)) == 6
    assert numbers_in(Index.load(tmp_path)) == {2.0}


def test_a_folder_stays_the_same_folder(tmp_path):
    """Nothing is renamed onto it: a mount point, or a link to a folder, is written like any other."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    before = (tmp_path / "real").stat().st_ino
    for number in (1, 2):
        version(number).save(tmp_path / "link")
        assert numbers_in(Index.load(tmp_path / "real")) == {float(number)}
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").stat().st_ino == before


def test_a_hum_and_an_index_of_two_versions_give_no_answer(tmp_path):
    """The hum is read in another process, by an index.json of its own."""
    version(1, "swiftf0").save(tmp_path / "index")
    line = Contour(np.full(FRAMES, 1, np.float32), np.ones(FRAMES, bool), 0.04)
    query = Query("hum.wav", windows_of(1), Embeddings(np.ones((3, DIM), np.float32)), line.length_s, line)
    expected = (("torchcrepe", "1", "built anew while the hum was read"), ("swiftf0", "2", "not with this model"))
    for tracker, checksum, words in expected:
        made = HumQueries((query,), checksum, {"tracker": tracker})
        with pytest.raises(InputError, match=words):
            searcher.search_files([tmp_path / "hum.wav"], tmp_path / "index", queries=lambda made=made: made)
