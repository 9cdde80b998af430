"""One look for every picture: the claim as the title, what to see below it, and a colour for each thing everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import ScaledTranslation

from humfind.metrics import Interval

HUM, SONG, WRONG = "#e4572e", "#2364aa", "#8d6a9f"
INK, CAPTION, MUTED = "#22272e", "#5a6472", "#b8bec7"
CYCLE = (SONG, HUM, "#3da35d", WRONG, "#e0a100", "#5b8e99")
RANKERS = {
    "nearest": "#8c96a3",
    "vote": "#b07aa1",
    "sequence": "#4aa3a2",
    "dtw": "#c08a00",
    "fusion": INK,
    "wavelet": "#6f9fd8",
}
SPLITS = {"train": "#a0785a", "validation": "#6b9e3f", "public_test": "#7353ba", "private_test": "#c2528b"}
OTHER = "#5b8e99"  # a ranker or split of another package
SEVERAL = ("#1b9e77", "#7570b3", "#e6ab02", "#a6761d", "#66a61e", "#d0679d")  # songs apart from each other
NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")
LOOK: Any = {
    "font.size": 10,
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.prop_cycle": cycler(color=CYCLE),
    "axes.grid": True,
    "grid.color": "#e9ecf0",
    "grid.linewidth": 0.8,
    "axes.axisbelow": True,
    "xtick.color": INK,
    "ytick.color": INK,
    "legend.frameon": False,
    "figure.dpi": 100,
    "savefig.dpi": 100,
    "text.color": INK,
}


def plain(text: str) -> str:
    """Text as it is: a dollar sign in a title begins no formula, a control character draws no box."""
    return "".join(c if c == "\n" or c.isprintable() else "�" for c in text).replace("$", r"\$")


def canvas(
    claim: str,
    look: str = "",
    rows: int = 1,
    columns: int = 1,
    size: tuple[float, float] = (10.0, 3.8),
    **grid: Any,
) -> tuple[Figure, np.ndarray]:
    """A figure with its claim as title and what to look at below it. Returns the figure and (rows, columns) axes."""
    with mpl.rc_context(LOOK):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots(rows, columns, squeeze=False, **grid)
    heading = plain(claim) + ("\n\n" if look else "")
    figure.suptitle(heading, x=0.01, ha="left", fontsize=13, fontweight="bold", color=INK)
    if look:
        down = 34 + 16 * claim.count("\n")  # points: a line of the claim each
        below = figure.transFigure + ScaledTranslation(0, -down / 72, figure.dpi_scale_trans)
        caption = figure.text(0.01, 1, plain(look), fontsize=9.5, color=CAPTION, va="center", transform=below)
        caption.set_in_layout(False)
    return figure, axes


def panel(axes: Axes, title: str, x: str = "", y: str = "") -> None:
    """A panel's small title and its axis labels."""
    axes.set_title(plain(title), loc="left", fontsize=10, color=INK)
    axes.set_xlabel(x)
    axes.set_ylabel(y)


def ranker_colour(name: str) -> str:
    """``name``: a ranker, or one with more said after a comma."""
    return RANKERS.get(name.partition(",")[0], OTHER)


def split_colour(name: str) -> str:
    return SPLITS.get(name, OTHER)


def band(axes: Axes, x: Sequence[float], found: Sequence[Interval], colour: str, label: str) -> None:
    """A line of figures with their intervals around it."""
    low, high = [one.low for one in found], [one.high for one in found]
    axes.fill_between(x, low, high, color=colour, alpha=0.12, linewidth=0)
    axes.plot(x, [one.value for one in found], color=colour, marker="o", label=label)


def interval(axes: Axes, row: int, found: Interval, colour: str, face: str = "") -> None:
    """A figure with its interval, on a row of its own. face: of the dot, where it is another."""
    axes.plot([found.low, found.high], [row, row], color=MUTED, linewidth=6, solid_capstyle="round")
    axes.plot(found.value, row, "o", color=colour, mfc=face or colour, mew=2, markersize=9, clip_on=False, zorder=3)
    axes.annotate(f"{found.value:.2f}", (found.value, row), (0, 9), textcoords="offset points", ha="center")


def broken(line: np.ndarray, shown: np.ndarray, jump: float) -> np.ndarray:
    """A line to draw: NaN where not ``shown``, and where neighbours differ by more than the ratio ``jump``."""
    drawn = np.where(shown, line, np.nan).astype(np.float64)
    leaps = np.abs(np.diff(np.log(np.maximum(line, 1e-6)))) > np.log(jump)
    drawn[1:][leaps] = np.nan
    return drawn


def note_name(midi: float) -> str:
    """``C4 (60)``; the nearest semitone's."""
    number = round(midi)
    return f"{NOTES[number % 12]}{number // 12 - 1} ({number})"


def notes(axes: Axes) -> None:
    """Ticks of an axis of MIDI numbers: at least four, each with its note."""
    axes.yaxis.set_major_locator(MaxNLocator(6, integer=True, min_n_ticks=4))
    axes.yaxis.set_major_formatter(lambda midi, _: note_name(midi))


def hertz(axes: Axes) -> None:
    """A vertical axis of frequencies, in octaves, with at least four ticks."""
    axes.set_yscale("log", base=2)
    axes.yaxis.set_major_locator(MaxNLocator(6, min_n_ticks=4, steps=[1, 2, 2.5, 5, 10]))
    axes.yaxis.set_major_formatter("{x:.0f}")


def empty(axes: Axes, text: str) -> None:
    """Say in the panel why there is nothing to draw."""
    axes.set_axis_off()
    axes.text(0.5, 0.5, text, ha="center", va="center", color=CAPTION, transform=axes.transAxes)


def count_bins(values: np.ndarray, bins: int = 30) -> np.ndarray:
    """Histogram edges over the finite range of ``values``; never of zero width."""
    low, high = float(np.min(values)), float(np.max(values))
    if high - low < 1e-9:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, bins + 1)
