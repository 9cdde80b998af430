"""Where in a song a hum lies, in which key and at which tempo: for pictures, not for ranking.

A grid search: at each tempo the hum is slid along the song, the median pitch difference is the key, and
the mean of what remains is the error. It explains a pair that is known to match; rankers do not use it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from humfind.melody.contour import at_tempo
from humfind.types import Contour, Match

TEMPOS = tuple(float(t) for t in np.geomspace(0.6, 1.67, 23))
MIN_OVERLAP = 0.6  # of the hum's frames must fall inside the song
OUTSIDE = 1.5  # semitones: what a hum frame costs where the song is silent or over, so that long overlaps win
CAP = 3.0  # semitones: one frame can be wrong by no more, so that octave slips do not rule


@dataclass(frozen=True)
class Alignment:
    """match: place, key and tempo. error_semitones: mean absolute pitch difference, capped at 3 a frame."""

    match: Match
    error_semitones: float


def align(hum: Contour, song: Contour, tempos: tuple[float, ...] = TEMPOS, hop_frames: int = 3) -> Alignment:
    """The best place of ``hum`` in ``song``. Both need the same ``frame_s``; ties go to the earlier place."""
    if hum.frame_s != song.frame_s:
        raise ValueError(f"contours of {hum.frame_s} s and {song.frame_s} s frames cannot be aligned")
    best: Alignment | None = None
    least = np.inf
    for tempo in tempos:
        line = at_tempo(hum, tempo)
        n = len(line.semitones)
        margin = int(n * (1 - MIN_OVERLAP))
        pitch = np.pad(song.semitones, margin, constant_values=np.nan)
        sung = np.pad(song.voiced, margin)
        missing = max(0, n - len(pitch))
        pitch, sung = np.pad(pitch, (0, missing), constant_values=np.nan), np.pad(sung, (0, missing))
        starts = np.arange(0, len(pitch) - n + 1, hop_frames)
        frames = starts[:, None] + np.arange(0, n, hop_frames)
        both = sung[frames] & line.voiced[::hop_frames]
        difference = np.where(both, pitch[frames] - line.semitones[::hop_frames], np.nan)
        enough = both.sum(axis=1) >= max(1, 0.5 * line.voiced[::hop_frames].sum())
        if not enough.any():
            continue
        starts, difference = starts[enough], difference[enough]
        key = np.nanmedian(difference, axis=1)
        error = np.nanmean(np.minimum(np.abs(difference - key[:, None]), CAP), axis=1)
        outside = 1 - np.isfinite(difference).mean(axis=1)
        cost = error * (1 - outside) + OUTSIDE * outside
        i = int(np.argmin(cost))
        if cost[i] < least - 1e-9:
            start_s = float(starts[i] - margin) * song.frame_s
            match = Match(start_s, start_s + n * song.frame_s, float(key[i]), float(tempo))
            best, least = Alignment(match, float(error[i])), float(cost[i])
    if best is None:
        return Alignment(Match(0.0, song.length_s, 0.0, 1.0), CAP)
    return best
