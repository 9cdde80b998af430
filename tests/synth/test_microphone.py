"""What disturbs a hum is as loud as it says, of the band that it says, and the same for the same seed."""

from __future__ import annotations

import numpy as np
import pytest

from humfind.synth import microphone
from humfind.synth.microphone import DISTURBANCES

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def tone() -> np.ndarray:
    """A second of 200 Hz, a second of rest, and both again."""
    t = np.arange(RATE_HZ) / RATE_HZ
    note = 0.3 * np.sin(2 * np.pi * 200 * t)
    return np.concatenate([note, np.zeros(RATE_HZ)] * 2).astype(np.float32)


def decibels(sound: np.ndarray) -> float:
    return float(10 * np.log10(np.mean(np.square(sound, dtype=np.float64)) + 1e-20))


@pytest.mark.parametrize("name", DISTURBANCES)
def test_a_seed_gives_its_bytes_and_full_scale_is_kept(name, tone):
    one, two, other = (DISTURBANCES[name](tone, RATE_HZ, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert one.dtype == np.float32
    assert len(one) == len(tone)
    assert np.abs(one).max() <= 1
    assert one.tobytes() == two.tobytes()
    assert not np.array_equal(one, tone)
    if name not in ("clipped", "automatic gain", "telephone"):
        assert not np.array_equal(one, other)


@pytest.mark.parametrize("name", ["mains", "fan", "hiss", "speech"])
def test_noise_is_as_loud_as_asked(name, tone):
    disturb = {"mains": microphone.mains, "fan": microphone.fan, "hiss": microphone.hiss, "speech": microphone.speech}[
        name
    ]
    disturbed = disturb(tone, RATE_HZ, np.random.default_rng(0), -20.0)
    rests = disturbed[RATE_HZ : 2 * RATE_HZ], disturbed[3 * RATE_HZ :]
    level = 20 * np.log10(microphone.level_of(tone))
    assert decibels(np.concatenate(rests)) == pytest.approx(level - 20, abs=3.0)


def test_mains_is_of_the_mains_frequency(tone):
    disturbed = microphone.mains(tone, RATE_HZ, np.random.default_rng(0), -10.0)
    spectrum = np.abs(np.fft.rfft(disturbed[RATE_HZ : 2 * RATE_HZ]))  # a bin a hertz
    assert int(np.argmax(spectrum)) in (100, 120)


def test_a_clipped_sound_is_flat_at_its_peak(tone):
    disturbed = microphone.clipped(tone, RATE_HZ, np.random.default_rng(0), 12.0)
    assert np.abs(disturbed).max() == pytest.approx(0.3 * 10 ** (-12 / 20), rel=1e-3)


def test_automatic_gain_raises_what_is_soft():
    rng = np.random.default_rng(0)
    soft = np.concatenate([0.5 * rng.standard_normal(RATE_HZ), 0.01 * rng.standard_normal(2 * RATE_HZ)])
    raised = microphone.automatic_gain(soft.astype(np.float32), RATE_HZ, rng)
    before = decibels(soft[:RATE_HZ]) - decibels(soft[-RATE_HZ:])
    assert before - (decibels(raised[:RATE_HZ]) - decibels(raised[-RATE_HZ:])) > 20


def test_a_telephone_has_no_low_voice(tone):
    t = np.arange(RATE_HZ) / RATE_HZ
    both = (np.sin(2 * np.pi * 120 * t) + np.sin(2 * np.pi * 600 * t)).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(microphone.telephone(both, RATE_HZ, np.random.default_rng(0))))
    assert spectrum[120] < 0.05 * spectrum[600]
