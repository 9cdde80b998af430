"""Tracks split, spaces made of their metadata, and how well each keeps genres together and playlists whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from humfind.config import TrackModelConfig
from humfind.data.importers.track_table import TrackTable
from humfind.encoders.track_network import TrackModel
from humfind.index.vectors import unit
from humfind.labs.playlist.features import Features, features, principal, require_no_leak
from humfind.labs.playlist.relevance import Relevance
from humfind.labs.playlist.separation import Separation, separation
from humfind.metrics import Interval, SetReport, set_report
from humfind.training.loop import Training
from humfind.training.tasks.tracks import Tracks, neighbour_precision, train_tracks
from humfind.types import Floats, InputError, Ints

SHARES = {"learned": 0.65, "held out": 0.1, "asked": 0.25}
GIVEN = 3  # tracks of a playlist, from which its others are found
DECADE = 10


@dataclass(frozen=True)
class Material:
    """features: without the genre. kind: (n,) main genre, -1 for none. classes: (n,) genre and decade, as far as the
    learned tracks have them. part: of each track, one of ``SHARES``."""

    table: TrackTable
    features: Features
    kind: Ints
    classes: Ints
    part: tuple[str, ...]

    def rows(self, part: str) -> Ints:
        return np.array([row for row, one in enumerate(self.part) if one == part], np.int64)

    def tracks(self, part: str) -> Tracks:
        rows = self.rows(part)
        return Tracks(self.features.values[rows], self.kind[rows], self.classes[rows])


def material(table: TrackTable, seed: int = 0) -> Material:
    """Split at random. Raises InputError where there are fewer than a hundred tracks, no genres, or a column of the
    table says a genre."""
    if len(table) < 100:
        raise InputError(f"table: {len(table)} tracks are too few to learn from and to ask; give a hundred or more")
    order = np.random.default_rng([seed, 0]).permutation(len(table))
    edges = np.round(np.cumsum(list(SHARES.values())) * len(table)).astype(int)
    part = np.empty(len(table), object)
    for name, first, last in zip(SHARES, [0, *edges], edges, strict=False):
        part[order[first:last]] = name
    learned = np.flatnonzero(part == "learned")
    found = features(table, learned)
    require_no_leak(found, table)
    genre = table.main_genre
    kinds = sorted(set(genre) - {""})
    if len(kinds) < 2:
        raise InputError("table: fewer than two genres; there is nothing to keep apart")
    pairs = [(name, year // DECADE) for name, year in zip(genre, table.years.tolist(), strict=True)]
    known = sorted({pairs[row] for row in learned if genre[row]})
    return Material(
        table,
        found,
        np.array([kinds.index(name) if name else -1 for name in genre], np.int64),
        np.array([known.index(pair) if pair in set(known) else -1 for pair in pairs], np.int64),
        tuple(part.tolist()),
    )


def train(given: Material, config: TrackModelConfig, folder: Path, resume: bool = True) -> tuple[Training, TrackModel]:
    """On the learned tracks; the step is chosen on those held out."""
    triple = Relevance.of(given.table.take(given.rows("learned"))).triple
    learned, held_out = given.tracks("learned"), given.tracks("held out")
    return train_tracks(learned, held_out, given.features.names, config, folder, triple, resume)


@dataclass(frozen=True)
class Found:
    """precision: of each asked track's nearest ten others, the share of its genre."""

    precision: Interval
    separation: Separation


def judge(given: Material, vectors: Floats) -> Found:
    """vectors: (n, d), of the tracks that are asked."""
    rows = given.rows("asked")
    return Found(
        precision(vectors, given.kind[rows]), separation(vectors, [given.table.main_genre[row] for row in rows])
    )


def precision(vectors: Floats, kind: Ints) -> Interval:
    """``neighbour_precision`` of vectors of any length."""
    return neighbour_precision(unit(vectors), kind)


def chance(kind: Ints) -> float:
    """Precision among neighbours drawn at random."""
    count = np.bincount(kind[kind >= 0])
    return float((count * (count - 1)).sum() / max(1, count.sum() * (len(kind) - 1)))


def untaught(given: Material, leak: bool = False) -> Floats:
    """Principal components of the asked tracks' features. leak: the genre among them, to see what that would claim."""
    values, learned, rows = given.features.values, given.rows("learned"), given.rows("asked")
    if leak:
        genres = np.eye(int(given.kind.max()) + 2, dtype=np.float32)[given.kind][:, :-1]
        values = np.concatenate([values, genres], axis=1)
    return principal(values[learned]).of(values[rows])


def compare(
    given: Material, configs: Mapping[str, TrackModelConfig], folder: Path, resume: bool = True
) -> dict[str, Found]:
    """Each configuration, trained into a folder of its name and judged."""
    values = given.features.values[given.rows("asked")]
    found = {}
    for name, config in configs.items():
        found[name] = judge(given, train(given, config, folder / name, resume)[1].embed(values))
    return found


def losses(config: TrackModelConfig) -> dict[str, TrackModelConfig]:
    """How the space can be learned, everything else the same."""
    return {
        "triplet": replace(config, loss="triplet", margin=0.2),
        "softmax": replace(config, loss="softmax", margin=0.0),
        "additive margin": replace(config, loss="additive", margin=0.2),
        "ArcFace": replace(config, loss="arcface", margin=0.5),
    }


def continued(table: TrackTable, vectors: Floats, k: int = 20, seed: int = 0) -> dict[str, SetReport]:
    """A playlist's other tracks found from some of them: by the mean of the given, by popularity (in how many playlists
    a track is) and at random. Raises InputError where no playlist has more than are given."""
    lists: dict[str, list[int]] = {}
    for row, names in enumerate(table.playlists):
        for name in names:
            lists.setdefault(name, []).append(row)
    asked = {name: rows for name, rows in lists.items() if len(rows) > GIVEN}
    if not asked:
        raise InputError(f"table: no playlist has more than {GIVEN} tracks; give one whose playlists do")
    near = unit(vectors)
    rng = np.random.default_rng([seed, 1])
    ranked: dict[str, dict[str, list[str]]] = {"the given": {}, "popularity": {}, "random": {}}
    right: dict[str, set[str]] = {}
    for name, rows in asked.items():
        given = rng.permutation(rows)[:GIVEN]
        count = np.array([len(names) for names in table.playlists], np.float64)
        count[rows] -= 1  # not from the list itself
        scores = {"the given": near @ near[given].mean(axis=0), "popularity": count, "random": rng.random(len(table))}
        for way, score in scores.items():
            order = [row for row in np.argsort(-score, kind="stable").tolist() if row not in set(given.tolist())]
            ranked[way][name] = [str(row) for row in order]
        right[name] = {str(row) for row in set(rows) - set(given.tolist())}
    return {way: set_report(answers, right, len(table), k) for way, answers in ranked.items()}
