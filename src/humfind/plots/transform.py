"""Notebook 01: what the tracker made of the recordings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patheffects import Normal, Stroke

from humfind.plots import style
from humfind.types import F0, Recording

SPECTROGRAM_TOP_HZ = 1600.0
LEAP = 1.4  # ratio of neighbouring frames from which on a line is broken


def coverage(rows: Sequence[Mapping[str, object]]) -> Figure:
    """Recordings with f0 and recordings skipped, a bar a split and kind.

    rows: mappings with ``split``, ``kind``, ``recordings`` (with f0) and ``skipped``.
    """
    names = [f"{row['split']}\n{row['kind']}s" for row in rows]
    done = np.array([int(str(row["recordings"])) for row in rows])
    skipped = np.array([int(str(row["skipped"])) for row in rows])
    share = done.sum() / max(1, done.sum() + skipped.sum())
    claim = f"{share:.1%} of the {done.sum() + skipped.sum()} recordings have an f0"
    figure, axes = style.canvas(claim, "A missing part of a bar is a recording that could not be read.")
    axis = axes[0, 0]
    axis.bar(names, done, color=style.SONG, width=0.6, label="with f0")
    axis.bar(names, skipped, bottom=done, color=style.HUM, width=0.6, label="skipped")
    for i, count in enumerate(done):
        axis.annotate(str(count), (i, count), (0, 3), textcoords="offset points", ha="center")
    style.panel(axis, "", "", "recordings")
    axis.grid(axis="x", visible=False)
    if skipped.any():
        axis.legend()
    return figure


def durations(lengths_s: Mapping[str, np.ndarray]) -> Figure:
    """How long the recordings of each group last; one panel a group, each with its own axis."""
    groups = list(lengths_s.items())
    total = sum(float(values.sum()) for _, values in groups)
    middles = ", ".join(f"{name} {np.median(values):.0f} s" for name, values in groups)
    claim = f"{total / 60:.0f} minutes of audio; at the median:\n{middles}"
    figure, axes = style.canvas(claim, "The dashed line is the median.", 1, len(groups), size=(10, 3.2))
    for axis, (name, values) in zip(axes[0], groups, strict=True):
        colour = style.HUM if "hum" in name else style.SONG
        axis.hist(values, style.count_bins(values, 20), color=colour)
        axis.axvline(float(np.median(values)), color=style.INK, linestyle="--", linewidth=1)
        style.panel(axis, name, "seconds", "recordings" if axis is axes[0, 0] else "")
    return figure


def voiced_share(shares: Mapping[str, np.ndarray]) -> Figure:
    """The share of voiced frames of each recording, a row of dots a group."""
    hums, songs = (
        np.median(np.concatenate([v for name, v in shares.items() if kind in name])) for kind in ("hum", "song")
    )
    claim = f"{hums:.0%} of a hum is sung, {songs:.0%} of a song, at the median"
    look = "Each dot is a recording, the bar its group's median. Dots far left: silence, or a tracker in doubt."
    figure, axes = style.canvas(claim, look, size=(10, 1.6 + 0.55 * len(shares)))
    axis, rng = axes[0, 0], np.random.default_rng(0)
    for row, (name, values) in enumerate(shares.items()):
        colour = style.HUM if "hum" in name else style.SONG
        axis.scatter(values, row + rng.uniform(-0.22, 0.22, len(values)), s=14, color=colour, alpha=0.6, linewidths=0)
        axis.plot([np.median(values)] * 2, [row - 0.36, row + 0.36], color=style.INK, linewidth=2.5)
    axis.set_yticks(range(len(shares)), [f"{name} ({len(values)})" for name, values in shares.items()])
    axis.set_ylim(len(shares) - 0.5, -0.5)
    axis.set_xlim(0, 1.02)
    axis.grid(axis="y", visible=False)
    style.panel(axis, "", "voiced share of a recording")
    return figure


def speed(rates: Mapping[str, float]) -> Figure:
    """Seconds of audio transformed in a second of computing, a bar a tracker or group; no bar without audio."""
    if not rates:
        figure, axes = style.canvas("The speed of the transform", "", size=(10, 1.7))
        style.empty(axes[0, 0], "there is only f0, no audio: nothing to measure")
        return figure
    names, values = list(rates), np.array(list(rates.values()))
    claim = f"The transform runs {values.min():.0f} to {values.max():.0f} times faster than the music plays"
    if len(values) == 1:
        claim = f"The transform runs {values[0]:.0f} times faster than the music plays"
    look = "Measured on this machine in this run; at the dashed line a song would take as long as it lasts."
    figure, axes = style.canvas(claim, look, size=(10, 1.7 + 0.45 * len(names)))
    axis = axes[0, 0]
    axis.barh(names, values, color=style.SONG, height=0.55)
    axis.axvline(1, color=style.INK, linestyle="--", linewidth=1)
    for i, value in enumerate(values):
        axis.annotate(f"{value:.1f}x", (value, i), (4, 0), textcoords="offset points", va="center")
    axis.invert_yaxis()
    style.panel(axis, "", "seconds of audio a second", "")
    axis.grid(axis="y", visible=False)
    return figure


def f0_over_spectrogram(pair: Mapping[str, tuple[Recording | None, F0]], claim: str, one_scale: bool = False) -> Figure:
    """Each recording's spectrogram with its f0 on top; voiced frames are drawn, unvoiced are not. one_scale: as loud is
    as bright in all."""
    look = "The line should ride on the melody's dark steps; where it breaks, nothing was sung or the pitch jumped."
    figure, axes = style.canvas(claim, look, 1, len(pair), size=(10, 4.2))
    ceiling = None
    for axis, (name, (recording, f0)) in zip(axes[0], pair.items(), strict=True):
        if recording is None:
            style.empty(axis, f"{name}: there is only f0, no audio")
            continue
        loudest = spectrogram(axis, recording, ceiling)
        ceiling = loudest if one_scale else None
        colour = style.HUM if "hum" in name else style.SONG
        outline = [Stroke(linewidth=4, foreground="white"), Normal()]
        line = style.broken(f0.hz, f0.voiced, LEAP)
        axis.plot(np.arange(len(f0.hz)) * f0.hop_s, line, color=colour, linewidth=2, path_effects=outline)
        style.panel(axis, name, "seconds", "Hz" if axis is axes[0, 0] else "")
    return figure


def activations(probability: np.ndarray, midi: np.ndarray, f0: F0, claim: str) -> Figure:
    """What CREPE rates each pitch, and the f0 that is read from it. probability: (frames, bins); midi: (bins,) the
    pitch of each bin; f0: of the same frames."""
    look = "Dark: the network takes that pitch for likely. Above, the line that is read; below, its confidence."
    figure, axes = style.canvas(claim, look, 2, 1, size=(10, 5.6), sharex=True, height_ratios=(3, 1))
    upper, lower = axes[:, 0]
    seconds = np.arange(len(f0.hz)) * f0.hop_s
    extent = (0, len(probability) * f0.hop_s, midi[0], midi[-1])
    upper.imshow(probability.T, origin="lower", aspect="auto", extent=extent, cmap="Greys", vmin=0, vmax=1)
    upper.grid(visible=False)
    line = 69 + 12 * np.log2(style.broken(f0.hz, f0.voiced, LEAP) / 440)
    upper.plot(seconds, line, color=style.HUM, linewidth=1.4)
    shown = line[np.isfinite(line)]
    if len(shown):
        upper.set_ylim(max(midi[0], shown.min() - 14), min(midi[-1], shown.max() + 14))
    style.notes(upper)
    style.panel(upper, "", "", "pitch")
    lower.plot(seconds, f0.confidence, color=style.INK, linewidth=1.2)
    lower.axhline(f0.threshold, color=style.HUM, linestyle="--", linewidth=1)
    lower.set_ylim(0, 1.02)
    style.panel(lower, "", "seconds", f"confidence\n(dashed: {f0.threshold:g})")
    return figure


def spectrogram(axis: Axes, recording: Recording, ceiling: float | None = None) -> float:
    """Draw the recording's power below ``SPECTROGRAM_TOP_HZ``: 64 ms Hann frames, 16 ms apart. ceiling: decibels of the
    brightest; its own loudest where None. Returns that."""
    size, hop = round(0.064 * recording.rate_hz), round(0.016 * recording.rate_hz)
    samples = np.pad(recording.samples, (0, max(0, size - len(recording.samples))))
    window = np.hanning(size)
    frames = np.lib.stride_tricks.sliding_window_view(samples, size)[::hop] * (window / window.sum())
    power = np.abs(np.fft.rfft(frames, axis=1)).T ** 2
    top = int(np.searchsorted(np.fft.rfftfreq(size, 1 / recording.rate_hz), SPECTROGRAM_TOP_HZ))
    decibels = 10 * np.log10(power[:top] + 1e-14)
    ceiling = float(decibels.max()) if ceiling is None else ceiling
    axis.imshow(
        decibels,
        origin="lower",
        aspect="auto",
        cmap="Greys",
        vmin=ceiling - 70,
        vmax=ceiling,
        extent=(0, recording.length_s, 0, SPECTROGRAM_TOP_HZ),
    )
    axis.grid(visible=False)
    return ceiling
