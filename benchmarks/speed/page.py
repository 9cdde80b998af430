"""The page's endpoint: how long the first start takes, how long one person waits after a hum, how long ten at once, and
how much memory it takes.

    python -m benchmarks.speed.page --out docs/performance/page.json

Starts ``humfind app`` with the tune books (built first where they are not there), and sends it simulated hums as the
page does: 10 s, 48 kHz, 16 bits, over loopback. The same hums by ``humfind search``, which starts anew for each, in the
same run.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import soundfile

from benchmarks.speed.budget import tree_memory_gb
from benchmarks.speed.side_by_side import machine
from humfind.app import tunes
from humfind.runtime import paths
from humfind.runtime.files import atomic_write_json
from humfind.synth.singer import sing

RATE_HZ, HUM_S = 48_000, 10.0
PEOPLE = 10


def hums(count: int) -> list[tuple[str, bytes]]:
    """(music_id, wav) of tunes that lie evenly in the books."""
    rng = np.random.default_rng(0)
    every = tunes.music_ids()
    made = []
    for row in np.linspace(0, len(every) - 1, count).astype(int):
        samples, _, _ = sing(tunes.notes_of(every[row]).between(0.0, HUM_S + 2), HUM_S, rng, RATE_HZ)
        file = io.BytesIO()
        soundfile.write(file, 0.5 * samples / np.abs(samples).max(), RATE_HZ, "PCM_16", format="WAV")
        made.append((every[row], file.getvalue()))
    return made


def post(address: str, wav: bytes, who: str) -> tuple[float, Any]:
    """(seconds, answer)."""
    start = time.perf_counter()
    request = urllib.request.Request(f"{address}api/search", wav, {"x-humfind-client": who})
    with urllib.request.urlopen(request) as answer:
        found = json.load(answer)
    return time.perf_counter() - start, found


def at_once(people: int, ask: Callable[[int], tuple[float, bool]]) -> list[tuple[float, bool]]:
    """``ask`` of each, from threads that start together."""
    together, found = threading.Barrier(people), []

    def one(who: int) -> None:
        together.wait()
        found.append(ask(who))

    threads = [threading.Thread(target=one, args=(who,)) for who in range(people)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return found


def summary(found: list[tuple[float, bool]], sent: int) -> dict[str, float]:
    """Of (seconds, whether the right tune was first)."""
    seconds = [one for one, _ in found]
    return {
        "sent": sent,
        "answered": len(found),
        "median_s": round(float(np.median(seconds)), 2),
        "p95_s": round(float(np.quantile(seconds, 0.95)), 2),
        "slowest_s": round(max(seconds), 2),
        "right_first": round(float(np.mean([right for _, right in found])), 3),
    }


def measured(count: int) -> dict[str, Any]:
    """count: hums; of the command a fifth of them."""
    folder = paths.home() / "runs" / "app" / tunes.FOLDER
    with tempfile.TemporaryDirectory() as fresh:
        build = [sys.executable, "-m", "humfind.app.tunes", f"{fresh}/tunes"]
        start = time.perf_counter()
        subprocess.run(build, check=True, capture_output=True, env={**os.environ, "HUMFIND_HOME": fresh})
        first_start_s = time.perf_counter() - start
    tunes.build(folder)
    sung = hums(count)
    command = [sys.executable, "-m", "humfind", "app", "--port", "0"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = process.stderr.readline().removeprefix("open ").strip()
        post(address, sung[0][1], "first")
        server = psutil.Process(process.pid)
        rows: dict[str, Any] = {
            "first start": round(first_start_s, 1),
            "memory_gb": {"open": round(tree_memory_gb(server), 2)},
        }

        def ask(start: int, who: int = 0) -> tuple[float, bool]:
            right, wav = sung[(start + who) % len(sung)]
            seconds, found = post(address, wav, str(who))
            return seconds, bool(found["answers"]) and found["answers"][0]["music_id"] == right

        rows["one person"] = summary([ask(row) for row in range(count)], count)
        together: list[tuple[float, bool]] = []
        for start in range(0, count, PEOPLE):
            together += at_once(PEOPLE, partial(ask, start))
        rows["ten at once"] = summary(together, -(-count // PEOPLE) * PEOPLE)
        rows["memory_gb"]["after"] = round(tree_memory_gb(server), 2)
        process.terminate()
    rows["humfind search"] = summary([_by_command(folder, *one) for one in sung[::5]], len(sung[::5]))
    return {"machine": machine(), "tunes": len(tunes.music_ids()), "hum_s": HUM_S, **rows}


def _by_command(index: Path, music_id: str, wav: bytes) -> tuple[float, bool]:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "hum.wav").write_bytes(wav)
        command = [sys.executable, "-m", "humfind", "search", f"{folder}/hum.wav", "--index", str(index), "--json"]
        start = time.perf_counter()
        said = subprocess.run(command, capture_output=True, text=True, check=True)
        return time.perf_counter() - start, json.loads(said.stdout)["answers"][0]["music_id"] == music_id


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hums", type=int, default=100)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    found = measured(given.hums)
    print(json.dumps({name: value for name, value in found.items() if name != "machine"}, indent=1))
    if given.out:
        atomic_write_json(given.out, found)


if __name__ == "__main__":
    main()
