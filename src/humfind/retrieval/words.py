"""Words -> songs: by the tags that fit how they sound, and by what they are called."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from humfind.data.tag_table import lemma
from humfind.encoders import minilm
from humfind.encoders.sound import SAME, SoundEncoder
from humfind.encoders.tag_model import TagModel
from humfind.index import Index
from humfind.retrieval.sound import song_means, song_odds
from humfind.types import Answer, Floats, InputError, Ranking, did_you_mean

NAMED = 3.0  # what a word in a song's title, artist or album counts, where a tag counts its standard score
FEWEST = 3  # songs from which on a tag's scores have a mean and a spread


def parse(words: str, tags: Sequence[str]) -> tuple[list[str], list[str]]:
    """The tags that ``words`` name, the longest names first ("hard rock" is one, not two), and the words that are
    none."""
    called = {lemma(tag): tag for tag in tags} | {
        lemma(name): tag for tag, names in SAME.items() for name in names if tag in tags
    }
    tokens = words.replace(",", " ").split()
    found, rest = [], []
    while tokens:
        for count in range(len(tokens), 0, -1):
            tag = called.get(lemma(" ".join(tokens[:count])))
            if tag is not None:
                found.append(tag)
                tokens = tokens[count:]
                break
        else:
            rest.append(tokens.pop(0))
    return list(dict.fromkeys(found)), rest


@dataclass(frozen=True)
class WordSearcher:
    """Searches the songs of a sound part. odds: (songs, tags), what speaks for each; of the first ``probable`` the log
    odds. model, songs: a network that knows more words, and the songs in its space."""

    index: Index
    tags: tuple[str, ...]
    odds: Floats
    probable: int = 0
    model: TagModel | None = None
    songs: Floats | None = None
    _meanings: dict[str, np.ndarray | None] = field(default_factory=dict, repr=False)

    @classmethod
    def of(cls, index: Index, encoder: SoundEncoder, model: TagModel | None = None) -> WordSearcher:
        """model: a network of lab tags that knows a track by its sound alone; its tags are known too, where the encoder
        has not the like. Raises InputError where another encoder made the index, and for another kind of model."""
        if index.info.model_checksum != encoder.checksum:
            raise InputError("index: its sounds were read by another network; build the part again: --parts sound")
        odds = song_odds(index, encoder)
        if model is None:
            return cls(index, encoder.tags, odds, len(encoder.tags))
        if (model.config.song, model.config.acoustic) != ("spec", "musicnn"):
            raise InputError("model: needs more than the sound part has; train one with song=spec and acoustic=musicnn")
        songs = model.embed_songs(song_means(index), np.zeros((len(odds), 0), np.float32))
        new = [column for column, tag in enumerate(model.tags) if tag not in encoder.tags]
        tags = (*encoder.tags, *(model.tags[column] for column in new))
        every = np.concatenate([odds, model.scores(songs)[:, new]], axis=1)
        return cls(index, tags, every, len(encoder.tags), model, songs)

    def search(self, words: str, k: int) -> Ranking:
        """The k songs that fit best: by the mean, over the tags named, of how far a song lies above the library's
        average; words that are no tag count where a title, artist, album or path has them, or, where the model has
        general English, by their meaning. What nothing has is left out (``unknown`` names it). Raises InputError where
        nothing is left."""
        tags, rest = parse(words, self.tags)
        columns = [self._above_average(self.odds[:, self.tags.index(tag)]) for tag in tags]
        columns += [column for word in rest if (column := self._meant(word)) is not None]
        if not columns:
            raise InputError(f"words: {(self.unknown(words) or ['none'])[0]}; tags are: {', '.join(self.tags)}")
        score = np.mean(columns, axis=0)
        order = np.argsort(-score, kind="stable")[:k]
        ids = self.index.music_ids
        return Ranking(words, tuple(Answer(ids[row], float(score[row])) for row in order))

    def unknown(self, words: str) -> list[str]:
        """What to say of each of the words that nothing has."""
        known = {*self.tags, *(name for names in SAME.values() for name in names)}
        rest = [word for word in parse(words, self.tags)[1] if self._meant(word) is None]
        more = "" if self.model else " (a model of lab tags knows more: --model)"
        return [f"{word} is no tag, and no title has it{did_you_mean(word.casefold(), known) or more}" for word in rest]

    def fits(self, words: str, music_id: str) -> dict[str, float]:
        """How probable each tag of the words is in a song, of those whose probability is known."""
        row = self.index.music_ids.index(music_id)
        columns = [self.tags.index(tag) for tag in parse(words, self.tags)[0]]
        return {self.tags[at]: 1 / (1 + math.exp(-float(self.odds[row, at]))) for at in columns if at < self.probable}

    def _meant(self, word: str) -> np.ndarray | None:
        """What speaks for each song of a word that is no tag; None where nothing does."""
        if word not in self._meanings:  # the encoder of general English takes a second to read
            self._meanings[word] = self._look_up(word)
        return self._meanings[word]

    def _look_up(self, word: str) -> np.ndarray | None:
        wanted = lemma(word)
        has = np.array([wanted in self._said[music_id] for music_id in self.index.music_ids])
        if has.any():
            return NAMED * has
        if self.model is not None and self.songs is not None and self.model.config.words == "general":
            return self._above_average(self.songs @ self.model.embed_words(minilm.embed([word]))[0])
        return None

    @staticmethod
    def _above_average(scores: Floats) -> np.ndarray:
        column = scores.astype(np.float64)
        spread = column.std()
        return (column - column.mean()) / spread if len(column) >= FEWEST and spread > 0 else column

    @cached_property
    def _said(self) -> Mapping[str, set[str]]:
        """The words of what each song is called."""
        said: dict[str, set[str]] = {}
        for song in self.index.songs:
            text = f"{song.title} {song.artist} {song.album} {song.music_id}".replace("_", " ")
            said.setdefault(song.music_id, set()).update(lemma(word) for word in re.split(r"[^\w'-]+", text))
        return said
