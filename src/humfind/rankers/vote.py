"""The idea of the 2021 entry: a song of which several chunks are among the K nearest is more likely the one."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from humfind.rankers.hits import Searchable, find_hits
from humfind.rankers.match import best_rows, match_of
from humfind.types import Answer, Hits, Query, Ranking

TIE = 0.5  # the most that a distance can add to a score: less than one vote


class Vote:
    """Each of the K nearest song windows of each query window is one vote for its song.

    Songs are ordered by votes, most first; equal votes by the smallest distance of a vote, then by music_id.
    Songs without a vote follow, by their smallest distance, then by music_id. Which windows are the K
    nearest when distances tie: those of the lower row of the index. The score is the votes + 0.5 / (1 +
    that smallest distance), so it orders like the rule.
    """

    def __init__(self, songs: Searchable, windows: int) -> None:
        """windows: K, at least 1."""
        if windows < 1:
            raise ValueError(f"windows is {windows}; at least 1")
        self.songs, self.windows = songs, windows

    def rank(self, query: Query, k: int) -> Ranking:
        return self.rank_many([query], k)[0]

    def rank_many(self, queries: Sequence[Query], k: int) -> list[Ranking]:
        """``rank`` of each: the index is gone through once for all of them."""
        found = find_hits(queries, self.songs, self.windows, k)
        return [self.rank_hits(query, hits, k) for query, hits in zip(queries, found, strict=True)]

    def rank_hits(self, query: Query, hits: Hits, k: int) -> Ranking:
        """The songs of ``hits`` by their votes."""
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
        return np.arange(len(hits)) - first[window] < self.windows
