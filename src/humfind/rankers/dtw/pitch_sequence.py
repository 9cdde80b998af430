"""Contours -> the lines that are aligned: pitch alone, frame by frame, long rests taken out.

Pitch is a circle: an octave has ``LEVELS`` steps, and octaves are one. So a tracker's octave slip costs nothing, and
twelve semitones of transposition are all there are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from humfind.types import Contour, Contours, Floats, Ints

LEVELS = 96  # an octave
FARTHEST_S = 1e7  # no recording is half as long
PHRASE_GAP_S = 0.25  # a rest so long ends a phrase


@dataclass(frozen=True)
class CandidateRegions:
    """Where a hum may lie: (n,) the recording, (n,) seconds of it."""

    recording: Ints
    start_s: Floats
    end_s: Floats

    def merged(self) -> CandidateRegions:
        """Those that overlap as one; a recording's in order."""
        order = np.lexsort((self.start_s, self.recording))
        recording, start_s, end_s = self.recording[order], self.start_s[order], self.end_s[order]
        another = np.diff(recording, prepend=-1) != 0
        shift = np.cumsum(another) * FARTHEST_S  # recordings one after the other, far apart
        until = np.maximum.accumulate(shift + np.clip(end_s, 0.0, FARTHEST_S / 2))
        begins = np.append(True, shift[1:] + start_s[1:] > until[:-1])[: len(order)]
        lasts = np.flatnonzero(np.append(begins[1:], True)[: len(order)])
        return CandidateRegions(recording[begins], start_s[begins], (until - shift)[lasts].astype(np.float32))


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
    return pitch_sequences_of(Contours.of([contour]), frame_s, hold_s)[0]


def pitch_sequences_of(contours: Contours, frame_s: float, hold_s: float) -> tuple[PitchSequence, Ints]:
    """The lines of several, laid end to end, and where each one's begins: (contours + 1,)."""
    steps = np.maximum(1, np.round(frame_s / contours.frame_s)).astype(np.int64)
    room = ends_of(np.diff(contours.begin) // steps)
    pitch, time_s = np.empty((2, room[-1]), np.float32)
    first, last = np.empty((2, room[-1]), np.bool_)
    ends = np.zeros(len(room), np.int64)
    _lines(
        contours.semitones, contours.voiced, contours.begin, contours.frame_s, steps, hold_s,
        pitch, time_s, first, last, ends,
    )  # fmt: skip
    made = slice(ends[-1])
    level = (np.round(pitch[made] * (LEVELS / 12)) % LEVELS).astype(np.int16)
    return PitchSequence(level, time_s[made], first[made], last[made]), ends


@njit(nogil=True, cache=True)
def _lines(
    semitones: np.ndarray,
    voiced: np.ndarray,
    begin: np.ndarray,
    frame_s: np.ndarray,
    steps: np.ndarray,
    hold_s: float,
    pitch: np.ndarray,
    time_s: np.ndarray,
    first: np.ndarray,
    last: np.ndarray,
    ends: np.ndarray,
) -> None:
    """Of each contour, and of each ``steps`` of its frames that are kept: the median pitch, the first one's time, and
    whether a phrase begins or ends there; where each line ends."""
    held = np.empty(steps.max(), np.float32)
    line = 0  # the frame that is made
    for row in range(len(steps)):
        mine, step, hop_s = begin[row], steps[row], frame_s[row]
        start, room = line, line + (begin[row + 1] - mine) // step
        count, silence, sung, begins = 0, 0, False, True
        for i in range(mine, begin[row + 1]):
            begins |= voiced[i] and (not sung or silence * hop_s >= PHRASE_GAP_S)
            silence = 0 if voiced[i] else silence + 1
            sung = sung or voiced[i]
            if not sung or silence * hop_s > hold_s:
                continue
            if line == room:
                break
            if count == 0:
                time_s[line] = (i - mine) * hop_s
            at = count  # held in order as it comes: so few are soonest sorted by hand
            while at > 0 and held[at - 1] > semitones[i]:
                held[at] = held[at - 1]
                at -= 1
            held[at] = semitones[i]
            count += 1
            if count == step:
                pitch[line] = (held[(step - 1) // 2] + held[step // 2]) / np.float32(2)
                first[line], last[line] = begins, False
                if begins and line > start:
                    last[line - 1] = True
                line, count, begins = line + 1, 0, False
        if line > start:
            last[line - 1] = True
        ends[row + 1] = line


@njit(nogil=True, cache=True)
def near(marks: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Frames at most one from a mark of their line. ends: (lines + 1,) where each one's frames begin."""
    spread = marks.copy()
    for row in range(len(ends) - 1):
        for i in range(ends[row], ends[row + 1]):
            if marks[i]:
                spread[max(i - 1, ends[row])] = True
                spread[min(i + 1, ends[row + 1] - 1)] = True
    return spread


def ends_of(lengths: list[int] | Ints) -> Ints:
    """Where pieces laid end to end begin, and where the last ends: (pieces + 1,)."""
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
