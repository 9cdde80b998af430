"""The same seed on the same machine, in processes that differ: which results keep their bytes?

    python -m benchmarks.reliability.determinism --out docs/reliability/determinism.md

Data set, f0 store, checkpoint and submission (``benchmarks/reliability/small_steps.py``) are made once, then again with
another hash seed, then with one thread in place of as many as there are cores; torchcrepe's f0 likewise.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.reliability.kill import digest

ROOT = Path(__file__).resolve().parents[2]
RESULTS = {
    "demo data": ("data/",),
    "f0 store, swiftf0": ("f0/",),
    "checkpoint and training state": ("train/",),
    "submission and its card": ("submission.",),
}
CREPE = """
import hashlib, sys
from pathlib import Path
from humfind.config import F0Config
from humfind.f0 import make_tracker
from humfind.audio.load import load
tracker = make_tracker(F0Config(threads=int(sys.argv[2])))
found = [tracker(load(path)) for path in sorted(Path(sys.argv[1], "data/train/hum").iterdir())]
print(hashlib.sha256(b"".join(f0.hz.tobytes() + f0.confidence.tobytes() for f0 in found)).hexdigest())
"""


def is_of(name: str, result: str) -> bool:
    """Whether a file, by its path below the folder, belongs to a result."""
    return name.startswith(RESULTS[result])


def run_all(folder: Path, hash_seed: int = 0, threads: int = 0) -> None:
    """The four steps in a process of their own. threads: of the numeric libraries, 0 leaves it to them."""
    command = [sys.executable, "-m", "benchmarks.reliability.small_steps", "all", str(folder)]
    subprocess.run(command, cwd=ROOT, env=_environment(hash_seed, threads), check=True, capture_output=True)


def torchcrepe(folder: Path, hash_seed: int = 0, threads: int = 2) -> str:
    """The digest of torchcrepe's f0 of the data set's hums."""
    command = [sys.executable, "-c", CREPE, str(folder), str(threads)]
    environment = _environment(hash_seed, threads)
    return subprocess.run(command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True).stdout


def _environment(hash_seed: int, threads: int) -> dict[str, str]:
    limits = {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS") if threads}
    return os.environ | {"PYTHONHASHSEED": str(hash_seed)} | limits


def digests(folder: Path) -> dict[str, str]:
    """file -> SHA-256; a training's seconds are left out."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {path.relative_to(folder).as_posix(): digest(path) for path in files}


def compare(folder: Path) -> list[tuple[str, int, bool, bool]]:
    """(what, files, the same in another process, the same with one thread)."""
    run_all(folder / "a")
    run_all(folder / "b", hash_seed=7)
    run_all(folder / "c", hash_seed=8, threads=1)
    made = [digests(folder / name) for name in "abc"]
    rows = []
    for result in RESULTS:
        a, b, c = ({name: sha for name, sha in one.items() if is_of(name, result)} for one in made)
        rows.append((result, len(a), a == b, a == c))
    a, b, c = (torchcrepe(folder / "a", *given) for given in ((0, 2), (7, 2), (8, 1)))
    rows.append(("f0 of five hums, torchcrepe", 5, a == b, a == c))
    return rows


def table(rows: list[tuple[str, int, bool, bool]]) -> str:
    """The section of docs/reliability.md."""
    lines = [
        "## The same bytes",
        "",
        "    python -m benchmarks.reliability.determinism",
        "",
        "Same seed, same machine, CPU: SHA-256 of every file (a training's seconds left out).",
        "`tests/reliability/test_determinism.py` holds the first column, `tests/data/test_demo.py` that two workers",
        "make the demo set of one.",
        "",
        "| what | files | another process, another hash seed | one thread in place of all |",
        "|---|---:|---|---|",
    ]
    words = {True: "same", False: "differs"}
    lines += [f"| {what} | {files} | {words[again]} | {words[threads]} |" for what, files, again, threads in rows]
    lines += [
        "",
        "How many threads torch has decides in which parts it sums, and so the last bits of a training; give",
        "`OMP_NUM_THREADS` to have the same on machines with more or fewer cores.",
        "",
        "On a GPU no bytes are promised for a training, and none were measured: torch picks its kernels by speed, sums",
        "gradients in the order in which threads finish, and training is in bfloat16 there (`precision: auto`). The",
        "batches and their augmentation are drawn on the CPU and stay the same; the weights need not. The same",
        "checkpoint gives the same submission: demo data, f0 (but by TensorFlow's `crepe`), embeddings and search stay",
        "on the CPU. Another machine, or other versions of torch, numpy, soxr or lame, may change the last bits",
        "everywhere: cards and checkpoints name theirs.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="write the section of docs/reliability.md there")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = table(compare(Path(folder)))
    print(text)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
