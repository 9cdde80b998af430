"""One recording, searched in an index, and its answers for a program or for eyes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from humfind.config import RankConfig
from humfind.index import Index
from humfind.rankers import make_ranker
from humfind.retrieval import search
from humfind.retrieval.query import HumQuery, load_query
from humfind.runtime.printable import printable
from humfind.types import InputError, Ranking

if TYPE_CHECKING:
    pass


def search_file(
    hum: Path,
    index: Path,
    model: str = "",
    rank: RankConfig | None = None,
    query: Callable[[], HumQuery] | None = None,
) -> tuple[Index, Ranking]:
    """One recording, searched in an index folder. model: the one that made the index where empty. query: gives what
    ``load_query`` would, where another process is at it already."""
    rank = rank or RankConfig()
    found = Index.load(index)
    ranker = make_ranker(rank, found)
    made = query() if query else load_query(hum, index, model)
    if made.tracker != found.info.tracker:  # each has read an index.json of its own
        raise InputError(f"{index}: was built anew while the hum was read; give the command again")
    found.require_model(made.model_checksum, index)
    return found, search.search(made.query, found, ranker, rank.top)


def answers_of(ranking: Ranking, index: Index) -> list[dict[str, Any]]:
    """A ranking as plain JSON values, with titles; seconds and semitones to two decimals."""
    answers = []
    for answer in ranking.answers:
        row: dict[str, Any] = asdict(answer)
        if answer.match:
            row["match"] = {name: round(value, 2) for name, value in asdict(answer.match).items()}
        answers.append({"music_id": answer.music_id, "title": index.title(answer.music_id)} | row)
    return answers


def table_of(ranking: Ranking, index: Index) -> str:
    """A ranking for eyes: rank, song, title, place in the song, semitones from hum to song, score."""
    rows = [("", "song", "title", "where", "key", "score")]
    for rank, answer in enumerate(ranking.answers, start=1):
        where, key = "", ""
        if answer.match:
            where = f"{_clock(answer.match.start_s)}-{_clock(answer.match.end_s)}"
            key = f"{answer.match.semitones:+.0f}"
        title = printable(index.title(answer.music_id))
        rows.append((str(rank), printable(answer.music_id), title, where, key, f"{answer.score:.3f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"
