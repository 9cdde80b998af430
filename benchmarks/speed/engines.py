"""The first look for a hum among many songs: along few directions of every other window, or by an engine's proposals.

    python -m benchmarks.speed.engines --data FOLDER --songs 10000 --keep FOLDER --out docs/performance/engines.json

Full songs and simulated hums as ``growth`` has them; ``--keep`` holds the index, which is built where it is not there
(ten minutes for 10,000 songs). On one core: seconds from a query to the log E-values of the shortlist, the share of
hums whose song is among its first 100 and 10, and what the first look holds in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import torch

from benchmarks.speed import growth
from benchmarks.speed.search import hums
from benchmarks.speed.side_by_side import machine
from humfind.config import FusionConfig
from humfind.index import Index
from humfind.index.engines import make_engine, nearest
from humfind.metrics import bootstrap
from humfind.rankers.null_model import NOWHERE
from humfind.rankers.sequence import Neighbours, WindowSequence
from humfind.rankers.window_matching import Projected
from humfind.retrieval import search
from humfind.retrieval.checkpoints import load_model
from humfind.runtime.files import atomic_write_json

HUMS = 60
ENGINES = ("ivf", "ivfpq")


def looks(index: Index, sequence: WindowSequence) -> Iterator[tuple[str, Any, float, float]]:
    """(name, first look, seconds to make it, MB of memory that it holds)."""
    start = time.perf_counter()
    few = Projected(sequence.whole, FusionConfig.directions)
    yield "every other window, 32 directions", few, time.perf_counter() - start, few.columns.nbytes / 1e6
    for name in ENGINES:
        start = time.perf_counter()
        engine = make_engine(name, index.vectors)
        state = engine.state()
        rows = 8 * len(index.vectors)  # the number of each, in its list
        held = (sum(part.nbytes for part in state.values()) + rows) / 1e6

        def ask(vectors: Any, k: int, engine: Any = engine) -> Any:
            return nearest(index.vectors, engine, vectors, k)

        yield f"engine {name}", Neighbours(ask), time.perf_counter() - start, held


def measured(songs: int, folder: Path) -> list[dict[str, Any]]:
    """A row a first look, and one without any."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / "index" / "index.json").exists():
        growth.build(songs, folder)
    faiss.omp_set_num_threads(1)
    torch.set_num_threads(1)
    model, _ = load_model("pretrained")
    queries = [(search.make_query(name, f0, model), right) for name, right, f0 in hums(songs, HUMS)]
    index = Index.load(folder / "index")
    sequence, rows = WindowSequence(index), []

    def row(name: str, log_e_of: Callable[[Any], Any], made_s: float, mb: float) -> None:
        ranks, spent = [], []
        for query, right in queries:
            start = time.perf_counter()
            log_e = log_e_of(query)
            spent.append(time.perf_counter() - start)
            mine = log_e[index.recording_song == index.music_ids.index(right)].min()
            ranks.append(1 + int((log_e < mine).sum()) if mine < NOWHERE else len(log_e))
        at = np.array(ranks)
        found = {"first look": name, "seconds": round(float(np.median(spent)), 3), "made in, s": round(made_s, 1)}
        found |= {"memory, MB": round(mb)}
        found |= {f"recall@{k}": str(bootstrap((at <= k).astype(float))) for k in (10, 100)}
        print(found, flush=True)
        rows.append(found)

    for name, look, made_s, mb in looks(index, sequence):
        row(name, partial(_shortlisted, sequence, look), made_s, mb)
    row("none: all windows, all directions", sequence.evidence, 0.0, 0.0)
    return rows


def _shortlisted(sequence: WindowSequence, look: Any, query: Any) -> Any:
    return sequence.shortlist(query, look, FusionConfig.likely, FusionConfig.shortlist)[1]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--songs", type=int, default=10_000)
    parser.add_argument("--keep", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    os.environ["HUMFIND_REAL_DATA"] = str(given.data)
    found = {"machine": machine(), "songs": given.songs, "hums": HUMS}
    found["looks"] = measured(given.songs, given.keep / str(given.songs))
    print(json.dumps(found["looks"], indent=1))
    if given.out:
        atomic_write_json(given.out, found)


if __name__ == "__main__":
    main()
