"""Words -> songs: by the tags that fit how they sound, and by what they are called."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from humfind.encoders.sound import SAME, SoundEncoder
from humfind.index import Index
from humfind.retrieval.sound import song_odds
from humfind.types import Answer, Floats, InputError, Ranking, did_you_mean

NAMED = 3.0  # what a word in a song's title, artist or album counts, where a tag counts its standard score
FEWEST = 3  # songs from which on a tag's scores have a mean and a spread


def plain(text: str) -> str:
    """How words are compared: ``Hip-Hop``, ``hip hop`` and ``hiphop`` are one, a plural and its singular are too."""
    letters = "".join(letter for letter in text.casefold() if letter.isalnum())
    return letters[:-1] if letters.endswith("s") and letters[:-1].isalpha() and len(letters) > 3 else letters


def parse(words: str, tags: Sequence[str]) -> tuple[list[str], list[str]]:
    """The tags that ``words`` name, the longest names first ("hard rock" is one, not two), and the words that are
    none."""
    called = {plain(tag): tag for tag in tags} | {
        plain(name): tag for tag, names in SAME.items() for name in names if tag in tags
    }
    tokens = words.replace(",", " ").split()
    found, rest = [], []
    while tokens:
        for count in range(len(tokens), 0, -1):
            tag = called.get(plain("".join(tokens[:count])))
            if tag is not None:
                found.append(tag)
                tokens = tokens[count:]
                break
        else:
            rest.append(tokens.pop(0))
    return list(dict.fromkeys(found)), rest


@dataclass(frozen=True)
class WordSearcher:
    """Searches the songs of a sound part. odds: (songs, tags), by ``song_odds``."""

    index: Index
    tags: tuple[str, ...]
    odds: Floats

    @classmethod
    def of(cls, index: Index, encoder: SoundEncoder) -> WordSearcher:
        """Raises InputError where another encoder made the index."""
        if index.info.model_checksum != encoder.checksum:
            raise InputError("index: its sounds were read by another network; build the part again: --parts sound")
        return cls(index, encoder.tags, song_odds(index, encoder))

    def search(self, words: str, k: int) -> Ranking:
        """The k songs that fit best: by the mean, over the tags named, of how far a song lies above the library's
        average; words that are no tag count where a title, artist or album has them. Raises InputError where there
        are no words, and for a word that is neither."""
        tags, rest = parse(words, self.tags)
        if not tags and not rest:
            raise InputError(f"words: none; give one or more of: {', '.join(self.tags)}")
        columns = [self._standard(tag) for tag in tags] + [self._named(word) for word in rest]
        score = np.mean(columns, axis=0)
        order = np.argsort(-score, kind="stable")[:k]
        ids = self.index.music_ids
        return Ranking(words, tuple(Answer(ids[row], float(score[row])) for row in order))

    def _standard(self, tag: str) -> np.ndarray:
        column = self.odds[:, self.tags.index(tag)].astype(np.float64)
        spread = column.std()
        return (column - column.mean()) / spread if len(column) >= FEWEST and spread > 0 else column

    def _named(self, word: str) -> np.ndarray:
        wanted = plain(word)
        has = np.array([wanted in self._said[music_id] for music_id in self.index.music_ids])
        if not has.any():
            known = {*self.tags, *(name for names in SAME.values() for name in names)}
            hint = did_you_mean(word.casefold(), known) or f"; tags are: {', '.join(self.tags)}"
            raise InputError(f"words: {word} is no tag, and no title, artist or album has it{hint}")
        return NAMED * has

    @property
    def _said(self) -> Mapping[str, set[str]]:
        """The words of what each song is called."""
        said: dict[str, set[str]] = {}
        for song in self.index.songs:
            text = f"{song.title} {song.artist} {song.album}"
            said.setdefault(song.music_id, set()).update(plain(word) for word in text.split())
        return said
