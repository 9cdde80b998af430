"""The 2021 entry's pickles, and hostile ones: nothing of theirs runs."""

from __future__ import annotations

import collections
import os
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from humfind import cli
from humfind.cli.importers import store_rows
from humfind.data.importers import pickle2021
from humfind.f0.store import Store
from humfind.types import InputError


class Call:
    """Pickles to a call of ``function``."""

    def __init__(self, function: object, *arguments: object) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> tuple:
        return self.call


def written(tmp_path: Path, value: object, protocol: int = 4) -> Path:
    path = tmp_path / "f0.pkl"
    path.write_bytes(value if isinstance(value, bytes) else pickle.dumps(value, protocol))
    return path


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("dtype", ["f4", "f8", "f2", "i4", "u2", ">f4"])
def test_what_was_written_is_read(tmp_path, protocol, dtype):
    rows = [(f"train/hum/{i}.mp3", (np.arange(7) * 10 + i).astype(dtype)) for i in range(3)]
    rows.append(("empty.mp3", np.zeros(0, dtype)))
    read = pickle2021.read(written(tmp_path, rows, protocol))
    assert [path for path, _ in read] == [path for path, _ in rows]
    for (_, ours), (_, theirs) in zip(read, rows, strict=True):
        assert ours.dtype == np.float32
        assert (ours == theirs).all()


def test_lists_scalars_columns_and_nan(tmp_path):
    rows = [["a.mp3", [1.0, 2, np.float32(3)]], ("b.mp3", np.array([[1.0], [np.nan], [2.0]], order="F"))]
    read = pickle2021.read(written(tmp_path, rows))
    assert [hz.tolist() for _, hz in read] == [[1, 2, 3], [1, 0, 2]]


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize(
    ("function", "name"),
    [
        (os.system, "posix.system"),
        (eval, "eval"),
        (exec, "exec"),
        (__import__, "__import__"),
        (subprocess.Popen, "Popen"),
        (np.load, "numpy.load"),
        (np.savetxt, "numpy.savetxt"),
        (collections.OrderedDict, "collections.OrderedDict"),
    ],
)
def test_a_call_is_refused_by_name(tmp_path, protocol, function, name):
    """Alone, and deep within what looks right."""
    mark = tmp_path / "it-ran"
    evil = Call(function, f"touch {mark}")
    for value in (evil, [("a.mp3", evil)], [("a.mp3", np.zeros(3)), (evil, np.zeros(3))], [[[[evil]]]]):
        with pytest.raises(InputError, match=rf"asks for \S*{name}, which is refused"):
            pickle2021.read(written(tmp_path, value, protocol))
    assert not mark.exists()


def test_an_array_that_holds_a_call_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"numpy\.dtype\('O8'\), which is refused"):
        pickle2021.read(written(tmp_path, [("a.mp3", np.array([Call(os.system, "true")], object))]))


HEAD = b"\x80\x04"
PROGRAMS = {
    # the names are allowed, what is done with them is not
    "a call of what a call made": (HEAD + b"cnumpy\ndtype\n(X\x02\0\0\0f4tR)R.", "a call of dtype"),
    "numpy.ndarray of its own": (HEAD + b"cnumpy\nndarray\n)R.", "numpy.ndarray itself"),
    "an attribute reached through a name": (HEAD + b"\x8c\x05numpy\x8c\x0endarray.tofile\x93.", "numpy.ndarray.tofile"),
    "a name made of a number": (HEAD + b"K\x01K\x02\x93.", "1, 2 by name"),
    "a state for a list": (HEAD + b"](tb.", "a state for list"),
    "a persistent id": (HEAD + b"Px\n.", "the instruction PERSID"),
    "an instance": (b"(ios\nsystem\n.", "the instruction INST"),
    "an object": (HEAD + b"(cos\nsystem\no.", "os.system"),
    "an extension": (HEAD + b"\x82\x01.", "the instruction EXT1"),
    "a new object": (HEAD + b"cnumpy\ndtype\n)\x81.", "the instruction NEWOBJ"),
    "another code than latin-1": (HEAD + b"c_codecs\nencode\n(X\x01\0\0\0aX\x05\0\0\0rot13tR.", "_codecs.encode"),
}


@pytest.mark.parametrize("program", PROGRAMS)
def test_an_instruction_that_no_array_needs_is_refused(tmp_path, program):
    content, name = PROGRAMS[program]
    with pytest.raises(InputError, match="which is refused") as told:
        pickle2021.read(written(tmp_path, content))
    assert name in str(told.value)


def array_of(shape: bytes, content: bytes) -> bytes:
    """A row whose array claims a shape."""
    made = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\0tC\x01btR"
    dtype = b"cnumpy\ndtype\n(X\x02\0\0\0f4I00\nI01\ntR"
    return (
        HEAD
        + b"](X\x01\0\0\0a"
        + made
        + b"(K\x01"
        + shape
        + dtype
        + b"\x89C"
        + bytes([len(content)])
        + content
        + b"tbta."
    )


def test_the_bytes_decide_how_large_an_array_is(tmp_path):
    read = pickle2021.read(written(tmp_path, array_of(b"(K\x02t", np.array([3, 4], "f4").tobytes())))
    assert read[0][1].tolist() == [3, 4]
    for shape in (b"(J\xff\xff\xff\x7ft", b"(J\xff\xff\xff\x7fJ\xff\xff\xff\x7ft", b"(J\xff\xff\xff\xfft"):
        with pytest.raises(InputError, match="cannot be read as a pickle of lists and arrays"):
            pickle2021.read(written(tmp_path, array_of(shape, bytes(8))))


def test_a_bomb_of_references_is_told(tmp_path):
    """Lists that hold each other 2^60 times over, and one array in many rows: neither time nor memory."""
    laughs = b"]q\0" + b"".join(b"](h%ch%ceq%c" % (i, i, i + 1) for i in range(60))
    with pytest.raises(InputError, match="row 1: list, not"):
        pickle2021.read(written(tmp_path, HEAD + laughs + b"."))
    line = np.zeros(10_000, np.float32)
    with pytest.raises(InputError, match="bytes that stand for 5,000,000 frames"):
        pickle2021.read(written(tmp_path, [(f"{i}.mp3", line) for i in range(500)]))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("text", "holds 'text', not a list"),
        ([1], "row 1: 1, not"),
        ([("a", "b")], "row 1, a: 'b', not an array of f0"),
        ([("a", np.zeros((2, 2)))], r"shape \(2, 2\)"),
        ([("a", np.array([-1.0]))], "values that no f0 has"),
        ([("a", np.array([np.inf]))], "values that no f0 has"),
        ([("a", [10**400])], "row 1, a: .*too large"),
        ({"a": 1}, "holds dict, not a list"),
        (b"", "cannot be read as a pickle"),
        (b"\x80\x04]", "cannot be read as a pickle"),
        (b"\x80\x09].", "pickle protocol 9"),
        (pickle.dumps([("a", np.zeros(99))])[:-40], "cannot be read as a pickle"),
    ],
)
def test_what_is_no_2021_file_is_told(tmp_path, value, message):
    with pytest.raises(InputError, match=message):
        pickle2021.read(written(tmp_path, value))


def test_import_makes_a_store_that_can_be_read(tmp_path, monkeypatch, capsys):
    rows = [(f"train/hum/{i:03d}.mp3", np.array([0, 220, 221], np.float32) * (i > 0)) for i in range(70)]
    file, store = written(tmp_path, rows), tmp_path / "store"
    command = ["humfind", "import", "pickle-2021", str(file), "--out", str(store), "--split", "train", "--kind", "hum"]
    monkeypatch.setattr(sys, "argv", command)
    for status, told in (
        (0, "70 recordings, 1 of them without a pitch"),
        (2, "holds something already; choose another"),
    ):
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert int(left.value.code or 0) == status
        assert told in "".join(capsys.readouterr())
    read = Store(store).read("train", "hum")
    assert [row.path for row in read] == [path for path, _ in rows]
    assert Store(store).manifest is None
    assert read[1].f0.confidence.tolist() == [0, 1, 1]
    assert read[1].f0.voiced.tolist() == [False, True, True]
    assert [path.name for path in (store / "train").iterdir()] == ["hum"]


@pytest.mark.parametrize(
    ("paths", "message"), [(["a.mp3", "x/a.wav"], "one stem"), ([""], "no recording"), (["a\0.mp3"], "no recording")]
)
def test_paths_that_cannot_be_rows(tmp_path, paths, message):
    with pytest.raises(InputError, match=message):
        store_rows([(path, np.zeros(1, np.float32)) for path in paths], tmp_path / "s", "train", "hum")
    assert not (tmp_path / "s").exists()
