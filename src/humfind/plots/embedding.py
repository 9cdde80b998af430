"""Notebook 04: the space that the encoder made."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from humfind.plots import style


def space(
    points: np.ndarray, song: np.ndarray, is_hum: np.ndarray, shown: Sequence[tuple[int, str]], claim: str
) -> Figure:
    """A 2-D map of windows. points: (n, 2); song: (n,) row numbers; is_hum: (n,) bool; shown: songs to colour."""
    look = "Each dot is 8 s. Coloured: a few songs; crosses: hums of those songs; grey: all other windows."
    figure, axes = style.canvas(claim, look, size=(10, 6))
    axis = axes[0, 0]
    axis.scatter(*points[~is_hum].T, s=5, color="#dfe3e8", linewidths=0)
    for i, (row, title) in enumerate(shown):
        colour = style.SEVERAL[i % len(style.SEVERAL)]
        mine = song == row
        axis.scatter(*points[mine & ~is_hum].T, s=16, color=colour, linewidths=0, label=style.plain(title))
        axis.scatter(*points[mine & is_hum].T, s=48, color=colour, marker="X", edgecolors="white", linewidths=0.7)
    axis.set_xticks([])
    axis.set_yticks([])
    axis.grid(visible=False)
    axis.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    return figure


def neighbours(
    window: np.ndarray,
    found: Sequence[tuple[str, np.ndarray, float, bool]],
    frame_s: float,
    claim: str,
) -> Figure:
    """A hum window and the song windows nearest to it. window and found's arrays: (channels, frames) as encoded;
    found: (label, values, distance, is it the right song)."""
    look = "Orange: the hum's window. Blue: a window of the right song. Purple: of another."
    figure, axes = style.canvas(claim, look, 1, len(found), size=(11, 3), sharey=True)
    for axis, (label, values, distance, right) in zip(axes[0], found, strict=True):
        colour = style.SONG if right else style.WRONG
        for line, shade, width in ((values, colour, 2.2), (window, style.HUM, 1.4)):
            pitch = 12 * np.where(line[-1] > 0, line[0], np.nan) if len(line) > 1 else line[0]
            axis.plot(np.arange(line.shape[-1]) * frame_s, pitch, color=shade, linewidth=width)
        style.panel(axis, f"{label}\ndistance {distance:.2f}", "seconds", "")
    axes[0, 0].set_ylabel("semitones from key")
    return figure


def window_distances(panels: Sequence[tuple[str, np.ndarray, float]], claim: str) -> Figure:
    """Every window of a hum against every window of a song, a panel a song. panels: title, distances (hum windows, song
    windows), seconds from one window to the next."""
    look = "Bright: near. In the right song, near windows follow each other: what ranker sequence reads."
    figure, axes = style.canvas(claim, look, len(panels), 1, size=(11, 1.9 * len(panels) + 1.2))
    nearest = min(float(values.min()) for _, values, _ in panels)
    farthest = max(float(np.median(values)) for _, values, _ in panels)
    for axis, (title, values, hop_s) in zip(axes[:, 0], panels, strict=True):
        extent = (0, values.shape[1] * hop_s, 0, len(values) * hop_s)
        image = axis.imshow(
            values, aspect="auto", cmap="magma_r", vmin=nearest, vmax=farthest, extent=extent, origin="lower"
        )
        axis.grid(visible=False)
        style.panel(axis, title, "", "start in the hum, s")
    axes[-1, 0].set_xlabel("start in the song, s")
    figure.colorbar(image, ax=list(axes[:, 0]), pad=0.01).set_label("distance")
    return figure
