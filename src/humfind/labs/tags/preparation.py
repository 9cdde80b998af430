"""Tags that can be learned, and a split in which each of them can be asked."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from humfind.data.tag_table import TagTable, lemma
from humfind.types import InputError

SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}
LEAKING = 0.9  # share of tracks that a tag and a context have in common


def grouped(table: TagTable) -> TagTable:
    """Spellings of one tag become one: the one that most tracks have."""
    count = Counter(tag for tags in table.tagged for tag in tags)
    name: dict[str, str] = {}
    for tag in sorted(table.category, key=lambda tag: (-count[tag], tag)):
        name.setdefault(lemma(tag), tag)
    tagged = tuple(tuple(dict.fromkeys(name[lemma(tag)] for tag in tags)) for tags in table.tagged)
    return replace(table, tagged=tagged, category={tag: table.category[tag] for tag in name.values()})


def prepared(table: TagTable, least_tracks: int, most_tags: int = 20) -> TagTable:
    """Grouped; without tags of fewer than ``least_tracks`` tracks; without tracks that have none left, more than
    ``most_tags``, or nobody who stands with them. Raises InputError where nothing is left."""
    table = grouped(table)
    alone = table.culture is None
    kept = [
        row
        for row, (tags, contexts) in enumerate(zip(table.tagged, table.contexts, strict=True))
        if 0 < len(tags) <= most_tags and (contexts or not alone)
    ]
    table = table.take(kept)
    count = Counter(tag for tags in table.tagged for tag in tags)
    common = {tag: kind for tag, kind in table.category.items() if count[tag] >= least_tracks}
    tagged = tuple(tuple(tag for tag in tags if tag in common) for tags in table.tagged)
    rows = [row for row, tags in enumerate(tagged) if tags]
    if len(common) < 2 or not rows:
        raise InputError(
            f"tags: {len(common)} have {least_tracks} tracks or more; give more tracks, or a smaller number"
        )
    return replace(table, tagged=tagged, category=common).take(rows)


def split(table: TagTable, seed: int) -> TagTable:
    """Parts drawn at random, so that every tag has tracks in each: the rarest tags are dealt first. A table that has
    parts keeps them. Raises InputError where a tag has too few tracks for that, or a part lacks it."""
    if not table.part:
        rng = np.random.default_rng(seed)
        has = table.has
        part = np.full(len(table.tracks), "", dtype=object)
        for column in np.argsort(has.sum(axis=0), kind="stable"):
            mine = np.flatnonzero(has[:, column])
            free = rng.permutation(mine[part[mine] == ""])
            wanted = {name: max(1, round(share * len(mine))) for name, share in SHARES.items()}
            lacking = {name: wanted[name] - int((part[mine] == name).sum()) for name in ("test", "validation")}
            for name, count in lacking.items():
                taken, free = free[: max(0, count)], free[max(0, count) :]
                part[taken] = name
            part[free] = "train"
        table = replace(table, part=tuple(part.tolist()))
    has = table.has
    for name in SHARES:
        empty = np.flatnonzero(~has[table.rows(name)].any(axis=0)) if len(table.rows(name)) else np.arange(1)
        if len(empty):
            raise InputError(f"tags: {table.tags[empty[0]]} has no track in {name}; give more tracks, or leave it out")
    return table


def require_no_leak(table: TagTable) -> None:
    """Raises InputError where a tag says the same as a context: the cultural vectors would know it by name."""
    members: dict[str, set[int]] = {}
    for row, contexts in enumerate(table.contexts):
        for context in contexts:
            members.setdefault(context, set()).add(row)
    has = table.has
    for column, tag in enumerate(table.tags):
        mine = set(np.flatnonzero(has[:, column]).tolist())
        near = Counter(context for row in mine for context in set(table.contexts[row]))
        for context, both in near.items():
            if len(mine) > 1 and both / len(mine | members[context]) >= LEAKING:
                raise InputError(
                    f"tags: {tag} says the same as {context}, of which the cultural vectors are made; leave one out"
                )
