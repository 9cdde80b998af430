"""Songs in the order of their best recording: what ``dtw``, ``sequence``, ``fusion`` (by E-value) and ``wavelet``
share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from humfind.types import Answer, Contour, Ints, Match, Ranking


class Songs(Protocol):
    """What is needed of ``humfind.index.Index``. recording_song: a row of music_ids for each recording."""

    @property
    def music_ids(self) -> tuple[str, ...]: ...
    @property
    def contours(self) -> Sequence[Contour | None]: ...
    @property
    def recording_song(self) -> Ints: ...


def ranking_of(query: str, songs: Songs, cost: NDArray[np.float64], k: int, match: Callable[[int], Match]) -> Ranking:
    """The songs by their cheapest recording; the score is minus its cost, equal costs fall to the smaller music_id.
    query: its name. cost: of each recording, the logarithm of its E-value, for example."""
    song = songs.recording_song
    order = np.lexsort((song, cost))
    _, first = np.unique(song[order], return_index=True)
    rows = order[np.sort(first)][:k]
    answers = [Answer(songs.music_ids[song[row]], -float(cost[row]), None, match(int(row))) for row in rows]
    return Ranking(query, tuple(answers))
