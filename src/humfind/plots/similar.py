"""Lab similar: the wavelets, the deformations, the triplets, who finds what, and how it is searched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from humfind.metrics import Interval
from humfind.plots import style, training

PALETTE = (*style.CYCLE, *style.SEVERAL)
WAYS = (style.SONG, style.MUTED, style.HUM, style.OTHER)  # of describing a segment, in the order of the study
FAMILIES = {
    "trees": style.SONG,
    "trees, threshold": "#6f9fd8",
    "trees, pool": "#3da35d",
    "Annoy": style.HUM,
    "faiss HNSW": style.WRONG,
    "faiss exact": style.INK,
}
OCTAVES = 62.5 * 2.0 ** np.arange(7)  # Hz
Segment = tuple[str, np.ndarray, float]  # title, (filters, frames) of log magnitudes, seconds


def wavelets(
    single: Sequence[tuple[float, np.ndarray]],
    seconds: np.ndarray,
    gains: tuple[np.ndarray, np.ndarray],
    spacings: Mapping[str, np.ndarray],
    claim: str,
) -> Figure:
    """Some wavelets, the bank, and where all have their centres. single: (centre in Hz, real part over ``seconds``);
    gains: Hz, and (filters, Hz) how much of each the filters let through; spacings: centres in Hz, rising, by how they
    are spaced."""
    look = "Left: real parts, scaled to the same height. Middle: every eighth filter. Right: every centre."
    figure, axes = style.canvas(claim, look, 1, 3, size=(12, 4.6), width_ratios=(1.2, 1.2, 1))
    left, middle, right = axes[0]
    for row, (_, values) in enumerate(single):
        left.plot(1000 * seconds, 0.45 * values / np.abs(values).max() + row, color=style.SONG, linewidth=1)
    left.set_yticks(range(len(single)), [f"{centre:.0f} Hz" for centre, _ in single])
    left.grid(axis="y", visible=False)
    style.panel(left, "", "ms")
    for values in gains[1]:
        middle.plot(gains[0], values, color=style.SONG, linewidth=1, alpha=0.8)
    middle.set_xscale("log", base=2)
    middle.set_xticks(OCTAVES, [f"{hz:.0f}" for hz in OCTAVES])
    middle.set_xlim(40, 5500)
    style.panel(middle, "", "Hz", "gain")
    for (name, centres), colour in zip(spacings.items(), (style.SONG, style.HUM), strict=False):
        right.plot(np.arange(1, len(centres) + 1), centres, color=colour, linewidth=2.2, label=name)
    right.set_yscale("log", base=2)
    right.set_yticks(OCTAVES, [f"{hz:.0f}" for hz in OCTAVES])
    right.legend()
    style.panel(right, "", "filter", "centre, Hz")
    return figure


def spectrograms(panels: Sequence[Segment], centres: np.ndarray, claim: str, columns: int = 3) -> Figure:
    """Segments as the bank hears them. centres: Hz of each filter."""
    rows = -(-len(panels) // columns)
    look = "Bright: loud. What stays the same from panel to panel is what the network has to find."
    figure, axes = style.canvas(claim, look, rows, columns, size=(11, 1.1 + 2.3 * rows), sharex=True, sharey=True)
    loudest = max(float(image.max()) for _, image, _ in panels)
    ticks = np.linspace(0, len(centres) - 1, 4).astype(int)
    for axis, (title, image, seconds) in zip(axes.flat, panels, strict=False):
        extent = (0, seconds, -0.5, len(image) - 0.5)
        axis.imshow(
            20 * image, origin="lower", aspect="auto", cmap="magma", extent=extent, vmax=20 * loudest,
            vmin=20 * loudest - 60,
        )  # fmt: skip
        axis.set_yticks(ticks, [f"{centres[tick]:.0f} Hz" for tick in ticks])
        axis.grid(visible=False)
        style.panel(axis, title)
    for axis in axes[-1]:
        axis.set_xlabel("seconds")
    for axis in list(axes.flat)[len(panels) :]:
        axis.set_axis_off()
    return figure


def history(rows: Sequence[Mapping[str, Any]], losses: Sequence[float]) -> Figure:
    """The training: loss of each step, and how well the originals of held-out copies are found."""
    return training.lab_history(rows, losses, "copies", "copies", "MRR")


def mined(batches: Sequence[tuple[np.ndarray, np.ndarray, np.ndarray]], claim: str) -> Figure:
    """Each anchor's distance to its positive and to its negative, before and after mining. batches: (positive, at
    random, mined), (n,) each."""
    look = "A dot is an anchor. Below the line the negative is nearer than the positive. Mined: just above it."
    figure, axes = style.canvas(claim, look, 1, len(batches), size=(11, 3.8), sharex=True, sharey=True)
    edge = max(float(one.max()) for batch in batches for one in batch) * 1.05
    for number, (axis, (positive, random, chosen)) in enumerate(zip(axes[0], batches, strict=True)):
        axis.plot([0, edge], [0, edge], color=style.INK, linestyle="--", linewidth=1)
        axis.plot(positive, random, "o", color=style.MUTED, markersize=4, label="at random")
        axis.plot(positive, chosen, "o", color=style.HUM, markersize=4, alpha=0.8, label="mined")
        style.panel(axis, f"batch {number + 1}", "to the positive", "" if number else "cosine distance to the negative")
    axes[0, -1].legend(loc="lower right", fontsize=8)
    return figure


def methods(found: Mapping[str, Any], chance: float, claim: str) -> Figure:
    """How well recordings of the same label and originals of copies are found, by what a segment is known by. found:
    name -> ``labs.similar.study.Found``."""
    look = "Bars: 95 % bootstrap intervals over queries. Dashed: a random order. No label was seen in training."
    figure, axes = style.canvas(claim, look, 1, 2, size=(11, 1.9 + 0.55 * len(found)), sharey=True)
    left, right = axes[0]
    for row, (_, one) in enumerate(found.items()):
        style.interval(left, row, one.same.map, style.SONG)
        style.interval(right, row, one.copies.overall, style.SONG)
    left.axvline(chance, color=style.INK, linestyle="--", linewidth=1)
    left.set_yticks(range(len(found)), list(found))
    left.set_ylim(len(found) - 0.4, -0.7)
    for axis in (left, right):
        axis.set_xlim(0, 1.02)
    one = next(iter(found.values()))
    style.panel(left, f"same label ({one.same.queries} queries)", "mean average precision")
    style.panel(right, f"the original of a copy (among {one.copies.segments} segments)", "MRR@10")
    return figure


def kinds(found: Mapping[str, Any], claim: str) -> Figure:
    """MRR of originals by what was done to their copies."""
    names = list(next(iter(found.values())).copies.by_kind)
    look = "Bars: 95 % bootstrap intervals over copies."
    figure, axes = style.canvas(claim, look, size=(11, 1.6 + 0.75 * len(names)))
    axis = axes[0, 0]
    step = 0.8 / len(found)
    for number, (name, one) in enumerate(found.items()):
        colour = WAYS[number % len(WAYS)]
        for row, value in enumerate(one.copies.by_kind.values()):
            place = row - 0.4 + (number + 0.5) * step
            axis.plot([value.low, value.high], [place, place], color=colour, alpha=0.3, linewidth=5)
            axis.plot(value.value, place, "o", color=colour, markersize=6, label="" if row else name)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.set_xlim(0, 1.02)
    axis.grid(axis="y", visible=False)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    style.panel(axis, "", "MRR@10")
    return figure


def space(points: np.ndarray, labels: Sequence[str], claim: str) -> Figure:
    """Recordings on a plane, coloured by labels that training never saw. points: (n, 2)."""
    look = "t-SNE of cosines: a dot is a recording. Look whether colours lie together, and which do not."
    figure, axes = style.canvas(claim, look, size=(10, 5.6))
    axis = axes[0, 0]
    count = {name: labels.count(name) for name in dict.fromkeys(labels)}
    shown = sorted(count, key=lambda name: (-count[name], name))[: len(PALETTE)]
    for name in [*shown, *(["others"] if len(count) > len(shown) else [])]:
        mine = [label == name or (name == "others" and label not in shown) for label in labels]
        colour = PALETTE[shown.index(name)] if name in shown else style.MUTED
        mark = "^" if name in shown[len(style.CYCLE) :] else "o"  # the second half's colours are like the first's
        axis.plot(*points[mine].T, mark, color=colour, markersize=7, alpha=0.8, markeredgewidth=0, label=name)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.margins(0.05)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=9)
    return figure


def tree(
    levels: Sequence[Sequence[tuple[float, float, bool]]],
    leaves: Sequence[tuple[float, np.ndarray, bool]],
    groups: Sequence[str],
    claim: str,
) -> Figure:
    """A tree of hyperplanes from its root down. levels: of each depth the nodes, (middle and width in [0, 1], whether
    the query came by). leaves: (middle, share of each group, whether it was opened)."""
    look = "Each level cuts in two. Dark: where the query went. Below: what the leaves hold; opened ones are framed."
    figure, axes = style.canvas(claim, look, 2, 1, size=(11, 5.0), height_ratios=(1, 1), sharex=True)
    top, bottom = axes[:, 0]
    for depth, nodes in enumerate(levels):
        for middle, width, passed in nodes:
            colour = style.SONG if passed else style.MUTED
            top.plot(
                [middle - width / 2, middle + width / 2], [-depth, -depth], color=colour, linewidth=4 if passed else 2
            )
            for x in (middle - width / 2, middle + width / 2):
                top.plot([x, x], [-depth, -depth - 1], color=style.MUTED, linewidth=1)
    top.set_axis_off()
    top.set_ylim(-len(levels), 0.2)
    step = 0.9 * min(np.diff(sorted(middle for middle, _, _ in leaves)), default=0.5)
    for middle, shares, opened in leaves:
        low = 0.0
        for group, share in enumerate(shares):
            bottom.bar(middle, share, step, low, color=PALETTE[group % len(PALETTE)], alpha=1.0 if opened else 0.45)
            low += share
        if opened:
            bottom.bar(middle, 1.0, step, color="none", edgecolor=style.INK, linewidth=2)
    handles = [bottom.bar(0.5, 0, color=PALETTE[i % len(PALETTE)], label=name) for i, name in enumerate(groups)]
    bottom.legend(handles=handles, loc="upper left", bbox_to_anchor=(1, 1.6), fontsize=8)
    bottom.set_xticks([])
    bottom.grid(visible=False)
    style.panel(bottom, "", "leaves", "share")
    return figure


def searched(found: Sequence[Any], claim: str) -> Figure:
    """Overlap with the exact answer against time. found: ``labs.similar.search.Timed``."""
    look = "A dot is a setting; the first and last of each engine are named. Top left is best."
    figure, axes = style.canvas(claim, look, size=(11, 5))
    axis = axes[0, 0]
    for family in dict.fromkeys(one.family for one in found):
        mine = [one for one in found if one.family == family]
        colour = FAMILIES.get(family, style.OTHER)
        shares = [float(one.overlap.mean()) for one in mine]
        axis.plot([one.ms for one in mine], shares, "o-", color=colour, label=family, linewidth=1.4)
        for row in {0, len(mine) - 1}:
            place = (mine[row].ms, shares[row])
            axis.annotate(mine[row].setting, place, (4, -11), textcoords="offset points", fontsize=7, color=colour)
    axis.set_xscale("log")
    axis.set_ylim(min(float(one.overlap.mean()) for one in found) - 0.08, 1.04)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    style.panel(axis, "", "ms a query, median, one thread", "share of the exact ten that is found")
    return figure


def answered(found: Mapping[str, Interval], chance: float, claim: str, x: str) -> Figure:
    """Several ways, each with its interval."""
    look = "Bars: 95 % bootstrap intervals. Dashed: chance."
    figure, axes = style.canvas(claim, look, size=(10, 1.9 + 0.5 * len(found)))
    axis = axes[0, 0]
    for row, (_, interval) in enumerate(found.items()):
        style.interval(axis, row, interval, style.SONG)
    axis.axvline(chance, color=style.INK, linestyle="--", linewidth=1)
    axis.set_yticks(range(len(found)), list(found))
    axis.set_ylim(len(found) - 0.4, -0.7)
    axis.set_xlim(0, 1.02)
    style.panel(axis, "", x)
    return figure
