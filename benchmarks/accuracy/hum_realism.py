"""Simulated hums beside real ones: pitch error a note, drift, note lengths, voiced share, glide.

    python benchmarks/accuracy/hum_realism.py --data FOLDER [--out hum_realism.png]

FOLDER (default: the environment variable HUMFIND_REAL_DATA) holds mast_open.parquet (Bozkurt et al. 2017: f0
of singers who repeat a melody played on a piano) and humtrans_valid_{hums,targets}.jsonl.gz (Liu et al. 2023:
notes of hums). The simulated hums are of the same melodies, as many, and are measured by the same code.
The defaults of ``HummerConfig`` are fitted to what this prints.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numba import njit

from humfind.config import HummerConfig
from humfind.synth.hum import HOP_S, perform
from humfind.synth.melody import Notes

Measures = dict[str, float]
STRAY = 3.0  # semitones: what lies further from its note costs no more
F0_MEASURES = {
    "pitch error": ("pitch error a note", "cents"),
    "unsteadiness": ("wobble within a note", "cents"),
    "drift": ("drift of the key", "cents/s"),
    "glide": ("time off the note's pitch", "%"),
    "voiced": ("voiced share", "%"),
    "f0 tempo": ("hum s a melody s", ""),
}
NOTE_MEASURES = {
    "length spread": ("spread of note lengths", "%"),
    "wrong": ("wrong notes", "%"),
    "missing": ("notes merged or skipped", "%"),
    "extra": ("notes added", "%"),
    "held": ("note held until the next", "%"),
    "tempo": ("hum s a melody s", ""),
}


@njit(cache=True)
def follow(pitch: np.ndarray, notes: np.ndarray) -> tuple[np.ndarray, float]:
    """Which note each frame sings, in order, none left out: the cheapest way. Returns rows and cost a frame."""
    n, m = len(pitch), len(notes)
    cost = np.full((n, m), np.inf)
    came = np.zeros((n, m), np.bool_)
    for i in range(n):
        for j in range(min(m, i + 1)):
            here = min(abs(pitch[i] - notes[j]), STRAY)
            if i == 0:
                cost[i, j] = here
                continue
            stay = cost[i - 1, j]
            step = cost[i - 1, j - 1] if j > 0 else np.inf
            came[i, j] = step < stay
            cost[i, j] = here + min(stay, step)
    rows = np.zeros(n, np.int64)
    j = m - 1
    for i in range(n - 1, -1, -1):
        rows[i] = j
        if came[i, j]:
            j -= 1
    return rows, cost[n - 1, m - 1] / n


@njit(cache=True)
def pair(sung: np.ndarray, meant: np.ndarray) -> tuple[np.ndarray, float]:
    """Edit alignment: for each note meant, the row that sings it or -1. A miss or an extra costs 1, a wrong
    pitch 0.3 to 1.3."""
    n, m = len(sung), len(meant)
    cost = np.zeros((n + 1, m + 1))
    cost[:, 0] = np.arange(n + 1)
    cost[0, :] = np.arange(m + 1)
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            off = abs(sung[i - 1] - meant[j - 1])
            wrong = 0.0 if off < 0.5 else min(0.3 + 0.25 * off, 1.3)
            cost[i, j] = min(cost[i - 1, j - 1] + wrong, cost[i - 1, j] + 1, cost[i, j - 1] + 1)
    rows = np.full(m, -1)
    i, j = n, m
    while i > 0 and j > 0:
        if cost[i, j] == cost[i - 1, j] + 1:
            i -= 1
        elif cost[i, j] == cost[i, j - 1] + 1:
            j -= 1
        else:
            i, j = i - 1, j - 1
            rows[j] = i
    return rows, cost[n, m] / max(n, m)


def tuning(midi: np.ndarray) -> float:
    """How far the pitches lie from whole semitones, on the whole: -0.5 to 0.5."""
    return float(np.angle(np.exp(2j * np.pi * midi).mean()) / (2 * np.pi))


def piano_notes(hz: np.ndarray) -> Notes:
    """The steps of a piano's f0 as notes; what is shorter than 80 ms is a slip of the tracker."""
    voiced = np.flatnonzero(hz > 0)
    midi = 69 + 12 * np.log2(hz[voiced] / 440)
    near = np.round(midi - tuning(midi))
    border = np.flatnonzero((np.diff(near) != 0) | (np.diff(voiced) > 3)) + 1
    runs = [r for r in np.split(np.arange(len(voiced)), border) if len(r) >= 8]
    start = np.array([voiced[r[0]] for r in runs]) * HOP_S
    end = np.append(start[1:], (voiced[runs[-1][-1]] + 1) * HOP_S)  # a piano's note is meant until the next
    return Notes(start.astype("f4"), end.astype("f4"), np.array([near[r[0]] for r in runs], "f4"))


def measure_f0(hz: np.ndarray, notes: Notes) -> Measures | None:
    """How a hum's f0 differs from the notes it should sing; None when it can't be followed."""
    frames = np.flatnonzero(hz > 0)
    if len(frames) < 10 * len(notes):
        return None
    midi = 69 + 12 * np.log2(hz[frames].astype(np.float64) / 440)
    meant = notes.midi.astype(np.float64)
    weight = np.repeat(meant, np.maximum(1, ((notes.end_s - notes.start_s) / HOP_S).astype(int)))
    guess = np.median(midi) - np.median(weight)
    best = np.inf
    for key in guess + np.arange(-3, 3.5, 0.5):
        found, cost = follow(midi, meant + key)
        if cost < best:
            best, rows = cost, found
    key = np.median(midi - meant[rows])
    rows, best = follow(midi, meant + key)
    if best > 1.5:
        return None
    runs = [np.flatnonzero(rows == j) for j in range(len(meant))]
    middles = [r[len(r) // 5 : max(len(r) // 5 + 1, len(r) - len(r) // 5)] for r in runs]
    sung = np.array([np.median(midi[r]) for r in middles])
    error = sung - meant
    error -= np.median(error)
    at_s = np.array([frames[r].mean() * HOP_S for r in runs])
    right = np.abs(error) < 1.5
    line = np.polyfit(at_s[right], 100 * error[right], 1) if right.sum() > 4 else (0.0, 0.0)
    long_enough = [r for r in middles if len(r) >= 12]
    span = frames[-1] - frames[0] + 1
    return {
        "pitch error": 100 * float(np.median(np.abs(error[right]))) if right.any() else np.nan,
        "unsteadiness": 100 * float(np.median([midi[r].std() for r in long_enough])) if long_enough else np.nan,
        "drift": abs(float(line[0])),
        "glide": 100 * float(np.mean(np.abs(midi - sung[rows]) > 0.5)),
        "voiced": 100 * len(frames) / span,
        "f0 tempo": span * HOP_S / float(notes.end_s[-1] - notes.start_s[0]),
    }


def measure_notes(sung: Notes, meant: Notes) -> Measures | None:
    """How a hum's notes differ from the melody's; None when most of them can't be paired."""
    heard = np.round(sung.midi.astype(np.float64) - tuning(sung.midi))  # as a transcriber writes it down
    middle = round(float(np.median(heard) - np.median(meant.midi)))
    tries = [pair(heard - key, meant.midi.astype(float)) for key in range(middle - 4, middle + 5)]
    rows, _ = min(tries, key=lambda found: found[1])
    both = rows >= 0
    if both.mean() < 0.5:
        return None
    off = heard[rows[both]] - meant.midi[both]
    off -= np.median(off)
    follows = both[:-1] & both[1:] & (np.diff(rows) == 1)
    first = np.flatnonzero(follows)
    gap = sung.start_s[rows[first] + 1] - sung.start_s[rows[first]]
    ratio = np.log(gap / (meant.start_s[first + 1] - meant.start_s[first]))
    held = (sung.end_s[:-1] - sung.start_s[:-1]) / np.diff(sung.start_s)
    return {
        "length spread": 100 * float(1.4826 * np.median(np.abs(ratio - np.median(ratio)))),
        "wrong": 100 * float(np.mean(np.abs(off) > 0.5)),
        "missing": 100 * float(np.mean(~both)),
        "extra": 100 * float((len(sung) - both.sum()) / len(meant)),
        "held": 100 * float(np.median(held)),
        "tempo": float(np.exp(np.median(ratio))),
    }


def read_mast(path: Path) -> tuple[dict[str, Notes], list[tuple[str, str, np.ndarray]]]:
    """Melodies by id, and (melody, grade, hz) a hum."""
    import pandas as pd

    table = pd.read_parquet(path)
    songs = table[table["role"] == "song"]
    melodies = {m: piano_notes(np.asarray(hz)) for m, hz in zip(songs["music_id"], songs["hz"], strict=True)}
    hums = table[table["role"] == "hum"]
    rows = zip(hums["music_id"], hums["grade"], hums["hz"], strict=True)
    return melodies, [(m, grade, np.asarray(hz)) for m, grade, hz in rows if m in melodies]


def read_humtrans(folder: Path) -> tuple[dict[str, Notes], list[tuple[str, str, Notes]]]:
    """Melodies by id, and (melody, transcriber, notes) a hum."""

    def lines(name: str) -> list[dict[str, Any]]:
        with gzip.open(folder / f"{name}.jsonl.gz", "rt") as file:
            return [json.loads(line) for line in file]

    def notes(rows: list[list[float]]) -> Notes:
        return Notes(*np.array(rows, np.float32).reshape(-1, 3).T)

    melodies = {r["melody"]: notes(r["notes"]) for r in lines("humtrans_valid_targets")}
    hums = [(r["melody"], r["transcriber"], notes(r["notes"])) for r in lines("humtrans_valid_hums")]
    return melodies, [h for h in hums if len(h[2]) > 4]


def gather(found: Iterable[Measures | None]) -> tuple[dict[str, np.ndarray], int]:
    """One array a measure, and how many hums could not be followed."""
    rows = list(found)
    kept = [r for r in rows if r]
    return {name: np.array([r[name] for r in kept]) for name in kept[0]}, len(rows) - len(kept)


def compare(folder: Path, config: HummerConfig, seed: int) -> dict[str, tuple[dict[str, np.ndarray], int]]:
    """Group of hums -> its measures."""
    groups = {}
    melodies, hums = read_mast(folder / "mast_open.parquet")
    for grade in ("pass", "fail"):
        chosen = [(m, hz) for m, g, hz in hums if g == grade]
        groups[f"MAST, {grade}"] = gather(measure_f0(hz, melodies[m]) for m, hz in chosen)
    rng = np.random.default_rng(seed)
    hz_simulated = ((m, perform(melodies[m], rng, config).hz) for m, _, _ in hums)
    groups["simulated, MAST's"] = gather(measure_f0(hz, melodies[m]) for m, hz in hz_simulated)
    melodies, heard = read_humtrans(folder)
    for who in sorted({t for _, t, _ in heard}):
        groups[f"HumTrans, {who}"] = gather(measure_notes(n, melodies[m]) for m, t, n in heard if t == who)
    sung = ((m, perform(melodies[m], rng, config).notes) for m, _, _ in heard[::3])
    groups["simulated, HumTrans's"] = gather(measure_notes(n, melodies[m]) for m, n in sung)
    return groups


def draw(groups: dict[str, tuple[dict[str, np.ndarray], int]], path: Path) -> None:
    """One row a measure: each group's median, middle half and middle four fifths."""
    import matplotlib.pyplot as plt

    plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = plt.subplots(2, 6, figsize=(17, 6.4), layout="constrained")
    for row, measures in zip(axes, (F0_MEASURES, NOTE_MEASURES), strict=True):
        for column, (axis, (name, (title, unit))) in enumerate(zip(row, measures.items(), strict=True)):
            shown = [(label, found[name]) for label, (found, _) in groups.items() if name in found]
            for y, (_, values) in enumerate(reversed(shown)):
                simulated = y == 0
                colour = "#d1495b" if simulated else "#30638e"
                low, left, middle, right, high = np.nanpercentile(values, [10, 25, 50, 75, 90])
                axis.plot([low, high], [y, y], color=colour, lw=2, alpha=0.5)
                axis.plot([left, right], [y, y], color=colour, lw=9, alpha=0.55, solid_capstyle="butt")
                axis.plot(middle, y, "o", color="white", mec=colour, mew=2, ms=8)
            labels = [f"{label}\n{len(v)} hums" for label, v in reversed(shown)]
            axis.set_yticks(range(len(shown)), labels if column == 0 else [""] * len(shown))
            axis.set_ylim(-0.6, len(shown) - 0.4)
            axis.set_xlim(left=0)
            axis.set_title(title, fontsize=11, loc="left")
            axis.set_xlabel(unit)
            axis.grid(axis="x", alpha=0.25)
    title = "Simulated hums (red) beside real people (blue): median, middle half, middle four fifths"
    figure.suptitle(title, x=0.01, ha="left", fontsize=14)
    figure.savefig(path, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=os.environ.get("HUMFIND_REAL_DATA"))
    parser.add_argument("--out", type=Path, default=Path("hum_realism.png"))
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    if args.data is None or not Path(args.data, "mast_open.parquet").is_file():
        parser.error(f"--data {args.data}: holds no mast_open.parquet; name the folder of real hums")
    groups = compare(Path(args.data), HummerConfig(), args.seed)
    for measures in (F0_MEASURES, NOTE_MEASURES):
        titles = [f"{title}, {unit}" if unit else title for title, unit in measures.values()]
        print(f"\n{'median [10 % - 90 %]':26}" + "".join(f"{title:>35}" for title in titles))
        for label, (found, lost) in groups.items():
            if next(iter(measures)) not in found:
                continue
            cells = []
            for name in measures:
                low, middle, high = np.nanpercentile(found[name], [10, 50, 90])
                cells.append(f"{middle:.4g} [{low:.3g} - {high:.3g}]")
            count = len(next(iter(found.values())))
            print(f"{label:26}" + "".join(f"{c:>35}" for c in cells) + f"   {count} hums, {lost} not followed")
    draw(groups, args.out)
    print(f"\ndrawn: {args.out}")


if __name__ == "__main__":
    main()
