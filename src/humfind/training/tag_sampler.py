"""Which triplets a batch has: an anchor tag, a track that has it, and one that has not (Won et al. 2020).

random              pairs of a track and a tag, all alike: frequent tags are asked often
balanced            tags, all alike
balanced-weighted   the same, and the negative is drawn among the batch's own tracks, one that lies near the anchor more
                    often: with weight (cos + 1) / 2
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from humfind.types import Bools, Ints


def draw(has: Bools, sampling: str, count: int, rng: np.random.Generator) -> tuple[Ints, Ints, Ints]:
    """Anchor tags, rows with and rows without each, (count,) int64. has: (rows, tags), each tag in some rows and not in
    some."""
    if sampling == "random":
        rows, tags = np.nonzero(has)
        chosen = rng.integers(len(rows), size=count)
        positive, anchor = rows[chosen], tags[chosen]
    else:
        anchor = rng.integers(has.shape[1], size=count)
        positive = _one_each(has, anchor, rng)
    return anchor.astype(np.int64), positive.astype(np.int64), _one_each(~has, anchor, rng)


def _one_each(has: Bools, tags: Ints, rng: np.random.Generator) -> Ints:
    """For each of ``tags`` one of its rows, all alike."""
    of_tag, rows = np.nonzero(has.T)  # sorted by tag
    first = np.searchsorted(of_tag, tags)
    count = has.sum(axis=0)[tags]
    chosen: Ints = rows[first + rng.integers(count)].astype(np.int64)
    return chosen


def negative_weights(cosines: Tensor, allowed: Tensor) -> Tensor:
    """cosines: (anchors, tracks). allowed: bool, the same: who has not the anchor's tag. -> how likely each is drawn;
    where nobody is allowed, all 0."""
    weights = ((cosines + 1) / 2).clamp_min(1e-6) * allowed
    total = weights.sum(dim=1, keepdim=True)
    return torch.where(total > 0, weights / total.clamp_min(1e-12), weights)
