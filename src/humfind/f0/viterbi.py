"""Viterbi over CREPE's 360 bins, batch after batch, in little memory: the same path as over the whole recording.

The best paths to all bins share their beginning. As soon as they do, that beginning is final whatever comes,
so only what is younger is kept: one byte a bin and frame for the way back, and the probabilities.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numba
import numpy as np
from numpy.typing import NDArray

from humfind.types import Floats, Ints

REACH = 12  # bins: the transition falls linearly to 0 at this distance
FLOOR = 0.01  # what the network's probabilities mean where nothing sounds
# Logarithms are whole numbers: sums are exact, so that no path depends on their order. Below them lies the step by
# which a bin was reached, the lowest bin's the greatest: the greatest number is the best way, and says which it was.
# No two bins' paths are further apart than 33 frames of the worst probabilities and steps, 316 of the 480 there are.
UNIT = 2.0**-17  # to which a logarithm is rounded
STEP_BITS = 5
STEPS = 2**STEP_BITS - 1
NOWHERE = -(2**31) + 2**27  # where no path is; a step's cost below it does not overflow
CHECK_FRAMES = 1000  # kept before the paths are compared; twice as many after each vain time


def paths(batches: Iterable[Floats], check_frames: int = CHECK_FRAMES) -> Iterator[tuple[Floats, Ints]]:
    """(frames, 360) each -> (frames, 360) and the chosen bins (frames,), later but the same frames in all.

    The path has the highest product of likelihoods; a bin's likelihood is its probability + ``FLOOR``.
    (torchcrepe's, a softmax of the probabilities, is so flat that the normalised rows of CREPE's transition,
    which favour the outermost bins, hold the path there.) Of equally good paths, the one with the lowest bins.
    """
    step = np.abs(np.arange(2 * REACH - 1) - (REACH - 1))
    chance = np.log((REACH - step) / REACH**2)  # of coming from bin j + d - (REACH - 1), for every j alike
    cost = (_units(chance) + STEPS - np.arange(len(chance))).astype(np.int32)
    half = len(cost) // 2
    total = np.zeros(0, np.int32)
    kept: list[Floats] = []
    came: list[np.ndarray] = []
    limit = check_frames
    for probability in batches:
        if not len(probability):
            continue
        if first := not len(total):
            # with margins: no branches in the inner loop
            total = np.full(probability.shape[1] + 2 * half, NOWHERE, np.int32)
        came.append(_advance(_units(np.log(probability + np.float32(FLOOR))), cost, total, first))
        silent = not probability.any()  # an hour of silence must not lie here as an hour of zeros
        kept.append(np.broadcast_to(np.float32(0), probability.shape) if silent else probability)
        if (count := sum(map(len, came))) >= limit:
            back = np.concatenate(came)
            time, bin_then = _agreed(back, half)
            if time >= 0:
                yield from _matched(kept, _trace(back[: time + 1], bin_then, half))
                kept, came = _after(kept, time + 1), [back[time + 1 :].copy()]
                count -= time + 1
            limit = max(check_frames, 2 * count)
    if kept:
        end = int(np.argmax(total[half : len(total) - half]))
        yield from _matched(kept, _trace(np.concatenate(came), end, half))


def _units(logarithm: Floats) -> NDArray[np.int32]:
    return np.round(logarithm / np.float32(UNIT)).astype(np.int32) << STEP_BITS


def _matched(kept: list[Floats], chosen: Ints) -> Iterator[tuple[Floats, Ints]]:
    """The first ``len(chosen)`` of the frames kept, each batch with its bins."""
    start = 0
    for probability in kept:
        bins = chosen[start : start + len(probability)]
        if len(bins):
            yield probability[: len(bins)], bins
        start += len(probability)


def _after(kept: list[Floats], frames: int) -> list[Floats]:
    rest = []
    for probability in kept:
        if frames < len(probability):
            rest.append(probability[max(0, frames) :])
        frames -= len(probability)
    return rest


@numba.njit(cache=True)
def _advance(score: np.ndarray, cost: np.ndarray, total: np.ndarray, first: bool) -> np.ndarray:
    """Log-likelihoods (frames, bins) -> the way back (frames, bins) int8; ``total`` goes on in place."""
    frames, bins = score.shape
    steps = len(cost)
    half = steps // 2
    came = np.zeros((frames, bins), np.int8)
    best = np.empty(bins, np.int32)
    for t in range(frames):
        if first and t == 0:
            total[half : half + bins] = score[0]
            continue
        best[:] = np.int32(-(2**31))
        for d in range(steps):
            _keep(best, total[d : d + bins], cost[d])
        for j in range(bins):
            came[t, j] = STEPS - (best[j] & STEPS)
        _settle(total[half : half + bins], best, score[t])
    return came


@numba.njit(cache=True)
def _keep(best: np.ndarray, total: np.ndarray, cost: np.int32) -> None:
    """A function of its own, and sums cast back to 32 bits, so that it is compiled to vectors; the next likewise."""
    for j in range(len(best)):
        best[j] = max(best[j], np.int32(total[j] + cost))


@numba.njit(cache=True)
def _settle(total: np.ndarray, best: np.ndarray, score: np.ndarray) -> None:
    """The paths' sums with this frame's score, the greatest of them 0: they never grow beyond 32 bits."""
    greatest = np.int32(-(2**31))
    for j in range(len(best)):
        total[j] = np.int32(np.int32(best[j] & np.int32(~STEPS)) + score[j])
        greatest = max(greatest, total[j])
    for j in range(len(best)):
        total[j] = np.int32(total[j] - greatest)


@numba.njit(cache=True)
def _agreed(came: np.ndarray, half: int) -> tuple[int, int]:
    """The last frame at which the paths to all bins are one, and its bin; (-1, -1) where there is none."""
    frames, bins = came.shape
    state = np.arange(bins)
    for t in range(frames - 1, 0, -1):
        same = True
        for j in range(bins):
            state[j] += came[t, state[j]] - half
            same = same and state[j] == state[0]
        if same:
            return t - 1, state[0]
    return -1, -1


@numba.njit(cache=True)
def _trace(came: np.ndarray, end: int, half: int) -> np.ndarray:
    """The way back from bin ``end`` of the last frame: (frames,) bins."""
    frames = len(came)
    chosen = np.zeros(frames, np.int64)
    chosen[frames - 1] = end
    for t in range(frames - 1, 0, -1):
        chosen[t - 1] = chosen[t] + came[t, chosen[t]] - half
    return chosen
