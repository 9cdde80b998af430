"""A line of numbers as a short string, by the discrete wavelet transform (singing search of 2017).

Multi-resolution analysis (Mallat, 1989) parts a signal into an approximation of half its length and the details that
are lacking; the approximation again, and so on. Without the finest details a string of manageable length is left, and
``restore`` makes the signal that it stands for. ``symbols`` writes it as the ratios of neighbours, so that neither
loudness nor key matters.
"""

from __future__ import annotations

import warnings

import numpy as np
import pywt

from humfind.types import Floats, Ints

MODE = "periodization"  # as many coefficients as samples, so that the exact inverse is no longer than the signal
MOST = 24  # steps up or down that a symbol tells apart; beyond, all are alike
SILENT = 1e-6  # of the largest coefficient: what is smaller has no ratio to its neighbours
FLIPPED = 2 * MOST + 1  # added where the sign changes


def decompose(signal: Floats, wavelet: str, levels: int) -> list[Floats]:
    """(n,) -> the approximation after ``levels`` halvings, then the details, the coarsest first."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Level value")  # of short signals
        return [np.asarray(part) for part in pywt.wavedec(signal, wavelet, mode=MODE, level=levels)]


def restore(coefficients: list[Floats], wavelet: str, length: int, discarded: int = 0) -> Floats:
    """The signal of ``length`` samples that is left without the ``discarded`` finest details; with none discarded, the
    signal itself."""
    kept = len(coefficients) - discarded
    if not 1 <= kept <= len(coefficients):
        raise ValueError(f"{discarded} of {len(coefficients) - 1} details cannot be discarded")
    parts = [part if i < kept else np.zeros_like(part) for i, part in enumerate(coefficients)]
    signal: Floats = pywt.waverec(parts, wavelet, mode=MODE)[:length]
    return signal


def shortened(signal: Floats, wavelet: str, discarded: int) -> Floats:
    """(n,) -> (about n / 2^discarded,): the approximation without the finest details, in the signal's own units."""
    if discarded == 0:
        return np.asarray(signal)
    short: Floats = decompose(signal, wavelet, discarded)[0] / 2 ** (discarded / 2)  # a constant signal keeps its value
    return short


def symbols(values: Floats, per_octave: float) -> Ints:
    """(n,) -> (n - 1,): the ratio of each number to the one before, rounded to ``per_octave`` steps a doubling.

    From 0 to 2 * MOST, MOST for no change; FLIPPED more where the sign changes. Where either number is as good as zero
    there is no ratio: as if nothing had changed.
    """
    values = np.asarray(values, dtype=np.float64)
    before, after = values[:-1], values[1:]
    floor = SILENT * np.abs(values).max(initial=0.0)
    loud = (np.abs(before) > floor) & (np.abs(after) > floor)
    ratio = np.where(loud, after, 1.0) / np.where(loud, before, 1.0)
    steps = np.clip(np.round(per_octave * np.log2(np.abs(ratio))), -MOST, MOST)
    return (steps + MOST + FLIPPED * (ratio < 0)).astype(np.int64)


def as_text(string: Ints) -> str:
    """Symbols as characters, for libraries that compare text."""
    return "".join(map(chr, (string + ord("0")).tolist()))
