"""The first look for a hum among many songs: along few directions of every other window, by an engine's proposals, or
by those of other libraries.

    python -m benchmarks.speed.engines --data FOLDER --songs 10000 --keep KEPT --out docs/performance/engines.json
    python -m benchmarks.speed.engines --data FOLDER --songs 1000 --peers --keep KEPT --out docs/performance/peers.json

Full songs and simulated hums as ``growth`` has them; ``--keep`` holds the index, which is built where it is not there.
On one core: seconds from a query to the log E-values of the shortlist, the share of hums whose song is among its first
100 and 10, and what the first look holds in memory. Peers (faiss's inverted lists of whole vectors, hnswlib, Annoy,
Milvus Lite) propose as an engine does, and what they propose is compared as an engine's is:
``pip install -e ".[bench,milvus]"``.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import tempfile
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
from humfind.index.engines import estimated, make_engine
from humfind.index.engines.ivf import CENTROIDS_A_ROOT
from humfind.index.vectors import VectorTable
from humfind.metrics import bootstrap
from humfind.rankers.null_model import NOWHERE
from humfind.rankers.sequence import Neighbours, WindowSequence
from humfind.rankers.window_matching import Projected
from humfind.retrieval import search
from humfind.retrieval.checkpoints import load_model
from humfind.runtime.files import atomic_write_json

HUMS = 60
OPENED, EDGES, EF, TREES = 32, 16, 1000, 20  # lists, hnswlib's edges and candidates, Annoy's trees
Nearest = Callable[[Any, int], Any]  # vectors, k -> distances, rows


def of_engine(name: str, table: VectorTable) -> Nearest:
    engine = make_engine(name, table)
    return lambda vectors, k: estimated(table, engine, vectors, k)


def measured_again(table: VectorTable, rows_of: Callable[[Any, int], Any]) -> Nearest:
    """A peer's proposals, their distances from the vectors as an engine's are."""
    return lambda vectors, k: table.measure(vectors, np.asarray(rows_of(vectors, k), np.int64))


def of_faiss(table: VectorTable) -> Nearest:
    lists = round(CENTROIDS_A_ROOT * len(table) ** 0.5)
    made = faiss.IndexIVFFlat(faiss.IndexFlatL2(table.dim), table.dim, lists)
    made.train(table[:: max(1, len(table) // (40 * lists))])
    for _, part in table.blocks():
        made.add(part)
    made.nprobe = OPENED
    return measured_again(table, lambda vectors, k: made.search(vectors, k)[1])


def of_hnswlib(table: VectorTable) -> Nearest:
    import hnswlib

    made = hnswlib.Index("l2", table.dim)
    made.init_index(len(table), ef_construction=100, M=EDGES, random_seed=0)
    for _, part in table.blocks():
        made.add_items(part, num_threads=1)
    made.set_ef(EF)
    return measured_again(table, lambda vectors, k: made.knn_query(vectors, k, num_threads=1)[0])


def of_annoy(table: VectorTable) -> Nearest:
    from annoy import AnnoyIndex

    made = AnnoyIndex(table.dim, "euclidean")
    made.set_seed(1)
    for start, part in table.blocks():
        for row, vector in enumerate(part, start):
            made.add_item(row, vector)
    made.build(TREES, 1)
    return measured_again(table, lambda vectors, k: [made.get_nns_by_vector(one, k) for one in vectors])


PEERS: dict[str, Callable[[VectorTable], Nearest]] = {
    "peer: faiss, whole vectors in lists": of_faiss,
    "peer: hnswlib": of_hnswlib,
    "peer: Annoy": of_annoy,
    "peer: Milvus Lite (engine milvus)": partial(of_engine, "milvus"),
}
OURS: dict[str, Callable[[VectorTable], Nearest]] = {
    f"engine {name}": partial(of_engine, name) for name in ("ivf", "ivfpq")
}


def looks(index: Index, sequence: WindowSequence, peers: bool) -> Iterator[tuple[str, Any, float, float]]:
    """(name, first look, seconds to make it, MB of memory that it holds)."""

    def made(name: str, make: Callable[[], Any]) -> tuple[str, Any, float, float]:
        gc.collect()
        before, start = growth.memory()[0], time.perf_counter()
        look = make()
        spent = time.perf_counter() - start
        if isinstance(look, Neighbours):
            look.nearest(index.vectors[:1], look.k)  # which opens what is opened late
        gc.collect()
        return name, look, spent, 1000 * (growth.memory()[0] - before)

    few = "every other window, 32 directions"
    yield made(few, lambda: Projected(sequence.whole, FusionConfig.directions))
    for name, make in (OURS | (PEERS if peers else {})).items():
        yield made(name, lambda make=make: Neighbours(make(index.vectors)))


def measured(songs: int, folder: Path, peers: bool) -> list[dict[str, Any]]:
    """A row a first look, and one without any."""
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / growth.EXACT / "index.json").exists():
        growth.build(songs, folder)
    faiss.omp_set_num_threads(1)
    torch.set_num_threads(1)
    model, _ = load_model("pretrained")
    queries = [(search.make_query(name, f0, model), right) for name, right, f0 in hums(songs, HUMS)]
    index = Index.load(folder / growth.EXACT)
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

    for name, look, made_s, mb in looks(index, sequence, peers):
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
    parser.add_argument("--peers", action="store_true", help="other libraries, too")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    os.environ["HUMFIND_REAL_DATA"] = str(given.data)
    found = {"machine": machine(), "songs": given.songs, "hums": HUMS}
    with tempfile.TemporaryDirectory() as beside:
        os.environ["HUMFIND_MILVUS"] = str(Path(beside) / "vectors.db")
        found["looks"] = measured(given.songs, given.keep / str(given.songs), given.peers)
    print(json.dumps(found["looks"], indent=1))
    if given.out:
        atomic_write_json(given.out, found)


if __name__ == "__main__":
    main()
