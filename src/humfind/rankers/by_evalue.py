"""Songs in the order of their best recording's E-value: what ``dtw``, ``sequence`` and ``fusion`` share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from humfind.types import Answer, Contour, Ints, Match, Query, Ranking


class Songs(Protocol):
    """What is needed of ``humfind.index.Index``. recording_song: a row of music_ids for each recording."""

    @property
    def music_ids(self) -> tuple[str, ...]: ...
    @property
    def contours(self) -> tuple[Contour | None, ...]: ...
    @property
    def recording_song(self) -> Ints: ...


def ranking_of(
    query: Query, songs: Songs, log_e: NDArray[np.float64], k: int, match: Callable[[int], Match]
) -> Ranking:
    """The songs by the E-value of their best recording."""
    song = songs.recording_song
    order = np.lexsort((song, log_e))
    _, first = np.unique(song[order], return_index=True)
    rows = order[np.sort(first)][:k]
    answers = [Answer(songs.music_ids[song[row]], -float(log_e[row]), None, match(int(row))) for row in rows]
    return Ranking(query.name, tuple(answers))
