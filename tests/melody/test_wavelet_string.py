"""Wavelet strings: known answers, and an exact inverse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from humfind.melody.wavelet_string import FLIPPED, MOST, as_text, decompose, restore, shortened, symbols

SIGNALS = arrays(np.float32, st.integers(1, 300), elements=st.floats(-100, 100, width=32))


@settings(max_examples=60, deadline=None)
@given(SIGNALS, st.sampled_from(["haar", "db2", "sym4"]), st.integers(1, 5))
def test_with_nothing_discarded_the_inverse_is_the_signal(signal: np.ndarray, wavelet: str, levels: int) -> None:
    back = restore(decompose(signal, wavelet, levels), wavelet, len(signal))
    assert np.allclose(back, signal, atol=1e-3)


def test_haar_by_hand() -> None:
    signal = np.array([1, 3, 5, 7], np.float32)
    assert np.allclose(shortened(signal, "haar", 1), [2, 6])
    assert np.allclose(shortened(signal, "haar", 2), [4])
    parts = decompose(signal, "haar", 2)
    assert np.allclose(parts[0], [8])  # the sum, by the root of four
    assert np.allclose(restore(parts, "haar", 4, discarded=1), [2, 2, 6, 6])
    assert np.allclose(restore(parts, "haar", 4, discarded=2), 4)


def test_a_constant_keeps_its_value_at_any_length() -> None:
    for discarded in range(6):
        assert np.allclose(shortened(np.full(64, 220.0, np.float32), "db2", discarded), 220.0, rtol=1e-4)


def test_more_cannot_be_discarded_than_there_is() -> None:
    with pytest.raises(ValueError, match="2 of 1 details"):
        restore(decompose(np.ones(8, np.float32), "haar", 1), "haar", 8, discarded=2)


def test_symbols_are_ratios_of_neighbours() -> None:
    line = np.array([220, 440, 440, 110, 220 * 2 ** (-11 / 12)], np.float64)
    assert symbols(line, 12).tolist() == [MOST + 12, MOST, MOST - 24, MOST + 1]
    assert symbols(3.7 * line, 12).tolist() == symbols(line, 12).tolist()  # neither key nor loudness


def test_signs_zeros_and_leaps_have_symbols() -> None:
    assert symbols(np.array([1.0, -2.0, -2.0]), 1).tolist() == [MOST + 1 + FLIPPED, MOST]
    assert symbols(np.array([1.0, 0.0, 1.0]), 1).tolist() == [MOST, MOST]
    assert symbols(np.array([1.0, 1e5]), 12).tolist() == [2 * MOST]
    assert symbols(np.array([5.0]), 12).tolist() == []
    assert symbols(np.zeros(0), 12).tolist() == []


def test_different_symbols_are_different_characters() -> None:
    assert len(set(as_text(np.arange(2 * FLIPPED)))) == 2 * FLIPPED
