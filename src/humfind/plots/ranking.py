"""Notebook 05: which ranker, how sure, and what goes wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from humfind.metrics import Interval
from humfind.plots import pairs, style


def rankers(figures: Mapping[str, Mapping[str, Interval]], chance: Mapping[str, float], claim: str) -> Figure:
    """MRR@10 with its interval, a panel a split. figures: split -> ranker, or "ranker, model" -> interval; the second
    model of a ranker is drawn hollow. chance: split -> MRR."""
    look = "Bars: 95 % bootstrap intervals over hums. Dashed: a random order of the same songs."
    if any("," in name for by_ranker in figures.values() for name in by_ranker):
        look += " Hollow: the second model of the same ranker."
    most = max(len(by_ranker) for by_ranker in figures.values())
    figure, axes = style.canvas(claim, look, 1, len(figures), size=(10, 1.7 + 0.48 * most), sharex=True)
    for axis, (split, by_ranker) in zip(axes[0], figures.items(), strict=True):
        drawn: set[str] = set()
        for i, (name, found) in enumerate(by_ranker.items()):
            colour = style.ranker_colour(name)
            face = "white" if colour in drawn else colour
            drawn.add(colour)
            style.interval(axis, i, found, colour, face)
        axis.axvline(chance[split], color=style.INK, linestyle="--", linewidth=1)
        axis.set_yticks(range(len(by_ranker)), list(by_ranker))
        axis.set_ylim(len(by_ranker) - 0.4, -0.6)
        axis.set_xlim(0, 1)
        style.panel(axis, split, "MRR@10", "")
    return figure


def vote_k(curves: Mapping[str, tuple[Sequence[int], Sequence[Interval]]], chosen: int) -> Figure:
    """MRR@10 of the vote against K, a line a split. chosen: the K of this run."""
    claim = "The vote's K: how many neighbours of each window have a say"
    look = "K = 1 asks only the nearest window. Bands: 95 % intervals. Dotted: the K of this run."
    figure, axes = style.canvas(claim, look)
    axis = axes[0, 0]
    for split, (ks, found) in curves.items():
        style.band(axis, ks, found, style.split_colour(split), split)
    axis.axvline(chosen, color=style.INK, linestyle=":", linewidth=1.2)
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter("{x:.0f}")
    axis.set_ylim(0, 1)
    style.panel(axis, "", "K", "MRR@10")
    axis.legend()
    return figure


def where_it_landed(rank: Mapping[str, np.ndarray], k: int = 10) -> Figure:
    """How many queries found the right song at each rank; the last bar is 'not among the first k'."""
    first = {split: float(np.mean(r == 1)) for split, r in rank.items()}
    claim = "The right song comes first for " + ", ".join(f"{v:.0%} ({split})" for split, v in first.items())
    look = f"Share of hums by the rank of the right song; '>{k}': not among the first {k}."
    figure, axes = style.canvas(claim, look)
    x = np.arange(1, k + 2)
    width = 0.8 / len(rank)
    for i, (split, found) in enumerate(rank.items()):
        share = np.array([np.mean(found == r) for r in range(1, k + 1)] + [np.mean(found == 0)])
        offset = (i - (len(rank) - 1) / 2) * width
        axes[0, 0].bar(x + offset, share, width, color=style.split_colour(split), label=f"{split} ({len(found)} hums)")
    axes[0, 0].set_xticks(x, [*(str(r) for r in range(1, k + 1)), f">{k}"])
    axes[0, 0].grid(axis="x", visible=False)
    style.panel(axes[0, 0], "", "rank of the right song", "share of hums")
    axes[0, 0].legend()
    return figure


def worst(cases: Sequence[Mapping[str, Any]]) -> Figure:
    """The queries that went worst: left the hum on the right song, right on the song that was preferred.

    cases: ``name``, ``rank``, ``hum`` (Contour), and for ``right`` and ``wrong``: (title, Contour, Match, error,
    music_id).
    """
    claim = "The worst queries: the hum on its own song, and on the song that was preferred"
    look = "If the left looks as good as the right, the ranker failed; if it looks bad, the hum or the tracker did."
    figure, axes = style.canvas(claim, look, len(cases), 2, size=(11, 2.4 * len(cases) + 0.8))
    for row, case in zip(axes, cases, strict=True):
        for axis, side, colour in ((row[0], "right", style.SONG), (row[1], "wrong", style.WRONG)):
            title, song, match, error, _ = case[side]
            pairs.overlay(axis, case["hum"], song, match, colour)
            axis.set_xlim(left=max(0.0, axis.get_xlim()[0]))  # a song has nothing before its start
            rank = f"rank {case['rank'] or '>10'}" if side == "right" else "ranked first"
            style.panel(axis, f"{case['name']}: {title} ({rank}), error {error:.1f} st", "seconds", "semitones")
    return figure


def differences(found: Mapping[str, Interval], claim: str) -> Figure:
    """Paired differences of MRR@10, one line each; an interval that misses 0 is more than luck."""
    look = "Paired on the same hums, 95 % bootstrap intervals. Right of 0: the first named is better."
    figure, axes = style.canvas(claim, look, size=(10, 1.6 + 0.45 * len(found)))
    axis = axes[0, 0]
    for i, gap in enumerate(found.values()):
        colour = style.SONG if gap.low > 0 or gap.high < 0 else style.MUTED
        axis.plot([gap.low, gap.high], [i, i], color=colour, linewidth=5, solid_capstyle="round")
        axis.plot(gap.value, i, "o", color=style.INK)
        axis.annotate(f"{gap.value:+.2f}", (gap.value, i), (0, 8), textcoords="offset points", ha="center")
    axis.axvline(0, color=style.INK, linewidth=1)
    axis.set_yticks(range(len(found)), list(found))
    axis.set_ylim(len(found) - 0.5, -0.7)
    axis.grid(axis="y", visible=False)
    style.panel(axis, "", "difference of MRR@10", "")
    return figure


def calibration(stated: np.ndarray, right: np.ndarray, here: np.ndarray) -> Figure:
    """Whether probabilities mean what they say, and whether "not here" is noticed.

    stated: (n,) the probability of the first answer. right: (n,) whether it was the song. here: (n,) whether the song
    was in the index at all.
    """
    thresholds = np.sort(np.unique(stated))[::-1]
    found = np.array([np.mean(stated[here] >= t) for t in thresholds])
    false = np.array([np.mean(stated[~here] >= t) for t in thresholds])
    area = float(np.mean(stated[here][:, None] > stated[~here][None]))
    claim = f"How sure it is tells whether the song is there: area under the curve {area:.2f}"
    look = f"{len(stated)} searches, the right song in the index in {here.mean():.0%} of them. Dashed: perfect; chance."
    figure, axes = style.canvas(claim, look, 1, 2, size=(10, 4.2))
    left, side = axes[0]
    edges = np.linspace(0, 1, 6)
    bins = np.clip(np.digitize(stated, edges) - 1, 0, 4)
    for chosen in range(5):
        inside = bins == chosen
        if inside.any():
            left.plot(stated[inside].mean(), right[inside].mean(), "o", color=style.SONG, markersize=9)
            point = (float(stated[inside].mean()), float(right[inside].mean()))
            left.annotate(str(int(inside.sum())), point, (0, 9), textcoords="offset points", ha="center")
    left.plot([0, 1], [0, 1], color=style.INK, linestyle="--", linewidth=1)
    left.set_ylim(-0.03, 1.1)
    style.panel(left, "reliability (numbers: searches)", "stated probability", "share right")
    side.plot(np.append(0, false), np.append(0, found), color=style.SONG, linewidth=2)
    side.plot([0, 1], [0, 1], color=style.INK, linestyle="--", linewidth=1)
    side.set_ylim(-0.03, 1.1)
    style.panel(side, "is it here at all?", "false alarms among songs that are not", "found among songs that are")
    return figure


def difficulty(
    by_length: Mapping[str, Interval], sizes: Sequence[int], by_songs: Sequence[Interval], chance: Sequence[float]
) -> Figure:
    """MRR@10 of short, middle and long hums (left), and among more and more songs (right). chance: of each size."""
    first, *_, last = by_length
    claim = f"MRR@10 {by_length[first].value:.2f} for hums of {first}, {by_length[last].value:.2f} for those of {last};"
    claim += f"\n{by_songs[0].value:.2f} among {sizes[0]} songs, {by_songs[-1].value:.2f} among {sizes[-1]}"
    look = "95 % bootstrap intervals over hums. Right: each hum is searched in the database that has its song."
    figure, axes = style.canvas(claim, look, 1, 2, size=(10, 4.2), sharey=True)
    left, side = axes[0]
    for i, found in enumerate(by_length.values()):
        left.plot([i, i], [found.low, found.high], color=style.MUTED, linewidth=6, solid_capstyle="round")
        left.plot(i, found.value, "o", color=style.HUM, markersize=9)
    left.set_xticks(range(len(by_length)), list(by_length))
    left.set_xlim(-0.5, len(by_length) - 0.5)
    left.set_ylim(0, 1.04)
    style.panel(left, "", "length of the hum, as many hums in each group", "MRR@10")
    style.band(side, sizes, by_songs, style.SONG, "found")
    side.plot(sizes, chance, color=style.INK, linestyle="--", linewidth=1, label="chance")
    side.set_xscale("log", base=2)
    side.set_xticks(sizes, [str(size) for size in sizes])
    side.minorticks_off()
    style.panel(side, "", "songs that are searched", "")
    side.legend(loc="lower left")
    return figure


def verdicts(verdict: Sequence[str], right: np.ndarray, here: np.ndarray) -> Figure:
    """What was said, with the song there and taken away. verdict: (n,) of each search. right: (n,) whether the first
    song was the hummed one. here: (n,) whether that was in the index."""
    said = np.array(verdict)
    sure = said == "found"
    claim = f"'found' was said {sure.sum()} times and right {right[sure].sum()} times; "
    claim += (
        f"of {(~here).sum()} songs that are not there\n'not here' was said of {((said == 'not here') & ~here).sum()}"
    )
    look = "Solid: the first song is the right one. Pale: it is another."
    figure, axes = style.canvas(claim, look, size=(10, 3.6))
    axis, names = axes[0, 0], ("found", "one of these", "not here")
    rows = [(name, there) for there in (True, False) for name in names]
    for i, (name, there) in enumerate(rows):
        these = (said == name) & (here == there)
        good, all_of = int((these & right).sum()), int(these.sum())
        axis.barh(i, good, color=style.SONG, height=0.65)
        axis.barh(i, all_of - good, left=good, color=style.WRONG, height=0.65, alpha=0.45)
        axis.annotate(str(all_of), (all_of, i), (4, 0), textcoords="offset points", va="center")
    axis.set_yticks(range(len(rows)), [f"{name}, {'there' if there else 'taken away'}" for name, there in rows])
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    style.panel(axis, "", "searches", "")
    return figure
