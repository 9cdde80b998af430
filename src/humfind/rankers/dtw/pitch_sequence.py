"""Contours -> the lines that are aligned: pitch alone, frame by frame, long rests taken out.

Pitch is a circle: an octave has ``LEVELS`` steps, and octaves are one. So a tracker's octave slip costs nothing, and
twelve semitones of transposition are all there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from humfind.types import Contour, Floats, Ints

LEVELS = 96  # an octave
PHRASE_GAP_S = 0.25  # a rest so long ends a phrase


@dataclass(frozen=True)
class CandidateRegions:
    """Where a hum may lie: (n,) the recording, (n,) seconds of it."""

    recording: Ints
    start_s: Floats
    end_s: Floats


@dataclass(frozen=True)
class PitchSequence:
    """level: (n,) int16 in [0, LEVELS). time_s: (n,) where each frame lies in the recording. first, last: (n,) bool,
    frames that begin or end a phrase."""

    level: NDArray[np.int16]
    time_s: NDArray[np.float32]
    first: NDArray[np.bool_]
    last: NDArray[np.bool_]


def pitch_sequence_of(contour: Contour, frame_s: float, hold_s: float) -> PitchSequence:
    """The line at (about) ``frame_s``: each frame is the median of the contour's frames in it. Silence gives none.

    hold_s: a pitch is held so long into a rest; the remainder of the rest is left out.
    """
    step = max(1, round(frame_s / contour.frame_s))
    pitch, row, first = _medians(contour.semitones, contour.voiced, contour.frame_s, step, hold_s)
    first[:1] = True
    return PitchSequence(
        level=(np.round(pitch * (LEVELS / 12)) % LEVELS).astype(np.int16),
        time_s=(row * contour.frame_s).astype(np.float32),
        first=first,
        last=np.append(first[1:], len(row) > 0)[: len(row)],
    )


@njit(cache=True)
def _medians(
    semitones: np.ndarray, voiced: np.ndarray, frame_s: float, step: int, hold_s: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of each ``step`` frames that are kept: the median pitch, the first one's row, and whether a phrase begins."""
    room = len(voiced) // step
    pitch, row = np.empty(room, np.float32), np.empty(room, np.int64)
    first = np.zeros(room, np.bool_)
    held = np.empty(step, np.float32)
    count, groups, silence, sung = 0, 0, 0, False
    for i in range(len(voiced)):
        begins = voiced[i] and (not sung or silence * frame_s >= PHRASE_GAP_S)
        silence = 0 if voiced[i] else silence + 1
        sung = sung or voiced[i]
        if not sung or silence * frame_s > hold_s:
            continue
        if groups == room:
            break
        if count == 0:
            row[groups] = i
        first[groups] |= begins
        at = count  # held in order as it comes: so few are soonest sorted by hand
        while at > 0 and held[at - 1] > semitones[i]:
            held[at] = held[at - 1]
            at -= 1
        held[at] = semitones[i]
        count += 1
        if count == step:
            pitch[groups] = (held[(step - 1) // 2] + held[step // 2]) / np.float32(2)
            groups, count = groups + 1, 0
    return pitch[:groups], row[:groups], first[:groups]


def near(marks: NDArray[np.bool_], reach: int = 1) -> NDArray[np.bool_]:
    """Frames at most ``reach`` from a mark."""
    spread = marks.copy()
    for shift in range(1, reach + 1):
        spread[shift:] |= marks[:-shift]
        spread[:-shift] |= marks[shift:]
    return spread


def ends_of(lengths: list[int] | Ints) -> Ints:
    """Where pieces laid end to end begin, and where the last ends: (pieces + 1,)."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
