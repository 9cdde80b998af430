"""The attacks: each changes a copy of the world and names a command, drawn from a generator."""

from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

Rng = np.random.Generator


@dataclass(frozen=True)
class Try:
    """argv: of the command. writes: paths below the world (and what lies below them) that it may make or change.
    damaged: the files that were attacked. status: the exit statuses that are right; limits: resource name -> value.
    signal_at: (signal, seconds) sent to its process group. again: run the same command a second time, undisturbed.
    cwd_gone: the working folder is removed under it. first: a command before it, undisturbed.
    """

    family: str
    name: str
    argv: tuple[str, ...]
    writes: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()
    status: tuple[int, ...] = (0, 2)
    limits: dict[str, int] = field(default_factory=dict)
    environment: dict[str, str | None] = field(default_factory=dict)
    signal_at: tuple[int, float] | None = None
    again: bool = False
    cwd_gone: bool = False
    first: tuple[str, ...] = ()


COMMANDS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "predict": (("predict", "data", "--model", "pretrained", "--tracker", "swiftf0", "--out", "out.csv"), ("out.",)),
    "predict from a store": (
        ("predict", "data", "--f0", "store", "--model", "pretrained", "--out", "out.csv"),
        ("out.", "store"),
    ),
    "predict with an index": (
        ("predict", "data", "--index", "index", "--tracker", "swiftf0", "--model", "pretrained", "--out", "out.csv"),
        ("out.",),
    ),
    "index a folder": (
        ("index", "data/public_test/full_song", "--model", "pretrained", "--tracker", "swiftf0", "--out", "made"),
        ("made",),
    ),
    "index a store": (("index", "store", "--model", "pretrained", "--out", "made"), ("made",)),
    "search": (("search", "hum.wav", "--index", "index", "--json"), ()),
    "search with a model": (("search", "hum.wav", "--index", "index", "--model", "model/model.safetensors"), ()),
    "score": (("score", "submission.csv", "data/public_test/answers.csv"), ()),
    "f0": (("f0", "data", "--out", "made", "--tracker", "swiftf0"), ("made",)),
    "check": (("check", "data", "--f0", "store"), ("store",)),
    "train": (("train", "data", "--f0", "store", "--out", "made", "--steps", "1"), ("made", "store")),
    "import melodies": (("import", "melodies", "tunes", "--out", "made"), ("made",)),
    "doctor": (("doctor",), ()),
}
READ_BY = {  # file or folder -> the commands that read it
    "hum.wav": ("search",),
    "data/public_test/hum/h0.wav": ("predict", "predict from a store", "f0"),
    "data/public_test/full_song/0001.wav": ("predict", "index a folder", "f0"),
    "data/train/song/0002.wav": ("f0", "check"),
    "data/public_test/answers.csv": ("predict", "predict with an index", "score"),
    "data/train/train_meta.csv": ("train", "check", "f0"),
    "data/songs.csv": ("predict", "predict from a store"),
    "store/public_test/song/part-0000.parquet": ("predict from a store", "index a store"),
    "store/public_test/hum/part-0000.parquet": ("predict from a store",),
    "store/train/song/part-0000.parquet": ("train", "check"),
    "store/public_test/song/manifest.json": ("predict from a store", "index a store"),
    "index/index.json": ("search", "predict with an index"),
    "index/songs": ("search", "predict with an index"),
    "index/vectors": ("search", "predict with an index"),
    "index/windows": ("search", "predict with an index"),
    "index/contours": ("search", "predict with an index"),
    "index/engine": ("search", "predict with an index"),
    "model/model.json": ("search with a model",),
    "model/model.safetensors": ("search with a model",),
    "submission.csv": ("score",),
    "submission.json": ("score",),
    "tunes/a.abc": ("import melodies",),
    "tunes/b.mid": ("import melodies",),
}
HOSTILE_NAMES = (
    b"caf\xe9", b"a\nb", b"a\rb", b"\x1b[31mred", b"<img src=x onerror=alert(1)>", b"A$AP Rocky_^ Ke$ha", "é".encode(),
    b"e\xcc\x81", b" lead", b"trail ", b".hidden", b"-rf", b"a" * 240, b"a,b", b'a"b', b"%s%n", "歌".encode(),
    "\u202egpj".encode(), b"..a", b"~", b"*", b"a;b", b"a\tb", b"NUL",
)  # fmt: skip


def existing(world: Path, name: str) -> Path:
    """``index/songs`` is the part of that name, whatever its version."""
    path = world / name
    return path if path.exists() else next(iter(sorted(path.parent.glob(f"{path.name}*"))))


# --- files ------------------------------------------------------------------------------------------


def _flip(path: Path, rng: Rng) -> None:
    content = bytearray(path.read_bytes())
    for at in rng.integers(0, len(content), max(1, len(content) // 500)):
        content[at] ^= 1 << int(rng.integers(8))
    path.write_bytes(content)


def _replace_number(path: Path, rng: Rng) -> None:
    import re

    content = path.read_bytes()
    spots = list(re.finditer(rb"-?\d+(\.\d+)?", content[:20_000]))
    if not spots:
        return _flip(path, rng)
    spot = spots[int(rng.integers(len(spots)))]
    value = rng.choice([b"NaN", b"1e999", b"-1", b"0", b"1e-310", b"99999999999999999999", b"null", b"[]", b'""'])
    path.write_bytes(content[: spot.start()] + bytes(value) + content[spot.end() :])
    return None


def _instead(make: Callable[[Path], object]) -> Callable[[Path, Rng], None]:
    def damage(path: Path, rng: Rng) -> None:
        path.unlink()
        make(path)

    return damage


def _sparse(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(6 * 2**30)


def _twice(path: Path, rng: Rng) -> None:
    path.write_bytes(path.read_bytes() * 2)


DAMAGE: dict[str, Callable[[Path, Rng], None]] = {
    "cut short": lambda path, rng: os.truncate(path, int(rng.integers(0, max(1, path.stat().st_size)))),
    "bits flipped": _flip,
    "a number replaced": _replace_number,
    "twice over": _twice,
    "empty": _instead(lambda path: path.write_bytes(b"")),
    "random bytes": lambda path, rng: (path.write_bytes(rng.bytes(int(rng.integers(1, 5000)))), None)[1],
    "UTF-16": _instead(lambda path: path.write_text("hum,music_id\nh0,0000\n", encoding="utf-16")),
    "a byte order mark": lambda path, rng: (path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes()), None)[1],
    "a pipe": _instead(os.mkfifo),
    "a folder": _instead(lambda path: path.mkdir()),
    "a link to itself": _instead(lambda path: path.symlink_to(path.name)),
    "a link to nothing": _instead(lambda path: path.symlink_to("nowhere")),
    "an endless device": _instead(lambda path: path.symlink_to("/dev/zero")),
    "an empty device": _instead(lambda path: path.symlink_to("/dev/null")),
    "6 GB of holes": _instead(_sparse),
    "gone": lambda path, rng: path.unlink(),
}


def files(world: Path, rng: Rng) -> Try:
    target = str(rng.choice(list(READ_BY)))
    damage = str(rng.choice(list(DAMAGE)))
    command = str(rng.choice(READ_BY[target]))
    path = existing(world, target)
    DAMAGE[damage](path, rng)
    argv, writes = COMMANDS[command]
    return Try("files", f"{target}: {damage}", argv, writes, (target,))


# --- names ------------------------------------------------------------------------------------------


def names(world: Path, rng: Rng) -> Try:
    name = HOSTILE_NAMES[int(rng.integers(len(HOSTILE_NAMES)))]
    target = str(rng.choice(["song", "hum", "folder song", "search", "data", "title", "out"]))
    shown = name.decode("utf-8", "backslashreplace")
    if target == "title":
        title = name.decode("utf-8", "replace").replace('"', '""')
        (world / "data/songs.csv").write_text(f'music_id,title\n0001,"{title}"\n')
        return Try("names", f"a title {shown!a}", *COMMANDS["predict"])
    if target == "out":
        out = os.fsdecode(name + b".csv")
        argv = ("predict", "data", "--f0", "store", "--model", "pretrained", "--out", f"./{out}")
        return Try("names", f"an output {shown!a}", argv, (out, os.fsdecode(name + b".json"), "store", f".{out}"))
    if target == "data":
        new = os.fsdecode(name)
        os.rename(world / "data", world / new)
        argv = ("predict", f"./{new}", "--model", "pretrained", "--tracker", "swiftf0", "--out", "out.csv")
        return Try("names", f"a data set {shown!a}", argv, ("out.",))
    old = {"song": "data/public_test/full_song/0004.wav", "folder song": "data/public_test/full_song/0004.wav",
           "hum": "data/public_test/hum/h2.wav", "search": "hum.wav"}[target]  # fmt: skip
    new = os.fsencode(world / old).rsplit(b"/", 1)[0] + b"/" + name + b".wav"
    os.rename(world / old, new)
    if target == "hum":
        lines = (world / "data/public_test/answers.csv").read_text().splitlines()
        (world / "data/public_test/answers.csv").write_text("\n".join(lines[:3]) + "\n")
    if target == "search":
        argv = ("search", f"./{os.fsdecode(name)}.wav", "--index", "index", "--json")
        return Try("names", f"a hum to search {shown!a}", argv)
    command = "index a folder" if target == "folder song" else "predict"
    return Try("names", f"a {target} {shown!a}", *COMMANDS[command], damaged=(old,))


# --- options ----------------------------------------------------------------------------------------

BAD_OPTIONS = """
predict data --out out.txt
predict data --split test --out out.csv
predict nowhere --out out.csv
predict data/train --out out.csv
predict data --ranker foo --out out.csv
predict data --tracker foo --out out.csv
predict data --model foo --out out.csv
predict data --model '' --out out.csv
predict data --index data --model pretrained --out out.csv
predict data --f0 notes.txt --model pretrained --out out.csv
predict '' --out out.csv
search hum.wav --index index --top 0
search hum.wav --index index --top -3
search hum.wav --index data
search notes.txt --index index
search '' --index index
search hum.wav --index ''
search data --index index
search hum.wav
search hum.wav --index index --ranker FUSION
search hum.wav --index hum.wav
score data/public_test/answers.csv data/public_test/answers.csv
score submission.csv submission.csv
score submission.csv nowhere.csv
score '' ''
score index data
train data --steps -5 --out made
train data --seed 18446744073709551616 --out made
train data --preset large --out made
train data --device tpu --out made
train data --out notes.txt
train data/train --out made
train store --out made
index nowhere --out made
index data --out notes.txt --model pretrained
index tunes --out made --model pretrained
index data --split x --out made
f0 data --split x
f0 nowhere
f0 tunes
f0 data --tracker yin
check nowhere
check data/train
check tunes
check data --tracker x
run --data nowhere
run --data data/train
run -p ranker=foo
run -p steps=-5
run -p margin=1e999
run -p seed=999999999999999999999999999999
run -p loss=foo
run -p x=1
run --notebook ''
run --notebook 09
run --data data --name ../../x
run --data data --name a/b
run -p checkpoint=nowhere
run -p steps
run -p =1
import melodies data --out made
import melodies nowhere --out made
import mast tunes --out made
import humtrans data --out made
import pop909 tunes --out made
import mir-qbsh data --out made
import mtg-qbh tunes --out made
import nothing tunes
import pickle-2021 hum.wav --out made --split train --kind hum
demo-data --size huge --out made
demo-data --size tiny --out data
demo-data
nothing
--nothing
search --json
predict data --out data
score
"""


def options(world: Path, rng: Rng) -> Try:
    line = str(rng.choice(BAD_OPTIONS.strip().splitlines()))
    return Try("options", line, tuple(shlex.split(line)), status=(2,))


# --- outputs ----------------------------------------------------------------------------------------


def outputs(world: Path, rng: Rng) -> Try:
    there = str(rng.choice(["mine.csv", "notes.txt", "data", "data/public_test/answers.csv", "data/songs.csv", "store",
                            "model/model.csv", "tunes", "hum.wav", "notes.txt/x.csv", "model", "."]))  # fmt: skip
    commands = ["predict from a store", "index a folder", "index a store", "f0", "import melodies", "demo"]
    command = str(rng.choice(commands))
    if command == "demo":
        argv: tuple[str, ...] = ("demo-data", "--size", "tiny", "--out", there)
    elif command == "f0":
        argv = ("f0", "data", "--out", there, "--tracker", "swiftf0")
    else:
        argv = (*COMMANDS[command][0][:-1], there)
    new = not (world / there).exists() and command != "predict from a store"  # a folder of that name may be made
    folder = command == "f0" and (world / there).is_dir()  # an f0 store may lie in any folder, beside what is there
    may = (f"{there}/train", f"{there}/public_test", "public_test", "train") if folder else (there,) if new else ()
    return Try("outputs", f"{command} --out {there}", argv, may, status=(0, 2) if new or folder else (2,))


# --- the machine ------------------------------------------------------------------------------------


def machine(world: Path, rng: Rng) -> Try:
    command = str(rng.choice(["predict", "predict from a store", "index a folder", "search", "score", "f0", "check",
                              "import melodies", "doctor"]))  # fmt: skip
    argv, writes = COMMANDS[command]
    kind = str(rng.choice(["few files", "little memory", "small files", "no home", "no locale", "no working folder"]))
    if kind == "few files":
        return Try(
            "machine", f"{command}: few files", argv, writes, limits={"RLIMIT_NOFILE": int(rng.choice([12, 24, 48]))}
        )
    if kind == "little memory":
        most = int(rng.choice([1, 2, 4])) * 2**30
        return Try("machine", f"{command}: little memory", argv, writes, limits={"RLIMIT_AS": most})
    if kind == "small files":
        most = int(rng.choice([100, 10_000]))
        return Try("machine", f"{command}: small files", argv, writes, limits={"RLIMIT_FSIZE": most})
    if kind == "no home":
        return Try("machine", f"{command}: no home", argv, (*writes, "home"), environment={"HOME": None})
    if kind == "no locale":
        return Try("machine", f"{command}: no locale", argv, writes, environment={"LANG": "C", "LC_ALL": "C"})
    return Try("machine", f"{command}: no working folder", argv, writes, status=(2,), cwd_gone=True)


# --- signals ----------------------------------------------------------------------------------------


def signals(world: Path, rng: Rng) -> Try:
    command = str(rng.choice(["predict", "predict from a store", "index a folder", "index a store", "f0", "train",
                              "import melodies", "search"]))  # fmt: skip
    argv, writes = COMMANDS[command]
    which = int(rng.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL]))
    name = f"{command}: {signal.Signals(which).name}"
    moment = float(rng.uniform(0.05, 2.5))
    return Try("signals", name, argv, writes, status=(0, 130, -which), signal_at=(which, moment), again=True)


# --- data sets of one name --------------------------------------------------------------------------


def twins(world: Path, rng: Rng) -> Try:
    """The default store has seen another data set of that name, or this one before songs and hums were removed."""
    from benchmarks.reliability.world import melody, sing

    kind = str(rng.choice(["other songs", "a song gone", "a hum gone", "other hums"]))
    other = world / "elsewhere" / "data" / "public_test"
    for i in range(3):
        song = f"9{i:03d}" if kind == "other songs" else f"{i:04d}"
        sing(other / f"full_song/{song}.wav", melody(i + 20))
        sing(other / f"hum/{'x' if kind == 'other hums' else 'h'}{i}.wav", melody(i + 20)[6:26])
    first = ("predict", "elsewhere/data", "--model", "pretrained", "--tracker", "swiftf0", "--out", "first.csv")
    argv, writes = COMMANDS[str(rng.choice(["predict", "index a folder"]))]
    return Try("twins", kind, argv, (*writes, "first."), status=(0,), first=first)


FAMILIES: dict[str, tuple[float, Callable[[Path, Rng], Try]]] = {
    "files": (0.42, files),
    "names": (0.16, names),
    "options": (0.16, options),
    "outputs": (0.08, outputs),
    "machine": (0.07, machine),
    "signals": (0.07, signals),
    "twins": (0.04, twins),
}


def draw(world: Path, seed: int, number: int) -> Try:
    """The attack of this number, done to ``world``: a function of both numbers alone."""
    rng = np.random.default_rng([seed, number])
    family = str(rng.choice(list(FAMILIES), p=[share for share, _ in FAMILIES.values()]))
    return FAMILIES[family][1](world, rng)
