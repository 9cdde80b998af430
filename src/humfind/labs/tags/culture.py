"""Who stands with whom -> vectors: collaborative filtering without any sound.

Tracks x contexts, each context weighted by how rare it is (inverse document frequency), each track of length one,
then its first singular vectors (latent semantic indexing, Deerwester et al. 1990).
"""

from __future__ import annotations

import numpy as np

from humfind.data.tag_table import TagTable
from humfind.types import Floats

DIM = 200


def vectors(table: TagTable, dim: int = DIM, seed: int = 0) -> Floats:
    """(tracks, d) float32, d at most ``dim``: those that came with the table, or made of its contexts. A context of a
    single track says nothing, and is left out; a track without any is 0."""
    if table.culture is not None:
        return table.culture
    from scipy.sparse import csr_matrix
    from sklearn.decomposition import TruncatedSVD

    count: dict[str, int] = {}
    for contexts in table.contexts:
        for context in set(contexts):
            count[context] = count.get(context, 0) + 1
    column = {context: i for i, context in enumerate(sorted(name for name, n in count.items() if n > 1))}
    entries = [
        (row, column[context], np.log(len(table.tracks) / count[context]))
        for row, contexts in enumerate(table.contexts)
        for context in sorted(set(contexts))
        if context in column
    ]
    shape = (len(table.tracks), max(2, len(column)))
    rows, columns, weights = zip(*entries, strict=True) if entries else ((), (), ())
    matrix = csr_matrix((np.array(weights, np.float64), (np.array(rows, int), np.array(columns, int))), shape)
    length = np.sqrt(matrix.multiply(matrix).sum(axis=1)).A1
    matrix = csr_matrix(matrix.multiply(1 / np.maximum(length, 1e-12)[:, None]))
    size = min(dim, min(shape) - 1)
    found: Floats = TruncatedSVD(size, random_state=seed).fit_transform(matrix).astype(np.float32)
    return found / np.float32(max(1e-12, np.sqrt(np.square(found).sum(axis=1)).mean()))
