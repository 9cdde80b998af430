"""The readers, given damaged bytes: what was meant, or an InputError that says what is wrong. Nothing else."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import safetensors.numpy
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from humfind.audio.load import load
from humfind.config import ContourConfig, ModelConfig, ResNet1dConfig
from humfind.data import zalo
from humfind.data.importers import pickle2021
from humfind.encoders import build
from humfind.encoders.checkpoint import Model, _checksum, input_shape
from humfind.f0.store import MANIFEST, read_manifest, read_part
from humfind.index import read_about
from humfind.index.engines import make_engine
from humfind.index.mapped import map_tensors
from humfind.index.parts import ENDINGS
from humfind.index.vectors import VectorTable
from humfind.retrieval import submission
from humfind.types import InputError

# HUMFIND_FUZZ=3000 python -m pytest tests/reliability/test_fuzz_readers.py: a long campaign, each time with other bytes
EXAMPLES = int(os.environ.get("HUMFIND_FUZZ", "30"))
BOUNDED = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize="HUMFIND_FUZZ" not in os.environ,
    database=None,
    suppress_health_check=list(HealthCheck),
)
CONFIG = ModelConfig(
    contour=ContourConfig(window_s=4.0), encoder=ResNet1dConfig(widths=(4,), blocks=(1,), embedding_dim=4)
)
CELLS = st.text(st.characters(codec="utf-8"), max_size=6) | st.sampled_from(
    ["", "a.mp3", "../a", "/a", "train/hum/a.wav", "\0", '"', ",", "\n", "=1+1", "CON", "ạ", "\\"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """Some bytes changed, a piece cut out or doubled, or the end missing; often near the start, where headers are."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(1, 6))):
        place = draw(st.integers(0, min(200, len(content) - 1)) | st.integers(0, len(content) - 1))
        content[place] = draw(st.integers(0, 255))
    match draw(st.sampled_from(["", "", "cut", "lost", "twice"])):
        case "cut":
            del content[draw(st.integers(0, len(content))) :]
        case "lost":
            start = draw(st.integers(0, len(content)))
            del content[start : start + draw(st.integers(1, 64))]
        case "twice":
            start = draw(st.integers(0, len(content)))
            content[start:start] = content[start : start + draw(st.integers(1, 64))]
    return bytes(content)


def holds(read: Callable[[], object]) -> None:
    """Success or InputError, and the message is one line's worth."""
    told = ""
    try:
        read()
    except InputError as error:
        told = str(error)
    assert len(told) < 3000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "train").mkdir()
    return tmp_path


def part_bytes() -> bytes:
    rows = 3
    table = pa.table(
        {
            "path": [f"{i}.mp3" for i in range(rows)],
            "music_id": [None, "1", "2"],
            "hop_s": [0.01] * rows,
            "hz": [[220.0] * 50] * rows,
            "confidence": [[0.9] * 50] * rows,
        }
    )
    file = io.BytesIO()
    pq.write_table(table, file)
    return file.getvalue()


def sound_bytes(kind: str) -> bytes:
    file = io.BytesIO()
    samples = 0.5 * np.sin(np.arange(4000) / 6)
    soundfile.write(file, np.stack([samples, samples], 1), 16_000, format=kind)
    return file.getvalue()


def pickle_bytes(protocol: int) -> bytes:
    rows = [(f"train/hum/{i}.mp3", np.full(4, 220.0 + i, np.float32)) for i in range(3)]
    return pickle.dumps(rows, protocol)


@given(rows=st.lists(st.lists(CELLS, max_size=4), max_size=5), header=st.booleans(), mark=st.sampled_from(",;\t"))
@BOUNDED
@pytest.mark.parametrize("reader", ["meta", "answers", "submission"])
def test_csv(folder, reader, rows, header, mark):
    names = {"meta": zalo.META_HEADER, "answers": zalo.ANSWERS_HEADER, "submission": ("a.mp3", "1")}[reader]
    lines = [names, *rows] if header else rows
    path = folder / "train" / "train_meta.csv"
    path.write_text("\n".join(mark.join(row) for row in lines), "utf-8", newline="")
    read = {
        "meta": lambda: zalo.load_split(folder, "train"),
        "answers": lambda: zalo.read_answers(path),
        "submission": lambda: submission.read(path),
    }[reader]
    holds(read)


@given(content=st.binary(max_size=60))
@BOUNDED
def test_csv_of_any_bytes(folder, content):
    path = folder / "train" / "train_meta.csv"
    path.write_bytes(content)
    (folder / "songs.csv").write_bytes(b"music_id,title\n" + content)
    for read in (zalo.read_answers, submission.read):
        holds(lambda read=read: read(path))
    holds(lambda: zalo.load_split(folder, "train"))
    holds(lambda: zalo.read_titles(folder))


@given(content=damaged(part_bytes()))
@BOUNDED
def test_parquet(folder, content):
    path = folder / "part-0000.parquet"
    path.write_bytes(content)
    holds(lambda: list(read_part(path, 0.5)))


@given(values=JSON, name=st.sampled_from(["tracker", "hop_s", "threshold", "part_size", "model", "other"]))
@BOUNDED
def test_manifest(folder, values, name):
    made = {"tracker": "x", "version": "1", "model": "m", "decoder": "d", "hop_s": 0.01, "threshold": 0.5}
    for content in (values, made | {name: values}):
        (folder / MANIFEST).write_text(json.dumps(content))
        holds(lambda: hash(read_manifest(folder)))


@given(
    values=JSON,
    name=st.sampled_from(["format_version", "model", "config", "tracker", "songs", "dim", "parts", "engine"]),
)
@BOUNDED
def test_index_json(folder, values, name):
    made = {"format_version": 6, "model_checksum": "0", "model": "m", "config": {}, "tracker": {}, "engine": "e"}
    made |= {"recordings": 1, "songs": 1, "windows": 1, "dim": 1}
    made["parts"] = {part: f"{part}-{'0' * 16}{ending}" for part, ending in ENDINGS.items()}
    for content in (values, made | {name: values}):
        (folder / "index.json").write_text(json.dumps(content))
        holds(lambda: read_about(folder))


def npy_of(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@given(content=damaged(npy_of(np.zeros((3, 2), np.float16))))
@BOUNDED
def test_vectors(folder, content):
    path = folder / "vectors.npy"
    path.write_bytes(content)
    holds(lambda: VectorTable.load(path))


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory) -> tuple[bytes, str]:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "m.safetensors"
    Model(CONFIG, build(CONFIG.encoder, input_shape(CONFIG))).save(path)
    return path.read_bytes(), path.with_suffix(".json").read_text()


@given(data=st.data())
@BOUNDED
def test_weights(folder, checkpoint, data):
    weights, about = checkpoint
    path = folder / "m.safetensors"
    path.with_suffix(".json").write_text(about)
    path.write_bytes(data.draw(damaged(weights)))
    holds(lambda: Model.load(path))


@given(data=st.data(), values=JSON | st.integers(-(10**12), 10**12) | st.lists(st.integers(-9, 10**9), max_size=3))
@BOUNDED
def test_checkpoint_json(folder, checkpoint, data, values):
    weights, text = checkpoint
    path = folder / "m.safetensors"
    path.write_bytes(weights)
    about = json.loads(text)
    part = data.draw(st.sampled_from(["contour", "encoder", "train", "spectrogram"]))
    about["config"][part][data.draw(st.sampled_from(sorted(about["config"][part])))] = values
    about["checksum"] = _checksum(weights, about["config"])
    path.with_suffix(".json").write_text(json.dumps(about))
    holds(lambda: Model.load(path))
    path.with_suffix(".json").write_bytes(data.draw(damaged(text.encode())))
    holds(lambda: Model.load(path))


@pytest.mark.parametrize("kind", ["WAV", "FLAC", "MP3", "OGG", "AIFF", "AU"])
@given(data=st.data())
@BOUNDED
def test_audio(folder, kind, data):
    path = folder / "a.wav"
    path.write_bytes(data.draw(damaged(sound_bytes(kind))))
    holds(lambda: load(path))


@pytest.mark.parametrize("protocol", range(6))
@given(data=st.data())
@BOUNDED
def test_pickle_2021(folder, protocol, data):
    path = folder / "a.pkl"
    path.write_bytes(data.draw(damaged(pickle_bytes(protocol))))
    holds(lambda: pickle2021.read(path))


FOUR = VectorTable(np.eye(4, 3, dtype=np.float16) + np.float16(1))
ENGINE_STATES = {name: safetensors.numpy.save(dict(make_engine(name, FOUR).state())) for name in ("ivf", "ivfpq")}


@pytest.mark.parametrize("name", ENGINE_STATES)
@given(data=st.data())
@BOUNDED
def test_engine_state(folder, name, data):
    path = folder / "engine.safetensors"
    path.write_bytes(data.draw(damaged(ENGINE_STATES[name])))
    table = FOUR

    def read() -> None:
        with path.open("rb") as file:
            state = map_tensors(file, 10_000)
        try:
            engine = make_engine(name, table, state)
        except ValueError as error:  # which Index.load says with the folder's name
            raise InputError(f"{path}: {error}; build it again") from error
        assert engine.propose(np.ones((2, 3), np.float32), 4).rows.shape == (2, 4)

    holds(read)
