"""Pages of mapped files: what is not looked at is not read."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from tiny_world import LONGEST_S

from humfind.index.mapped import Spool, map_array, map_tensors, read_ahead, write_array, write_tensors
from humfind.index.vectors import VectorTable

PAGE = 4096
ROWS, DIM = 40_000, 128  # of 256 bytes
linux = pytest.mark.skipif(not hasattr(os, "RWF_NOWAIT"), reason="Linux tells which pages it holds")


def written(path: Path) -> np.ndarray:
    values = np.random.default_rng(0).normal(size=(ROWS, DIM)).astype(np.float16)
    write_array(path, "<f2", values.shape, [values])
    return values


def forgotten(path: Path) -> Callable[[int], bool]:
    """The file's pages let go, as far as the system does; whether the page of a row is held."""
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    os.posix_fadvise(file, 0, 0, os.POSIX_FADV_RANDOM)

    def held(row: int) -> bool:
        try:
            return os.preadv(file, [bytearray(1)], 128 + 2 * DIM * row, os.RWF_NOWAIT) == 1
        except BlockingIOError:
            return False

    try:
        if held(ROWS // 2):
            pytest.skip("this file system holds every page")
    except OSError:
        pytest.skip("this file system does not say which pages it holds")
    return held


@linux
def test_a_row_that_is_looked_at_brings_no_others_with_it(tmp_path: Path):
    values = written(tmp_path / "rows.npy")
    held = forgotten(tmp_path / "rows.npy")
    with (tmp_path / "rows.npy").open("rb") as file:
        rows = map_array(file, "<f2", 2, "rows", scattered=True)
    assert (rows[20_000] == values[20_000]).all()
    assert held(20_000)
    assert not any(held(20_000 + away) for away in (-200, -100, 100, 200))


@linux
@pytest.mark.parametrize("rows", [slice(9_000, 9_900), np.array([30_000, 9_001, 9_020, 9_040, 9_060, 9_080, 30_020])])
def test_rows_are_read_ahead_and_no_others(tmp_path: Path, rows: slice | np.ndarray):
    written(tmp_path / "rows.npy")
    held = forgotten(tmp_path / "rows.npy")
    with (tmp_path / "rows.npy").open("rb") as file:
        mapped = map_array(file, "<f2", 2, "rows", scattered=True)
    read_ahead(mapped, rows)
    wanted = np.arange(ROWS)[rows].tolist()
    until = time.monotonic() + LONGEST_S
    while not all(held(row) for row in wanted) and time.monotonic() < until:
        time.sleep(0.01)
    assert all(held(row) for row in wanted)
    assert not any(held(row) for row in (8_500, 15_000, 25_000, 35_000))


def test_a_table_reads_the_same_from_a_file_and_from_memory(tmp_path: Path):
    table = VectorTable(written(tmp_path / "other.npy"))
    table.save(tmp_path / "rows.npy")
    mapped = VectorTable.load(tmp_path / "rows.npy")
    for rows in (slice(None), slice(5, 5), slice(17, 30_000, 7), slice(39_990, None), np.array([7, 3, 3, 39_999]), []):
        chosen = rows if isinstance(rows, slice) else np.asarray(rows, np.int64)
        assert (mapped[chosen] == table[chosen]).all()


@pytest.mark.parametrize("shape", [(7,), (7, 3)])
def test_rows_that_come_piece_by_piece_are_the_same_on_disk_and_in_memory(tmp_path: Path, shape: tuple[int, ...]):
    pieces = [np.random.default_rng(row).normal(size=(row, *shape[1:])).astype("<f4") for row in (5, 0, 1, 40)]
    spools = Spool("<f4"), Spool("<f4", tmp_path / "not there yet")
    for spool in spools:
        for piece in pieces:
            spool.append(piece)
    for spool in spools:
        assert (spool.rows() == np.concatenate(pieces)).all()
    assert list(tmp_path.iterdir()) == []
    assert len(Spool("<f4", tmp_path).rows()) == 0


@linux
def test_rows_beside_a_folder_take_no_memory(tmp_path: Path):
    def own_mb() -> float:
        status = Path("/proc/self/status").read_text()
        return int(status.partition("RssAnon:")[2].split()[0]) / 1024

    before, spool = own_mb(), Spool("<f4", tmp_path)
    for row in range(100):
        spool.append(np.full((10_000, 64), row, "<f4"))  # 2.5 MB
    rows = spool.rows()
    assert rows[::10_000, 0].tolist() == list(range(100))
    assert own_mb() - before < 60


def test_safetensors_own_library_reads_what_is_written(tmp_path: Path):
    arrays = {
        "codes": np.arange(12, dtype=np.uint8).reshape(4, 3),
        "begin": np.array([0, 4]),
        "none": np.empty((0, 2), "<f4"),
    }
    write_tensors(tmp_path / "a.safetensors", arrays)
    found = safetensors.numpy.load_file(tmp_path / "a.safetensors")
    with (tmp_path / "a.safetensors").open("rb") as file:
        mapped = map_tensors(file, 10_000)
    for name, array in arrays.items():
        assert found[name].dtype == mapped[name].dtype == array.dtype
        assert (found[name] == array).all()
        assert (mapped[name] == array).all()
    write_tensors(tmp_path / "empty.safetensors", {})
    assert safetensors.numpy.load_file(tmp_path / "empty.safetensors") == {}
