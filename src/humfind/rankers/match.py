"""From one hit to the place in the song where the whole hum lies."""

from __future__ import annotations

import numpy as np

from humfind.types import Hits, Ints, Match, Query


def match_of(query: Query, hits: Hits, row: int) -> Match:
    """The hit's window pair, extended to the hum's whole length at the query window's tempo.

    start_s is at least 0; end_s may pass the song's end, which is not known here.
    """
    window = hits.query_window[row]
    tempo_ratio = float(query.windows.tempo_ratio[window])
    start_s = float(hits.start_s[row]) - float(query.windows.start_s[window]) / tempo_ratio
    return Match(
        start_s=max(0.0, start_s),
        end_s=start_s + query.length_s / tempo_ratio,
        semitones=float(hits.key[row]) - float(query.windows.key[window]),
        tempo_ratio=tempo_ratio,
    )


def best_rows(hits: Hits, rows: Ints | None = None) -> Ints:
    """The nearest hit of each song, among all hits or ``rows``; sorted by (distance, song)."""
    if rows is None:
        rows = np.arange(len(hits))
    order = rows[np.lexsort((hits.song_window[rows], hits.query_window[rows], hits.song[rows], hits.distance[rows]))]
    _, first = np.unique(hits.song[order], return_index=True)
    return order[np.sort(first)]
