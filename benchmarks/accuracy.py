"""Rankers on the open suites: how often the right song comes first, and why not.

    python -m benchmarks.accuracy [--data FOLDER] [--model pretrained] [--hums 100] [--suites NAME ...] [--out FILE.md]

FOLDER: see benchmarks/suites.py. Each hum goes the way that ``humfind predict`` goes. A row a suite and ranker: MRR@10
with a bootstrap 95 % interval, top-1, top-10, the paired difference in MRR to ``fusion``, the median time a query
(f0 to ranking, index built). Below: the recall@100 of the windows alone, MRR among distractors that training saw and
did not see, how the first answer's probability is meant, with the right song there and with it taken away, and the
causes of the hums whose right song is not first.
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
from humfind.rankers import RANKERS, Dtw, Fusion, make_ranker
from humfind.rankers.fusion import probabilities
from humfind.types import Ints, Query

FIRST_STAGE = 100
Row = dict[str, Any]


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
        search.search(queries[0][0], index, ranker)  # warm-up
        for query, right in queries:
            clock = time.perf_counter()
            ranking = search.search(query, index, ranker)
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
    stage = [rank_of(search.search(q, index, first, FIRST_STAGE).music_ids, right) for q, right in queries]
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
    return rows, whole | certainty(queries, index)


def certainty(queries: list[tuple[Query, str]], index: Index) -> Row:
    """How the first answer's probability is meant, with the right song there and with it taken away."""
    fusion = Fusion(index)
    right, there, gone = [], [], []
    for query, music_id in queries:
        log_e, row = fusion.evidence(query), index.music_ids.index(music_id)
        chance = probabilities(log_e, fusion.weights.none)
        right.append(int(chance.argmax()) == row)
        there.append(float(chance.max()))
        gone.append(
            float(probabilities(np.where(np.arange(len(log_e)) == row, np.inf, log_e), fusion.weights.none).max())
        )
    apart = np.mean(np.array(there)[:, None] > np.array(gone)[None]) + 0.5 * np.mean(np.equal.outer(there, gone))
    return {
        "stated, song there": f"{np.mean(there):.2f}",
        "right": f"{np.mean(right):.2f}",
        "stated, song taken away": f"{np.mean(gone):.2f}",
        "area under ROC": f"{apart:.3f}",
    }


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
