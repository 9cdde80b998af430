"""Notebook 04: the windows of a trial as points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy.spatial.distance import cdist

from humfind.encoders.checkpoint import Model
from humfind.index import Index
from humfind.melody import contour
from humfind.notebooks.ranking import contour_of
from humfind.retrieval.trial import Trial
from humfind.types import Query

MAP_SONGS_SHOWN = 6
STEP = 0.03  # of the map's diagonal: what is nearer is one clump
NEAR = 10  # neighbours on the map, of which trustworthiness asks whether they are neighbours
FINE_S = 0.2  # between windows whose distances are drawn
MAP_SONG_WINDOWS = 2500  # t-SNE's time grows with its square


def census(trials: Mapping[str, Trial]) -> Any:
    """Songs, hums and windows of each trial, as a table."""
    import pandas as pd

    rows = []
    for name, trial in trials.items():
        songs, windows = len(trial.index.music_ids), len(trial.index.recording)
        hum_windows = sum(len(query.windows) for query in trial.queries)
        rows.append(
            {
                "trial": name,
                "songs": songs,
                "song windows": windows,
                "windows a song": round(windows / songs, 1),
                "hums": len(trial.queries),
                "hum windows": hum_windows,
                "dimensions": trial.index.vectors.dim,
            }
        )
    return pd.DataFrame(rows).set_index("trial")


def window_map(trial: Trial, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[tuple[int, str]], str]:
    """t-SNE of song windows and of each hum's windows at the recorded tempo: the arguments of
    ``plots.embedding.space``.

    Returns points (n, 2), song row (n,), whether it is a hum (n,), the songs to colour: those with most hums, and what
    the map shows, in numbers.
    """
    from sklearn.manifold import TSNE, trustworthiness

    index, rng = trial.index, np.random.default_rng(seed)
    answers = trial.answers or {}
    row_of = {music_id: row for row, music_id in enumerate(index.music_ids)}
    count = len(index.recording)
    some = np.sort(rng.permutation(count)[:MAP_SONG_WINDOWS])
    vectors, song = [index.vectors[some]], [index.window_song[some]]
    for query in trial.queries:
        as_sung = np.abs(query.windows.tempo_ratio - 1.0) < 1e-6
        vectors.append(query.embeddings.vectors[as_sung])
        song.append(np.full(int(as_sung.sum()), row_of.get(answers.get(query.name, ""), -1), dtype=np.int64))
    songs, is_hum = np.concatenate(song), np.arange(sum(len(s) for s in song)) >= len(some)
    perplexity = min(30.0, (len(songs) - 1) / 3)
    tsne = TSNE(perplexity=perplexity, init="pca", random_state=seed, max_iter=500)
    together = np.concatenate(vectors)
    points = tsne.fit_transform(together)
    near = max(1, min(NEAR, (len(together) - 1) // 2))
    trusted = trustworthiness(together, points, n_neighbors=near)
    hums = np.bincount(songs[is_hum & (songs >= 0)], minlength=len(index.music_ids))
    shown = np.argsort(-hums, kind="stable")[:MAP_SONGS_SHOWN]
    titles = [(int(r), _title(trial, index.music_ids[r])) for r in shown]
    return points, songs, is_hum, titles, f"{map_claim(points, songs, is_hum)} (trustworthiness {trusted:.2f})"


def map_claim(points: np.ndarray, song: np.ndarray, is_hum: np.ndarray) -> str:
    """How often a window's nearest song window on the map is of the same song, and in how many clumps a song lies.

    points: (n, 2). song: (n,) row numbers, -1 where nobody knows. A clump: windows of a song that are joined by steps
    of at most ``STEP`` of the map's diagonal.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components
    from scipy.spatial import cKDTree

    at, of = points[~is_hum], song[~is_hum]
    if len(at) < 2:
        return "A map of the windows"
    tree = cKDTree(at)
    own = float(np.mean(of[tree.query(at, k=2)[1][:, 1]] == of))
    claim = f"{own:.0%} of song windows lie nearest to one of their own song"
    known = is_hum & (song >= 0)
    if known.any():
        claim += f",\n{np.mean(of[tree.query(points[known])[1]] == song[known]):.0%} of hum windows to one of theirs"
    step = STEP * float(np.linalg.norm(np.ptp(at, axis=0)))
    clumps = []
    for row in np.unique(of):
        mine = at[of == row]
        a, b = cKDTree(mine).query_pairs(step, output_type="ndarray").T
        joined = coo_array((np.ones(len(a)), (a, b)), shape=(len(mine), len(mine)))
        clumps.append(int(connected_components(joined, directed=False)[0]))
    middle = float(np.median(clumps))
    return f"{claim}; a song lies in {middle:g} clump{'s' if middle != 1 else ''} at the median"


def neighbours(trial: Trial, model: Model, queries: int, k: int, seed: int) -> list[tuple[Any, ...]]:
    """The arguments of ``plots.embedding.neighbours`` for hums drawn at random, by their best window."""
    found = []
    frame_s = model.config.contour.frame_s
    drawn = np.sort(np.random.default_rng(seed).permutation(len(trial.queries))[:queries])
    for query in (trial.queries[i] for i in drawn):
        distances, rows = trial.index.nearest(query.embeddings.vectors, 200)
        best = int(np.argmin(distances[:, 0]))
        right = (trial.answers or {}).get(query.name)
        panels: list[tuple[str, np.ndarray, float, bool]] = []
        seen: set[str] = set()
        for distance, row in zip(distances[best], rows[best], strict=True):
            music_id = trial.index.music_ids[trial.index.window_song[row]]
            if music_id in seen or len(panels) == k:
                continue
            seen.add(music_id)
            values = _window(trial, int(row), model)
            panels.append((_title(trial, music_id), values, float(distance), music_id == right))
        place = next((i for i, panel in enumerate(panels) if panel[3]), None)
        claim = f"{query.name}: the right song is " + ("not among the nearest" if place is None else f"no. {place + 1}")
        found.append((query.windows.values[best], panels, frame_s, claim))
    return found


def window_distances(trial: Trial, model: Model, seed: int) -> tuple[list[tuple[str, np.ndarray, float]], str] | None:
    """The arguments of ``plots.embedding.window_distances``: one of the longest hums, drawn at random, against its own
    song and the other song that has the nearest window, windows ``FINE_S`` apart; None where no answer is known, and
    where the model reads no contours."""
    index, answers = trial.index, trial.answers or {}
    known = [query for query in trial.queries if answers.get(query.name) in index.music_ids and query.contour]
    if not known or len(index.music_ids) < 2:
        return None
    known.sort(key=lambda query: -query.length_s)
    query = known[int(np.random.default_rng(seed).integers(max(1, len(known) // 4)))]
    config = replace(model.config.contour, song_hop_s=FINE_S, query_hop_s=FINE_S, query_tempos=(1.0,))
    hum = model.embed(contour.query_windows(query.melody, config)).vectors
    distances, rows = index.nearest(hum, len(index.recording))
    first = distances[np.arange(len(rows)), np.argmax(index.window_song[rows] != _row(index, query, answers), axis=1)]
    best = int(np.argmin(first))
    near = index.window_song[rows[best]]
    other = int(near[near != _row(index, query, answers)][0])
    panels = []
    for row in (_row(index, query, answers), other):
        line = contour_of(trial, index.music_ids[row])
        song = model.embed(contour.song_windows(line, config)).vectors
        panels.append((_title(trial, index.music_ids[row]), cdist(hum, song), FINE_S))
    nearest = [float(values.min()) for _, values, _ in panels]
    claim = f"{query.name}: nearest windows {nearest[0]:.2f} apart in its own song, {nearest[1]:.2f} in the next one"
    return panels, claim


def _row(index: Index, query: Query, answers: Mapping[str, str]) -> int:
    return index.music_ids.index(answers[query.name])


def _window(trial: Trial, row: int, model: Model) -> np.ndarray:
    """The encoder's input behind a row of the index: (channels, frames)."""
    line = trial.index.contours[int(trial.index.recording[row])]
    if line is None:
        raise ValueError("this index has no contours")
    windows = contour.song_windows(line, model.config.contour)
    return windows.values[int(np.argmin(np.abs(windows.start_s - trial.index.start_s[row])))]


def _title(trial: Trial, music_id: str) -> str:
    return trial.index.title(music_id) or music_id
