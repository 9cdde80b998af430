"""A sound -> its like: the songs of a sound part that hold the most similar segments, and where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from humfind.audio.load import stream
from humfind.encoders import musicnn
from humfind.encoders.sound import SoundEncoder
from humfind.index import Index
from humfind.index.vectors import unit
from humfind.retrieval.sound import heard
from humfind.types import Answer, Embeddings, Floats, InputError, Match, Ranking

SILENCE = 1e-4  # the loudest sample of a silent recording, where full scale is 1


def listen(file: Path, encoder: SoundEncoder, at_s: float | None = None) -> Embeddings:
    """What a recording sounds like, a vector a segment of three seconds; with ``at_s`` that one segment alone. Raises
    InputError where it cannot be read, where it ends before, and for silence."""
    blocks = stream(file, musicnn.RATE_HZ)
    if at_s is None:
        return heard(_audible(blocks, f"{file}: silent"), encoder)
    length = (musicnn.FRAMES - 1) * musicnn.HOP
    samples = _cut(blocks, round(at_s * musicnn.RATE_HZ), length, file)
    what = f"{file}: --at {_clock(at_s)}: silent there"
    return Embeddings(heard(_audible(iter([samples]), what), encoder).vectors[:1])


def _audible(blocks: Iterator[Floats], what: str) -> Iterator[Floats]:
    """The same blocks. Raises InputError at their end where none was louder than ``SILENCE``."""
    loudest = 0.0
    for block in blocks:
        loudest = max(loudest, float(np.abs(block).max(initial=0.0)))
        yield block
    if loudest < SILENCE:
        raise InputError(f"{what}; nothing sounds like nothing: give another recording, or another place")


def _cut(blocks: Iterator[Floats], start: int, length: int, file: Path) -> Floats:
    """``length`` samples from ``start`` on, fewer at the end."""
    parts, seen = [], 0
    for block in blocks:
        first, last = (min(max(at - seen, 0), len(block)) for at in (start, start + length))
        parts.append(block[first:last])
        seen += len(block)
    found = np.concatenate([np.zeros(0, np.float32), *parts])
    if not len(found):
        ends = seen / musicnn.RATE_HZ
        raise InputError(
            f"{file}: --at {_clock(start / musicnn.RATE_HZ)}: it ends at {_clock(ends)}; give an earlier one"
        )
    return found


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"


@dataclass(frozen=True)
class SimilarSearcher:
    """Compares segments by the cosine of their vectors: every segment of the library with every one of the query."""

    index: Index

    @classmethod
    def of(cls, index: Index, encoder: SoundEncoder) -> SimilarSearcher:
        """Raises InputError where another encoder made the index."""
        if index.info.model_checksum != encoder.checksum:
            raise InputError("index: its sounds were read by another network; build the part again: --parts sound")
        return cls(index)

    def search(
        self, vectors: Floats, k: int, name: str = "", at_s: float = 0.0, without: frozenset[str] = frozenset()
    ) -> Ranking:
        """The k songs with the most similar segments.

        vectors: (m, dim), a segment each, the first at second ``at_s`` of the recording ``name``. A song's score is the
        mean, over the query's segments, of the cosine of its most similar one; its match is the pair that is most
        similar, compared with how similar other songs are to that segment of the query.
        without: checksums of recordings that are no answer: the query's own. Raises InputError where no song is left.
        """
        query = unit(vectors)
        near = self._nearest(query)
        for row, song in enumerate(self.index.songs):
            if song.checksum and song.checksum in without:
                near[row] = -np.inf
        of_recording = near.mean(axis=1)
        best = np.full(len(self.index.music_ids), -np.inf)
        np.maximum.at(best, self.index.recording_song, of_recording)
        order = [row for row in np.argsort(-best, kind="stable")[:k].tolist() if np.isfinite(best[row])]
        if not order:
            raise InputError(f"{name}: the index has no other recording; index more music")
        usual = near[np.isfinite(of_recording)].mean(axis=0)  # of each of the query's segments: silence is like much
        answers = []
        for row in order:
            mine = np.flatnonzero(self.index.recording_song == row)
            match = self._match(query, usual, int(mine[of_recording[mine].argmax()]), at_s)
            answers.append(Answer(self.index.music_ids[row], float(best[row]), match=match))
        return Ranking(name, tuple(answers))

    def _nearest(self, query: Floats) -> np.ndarray:
        """(recordings, m): the cosine of the most similar segment of each recording."""
        near = np.full((len(self.index.songs), len(query)), -np.inf)
        for start, part in self._blocks():
            recording = self.index.recording[start : start + len(part)]
            begins = np.flatnonzero(np.diff(recording, prepend=-1))
            best = np.maximum.reduceat(part @ query.T, begins, axis=0)
            mine = recording[begins]
            near[mine] = np.maximum(near[mine], best)
        return near

    def _blocks(self) -> Iterator[tuple[int, Floats]]:
        """The table's vectors, of length 1, block after block."""
        for start, part in self.index.vectors.blocks():
            yield start, unit(part)

    def _match(self, query: Floats, usual: np.ndarray, recording: int, at_s: float) -> Match:
        first, last = self.index.begin[recording : recording + 2]
        cosines = unit(self.index.vectors[first:last]) @ query.T - usual
        row, asked = np.unravel_index(int(cosines.argmax()), cosines.shape)
        start, length = (float(one[first + row]) for one in (self.index.start_s, self.index.length_s))
        return Match(start, start + length, 0.0, 1.0, at_s + float(asked) * musicnn.SEGMENT_S)
