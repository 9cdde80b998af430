"""growth: what an index and a search cost, from a hundred songs to a hundred thousand.

Each count is built by a process of its own and searched by another, which loads what was built.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import faiss
import numpy as np
import torch

from benchmarks.speed.search import full_songs, hums
from benchmarks.speed.side_by_side import peak_gb
from humfind.config import FusionConfig, RankConfig
from humfind.index import Index, Song
from humfind.rankers import make_ranker
from humfind.rankers.fusion import Fusion
from humfind.rankers.sequence import WindowSequence
from humfind.rankers.window_matching import Projected
from humfind.retrieval import search
from humfind.retrieval.checkpoints import load_model
from humfind.runtime.cores import cores

ASKED, CHECKED = 20, 60  # hums that are timed, and that the first stage's recall is taken of
LONG_S = 30.0  # after so long, fewer are timed


def growth(counts: Iterable[int], keep: Path | None = None) -> list[dict[str, float]]:
    """A row a number of full songs. keep: a folder for the indexes, where one that is there is not built again."""
    found = []
    with tempfile.TemporaryDirectory() as beside:
        for count in counts:
            folder = (keep or Path(beside)) / str(count)
            folder.mkdir(parents=True, exist_ok=True)
            built = folder / "built.json"
            if not built.exists():
                built.write_text(json.dumps(_process("build", count, folder)))
            row = {"songs": count} | json.loads(built.read_text()) | _process("ask", count, folder)
            print(row, flush=True)
            found.append(row)
    return found


def _process(what: str, count: int, folder: Path) -> dict[str, float]:
    """One of the functions below."""
    code = f"import json; from pathlib import Path; from benchmarks.speed import growth; found = growth.{what}"
    given = [sys.executable, "-c", f"{code}({count}, Path({str(folder)!r})); print(json.dumps(found))"]
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(given, stdout=subprocess.PIPE, check=True, env=environment)
    row: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return row


def build(count: int, folder: Path) -> dict[str, float]:
    """f0 to index, all cores. GB: beyond what the process held before."""
    model, _ = load_model("pretrained")
    next(full_songs(1))
    before, started, spent = peak_gb(), time.perf_counter(), time.process_time()
    index = search.build_index(((Song(name), f0) for name, f0 in full_songs(count)), model)
    row = {
        "windows": len(index.vectors),
        "index, s": time.perf_counter() - started,
        "index, processor s": time.process_time() - spent,
    }
    index.save(folder / "index")
    row["index, GB"] = peak_gb() - before
    row["disk, GB"] = sum(path.stat().st_size for path in (folder / "index").iterdir()) / 1e9
    return row


def ask(count: int, folder: Path) -> dict[str, float]:
    """A hum's f0 to ten songs, one core. GB: beyond what the process held before the index was loaded."""
    faiss.omp_set_num_threads(1)
    torch.set_num_threads(1)
    model, _ = load_model("pretrained")
    sung = hums(count, CHECKED)
    queries = [(search.make_query(name, f0, model), right) for name, right, f0 in sung]
    before, started = peak_gb(), time.perf_counter()
    index = Index.load(folder / "index", model.checksum)
    row = {"load, s": time.perf_counter() - started}
    for name in ("fusion", "sequence", "nearest"):
        ranker = Fusion(index, threads=1) if name == "fusion" else make_ranker(RankConfig(ranker=name), index)
        search.search(queries[0][0], index, ranker)
        spent: list[float] = []
        first = 0
        for hum, right, f0 in sung[:ASKED]:
            if len(spent) < 5 or sum(spent) < LONG_S:
                started = time.perf_counter()
                first += search.search(search.make_query(hum, f0, model), index, ranker).music_ids[0] == right
                spent.append(time.perf_counter() - started)
        row[f"{name}, s"] = float(np.median(spent))
        if name == "fusion":
            row |= {"search, GB": peak_gb() - before, f"first of {len(spent)}": first / len(spent)}
    ordered = WindowSequence(index)
    few = Projected(ordered.whole, FusionConfig.directions)
    for name, log_e_of in (
        ("all directions", lambda query: ordered.evidence(query)),
        ("first stage", lambda query: ordered.shortlist(query, few, FusionConfig.likely, FusionConfig.shortlist)[1]),
    ):
        with ThreadPoolExecutor(cores()) as pool:  # not timed
            told = pool.map(log_e_of, [query for query, _ in queries])
        best = [index.recording_song[np.argsort(log_e, kind="stable")[:100]] for log_e in told]
        found = [index.music_ids.index(right) in songs for songs, (_, right) in zip(best, queries, strict=True)]
        row[f"recall@100, {name}"] = float(np.mean(found))
    return row


def exponents(rows: list[dict[str, float]]) -> dict[str, float]:
    """Of each measure, p where it grows as songs ** p: the slope of a line through the logarithms."""
    songs = np.log([row["songs"] for row in rows])
    return {
        name: float(np.polyfit(songs, np.log([max(row[name], 1e-9) for row in rows]), 1)[0])
        for name in rows[0]
        if name != "songs" and not name.startswith(("first", "recall"))
    }
