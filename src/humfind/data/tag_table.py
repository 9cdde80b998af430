"""Tracks and their tags: what a search by words learns from, and is measured on."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from humfind.types import Bools, Floats, InputError, Ints

PARTS = ("train", "validation", "test")
SINGULAR = {"blues"}  # words that only look like plurals


@dataclass(frozen=True)
class TagTable:
    """tracks: ids. tagged: each track's tags. category: of every tag. contexts: of each track, what it stands with
    others in (a listener, an album, an artist, a page). culture: (n, d) vectors of each track from that, where they
    come with the table. part: of each track, train | validation | test, empty where it is not split yet."""

    tracks: tuple[str, ...]
    tagged: tuple[tuple[str, ...], ...]
    category: Mapping[str, str]
    contexts: tuple[tuple[str, ...], ...]
    culture: Floats | None = None
    part: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        for name in ("tagged", "contexts", *(("part",) if self.part else ())):
            if len(getattr(self, name)) != len(self.tracks):
                raise ValueError(f"{len(self.tracks)} tracks but {len(getattr(self, name))} rows of {name}")
        if len(set(self.tracks)) != len(self.tracks):
            raise ValueError("a track is there twice")
        if strange := {tag for tags in self.tagged for tag in tags} - set(self.category):
            raise ValueError(f"tag {min(strange)} has no category")
        if self.part and (strange := set(self.part) - set(PARTS)):
            raise ValueError(f"part {min(strange)!r}: choose {', '.join(PARTS)}")

    @property
    def tags(self) -> tuple[str, ...]:
        """Sorted by category, then by name."""
        return tuple(sorted(self.category, key=lambda tag: (self.category[tag], tag)))

    @property
    def has(self) -> Bools:
        """(tracks, tags): who has what."""
        column = {tag: i for i, tag in enumerate(self.tags)}
        made = np.zeros((len(self.tracks), len(column)), np.bool_)
        for row, tags in enumerate(self.tagged):
            made[row, [column[tag] for tag in tags]] = True
        return made

    def rows(self, part: str) -> Ints:
        """The tracks of a part."""
        return np.flatnonzero(np.array([one == part for one in self.part], np.bool_))

    def take(self, rows: Sequence[int] | Ints) -> TagTable:
        """These tracks alone."""

        def of(values: Sequence) -> tuple:
            return tuple(values[row] for row in rows)

        culture = None if self.culture is None else self.culture[np.asarray(rows, np.int64)]
        part = of(self.part) if self.part else ()
        return TagTable(of(self.tracks), of(self.tagged), self.category, of(self.contexts), culture, part)


def table_of(rows: Sequence[tuple[str, Sequence[str], Sequence[str]]], category: Mapping[str, str]) -> TagTable:
    """From (track, tags, contexts). Raises InputError where there is none."""
    if not rows:
        raise InputError("tags: no track has any; give a table that has some")
    tracks, tagged, contexts = zip(*rows, strict=True)
    return TagTable(tuple(tracks), tuple(map(tuple, tagged)), dict(category), tuple(map(tuple, contexts)))


def lemma(tag: str) -> str:
    """What spellings of a tag share: ``Hip-Hop``, ``hip hop`` and ``hiphop``; ``guitars`` and ``guitar``."""
    words = re.split(r"[\W_]+", tag.casefold())
    return "".join(word if word in SINGULAR else _singular(word) for word in words if word)


def _singular(word: str) -> str:
    if len(word) > 4 and word.endswith("ies"):
        return word[:-3] + "y"
    if len(word) > 3 and word.isalpha() and word.endswith("s") and not word.endswith(("ss", "us", "is")):
        return word[:-1]
    return word
