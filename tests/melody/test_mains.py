"""Mains hum in an f0 is told from singing."""

from __future__ import annotations

import numpy as np
import pytest

from humfind.melody.mains import mains_frames, without_mains
from humfind.types import F0

HOP_S = 0.01


def f0_of(hz: np.ndarray) -> F0:
    return F0(hz.astype(np.float32), (hz > 0).astype(np.float32), HOP_S)


def sung(midi: float, seconds: float, rng: np.random.Generator, wobble: float = 0.2) -> np.ndarray:
    """A held note as people hold it: it wavers slowly, by ``wobble`` semitones (standard deviation)."""
    n = round(seconds / HOP_S)
    drift = np.convolve(rng.standard_normal(n + 40), np.hanning(40) / np.sqrt(np.square(np.hanning(40)).sum()), "valid")
    return 440 * 2 ** ((midi + wobble * drift[:n] - 69) / 12)


@pytest.mark.parametrize("hz", [50.0, 60.0, 100.0, 120.0, 150.0, 180.0, 240.0])
def test_a_steady_tone_in_the_rests_is_no_singing(hz):
    rng = np.random.default_rng(int(hz))
    tone = hz * 2 ** (0.01 * rng.standard_normal(100) / 12)
    notes = [sung(midi, 0.7, rng) for midi in (57, 60, 64, 62)]
    line = np.concatenate([part for note in notes for part in (note, tone)])
    frames = mains_frames(f0_of(line))
    truth = np.tile(np.repeat([False, True], [70, 100]), 4)
    assert frames[truth].mean() > 0.95
    assert frames[~truth].mean() < 0.02
    found = without_mains(f0_of(line))
    assert found.hz.tolist() == f0_of(line).hz.tolist()
    assert (found.voiced == ~frames).all()


@pytest.mark.parametrize("midi", [46.9, 47.0, 50.3, 54.0, 58.6])  # 123 and 120 Hz, 149, 185, 240
def test_held_notes_are_singing(midi):
    rng = np.random.default_rng(int(10 * midi))
    rest = np.zeros(50)
    line = np.concatenate([part for _ in range(3) for part in (sung(midi, 2.0, rng), rest)])
    assert mains_frames(f0_of(line)).mean() < 0.05


@pytest.mark.parametrize("midi", range(33, 70))
def test_an_instrument_in_tune_is_melody(midi):
    """Steady as it is: no note of equal temperament about 440 Hz lies on a multiple of the mains."""
    hz = np.full(100, 440 * 2 ** ((midi - 69) / 12))
    line = np.concatenate([hz, np.zeros(30), hz, np.zeros(30), hz])
    assert not mains_frames(f0_of(line)).any()


@pytest.mark.parametrize("tuning", [0.0, 0.3, 0.5, -0.2])
def test_an_instrument_out_of_tune_is_melody(tuning):
    """It is steady throughout."""
    midi = 46.0 + tuning + np.random.default_rng(0).integers(0, 20, 30)
    assert not mains_frames(f0_of(np.repeat(440 * 2 ** ((midi - 69) / 12), 50))).any()


def test_what_has_none_stays_as_it_is():
    hum = f0_of(sung(60.0, 3.0, np.random.default_rng(0)))
    assert without_mains(hum) is hum
    assert not mains_frames(f0_of(np.zeros(0))).any()
