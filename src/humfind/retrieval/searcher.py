"""An index of melodies held open: recordings of hums, searched in it one after the other, or many at once.

The one path of ``humfind search``, of ``search_file`` and of the page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from humfind.config import RankConfig
from humfind.index import Index
from humfind.rankers import make_ranker
from humfind.retrieval import search
from humfind.retrieval.query import HumQueries, QueryMaker, load_queries, make_query
from humfind.types import F0, InputError, Query, Ranking


@dataclass(frozen=True)
class Searched:
    """A recording of a hum, what was searched of it, and what was found."""

    hum: Path
    query: Query
    ranking: Ranking


class Searcher:
    """index: with its vectors and contours, mapped from disk. Several threads may search at once."""

    def __init__(self, folder: Path, model: str = "", rank: RankConfig | None = None) -> None:
        """model: the one that made the index where empty; it is opened at the first hum. Raises InputError where there
        is no index."""
        self.folder, self.model, self.rank = folder, model, rank or RankConfig()
        self.index = Index.load(folder)
        self.ranker = make_ranker(self.rank, self.index)

    @cached_property
    def maker(self) -> QueryMaker:
        """Tracker and model, held open. Raises InputError where there is no model, or another than the index's."""
        maker = QueryMaker(self.folder, self.model)
        self._require(maker.about, maker.encoder.checksum)
        return maker

    def again(self) -> Searcher:
        """Of the index that is there now, with the same model held open where it is of the same. Raises InputError."""
        fresh = Searcher(self.folder, self.model, self.rank)
        made = [(one.index.info.tracker, one.index.info.model_checksum) for one in (self, fresh)]
        if "maker" in vars(self) and made[0] == made[1]:
            fresh.maker = self.maker
        return fresh

    def warm(self) -> None:
        """Search for a scale, so that the first hum does not wait for what is compiled and read at first use."""
        hz = np.repeat(220 * 2 ** (np.arange(12) / 12), 50).astype(np.float32)
        line = F0(hz, np.ones_like(hz), 0.01)
        search.search(make_query("scale", line, self.maker.encoder), self.index, self.ranker, self.rank.top)

    def search(self, hum: Path | F0, name: str) -> tuple[Query, Ranking]:
        """hum: a recording, or its f0 by the index's tracker. name: what it is called. Raises InputError where the
        recording cannot be read, and NoMelodyError where it has no melody."""
        query = self.maker.query(hum, name)
        return query, search.search(query, self.index, self.ranker, self.rank.top)

    def search_made(self, hums: Sequence[Path], made: HumQueries) -> tuple[list[Searched], list[str]]:
        """Recordings whose queries are made already, by ``load_queries``, perhaps in another process; of those without
        one the reasons. Raises InputError where another index or another model made them."""
        self._require(made.tracker, made.model_checksum)
        asked = [(hum, one) for hum, one in zip(hums, made.queries, strict=True) if isinstance(one, Query)]
        rankings = search.rank_all([query for _, query in asked], self.index, self.ranker, self.rank.top)
        found = [Searched(*both, ranking) for both, ranking in zip(asked, rankings, strict=True)]
        return found, [reason for reason in made.queries if isinstance(reason, str)]

    def _require(self, tracker: dict[str, Any], checksum: str) -> None:
        if tracker != self.index.info.tracker:  # each has read an index.json of its own
            raise InputError(f"{self.folder}: was built anew while the hum was read; give the command again")
        self.index.require_model(checksum, self.folder)


def search_file(hum: Path, index: Path, model: str = "", rank: RankConfig | None = None) -> tuple[Index, Ranking]:
    """One recording, searched in an index folder. model: the one that made the index where empty. Raises InputError
    where the recording cannot be read or has no melody, and where there is no index."""
    found, searched, reasons = search_files([hum], index, model, rank)
    if reasons:
        raise InputError(reasons[0])
    return found, searched[0].ranking


def search_files(
    hums: Sequence[Path],
    index: Path,
    model: str = "",
    rank: RankConfig | None = None,
    queries: Callable[[], HumQueries] | None = None,
) -> tuple[Index, list[Searched], list[str]]:
    """``search_file`` of each recording; of those without an answer the reasons, and they cost the others nothing.
    queries: gives what ``load_queries`` would, where another process is at it already."""
    searcher = Searcher(index, model, rank)
    made = queries() if queries else load_queries(hums, index, model)
    return searcher.index, *searcher.search_made(hums, made)
