"""Do embeddings that were learned from covers know a hum? As fixed features of a k-nearest-neighbour classifier, as the
2017 report asked."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.distance import cdist

from humfind import metrics
from humfind.config import HummerConfig
from humfind.data.tunebooks import read_books
from humfind.encoders.checkpoint import Model
from humfind.encoders.inference import embed_any_length
from humfind.labs.singing.cliques import groups, melody_of, spectrogram
from humfind.retrieval.query import make_queries
from humfind.synth import hum, voice
from humfind.synth.melody import Notes, sung_tempo, timed
from humfind.types import F0, Floats, Recording

TRAIN_SHARE = 0.67
NOTES_PER_S = (1.7, 3.2)


@dataclass(frozen=True)
class Hum:
    """name: its own. tune: what was hummed. f0: of it. sound: of it, as a voice sings it."""

    name: str
    tune: str
    f0: F0
    sound: Recording


def make_hums(tunes: int, each: int, length_s: float, first: int, seed: int = 0) -> list[Hum]:
    """``each`` simulated hums of the beginnings of ``tunes`` tunes, from the ``first`` on, in the order of
    ``cliques.make_covers``."""
    return list(_hums(tunes, each, length_s, first, seed))


def _hums(tunes: int, each: int, length_s: float, first: int, seed: int) -> Iterator[Hum]:
    books = read_books()
    for rows in groups(books)[first : first + tunes]:
        melody = books.tunes[rows[0]].melody
        for i in range(each):
            rng = np.random.default_rng([seed, rows[0], i])
            notes = timed(melody, sung_tempo(melody, NOTES_PER_S)).between(0.0, length_s)
            yield sung(f"{rows[0]:04d}-{i}", f"{rows[0]:04d}", hum.perform(notes, rng, HummerConfig()), rng)


def sung(name: str, tune: str, performance: hum.Performance, rng: np.random.Generator) -> Hum:
    """A performance as f0 and as the sound of a voice."""
    config = replace(HummerConfig(), rate_hz=16_000)
    f0 = F0(performance.hz, (performance.hz > 0).astype(np.float32), hum.HOP_S)
    return Hum(name, tune, f0, Recording(voice.render(performance, rng, config), config.rate_hz))


def of_notes(name: str, tune: str, rows: Sequence[Sequence[float]], seed: int) -> Hum:
    """A transcribed hum, [start_s, end_s, midi] a note, sung again as it was: its own timing and pitches."""
    table = np.asarray(rows, dtype=np.float64)
    table = table[np.argsort(table[:, 0], kind="stable")]
    start = table[:, 0] - table[0, 0]
    end = np.maximum(np.minimum(table[:, 1] - table[0, 0], np.append(start[1:], np.inf)), start + hum.HOP_S)
    notes = Notes(start.astype(np.float32), end.astype(np.float32), table[:, 2].astype(np.float32))
    hz = np.zeros(round(float(end[-1]) / hum.HOP_S) + 1, np.float32)
    for begin, stop, midi in zip(start, end, table[:, 2], strict=True):
        hz[round(begin / hum.HOP_S) : round(stop / hum.HOP_S)] = 440.0 * 2 ** ((midi - 69) / 12)
    performance = hum.Performance(hz, notes, np.arange(len(notes)), True, 1.0, 0.0)
    return sung(name, tune, performance, np.random.default_rng(seed))


def features(hums: Sequence[Hum], model: Model) -> Floats:
    """(n, dim): each whole hum by an encoder of any length; by one of windows, the mean of its windows at the hum's own
    tempo."""
    if model.config.features == "spectrogram":
        return embed_any_length(model.network, [spectrogram(one.sound, model.config) for one in hums])
    if getattr(model.network, "any_length", False):
        return embed_any_length(model.network, [melody_of(one.f0, model.config) for one in hums])
    queries = make_queries(((one.name, one.f0) for one in hums), model)
    as_sung = [np.abs(query.windows.tempo_ratio - 1) < 1e-6 for query in queries]
    return np.stack([q.embeddings.vectors[own].mean(axis=0) for q, own in zip(queries, as_sung, strict=True)])


def split(hums: Sequence[Hum], seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Rows to learn from and rows to ask, ``TRAIN_SHARE`` of each tune's hums on the first side."""
    rng = np.random.default_rng(seed)
    learned = []
    tunes = np.array([one.tune for one in hums])
    for tune in np.unique(tunes):
        rows = rng.permutation(np.flatnonzero(tunes == tune))
        learned += rows[: max(1, round(TRAIN_SHARE * len(rows)))].tolist()
    asked = np.setdiff1d(np.arange(len(hums)), learned)
    return np.array(sorted(learned)), asked


def classify(vectors: Floats, hums: Sequence[Hum], k: int, seed: int = 0) -> metrics.Report:
    """MRR@10 of tunes ranked by how many of the k nearest hums are of them; equal counts fall to the nearer one.
    Tunes of none of the k follow by their nearest hum."""
    learned, asked = split(hums, seed)
    tunes = np.array([one.tune for one in hums])
    known, of = np.unique(tunes[learned], return_inverse=True)
    distance = cdist(vectors[asked], vectors[learned])
    ranks = []
    for row, gap in zip(asked, distance, strict=True):
        near = np.argsort(gap, kind="stable")[:k]
        votes = np.bincount(of[near], minlength=len(known))
        nearest = np.full(len(known), np.inf)
        np.minimum.at(nearest, of, gap)
        order = np.lexsort((nearest, -votes))
        place = np.flatnonzero(known[order] == tunes[row])
        ranks.append(int(place[0]) + 1 if len(place) and place[0] < 10 else 0)
    return metrics.report(np.array(ranks, dtype=np.int64), len(known))
