"""What each part of the alignment is worth: ranker ``dtw`` on the open suites with one part taken away at a time.

    python -m benchmarks.accuracy.ablations [--data FOLDER] [--hums 60] [--suites NAME ...] [--changes NAME ...]
                                           [--out FILE.md]

FOLDER: see benchmarks/accuracy/suites.py. A row a change: MRR@10 with its bootstrap 95 % interval and, below it, the
paired difference to the whole. No encoder takes part.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.accuracy import suites
from benchmarks.accuracy.rankers import table
from humfind import metrics
from humfind.config import ContourConfig, DtwConfig
from humfind.melody import contour
from humfind.rankers.dtw.ranker import Dtw
from humfind.types import Contour, Embeddings, Ints, Query, Windows

WHOLE = DtwConfig()
NEVER = 1e6  # a cost
CHANGES = {
    "whole": WHOLE,
    "no length correction": replace(WHOLE, length_correction=False),
    "every key alike": replace(WHOLE, own_key=0.0),
    "phrases begin anywhere": replace(WHOLE, off_start=0.0, off_end=0.0),
    "local tempo only": replace(WHOLE, tempos=(1.0,)),
    "steps are free": replace(WHOLE, faster=0.0, slower=0.0),
    "no first look: all in fine frames": replace(WHOLE, rescore_top=10**9),
    "the first look alone": replace(WHOLE, frame_s=0.24, rescore_top=10**9),
    "no skips": replace(WHOLE, skip=NEVER),
    "no jumps": replace(WHOLE, jump=NEVER),
    "neither": replace(WHOLE, skip=NEVER, jump=NEVER),
    "rests are cut at once": replace(WHOLE, hold_s=0.0),
}
DEFAULT = ("humtrans-jdc-stp", "mast-pass", "mast-fail", "pop-mix-simulated")


@dataclass(frozen=True)
class Songs:
    """What Dtw needs of an index."""

    music_ids: tuple[str, ...]
    contours: tuple[Contour | None, ...]
    recording_song: Ints


def songs_of(suite: suites.Suite) -> Songs:
    ids = tuple(sorted({music_id for music_id, _ in suite.songs}))
    row = {music_id: i for i, music_id in enumerate(ids)}
    lines = tuple(contour.from_f0(f0, ContourConfig()) for _, f0 in suite.songs)
    return Songs(ids, lines, np.array([row[music_id] for music_id, _ in suite.songs], dtype=np.int64))


def query_of(name: str, line: Contour) -> Query:
    """A query of which only the contour is looked at."""
    one = np.zeros(1, np.float32)
    windows = Windows(np.zeros((1, 1, 1), np.float32), one, one, one + 1, one)
    return Query(name, windows, Embeddings(np.zeros((1, 1), np.float32)), line.length_s, line)


def ranks(songs: Songs, hums: list[tuple[Query, str]], config: DtwConfig) -> Ints:
    """The rank of each right song, 0 past ten."""
    dtw, found = Dtw(songs, config), []
    for query, right in hums:
        best = np.full(len(songs.music_ids), np.inf)
        np.minimum.at(best, songs.recording_song, dtw.evidence(query).log_e)
        rank = 1 + int((best < best[songs.music_ids.index(right)]).sum())
        found.append(rank if rank <= 10 else 0)
    return np.array(found, dtype=np.int64)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--hums", type=int, default=60)
    parser.add_argument("--suites", nargs="*", default=list(DEFAULT), choices=list(suites.SUITES))
    parser.add_argument("--changes", nargs="*", default=list(CHANGES), choices=list(CHANGES))
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    changes = {name: CHANGES[name] for name in ("whole", *asked.changes)}
    rows: list[dict[str, object]] = [{"change": name} for name in changes]
    for name in asked.suites:
        suite = suites.SUITES[name](suites.folder(asked.data))
        songs = songs_of(suite)
        chosen = np.sort(np.random.default_rng(0).permutation(len(suite.hums))[: asked.hums])
        some = [suite.hums[i] for i in chosen]
        hums = [(query_of(hum, contour.from_f0(f0, ContourConfig())), right) for hum, right, f0 in some]
        whole = ranks(songs, hums, WHOLE)
        for row, (change, config) in zip(rows, changes.items(), strict=True):
            found = whole if change == "whole" else ranks(songs, hums, config)
            mrr = metrics.report(found, len(songs.music_ids)).mrr
            gap = "" if change == "whole" else f"; {metrics.paired_difference(found, whole)}"
            row[f"{name} ({len(hums)} hums)"] = f"{mrr}{gap}"
            print(name, change, mrr, gap, flush=True)
    print(table(rows))
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(table(rows) + "\n")


if __name__ == "__main__":
    main()
