"""Indexes and models that were forged or damaged: one line, in little time and memory, whatever they hold."""

from __future__ import annotations

import json
import math
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.lib import format as npy
from tiny_world import PlainModel, f0_of, melody

from humfind.config import ContourConfig, ModelConfig, ResNet1dConfig, TrainConfig
from humfind.encoders import build
from humfind.encoders import checkpoint as embed
from humfind.encoders.checkpoint import Model, input_shape
from humfind.index import Index, Song
from humfind.index.contours import FRAME
from humfind.index.folder import SONGS
from humfind.rankers import Fusion, WindowSequence
from humfind.retrieval import search
from humfind.retrieval.query import load_queries
from humfind.types import InputError, Windows

CONFIG = ModelConfig(encoder=ResNet1dConfig(widths=(4, 8), blocks=(1, 1), kernel=3, embedding_dim=6))
SECONDS = 10
MEMORY = 200 * 2**20  # bytes more than before


@pytest.fixture(scope="module")
def made() -> Index:
    return search.build_index([(Song(str(i)), f0_of(melody(i))) for i in range(3)], PlainModel())


@pytest.fixture
def folder(made, tmp_path) -> Path:
    made.save(tmp_path / "index")
    return tmp_path / "index"


@contextmanager
def bounded() -> Iterator[None]:
    """InputError within a few seconds, and within a little memory."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.alarm(SECONDS)
    try:
        with pytest.raises(InputError) as raised:
            yield
    finally:
        signal.alarm(0)
    assert len(str(raised.value).splitlines()) == 1
    assert "; " in str(raised.value), "what is wrong; how to mend it"
    assert 1024 * (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) < MEMORY


def about_of(folder: Path) -> dict[str, Any]:
    about: dict[str, Any] = json.loads((folder / "index.json").read_text())
    return about


def part(folder: Path, name: str) -> Path:
    return folder / str(about_of(folder)["parts"][name])


def alter(folder: Path, place: str, value: object) -> None:
    """Another value in index.json; place: its names, with points between."""
    about = inner = about_of(folder)
    *names, last = place.split(".")
    for name in names:
        inner = inner.setdefault(name, {})
    inner[last] = value
    (folder / "index.json").write_text(json.dumps(about))


NONSENSE = [float("nan"), float("inf"), -float("inf"), 1e300, 1e9, 1e-310, 0.0, -1.0, None, "x", [], True]


@pytest.mark.parametrize("value", NONSENSE, ids=repr)
@pytest.mark.parametrize("place", ["tracker.hop_s", "config.contour.frame_s", "config.contour.song_hop_s"])
def test_numbers_of_index_json(folder, tmp_path, place, value):
    alter(folder, place, value)
    with bounded():
        Index.load(folder)
    if place == "tracker.hop_s":  # which the process that reads the hum takes from there itself
        with bounded():
            load_queries([tmp_path / "hum.wav"], folder)


@pytest.mark.parametrize("value", [0, -1, 10**18, True, 1.5, None, float("nan")], ids=repr)
@pytest.mark.parametrize("place", ["recordings", "songs", "windows", "dim"])
def test_counts_of_index_json(folder, place, value):
    alter(folder, place, value)
    with bounded():
        Index.load(folder)


NAMES = ["../index.json", "/dev/zero", "songs-0.parquet", f"vectors-{'0' * 16}.npy", "", None, 5, []]


@pytest.mark.parametrize("name", NAMES, ids=repr)
def test_part_names_lead_nowhere_else(folder, name):
    alter(folder, "parts.songs", name)
    with bounded():
        Index.load(folder)


SONG_CELLS: dict[str, tuple[str, Any]] = {
    f"{column} {value!r}": (column, value)
    for column, values in [
        ("length_s", (float("nan"), float("inf"), -1.0, 1e300, None)),
        ("id", (None, "1")),
        ("windows", (-1, 0, 3, 2**62, None)),
        ("frames", (-1, 0, 2**62, None)),
        ("frame_s", (float("inf"), 1e300, 1e-310, 0.0, -1.0, None)),
    ]
    for value in values
}


@pytest.mark.parametrize("cell", SONG_CELLS)
def test_cells_of_songs(folder, cell):
    column, value = SONG_CELLS[cell]
    columns = pq.read_table(part(folder, "songs")).to_pydict()
    columns[column][0] = value
    pq.write_table(pa.table(columns, schema=SONGS), part(folder, "songs"), use_dictionary=False)
    with bounded():
        Index.load(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -3e38, 1e30])
@pytest.mark.parametrize("row", range(3))
def test_numbers_of_windows(folder, row, value):
    windows = np.load(part(folder, "windows"))
    windows[row, 5] = value
    np.save(part(folder, "windows"), windows)
    with bounded():
        Index.load(folder)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38])
def test_contours_are_checked_where_they_are_read(folder, made, value):
    frames = np.load(part(folder, "contours"))
    frames["semitones"][len(made.contours[0].semitones) + 7] = value
    np.save(part(folder, "contours"), frames)
    found = Index.load(folder)
    assert found.contours[0] is not None
    with bounded():
        found.contours[1]
    with bounded():
        Fusion(found)


def test_what_is_no_truth_value_is_taken_for_true(folder):
    path = part(folder, "contours")
    frames = np.load(path)
    frames["voiced"].view(np.uint8)[:] = 200
    np.save(path, frames)
    contour = Index.load(folder).contours[0]
    assert contour is not None
    assert contour.voiced.view(np.uint8).tolist() == [1] * len(contour.voiced)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_vectors_are_checked_where_they_are_read(folder, made, value):
    vectors = np.load(part(folder, "vectors"))
    vectors[-1, 2] = value
    np.save(part(folder, "vectors"), vectors)
    found = Index.load(folder)
    assert len(found.vectors[:5]) == 5
    with bounded():
        found.vectors[-2:]
    with bounded():
        found.nearest(made.vectors[:1], 1)
    with bounded():
        WindowSequence(found).evidence(search.make_query("hum", f0_of(melody(1)), PlainModel()))


def tables(name: str, make: Callable[[], pa.Table], groups: int, **options: Any) -> Callable[[Path], None]:
    """The same rows again and again: next to nothing on the disk."""

    def forge(folder: Path) -> None:
        table = make()
        with pq.ParquetWriter(part(folder, name), table.schema, compression="zstd", **options) as writer:
            for _ in range(groups):
                writer.write_table(table)

    return forge


def same(rows: int, **values: Any) -> pa.Table:
    """A table of one row's values."""
    row = {
        "id": "1",
        "title": "",
        "artist": "",
        "album": "",
        "source": "",
        "checksum": "",
        "length_s": 1.0,
        "tags": [],
    } | values
    columns = {field: pa.array([row.get(field, 1)] * rows, SONGS.field(field).type) for field in SONGS.names}
    return pa.table(columns, schema=SONGS)


def twice(name: str) -> Callable[[Path], None]:
    """A column of each name, and one of them once more."""

    def forge(folder: Path) -> None:
        table = pq.read_table(part(folder, name))
        pq.write_table(table.append_column(table.schema.field(0), table.column(0)), part(folder, name))

    return forge


def holes(name: str, dtype: Any, shape: tuple[int, ...]) -> Callable[[Path], None]:
    def forge(folder: Path) -> None:
        kind = np.dtype(dtype)
        header = {"descr": npy.dtype_to_descr(kind), "fortran_order": False, "shape": shape}
        with part(folder, name).open("wb") as file:
            npy.write_array_header_1_0(file, header)
            file.truncate(file.tell() + kind.itemsize * math.prod(shape))
        alter(folder, "windows", 10**9 if name == "vectors" else about_of(folder)["windows"])

    return forge


def tail_of_holes(folder: Path) -> None:
    with part(folder, "vectors").open("r+b") as file:
        file.truncate(100 * 2**30)


FORGED = {
    "a hundred million windows": holes("windows", "<f4", (3, 10**8)),
    "twenty million songs": tables("songs", lambda: same(10**6), 20),
    "contours of weeks": holes("contours", FRAME, (10**9,)),
    "a long id, often": tables("songs", lambda: same(20, id="x" * 2**20), 3, use_dictionary=True),
    "the same without a dictionary": tables("songs", lambda: same(20, id="x" * 2**22), 5, use_dictionary=False),
    "vectors of holes": holes("vectors", "<f2", (10**9, 64)),
    "vectors that end in a hole": tail_of_holes,
    "a column twice: songs": twice("songs"),
    "index.json of holes": lambda folder: os.truncate(folder / "index.json", 10 * 2**30),
}


@pytest.mark.parametrize("name", FORGED)
def test_what_would_fill_the_memory(folder, name):
    FORGED[name](folder)
    assert sum(512 * path.stat().st_blocks for path in folder.iterdir()) < 10 * 2**20, "a small forgery"
    with bounded():
        Index.load(folder)


@pytest.mark.parametrize("place", ["index.json", "songs", "windows", "contours", "vectors", "the folder"])
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_regular_file(folder, tmp_path, place, kind):
    path = {"index.json": folder / "index.json", "the folder": folder}.get(place) or part(folder, place)
    path.rename(tmp_path / "aside")
    {"pipe": os.mkfifo, "folder": os.mkdir, "device": lambda path: path.symlink_to("/dev/zero")}[kind](path)
    with bounded():
        Index.load(folder)
    if place in ("index.json", "the folder"):
        with bounded():
            load_queries([tmp_path / "hum.wav"], folder)


@pytest.mark.parametrize(
    ("limit", "line"),
    [
        ("-v 900000", "memory: 878 MiB of address space are too few; set ulimit -v to 3145728 or more"),
        ("-n 48", "files: only 48 may be open at once; set ulimit -n to 64 or more"),
    ],
)
def test_limits_of_the_machine(folder, tmp_path, limit, line):
    """Refused, where libraries would wait for memory without end, or complain on their own."""
    (tmp_path / "hum.wav").write_bytes(b"")
    commands = (
        ["search", str(tmp_path / "hum.wav"), "--index", str(folder)],
        ["index", str(tmp_path), "--out", str(tmp_path / "new")],
        ["predict", str(tmp_path), "--index", str(folder), "--out", str(tmp_path / "new.csv")],
        *([command, str(tmp_path)] for command in ("f0", "train", "check")),
    )
    for command in commands:
        limited = ["bash", "-c", f'ulimit {limit}; exec "$@"', "-", sys.executable, "-m", "humfind", *command]
        done = subprocess.run(limited, capture_output=True, text=True, timeout=SECONDS)
        assert done.returncode == 2
        assert done.stderr.splitlines() == [f"humfind: {line}"]


@pytest.fixture
def model() -> Model:
    torch.manual_seed(0)
    return Model(CONFIG, build(CONFIG.encoder, input_shape(CONFIG)))


def forge(model: Model, path: Path, config: dict[str, Any]) -> None:
    """A checkpoint whose checksum is right, whatever it holds."""
    weights = embed._to_bytes(model.network.state_dict())
    about = {"format_version": embed.FORMAT_VERSION, "kind": embed.ENCODER, "config": config, "training": {}}
    path.write_bytes(weights)
    path.with_suffix(".json").write_text(json.dumps(about | {"checksum": embed._checksum(weights, config)}))


def plain(config: ModelConfig) -> dict[str, Any]:
    values: dict[str, Any] = json.loads(json.dumps(embed.to_dict(config)))
    return values


def test_the_forger_makes_models_that_are_read(model, tmp_path):
    forge(model, tmp_path / "m.safetensors", plain(CONFIG))
    assert Model.load(tmp_path / "m.safetensors").checksum


SETTINGS = [
    *(("contour", "frame_s", value) for value in (1e300, float("inf"), float("nan"), 1e-310, 0, None)),
    *(("contour", name, value) for name in ("song_hop_s", "query_hop_s") for value in (0, 1e-310, 1e300)),
    *(("contour", name, value) for name in ("window_s", "min_voiced_share") for value in (-1.0, 1e9, float("nan"))),
    *(("contour", "query_tempos", value) for value in ([], [0.0], [float("nan")], [1.0] * 1000)),
    *(("encoder", "stem_stride", value) for value in (0, -1, 10**9, True)),
    *(("encoder", name, value) for name in ("segments", "kernel", "embedding_dim") for value in (0, -1, 10**12)),
    *(("encoder", name, value) for name in ("widths", "blocks") for value in ([], [0, 0], [-1, 8], [10**12, 8])),
    ("encoder", "dropout", 7.0),
]


@pytest.mark.parametrize(("part", "name", "value"), SETTINGS)
def test_settings_of_a_model(model, tmp_path, part, name, value):
    config = plain(CONFIG)
    config[part][name] = value
    forge(model, tmp_path / "m.safetensors", config)
    with bounded():
        Model.load(tmp_path / "m.safetensors")


WEIGHTS = [float("nan"), float("inf"), -float("inf"), 1e30, -1e30]


@pytest.mark.parametrize("value", WEIGHTS, ids=repr)
@pytest.mark.parametrize("name", ["stem.0.weight", "stages.0.first.1.running_mean", "head.bias"])
def test_weights_of_a_model(model, tmp_path, name, value):
    """Neither read nor written: a training that diverges leaves the model before it."""
    model.save(tmp_path / "m.safetensors")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with torch.no_grad():
        model.network.state_dict()[name].view(-1)[0] = value
    with bounded():
        model.save(tmp_path / "m.safetensors")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before
    forge(model, tmp_path / "m.safetensors", plain(CONFIG))
    with bounded():
        Model.load(tmp_path / "m.safetensors")


def test_a_variance_below_zero(model, tmp_path):
    model.network.state_dict()["stem.1.running_var"][0] = -1.0
    forge(model, tmp_path / "m.safetensors", plain(CONFIG))
    with bounded():
        Model.load(tmp_path / "m.safetensors")


def test_weights_whose_products_overflow(model, tmp_path):
    """Each is small enough; what comes out is no number."""
    with torch.no_grad():
        for weight in model.network.parameters():
            weight.fill_(1e11)
    one = np.ones(1, np.float32)
    with bounded():
        model.embed(Windows(np.ones((1, 2, 50), np.float32), one, one, one, one))


UNREADABLE = [
    replace(CONFIG, train=TrainConfig(margin=float("inf"))),
    replace(CONFIG, train=TrainConfig(learning_rate=float("nan"))),
    replace(CONFIG, contour=ContourConfig(frame_s=0.0)),
    replace(CONFIG, contour=ContourConfig(query_tempos=())),
]


@pytest.mark.parametrize("config", UNREADABLE)
def test_a_model_that_nothing_reads_again_is_not_written(model, tmp_path, config):
    with bounded():
        replace(model, config=config, checksum="").save(tmp_path / "run" / "m.safetensors")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("suffix", [".safetensors", ".json"])
@pytest.mark.parametrize("kind", ["pipe", "device", "holes"])
def test_models_that_are_no_files(model, tmp_path, kind, suffix):
    model.save(tmp_path / "m.safetensors")
    path = tmp_path / f"m{suffix}"
    if kind == "holes":
        os.truncate(path, 50 * 2**30)
    else:
        path.unlink()
        os.mkfifo(path) if kind == "pipe" else path.symlink_to("/dev/zero")
    with bounded():
        Model.load(tmp_path / "m.safetensors")
