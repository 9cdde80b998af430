"""Hits -> ranking. Every ranker is ``rank(query, hits, k) -> Ranking``; what else it needs, its constructor takes.

A ranking has k distinct songs, fewer only where the hits name fewer. What a ranker answers does not depend on
how many hits it was given beyond those that ``humfind.retrieval.search.find_hits`` guarantees.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from humfind.config import RankConfig
from humfind.rankers.dtw.ranker import Dtw
from humfind.rankers.fusion import Fusion
from humfind.rankers.nearest import Nearest
from humfind.rankers.sequence import Sequence, Windowed
from humfind.rankers.vote import Vote
from humfind.types import Hits, InputError, Query, Ranking

__all__ = ["RANKERS", "Dtw", "Fusion", "Nearest", "Ranker", "Sequence", "Vote", "make_ranker"]


class Ranker(Protocol):
    """hits_per_window: how many nearest song windows of each query window it must be given; 0: it looks for itself."""

    @property
    def hits_per_window(self) -> int: ...

    def rank(self, query: Query, hits: Hits, k: int) -> Ranking:
        """The k best songs of ``hits`` for ``query``."""
        ...


RANKERS: dict[str, Callable[[RankConfig, Windowed], Ranker]] = {
    "nearest": lambda config, songs: Nearest(),
    "vote": lambda config, songs: Vote(config.vote_k),
    "sequence": lambda config, songs: Sequence(songs),
    "dtw": lambda config, songs: Dtw(songs, config.dtw),
    "fusion": lambda config, songs: Fusion(songs, config),
}


def make_ranker(config: RankConfig, songs: Windowed) -> Ranker:
    """songs: the index that is searched. Raises InputError for an unknown name."""
    if config.ranker not in RANKERS:
        raise InputError(f"ranker {config.ranker}: unknown; choose one of {', '.join(RANKERS)}")
    return RANKERS[config.ranker](config, songs)
