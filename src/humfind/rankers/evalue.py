"""How surprising is a song's best match? A long song has many places that could match by chance, a short one few.

The null hypothesis is read off the search itself: each recording is cut into blocks of ``BLOCK_S``, and the best match
in each block, over all recordings, is what a hum of this melody reaches by chance (nearly all blocks are of other
songs). A normal tail fitted to them gives the chance that one place matches so well; times the number of places, it is
the E-value, as in the statistics of sequence alignment (Karlin and Altschul 1990).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtri

from humfind.types import Ints

BLOCK_S = 8.0
QUANTILES = (0.03, 0.4)  # between which the tail is fitted: below lie the matches, above what never counts
NOWHERE = 1e6  # the log E-value where nothing could match


def log_evalues(
    best: NDArray[np.float64], owner: Ints, places: NDArray[np.float64], chance: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """Natural logarithm of how many matches as good as each recording's best chance would give in it.

    best: (blocks,) the smallest cost in each block, infinity where none is possible. owner: (blocks,) its recording.
    places: (recordings,) how many independent places each has. chance: (recordings,) those that tell what chance does,
    where not all were drawn alike. Returns (recordings,), smaller is better.
    """
    own = np.full(len(places), np.inf)
    np.minimum.at(own, owner, best)
    possible = best[np.isfinite(best) & (chance[owner] if chance is not None else True)]
    if len(possible) == 0:
        return np.full(len(places), NOWHERE)
    low, high = np.quantile(possible, QUANTILES)
    z_low, z_high = ndtri(QUANTILES)
    spread = max((high - low) / (z_high - z_low), 0.02 * abs(float(np.median(possible))), 1e-6)
    tail = log_ndtr((own - (high - z_high * spread)) / spread)
    return np.where(np.isfinite(own), tail + np.log(np.maximum(places, 1.0)), NOWHERE)
