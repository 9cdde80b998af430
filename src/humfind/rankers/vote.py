"""The idea of the 2021 entry: a song of which several chunks are among the K nearest is more likely the one."""

from __future__ import annotations

import numpy as np

from humfind.rankers.match import best_rows, match_of
from humfind.types import Answer, Hits, Query, Ranking

TIE = 0.5  # the most that a distance can add to a score: less than one vote


class Vote:
    """Each of the ``hits_per_window`` (K) nearest song windows of each query window is one vote for its song.

    Songs are ordered by votes, most first; equal votes by the smallest distance of a vote, then by music_id.
    Songs without a vote follow, by their smallest distance, then by music_id. Which windows are the K
    nearest when distances tie: those of the lower row of the index. The score is the votes + 0.5 / (1 +
    that smallest distance), so it orders like the rule.
    """

    def __init__(self, hits_per_window: int) -> None:
        if hits_per_window < 1:
            raise ValueError(f"hits_per_window is {hits_per_window}; at least 1")
        self.hits_per_window = hits_per_window

    def rank(self, query: Query, hits: Hits, k: int) -> Ranking:
        ballots = self._ballots(hits)
        votes = np.bincount(hits.song[ballots], minlength=len(hits.music_ids))
        voted = best_rows(hits, np.flatnonzero(ballots))
        others = best_rows(hits)
        rows = np.concatenate([voted, others[votes[hits.song[others]] == 0]])
        order = np.lexsort((hits.song[rows], hits.distance[rows], -votes[hits.song[rows]]))
        answers = [
            Answer(
                music_id=hits.music_ids[hits.song[row]],
                score=float(votes[hits.song[row]]) + TIE / (1.0 + float(hits.distance[row])),
                match=match_of(query, hits, row),
            )
            for row in rows[order][:k]
        ]
        return Ranking(query.name, tuple(answers))

    def _ballots(self, hits: Hits) -> np.ndarray:
        """Which hits are votes: the first K of each query window. (m,) bool."""
        _, first, window = np.unique(hits.query_window, return_index=True, return_inverse=True)
        return np.arange(len(hits)) - first[window] < self.hits_per_window
