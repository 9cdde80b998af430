"""Songs with an index, hums as queries, and the answers where they are known: what rankers are tried on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from humfind import metrics, search
from humfind.config import RankConfig
from humfind.index import Index
from humfind.rankers import make_ranker
from humfind.types import Ints, Query, Ranking


@dataclass(frozen=True)
class Trial:
    """name: validation or a split. answers: query name -> music_id; None where nobody knows."""

    name: str
    index: Index
    queries: tuple[Query, ...]
    answers: Mapping[str, str] | None

    def rankings(self, rank: RankConfig) -> list[Ranking]:
        """Every query, ranked; in the order of ``queries``."""
        return search.rank_all(self.queries, self.index, make_ranker(rank, self.index), rank.top)

    def ranks(self, rank: RankConfig) -> Ints:
        """The rank of each right song, in the order of ``answers``, which must be known."""
        if self.answers is None:
            raise ValueError(f"{self.name}: the right songs are not known")
        return search.ranks_of(self.rankings(rank), self.answers)

    def report(self, rank: RankConfig) -> metrics.Report:
        """All figures of one ranker."""
        return metrics.report(self.ranks(rank), len(self.index.music_ids))
