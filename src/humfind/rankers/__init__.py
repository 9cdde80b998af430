"""Query -> ranking. Every ranker is ``rank(query, k) -> Ranking``; what it needs of the index, its constructor takes.

A ranking has k distinct songs, fewer only where the index has fewer. A ranker may offer ``rank_many(queries, k)``: the
same rankings, faster. Adding one takes a file, a line in ``RANKERS`` and its name in ``config.RANKER_NAMES``, or an
entry point (``humfind.runtime.plugins``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from humfind.config import RankConfig
from humfind.rankers.dtw.ranker import Dtw
from humfind.rankers.fusion import Fusion
from humfind.rankers.nearest import Nearest
from humfind.rankers.sequence import WindowSequence
from humfind.rankers.vote import Vote
from humfind.runtime import plugins
from humfind.types import Query, Ranking

__all__ = ["RANKERS", "Dtw", "Fusion", "Nearest", "Ranker", "Vote", "WindowSequence", "make_ranker", "rank_each"]
TOGETHER = 256  # queries that a ranker is given at once


class Ranker(Protocol):
    """One way to order the songs of an index."""

    def rank(self, query: Query, k: int) -> Ranking:
        """The k best songs for ``query``."""
        ...


RANKERS: dict[str, Callable[[RankConfig, Any], Ranker] | str] = {
    "nearest": lambda config, index: Nearest(index),
    "vote": lambda config, index: Vote(index, config.vote_k),
    "sequence": lambda config, index: WindowSequence(index),
    "dtw": lambda config, index: Dtw(index, config.dtw),
    "fusion": lambda config, index: Fusion(index, config),
    "wavelet": "humfind.rankers.wavelet:Wavelet",  # imported when it is asked for: two libraries of its own
}


def make_ranker(config: RankConfig, index: Any) -> Ranker:
    """index: what is searched, a ``humfind.index.Index``; each ranker's protocol says what it uses. Raises InputError
    for an unknown name."""
    ranker: Ranker = plugins.find("rankers", config.ranker, RANKERS)(config, index)
    return ranker


def rank_each(ranker: Ranker, queries: Sequence[Query], k: int) -> Iterator[Ranking]:
    """``ranker.rank`` of each query, many at a time where the ranker can."""
    many = getattr(ranker, "rank_many", None)
    if many is None:
        yield from (ranker.rank(query, k) for query in queries)
        return
    for start in range(0, len(queries), TOGETHER):
        yield from many(queries[start : start + TOGETHER], k)
