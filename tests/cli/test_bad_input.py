"""Every bad input that we could think of: its exit status, and the line or the row that tells of it.

``HUMFIND_WRITE_DOCS=1 python -m pytest tests/cli/test_bad_input.py`` writes the table of docs/reliability/bad_input.md.
"""

from __future__ import annotations

import csv
import json
import os
import pickle
import re
import shutil
import struct
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import soundfile
import torch
from tiny_world import HOP_S, REPOSITORY, f0_of, hum_of, melody, put_audio, put_rows

from humfind import cli
from humfind.config import ContourConfig, F0Config, ModelConfig, ResNet1dConfig
from humfind.encoders import build
from humfind.encoders.checkpoint import Model, _checksum, input_shape
from humfind.retrieval import indexing, submission
from humfind.types import F0

DOCS = REPOSITORY / "docs" / "reliability" / "bad_input.md"
SONGS = 12
WRITE_DOCS = os.environ.get("HUMFIND_WRITE_DOCS") == "1"
RATE_HZ = 16_000
CONFIG = ModelConfig(
    contour=ContourConfig(window_s=4.0, query_tempos=(1.0,)),
    encoder=ResNet1dConfig(widths=(4,), blocks=(1,), embedding_dim=8),
)
FIRST_TEN = tuple(f"{i:04d}" for i in range(10))


def tone(hz: float = 220.0, length_s: float = 3.0, rate_hz: int = RATE_HZ) -> np.ndarray:
    t = np.arange(round(length_s * rate_hz)) / rate_hz
    return (0.5 * np.sin(2 * np.pi * hz * t) + 0.2 * np.sin(4 * np.pi * hz * t)).astype(np.float32)


def write_sound(path: Path, samples: np.ndarray, rate_hz: int = RATE_HZ, subtype: str | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples, rate_hz, subtype=subtype)
    return path


def write_text(path: Path, text: str | bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@dataclass(frozen=True)
class World:
    """Twelve songs and three hums in a foreign store, an index of the songs, a checkpoint. Each test has a copy."""

    root: Path

    @property
    def data(self) -> Path:
        return self.root / "data"

    @property
    def store(self) -> Path:
        return self.root / "store"

    @property
    def index(self) -> Path:
        return self.root / "index"

    @property
    def model(self) -> Path:
        return self.root / "model" / "model.safetensors"

    @property
    def out(self) -> Path:
        return self.root / "s.csv"

    def hum(self, name: str = "0007.wav") -> Path:
        """Where a hum's recording belongs."""
        path = self.data / "public_test" / "hum" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def predict(self, *more: str, split: str = "public_test") -> list[str]:
        given = ["--f0", str(self.store), "--model", str(self.model), "--tracker", "swiftf0", "--out", str(self.out)]
        return ["predict", str(self.data), "--split", split, *given, *more]

    def search(self, hum: Path) -> list[str]:
        return ["search", str(hum), "--index", str(self.index), "--model", str(self.model)]

    def meta(self, text: str | bytes) -> list[str]:
        """The f0 command on a train split with this meta file and the recordings a, b of songs and hums."""
        for kind in ("song", "hum"):
            for name in "ab":
                write_sound(self.data / "train" / kind / f"{name}.wav", tone(length_s=0.5))
        write_text(self.data / "train/train_meta.csv", text)
        return ["f0", str(self.data), "--split", "train", "--tracker", "swiftf0", "--out", str(self.root / "new")]

    def score(self, rows: str | bytes, answers: str | bytes = "hum,music_id\na,1\n") -> list[str]:
        made = write_text(self.root / "given.csv", rows), write_text(self.root / "answers.csv", answers)
        return ["score", *map(str, made)]

    def rewrite(self, name: str, kind: str = "hum", **columns: object) -> list[str]:
        """A part of the store with other columns."""
        part = self.store / "public_test" / kind / "part-0000.parquet"
        table = pq.read_table(part).to_pydict() | columns
        pq.write_table(pa.table({k: v for k, v in table.items() if v is not None}), part)
        return self.predict()


@dataclass(frozen=True)
class Case:
    """name, place: words for the table. make: puts the input there and gives the command."""

    name: str
    place: str
    make: Callable[[World], list[str]]
    status: int
    words: str
    skipped: bool = False  # whether hum 0007 has its row by rule
    apart: bool = False  # in a process of its own


CASES: list[Case] = []


def case(name: str, place: str, status: int, words: str, skipped: bool = False, apart: bool = False) -> Callable:
    def keep(make: Callable[[World], list[str]]) -> Callable[[World], list[str]]:
        CASES.append(Case(name, place, make, status, words, skipped, apart))
        return make

    return keep


def hums(name: str, words: str, make: Callable[[Path], object], file: str = "0007.wav", skipped: bool = True) -> None:
    """A hum's recording, made by ``make``, among good ones."""

    def command(world: World) -> list[str]:
        make(world.hum(file))
        return world.predict()

    CASES.append(Case(name, "a hum", command, 0, words, skipped))


def half(path: Path, samples: np.ndarray) -> None:
    write_sound(path, samples)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def promise(path: Path, length_s: int) -> None:
    """Three seconds, and a header that says ``length_s``."""
    content = bytearray(write_sound(path, tone()).read_bytes())
    struct.pack_into("<I", content, 40, length_s * RATE_HZ * 2)
    path.write_bytes(content)


def really_long(path: Path) -> None:
    """Four hours at 2 kHz, 8 bit, most of them a hole in the file."""
    size = 4 * 3600 * 2000
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI", b"RIFF", 36 + size, b"WAVE", b"fmt ", 16, 1, 1, 2000, 2000, 1, 8, b"data", size
    )
    path.write_bytes(head)
    os.truncate(path, len(head) + size)


def with_nan(path: Path) -> None:
    samples = tone()
    samples[100:103] = np.nan
    write_sound(path, samples, subtype="FLOAT")


SILENT = "skipped: public_test/hum/0007.wav: silent: no frame has a pitch"
HEARD = "4 hums, 12 songs"
hums("empty file", "(0 bytes; ", lambda p: p.write_bytes(b""))
hums("header without samples", "no audio frames (44 bytes); delete it", lambda p: write_sound(p, tone(length_s=0)))
hums("silence", SILENT, lambda p: write_sound(p, np.zeros(RATE_HZ)))
hums("direct current only", SILENT, lambda p: write_sound(p, np.full(RATE_HZ * 3, 0.5)))
hums(
    "white noise",
    "skipped: public_test/hum/0007.wav: too short",
    lambda p: write_sound(p, 0.1 * np.random.default_rng(0).standard_normal(RATE_HZ * 3)),
)
hums("truncated wav", "cut short; the 1.5 s that are there are used", lambda p: half(p, tone()), skipped=False)
hums("truncated flac", "cannot be read as audio", lambda p: half(p, tone()), "0007.flac")
hums("truncated mp3", "cut short; the ", lambda p: half(p, tone()), "0007.mp3", skipped=False)
hums("truncated ogg", "cannot be read as audio", lambda p: half(p, tone()), "0007.ogg")
hums("text called .wav", "cannot be read as audio, it is text; ", lambda p: p.write_bytes(b"not audio"))
hums("an m4a", "0007.m4a: cannot be read as audio", lambda p: p.write_bytes(b"\0\0\0 ftypM4A "), "0007.m4a")
hums("a file without suffix", "public_test/hum/0008: no recording by its suffix; rename or remove it",
     lambda p: (write_sound(p, tone()), p.with_name("0008").write_bytes(b"x")), skipped=False)  # fmt: skip
hums("clipped", HEARD, lambda p: write_sound(p, np.clip(9 * tone(), -1, 1)), skipped=False)
hums("floats of up to 32767", HEARD, lambda p: write_sound(p, 32767 * tone(), subtype="FLOAT"), skipped=False)
hums("floats of up to 1e30", "samples of up to", lambda p: write_sound(p, 1e30 * tone(), subtype="FLOAT"))
hums("NaN samples", "3 of 48,000 samples are NaN or infinite; delete it", with_nan)
hums("header of two hours", "cut short; the 3.0 s that are there are used", lambda p: promise(p, 7200), skipped=False)
hums("four hours", "4.0 hours long; at most 3 hours can be read; cut it", really_long)
hums("8 kHz mono", HEARD, lambda p: write_sound(p, tone(rate_hz=8000), 8000), skipped=False)
hums("96 kHz stereo", HEARD, lambda p: write_sound(p, np.stack([tone(rate_hz=96_000)] * 2, 1), 96_000), skipped=False)
hums("6 channels", HEARD, lambda p: write_sound(p, np.stack([tone()] + [0 * tone()] * 5, 1)), skipped=False)
hums("channels that cancel", HEARD, lambda p: write_sound(p, np.stack([tone(), -tone()], 1)), skipped=False)
hums("1 Hz", "its header says 1 Hz, outside", lambda p: write_sound(p, tone(), 1))
hums("one sample", SILENT, lambda p: write_sound(p, np.array([0.5])))
hums("shorter than a window", HEARD, lambda p: write_sound(p, tone(length_s=1.0)), skipped=False)
hums("exactly one window", HEARD, lambda p: write_sound(p, tone(length_s=4.0)), skipped=False)
hums("a folder called .wav", "3 hums, 12 songs", lambda p: p.mkdir(), skipped=False)
hums(
    "a name of spaces, quotes and commas",
    HEARD,
    lambda p: write_sound(p, tone()),
    "a 'b' \"c\", d.wav",
    skipped=False,
)
hums("a Vietnamese name", HEARD, lambda p: write_sound(p, tone()), "người ơi.wav", skipped=False)


@case("a name that is not UTF-8", "a hum", 0, "its name is not UTF-8; rename it")
def _(world: World) -> list[str]:
    write_sound(world.hum(), tone())
    os.rename(os.fsencode(world.hum()), os.fsencode(world.hum().parent) + b"/\xff.wav")
    return world.predict()


@case("two recordings of one stem", "a hum", 2, "have one stem; rename one")
def _(world: World) -> list[str]:
    for name in ("0007.wav", "0007.flac"):
        write_sound(world.hum(name), tone())
    return world.predict()


@case("two spellings of one name", "a hum", 2, "have one stem; rename one")
def _(world: World) -> list[str]:
    for form in ("NFC", "NFD"):
        write_sound(world.hum(unicodedata.normalize(form, "người.wav")), tone())
    return world.predict()


@case("a link out of the data set", "a hum", 2, "lies outside")
def _(world: World) -> list[str]:
    world.hum().symlink_to(write_sound(world.root / "elsewhere.wav", tone()))
    return world.predict()


@case("links in a circle", "a hum", 2, "cannot be looked up")
def _(world: World) -> list[str]:
    world.hum().symlink_to(world.hum())
    return world.predict()


@case("a silent hum", "humfind search", 2, "silent: no frame has a pitch; hum louder, or nearer")
def _(world: World) -> list[str]:
    return world.search(write_sound(world.root / "h.wav", np.zeros(RATE_HZ)))


@case("a missing hum", "humfind search", 2, "no such file")
def _(world: World) -> list[str]:
    return world.search(world.root / "none.wav")


@case("a song that cannot be read", "a song", 0, "skipped: public_test/full_song/0099.wav: cannot be read as audio")
def _(world: World) -> list[str]:
    write_text(world.data / "public_test/full_song/0099.wav", b"no")
    return world.predict()


@case("every song silent", "a song", 2, "no songs to build it from")
def _(world: World) -> list[str]:
    shutil.rmtree(world.store / "public_test/song")
    write_sound(world.data / "public_test/full_song/0001.wav", np.zeros(RATE_HZ))
    return world.predict()


@case("one song", "the data set", 0, "3 hums, 1 songs")
def _(world: World) -> list[str]:
    put_rows(world.store / "public_test/song", songs()[:1])
    return world.predict()


@case("nine songs", "the data set", 0, "3 hums, 9 songs")
def _(world: World) -> list[str]:
    put_rows(world.store / "public_test/song", songs()[:9])
    return world.predict()


@case("one song", "humfind train", 2, "give more songs that have hums")
def _(world: World) -> list[str]:
    for kind in ("song", "hum"):
        put_rows(world.store / f"train/{kind}", [("a.mp3", "1", hum_of(1))])
    return ["train", str(world.data), "--f0", str(world.store), "--out", str(world.root / "new")]


@case("no such folder", "the data set", 2, "no such folder; give the folder that holds public_test/")
def _(world: World) -> list[str]:
    shutil.rmtree(world.data)
    return world.predict()


@case("an empty folder", "the data set", 2, "no songs; put them there, or give a store")
def _(world: World) -> list[str]:
    shutil.rmtree(world.store)
    return world.predict()


@case("an unknown split", "the data set", 2, "split test: unknown; choose one of train, public_test, private_test")
def _(world: World) -> list[str]:
    return world.predict(split="test")


HEADER = "music_id,song_path,hum_path\n"
ROW_A, ROW_B = "1,train/song/a.wav,train/hum/a.wav\n", "2,train/song/b.wav,train/hum/b.wav\n"
OUTSIDE = "lies outside"
META: list[tuple[str, int, str, str | bytes]] = [
    ("missing file of a row", 0, "train/song/c.wav", HEADER + ROW_A + ROW_B + "3,train/song/c.wav,train/hum/c.wav\n"),
    ("a recording without a row", 0, "train/hum/b.wav: no row of train_meta.csv names it; add one", HEADER + ROW_A),
    ("a row twice", 2, "train_meta.csv line 3: the same as line 2; remove one of the two", HEADER + ROW_A * 2),
    ("a recording of two songs", 2, "belongs to two songs; keep one", HEADER + ROW_A + "2" + ROW_A[1:]),
    ("../ in a row", 2, OUTSIDE, HEADER + "1,../song/a.wav,train/hum/a.wav\n"),
    ("an absolute path in a row", 2, OUTSIDE, HEADER + "1,/etc/passwd,train/hum/a.wav\n"),
    ("a wrong header", 2, "expected 'music_id,song_path,hum_path'", "id,song,hum\n" + ROW_A),
    ("semicolons", 2, "with commas between", (HEADER + ROW_A).replace(",", ";")),
    ("a row of two cells", 2, "train_meta.csv line 3: expected", HEADER + ROW_A + "2,train/song/b.wav\n"),
    ("an empty cell", 2, "train_meta.csv line 2: expected", HEADER + "," + ROW_A[2:]),
    ("a header alone", 2, "no songs; put them there", HEADER),
    ("an empty file", 2, "header is ''", ""),
    ("a NUL in a cell", 2, "train_meta.csv line 2: expected", HEADER + "1,train/song/a\0.wav,train/hum/a.wav\n"),
    ("a name of 5,000 letters", 2, "cannot be looked up", HEADER + f"1,{'x' * 5000}.wav,train/hum/a.wav\n"),
    ("UTF-16", 2, "not a CSV in UTF-8", (HEADER + ROW_A).encode("utf-16")),
    ("a BOM and Windows line ends", 0, "train/hum: 2 tracked",
     b"\xef\xbb\xbf" + (HEADER + ROW_A + ROW_B).replace("\n", "\r\n").encode()),
]  # fmt: skip
for _name, _status, _words, _text in META:
    CASES.append(Case(_name, "train_meta.csv", lambda world, text=_text: world.meta(text), _status, _words))


@case("a symlinked row", "train_meta.csv", 2, OUTSIDE)
def _(world: World) -> list[str]:
    command = world.meta(HEADER + ROW_A)
    (world.data / "train/song/a.wav").unlink()
    (world.data / "train/song/a.wav").symlink_to("/etc/hostname")
    return command


@case("no meta file", "train_meta.csv", 2, "missing; it has the header music_id,song_path,hum_path")
def _(world: World) -> list[str]:
    command = world.meta("")
    (world.data / "train/train_meta.csv").unlink()
    return command


def answers(name: str, status: int, words: str, text: str | bytes) -> None:
    def command(world: World) -> list[str]:
        write_text(world.data / "public_test/answers.csv", text)
        return world.predict()

    CASES.append(Case(name, "answers.csv", command, status, words))


answers(
    "a hum that is not there", 2, "no hum 0042 in public_test (1 such); remove or add it", "hum,music_id\n0042,0001\n"
)
answers("a song that is not there", 2, "0000.mp3 is 0099, which is no song; add", "hum,music_id\n0000,0099\n")
answers("two answers", 2, "has two answers; keep one", "hum,music_id\n0000,0001\n0000.mp3,0002\n")
answers("a wrong header", 2, "expected 'hum,music_id'", "0000,0001\n")
answers("Latin-1", 2, "not a CSV in UTF-8", "hum,music_id\nsão,1\n".encode("latin-1"))


def scored(name: str, words: str, rows: str | bytes, given: str = "hum,music_id\na,1\n", card: str = "") -> None:
    def command(world: World) -> list[str]:
        if card:
            write_text(world.root / "given.json", card)
        return world.score(rows, given)

    CASES.append(Case(name, "a submission", command, 2, words))


scored("a hum twice", "row 2, a.mp3: a second row of this hum; keep one", "a.mp3,1\na.mp3,2\n")
scored("a hum twice, once as wav", "row 2, a.wav: a second row of this hum; keep one", "a.mp3,1\na.wav,2\n")
scored("an id twice", "an id stands twice; ids are distinct", "a.mp3,1,1\n")
scored("eleven ids", "11 ids; give 1 to 10", "a," + ",".join(map(str, range(11))) + "\n")
scored("empty", "empty; write it again", "")
scored("a parquet file", "not a CSV in UTF-8", b"PAR1\x15\x04\xff\xfe")
scored("answers for unknown hums", "no row for hum b (1 such)", "a,1\n", "hum,music_id\na,1\nb,1\n")
scored("a card of a list", "not a card; write the submission again", "a,1\n", card="[]")
scored("a card without songs", "songs is None", "a,1\n", card="{}")
scored("a card nested without end", "not JSON", "a,1\n", card="[" * 200_000)


@case("a folder", "a submission", 2, "not a regular file; give a file")
def _(world: World) -> list[str]:
    return ["score", str(world.data), str(world.data)]


@case("into a folder that is not one", "a submission", 2, "is a file, not a folder; choose another place")
def _(world: World) -> list[str]:
    write_text(world.root / "file", "")
    return [*world.predict()[:-1], str(world.root / "file" / "s.csv")]


@case("not called .csv", "a submission", 2, "a submission is a .csv file")
def _(world: World) -> list[str]:
    return [*world.predict()[:-1], str(world.root / "s.txt")]


@case("a part cut in the middle", "an f0 store", 2, "part-0000.parquet: cannot be read as parquet")
def _(world: World) -> list[str]:
    part = world.store / "public_test/hum/part-0000.parquet"
    part.write_bytes(part.read_bytes()[: part.stat().st_size // 2])
    return world.predict()


def stored(name: str, words: str, **columns: object) -> None:
    CASES.append(Case(name, "an f0 store", lambda world: world.rewrite(name, **columns), 2, words))


stored("text for hz", "column hz is string, not a list of numbers; write it again", hz=["a", "b", "c"])
stored("no confidence", "column confidence is missing", confidence=None)
stored("a nested path", "column path is list<", path=[["a"], ["b"], ["c"]])
stored("an empty path", "which names no recording", path=["", "b", "c"])
stored("a hop of ten seconds", "hop_s is 10.0, outside", hop_s=[10.0] * 3)
stored("a hop in NaN", "hop_s is nan, outside", hop_s=[float("nan")] * 3)
stored("hz below zero", "hz holds negative values", hz=[[-1.0]] * 3, confidence=[[1.0]] * 3)
stored("hz of 1e300", "which no recording has", hz=[[1e300]] * 3, confidence=[[1.0]] * 3)
stored("lists of two lengths", "F0.confidence has shape (1,), not (2,)", hz=[[1.0, 2.0]] * 3, confidence=[[1.0]] * 3)
stored("a stem twice", "have the same stem; keep one of the two", path=["a.mp3", "x/a.wav", "c"])


@case("another tracker's", "an f0 store", 2, "was made with tracker torchcrepe, not swiftf0; give another store")
def _(world: World) -> list[str]:
    write_manifest(world.store / "public_test/hum")
    return world.predict()


@case("two trackers' in one", "an f0 store", 2, "made in different ways; use one store for each")
def _(world: World) -> list[str]:
    write_manifest(world.store / "public_test/hum")
    write_manifest(world.store / "public_test/song", tracker="swiftf0")
    return [word for word in world.predict() if word not in ("--tracker", "swiftf0")]


def manifests(name: str, words: str, text: str) -> None:
    def command(world: World) -> list[str]:
        write_text(world.store / "public_test/hum/manifest.json", text)
        return world.predict()

    CASES.append(Case(name, "manifest.json", command, 2, words))


def manifest_text(**values: object) -> str:
    made: dict[str, object] = {"tracker": "torchcrepe", "version": "1", "model": "tiny", "decoder": "viterbi"}
    return json.dumps(made | {"hop_s": 0.01, "threshold": 0.5} | values)


def write_manifest(folder: Path, **values: object) -> None:
    write_text(folder / "manifest.json", manifest_text(**values))


manifests("not JSON", "not a manifest", "{")
manifests("a list", "not a manifest", "[]")
manifests("a threshold of 7", "is out of range; correct it", manifest_text(threshold=7))
manifests("a list for the tracker", "not a manifest (tracker is [])", manifest_text(tracker=[]))
manifests("nested without end", "not a manifest (nested too deep", "[" * 200_000)


def indexes(name: str, words: str, change: Callable[[Path], object]) -> None:
    def command(world: World) -> list[str]:
        change(world.index)
        return world.predict("--index", str(world.index))

    CASES.append(Case(name, "an index", command, 2, words))


def altered(**values: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        about = json.loads((folder / "index.json").read_text()) | values
        (folder / "index.json").write_text(json.dumps(about))

    return change


def part(folder: Path, name: str) -> Path:
    """The file of an index's part."""
    return folder / str(json.loads((folder / "index.json").read_text())["parts"][name])


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


indexes("another model's", "not with this model; build it again", altered(model_checksum="0" * 64))
indexes("another format's", "not of format version 6; build the index again", altered(format_version=9))
indexes("a number for its configuration", "config is 5; build the index again", altered(config=5))
indexes("index.json not JSON", "not JSON", lambda f: (f / "index.json").write_text("{"))
indexes("no index.json", "not an index; build one with: humfind index", lambda f: (f / "index.json").unlink())
indexes("vectors cut", ".npy: not a whole table of 16-bit vectors", lambda f: cut(part(f, "vectors")))
indexes("vectors a pickle", ".npy: not a whole npy file", lambda f: part(f, "vectors").write_bytes(b"\x80\x04N."))
indexes("vectors missing", ".npy: missing; build the index again", lambda f: part(f, "vectors").unlink())
indexes("windows cut", ".npy: not a whole table of windows", lambda f: cut(part(f, "windows")))
indexes("contours cut", ".npy: not a whole table of contours", lambda f: cut(part(f, "contours")))
indexes("songs cut", ".parquet: not a whole parquet file", lambda f: cut(part(f, "songs")))
indexes("songs missing", ".parquet: missing; build the index again", lambda f: part(f, "songs").unlink())
indexes(
    "vectors for windows", "not a whole table of windows", lambda f: shutil.copy(part(f, "vectors"), part(f, "windows"))
)


def checkpoints(name: str, words: str, change: Callable[[Path], object]) -> None:
    def command(world: World) -> list[str]:
        change(world.model)
        return world.predict()

    CASES.append(Case(name, "a checkpoint", command, 2, words))


def configured(part: str, signed: bool = True, **values: object) -> Callable[[Path], object]:
    def change(path: Path) -> None:
        about = json.loads(path.with_suffix(".json").read_text())
        about["config"][part] |= values
        if signed:
            about["checksum"] = _checksum(path.read_bytes(), about["config"])
        path.with_suffix(".json").write_text(json.dumps(about))

    return change


checkpoints("a pickle", "cut short or not safetensors", lambda p: p.write_bytes(pickle.dumps({"a": 1})))
checkpoints("cut", "cut short or not safetensors", cut)
checkpoints("empty", "cut short or not safetensors", lambda p: p.write_bytes(b""))
checkpoints("of another shape", "does not fit its JSON (head.", configured("encoder", embedding_dim=64))
checkpoints("of a terabyte", "does not fit its JSON", configured("encoder", embedding_dim=10**10))
checkpoints("of a billion blocks", "does not fit its JSON", configured("encoder", blocks=[10**9]))
checkpoints(
    "of another configuration",
    "not the weights that its JSON was saved with",
    configured("contour", signed=False, key="none"),
)
checkpoints(
    "text for a number", "config.contour.frame_s: 'x' is not of the kind of", configured("contour", frame_s="x")
)
checkpoints("frames of no length", "cuts no windows", configured("contour", frame_s=0.0))
checkpoints("an unknown setting", "unknown bogus; known are", configured("encoder", bogus=1))
checkpoints("its JSON missing", "needs its JSON next to the weights", lambda p: p.with_suffix(".json").unlink())
checkpoints(
    "missing", "no such model; give a model.safetensors or --model pretrained, or train one", lambda p: p.unlink()
)


@case("a .pt file", "a checkpoint", 2, "a checkpoint is a .safetensors file (pickles are never read); give that")
def _(world: World) -> list[str]:
    torch.save({}, world.root / "m.pt")
    return [word if word != str(world.model) else str(world.root / "m.pt") for word in world.predict()]


def given(name: str, words: str, *arguments: str, status: int = 2, apart: bool = False) -> None:
    CASES.append(Case(name, "the command", lambda _: list(arguments), status, words, apart=apart))


given("an unknown command", "No such command 'hum'; see: humfind --help", "hum", apart=True)
given("an unknown option", "No such option: --bogus", "predict", "x", "--bogus")
given("a missing argument", "Missing argument 'DATA'; see: humfind train --help", "train")
given("a missing option", "Missing option '--index'", "search", "x")
given("a number out of range", "Invalid value for '--top'", "search", "x", "--index", "y", "--top", "0")
given("a word for a number", "Invalid value for '--steps'", "train", "x", "--steps", "many")
given("a picture that is no PNG", "hum.jpg: not a .png; name one, for example hum.png", "search",
      str(REPOSITORY / "README.md"), "--index", "y", "--plot", "hum.jpg")  # fmt: skip
given("no index to listen for", "nowhere: not an index; build one with", "listen", "--index", "nowhere")
given("an unknown preset", "preset=huge: unknown; choose one of small", "train", "x", "--preset", "huge")
given("a mistyped preset", "choose one of small, zalo2021; did you mean small?", "train", "x", "--preset", "smal")
given("an unknown size", "size 'huge': unknown; choose one of", "demo-data", "--out", "x", "--size", "huge")
given("a parameter without a value", "-p steps: not name=value", "run", "-p", "steps")
given("an unknown notebook parameter", "bogus: no notebook of this run has that parameter", "run", "-p", "bogus=1",
      "--data", str(REPOSITORY))  # fmt: skip
given("an unknown part", "parts=lyrics: unknown; choose one of melody, sound", "index", "x", "--out", "y", "--parts",
      "melody,lyrics")  # fmt: skip
given("words for no index", "nowhere: not an index; give: humfind index FOLDER --parts sound", "tag", "rock", "--index",
      "nowhere")  # fmt: skip
given("an unknown lab", "lab tag: unknown; choose one of singing, tags, similar, playlist; did you mean tags?",
      "labs", "tag")  # fmt: skip
given("no sound to find the like of", "nowhere.wav: no such file; give a recording", "similar", "nowhere.wav",
      "--index", "x")  # fmt: skip
given("a place that is none", "--at soon: no place in a recording; write for example 0:41", "similar",
      str(REPOSITORY / "README.md"), "--index", "x", "--at", "soon")  # fmt: skip
given("a place in other digits", "no place in a recording; write for example 0:41", "similar",
      str(REPOSITORY / "README.md"), "--index", "x", "--at", "0:\u00b2")  # fmt: skip
given("a map that is no page", "map.png: not a .html; name one, for example map.html", "similar",
      str(REPOSITORY / "README.md"), "--index", "x", "--map", "map.png")  # fmt: skip
given("a playlist from what is no index", "nowhere: does not know its tracks; give: humfind index FOLDER --parts",
      "playlist", "one", "--index", "nowhere")  # fmt: skip
given("a playlist that is none", "list.txt: not a .m3u8; name one, for example list.m3u8", "playlist", "one",
      "--index", "nowhere", "--out", "list.txt")  # fmt: skip
given("a table without tracks", "t.csv: a table is of tracks; give --parts tracks, or sound,tracks", "index", "data",
      "--out", "i", "--table", "t.csv")  # fmt: skip
given("a page for what is no index", "nowhere: not an index; build one: humfind index MUSIC --out nowhere", "app",
      "--index", "nowhere")  # fmt: skip
given("a page for no music", "nowhere: no such folder; give one with music below it", "app", "--music", "nowhere")
given("a key without a certificate", "k.pem: a key without a certificate; give --certificate, too", "app", "--key",
      "k.pem", "--port", "0")  # fmt: skip
given("an unknown setting", "stepz: task hums has no such setting; did you mean steps?", "experiment", "stepz=1")
given("a sweep without -m", "train.loss: several values; give -m to train with each of them", "experiment",
      "loss=triplet,ntxent")  # fmt: skip
given("no experiments", "nowhere: no experiments; give: humfind experiment task=tracks", "experiment", "list",
      "--store", "nowhere")  # fmt: skip
given("a table of tracks that is not there", "table=nowhere.csv: no such file or folder; name a", "labs", "playlist",
      "-p", "table=nowhere.csv")  # fmt: skip
given("a network without a place", "networks=encodec: where weights are is missing", "labs", "playlist", "-p",
      "networks=encodec")  # fmt: skip
given("sounds that are not there", "sounds=nowhere: no such folder; give one of recordings", "labs", "similar", "-p",
      "sounds=nowhere")  # fmt: skip
given("no Kaggle name", "--data a/b/c: not a Kaggle name; give USER/DATASET", "kaggle", "--data", "a/b/c", "--user",
      "me", "--out", "x")  # fmt: skip
given("no Kaggle user", "give your user name", "kaggle", "--data", "a/b", "--user", "Me!", "--out", "x")
given("an unknown kind", "kind songs: unknown; choose one of song, hum", "import", "pickle-2021", "x", "--out", "y",
      "--split", "train", "--kind", "songs")  # fmt: skip


@case("words for an index without sound", "the command", 2, "does not know how its songs sound; give: humfind index")
def _(world: World) -> list[str]:
    return ["tag", "rock", "--index", str(world.index)]


@case("the sound of what has only f0", "the command", 2, "an f0 store, which has no sound; give the recordings")
def _(world: World) -> list[str]:
    return ["index", str(world.store), "--out", str(world.root / "new"), "--parts", "sound"]


@case("an unknown tracker", "the command", 2, "tracker 'bogus': unknown; choose")
def _(world: World) -> list[str]:
    write_sound(world.hum(), tone())
    return [word if word != "swiftf0" else "bogus" for word in world.predict()]


@case("an unknown ranker", "the command", 2, "ranker bogus: unknown; choose one of nearest, vote")
def _(world: World) -> list[str]:
    return world.predict("--ranker", "bogus")


def songs() -> list[tuple[str, str | None, F0]]:
    return [(f"public_test/full_song/{i:04d}.mp3", None, f0_of(melody(i)[:1000])) for i in range(SONGS)]


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    world = World(tmp_path_factory.mktemp("original"))
    world.data.mkdir()
    Model(CONFIG, build(CONFIG.encoder, input_shape(CONFIG))).save(world.model)
    put_rows(world.store / "public_test/song", songs())
    put_rows(world.store / "public_test/hum", [(f"{i:04d}.mp3", None, hum_of(i, 2.0, 5.0)) for i in range(3)])
    indexing.index_of(world.store, "public_test", model=str(world.model))[0].save(world.index)
    return world.root


@pytest.fixture
def world(original, tmp_path, monkeypatch) -> World:
    monkeypatch.setenv("HUMFIND_HOME", str(tmp_path / "home"))
    shutil.copytree(original, tmp_path / "w")
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "notebooks").symlink_to(REPOSITORY / "notebooks")
    return World(tmp_path / "w")


@pytest.fixture(scope="module")
def table():
    """name, place -> (answer, status), of the cases that ran."""
    rows: dict[tuple[str, str], tuple[str, int]] = {}
    yield rows
    if WRITE_DOCS and len(rows) == len(CASES):
        DOCS.parent.mkdir(parents=True, exist_ok=True)
        DOCS.write_text(document(rows), "utf-8")


def document(rows: dict[tuple[str, str], tuple[str, int]]) -> str:
    lines = [
        "# Bad input",
        "",
        "Each row is a test; the answer is the line that was printed, with the paths shortened. Exit status 2: nothing",
        "can go on; 0: all else is done, and the line tells what is not. A hum that cannot be read or has no pitch",
        "has its row all the same, the first songs by id, and is counted. Made by",
        "`HUMFIND_WRITE_DOCS=1 python -m pytest tests/cli/test_bad_input.py`.",
        "",
        "| input | where | answer | exit status |",
        "|---|---|---|---|",
    ]
    for (name, place), (answer, status) in rows.items():
        cells = (name, place, f"`{answer}`", str(status))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def main(arguments: list[str], capfd, monkeypatch, apart: bool) -> tuple[int, str, str]:
    """Exit status, stdout, stderr."""
    if apart:
        done = subprocess.run([sys.executable, "-m", "humfind", *arguments], capture_output=True, text=True)
        return done.returncode, done.stdout, done.stderr
    monkeypatch.setattr(sys, "argv", ["humfind", *arguments])
    capfd.readouterr()
    with pytest.raises(SystemExit) as left:
        cli.main()
    status = left.value.code
    return int(status or 0), *capfd.readouterr()


@pytest.mark.parametrize("case", CASES, ids=[f"{case.place}: {case.name}" for case in CASES])
def test_bad_input(case: Case, world: World, table, capfd, monkeypatch, caplog):
    status, out, err = main(case.make(world), capfd, monkeypatch, case.apart)
    lines = [line for line in (err + out + caplog.text).splitlines() if case.words in line]
    assert status == case.status, err[-2000:]
    assert lines, out + err + caplog.text
    if status == 2:
        told = [line for line in err.splitlines() if "warning" not in line.lower() and "%|" not in line]
        assert len(told) == 1, "one line and no more"
        assert told[0].startswith("humfind: ")
        assert "; " in told[0] or "see:" in told[0], "what is wrong; how to mend"
    if case.place == "a hum" and status == 0:
        rows, card = submission.read(world.out), submission.read_card(world.out)
        by_rule = [ids for name, ids in rows.items() if name.startswith("0007")]
        assert len(card["without_f0"]) == case.skipped
        assert ("without an f0; their rows are the first songs by id" in err) == case.skipped
        assert (by_rule == [FIRST_TEN]) or not case.skipped
    table[case.name, case.place] = (shortened(lines[0], world), status)


def shortened(line: str, world: World) -> str:
    line = re.sub(r"^(WARNING|ERROR) +\S+:\S+:\d+ ", "", line.strip())
    for place, name in ((world.root, "…"), (world.root.parent, "…"), (REPOSITORY, "…")):
        line = line.replace(str(place), name)
    line = re.sub(r"\S*/original\d+/", "…/", line)
    line = re.sub(r" at \d+x real time", "", line)
    line = re.sub(r"-[0-9a-f]{16}\.", "-….", line)  # checksums of what a processor may round in another way
    line = re.sub(r"x{100,}", "xxx…", line).replace("`", "'")
    return line if len(line) < 400 else line[:400] + "…"


@pytest.mark.skipif(WRITE_DOCS, reason="it is being written")
def test_the_table_of_the_documentation_has_these_cases_and_their_answers(table):
    assert len({(case.name, case.place) for case in CASES}) == len(CASES)
    written = DOCS.read_text("utf-8").splitlines()
    rows = [row for row in written if row.startswith("| ")][1:]
    assert [tuple(row.removeprefix("| ").split(" | ")[:2]) for row in rows] == [(c.name, c.place) for c in CASES]
    assert [row.rsplit(" | ", 1)[1].removesuffix(" |") for row in rows] == [str(case.status) for case in CASES]
    changed = [line for line in document(table).splitlines() if line.startswith("| ") and line not in written]
    assert not changed, "HUMFIND_WRITE_DOCS=1 python -m pytest tests/cli/test_bad_input.py"


@pytest.mark.parametrize(("stored", "there"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_names_join_however_their_accents_are_written(world, capfd, monkeypatch, stored, there):
    """The song's f0, the hum's recording and its answer are one, composed or decomposed."""
    name = "Người ơi, người ở"
    put_rows(world.store / "public_test/song", [(unicodedata.normalize(stored, f"{name}.mp3"), None, hum_of(1))])
    put_rows(world.store / "public_test/hum", [(unicodedata.normalize(stored, f"{name}.mp3"), None, hum_of(1))])
    write_sound(world.hum(unicodedata.normalize(there, f"{name}.wav")), tone())
    cells = [unicodedata.normalize(there, name)] * 2
    with (world.data / "public_test/answers.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("hum", "music_id"), cells])
    status, out, err = main(world.predict(), capfd, monkeypatch, False)
    assert (status, err.count("skipped")) == (0, 0), err
    assert "MRR@10 1.000" in out


@pytest.mark.parametrize(("meta", "disk"), [("NFC", "NFD"), ("NFD", "NFC")])
def test_a_meta_row_finds_its_file_however_its_accents_are_written(world, capfd, monkeypatch, meta, disk):
    row = unicodedata.normalize(meta, "1,train/song/hò ơ.wav,train/hum/hò ơ.wav\n")
    command = world.meta(HEADER + row)
    for kind in ("song", "hum"):
        folder = world.data / "train" / kind
        (folder / "a.wav").rename(folder / unicodedata.normalize(disk, "hò ơ.wav"))
        (folder / "b.wav").unlink()
    status, out, err = main(command, capfd, monkeypatch, False)
    assert status == 0
    assert "train/hum: 1 tracked" in out
    assert "skipped" not in err


@pytest.mark.parametrize("module", ["numba", "swift_f0"])
def test_a_missing_library_is_told(world, module):
    write_sound(world.hum(), tone())
    block = f"import sys; sys.modules[{module!r}] = None; from humfind.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", block, *world.predict()], capture_output=True, text=True)
    assert done.returncode == 2, done.stderr
    told = [line for line in done.stderr.splitlines() if line.startswith("humfind: ")]
    assert len(told) == 1
    assert "pip install" in told[0]
    assert "Traceback" not in done.stderr


def test_an_old_python_is_told(tmp_path):
    for name in ("Makefile", "requirements.txt", "requirements-no-deps.txt", "pyproject.toml"):
        shutil.copy(REPOSITORY / name, tmp_path)
    old = write_text(tmp_path / "old", "#!/bin/sh\nexit 1\n")  # as its check of the version ends
    old.chmod(0o755)
    done = subprocess.run(["make", "test", f"PYTHON={old}"], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert f"{old} is older than Python 3.11; name a newer one: make PYTHON=python3.11" in done.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize("tracker", ["swiftf0", "torchcrepe"])
def test_what_can_be_heard_is_heard_right(tmp_path, tracker):
    """A 220 Hz tone, disfigured: within 30 cents."""
    from humfind.audio.load import load
    from humfind.f0 import make_tracker

    plain = tone(length_s=1.0)
    made = {
        "offset": (0.4 + 0.5 * plain, RATE_HZ),
        "clipped": (np.clip(6 * plain, -1, 1), RATE_HZ),
        "six": (np.stack([plain, plain, 0 * plain, 0.5 * plain, 0 * plain, 0 * plain], 1), RATE_HZ),
        "opposite": (np.stack([plain, -plain], 1), RATE_HZ),
        "8k": (tone(length_s=1.0, rate_hz=8000), 8000),
        "96k": (np.stack([tone(length_s=1.0, rate_hz=96_000)] * 2, 1), 96_000),
        "whole": (32767 * plain, RATE_HZ),
    }
    track = make_tracker(F0Config(tracker=tracker))
    for name, (samples, rate_hz) in made.items():
        f0 = track(load(write_sound(tmp_path / f"{name}.wav", samples, rate_hz, "FLOAT")))
        inner = slice(round(0.1 / HOP_S), -round(0.1 / HOP_S))
        assert f0.voiced[inner].mean() > 0.95, name
        assert abs(1200 * np.log2(np.median(f0.hz[f0.voiced]) / 220)) < 30, name


def test_silent_recordings_are_told_in_a_folder_of_audio(world, capfd, monkeypatch):
    write_sound(world.root / "music/quiet.wav", np.zeros(RATE_HZ))
    put_audio(world.root / "music/loud.wav", hum_of(1))
    command = ["index", str(world.root / "music"), "--model", str(world.model), "--tracker", "swiftf0"]
    status, out, err = main([*command, "--out", str(world.root / "new")], capfd, monkeypatch, False)
    assert (status, "1 songs" in out) == (0, True)
    assert "skipped: quiet.wav: silent" in err
