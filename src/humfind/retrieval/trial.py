"""A split's songs, indexed, and its hums as queries: what is searched, evaluated and submitted, by commands and
notebooks."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from humfind import metrics
from humfind.config import F0Config, RankConfig
from humfind.data.zalo import Item, load_split, read_titles
from humfind.f0.load import F0Cache, F0Set, Skipped, load_f0
from humfind.index import Index, Song
from humfind.rankers import make_ranker
from humfind.retrieval import search
from humfind.runtime.logs import check_counts
from humfind.types import F0, Answer, InputError, Ints, Query, Ranking

if TYPE_CHECKING:
    from humfind.encoders.checkpoint import Model

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trial:
    """name: validation or a split. hums: the names of all of its hums, sorted, those without a query among them.
    answers: hum name -> music_id; None where nobody knows. skipped: recordings without f0, and why. strays: files that
    are none of the split's recordings."""

    name: str
    index: Index
    queries: tuple[Query, ...]
    hums: tuple[str, ...]
    answers: Mapping[str, str] | None
    skipped: Skipped
    strays: Skipped

    def rankings(self, rank: RankConfig) -> list[Ranking]:
        """A ranking of every hum, sorted by name. One without a query has the first songs by id, scores 0."""
        ranked = search.rank_all(self.queries, self.index, make_ranker(rank, self.index), rank.top)
        by_name = {ranking.query: ranking for ranking in ranked}
        first = tuple(Answer(music_id, 0.0) for music_id in self.index.music_ids[: rank.top])
        found = [by_name.get(name, Ranking(name, first)) for name in self.hums]
        filled = sum(ranking.query not in by_name for ranking in found)
        check_counts(log, self.name, len(found), "hums", ranked=len(self.queries), filled=filled)
        return found

    def ranks(self, rank: RankConfig) -> Ints:
        """The rank of each right song, in the order of ``answers``, which must be known."""
        if self.answers is None:
            raise ValueError(f"{self.name}: the right songs are not known")
        return search.ranks_of(self.rankings(rank), self.answers)

    def report(self, rank: RankConfig) -> metrics.Report:
        """All figures of one ranker."""
        return metrics.report(self.ranks(rank), len(self.index.music_ids))


def make_trial(
    data: Path,
    split: str,
    model: Model,
    model_path: str,
    cache: F0Cache,
    f0: F0Config | None = None,
    index: Path | None = None,
    trained: Model | None = None,
) -> Trial:
    """The songs and hums of a split of ``data``; of train, the songs that training held out, and their hums.

    model, model_path: the encoder and what it was loaded from. cache: where f0 are kept. f0: how to track; as the store
    was made where None. index: a folder; built in memory where None. trained: whose training held songs out (default:
    this model's). Raises InputError where an answer names a song that is nowhere.
    """
    parts = load_split(data, split, cache)
    hums = load_f0(parts.hums, split, "hum", cache, f0)
    songs = load_f0(parts.songs, split, "song", cache, f0) if index is None or split == "train" else F0Set()
    if split == "train":
        held_out = (trained or model).held_out(parts.music_ids)
        parts, songs, hums = parts.of_songs(held_out), _of_songs(songs, held_out), _of_songs(hums, held_out)
    if index is None:
        of_songs = recordings(songs.f0, read_titles(data))
        found = search.build_index(of_songs, model, model_path, songs.tracker, len(songs.items))
    else:
        found = Index.load(index, model.checksum)
    answers = parts.answers or {}
    known = {*found.music_ids, *(item.music_id for item in parts.songs)}
    strange = sorted(hum for hum, music_id in answers.items() if music_id not in known)
    if strange:
        where, said = f"{data}: {split}, answers", answers[strange[0]]
        raise InputError(f"{where}: {strange[0]} is {said}, which is no song; add the song or remove the row")
    beyond = sorted({music_id for music_id in answers.values() if music_id not in found.music_ids})
    if beyond:
        share = f"{len(beyond)} of {len(set(answers.values()))} right songs"
        log.warning("%s: %s are not in it, so their hums cannot be found: %s ...", index or data, share, beyond[0])
    queries = search.make_queries(((item.name, line) for item, line in hums.f0), model)
    return Trial(
        name="validation" if split == "train" else split,
        index=found,
        queries=tuple(queries),
        hums=tuple(sorted(item.name for item in parts.hums)),
        answers=parts.answers,
        skipped=songs.skipped + hums.skipped,
        strays=list(parts.strays),
    )


def recordings(
    f0s: Iterable[tuple[Item, F0]], titles: Mapping[str, str] | None = None, songs: Mapping[str, Song] | None = None
) -> Iterator[tuple[Song, F0]]:
    """What ``search.build_index`` takes. By music_id, where known: titles, and songs, which say more."""
    named, known = titles or {}, songs or {}
    for item, f0 in f0s:
        music_id = item.music_id or item.stem
        song = known.get(music_id) or Song(music_id, source=item.path)
        yield replace(song, title=named.get(music_id, song.title)), f0


def _of_songs(f0s: F0Set, music_ids: Collection[str]) -> F0Set:
    chosen = set(music_ids)
    return replace(f0s, items=tuple(item for item in f0s.items if item.music_id in chosen))
