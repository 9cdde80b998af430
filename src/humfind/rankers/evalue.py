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


@dataclass(frozen=True)
class Chance:
    """What it does: the centre and the spread of a normal whose lower tail is that of the best matches of blocks."""

    centre: float
    spread: float

    @classmethod
    def of(cls, best: NDArray[np.floating[Any]]) -> Chance:
        """best: (blocks,) the smallest cost in each block, infinity where none is possible."""
        possible = np.sort(best[np.isfinite(best)])  # once: quicker than three times a quantile
        if len(possible) == 0:
            return cls(-np.inf, 1.0)
        rows = (len(possible) - 1) * np.array([*QUANTILES, 0.5])
        low, high, middle = np.interp(rows, np.arange(len(possible)), possible)
        z_low, z_high = (NormalDist().inv_cdf(share) for share in QUANTILES)
        spread = max((high - low) / (z_high - z_low), 0.02 * abs(middle), 1e-6)
        return cls(float(high - z_high * spread), float(spread))


def drawn(recordings: int, blocks: int, wanted: int) -> NDArray[np.bool_]:
    """(recordings,): one in so many of all alike that ``wanted`` of their ``blocks`` at most tell what chance does."""
    chosen: NDArray[np.bool_] = np.arange(recordings) % max(1, -(-blocks // wanted)) == 0
    return chosen


def log_evalues(
    best: NDArray[np.float64], owner: Ints, places: NDArray[np.float64], chance: Chance | None = None
) -> NDArray[np.float64]:
    """Natural logarithm of how many matches as good as each recording's best chance would give in it.

    best: (blocks,) the smallest cost in each block, infinity where none is possible. owner: (blocks,) its recording.
    places: (recordings,) how many independent places each has. chance: what these blocks tell where it is not given.
    Returns (recordings,), smaller is better.
    """
    chance = chance or Chance.of(best)
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
