"""CREPE's 360 probabilities a frame -> one pitch a frame. Deterministic: no dither.

Bin i lies ``20 * i + 1997.38`` cents above 10 Hz (31.7 to 2005.5 Hz). "weighted" takes each frame's most
probable bin; "viterbi" the best path of bins, a step costing as in CREPE (Kim et al. 2018): a triangle over
+-11 bins. Both then average the pitch over +-4 bins, weighted by probability. Confidence is the
probability of the chosen bin.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from humfind.types import Floats, InputError, Ints

DECODERS = ("weighted", "viterbi")
BINS = 360
CENTS_PER_BIN = 20.0
LOWEST_CENTS = 1997.3794084376191  # of bin 0, above 10 Hz
NEIGHBOURS = 4  # bins on either side of the chosen one that are averaged


def require(decoder: str) -> None:
    """Raises InputError for an unknown decoder."""
    if decoder not in DECODERS:
        raise InputError(f"f0 decoder {decoder!r}: unknown; choose {' or '.join(DECODERS)}")


def bin_midi() -> Floats:
    """The pitch of each bin, in MIDI numbers: (360,)."""
    cents = LOWEST_CENTS + CENTS_PER_BIN * np.arange(BINS)
    return (69 + 12 * np.log2(10 / 440) + cents / 100).astype(np.float32)


def best_bins(probability: Floats) -> Ints:
    """(frames, 360) -> (frames,): the most probable bin of each frame, the lowest where several are."""
    return np.argmax(probability, axis=1).astype(np.int64)


def path(probability: Floats) -> Ints:
    """(frames, 360) -> (frames,): the best path of bins through a whole recording; see ``viterbi.paths``."""
    return np.concatenate([chosen for _, chosen in _paths([probability])] or [np.zeros(0, np.int64)])


def pitches(batches: Iterable[Floats], decoder: str) -> tuple[Floats, Floats]:
    """(frames, 360) each, one after the other -> Hz and confidence, (all frames,) each."""
    chosen = _paths(batches) if decoder == "viterbi" else ((batch, best_bins(batch)) for batch in batches)
    pairs = [pitch(batch, bins) for batch, bins in chosen]
    return np.concatenate([hz for hz, _ in pairs]), np.concatenate([confidence for _, confidence in pairs])


def _paths(batches: Iterable[Floats]) -> Iterator[tuple[Floats, Ints]]:
    from humfind.f0.viterbi import paths  # late: numba takes half a second to import

    return paths(batches)


def pitch(probability: Floats, chosen: Ints) -> tuple[Floats, Floats]:
    """(frames, 360), (frames,) -> Hz and confidence, (frames,) each.

    A frame whose probabilities are all 0 was silent: 0 Hz, confidence 0.
    """
    around = chosen[:, None] + np.arange(-NEIGHBOURS, NEIGHBOURS + 1)
    inside = (around >= 0) & (around < BINS)
    around = np.clip(around, 0, BINS - 1)
    weight = np.take_along_axis(probability, around, axis=1).astype(np.float64) * inside
    total = weight.sum(axis=1)
    sounding = total > 0
    cents = LOWEST_CENTS + CENTS_PER_BIN * (weight * around).sum(axis=1) / np.where(sounding, total, 1.0)
    hz = np.where(sounding, 10.0 * 2.0 ** (cents / 1200.0), 0.0)
    confidence = np.take_along_axis(probability, chosen[:, None], axis=1)[:, 0]
    return hz.astype(np.float32), np.clip(confidence, 0, 1).astype(np.float32)
