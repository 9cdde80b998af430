"""The song of the nearest window first."""

from __future__ import annotations

from collections.abc import Sequence

from humfind.rankers.hits import Searchable, find_hits
from humfind.rankers.match import best_rows, match_of
from humfind.types import Answer, Hits, Query, Ranking


class Nearest:
    """A song's score is minus the smallest distance of any of its windows to any of the query's.

    Ties fall to the smaller music_id.
    """

    def __init__(self, songs: Searchable) -> None:
        self.songs = songs

    def rank(self, query: Query, k: int) -> Ranking:
        return self.rank_many([query], k)[0]

    def rank_many(self, queries: Sequence[Query], k: int) -> list[Ranking]:
        """``rank`` of each: the index is gone through once for all of them."""
        return [rank_hits(*pair, k) for pair in zip(queries, find_hits(queries, self.songs, 1, k), strict=True)]


def rank_hits(query: Query, hits: Hits, k: int) -> Ranking:
    """The songs of ``hits`` by their nearest window."""
    answers = [
        Answer(
            music_id=hits.music_ids[hits.song[row]],
            score=-float(hits.distance[row]),
            match=match_of(query, hits, row),
        )
        for row in best_rows(hits)[:k]
    ]
    return Ranking(query.name, tuple(answers))
