"""Rankers on the open suites: how often the right song comes first, and why not.

    python -m benchmarks.accuracy [--data FOLDER] [--model pretrained] [--hums 100] [--suites NAME ...] [--out FILE.md]

FOLDER: see benchmarks/accuracy/suites.py. A row a suite and ranker: MRR@10 with a bootstrap 95 % interval, top-1,
top-10, the paired difference in MRR to ``fusion``. Below, a row a suite: the recall@100 of the windows alone, the
median time a query of ``fusion`` (f0 to ranking, index built), and how the first answer's probability is meant, with
the right song there and with it taken away (and the songs that hold its melody too: collections do). Then the causes
of the hums whose right song is not first; with --distractors, MRR among pop songs that training saw and did not see.
``dtw``, ``sequence`` and ``fusion`` are read off one search, whose numbers are the rankers' own
(tests/rankers/test_alignment_rankers.py). ``shortlist``, by --rankers: ``fusion`` as it is beyond 4,000
recordings. --rankers takes every other ranker, too, those of installed packages among them.
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
from numpy.typing import NDArray

from benchmarks.accuracy import suites
from humfind import metrics
from humfind.config import RANKER_NAMES, FusionConfig, RankConfig
from humfind.index import Index, Song
from humfind.rankers import Fusion, make_ranker
from humfind.rankers.dtw.ranker import Evidence
from humfind.rankers.fusion import probabilities
from humfind.retrieval import search
from humfind.retrieval.checkpoints import load_model
from humfind.runtime import plugins
from humfind.types import F0, Ints, Query

FIRST_STAGE = 100
READ_OFF = ("sequence", "dtw", "fusion")
RANKERS = ("nearest", *READ_OFF)
SHORT = "shortlist"  # fusion as it is beyond FusionConfig.exhaustive recordings, on a suite that has fewer
TOP = 10
TWIN_S, TWIN = 20.0, -25.0  # of a song's line; the score, minus that of chance, from which a song holds it
Row = dict[str, Any]
Scores = NDArray[np.float64]


def by_song(index: Index, log_e: Scores) -> Scores:
    """Of each song, its best recording's."""
    best = np.full(len(index.music_ids), np.inf)
    np.minimum.at(best, index.recording_song, log_e)
    return best


def twins(index: Index, fusion: Fusion, line: F0, model: Any) -> NDArray[np.bool_]:
    """(songs,): which hold the melody of the first ``TWIN_S`` of a song's own line."""
    begun = line if line.length_s <= TWIN_S else replace(line, **{
        name: getattr(line, name)[: round(TWIN_S / line.hop_s)] for name in ("hz", "confidence")
    })  # fmt: skip
    query = search.make_query("the song itself", begun, model)
    return by_song(index, fusion.weigh(*fusion.witnesses(query))) <= TWIN


def rank_of(log_e: Scores, right: int) -> int:
    """From 1; ties fall to the smaller row."""
    before = (log_e < log_e[right]) | ((log_e == log_e[right]) & (np.arange(len(log_e)) < right))
    return 1 + int(before.sum())


def cause(query: Query, right: int, fusion: Fusion, aligned: Evidence, stage: int) -> str:
    """Why the right song was not first, the plainest reason first."""
    rows = np.flatnonzero(fusion.songs.recording_song == right)
    row = int(rows[np.argmin(aligned.log_e[rows])])
    sung_s = float(query.melody.voiced.sum()) * query.melody.frame_s
    if sung_s < 2.5:
        return "less than 2.5 s sung"
    match = fusion.dtw.match(query, row, aligned)
    if not 0.6 <= match.tempo_ratio <= 1.7:
        return "tempo: aligned at " + ("less than 0.6" if match.tempo_ratio < 0.6 else "more than 1.7")
    if aligned.log_e[row] > 0:
        return "wrong notes: no better than chance"
    if stage > FIRST_STAGE:
        return f"windows: not among {FIRST_STAGE}"
    return "another song aligns better"


def measure(suite: suites.Suite, model: Any, hums: int, rankers: list[str], distractors: bool) -> tuple[list[Row], Row]:
    """A row a ranker, and what is said of the suite as a whole."""
    clock = time.perf_counter()
    index = search.build_index([(Song(music_id), f0) for music_id, f0 in suite.songs], model)
    index_s = time.perf_counter() - clock
    chosen = np.sort(np.random.default_rng(0).permutation(len(suite.hums))[:hums])
    queries = [(search.make_query(name, f0, model), right) for name, right, f0 in (suite.hums[i] for i in chosen)]
    answers = {query.name: right for query, right in queries}
    fusion = Fusion(index)
    fusion.rank(queries[0][0], TOP)  # warm-up
    short = Fusion(index, replace(RankConfig(), fusion=replace(FusionConfig(), exhaustive=0)))
    found: dict[str, list[int]] = {name: [] for name in (*READ_OFF, SHORT, "seen", "unseen")}
    seconds, stated, gone, causes = [], [], [], Counter[str]()
    lines, alike = dict(reversed(suite.songs)), dict[int, NDArray[np.bool_]]()
    for query, music_id in queries:
        right = index.music_ids.index(music_id)
        clock = time.perf_counter()
        aligned, ordered = fusion.witnesses(query)
        seconds.append(time.perf_counter() - clock)
        scores = {
            "sequence": by_song(index, ordered),
            "dtw": by_song(index, aligned.log_e),
            "fusion": by_song(index, fusion.weigh(aligned, ordered)),
        }
        if SHORT in rankers:
            scores[SHORT] = by_song(index, short.weigh(*short.witnesses(query)))
        for name, log_e in scores.items():
            found[name].append(rank_of(log_e, right))
        whole = scores["fusion"]
        for name, out in (("seen", 0), ("unseen", 1)):
            found[name].append(rank_of(np.where(_pop(index, answers) == out, np.inf, whole), right))
        stated.append(float(probabilities(whole, fusion.none(query)).max()))
        if right not in alike:
            alike[right] = twins(index, fusion, lines[music_id], model)
            alike[right][right] = True
        without = np.where(alike[right], np.inf, whole)
        gone.append(float(probabilities(without, fusion.none(query)).max()))
        if found["fusion"][-1] > 1:
            causes[cause(query, right, fusion, aligned, found["sequence"][-1])] += 1
    ranks: dict[str, Ints] = {name: _within(found[name]) for name in found}
    for name in (name for name in rankers if name not in ranks):
        ranking = search.rank_all([query for query, _ in queries], index, make_ranker(RankConfig(name), index))
        ranks[name] = search.ranks_of(ranking, answers)
    rows = []
    for name in rankers:
        report = metrics.report(ranks[name], len(index.music_ids))
        gap = metrics.paired_difference(ranks[name], ranks["fusion"]) if name != "fusion" else ""
        figures = {"MRR@10": report.mrr, "top-1": report.top1, "top-10": report.top10, "minus fusion": gap}
        counts = {"suite": suite.name, "ranker": name, "hums": report.queries, "songs": report.songs}
        rows.append(counts | {key: str(value) for key, value in figures.items()})
    apart = np.mean(np.array(stated)[:, None] > np.array(gone)[None]) + 0.5 * np.mean(np.equal.outer(stated, gone))
    firsts = np.array(found["fusion"])
    about = {
        "suite": suite.name,
        "windows, recall@100": f"{np.mean(np.array(found['sequence']) <= FIRST_STAGE):.3f}",
        "index, s": f"{index_s:.0f}",
        "s a query": f"{np.median(seconds):.2f}",
        "stated, song there": f"{np.mean(stated):.2f}",
        "right": f"{np.mean(firsts == 1):.2f}",
        "stated, song taken away": f"{np.mean(gone):.2f}",
        "stated minus right, of both": f"{(np.mean(stated) + np.mean(gone) - np.mean(firsts == 1)) / 2:+.2f}",
        "there or not, area under ROC": f"{apart:.3f}",
        "causes": dict(causes.most_common()),
    }
    if distractors:
        for name in ("seen", "unseen"):
            about[f"MRR@10, pop songs {name}"] = str(metrics.report(ranks[name], len(index.music_ids)).mrr)
    return rows, about


def _within(ranks: list[int]) -> Ints:
    """0 past ten, as the metrics count."""
    found = np.array(ranks, dtype=np.int64)
    return np.where(found <= TOP, found, 0)


def _pop(index: Index, answers: dict[str, str]) -> Ints:
    """Of each song: 1 a pop song of odd number, which training saw; 0 of even number; -1 no distractor."""
    right = set(answers.values())
    return np.array([int(one[3:]) % 2 if one.startswith("pop") and one not in right else -1 for one in index.music_ids])


def table(rows: list[Row]) -> str:
    """Rows as Markdown."""
    names = list(rows[0])
    lines = ["| " + " | ".join(names) + " |", "|" + " --- |" * len(names)]
    return "\n".join(lines + ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--model", default="pretrained", help="pretrained or a model.safetensors")
    parser.add_argument("--hums", type=int, default=100, help="of each suite, drawn by a fixed seed")
    parser.add_argument("--suites", nargs="*", default=list(suites.SUITES), choices=list(suites.SUITES))
    known = [*plugins.names("rankers", dict.fromkeys(RANKER_NAMES)), SHORT]
    parser.add_argument("--rankers", nargs="*", default=list(RANKERS), choices=known)
    parser.add_argument("--distractors", action="store_true", help="also among seen and unseen pop songs apart")
    parser.add_argument("--out", type=Path, default=None, help="the tables as Markdown; a .json beside it")
    asked = parser.parse_args()
    model, _ = load_model(asked.model)
    rows, wholes = [], []
    for name in asked.suites:
        suite = suites.SUITES[name](suites.folder(asked.data))
        found, whole = measure(suite, model, asked.hums, asked.rankers, asked.distractors)
        rows, wholes = rows + found, [*wholes, whole]
        print(table(found), whole, sep="\n", flush=True)
        about = [{key: w[key] for key in w if key != "causes"} for w in wholes]
        reasons = [{"suite": w["suite"], "cause": why, "hums": n} for w in wholes for why, n in w["causes"].items()]
        text = "\n\n".join(table(part) for part in (rows, about, reasons) if part)
        if asked.out:
            asked.out.parent.mkdir(parents=True, exist_ok=True)
            asked.out.write_text(text + "\n")
            asked.out.with_suffix(".json").write_text(json.dumps({"rows": rows, "suites": wholes}, indent=1) + "\n")
    print(text)
