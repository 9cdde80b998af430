"""How surprising is a song's best match? A long song has many places that could match by chance, a short one few.

The null hypothesis is read off the search itself: each recording is cut into blocks of ``BLOCK_S``, and the best match
in each block, over all recordings, is what a hum of this melody reaches by chance (nearly all blocks are of other
songs). A normal tail fitted to them gives the chance that one place matches so well; times the number of places, it is
the E-value, as in the statistics of sequence alignment (Karlin and Altschul 1990).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from humfind.types import Ints

BLOCK_S = 8.0
QUANTILES = (0.03, 0.4)  # between which the tail is fitted: below lie the matches, above what never counts
FAR = -20.0  # standard deviations, beyond which the tail is a series
NOWHERE = 1e6  # the log E-value where nothing could match


REPEATS = 2  # blocks of one recording that may be alike and count in full: a verse that comes again
LARGEST_SHARE = 2.0  # times the mean share: the weight that one recording may have, ...
ALWAYS = 0.02  # ... or this share, if it is larger
STEPS = 10  # of a block, at which blocks are compared
Weights = NDArray[np.float64] | None  # None: all blocks count alike


def block_weights(owner: Ints, alike: NDArray[np.float64]) -> Weights:
    """(blocks,): how much each block says about chance; None where all count alike, as among ordinary songs.

    One odd recording must not decide what chance does for all songs. An hour of one pitch, of silence with a few notes,
    or of one bar repeated has many blocks that all say the same; an hour of anything has as many blocks as all other
    songs together. So blocks of a recording that are alike count as ``REPEATS`` of them at most, and no recording has
    more than its share of the weight. owner: (blocks,) the recording, never falling. alike: (blocks,) as of
    ``alike_blocks``.
    """
    if len(owner) == 0:
        return None
    weight = np.minimum(1.0, REPEATS / alike)
    rows = np.cumsum(np.diff(owner, prepend=owner[:1]) != 0)
    total = np.bincount(rows, weight).astype(np.float64)
    most = _largest(total)
    weight *= np.minimum(1.0, most / total)[rows]
    return None if (weight == 1.0).all() else weight


def _largest(total: NDArray[np.float64]) -> float:
    """The weight m so that no recording has more than its share when each is cut down to m. total: (recordings,)."""
    share = max(LARGEST_SHARE / len(total), ALWAYS)
    if share >= 1 or total.max() <= share * total.sum():
        return float(total.max())
    ordered = np.sort(total)[::-1]
    rest = ordered.sum() - np.cumsum(ordered)  # of those that are not cut down, when the k + 1 largest are
    cut = np.arange(1, len(ordered) + 1)
    room = 1 - share * cut  # m = share * (k m + rest)
    m = np.where(room > 0, share * rest / np.maximum(room, 1e-12), np.inf)
    fits = (m <= ordered) & (m >= np.append(ordered[1:], 0))
    return float(m[np.argmax(fits)]) if fits.any() else float(np.median(total))


@njit(nogil=True, cache=True)
def alike_blocks(pitch: np.ndarray, voiced: np.ndarray, octave: float, per_block: int) -> np.ndarray:
    """(blocks,) float64: how many times a block's melody comes in this recording, in any key, to the semitone; at
    least 1.

    Stretches as long as a block are compared, one from every ``STEPS``-th of a block on, so that a bar that is
    repeated is found at whatever place blocks begin. pitch: (n,) in steps of which ``octave`` make an octave. voiced:
    (n,). per_block: frames a block.
    """
    hop = max(1, per_block // STEPS)
    blocks, starts = -(-len(pitch) // per_block), -(-len(pitch) // hop)
    signature = np.zeros(starts, np.uint64)
    for row in range(starts):
        held, mark = np.float64(0), np.uint64(14695981039346656037)  # FNV-1a
        for step in range(STEPS):
            at = min((row + step) * hop, len(pitch) - 1)
            interval = 99
            if voiced[at]:
                apart = (pitch[at] - held) * (12.0 / octave)
                interval = round((apart + 6.0) % 12.0 - 6.0) if step else 0
                held = np.float64(pitch[at])
            mark = (mark ^ np.uint64(interval + 128)) * np.uint64(1099511628211)
        signature[row] = mark
    share = np.zeros(blocks)  # the sum of 1 / (how often each of a block's stretches comes)
    count = np.zeros(blocks)
    order = np.argsort(signature)
    begin = 0
    for i in range(1, starts + 1):
        if i == starts or signature[order[i]] != signature[order[begin]]:
            for k in range(begin, i):
                block = order[k] * hop // per_block
                share[block] += 1.0 / (i - begin)
                count[block] += 1.0
            begin = i
    return np.maximum(1.0, count / np.maximum(share, 1e-12))


@dataclass(frozen=True)
class NullModel:
    """What it does: the centre and the spread of a normal whose lower tail is that of the best matches of blocks."""

    centre: float
    spread: float

    @classmethod
    def of(cls, best: NDArray[np.floating[Any]], weight: Weights = None) -> NullModel:
        """best: (blocks,) the smallest cost in each block, infinity where none is possible. weight: (blocks,) how much
        each of them counts."""
        finite = np.isfinite(best)
        if not finite.any():
            return cls(-np.inf, 1.0)
        if weight is None:
            possible = np.sort(best[finite])  # once: quicker than three times a quantile
            position = np.arange(len(possible), dtype=np.float64)
        else:
            order = np.argsort(best[finite], kind="stable")
            possible, counts = best[finite][order], weight[finite][order]
            position = np.cumsum(counts) - counts  # 0, 1, 2 ... where all weights are 1
        low, high, middle = np.interp(position[-1] * np.array([*QUANTILES, 0.5]), position, possible)
        z_low, z_high = (NormalDist().inv_cdf(share) for share in QUANTILES)
        spread = max((high - low) / (z_high - z_low), 0.02 * abs(middle), 1e-6)
        return cls(float(high - z_high * spread), float(spread))


def null_sample(recordings: int, blocks: int, wanted: int) -> NDArray[np.bool_]:
    """(recordings,): one in so many of all alike that ``wanted`` of their ``blocks`` at most tell what chance does."""
    chosen: NDArray[np.bool_] = np.arange(recordings) % max(1, -(-blocks // wanted)) == 0
    return chosen


def log_evalues(
    best: NDArray[np.float64], owner: Ints, places: NDArray[np.float64], chance: NullModel | None = None
) -> NDArray[np.float64]:
    """Natural logarithm of how many matches as good as each recording's best chance would give in it.

    best: (blocks,) the smallest cost in each block, infinity where none is possible. owner: (blocks,) its recording.
    places: (recordings,) how many independent places each has. chance: what these blocks tell where it is not given.
    Returns (recordings,), smaller is better.
    """
    chance = chance or NullModel.of(best)
    own = np.full(len(places), np.inf)
    np.minimum.at(own, owner, best)
    tail = log_ndtr((own - chance.centre) / chance.spread)
    return np.where(np.isfinite(own), tail + np.log(np.maximum(places, 1.0)), NOWHERE)


@njit(cache=True)
def log_ndtr(z: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n,) -> (n,): the logarithm of the share of a standard normal below each z. Here and not by
    scipy, since its import would make a cold search longer."""
    found = np.empty(len(z))
    for i in range(len(z)):
        if z[i] > 0:
            found[i] = math.log1p(-0.5 * math.erfc(z[i] / math.sqrt(2)))
        elif z[i] > FAR:
            found[i] = math.log(0.5 * math.erfc(-z[i] / math.sqrt(2)))
        else:  # an asymptotic series (Abramowitz and Stegun 1964, 26.2.12), erfc being nearly 0
            inverse = 1 / z[i] ** 2
            series = 1 - inverse * (1 - 3 * inverse * (1 - 5 * inverse * (1 - 7 * inverse)))
            found[i] = -0.5 * z[i] ** 2 - math.log(-z[i]) - 0.5 * math.log(2 * math.pi) + math.log(series)
    return found
