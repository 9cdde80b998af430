"""How long ``make demo`` and ``make test`` take, and how much memory all their processes hold at once.

    python -m benchmarks.speed.budget demo      python -m benchmarks.speed.budget test

What was made before is taken away first (runs, data, the demo's f0 store), but not the virtual environment:
the budget counts after downloads. Prints a line; the exit status is the command's.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parents[2]
BUDGET_MIN = {"demo": 15, "test": 10}
BUDGET_GB = 4.0
EVERY_S = 0.5  # between looks at the memory
MADE = ("data", "runs", "crepe_freq/demo-small")


def tree_memory_gb(process: psutil.Process) -> float:
    """Resident memory of a process and all below it; shared pages count once a process."""
    total = 0
    for one in [process, *process.children(recursive=True)]:
        try:
            total += one.memory_info().rss
        except psutil.NoSuchProcess:
            continue  # it ended between the listing and the look
    return total / 1e9


def measure(target: str) -> int:
    """Run ``make target`` and print its time and peak memory. Returns its exit status."""
    if target == "demo":
        for made in MADE:
            shutil.rmtree(ROOT / made, ignore_errors=True)
    started, peak_gb = time.perf_counter(), 0.0
    with subprocess.Popen(["make", target], cwd=ROOT) as running:
        watched = psutil.Process(running.pid)
        while running.poll() is None:
            try:
                peak_gb = max(peak_gb, tree_memory_gb(watched))
            except psutil.NoSuchProcess:
                break
            time.sleep(EVERY_S)
        status = running.wait()
    minutes = (time.perf_counter() - started) / 60
    cores = len(os.sched_getaffinity(0))
    budget = f"budget {BUDGET_MIN[target]} min, {BUDGET_GB:g} GB"
    print(f"make {target}: {minutes:.1f} min, {peak_gb:.2f} GB at most, {cores} cores, status {status} ({budget})")
    return status


if __name__ == "__main__":
    if sys.argv[1:] not in (["demo"], ["test"]):
        sys.exit("usage: python -m benchmarks.speed.budget demo|test")
    sys.exit(measure(sys.argv[1]))
