"""Mains hum: the steady tone of 50 or 60 Hz, or of a harmonic, that a tracker reports where nobody sings.

A room's hum is steady within a few cents, returns in every rest, and lies on a multiple of the mains frequency; a voice
wavers, and no note of equal temperament about 440 Hz lies so near to one of the first four multiples. So it can be told
by the f0 alone, whatever tracked it, in a store as in a recording. A hum that is steady throughout is an instrument's.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from humfind.types import F0, Bools

MAINS_HZ = (50.0, 60.0)
# semitones from the first four multiples, the spread of a run there, and its seconds at least: where people sing, it
# must be steadier, and for longer
NEAR, STEADY, RUN_S = (0.4, 0.2, 0.12, 0.12), (0.2, 0.06, 0.03, 0.03), (0.08, 0.16, 0.2, 0.2)
LEAST_S, LEAST_SHARE = 0.25, 0.02  # in all: of the recording, of what is voiced
TIMES = 2  # that it comes
WAVER_S, WAVERS = (
    0.05,
    0.02,
)  # semitones in so many seconds, the median of singing; what is steady throughout was played


def without_mains(hum: F0) -> F0:
    """The same f0 with confidence 0 where it is mains hum."""
    frames = mains_frames(hum)
    if not frames.any():
        return hum
    confidence = np.where(frames, 0, hum.confidence).astype(np.float32)
    return F0(hum.hz, confidence, hum.hop_s, hum.threshold)


def mains_frames(hum: F0) -> Bools:
    """(n,): the frames that are mains hum, of whichever multiple comes most."""
    semitones = 12 * np.log2(np.maximum(hum.hz, 1e-3))
    best = np.zeros(len(hum.hz), bool)
    for mains_hz in MAINS_HZ:
        found = np.zeros(len(hum.hz), bool)
        runs = 0
        for harmonic, (reach, spread, least_s) in enumerate(zip(NEAR, STEADY, RUN_S, strict=True), start=1):
            near = hum.voiced & (abs(semitones - 12 * np.log2(harmonic * mains_hz)) <= reach)
            edges = np.flatnonzero(np.diff(near, prepend=False, append=False))
            for start, end in list(pairwise(edges))[::2]:
                long = (end - start) * hum.hop_s >= least_s
                if long and np.std(semitones[start:end]) <= spread:
                    found[start:end] = True
                    runs += 1
        if runs >= TIMES and found.sum() > best.sum():
            best = found
    enough = best.sum() * hum.hop_s >= LEAST_S and best.sum() >= LEAST_SHARE * hum.voiced.sum()
    lag = max(1, round(WAVER_S / hum.hop_s))
    sung = hum.voiced & ~best
    moves = abs(semitones[lag:] - semitones[:-lag])[sung[lag:] & sung[:-lag]]
    wavers = len(moves) > 0 and np.median(moves) >= WAVERS
    return best if enough and wavers else np.zeros(len(hum.hz), bool)
