"""train and start: seconds until a model is as good as the 2021 recipe's, and until a command answers."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import soundfile

from benchmarks.accuracy.experiments import melodies
from benchmarks.speed.f0 import RATE_HZ, hum
from benchmarks.speed.search import full_songs
from benchmarks.speed.side_by_side import Row, Run, Stage, in_turns, pick
from humfind.config import ZALO2021, ModelConfig, RankConfig
from humfind.index import Song
from humfind.retrieval import search
from humfind.retrieval.checkpoints import load_model
from humfind.training.loop import HistoryRow
from humfind.training.pretrain import CONFIG, examples_of
from humfind.training.tasks.hums import train

TUNES = 100


class Enough(Exception):
    """The budget is spent, or the figure reached."""


def train_stage(minutes: float = 5.0) -> Stage:
    """The 2021 recipe for ``minutes``, then ours until its validation MRR is at least as good; the same takes."""
    examples = list(examples_of(list(melodies())[:TUNES]))

    def until(config: ModelConfig, stop: object) -> list[HistoryRow]:
        rows: list[HistoryRow] = []
        started = time.monotonic()

        def look(row: HistoryRow) -> None:
            rows.append({**row, "at": time.monotonic() - started})
            if callable(stop) and stop(rows):
                raise Enough

        with tempfile.TemporaryDirectory() as folder, contextlib.suppress(Enough):
            train(examples, config, Path(folder), rank=RankConfig(ranker="nearest"), on_validation=look)
        return rows

    shared = {"steps": 100_000, "validation_share": 0.1}
    theirs = until(
        replace(ZALO2021, train=replace(ZALO2021.train, validate_every=4, **shared)),
        lambda rows: rows[-1]["at"] > 60 * minutes,
    )
    best = max(theirs, key=lambda row: row["validation_mrr"])
    ours = until(
        replace(CONFIG, train=replace(CONFIG.train, validate_every=8, songs_per_batch=64, **shared)),
        lambda rows: rows[-1]["validation_mrr"] >= best["validation_mrr"] or rows[-1]["at"] > 60 * minutes,
    )
    reached = ours[-1]["validation_mrr"] >= best["validation_mrr"]
    yard = "the 2021 recipe (zalo2021)"
    rows = tuple(
        Row(name, at, at, at, f"validation MRR@10 {row['validation_mrr']:.3f} at step {row['step']}", ours)
        for name, row, at, ours in (
            (yard, best, best["at"], False),
            ("humfind, the shipped recipe", ours[-1], ours[-1]["at"], True),
        )
    )
    notes = (
        f"{TUNES} tunes of the books, a tenth held out; {minutes:g} minutes for the 2021 recipe; its best validation "
        f"(every 4 steps, ours every 8, both counted) is what ours must reach{'' if reached else ', and it did not'}.",
    )
    return Stage("train", "to the 2021 recipe's validation MRR", yard, rows, notes)


def start(songs: int = 1000, repeats: int = 5) -> Stage:
    """Wall seconds of commands from cold: the interpreter, the imports, the files."""
    with tempfile.TemporaryDirectory() as folder:
        model, path = load_model("pretrained")
        where, wav = Path(folder) / "index", Path(folder) / "hum.wav"
        made = search.build_index(((Song(name), f0) for name, f0 in full_songs(songs)), model, str(path))
        made.save(where)
        soundfile.write(wav, hum(10.0)[0], RATE_HZ)

        def command(*arguments: str) -> Run:
            def run() -> None:
                subprocess.run([sys.executable, "-m", *arguments], check=True, capture_output=True, env=os.environ)

            return run

        runs = {
            "python -c pass": lambda: subprocess.run([sys.executable, "-c", "pass"], check=True),
            "humfind --help": command("humfind", "--help"),
            "humfind search, 10 s hum": command("humfind", "search", str(wav), "--index", str(where)),
        }
        rows = in_turns(runs, repeats)
    notes = (f"{songs} full songs, {len(made.vectors)} windows; the files are in the system's cache.",)
    return Stage("start", "commands from cold", "humfind --help", pick(rows, {}, tuple(runs)[1:]), notes)
