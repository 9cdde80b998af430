"""A hum searched by several servers: what tracking it once, in front of them, saves.

    python -m benchmarks.speed.shards --shards 4 --out docs/performance/shards.json

The tune books (built first where they are not there) are dealt to servers on this machine, and the same simulated hums
are sent to the one in front, which tracks them, and to each server, which then tracks them itself; in turns. Seconds
until all have answered, and processor seconds of all processes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.speed.page import HUM_S, hums, post
from benchmarks.speed.side_by_side import machine
from humfind.app import tunes
from humfind.runtime import paths
from humfind.runtime.files import atomic_write_json


def measured(shards: int, count: int) -> dict[str, Any]:
    """count: hums."""
    folder = paths.home() / "runs" / "app" / tunes.FOLDER
    tunes.build(folder)
    with tempfile.TemporaryDirectory() as out, ExitStack() as open_until_here:
        command = [sys.executable, "-m", "humfind", "shard", str(folder), "--into", str(shards), "--out", out]
        subprocess.run(command, check=True, capture_output=True)
        parts = [open_until_here.enter_context(served("--index", f"{out}/{number}")) for number in range(1, shards + 1)]
        addresses = [address for address, _ in parts]
        front, process = open_until_here.enter_context(served(*(f"--shard={address}" for address in addresses)))
        processes = [process, *(one for _, one in parts)]
        pool = open_until_here.enter_context(ThreadPoolExecutor(shards))
        ways = {"tracked once, in front": [front], "tracked by each": addresses}
        found: dict[str, list[tuple[float, float, bool]]] = {way: [] for way in ways}
        for row, (right, wav) in enumerate([*hums(1), *hums(count)]):
            for way, asked in ways.items():
                started, spent = time.perf_counter(), processor_s(processes)
                said = [one for _, one in pool.map(post, asked, [wav] * len(asked), [str(row)] * len(asked))]
                took = time.perf_counter() - started, processor_s(processes) - spent
                found[way].append((*took, best(said) == right))
    return {
        "machine": machine(), "tunes": len(tunes.music_ids()), "shards": shards, "hums": count, "hum_s": HUM_S,
        "ways": {way: summary(rows[1:]) for way, rows in found.items()},
    }  # fmt: skip


@contextmanager
def served(*given: str) -> Iterator[tuple[str, psutil.Process]]:
    """``humfind app`` with these, its address and its process."""
    command = [sys.executable, "-m", "humfind", "app", "--json-only", "--port", "0", *given]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        yield process.stderr.readline().removeprefix("open ").strip(), psutil.Process(process.pid)
        process.terminate()


def processor_s(processes: Sequence[psutil.Process]) -> float:
    times = [one.cpu_times() for one in processes]
    return float(sum(one.user + one.system for one in times))


def best(said: Sequence[Any]) -> str:
    """The song that the servers put first among theirs with the highest score."""
    rows = [row for one in said for row in one["answers"][:1]]
    return str(max(rows, key=lambda row: row["score"])["music_id"]) if rows else ""


def summary(rows: Sequence[tuple[float, float, bool]]) -> dict[str, float]:
    seconds, spent, right = (np.array(column) for column in zip(*rows, strict=True))
    return {
        "median_s": round(float(np.median(seconds)), 2),
        "processor_s": round(float(np.mean(spent)), 2),
        "right_first": round(float(np.mean(right)), 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, default=4)
    parser.add_argument("--hums", type=int, default=40)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = measured(given.shards, given.hums)
    print(json.dumps({name: value for name, value in found.items() if name != "machine"}, indent=1))
    if given.out:
        atomic_write_json(given.out, found)


if __name__ == "__main__":
    main()
