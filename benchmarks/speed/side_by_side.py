"""Things that do the same, timed in turns: what disturbs the machine disturbs all of them."""

from __future__ import annotations

import os
import platform
import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

PACKAGES = (
    "numpy",
    "torch",
    "onnxruntime",
    "faiss-cpu",
    "numba",
    "librosa",
    "torchcrepe",
    "swift-f0",
    "tensorflow-cpu",
    "dtaidistance",
    "tslearn",
    "hnswlib",
    "annoy",
)
Run = Callable[[], Any]


@dataclass(frozen=True)
class Row:
    """One way of doing it. seconds: the median of the repeats; low, high: their extremes. agrees: how its result
    compares with the yardstick's, checked in the same run. work: GFLOP (or other units of the stage) that it needs."""

    name: str
    seconds: float
    low: float
    high: float
    agrees: str = ""
    ours: bool = False


@dataclass(frozen=True)
class Stage:
    """yardstick: the row that ratios are taken to. notes: what else was measured or must be said."""

    name: str
    what: str
    yardstick: str
    rows: tuple[Row, ...]
    notes: tuple[str, ...] = ()

    def ratio(self, row: Row) -> float:
        return next(one.seconds for one in self.rows if one.name == self.yardstick) / row.seconds


def in_turns(runs: Mapping[str, Run], repeats: int, clock: Callable[[], float] = time.perf_counter) -> dict[str, Row]:
    """Each run once to warm up, then ``repeats`` rounds of all of them."""
    spent: dict[str, list[float]] = {name: [] for name in runs}
    for run in runs.values():
        run()
    for _ in range(repeats):
        for name, run in runs.items():
            started = clock()
            run()
            spent[name].append(clock() - started)
    return {name: Row(name, float(np.median(times)), min(times), max(times)) for name, times in spent.items()}


def installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def peak_gb() -> float:
    """The most memory that this process has held (Linux). VmHWM, not ru_maxrss: that
    one begins with the memory of the process which started it."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    return int(found[1]) / 1e6 if found else float("nan")


def machine() -> dict[str, Any]:
    """What ran this: processor, cores, memory, versions."""
    cpu = [
        line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line
    ]
    flags = Path("/proc/cpuinfo").read_text()
    return {
        "processor": cpu[0] if cpu else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "vectors": [name for name in ("avx2", "avx512f", "amx_bf16") if name in flags],
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1),
        "python": platform.python_version(),
        "versions": {name: version(name) for name in PACKAGES if installed(name)},
    }


def ceilings() -> dict[str, float]:
    """What one core does at best here: GFLOP/s of a matrix product in fp32 and bf16, GB/s of a copy."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    n = 1024
    found = {}
    for name, kind in (("fp32_gflops", torch.float32), ("bf16_gflops", torch.bfloat16)):
        a, b = torch.randn(n, n).to(kind), torch.randn(n, n).to(kind)
        best = min(_seconds(lambda a=a, b=b: a @ b) for _ in range(6))
        found[name] = round(2 * n**3 / best / 1e9, 1)
    torch.set_num_threads(threads)
    source, target = np.zeros(2**27, np.uint8), np.zeros(2**27, np.uint8)
    best = min(_seconds(lambda: np.copyto(target, source)) for _ in range(6))
    found["copy_gb_s"] = round(2 * len(source) / best / 1e9, 1)
    return found


def _seconds(run: Run) -> float:
    started = time.perf_counter()
    run()
    return time.perf_counter() - started


def markdown(stage: Stage) -> str:
    """The stage's table."""
    lines = [
        f"### {stage.name}: {stage.what}",
        "",
        f"| way | seconds (fastest, slowest) | times as fast as {stage.yardstick} | agrees |",
        "|---|---|---:|---|",
    ]
    for row in stage.rows:
        name = f"**{row.name}**" if row.ours else row.name
        spread = f"{row.seconds:.3g} ({row.low:.3g}, {row.high:.3g})"
        lines.append(f"| {name} | {spread} | {stage.ratio(row):.2f} | {row.agrees} |")
    return "\n".join([*lines, *(f"\n{note}" for note in stage.notes)])


def pick(rows: Mapping[str, Row], agrees: Mapping[str, str], ours: Sequence[str]) -> tuple[Row, ...]:
    """The timings with what was said of their results."""
    from dataclasses import replace

    return tuple(replace(row, agrees=agrees.get(name, ""), ours=name in ours) for name, row in rows.items())
