"""Contours -> the lines that are aligned: pitch alone, frame by frame, long rests taken out.

Pitch is a circle: an octave has ``LEVELS`` steps, and octaves are one. So a tracker's octave slip costs nothing, and
twelve semitones of transposition are all there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from humfind.types import Contour, Ints

LEVELS = 96  # an octave
PHRASE_GAP_S = 0.25  # a rest so long ends a phrase


@dataclass(frozen=True)
class Line:
    """level: (n,) int16 in [0, LEVELS). time_s: (n,) where each frame lies in the recording. first, last: (n,) bool,
    frames that begin or end a phrase."""

    level: NDArray[np.int16]
    time_s: NDArray[np.float32]
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]


def line_of(contour: Contour, frame_s: float, hold_s: float) -> Line:
    """The line at (about) ``frame_s``: each frame is the median of the contour's frames in it. Silence gives none.

    hold_s: a pitch is held so long into a rest; the remainder of the rest is left out.
    """
    row = np.arange(len(contour.voiced))
    sung = np.maximum.accumulate(np.where(contour.voiced, row, -1))
    silence = row - sung  # frames since one was sung
    kept = np.flatnonzero((sung >= 0) & (silence * contour.frame_s <= hold_s))
    before = np.concatenate([[np.inf], silence[:-1]])  # of each frame's forerunner
    begins = contour.voiced & ((before * contour.frame_s >= PHRASE_GAP_S) | (sung == np.argmax(contour.voiced)))
    step = max(1, round(frame_s / contour.frame_s))
    kept = kept[: len(kept) // step * step] if len(kept) >= step else kept[:0]
    groups = kept.reshape(-1, step)
    pitch = np.median(contour.semitones[groups], axis=1)
    first = begins[groups].any(axis=1)
    first[:1] = True
    return Line(
        level=(np.round(pitch * (LEVELS / 12)) % LEVELS).astype(np.int16),
        time_s=(groups[:, 0] * contour.frame_s).astype(np.float32),
        first=first,
        last=np.append(first[1:], len(groups) > 0)[: len(groups)],
    )


def near(marks: NDArray[np.bool_], reach: int = 1) -> NDArray[np.bool_]:
    """Frames at most ``reach`` from a mark."""
    spread = marks.copy()
    for shift in range(1, reach + 1):
        spread[shift:] |= marks[:-shift]
        spread[:-shift] |= marks[shift:]
    return spread


def ends_of(lengths: list[int]) -> Ints:
    """Where pieces laid end to end begin, and where the last ends: (pieces + 1,)."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
