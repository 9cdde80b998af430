"""How much of one melody is another, in whatever key and note values it was printed.

Candidates share runs of intervals; each pair of them is aligned note by note and beat by beat
(Smith & Waterman 1981), in the three transpositions that bring their pitches closest.
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numba import njit
from scipy.sparse import csr_matrix

from humfind.synth.melody import Melody

RUN = 6  # notes in a run that candidates share
SHARED_RUNS = 6  # of them at least; 4 finds 2 % more pairs in five times the time
SAME = 0.45  # likeness of two printings of a tune; read off the tune books' titles, few pairs lie near it
TOO_COMMON = 80  # a run in more melodies than that says nothing


def beats(melody: Melody) -> np.ndarray:
    """The pitch at every step of the most common note value: the same for eighths and sixteenths. (n,) int32."""
    values, counts = np.unique(np.round(melody.length_q * 24).astype(int), return_counts=True)
    unit_q = max(values[np.argmax(counts)], 2) / 24
    steps = np.maximum(np.round(np.diff(melody.start_q, append=melody.total_q) / unit_q).astype(int), 1)
    return np.repeat(np.round(melody.midi), np.minimum(steps, 16)).astype(np.int32)


def candidates(melodies: list[Melody]) -> list[tuple[int, int]]:
    """Pairs (i < j) that share at least ``SHARED_RUNS`` runs of intervals."""
    rows: list[int] = []
    columns: list[int] = []
    known: dict[tuple[int, ...], int] = {}
    for i, melody in enumerate(melodies):
        intervals = np.diff(np.round(melody.midi).astype(int))
        for run in {tuple(intervals[k : k + RUN]) for k in range(len(intervals) - RUN + 1)}:
            rows.append(i)
            columns.append(known.setdefault(run, len(known)))
    common = np.bincount(columns, minlength=len(known)) > TOO_COMMON
    keep = ~common[np.array(columns, np.int64)] if columns else np.zeros(0, bool)
    has = csr_matrix(
        (np.ones(keep.sum(), np.int32), (np.array(rows)[keep], np.array(columns)[keep])),
        shape=(len(melodies), max(1, len(known))),
    )
    shared = (has @ has.T).tocoo()
    chosen = (shared.data >= SHARED_RUNS) & (shared.row < shared.col)
    return sorted(zip(shared.row[chosen].tolist(), shared.col[chosen].tolist(), strict=True))


def likeness(a: Melody, b: Melody) -> float:
    """The part of the shorter melody that is found in the longer: 1 the same, 0 nothing in common."""
    by_note = _aligned(np.round(a.midi).astype(np.int32), np.round(b.midi).astype(np.int32))
    return max(by_note, _aligned(beats(a), beats(b)))


def _aligned(a: np.ndarray, b: np.ndarray) -> float:
    best = max(_local_score(a, b - np.int32(shift)) for shift in _shifts(a, b))
    return best / min(len(a), len(b))


def _shifts(a: np.ndarray, b: np.ndarray) -> list[int]:
    """The three transpositions of b that bring the most of its pitches onto a's."""
    in_a, in_b = Counter(a.tolist()), Counter(b.tolist())
    overlap: Counter[int] = Counter()
    for pitch_a, count_a in in_a.items():
        for pitch_b, count_b in in_b.items():
            overlap[pitch_b - pitch_a] += min(count_a, count_b)
    return [shift for shift, _ in overlap.most_common(3)]


@njit(cache=True)
def _local_score(a: np.ndarray, b: np.ndarray) -> int:
    """Best local alignment of pitches, (n,) and (m,) int32: a match counts 1, a mismatch or a gap -1."""
    row = np.zeros(len(b) + 1, np.int32)
    best = 0
    for i in range(len(a)):
        diagonal = 0
        for j in range(1, len(b) + 1):
            above = row[j]
            score = diagonal + (1 if a[i] == b[j - 1] else -1)
            score = max(score, above - 1, row[j - 1] - 1, 0)
            diagonal = above
            row[j] = score
            if score > best:
                best = score
    return best


def same(melodies: list[Melody], threshold: float = SAME) -> np.ndarray:
    """A group number a melody, (n,) int64: the number of the first melody that it is the same as."""
    group = np.arange(len(melodies))
    for i, j in candidates(melodies):
        if group[i] == group[j]:
            continue
        if likeness(melodies[i], melodies[j]) >= threshold:
            old, new = max(group[i], group[j]), min(group[i], group[j])
            group[group == old] = new
    return group
