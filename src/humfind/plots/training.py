"""Notebook 03: how training went, what it pulled apart, and the two experiments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from humfind.metrics import Interval
from humfind.plots import style


def history(rows: Sequence[Mapping[str, Any]], losses: Sequence[float], chance: float) -> Figure:
    """Loss and validation MRR against steps. rows: ``step``, ``loss``, ``validation_mrr``, ``low``, ``high``.

    losses: of every step.
    """
    steps = np.array([row["step"] for row in rows])
    mrr = np.array([row["validation_mrr"] for row in rows])
    best = len(mrr) - 1 - int(np.argmax(mrr[::-1]))  # of equal figures the later, as training keeps it
    claim = f"Validation MRR@10 reaches {mrr[best]:.2f} at step {steps[best]}; chance is {chance:.2f}"
    look = (
        "Left: the loss of each step, and its mean between validations. Right: songs never seen in training, 95 % band."
    )
    figure, axes = style.canvas(claim, look, 1, 2)
    axes[0, 0].plot(np.arange(1, len(losses) + 1), losses, color=style.MUTED, linewidth=1, label="a step")
    middle = (steps + np.concatenate([[0], steps[:-1]])) / 2
    axes[0, 0].plot(middle, [row["loss"] for row in rows], color=style.INK, marker="o", markersize=4, label="mean")
    axes[0, 0].legend()
    style.panel(axes[0, 0], "training loss", "step", "loss")
    low, high = ([row[name] for row in rows] for name in ("low", "high"))
    colour = style.split_colour("validation")
    axes[0, 1].fill_between(steps, low, high, color=colour, alpha=0.15, linewidth=0)
    axes[0, 1].plot(steps, mrr, color=colour, marker="o", markersize=3)
    axes[0, 1].plot(
        steps[best], mrr[best], "o", color=colour, mfc="white", mew=2, markersize=9, label="kept checkpoint"
    )
    axes[0, 1].axhline(chance, color=style.MUTED, linestyle="--", label="chance")
    style.panel(axes[0, 1], "validation MRR@10", "step", "MRR@10")
    axes[0, 1].set_ylim(0, 1)
    axes[0, 1].legend(loc="lower right")
    return figure


def lab_history(
    rows: Sequence[Mapping[str, Any]], losses: Sequence[float], held_out: str, over: str, figure_of: str = "MAP"
) -> Figure:
    """A lab's training: loss of each step, and MAP or MRR of what was held out. over: what the interval is over."""
    score = f"validation_{figure_of.lower()}"
    best = max(rows, key=lambda row: row[score])
    claim = f"{figure_of} on held-out {held_out} is best at step {best['step']}: {best[score]:.2f}"
    look = f"Pale: each step's loss; solid: its mean since the last validation. Band: 95 % interval over {over}."
    figure, axes = style.canvas(claim, look, 1, 2, size=(10, 3.8))
    left, right = axes[0]
    steps = [row["step"] for row in rows]
    left.plot(np.arange(1, len(losses) + 1), losses, color=style.MUTED, linewidth=0.8)
    left.plot(steps, [row["loss"] for row in rows], color=style.INK, marker="o")
    style.panel(left, "", "step", "loss")
    style.band(right, steps, [Interval(row[score], row["low"], row["high"]) for row in rows], style.SONG, "")
    right.set_ylim(0, 1.02)
    style.panel(right, "", "step", figure_of)
    return figure


def pair_distances(matching: np.ndarray, other: np.ndarray, overlap: float) -> Figure:
    """Distances between hums and their own song, and between hums and other songs; each (pairs,)."""
    closer = np.mean(matching[:, None] < other[None]) if len(matching) and len(other) else 0.0
    claim = (
        f"A matching pair lies closer than another in {closer:.0%} of cases; Bhattacharyya coefficient {overlap:.2f}"
    )
    look = "1 would be the same distribution, 0 no overlap. Nearest windows of validation hums and songs."
    if not len(matching) or not len(other):
        figure, axes = style.canvas("One validation song: there are no other songs to compare with")
        style.empty(axes[0, 0], "Give more songs, or a larger validation_share.")
        return figure
    figure, axes = style.canvas(claim, look)
    for values, colour, name in ((other, style.WRONG, "other songs"), (matching, style.SONG, "the right song")):
        axes[0, 0].ecdf(values, color=colour, linewidth=2.2, label=f"{name} ({len(values)} pairs)")
    style.panel(axes[0, 0], "", "Euclidean distance", "share of pairs at most so far apart")
    axes[0, 0].legend()
    return figure


def margins(rows: Sequence[Mapping[str, Any]], claim: str) -> Figure:
    """The margin experiment: a point a (normalised or not, margin).

    rows: ``normalise``, ``margin``, ``positive``, ``negative`` (mean distances), ``satisfied`` (share of
    triplets), ``mrr``, ``low``, ``high``.
    """
    look = "Left: the distance that training made, and the margin it was asked for. Right: what it costs in search."
    figure, axes = style.canvas(claim, look, 1, 2, size=(10, 4.2))
    labels = [f"{'unit sphere' if row['normalise'] else 'free'}\nmargin {row['margin']:g}" for row in rows]
    x = np.arange(len(rows))
    gap = np.array([row["negative"] - row["positive"] for row in rows])
    colours = [style.HUM if row["normalise"] else style.SONG for row in rows]
    axes[0, 0].bar(x, gap, color=colours, width=0.6)
    for i, row in enumerate(rows):
        axes[0, 0].plot([i - 0.35, i + 0.35], [row["margin"]] * 2, color=style.INK, linestyle="--", linewidth=1.2)
        text = f"{row['satisfied']:.0%} met"
        height = max(gap[i], row["margin"], 0)
        axes[0, 0].annotate(text, (i, height), (0, 4), textcoords="offset points", ha="center", fontsize=9)
    style.panel(axes[0, 0], "mean distance: other minus matching (bar), margin asked for (line)", "", "distance")
    mrr = np.array([row["mrr"] for row in rows])
    spread = np.array([[row["mrr"] - row["low"], row["high"] - row["mrr"]] for row in rows]).T
    axes[0, 1].errorbar(x, mrr, yerr=spread, fmt="none", ecolor=style.MUTED, capsize=3)
    axes[0, 1].scatter(x, mrr, c=colours, s=45, zorder=3)
    axes[0, 1].set_ylim(0, 1)
    style.panel(axes[0, 1], "validation MRR@10", "", "MRR@10")
    for axis in axes[0]:
        axis.set_xticks(x, labels, fontsize=8)
        axis.grid(axis="x", visible=False)
    return figure


def control(histories: Mapping[str, Sequence[Mapping[str, Any]]], claim: str, look: str) -> Figure:
    """Validation MRR of the same network fed with different inputs, against steps."""
    figure, axes = style.canvas(claim, look)
    for i, (name, rows) in enumerate(histories.items()):
        steps = [row["step"] for row in rows]
        colour = style.CYCLE[i]
        axes[0, 0].fill_between(
            steps, [r["low"] for r in rows], [r["high"] for r in rows], color=colour, alpha=0.12, linewidth=0
        )
        axes[0, 0].plot(steps, [r["validation_mrr"] for r in rows], color=colour, marker="o", markersize=3, label=name)
    style.panel(axes[0, 0], "", "step", "validation MRR@10")
    axes[0, 0].set_ylim(0, 1)
    axes[0, 0].legend(loc="lower right", bbox_to_anchor=(1, 1), ncol=2)  # above, beside no line
    return figure


def variants(figures: Mapping[str, Interval], base: str, claim: str) -> Figure:
    """MRR@10 of variants that differ in one thing. figures: label -> interval; base: the label to compare with."""
    look = f"Bars: 95 % bootstrap intervals over hums. Dashed: {base}."
    figure, axes = style.canvas(claim, look, size=(10, 1.6 + 0.36 * len(figures)))
    axis = axes[0, 0]
    for i, (label, found) in enumerate(figures.items()):
        axis.plot([found.low, found.high], [i, i], color=style.MUTED, linewidth=6, solid_capstyle="round")
        axis.plot(found.value, i, "o", color=style.HUM if label == base else style.SONG, markersize=8, zorder=3)
        axis.annotate(f"{found.value:.2f}", (found.high, i), (8, -3), textcoords="offset points", fontsize=9)
    axis.axvline(figures[base].value, color=style.INK, linestyle="--", linewidth=1)
    axis.set_yticks(range(len(figures)), list(figures))
    axis.set_ylim(len(figures) - 0.4, -0.6)
    axis.set_xlim(0, min(1.0, 1.3 * max(found.high for found in figures.values())))
    axis.grid(axis="y", visible=False)
    style.panel(axis, "", "MRR@10", "")
    return figure


def augmentations(panels: Sequence[tuple[str, np.ndarray, np.ndarray]], frame_s: float, claim: str) -> Figure:
    """A crop before and after each augmentation. panels: name, before and after, (channels, frames) as encoded."""
    look = "Blue: the crop as it is. Orange: with this augmentation alone, at its default strength."
    columns = 3
    rows = -(-len(panels) // columns)
    figure, axes = style.canvas(claim, look, rows, columns, size=(11, 1.9 * rows + 0.9), sharex=True, sharey=True)
    for axis in axes.ravel()[len(panels) :]:
        axis.set_axis_off()
    for axis, (name, before, after) in zip(axes.ravel(), panels, strict=False):
        for values, colour, width in ((before, style.SONG, 2.6), (after, style.HUM, 1.3)):
            pitch = 12 * np.where(values[-1] > 0, values[0], np.nan) if len(values) > 1 else values[0]
            axis.plot(np.arange(values.shape[-1]) * frame_s, pitch, color=colour, linewidth=width)
        style.panel(axis, name)
    for axis in axes[-1]:
        axis.set_xlabel("seconds")
    for axis in axes[:, 0]:
        axis.set_ylabel("semitones\nfrom key")
    return figure
