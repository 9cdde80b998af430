"""Which recordings make a batch: P songs x K recordings, so that every crop has partners."""

from __future__ import annotations

import numpy as np

from humfind.types import Bools, Ints


def draw(song: Ints, is_hum: Bools, songs: int, per_song: int, rng: np.random.Generator) -> Ints:
    """Recordings of one batch, grouped by song: (P*K,) int64 rows of ``song`` and ``is_hum``.

    Songs are drawn without repetition (all of them where there are fewer than ``songs``). A song that has
    hums and songs gives half of each (the odd one a hum); no recording twice before each came once.
    """
    known = np.unique(song)
    chosen = rng.permutation(known)[:songs]
    picks: list[np.ndarray] = []
    for row in chosen:
        hums = np.flatnonzero((song == row) & is_hum)
        sung = np.flatnonzero((song == row) & ~is_hum)
        n_hums = per_song if len(sung) == 0 else 0 if len(hums) == 0 else (per_song + 1) // 2
        picks += [_some(hums, n_hums, rng), _some(sung, per_song - n_hums, rng)]
    return np.concatenate(picks)


def _some(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """``count`` of ``rows`` in random order, going round again when they run out."""
    if count == 0:
        return rows[:0]
    rounds = -(-count // len(rows))
    return np.concatenate([rng.permutation(rows) for _ in range(rounds)])[:count]
