"""Notebook 02: a hum and its song on one axis, and how all pairs differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from humfind.melody.pairwise_alignment import TEMPOS
from humfind.plots import style, transform
from humfind.plots.transform import LEAP
from humfind.types import F0, Contour, Match, Recording

AROUND_S = 8.0  # of song shown before and after a match
FARTHEST = 6.0  # semitones: farther apart is drawn alike
STEP_S = 0.01  # the grid of the suite's f0, and of the bottom axis


def raw(hum: F0, song: F0, claim: str) -> Figure:
    """f0 of both in Hz against 10 ms steps (below) and seconds (above), as the tracker gave them."""
    look = "Look whether the shapes are alike where the pitch, the start and the pace are not."
    figure, axes = style.canvas(claim, look, size=(10, 4))
    _raw(axes[0, 0], hum, song)
    _seconds_above(axes[0, 0])
    axes[0, 0].legend()
    return figure


def gallery(rows: Sequence[tuple[str, F0, F0, str, F0]], claim: str) -> Figure:
    """Hums on their own song (left) and on another (right), as the tracker gave them. rows: the song's title, f0 of the
    hum, of its song, title and f0 of another song."""
    look = "Left: right pairs. Right: the same hum beside another song. Key, start and tempo are as recorded."
    figure, axes = style.canvas(claim, look, len(rows), 2, size=(11, 2.5 * len(rows) + 0.8), sharey="row")
    for row, (title, hum, song, other_title, other) in zip(axes, rows, strict=True):
        for axis, name, f0, colour in ((row[0], title, song, style.SONG), (row[1], other_title, other, style.WRONG)):
            _raw(axis, hum, f0, colour)
            axis.set_title(style.plain(name), loc="left", fontsize=10, color=colour)
            axis.label_outer(remove_inner_ticks=False)
    for axis in axes[0]:
        _seconds_above(axis)
    return figure


def _raw(axis: Axes, hum: F0, song: F0, song_colour: str = style.SONG) -> None:
    for f0, colour, name in ((song, song_colour, "song"), (hum, style.HUM, "hum")):
        steps = np.arange(len(f0.hz)) * f0.hop_s / STEP_S
        axis.plot(steps, style.broken(f0.hz, f0.voiced, LEAP), color=colour, linewidth=2, label=name)
    style.panel(axis, "", "10 ms steps", "Hz")
    style.hertz(axis)


def _seconds_above(axis: Any) -> None:
    seconds = axis.secondary_xaxis("top", functions=(lambda x: x * STEP_S, lambda x: x / STEP_S))
    seconds.set_xlabel("seconds")


def aligned(hum: Contour, song: Contour, match: Match, claim: str) -> Figure:
    """The same pair after key and tempo are removed: the hum is moved and stretched onto the song."""
    look = (
        f"The hum is moved by {match.semitones:+.1f} semitones, to {match.start_s:.1f} s of the song, "
        f"and played {match.tempo_ratio:.2f} times as fast."
    )
    figure, axes = style.canvas(claim, look, size=(10, 3.6))
    overlay(axes[0, 0], hum, song, match)
    axes[0, 0].legend()
    return figure


def alignment(hum: Contour, song: Contour, match: Match, claim: str) -> Figure:
    """What the ranker found: every moment of the hum against every moment of the song about the match, in its key, and
    the path through it; below, the hum laid on the song along that path."""
    key = f"{match.semitones:+.1f} semitones".replace("-", "\N{MINUS SIGN}")
    look = (
        f"Dark: the two agree in pitch. The path goes where the whole hum fits: {key}, tempo {match.tempo_ratio:.2f}."
    )
    figure, axes = style.canvas(claim, look, 2, 1, size=(10, 7.6), sharex=True, height_ratios=(1.4, 1))
    upper, lower = axes[:, 0]
    first, last = max(0.0, match.start_s - AROUND_S), min(song.length_s, match.end_s + AROUND_S)
    columns = slice(int(first / song.frame_s), int(last / song.frame_s))
    gap = np.abs(song.semitones[columns][None, :] - hum.semitones[:, None] - match.semitones)
    both = song.voiced[columns][None, :] & hum.voiced[:, None]
    cost = np.where(both, np.minimum(gap, FARTHEST), np.nan)
    extent = (columns.start * song.frame_s, columns.stop * song.frame_s, 0.0, hum.length_s)
    image = upper.imshow(cost, origin="lower", aspect="auto", extent=extent, cmap="Greys_r", vmin=0, vmax=FARTHEST)
    upper.set_facecolor("#f3ece4")
    upper.grid(visible=False)
    hum_s = np.arange(match.hum_start_s, hum.length_s, hum.frame_s)
    upper.plot(_warped(hum_s, match), hum_s, color=style.HUM, linewidth=2.4)
    bar = figure.colorbar(image, ax=upper, pad=0.01)
    bar.set_label("semitones apart")
    style.panel(upper, "", "", "seconds of the hum")
    overlay(lower, hum, song, match)
    lower.legend(loc="upper right")
    upper.set_xlim(extent[0], extent[1])
    return figure


def overlay(axis: Axes, hum: Contour, song: Contour, match: Match, song_colour: str = style.SONG) -> None:
    """Draw ``hum`` where, along which path and in which key ``match`` puts it in ``song``; only that place of it."""
    song_s = (np.arange(len(song.semitones)) + 0.5) * song.frame_s
    sung = slice(int(match.hum_start_s / hum.frame_s), None)
    hum_s = (np.arange(len(hum.semitones)) + 0.5)[sung] * hum.frame_s
    hum_s = _warped(hum_s, match)
    near = (song_s >= min(match.start_s, hum_s[0]) - 1) & (song_s <= hum_s[-1] + 1)
    axis.plot(song_s[near], _pitch(song)[near], color=song_colour, linewidth=2.4, label="song")
    axis.plot(hum_s, _pitch(hum)[sung] + match.semitones, color=style.HUM, linewidth=1.6, label="hum, moved")
    style.panel(axis, "", "seconds of the song", "note (MIDI)")
    style.notes(axis)


def _warped(hum_s: np.ndarray, match: Match) -> np.ndarray:
    """Seconds of the hum -> of the song: along the path where there is one, else at the match's tempo."""
    path = match.path[match.path[:, 0] >= match.hum_start_s]
    if len(path) < 2:
        return (hum_s - match.hum_start_s) / match.tempo_ratio + match.start_s
    return np.interp(hum_s, path[:, 0], path[:, 1], right=path[-1, 1])


def _pitch(line: Contour) -> np.ndarray:
    """Semitones to draw: NaN where nothing was sung and where the line leaps."""
    return 12 * np.log2(style.broken(np.exp2(line.semitones / 12), line.voiced, LEAP))


def spectrograms(hum: Recording | None, song: Recording | None, claim: str) -> Figure:
    """The same pair as spectrograms: what the f0 leaves out."""
    look = "The same seconds: harmonics, chords and noise along with the melody."
    figure, axes = style.canvas(claim, look, 1, 2, size=(10, 3.8))
    for axis, name, recording in ((axes[0, 0], "song", song), (axes[0, 1], "hum", hum)):
        if recording is None:
            style.empty(axis, f"{name}: there is only f0, no audio")
            continue
        transform.spectrogram(axis, recording)
        style.panel(axis, name, "seconds", "Hz" if name == "song" else "")
    return figure


def distributions(
    length_ratio: np.ndarray, key_offset: np.ndarray, tempo_ratio: np.ndarray, error: np.ndarray
) -> Figure:
    """Hum against song over all pairs. Each (pairs,): hum/song length, song minus hum key in semitones,
    hum seconds a song second, mean pitch error after alignment in semitones."""
    octaves = float(np.mean(np.abs(key_offset) > 6))
    claim = f"{octaves:.0%} of hums lie more than half an octave from their song"
    look = f"{len(key_offset)} pairs. Key and tempo are those of the best alignment of each pair."
    figure, axes = style.canvas(claim, look, 1, 4, size=(11, 3.3))
    panels: Sequence[tuple[str, np.ndarray, str]] = (
        ("hum length / song length", length_ratio, "ratio"),
        ("key: song minus hum", key_offset, "semitones"),
        ("tempo ratio", tempo_ratio, "hum s a song s"),
        ("pitch error once aligned", error, "semitones"),
    )
    for axis, (title, values, unit) in zip(axes[0], panels, strict=True):
        edges = _tempo_bins() if title == "tempo ratio" else style.count_bins(values, 24)
        axis.hist(values, edges, color=style.SONG)
        axis.axvline(float(np.median(values)), color=style.INK, linestyle="--", linewidth=1)
        style.panel(axis, title, unit, "pairs" if axis is axes[0, 0] else "")
    for octave in (-12, 0, 12):
        axes[0, 1].axvline(octave, color=style.HUM, linewidth=1, alpha=0.6)
    return figure


def _tempo_bins() -> np.ndarray:
    """A bin about each two of the tempos that the alignment tries, which are all that there can be."""
    tempos = np.sort(1 / np.array(TEMPOS))
    step = tempos[1] / tempos[0]
    return np.append(tempos[::2] / np.sqrt(step), tempos[-1] * np.sqrt(step))


def octave_errors(jumps: Mapping[str, np.ndarray]) -> Figure:
    """Jumps of more than 9 semitones between neighbouring voiced frames, a voiced second, per recording."""
    hums, songs = (
        np.concatenate([values for name, values in jumps.items() if kind in name]).mean() for kind in ("hum", "song")
    )
    claim = f"The line leaps {songs:.1f} times a second in songs, {hums:.1f} times in hums"
    look = "Jumps of more than nine semitones from one frame of 40 ms to the next: faster than a voice moves."
    figure, axes = style.canvas(claim, look, size=(10, 3.2))
    for name, values in jumps.items():
        colour = style.HUM if "hum" in name else style.SONG
        line = "-" if name.startswith("train") else "--"
        axes[0, 0].ecdf(values, color=colour, linestyle=line, linewidth=2, label=name)
    style.panel(axes[0, 0], "", "jumps over 9 semitones a voiced second", "share of recordings\nwith at most so many")
    axes[0, 0].legend()
    return figure


def split(hums_per_song: Mapping[str, Sequence[int]], shared: int) -> Figure:
    """Songs and hums on each side of the split. shared: songs that stand on both sides (must be 0)."""
    claim = f"The split is by song: {shared} songs stand on both sides"
    parts = [f"{name}: {len(c)} songs, {sum(c)} hums" for name, c in hums_per_song.items()]
    figure, axes = style.canvas(claim, "; ".join(parts), size=(10, 3.2))
    most = max(max(counts) for counts in hums_per_song.values())
    width = 0.8 / len(hums_per_song)
    for i, (name, counts) in enumerate(hums_per_song.items()):
        share = np.bincount(counts, minlength=most + 1)[1:] / len(counts)
        x = np.arange(1, most + 1) + (i - (len(hums_per_song) - 1) / 2) * width
        axes[0, 0].bar(x, share, width, color=style.split_colour(name), label=name)
    style.panel(axes[0, 0], "", "hums of a song", "share of songs")
    axes[0, 0].set_xticks(np.arange(1, most + 1))
    axes[0, 0].legend()
    return figure
