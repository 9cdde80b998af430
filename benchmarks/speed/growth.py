"""growth: what an index and a search cost, from a hundred songs to a hundred thousand, by each engine.

Each count is built by a process of its own; each engine of it is made by another and searched by a third, which loads
what was made.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from threading import Event, Thread
from typing import Any

import faiss
import numpy as np
import torch

from benchmarks.speed.search import full_songs, hums
from humfind.config import FusionConfig, IndexConfig, RankConfig
from humfind.index import Index, Song
from humfind.index.engines import make_engine
from humfind.rankers import make_ranker
from humfind.rankers.fusion import Fusion
from humfind.retrieval import search
from humfind.retrieval.checkpoints import load_model
from humfind.runtime.cores import cores

EXACT = IndexConfig.engine
ENGINES = (EXACT, "ivfpq")
HUMS, ASKED = 60, 20  # all are searched once; of those rankers that look at every window, so many at most
LONG_S = 30.0  # after so long, fewer
AMONG = 100  # songs, of the recall
FEWEST = 1000  # songs of which an engine for many is made
SHARES = ("first of", "recall")  # which do not grow


def growth(counts: Iterable[int], keep: Path | None = None) -> list[dict[str, float]]:
    """A row a number of full songs. keep: a folder for the indexes, where one that is there is not built again."""
    found = []
    with tempfile.TemporaryDirectory() as beside:
        for count in counts:
            folder = (keep or Path(beside)) / str(count)
            folder.mkdir(parents=True, exist_ok=True)
            row = {"songs": count} | _once(folder / "built.json", f"build({count}, Path({str(folder)!r}))")
            for engine in ENGINES if count >= FEWEST else (EXACT,):
                made = _once(folder / f"{engine}.json", f"make({engine!r}, Path({str(folder)!r}))")
                for look in ("ask", "from_disk"):
                    made |= _process(f"{look}({count}, Path({str(folder / engine)!r}), {engine == EXACT})")
                row |= {name if name in ALIKE else f"{engine}: {name}": value for name, value in made.items()}
            print(row, flush=True)
            found.append(row)
    return found


def _once(kept: Path, call: str) -> dict[str, float]:
    if not kept.exists():
        kept.write_text(json.dumps(_process(call)))
    row: dict[str, float] = json.loads(kept.read_text())
    return row


def _process(call: str) -> dict[str, float]:
    """One of the functions below."""
    code = f"import json; from pathlib import Path; from benchmarks.speed import growth; found = growth.{call}"
    given = [sys.executable, "-c", f"{code}; print(json.dumps(found))"]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(given, stdout=subprocess.PIPE, check=True, env=environment)
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return row


def build(count: int, folder: Path) -> dict[str, float]:
    """f0 to index, all cores. GB: of memory of its own, beyond what the process held before."""
    model, _ = load_model("pretrained")
    next(full_songs(1))
    with most_held() as most:
        started, spent = time.perf_counter(), time.process_time()
        songs = ((Song(name), f0) for name, f0 in full_songs(count))
        index = search.build_index(songs, model, beside=folder)
        row = {
            "windows": len(index.vectors),
            "index, s": time.perf_counter() - started,
            "index, processor s": time.process_time() - spent,
        }
        index.save(folder / EXACT)
    return row | {"index, GB": most[0]}


def make(engine: str, folder: Path) -> dict[str, float]:
    """The same index by another engine, all cores; what it takes on disk. GB: as above."""
    row = {}
    if engine != EXACT:
        index, started = Index.load(folder / EXACT), time.process_time()
        with most_held() as most:
            other = replace(index, engine=make_engine(engine, index.vectors), info=replace(index.info, engine=engine))
            other.save(folder / engine)
        row = {"made in, processor s": time.process_time() - started, "made in, GB": most[0]}
    return row | {"disk, GB": sum(path.stat().st_size for path in (folder / engine).iterdir()) / 1e9}


@contextmanager
def most_held() -> Iterator[list[float]]:
    """GB, at most, of this process's own memory while it runs, beyond what it held before; pages of files, which the
    system takes back where it needs them, are not in it. Looked at ten times a second."""
    before, most, done = memory()[0], [0.0], Event()

    def look() -> None:
        while not done.wait(0.1):
            most[0] = max(most[0], memory()[0] - before)

    looking = Thread(target=look, daemon=True)
    looking.start()
    try:
        yield most
    finally:
        done.set()
        looking.join()


def ask(count: int, folder: Path, every: bool) -> dict[str, float]:
    """A hum's f0 to ten songs, one core. GB: of memory of its own, and of pages of files that it shares and that the
    system takes back where it needs them, both beyond what the process held before the index was loaded. every: the
    rankers too that look at every window; else ``fusion`` as it is among many songs, however few there are."""
    faiss.omp_set_num_threads(1)
    torch.set_num_threads(1)
    model, _ = load_model("pretrained")
    sung = hums(count, HUMS)
    before, started = memory(), time.perf_counter()
    index = Index.load(folder, model.checksum)
    ranker = _fusion(index, every)
    row = {"load, s": time.perf_counter() - started}
    search.search(search.make_query("first", sung[0][2], model), index, ranker)
    found, row["fusion, s"] = _searched(sung, index, model, ranker, HUMS)
    row |= {"memory, GB": memory()[0] - before[0], "file pages, GB": memory()[1] - before[1]}
    row[f"first of {HUMS}"] = float(np.mean(found))
    queries = [(search.make_query(name, f0, model), right) for name, right, f0 in sung]
    said = [ranker.witnesses(query) for query, _ in queries]
    row[f"recall@{AMONG}"] = _recall([windows for _, windows in said], queries, index)
    row[f"recall@{AMONG}, aligned"] = _recall([ranker.weigh(*both) for both in said], queries, index)
    if every:
        for name in ("sequence", "nearest"):
            row[f"{name}, s"] = _searched(sung[:ASKED], index, model, make_ranker(RankConfig(ranker=name), index), 5)[1]
        with ThreadPoolExecutor(cores()) as pool:  # not timed
            told = list(pool.map(ranker.sequence.evidence, [query for query, _ in queries]))
        row[f"recall@{AMONG}, every window"] = _recall(told, queries, index)
    return row


def by_places(count: int, folder: Path, settings: Sequence[tuple[int, int]], asked: int = 2 * HUMS) -> list[Any]:
    """A row for each (likely, shortlist) of ``FusionConfig``: what more places cost and find, one core."""
    faiss.omp_set_num_threads(1)
    torch.set_num_threads(1)
    model, _ = load_model("pretrained")
    queries = [(search.make_query(name, f0, model), right) for name, right, f0 in hums(count, asked)]
    index, rows = Index.load(folder, model.checksum), []
    for likely, shortlist in settings:
        many = FusionConfig(exhaustive=0, likely=likely, shortlist=shortlist)
        ranker = Fusion(index, RankConfig(fusion=many), threads=1)
        ranker.rank(queries[0][0], AMONG)
        said, spent = [], []
        for query, _ in queries:
            started = time.perf_counter()
            said.append(ranker.weigh(*ranker.witnesses(query)))
            spent.append(time.perf_counter() - started)
        found = {f"among {most}": _recall(said, queries, index, most) for most in (1, 10, AMONG)}
        rows.append({"likely": likely, "shortlist": shortlist, "s": float(np.median(spent))} | found)
    return rows


def _fusion(index: Index, every: bool) -> Fusion:
    few = FusionConfig.exhaustive if every else 0
    return Fusion(index, RankConfig(fusion=FusionConfig(exhaustive=few)), threads=1)


def from_disk(count: int, folder: Path, every: bool) -> dict[str, float]:
    """The same where none of the index's files is in memory: what is read of them, and how long that takes (Linux)."""
    faiss.omp_set_num_threads(1)
    torch.set_num_threads(1)
    model, _ = load_model("pretrained")
    queries = [search.make_query(name, f0, model) for name, _, f0 in hums(count, HUMS)]
    for path in folder.iterdir():
        with path.open("rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    spent, read = [], [_read_gb()]
    for row in range(1 + len(queries)):
        started = time.perf_counter()
        if row == 0:
            index = Index.load(folder, model.checksum)
            ranker = _fusion(index, every)
        else:
            search.search(queries[row - 1], index, ranker)
        spent.append(time.perf_counter() - started)
        read.append(_read_gb())
    return {
        "from disk: load, s": spent[0],
        "from disk: first hum, s": spent[1],
        f"from disk: {HUMS} hums, median, s": float(np.median(spent[1:])),
        "from disk: read to load, GB": read[1] - read[0],
        "from disk: read for the first hum, GB": read[2] - read[1],
        f"from disk: read for {HUMS} hums, GB": read[-1] - read[1],
    }


def _read_gb() -> float:
    """By this process, from the disk."""
    found = re.search(r"^read_bytes: (\d+)", Path("/proc/self/io").read_text(), re.MULTILINE)
    return int(found[1]) / 1e9 if found else float("nan")


ALIKE = ("sequence, s", "nearest, s", f"recall@{AMONG}, every window")  # with any engine


def _searched(sung: Any, index: Index, model: Any, ranker: Any, fewest: int) -> tuple[list[bool], float]:
    """Whether the right song is first; the median of the seconds."""
    first: list[bool] = []
    spent: list[float] = []
    for name, right, f0 in sung:
        if len(spent) < fewest or sum(spent) < LONG_S:
            started = time.perf_counter()
            first.append(search.search(search.make_query(name, f0, model), index, ranker).music_ids[0] == right)
            spent.append(time.perf_counter() - started)
    return first, float(np.median(spent))


def _recall(log_e: list[Any], queries: Any, index: Index, most: int = AMONG) -> float:
    best = [index.recording_song[np.argsort(one, kind="stable")[:most]] for one in log_e]
    return float(
        np.mean([index.music_ids.index(right) in songs for songs, (_, right) in zip(best, queries, strict=True)])
    )


def memory() -> tuple[float, float]:
    """GB: the process's own, and pages of files (Linux)."""
    status = Path("/proc/self/status").read_text()
    own, pages = (re.search(rf"{name}:\s+(\d+) kB", status) for name in ("RssAnon", "RssFile"))
    return (int(own[1]) / 1e6, int(pages[1]) / 1e6) if own and pages else (float("nan"), float("nan"))


def exponents(rows: list[dict[str, float]]) -> dict[str, float]:
    """Of each measure, p where it grows as songs ** p: the slope of a line through the logarithms."""
    return {name: slope for name, (slope, _) in _lines(rows, 2).items()}


def carried_on(rows: list[dict[str, float]], songs: int) -> dict[str, float]:
    """What each measure that is told of three numbers of songs or more would be at another, by the same lines."""
    return {name: float(np.exp(at + slope * np.log(songs))) for name, (slope, at) in _lines(rows, 3).items()}


def _lines(rows: list[dict[str, float]], fewest: int) -> dict[str, tuple[float, float]]:
    names = dict.fromkeys(name for row in rows for name in row)
    found = {}
    for name in names:
        told = [(row["songs"], max(row[name], 1e-9)) for row in rows if name in row]
        if name != "songs" and not any(share in name for share in SHARES) and len(told) >= fewest:
            songs, values = np.log(np.array(told)).T
            slope, at = np.polyfit(songs, values, 1)
            found[name] = (float(slope), float(at))
    return found
