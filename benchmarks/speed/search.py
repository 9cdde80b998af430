"""embed, search and dtw: from melody lines to ranked songs."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any

import faiss
import numpy as np
import torch

from benchmarks.accuracy import suites
from benchmarks.speed.side_by_side import Run, Stage, in_turns, installed, pick
from humfind.config import HummerConfig, RankConfig
from humfind.encoders.checkpoint import Model
from humfind.index import Index, Song
from humfind.index.engines import make_engine, nearest
from humfind.melody import contour
from humfind.rankers import make_ranker
from humfind.rankers.dtw.kernel import KEYS
from humfind.rankers.dtw.pitch_sequence import LEVELS
from humfind.rankers.dtw.ranker import Dtw, local_costs
from humfind.retrieval import search
from humfind.retrieval.checkpoints import load_model
from humfind.synth.hum import perform
from humfind.types import F0, Query

MFLOP_A_WINDOW = 20.7
HUM_S = 10.0


def full_songs(count: int) -> Iterator[tuple[str, F0]]:
    """POP909's sung lines, three and a half minutes each; beyond 909, other songs of as many notes: pieces of 6 to 12 s
    of these, each backwards, upside down or both, at another tempo, one after the other, all in another key."""
    real = suites.pop909(suites.folder())
    yield from real[:count]
    for row in range(len(real), count):
        rng = np.random.default_rng([8, row])
        length, pieces = len(real[row % len(real)][1].hz), []
        while sum(map(len, pieces)) < length:
            hz = real[int(rng.integers(len(real)))][1].hz
            at = int(rng.integers(max(1, len(hz) - 1200)))
            part = hz[at : at + int(rng.integers(600, 1200))]
            backwards, upside_down = ((True, False), (False, True), (True, True))[int(rng.integers(3))]
            part = part[:: -1 if backwards else 1]
            if upside_down:
                part = np.where(part > 0, 220.0**2 / np.maximum(part, 1), 0)
            pieces.append(part[np.arange(0, len(part), float(rng.uniform(0.8, 1.25))).astype(np.int64)])
        made = np.concatenate(pieces)[:length] * 2 ** float(rng.uniform(-0.5, 0.5))
        yield f"made-{row}", suites.f0_of(made.astype(np.float32))


def hums(among: int, count: int, length_s: float = HUM_S) -> list[tuple[str, str, F0]]:
    """Simulated hums of ``length_s`` of the first songs: (name, right music_id, f0)."""
    songs = list(full_songs(min(among, 909)))
    made: list[tuple[str, str, F0]] = []
    row = 0
    while len(made) < count:
        rng = np.random.default_rng([9, row])
        name, f0 = songs[int(rng.integers(len(songs)))]
        part = suites.phrase(suites.notes_of(f0), 1.5 * length_s, rng)
        row += 1
        if part is not None:
            hz = perform(part, rng, HummerConfig()).hz[: round(length_s / suites.HOP_S)]
            made.append((f"{row:04d}", name, suites.f0_of(hz)))
    return made


@lru_cache(maxsize=1)
def small_index(count: int) -> tuple[Any, Index, list[Query], list[str]]:
    """The shipped model, an index of ``count`` full songs, 20 hums."""
    model, _ = load_model("pretrained")
    index = search.build_index(((Song(name), f0) for name, f0 in full_songs(count)), model)
    asked = hums(count, 20)
    return model, index, [search.make_query(name, f0, model) for name, _, f0 in asked], [right for _, right, _ in asked]


def embed(ceiling_gflops: float, repeats: int = 5) -> Stage:
    """Windows to vectors, one thread; ours on all cores as well."""
    torch.set_num_threads(1)
    cores = os.sched_getaffinity(0)
    model, _ = load_model("pretrained")
    assert isinstance(model, Model)
    lines = [contour.from_f0(f0, model.config.contour) for _, f0 in full_songs(6)]
    windows = [contour.song_windows(line, model.config.contour) for line in lines]
    count = sum(len(one) for one in windows)
    values = torch.from_numpy(np.concatenate([one.values for one in windows]))

    def at_once(size: int) -> np.ndarray:
        with torch.inference_mode():
            found: np.ndarray = torch.cat([model.network(part) for part in values.split(size)]).numpy()
        return found

    def ours(on: set[int]) -> np.ndarray:
        os.sched_setaffinity(0, on)
        try:
            return np.concatenate([one.vectors for one in model.embed_many(windows)])
        finally:
            os.sched_setaffinity(0, cores)

    yard = "torch, window by window"
    runs: dict[str, Run] = {
        yard: lambda: at_once(1),
        "torch, 64 at once": lambda: at_once(64),
        "torch, all at once": lambda: at_once(count),
        "humfind, one core": lambda: ours({min(cores)}),
        f"humfind, {len(cores)} cores": lambda: ours(cores),
    }
    rows = in_turns(runs, repeats)
    first = runs[yard]()
    agrees = {
        name: f"largest difference {np.abs(run() - first).max():.1e}" for name, run in runs.items() if name != yard
    }
    rate = count / rows["humfind, one core"].seconds
    gflops = rate * MFLOP_A_WINDOW / 1e3
    notes = (
        f"{count} windows of six full songs; on one core {rate:.0f} windows a second, {gflops:.0f} GFLOP/s, "
        f"{gflops / ceiling_gflops:.0%} of what a matrix product reaches. A window is the same bytes in any company.",
    )
    return Stage("embed", "windows to vectors", yard, pick(rows, agrees, tuple(runs)[3:]), notes)


def first_stage(songs: int = 909, repeats: int = 5) -> Stage:
    """The ten nearest of all song windows to each hum window, one core."""
    _, index, queries, _ = small_index(songs)
    vectors = np.concatenate([query.embeddings.vectors for query in queries])
    faiss.omp_set_num_threads(1)
    exact = faiss.IndexFlatL2(vectors.shape[1])
    exact.add(index.vectors[:])
    yard = "faiss, exact"
    runs: dict[str, Run] = {
        yard: lambda: exact.search(vectors, 10)[1],
        "humfind, exact to the bit": lambda: index.nearest(vectors, 10)[1],
    }
    built = {}
    started = time.perf_counter()
    lists = make_engine("ivf", index.vectors)
    built["humfind, ivf"] = time.perf_counter() - started
    runs["humfind, ivf"] = lambda: nearest(index.vectors, lists, vectors, 10)[1]
    if installed("hnswlib"):
        import hnswlib

        started = time.perf_counter()
        graph = hnswlib.Index("l2", vectors.shape[1])
        graph.init_index(len(index.vectors[:]), ef_construction=100, M=16, random_seed=0)
        graph.add_items(index.vectors[:], num_threads=2)
        graph.set_num_threads(1)
        graph.set_ef(200)
        built["hnswlib, M 16, ef 200"] = time.perf_counter() - started
        runs["hnswlib, M 16, ef 200"] = lambda: graph.knn_query(vectors, 10, num_threads=1)[0]
    if installed("annoy"):
        from annoy import AnnoyIndex

        started = time.perf_counter()
        trees = AnnoyIndex(vectors.shape[1], "euclidean")
        for row, vector in enumerate(index.vectors[:]):
            trees.add_item(row, vector)
        trees.set_seed(0)
        trees.build(20)
        built["annoy, 20 trees"] = time.perf_counter() - started
        runs["annoy, 20 trees"] = lambda: np.array([trees.get_nns_by_vector(one, 10) for one in vectors])
    rows = in_turns(runs, repeats)
    best = runs[yard]()
    agrees = {
        name: f"recall@10 {np.mean([len(set(a) & set(b)) / 10 for a, b in zip(run(), best, strict=True)]):.3f}"
        + (f", built in {built[name]:.0f} s" if name in built else "")
        for name, run in runs.items()
    }
    notes = (f"{len(vectors)} windows of {len(queries)} hums among {len(index.vectors[:])} of {songs} full songs.",)
    return Stage(
        "search, nearest windows", "vectors to hits", yard, pick(rows, agrees, ("humfind, exact to the bit",)), notes
    )


def rankers(songs: int = 909, repeats: int = 3) -> Stage:
    """A 10 s hum's f0 to ten songs, index loaded, all cores; each ranker on the same hums."""
    _, index, queries, right = small_index(songs)
    made = {
        name: make_ranker(RankConfig(ranker=name), index) for name in ("vote", "nearest", "sequence", "dtw", "fusion")
    }
    runs: dict[str, Run] = {
        f"humfind {name}": lambda ranker=ranker: [search.search(query, index, ranker).music_ids for query in queries]
        for name, ranker in made.items()
    }
    rows = {name: replace(row, **_each(row, len(queries))) for name, row in in_turns(runs, repeats).items()}
    agrees = {
        name: f"right song first {np.mean([ids[0] == one for ids, one in zip(run(), right, strict=True)]):.2f}"
        for name, run in runs.items()
    }
    notes = (f"Seconds a hum of {HUM_S:g} s among {songs} full songs; embedding the hum's windows not counted.",)
    return Stage("search, whole", "a hum's f0 to ten songs", "humfind fusion", pick(rows, agrees, tuple(runs)), notes)


def _each(row: Any, count: int) -> dict[str, float]:
    return {name: getattr(row, name) / count for name in ("seconds", "low", "high")}


def dtw(songs: int = 909, some: int = 12, repeats: int = 3) -> Stage:
    """A 10 s hum aligned with full songs: seconds for 1,000 songs at 12 transpositions."""
    _, index, queries, _ = small_index(songs)
    ours = {f"humfind, {n} thread{'s' * (n > 1)}": Dtw(index, threads=n) for n in (1, 2)}
    first = next(iter(ours.values()))
    frame_s = first.config.frame_s
    hum, lines = first._pair(queries[0].melody, 1.0, frame_s)
    costs = local_costs(first.config.error_semitones, first.config.stray_share)
    each = np.split(lines.line.level.astype(np.int64), lines.ends[1:-1])
    rows = np.argsort(-np.diff(lines.ends))[len(each) // 2 :][:some]  # of median length and below
    levels = [each[row] for row in rows]
    keys = np.arange(0, LEVELS, LEVELS // 12)
    every = lines.whole(np.arange(len(each)))
    runs: dict[str, Run] = {name: lambda one=one: one._align(hum, lines, every) for name, one in ours.items()}
    scale = dict.fromkeys(ours, 1000 / songs * 12 / KEYS)
    agrees = dict.fromkeys(ours, f"{KEYS} transpositions of all {songs} songs, then to scale")
    import librosa

    def by_librosa() -> list[float]:
        steps, cheap = np.array([[1, 1], [1, 2], [2, 1]]), np.zeros(3)
        found = []
        for level in levels:
            least = np.inf
            for key in keys:
                cost = costs[(level[None, :] - hum.level[:, None] - key) % LEVELS].astype(np.float64)
                total = librosa.sequence.dtw(
                    C=cost,
                    subseq=True,
                    step_sizes_sigma=steps,
                    weights_add=cheap,
                    weights_mul=np.ones(3),
                    backtrack=False,
                )
                least = min(least, float(total[-1].min()))
            found.append(least)
        return found

    runs["librosa"] = by_librosa
    agrees["librosa"] = f"the same steps, without the cell that a slow step passes over; {some} songs, to scale"
    shape = sum(map(len, levels)) / int(lines.ends[-1])
    share = {"librosa": 1 / shape * 1000 / songs}
    if installed("dtaidistance"):
        from dtaidistance.subsequence.dtw import subsequence_alignment

        def by_dtai() -> list[float]:
            series = [level.astype(np.float64) for level in levels]
            return [
                min(
                    float(np.min(subsequence_alignment(hum.level.astype(np.float64) + key, one, use_c=True).matching))
                    for key in keys
                )
                for one in series
            ]

        runs["dtaidistance"] = by_dtai
        agrees["dtaidistance"] = f"classical steps, pitch not on a circle; {some} songs, to scale"
        share["dtaidistance"] = share["librosa"]
    if installed("tslearn"):
        from tslearn.metrics import dtw_subsequence_path

        def by_tslearn() -> list[float]:
            return [
                min(float(dtw_subsequence_path(hum.level.astype(float) + key, level.astype(float))[1]) for key in keys)
                for level in levels
            ]

        runs["tslearn"] = by_tslearn
        agrees["tslearn"] = f"classical steps, pitch not on a circle; {some} songs, to scale"
        share["tslearn"] = share["librosa"]
    timed = in_turns(runs, repeats)
    scale |= share
    scaled = {
        name: replace(row, seconds=row.seconds * scale[name], low=row.low * scale[name], high=row.high * scale[name])
        for name, row in timed.items()
    }
    cells = len(hum.level) * int(lines.ends[-1]) * KEYS
    notes = (
        f"{len(hum.level)} frames of hum, {np.mean(np.diff(lines.ends)):.0f} of a song on average, 0.12 s each. On one "
        f"thread {cells / timed['humfind, 1 thread'].seconds / 1e9:.1f} billion cells a second.",
    )
    others = [name for name in runs if name not in ours]
    yard = min(others, key=lambda name: scaled[name].seconds)
    return Stage(
        "dtw", "a 10 s hum, 1,000 full songs, 12 transpositions", yard, pick(scaled, agrees, tuple(ours)), notes
    )
