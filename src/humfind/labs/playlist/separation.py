"""Whether tracks of a genre lie nearer to each other than to others (the 2024 report's metric), with intervals.

Of each genre an anchor, so many others of its genre and so many of other genres are drawn; the genre is kept together
where the mean distance within is smaller. Drawn many times: the report's share of one draw is a matter of luck.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from humfind.index.vectors import unit
from humfind.metrics import Interval, bootstrap
from humfind.types import Floats, InputError

DRAWN, REPEATS = 5, 50


@dataclass(frozen=True)
class Separation:
    """euclidean, cosine: the share of genres whose tracks lie nearer to each other, over the genres. within, beyond:
    mean distances, Euclidean and cosine. by_genre: the share of draws in which each is kept together, by cosine."""

    euclidean: Interval
    cosine: Interval
    within: tuple[float, float]
    beyond: tuple[float, float]
    by_genre: dict[str, float]


def separation(vectors: Floats, genres: Sequence[str], seed: int = 0, repeats: int = REPEATS) -> Separation:
    """vectors: (n, d). genres: of each, empty for none. Raises InputError where there are not two genres with an anchor
    and so many more."""
    rows = {name: np.flatnonzero([one == name for one in genres]) for name in sorted(set(genres) - {""})}
    rows = {name: mine for name, mine in rows.items() if len(mine) > DRAWN}
    others = {name: np.flatnonzero([one not in ("", name) for one in genres]) for name in rows}
    if len(rows) < 2:
        raise InputError(f"genres: fewer than two have {DRAWN + 1} tracks; give more of each")
    directions = unit(vectors)
    rng = np.random.default_rng(seed)
    kept: dict[str, list[tuple[bool, bool]]] = {name: [] for name in rows}
    distances = []
    for _ in range(repeats):
        for name, mine in rows.items():
            anchor, *near = rng.choice(mine, DRAWN + 1, replace=False)
            far = rng.choice(others[name], DRAWN, replace=len(others[name]) < DRAWN)
            euclidean = [float(np.linalg.norm(vectors[some] - vectors[anchor], axis=1).mean()) for some in (near, far)]
            cosine = [float(1 - (directions[some] @ directions[anchor]).mean()) for some in (near, far)]
            kept[name].append((euclidean[0] < euclidean[1], cosine[0] < cosine[1]))
            distances.append((euclidean, cosine))
    shares = np.array([np.mean(pairs, axis=0) for pairs in kept.values()])
    mean = np.mean(distances, axis=0)
    return Separation(
        bootstrap(shares[:, 0]),
        bootstrap(shares[:, 1]),
        (float(mean[0, 0]), float(mean[1, 0])),
        (float(mean[0, 1]), float(mean[1, 1])),
        {name: float(share) for name, share in zip(kept, shares[:, 1], strict=True)},
    )
