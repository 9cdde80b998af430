"""Mixes of real instruments: what is asked for is what sounds."""

from __future__ import annotations

import numpy as np
import pytest

from humfind.synth import arrangement
from humfind.synth.melody import Notes
from humfind.synth.soundfont import DRUMS, RATE_HZ, Played, Soundfont

STARTS = np.arange(12, dtype=np.float32) * np.float32(0.5)
MELODY = np.array([60, 62, 64, 65, 67, 69, 67, 65, 64, 62, 60, 67], np.float32)
NOTES = Notes(STARTS, STARTS + np.float32(0.45), MELODY)


@pytest.fixture(scope="module")
def font() -> Soundfont:
    return Soundfont()


def pitch_hz(sound: np.ndarray) -> float:
    """The strongest partial."""
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 8 * len(sound)))
    return float(spectrum.argmax() * RATE_HZ / (8 * len(sound)))


def test_a_note_sounds_when_and_as_high_as_it_is_written(font):
    flute = 73
    sound = font.play([Played(0.5, 1.5, flute, 69, 100)], 2.0).mean(axis=1)
    assert len(sound) == 2 * RATE_HZ
    assert np.abs(sound[: RATE_HZ // 2 - 100]).max() < 1e-4
    assert pitch_hz(sound[int(0.7 * RATE_HZ) : int(1.4 * RATE_HZ)]) == pytest.approx(440, rel=0.01)
    bent = font.play([Played(0.5, 1.5, flute, 69, 100)], 2.0, [(0.0, 1.0)]).mean(axis=1)
    assert pitch_hz(bent[int(0.7 * RATE_HZ) : int(1.4 * RATE_HZ)]) == pytest.approx(466.2, rel=0.01)
    again = font.play([Played(0.5, 1.5, flute, 69, 100)], 2.0).mean(axis=1)
    assert pitch_hz(again[int(0.7 * RATE_HZ) : int(1.4 * RATE_HZ)]) == pytest.approx(440, rel=0.01), "no longer bent"


def test_drums_are_drums(font):
    assert np.abs(font.play([Played(0.1, 0.2, DRUMS, 38, 120)], 0.5)).max() > 0.01


@pytest.mark.parametrize("seed", range(4))
def test_a_mixture_has_the_melody_that_it_says(font, seed):
    made = arrangement.mixture(NOTES, 6.0, font, np.random.default_rng(seed), sung=float(seed == 3))
    assert abs(len(made.samples) - 6 * RATE_HZ) <= 1
    assert 0.05 < np.abs(made.samples).max() <= 0.81
    voiced = made.hz > 0
    assert len(made.hz) == 600
    midi = 69 + 12 * np.log2(made.hz[voiced] / 440)
    assert voiced.mean() > 0.5
    apart = midi - MELODY[np.minimum(np.flatnonzero(voiced) // 50, 11)]
    assert np.median(np.abs(apart - np.median(apart))) < 0.6, "the same tune, in any octave"
    again = arrangement.mixture(NOTES, 6.0, Soundfont(), np.random.default_rng(seed), sung=float(seed == 3))
    assert again.samples.tobytes() == made.samples.tobytes()


def test_an_equaliser_takes_bass_and_treble():
    noise = np.random.default_rng(0).standard_normal(RATE_HZ).astype(np.float32)
    power = np.abs(np.fft.rfft(arrangement.equalised(noise, np.random.default_rng(1)))) ** 2
    assert power[:20].mean() < 0.5 * power[500:2000].mean()
    assert power[-2000:].mean() < 0.5 * power[500:2000].mean()
