"""Rankers on the open suites: how often the right song comes first, and why not.

    python -m benchmarks.accuracy [--data FOLDER] [--model pretrained] [--hums 100] [--suites NAME ...] [--out FILE.md]

FOLDER: see benchmarks/suites.py. Each hum goes the way that ``humfind predict`` goes. A row a suite and ranker: MRR@10
with a bootstrap 95 % interval, top-1, top-10, the paired difference in MRR to ``fusion``, the median time a query
(f0 to ranking, index built). Below: the recall@100 of the windows alone, MRR among distractors that training saw and
did not see, and the causes of the hums whose right song is not first.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import suites
from humfind import metrics, search
from humfind.config import RankConfig
from humfind.index import Index, Song
from humfind.predict import load_model
from humfind.rankers import RANKERS, Dtw, make_ranker
from humfind.types import Hits, Ints, Query

FIRST_STAGE = 100
Row = dict[str, Any]


def hits_for(query: Query, index: Index, per_window: int, k: int) -> Hits:
    return search.find_hits([query], index, per_window, k)[0]


def rank_of(music_ids: tuple[str, ...], right: str) -> int:
    """From 1; 0 where it is not among them."""
    return music_ids.index(right) + 1 if right in music_ids else 0


def cause(query: Query, right: str, dtw: Dtw, first_stage: int) -> str:
    """Why the right song was not first, the plainest reason first."""
    evidence = dtw.evidence(query)
    rows = np.flatnonzero(dtw.songs.recording_song == dtw.songs.music_ids.index(right))
    row = int(rows[np.argmin(evidence.log_e[rows])])
    sung_s = float(query.contour.voiced.sum()) * query.contour.frame_s
    if sung_s < 2.5:
        return "less than 2.5 s sung"
    match = dtw.match(query, row, evidence)
    if not 0.6 <= match.tempo_ratio <= 1.7:
        return "tempo: aligned at " + ("less than 0.6" if match.tempo_ratio < 0.6 else "more than 1.7")
    if evidence.log_e[row] > 0:
        return "wrong notes: no better than chance"
    if first_stage == 0:
        return f"windows: not among {FIRST_STAGE}"
    return "another song aligns better"


def measure(suite: suites.Suite, model: Any, hums: int, rankers: list[str]) -> tuple[list[Row], Row]:
    """A row a ranker, and what is said of the suite as a whole."""
    clock = time.perf_counter()
    index = search.build_index([(Song(music_id), f0) for music_id, f0 in suite.songs], model)
    index_s = time.perf_counter() - clock
    chosen = np.sort(np.random.default_rng(0).permutation(len(suite.hums))[:hums])
    queries = [(search.make_query(name, f0, model), right) for name, right, f0 in (suite.hums[i] for i in chosen)]
    ranks: dict[str, Ints] = {}
    seconds: dict[str, float] = {}
    for name in rankers:
        ranker = make_ranker(RankConfig(ranker=name), index)
        found, spent = [], []
        ranker.rank(queries[0][0], hits_for(queries[0][0], index, ranker.hits_per_window, 10), 10)  # warm-up
        for query, right in queries:
            clock = time.perf_counter()
            ranking = ranker.rank(query, hits_for(query, index, ranker.hits_per_window, 10), 10)
            spent.append(time.perf_counter() - clock)
            found.append(rank_of(ranking.music_ids, right))
        ranks[name], seconds[name] = np.array(found, dtype=np.int64), float(np.median(spent))
    rows = []
    for name in rankers:
        report = metrics.report(ranks[name], len(index.music_ids))
        gap = metrics.paired_difference(ranks[name], ranks["fusion"]) if "fusion" in ranks and name != "fusion" else ""
        rows.append(
            {
                "suite": suite.name,
                "ranker": name,
                "hums": report.queries,
                "songs": report.songs,
                "MRR@10": str(report.mrr),
                "top-1": str(report.top1),
                "top-10": str(report.top10),
                "minus fusion": str(gap),
                "s a query": f"{seconds[name]:.2f}",
            }
        )
    first = make_ranker(RankConfig(ranker="sequence"), index)
    stage = [rank_of(first.rank(q, hits_for(q, index, 1, 10), FIRST_STAGE).music_ids, right) for q, right in queries]
    best = ranks["fusion"] if "fusion" in ranks else ranks[rankers[-1]]
    dtw = Dtw(index)
    causes = Counter(cause(query, right, dtw, stage[i]) for i, (query, right) in enumerate(queries) if best[i] != 1)
    whole = {
        "suite": suite.name,
        "windows, recall@100": f"{np.mean(np.array(stage) > 0):.3f}",
        "index, s": f"{index_s:.0f}",
        "not first": int(np.sum(best != 1)),
        "causes": dict(causes.most_common()),
    }
    return rows, whole


def table(rows: list[Row]) -> str:
    """Rows as Markdown."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    return "\n".join(lines + ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in rows])


def without(suite: suites.Suite, odd: bool) -> suites.Suite:
    """The suite without the pop songs of odd (even) number that are nobody's right song."""
    wanted = {right for _, right, _ in suite.hums}
    kept = [
        song
        for song in suite.songs
        if song[0] in wanted or not song[0].startswith("pop") or (int(song[0][3:]) % 2 == 1) != odd
    ]
    return replace(suite, songs=tuple(kept))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--model", default="pretrained", help="pretrained or a model.safetensors")
    parser.add_argument("--hums", type=int, default=100, help="of each suite, drawn by a fixed seed")
    parser.add_argument("--suites", nargs="*", default=list(suites.SUITES), choices=list(suites.SUITES))
    parser.add_argument("--rankers", nargs="*", default=list(RANKERS), choices=list(RANKERS))
    parser.add_argument("--distractors", action="store_true", help="also among seen and unseen pop songs apart")
    parser.add_argument("--out", type=Path, default=None, help="the tables as Markdown; a .json beside it")
    asked = parser.parse_args()
    model, _ = load_model(asked.model)
    rows, wholes, apart = [], [], []
    for name in asked.suites:
        suite = suites.SUITES[name](suites.folder(asked.data))
        found, whole = measure(suite, model, asked.hums, asked.rankers)
        rows, wholes = rows + found, [*wholes, whole]
        print(table(found), whole, sep="\n", flush=True)
        if asked.distractors:
            for odd, label in ((False, "seen (odd)"), (True, "unseen (even)")):
                part, _ = measure(without(suite, odd), model, asked.hums, ["fusion"])
                apart += [{"pop songs": label} | {key: part[0][key] for key in ("suite", "hums", "songs", "MRR@10")}]
    causes = [{key: w[key] for key in w if key != "causes"} for w in wholes]
    reasons = [
        {"suite": w["suite"], "cause": cause, "hums": count} for w in wholes for cause, count in w["causes"].items()
    ]
    text = "\n\n".join(table(part) for part in (rows, causes, reasons, apart) if part)
    print(text)
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(text + "\n")
        asked.out.with_suffix(".json").write_text(json.dumps({"rows": rows, "suites": wholes}, indent=1) + "\n")


if __name__ == "__main__":
    main()
