"""The whole way of one hum, from its sound to the songs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from humfind.plots import style
from humfind.plots.transform import LEAP
from humfind.types import F0, Query, Recording

APART = 14.0  # semitones between windows that are drawn above each other


def way(recording: Recording | None, f0: F0, query: Query, songs: Sequence[tuple[str, float]], claim: str) -> Figure:
    """Six panels. recording: None where there is only f0. query: the hum's melody, windows and embeddings. songs: the
    first ones, title and probability."""
    look = "Each step forgets something: loudness and voice, then the key, then the place; what is left is compared."
    figure, axes = style.canvas(claim, look, 2, 3, size=(12, 6))
    sound, pitch, melody, windows, vectors, ranking = axes.ravel()
    if recording is None:
        style.empty(sound, "1 there is only f0, no audio")
    else:
        sounding = np.arange(len(recording.samples)) / recording.rate_hz
        step = max(1, len(sounding) // 4000)
        sound.plot(sounding[::step], recording.samples[::step], color=style.HUM, linewidth=0.6)
        style.panel(sound, "1 sound", "seconds", "amplitude")
    seconds = np.arange(len(f0.hz)) * f0.hop_s
    pitch.plot(seconds, style.broken(f0.hz, f0.voiced, LEAP), color=style.HUM, linewidth=2)
    style.hertz(pitch)
    style.panel(pitch, "2 fundamental frequency, every 10 ms", "seconds", "Hz")
    line = query.melody
    key = float(np.median(line.semitones[line.voiced])) if line.voiced.any() else 0.0
    middles = (np.arange(len(line.semitones)) + 0.5) * line.frame_s
    melody.plot(middles, np.where(line.voiced, line.semitones - key, np.nan), color=style.HUM, linewidth=2)
    style.panel(melody, "3 melody: semitones, without the key", "seconds", "semitones from key")
    as_sung = np.flatnonzero(np.abs(query.windows.tempo_ratio - 1) < 1e-6)
    for i, row in enumerate(as_sung):
        values = query.windows.values[row]
        shape = 12 * np.where(values[-1] > 0, values[0], np.nan) if len(values) > 1 else values[0]
        at = query.windows.start_s[row] + np.arange(values.shape[-1]) * line.frame_s
        windows.plot(at, shape + i * APART, color=style.HUM, linewidth=1.6)
    windows.set_yticks([i * APART for i in range(len(as_sung))], [f"no. {i + 1}" for i in range(len(as_sung))])
    style.panel(windows, f"4 windows of 8 s, {len(as_sung)} at the hum's own tempo", "seconds", "")
    rows = query.embeddings.vectors[as_sung]
    most = float(np.abs(rows).max()) if rows.size else 1.0
    vectors.imshow(rows, aspect="auto", cmap="PuOr", vmin=-most, vmax=most, origin="lower", interpolation="nearest")
    vectors.set_yticks(range(len(rows)), [f"no. {i + 1}" for i in range(len(rows))])
    vectors.grid(visible=False)
    style.panel(vectors, f"5 a vector of {rows.shape[1]} numbers each", "number", "")
    names = [style.plain(title if len(title) < 30 else title[:29] + "…") for title, _ in songs]
    ranking.barh(range(len(songs)), [share for _, share in songs], color=style.SONG, height=0.6)
    for i, (name, (_, share)) in enumerate(zip(names, songs, strict=True)):
        inside = share > 0.5
        place = (0.02 if inside else share + 0.02, i)
        ranking.annotate(f"{name} {share:.2f}", place, va="center", color="white" if inside else style.INK)
    ranking.set_yticks([])
    ranking.set_xlim(0, 1)
    ranking.invert_yaxis()
    ranking.grid(axis="y", visible=False)
    style.panel(ranking, "6 nearest windows and alignment: songs", "probability", "")
    return figure
