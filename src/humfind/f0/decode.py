"""CREPE's 360 probabilities a frame -> one pitch a frame. Deterministic: no dither.

Bin i lies ``20 * i + 1997.38`` cents above 10 Hz (31.7 to 2005.5 Hz). "weighted" takes each frame's most
probable bin; "viterbi" the best path of bins, a step costing as in CREPE (Kim et al. 2018): a triangle over
+-11 bins. Both then average the pitch over +-4 bins, weighted by probability. Confidence is the
probability of the chosen bin.
"""

from __future__ import annotations

import numba
import numpy as np

from humfind.types import Floats, Ints

DECODERS = ("weighted", "viterbi")
BINS = 360
CENTS_PER_BIN = 20.0
LOWEST_CENTS = 1997.3794084376191  # of bin 0, above 10 Hz
NEIGHBOURS = 4  # bins on either side of the chosen one that are averaged
REACH = 12  # bins: the transition falls linearly to 0 at this distance
FLOOR = 0.01  # what the network's probabilities mean where nothing sounds


def best_bins(probability: Floats) -> Ints:
    """(frames, 360) -> (frames,): the most probable bin of each frame, the lowest where several are."""
    return np.argmax(probability, axis=1).astype(np.int64)


def path(probability: Floats) -> Ints:
    """(frames, 360) -> (frames,): the path of bins with the highest product of likelihoods.

    A bin's likelihood is its probability + ``FLOOR``. (torchcrepe's, a softmax of the probabilities, is so flat
    that the normalised rows of CREPE's transition, which favour the outermost bins, hold the path there.)
    Of equally good paths, the one with the lowest bins.
    """
    step = np.abs(np.arange(2 * REACH - 1) - (REACH - 1))
    cost = np.log((REACH - step) / REACH**2)  # of coming from bin j + d - (REACH - 1), for every j alike
    return _viterbi(np.log(probability + np.float32(FLOOR)), cost)


@numba.njit(cache=True)
def _viterbi(score: np.ndarray, cost: np.ndarray) -> np.ndarray:
    frames, bins = score.shape
    steps = len(cost)
    half = steps // 2
    came = np.zeros((frames, bins), np.int8)
    total = np.full(bins + 2 * half, -np.inf)  # with margins, so that the inner loop has no branches
    if frames:
        total[half : half + bins] = score[0]
    best = np.empty(bins)
    step = np.empty(bins, np.int8)
    for t in range(1, frames):
        best[:] = -np.inf
        step[:] = 0
        for d in range(steps):
            for j in range(bins):
                value = total[j + d] + cost[d]
                better = value > best[j]
                best[j] = value if better else best[j]
                step[j] = d if better else step[j]
        for j in range(bins):
            total[half + j] = best[j] + score[t, j]
            came[t, j] = step[j]
    chosen = np.zeros(frames, np.int64)
    if frames:
        chosen[frames - 1] = np.argmax(total[half : half + bins])
    for t in range(frames - 1, 0, -1):
        chosen[t - 1] = chosen[t] + came[t, chosen[t]] - half
    return chosen


def pitch(probability: Floats, chosen: Ints) -> tuple[Floats, Floats]:
    """(frames, 360), (frames,) -> Hz and confidence, (frames,) each.

    A frame whose probabilities are all 0 was silent: 0 Hz, confidence 0.
    """
    around = chosen[:, None] + np.arange(-NEIGHBOURS, NEIGHBOURS + 1)
    inside = (around >= 0) & (around < BINS)
    around = np.clip(around, 0, BINS - 1)
    weight = np.take_along_axis(probability, around, axis=1).astype(np.float64) * inside
    total = weight.sum(axis=1)
    sounding = total > 0
    cents = LOWEST_CENTS + CENTS_PER_BIN * (weight * around).sum(axis=1) / np.where(sounding, total, 1.0)
    hz = np.where(sounding, 10.0 * 2.0 ** (cents / 1200.0), 0.0)
    confidence = np.take_along_axis(probability, chosen[:, None], axis=1)[:, 0]
    return hz.astype(np.float32), np.clip(confidence, 0, 1).astype(np.float32)
