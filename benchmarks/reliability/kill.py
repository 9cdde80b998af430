"""``kill -9`` at random moments of each step, the same command again, and the same bytes in the end.

    python -m benchmarks.reliability.kill --kills 50 --out docs/reliability/kills.md

A round starts a step in an empty folder, kills its whole process group, starts it again, kills it again ...
and at last lets it finish. Half of the kills come by the clock, half at a write: before a file gets its name,
after, or with half of its bytes on disk. After each kill, whatever is there under its final name must be whole
(the unbroken run's bytes, or a checkpoint that loads or says that it does not); after the last run, all bytes
must be the unbroken run's, and recordings and parts that were whole must not have been written again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from humfind.types import InputError

ROOT = Path(__file__).resolve().parents[2]
MOMENTS = ("clock", "half", "before", "after")
SHARES = {"data": 0.3, "f0": 0.3, "train": 0.2, "index": 0.16, "run": 0.04}
NEEDS = {"data": (), "f0": ("data",), "train": ("data", "f0"), "index": ("data", "f0", "train"), "run": ("tiny",)}
VOLATILE = ("history.json", "resume.safetensors")  # they tell how long it took; compared without that
KEPT = (".mp3", ".parquet")  # made once, never again
HOLDER_S = 15.0  # a notebook's kernel outlives its runner for about a second
# runs a module, and dies at its n-th write; how many there were goes to a file
LAUNCHER = """
import atexit, os, runpy, signal, sys
moment, at, counted, module = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4]
sys.argv = sys.argv[4:]
writes, fsync, replace = 0, os.fsync, os.replace
def die():
    os.killpg(0, signal.SIGKILL)
def half(descriptor):
    if moment == "half" and writes + 1 == at:
        os.ftruncate(descriptor, os.fstat(descriptor).st_size // 2)
        die()
    return fsync(descriptor)
def rename(*paths):
    global writes
    writes += 1
    if moment == "before" and writes == at:
        die()
    replace(*paths)
    if moment == "after" and writes == at:
        die()
os.fsync, os.replace = half, rename
atexit.register(lambda: open(counted, "w").write(str(writes)))
runpy.run_module(module, run_name="__main__", alter_sys=True)
"""


@dataclass
class Step:
    """A command that fills ``out``. arguments: of ``python -m``, with OUT for the folder."""

    name: str
    shown: str
    arguments: list[str]
    home: bool = False  # whether OUT is the project's home, notebooks and all
    chosen: tuple[str, ...] = ("**/*",)  # files that are compared
    seconds: float = 0.0
    writes: int = 0
    whole: dict[str, str] = field(default_factory=dict)

    def start(self, out: Path, moment: str = "none", at: int = 0) -> subprocess.Popen[str]:
        counted = out.parent / "writes.txt"
        if self.home and not (out / "notebooks").exists():
            out.mkdir(parents=True, exist_ok=True)
            (out / "notebooks").symlink_to(ROOT / "notebooks")
        command = [sys.executable, "-c", LAUNCHER, moment, str(at), str(counted)]
        command += [str(out) if part == "OUT" else part for part in self.arguments]
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env=os.environ | ({"HUMFIND_HOME": str(out)} if self.home else {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def finish(self, out: Path) -> None:
        """Run to the end. Raises RuntimeError with the step's own words where it fails."""
        deadline = time.monotonic() + HOLDER_S
        while True:
            process = self.start(out)
            _, said = process.communicate()
            if process.returncode == 2 and "is writing there" in said and time.monotonic() < deadline:
                time.sleep(1)
                continue
            if process.returncode:
                raise RuntimeError(f"{self.name}: exit {process.returncode}: {said[-2000:]}")
            return

    def files(self, out: Path) -> dict[str, Path]:
        """The files under their final names, by path below ``out``."""
        found = {path for pattern in self.chosen for path in out.glob(pattern) if path.is_file()}
        named = {path.relative_to(out).as_posix(): path for path in sorted(found)}
        return {
            name: path
            for name, path in named.items()
            if not name.endswith(".part") and not any(part.startswith(".") for part in path.relative_to(out).parts)
        }

    def digests(self, out: Path) -> dict[str, str]:
        return {name: digest(path) for name, path in self.files(out).items()}

    def unbroken(self, out: Path) -> None:
        """Once without a kill: how long it takes, how often it writes, what comes out."""
        started = time.monotonic()
        self.finish(out)
        self.seconds = time.monotonic() - started
        self.writes = int((out.parent / "writes.txt").read_text())
        self.whole = self.digests(out)


@dataclass
class Count:
    """What a campaign has seen of one step."""

    kills: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MOMENTS, 0))
    rounds: int = 0
    wrong: list[str] = field(default_factory=list)

    @property
    def total(self) -> int:
        return sum(self.kills.values())


def digest(path: Path) -> str:
    """SHA-256 of a file; of what a training's state says, without the seconds that it took."""
    content = path.read_bytes()
    if path.name == "history.json":
        content = json.dumps({key: value for key, value in json.loads(content).items() if key != "seconds"}).encode()
    if path.name == "resume.safetensors":
        from humfind.training.state import State

        state = State.load(path)
        about = {key: value for key, value in state.about.items() if key != "seconds"}
        tensors = {f"n/{k}": v for k, v in state.module.items()} | {f"o/{k}": v for k, v in state.optimiser.items()}
        content = json.dumps(about, sort_keys=True).encode()
        content += b"".join(name.encode() + tensors[name].numpy().tobytes() for name in sorted(tensors))
    return hashlib.sha256(content).hexdigest()


def half_written(step: Step, out: Path) -> list[str]:
    """What lies under a final name and is neither the unbroken run's nor a whole earlier state."""
    wrong = []
    for name, path in step.files(out).items():
        try:
            if step.name == "train" and path.name == "model.safetensors":
                _load_model(path)
            elif step.name == "train" or path.name == "demo.partial.json":
                digest(path) if path.name in VOLATILE else json.loads(path.read_text())
            elif step.name != "run" and digest(path) != step.whole.get(name):
                wrong.append(name)
        except (InputError, ValueError) as error:
            wrong.append(f"{name}: {error}")
    return wrong


def _load_model(path: Path) -> None:
    """Two files make a checkpoint: between the two renames, the weights are refused as another JSON's."""
    from humfind.encoders.checkpoint import Model

    try:
        Model.load(path)
    except InputError as error:
        if "not the weights that its JSON was saved with" not in str(error) and "missing" not in str(error):
            raise


def kill_once(step: Step, out: Path, moment: str, rng: np.random.Generator) -> bool:
    """Start the step and kill it; False where it was done before."""
    at = int(rng.integers(1, step.writes + 1)) if moment != "clock" else 0
    process = step.start(out, moment, at)
    try:
        process.communicate(timeout=float(rng.uniform(0.1, 1.0)) * step.seconds if moment == "clock" else None)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    return process.returncode == -signal.SIGKILL


def one_round(step: Step, folder: Path, moments: Sequence[str], rng: np.random.Generator, count: Count) -> None:
    """Kill at each of ``moments``, then let it finish; what is wrong goes into ``count``."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    out = folder / "out"
    told: list[str] = []
    for moment in moments:
        if not kill_once(step, out, moment, rng):
            break
        count.kills[moment] += 1
        told.append(moment)
        count.wrong += [f"{step.name} after {moment}: {name}" for name in half_written(step, out)]
    stamps = {n: _stamp(p) for n, p in step.files(out).items() if p.suffix in KEPT and step.name in ("data", "f0")}
    step.finish(out)
    made = step.digests(out)
    count.rounds += 1
    for name in sorted(made.keys() | step.whole.keys()):
        if made.get(name) != step.whole.get(name):
            count.wrong.append(f"{step.name} in the end ({', '.join(told)}): {name}")
    for name, stamp in stamps.items():
        if _stamp(out / name) != stamp:
            count.wrong.append(f"{step.name}: {name} was made twice")
    left = [p.name for p in folder.rglob("*") if p.name.endswith((".part", ".lock", ".old")) and p.parent != folder]
    if left:
        count.wrong.append(f"{step.name}: {left[0]} is left over")


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_ino, found.st_mtime_ns


def steps_of(world: Path) -> dict[str, Step]:
    """The steps, each fed by the unbroken one before it, in ``world/<name>/out``."""
    data, store, model = (str(world / name / "out") for name in ("data", "f0", "train"))
    quick = [f"-p{name}={value}" for name, value in (("steps", 4), ("experiment_steps", 0), ("tracker", "swiftf0"))]
    small = "benchmarks.reliability.small_steps"
    return {
        "data": Step("data", "humfind demo-data, 12 recordings", [small, "data", "OUT"]),
        "f0": Step("f0", "humfind f0, 7 parts", [small, "f0", data, "OUT"]),
        "train": Step("train", "humfind train, 6 steps, 3 validations", [small, "train", data, store, "OUT"]),
        "index": Step(
            "index",
            "humfind index",
            ["humfind", "index", store, "--model", f"{model}/model.safetensors", "--out", "OUT"],
        ),
        "tiny": Step(
            "tiny", "humfind demo-data --size tiny", ["humfind", "demo-data", "--size", "tiny", "--out", "OUT"]
        ),
        "run": Step(
            "run",
            "humfind run, notebooks 03 and 05",
            [
                "humfind",
                "run",
                "--data",
                str(world / "tiny" / "out"),
                "--name",
                "kill",
                "--notebook",
                "03",
                "--notebook",
                "05",
                *quick,
            ],
            True,
            ("crepe_freq/**/*.parquet", "runs/kill/model/model.*", "runs/kill/results/ranking.json"),
        ),
    }


def prepare(world: Path, names: tuple[str, ...]) -> dict[str, Step]:
    """The steps that are asked for, and those that feed them, run once without a kill."""
    steps = steps_of(world)
    wanted = set(names).union(*(NEEDS[name] for name in names))
    for name, step in steps.items():
        if name in wanted:
            (world / name).mkdir(parents=True, exist_ok=True)
            step.unbroken(world / name / "out")
    return {name: steps[name] for name in names}


def campaign(kills: int, seed: int, world: Path, names: tuple[str, ...]) -> dict[str, Count]:
    """About ``kills`` kills over the steps, by their shares."""
    rng = np.random.default_rng(seed)
    steps = prepare(world, names)
    counts = {name: Count() for name in names}
    share = sum(SHARES[name] for name in names)
    for name, step in steps.items():
        wanted = max(1, round(kills * SHARES[name] / share))
        while counts[name].total < wanted:
            deaths = min(int(rng.integers(1, 4)), wanted - counts[name].total)
            moments = [str(moment) for moment in rng.choice(MOMENTS, deaths, p=(1 / 2, 1 / 6, 1 / 6, 1 / 6))]
            one_round(step, world / "rounds" / name, moments, rng, counts[name])
            print(f"{name}: {counts[name].total}/{wanted} kills, wrong: {counts[name].wrong}", flush=True)
    return counts


def table(counts: dict[str, Count], shown: Callable[[str], str], command: str) -> str:
    """The section of docs/reliability.md."""
    total, wrong = sum(c.total for c in counts.values()), sum(len(c.wrong) for c in counts.values())
    lines = [
        "## Killed anywhere, goes on",
        "",
        f"    {command}",
        "",
        f"{total} times `kill -9` of the whole process group, {wrong} things wrong. By the clock: at a uniformly",
        "random moment of the step. At a write: with half of a file's bytes on disk, just before the file gets its",
        "name, just after. The same command then runs again; what it ends with is compared, byte by byte, with an",
        "unbroken run (a training's seconds left out). demo-data, f0 and train are the functions behind the commands",
        "with small sizes (`benchmarks/reliability/small_steps.py`); index and run are the commands themselves. After",
        "each kill every file under its final name was whole; recordings and parts that were whole were not made",
        "again.",
        "",
        "| step | rounds | kills by the clock | half a file | before its name | after | wrong |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, count in counts.items():
        cells = " | ".join(str(count.kills[moment]) for moment in MOMENTS)
        lines.append(f"| {shown(name)} | {count.rounds} | {cells} | {len(count.wrong)} |")
    lines += [f"- {entry}" for count in counts.values() for entry in count.wrong]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", default="data,f0,train,index", help="which, by comma; run takes minutes a kill")
    parser.add_argument("--out", type=Path, help="write the section of docs/reliability.md there")
    given = parser.parse_args()
    names = tuple(given.steps.split(","))
    with tempfile.TemporaryDirectory() as folder:
        world = Path(folder)
        counts = campaign(given.kills, given.seed, world, names)
        shown = {name: step.shown for name, step in steps_of(world).items()}
    command = f"python -m benchmarks.reliability.kill --kills {given.kills} --steps {given.steps}"
    text = table(counts, shown.__getitem__, command)
    print(text)
    if given.out:
        given.out.parent.mkdir(parents=True, exist_ok=True)
        given.out.write_text(text, encoding="utf-8")
    sys.exit(any(count.wrong for count in counts.values()))


if __name__ == "__main__":
    main()
