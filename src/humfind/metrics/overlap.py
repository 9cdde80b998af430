"""How much two samples overlap."""

from __future__ import annotations

import numpy as np


def bhattacharyya(a: np.ndarray, b: np.ndarray, bins: int = 50) -> float:
    """Overlap of two samples' histograms, 0 (apart) to 1 (the same); NaN where one is empty. Bhattacharyya 1943."""
    if not len(a) or not len(b):
        return float("nan")
    edges = np.histogram_bin_edges(np.concatenate([a, b]), bins=bins)
    p = np.histogram(a, edges)[0] / len(a)
    q = np.histogram(b, edges)[0] / len(b)
    return float(np.sum(np.sqrt(p * q)))
