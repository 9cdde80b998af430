"""The song of the nearest window first."""

from __future__ import annotations

from humfind.rankers.match import best_rows, match_of
from humfind.types import Answer, Hits, Query, Ranking


class Nearest:
    """A song's score is minus the smallest distance of any of its windows to any of the query's.

    Ties fall to the smaller music_id.
    """

    hits_per_window = 1

    def rank(self, query: Query, hits: Hits, k: int) -> Ranking:
        answers = [
            Answer(
                music_id=hits.music_ids[hits.song[row]],
                score=-float(hits.distance[row]),
                match=match_of(query, hits, row),
            )
            for row in best_rows(hits)[:k]
        ]
        return Ranking(query.name, tuple(answers))
