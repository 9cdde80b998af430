"""Lab playlist: what the features hold, and which space keeps genres together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from humfind.metrics import Interval
from humfind.plots import style


def explained(total: np.ndarray, kept: int, claim: str) -> Figure:
    """The variance that the first components explain together. total: (components,), rising to 1."""
    figure, axes = style.canvas(claim, "Dashed: the components that are kept.", size=(10, 3.6))
    axis = axes[0, 0]
    axis.plot(np.arange(1, len(total) + 1), total, color=style.SONG, linewidth=2.2)
    axis.axvline(kept, color=style.INK, linestyle="--", linewidth=1)
    axis.set_ylim(0, 1.02)
    style.panel(axis, "", "components", "share of the variance")
    return figure


def shares(found: Mapping[str, Interval], claim: str) -> Figure:
    """Shares with their intervals."""
    look = "How often tracks of a genre lie nearer to each other than to others. Bars: 95 % intervals over genres."
    figure, axes = style.canvas(claim, look, size=(10, 1.9 + 0.5 * len(found)))
    axis = axes[0, 0]
    for row, (_, one) in enumerate(found.items()):
        style.interval(axis, row, one, style.SONG)
    axis.axvline(0.5, color=style.INK, linestyle="--", linewidth=1)
    axis.set_yticks(range(len(found)), list(found))
    axis.set_ylim(len(found) - 0.4, -0.7)
    axis.set_xlim(0, 1.02)
    style.panel(axis, "", "share (0.5: chance)")
    return figure


def methods(found: Mapping[str, Any], chance: float, claim: str) -> Figure:
    """Precision among neighbours, and the report's metric. found: name -> ``labs.playlist.study.Found``."""
    look = "Bars: 95 % bootstrap intervals, over tracks and over genres. Dashed: chance. No feature holds the genre."
    figure, axes = style.canvas(claim, look, 1, 2, size=(11, 1.9 + 0.5 * len(found)), sharey=True)
    left, right = axes[0]
    for row, (_, one) in enumerate(found.items()):
        style.interval(left, row, one.precision, style.SONG)
        style.interval(right, row, one.separation.cosine, style.HUM)
    left.axvline(chance, color=style.INK, linestyle="--", linewidth=1)
    right.axvline(0.5, color=style.INK, linestyle="--", linewidth=1)
    left.set_yticks(range(len(found)), list(found))
    left.set_ylim(len(found) - 0.4, -0.7)
    for axis in (left, right):
        axis.set_xlim(0, 1.02)
    style.panel(left, "", "of ten neighbours, those of the genre")
    style.panel(right, "", "genres kept together, by cosine")
    return figure


def labels(found: Mapping[str, Mapping[str, Interval]], chance: Mapping[str, float], claim: str) -> Figure:
    """Precision among neighbours, a panel for each thing that is asked. found: name -> what is asked -> precision."""
    look = "Of ten neighbours, those that share it. Bars: 95 % bootstrap intervals over tracks. Dashed: chance."
    figure, axes = style.canvas(claim, look, 1, len(chance), size=(12, 1.9 + 0.5 * len(found)), sharey=True)
    for axis, (what, at_random), colour in zip(axes[0], chance.items(), style.CYCLE, strict=False):
        for row, one in enumerate(found.values()):
            style.interval(axis, row, one[what], colour)
        axis.axvline(at_random, color=style.INK, linestyle="--", linewidth=1)
        axis.set_xlim(0, 1.02)
        style.panel(axis, what, "share")
    axes[0, 0].set_yticks(range(len(found)), list(found))
    axes[0, 0].set_ylim(len(found) - 0.4, -0.7)
    return figure


def sweep(found: Mapping[float, Mapping[float, Interval]], claim: str) -> Figure:
    """Precision by ArcFace's margin, a line a scale. found: scale -> margin -> precision."""
    figure, axes = style.canvas(claim, "Bands: 95 % intervals over tracks. A margin of 0 is softmax.", size=(10, 4))
    axis = axes[0, 0]
    for (scale, mine), colour in zip(found.items(), style.CYCLE, strict=False):
        margins = sorted(mine)
        style.band(axis, margins, [mine[margin] for margin in margins], colour, f"scale {scale:g}")
    axis.legend()
    style.panel(axis, "", "margin, radians", "of ten neighbours, those of the genre")
    return figure


def spaces(panels: Mapping[str, tuple[np.ndarray, Sequence[str]]], claim: str) -> Figure:
    """Maps of the same tracks side by side, coloured by label. panels: name -> places (n, 2), labels."""
    look = "t-SNE: near is alike, the axes mean nothing."
    figure, axes = style.canvas(claim, look, 1, len(panels), size=(3.8 * len(panels), 4.9))
    for axis, (name, (places, labels)) in zip(axes[0], panels.items(), strict=True):
        for label, colour in zip(sorted(set(labels)), style.CYCLE, strict=False):
            rows = [one == label for one in labels]
            axis.scatter(*places[rows].T, s=34, color=colour, label=label, alpha=0.85, linewidths=0)
        style.panel(axis, name)
        axis.set_xticks([])
        axis.set_yticks([])
    handles, names = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=len(names))
    return figure


def cosines(panels: Mapping[str, tuple[np.ndarray, Sequence[str]]], claim: str) -> Figure:
    """Heat maps of mean cosines, label by label. panels: name -> values (labels, labels), names."""
    look = "Mean cosine of two different tracks, of the label of the row and of the column."
    figure, axes = style.canvas(claim, look, 1, len(panels), size=(3.8 * len(panels), 4.4))
    most = max(float(np.abs(values).max()) for values, _ in panels.values())
    for place, (axis, (name, (values, names))) in enumerate(zip(axes[0], panels.items(), strict=True)):
        axis.imshow(values, cmap="RdBu_r", vmin=-most, vmax=most)
        axis.set_xticks(range(len(names)), names, rotation=40, ha="right")
        axis.set_yticks(range(len(names)), names if not place else [""] * len(names))
        for (row, column), value in np.ndenumerate(values):
            ink = "white" if abs(value) > 0.6 * most else style.INK
            axis.text(column, row, f"{value:.2f}", ha="center", va="center", fontsize=8, color=ink)
        style.panel(axis, name)
        axis.grid(visible=False)
    return figure
