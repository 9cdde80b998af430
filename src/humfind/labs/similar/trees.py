"""Search by a forest of random hyperplanes, written to be read.

A tree cuts the space in two by a plane between two points drawn at random, so that half of all lie on each side, then
each half again, until a leaf holds few. A query goes down to its leaf in every tree. Where it passes near a plane,
what it looks for may lie on the other side: those sides wait in one queue for all trees, the nearest plane first. Every
point in the leaves that were opened is then measured. Source: E. Bernhardsson's Annoy, 2013; S. Dasgupta and Y. Freund,
Random projection trees and low dimensional manifolds, STOC 2008.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass

import numpy as np

from humfind.index.engines import Proposal
from humfind.index.vectors import VectorTable
from humfind.types import Floats, Ints

TREES, LEAF, THRESHOLD, POOL, SEED = 16, 1024, 0.005, 100, 0


@dataclass
class Tree:
    """A node is a row. normal: (nodes, dim) of length 1; offset: (nodes,). below, above: the node on either side of the
    plane, or -1 - the row of a leaf. leaves: rows of the table."""

    normal: Floats
    offset: Floats
    below: Ints
    above: Ints
    leaves: list[Ints]

    @classmethod
    def grow(cls, vectors: Floats, leaf: int, rng: np.random.Generator) -> Tree:
        """leaf: the most rows of a leaf."""
        normals: list[Floats] = []
        offsets: list[float] = []
        children: list[list[int]] = []
        leaves: list[Ints] = []

        def node(rows: Ints) -> int:
            if len(rows) <= leaf:
                leaves.append(rows)
                return -len(leaves)
            one, other = vectors[rng.choice(rows, 2, replace=False)]
            normal = one - other
            length = np.linalg.norm(normal)
            normal = normal / length if length > 0 else rng.standard_normal(len(normal)).astype(np.float32)
            side = vectors[rows] @ normal
            order = np.argsort(side, kind="stable")
            half = len(rows) // 2
            number = len(normals)
            normals.append(normal)
            offsets.append(float(side[order[half - 1 : half + 1]].mean()))
            children.append([0, 0])
            children[number] = [node(rows[order[:half]]), node(rows[order[half:]])]
            return number

        node(np.arange(len(vectors)))
        below, above = np.array(children or np.zeros((0, 2)), np.int64).reshape(-1, 2).T
        dim = vectors.shape[1]
        return cls(np.array(normals, np.float32).reshape(-1, dim), np.array(offsets, np.float32), below, above, leaves)


class Forest:
    """Proposes rows as an engine of the index does (``humfind.index.engines``); they are measured again.

    trees: how many. leaf: rows of a leaf, at most. threshold: how near a plane a query must pass for the other side to
    be looked at; in the vectors' own unit. pool: how many rows are measured, at most, for each answer; what lies in the
    query's own leaves always is.
    """

    def __init__(
        self,
        table: VectorTable,
        *,
        trees: int = TREES,
        leaf: int = LEAF,
        threshold: float = THRESHOLD,
        pool: int = POOL,
    ) -> None:
        self.threshold, self.pool = threshold, pool
        vectors = table[:]
        self.trees = [Tree.grow(vectors, leaf, np.random.default_rng([SEED, row])) for row in range(trees)]
        self._vectors, self._squares = vectors, np.einsum("nd,nd->n", vectors, vectors)

    def propose(self, vectors: Floats, k: int) -> Proposal:
        """The k nearest of the pool."""
        found = np.empty((len(vectors), k), np.int64)
        for number, vector in enumerate(vectors):
            rows = self.candidates(vector, k)
            distance = self._squares[rows] - 2 * self._vectors[rows] @ vector
            nearest = np.argpartition(distance, k - 1)[:k] if k < len(rows) else np.arange(len(rows))
            found[number] = rows[nearest]
        return Proposal(found, None)

    def candidates(self, vector: Floats, k: int) -> Ints:
        """The rows of the leaves that are opened, k at least."""
        seen = np.zeros(len(self._vectors), np.bool_)
        count = 0
        waiting = [(0.0, number, 0 if len(tree.normal) else -1) for number, tree in enumerate(self.trees)]
        heapq.heapify(waiting)
        while waiting:
            margin, number, node = heapq.heappop(waiting)
            if count >= k and margin > 0 and (margin > self.threshold or count >= self.pool * k):
                break
            tree = self.trees[number]
            while node >= 0:
                side = float(tree.normal[node] @ vector - tree.offset[node])
                near, far = (tree.below, tree.above) if side < 0 else (tree.above, tree.below)
                heapq.heappush(waiting, (max(margin, abs(side), 1e-12), number, int(far[node])))
                node = int(near[node])
            rows = tree.leaves[-1 - node]
            count += int((~seen[rows]).sum())
            seen[rows] = True
        return np.flatnonzero(seen)
