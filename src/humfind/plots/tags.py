"""Lab tags: what there is to learn from, how it is sampled, and who finds what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from humfind.metrics import Interval
from humfind.plots import style, training

SOURCES = {"sound": style.SONG, "culture": style.HUM, "both, concatenated": style.MUTED, "both, gated": style.INK}
SHOWN = 40  # tags, at most
CLOUD = 8  # colours of tracks, at most
PALETTE = (*style.CYCLE, *style.SEVERAL)


def counts(groups: Mapping[str, Mapping[str, int]], claim: str) -> Figure:
    """Tracks of each tag, those of a category together."""
    rows = [(kind, tag, n) for kind, tags in groups.items() for tag, n in tags.items()][:SHOWN]
    figure, axes = style.canvas(claim, "A colour for each category.", size=(10, 1.6 + 0.19 * len(rows)))
    axis = axes[0, 0]
    kinds = list(dict.fromkeys(kind for kind, _, _ in rows))
    for kind in kinds:
        mine = [i for i, row in enumerate(rows) if row[0] == kind]
        axis.barh(mine, [rows[i][2] for i in mine], color=PALETTE[kinds.index(kind) % len(PALETTE)], label=kind)
    axis.set_yticks(range(len(rows)), [tag for _, tag, _ in rows], fontsize=8)
    axis.set_ylim(len(rows) - 0.4, -0.6)
    axis.grid(axis="y", visible=False)
    axis.legend(loc="lower right", fontsize=8)
    style.panel(axis, "", "tracks")
    return figure


def samplers(share: np.ndarray, drawn: Mapping[str, np.ndarray], claim: str) -> Figure:
    """How often each tag is asked, against how many tracks have it. share: of each tag; drawn: the same of the
    triplets, by sampler."""
    look = "A dot is a tag. On the dashed line a tag is asked as often as it is there."
    figure, axes = style.canvas(claim, look, size=(10, 4))
    axis = axes[0, 0]
    for (name, values), colour in zip(drawn.items(), (style.HUM, style.SONG), strict=False):
        axis.plot(share, values, "o", color=colour, alpha=0.7, markeredgewidth=0, label=name)
    edge = float(max(share.max(), *(values.max() for values in drawn.values()))) * 1.05
    axis.plot([0, edge], [0, edge], color=style.INK, linestyle="--", linewidth=1)
    style.panel(axis, "", "share of the tracks' tags", "share of the triplets")
    axis.legend()
    return figure


def history(rows: Sequence[Mapping[str, Any]], losses: Sequence[float]) -> Figure:
    """The training: loss of each step, and MAP of the tracks that were held out."""
    return training.lab_history(rows, losses, "tracks", "tags")


def by_category(found: Mapping[str, Any], chance: float, claim: str) -> Figure:
    """MAP of each category of tags, by what a track is known by. found: name -> with ``by_category`` and ``report``."""
    kinds = ["all tags", *next(iter(found.values())).by_category]
    look = "Bars: 95 % bootstrap intervals over tags, none where a category has one. Dashed: a random order, all tags."
    figure, axes = style.canvas(claim, look, size=(10, 1.7 + 0.62 * len(kinds)))
    axis = axes[0, 0]
    step = 0.8 / max(1, len(found))
    for n, (name, one) in enumerate(found.items()):
        colour = SOURCES.get(name, style.OTHER)
        values = [one.report.map, *one.by_category.values()]
        places = np.arange(len(kinds)) - 0.4 + (n + 0.5) * step
        for place, value in zip(places, values, strict=True):
            axis.plot([value.low, value.high], [place, place], color=colour, alpha=0.25, linewidth=4)
        axis.plot([value.value for value in values], places, "o", color=colour, markersize=6, label=name)
    axis.axvline(chance, color=style.INK, linestyle="--", linewidth=1)
    axis.set_yticks(range(len(kinds)), kinds)
    axis.set_ylim(len(kinds) - 0.4, -0.6)
    axis.set_xlim(0, 1.02)
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    style.panel(axis, "", "mean average precision")
    return figure


def methods(found: Mapping[str, Interval], claim: str) -> Figure:
    """MAP of several ways, each with its interval."""
    figure, axes = style.canvas(claim, "Bars: 95 % bootstrap intervals over tags.", size=(10, 1.9 + 0.5 * len(found)))
    axis = axes[0, 0]
    for i, (_, interval) in enumerate(found.items()):
        style.interval(axis, i, interval, style.SONG)
    axis.set_yticks(range(len(found)), list(found))
    axis.set_ylim(len(found) - 0.4, -0.7)
    axis.set_xlim(0, 1.02)
    style.panel(axis, "", "mean average precision")
    return figure


def space(songs: np.ndarray, tags: np.ndarray, names: Sequence[str], colours: Sequence[str], claim: str) -> Figure:
    """Tracks and tags on a plane. songs, tags: (n, 2). colours: what each track is coloured by."""
    look = "t-SNE of cosines: a dot is a track, a word is a tag. Look whether tracks of a colour lie at their word."
    figure, axes = style.canvas(claim, look, size=(10, 6.4))
    axis = axes[0, 0]
    common = [name for name, _ in sorted(_count(colours).items(), key=lambda one: (-one[1], one[0]))][:CLOUD]
    for name in dict.fromkeys([*common, "others"]):
        mine = [one == name or (name == "others" and one not in common) for one in colours]
        if any(mine):
            colour = style.MUTED if name in ("others", "none") else PALETTE[common.index(name)]
            axis.plot(*songs[mine].T, "o", color=colour, alpha=0.75, markersize=5, markeredgewidth=0, label=name)
    for (x, y), name in zip(tags, names, strict=True):
        axis.text(x, y, style.plain(name), fontsize=8, ha="center", va="center", color=style.INK)
    every = np.concatenate([songs, tags])
    axis.update_datalim(every)
    axis.margins(0.08)
    axis.autoscale_view()
    axis.set_xticks([])
    axis.set_yticks([])
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1), fontsize=8)
    return figure


def _count(names: Sequence[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name in names:
        found[name] = found.get(name, 0) + 1
    return found
