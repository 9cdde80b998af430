"""Vectors of tags: from how music is tagged, or of general English.

music     positive pointwise mutual information of tags that stand together on tracks, and its singular vectors (Levy
          and Goldberg 2014 show that word2vec factorises the like)
general   a sentence encoder (``humfind.encoders.minilm``)
"""

from __future__ import annotations

import numpy as np

from humfind.data.tag_table import TagTable
from humfind.encoders import minilm
from humfind.types import Floats

DIM = 300
KINDS = ("music", "general")


def vectors(kind: str, table: TagTable) -> Floats:
    """(tags, d) float32 of length 1, of ``table.tags``. table: of the tracks that may be learned from, no others."""
    return minilm.embed(table.tags) if kind == "general" else music(table)


def music(table: TagTable, dim: int = DIM) -> Floats:
    """(tags, min(dim, tags)) float32, each of length 1. A tag that stands with no other has a vector of its own."""
    has = table.has.astype(np.float64)
    together = has.T @ has
    each = together.sum(axis=1)
    expected = np.maximum(each[:, None] * each[None, :] / each.sum(), 1e-12)
    information = np.log(np.maximum(together / expected, 1e-12)).clip(min=0)
    left, size, _ = np.linalg.svd(information, hermitian=True)
    found = (left * np.sqrt(size))[:, :dim]
    return _of_length_1(found)


def _of_length_1(values: np.ndarray) -> Floats:
    length = np.sqrt(np.square(values).sum(axis=1, keepdims=True))
    return (values / np.maximum(length, 1e-12)).astype(np.float32)
