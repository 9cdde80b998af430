"""Speed, stage by stage, each beside what a user would pick instead.

    python -m benchmarks.speed [f0] [full] [decode] [embed] [search] [dtw] [train] [start] [growth]
                         [--data FOLDER] [--out docs/performance] [--quick]
                         [--songs 100 1000 ...] [--keep FOLDER]

All of them without a name. FOLDER: see benchmarks/accuracy/suites.py. Peers that are not installed are left out:
pip install -e ".[bench]" brings them. Prints a table a stage; with --out, OUT/STAGE.json (rows, machine, versions),
OUT/STAGE.md and OUT/STAGE.png. Ways are timed in turns, after a warm-up; a figure is the median of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from benchmarks.accuracy.rankers import table
from benchmarks.speed import f0, growth, search, training
from benchmarks.speed.side_by_side import Stage, ceilings, machine, markdown
from humfind.plots.speed import grown, side_by_side

MILLION = 1_000_000


def stages(quick: bool) -> dict[str, Callable[[], list[Stage]]]:
    """quick: fewer repeats and less to do, to see that all runs."""
    repeats = 1 if quick else 5
    songs = 60 if quick else 909
    return {
        "f0": lambda: [f0.f0(2.0 if quick else 10.0, repeats)],
        "full": lambda: [f0.f0(0.5 if quick else 2.0, min(repeats, 3), "full")],
        "decode": lambda: [f0.decode_stage(5.0 if quick else 30.0, repeats)],
        "embed": lambda: [search.embed(ceilings()["fp32_gflops"], repeats)],
        "search": lambda: [search.first_stage(songs, repeats), search.rankers(songs, min(repeats, 3))],
        "dtw": lambda: [search.dtw(songs, 2 if quick else 8, min(repeats, 3))],
        "train": lambda: [training.train_stage(0.2 if quick else 5.0)],
        "start": lambda: [training.start(60 if quick else 1000, repeats)],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="stage")
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--songs", type=int, nargs="+", default=[100, 1000, 10_000, 100_000], help="of growth")
    parser.add_argument("--keep", type=Path, default=None, help="growth's indexes; those there are not built again")
    parser.add_argument("--quick", action="store_true", help="little of everything: does it run?")
    asked = parser.parse_args()
    known = [*stages(asked.quick), "growth"]
    unknown = sorted(set(asked.names) - set(known))
    if unknown:
        parser.error(f"{unknown[0]}: unknown; choose of {', '.join(known)}")
    if asked.data:
        os.environ["HUMFIND_REAL_DATA"] = str(asked.data.resolve())
    about = machine()
    for name in asked.names or known:
        if name == "growth":
            _growth(asked.out, about, growth.growth((30, 60) if asked.quick else asked.songs, asked.keep))
            continue
        limits = ceilings()
        made = stages(asked.quick)[name]()
        text = "\n\n".join(markdown(stage) for stage in made)
        print(text, limits, sep="\n", flush=True)
        if asked.out:
            asked.out.mkdir(parents=True, exist_ok=True)
            values = {"machine": about, "ceilings": limits, "stages": [asdict(stage) for stage in made]}
            (asked.out / f"{name}.json").write_text(json.dumps(values, indent=1) + "\n")
            (asked.out / f"{name}.md").write_text(text + "\n")
            for row, stage in enumerate(made):
                picture = asked.out / (f"{name}.png" if row == 0 else f"{name}-{row + 1}.png")
                bars = {one.name: (one.seconds, one.low, one.high, one.ours) for one in stage.rows}
                side_by_side(bars, f"{stage.name}: {stage.what}").savefig(picture, dpi=110)


def _growth(out: Path | None, about: dict[str, object], rows: list[dict[str, float]]) -> None:
    power, million = growth.exponents(rows), growth.carried_on(rows, MILLION)
    names = dict.fromkeys(name for row in rows for name in row)
    columns = [f"{row['songs']:,} songs" for row in rows]
    shown = [
        {"": name}
        | {column: f"{row[name]:.3g}" if name in row else "" for column, row in zip(columns, rows, strict=True)}
        | {"songs to the power of": f"{power[name]:.2f}" if name in power else ""}
        | {f"{MILLION:,} songs, carried on": f"{million[name]:.3g}" if name in million else ""}
        for name in names
        if name != "songs"
    ]
    text = table(shown)
    print(text)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        (out / "growth.json").write_text(
            json.dumps({"machine": about, "rows": rows, "exponents": power, f"{MILLION} songs": million}, indent=1)
            + "\n"
        )
        (out / "growth.md").write_text(text + "\n")
        grown(rows, power).savefig(out / "growth.png", dpi=110)


if __name__ == "__main__":
    main()
