"""Lab singing: wavelet strings, attention, covers, and hums named by their neighbours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from humfind.metrics import Interval
from humfind.plots import style, training

BINS = 20
CURVES = {"melody": style.HUM, "sound": style.OTHER}


def strings(panels: Sequence[tuple[str, np.ndarray, np.ndarray]], claim: str) -> Figure:
    """A melody with fewer and fewer details. panels: title, seconds and MIDI pitch of each number that is left."""
    look = "Fewer numbers: longer means. Look where the melody is still to be known, and where it is not."
    figure, axes = style.canvas(claim, look, 1, len(panels), size=(11, 3.4), sharey=True)
    for axis, (title, seconds, midi) in zip(axes[0], panels, strict=True):
        axis.step(seconds, midi, where="mid", color=style.HUM, linewidth=1.8)
        style.panel(axis, title, "seconds", "")
    style.notes(axes[0, 0])
    return figure


def string_length(curves: Mapping[str, Sequence[Any]], chance: float, claim: str) -> Figure:
    """MRR@10 against the length of a hum's string. curves: name -> points with ``symbols`` and ``mrr``, an Interval."""
    look = "Bands: 95 % bootstrap intervals over hums. Dashed: a random order of the same songs."
    figure, axes = style.canvas(claim, look, size=(10, 4.2))
    axis = axes[0, 0]
    for name, points in curves.items():
        x, found = [one.symbols for one in points], [one.mrr for one in points]
        style.band(axis, x, found, CURVES.get(name, style.INK), f"strings of the {name}")
    axis.axhline(chance, color=style.INK, linestyle="--", linewidth=1)
    axis.set_xscale("log", base=2)
    axis.xaxis.set_major_formatter("{x:.0f}")
    axis.set_ylim(0, 1.02)
    style.panel(axis, "", "symbols of a hum's string, at the median", "MRR@10")
    axis.legend()
    return figure


def attention(values: np.ndarray, weights: np.ndarray, length_s: float, claim: str) -> Figure:
    """What the network reads, and what it attends to. values: (channels, frames); weights: (moments,)."""
    look = "Above: bands of the spectrogram, low ones below. Below: what each moment weighs; dashed: all alike."
    figure, axes = style.canvas(claim, look, 2, 1, size=(10, 5), sharex=True, height_ratios=(2, 1))
    upper, lower = axes[:, 0]
    upper.imshow(values, origin="lower", aspect="auto", cmap="Greys", extent=(0, length_s, 0, len(values)))
    upper.grid(visible=False)
    style.panel(upper, "", "", "channel")
    seconds = (np.arange(len(weights)) + 0.5) * length_s / len(weights)
    lower.fill_between(seconds, 0, weights * len(weights), color=style.SONG, alpha=0.35, linewidth=0)
    lower.axhline(1, color=style.INK, linestyle="--", linewidth=1)
    lower.set_ylim(0)
    style.panel(lower, "", "seconds", "times the mean")
    return figure


def history(rows: Sequence[Mapping[str, Any]], losses: Sequence[float]) -> Figure:
    """The training: loss of each step, and MAP of the tunes that were held out."""
    return training.lab_history(rows, losses, "tunes", "recordings")


def distances(found: Any) -> Figure:
    """Distances of recordings of one tune and of different ones. found: with ``matching``, ``other``, ``overlap``,
    ``overlap_20``, ``t``, ``p``."""
    claim = f"Bhattacharyya coefficient {found.overlap:.2f} ({found.overlap_20:.2f} with 20 bins); "
    claim += f"Welch's t {found.t:.1f}, p {found.p:.1e}"
    look = f"0: apart, 1: alike. {len(found.matching)} matching pairs, {len(found.other)} others, tunes never seen."
    figure, axes = style.canvas(claim, look, size=(10, 3.8))
    edges = np.histogram_bin_edges(np.concatenate([found.matching, found.other]), BINS)
    for values, colour, name in (
        (found.other, style.WRONG, "different tunes"),
        (found.matching, style.SONG, "one tune"),
    ):
        axes[0, 0].hist(values, edges, density=True, color=colour, alpha=0.55, label=name)
    style.panel(axes[0, 0], "", "Euclidean distance", "density")
    axes[0, 0].legend()
    return figure


def methods(found: Mapping[str, Interval], chance: float, claim: str) -> Figure:
    """MAP by method, with its interval. chance: of a random order."""
    look = "Bars: 95 % bootstrap intervals over recordings. Dashed: a random order."
    figure, axes = style.canvas(claim, look, size=(10, 1.7 + 0.48 * len(found)))
    axis = axes[0, 0]
    for i, (name, interval) in enumerate(found.items()):
        colour = style.HUM if name.startswith("attention") else style.ranker_colour(name)
        style.interval(axis, i, interval, colour)
    axis.axvline(chance, color=style.INK, linestyle="--", linewidth=1)
    axis.set_yticks(range(len(found)), list(found))
    axis.set_ylim(len(found) - 0.4, -0.6)
    axis.set_xlim(0, 1)
    style.panel(axis, "", "mean average precision")
    return figure


def transfer(curves: Mapping[str, Sequence[tuple[int, Interval]]], chance: float, claim: str) -> Figure:
    """MRR@10 against k, a line a model."""
    look = "Embeddings as they are, two thirds of each tune's hums known. Bands: 95 % intervals. Dashed: chance."
    figure, axes = style.canvas(claim.replace(": ", ":\n", 1), look, size=(10, 4.2))
    axis = axes[0, 0]
    for i, (name, points) in enumerate(curves.items()):
        k, found = [one for one, _ in points], [one for _, one in points]
        style.band(axis, k, found, style.SEVERAL[i % len(style.SEVERAL)], name)
    axis.axhline(chance, color=style.INK, linestyle="--", linewidth=1)
    axis.set_xscale("log")
    axis.set_xticks(k, [str(one) for one in k])
    axis.minorticks_off()
    axis.set_ylim(0, 1.02)
    style.panel(axis, "", "k nearest hums", "MRR@10")
    axis.legend()
    return figure
