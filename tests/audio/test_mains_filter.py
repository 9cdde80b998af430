"""Mains hum is told from singing, and taken out without harm to it."""

from __future__ import annotations

import numpy as np
import pytest
from tiny_world import HOP_S, f0_of, hum_of, melody

from humfind.audio.mains_filter import mains_hz, without_mains
from humfind.config import F0Config
from humfind.f0 import WithoutMains, make_tracker
from humfind.synth import microphone
from humfind.types import F0, Floats, Recording

RATE_HZ = 16_000
SWIFT = F0Config(tracker="swiftf0", threads=1)


def sung(f0: F0, wavering: float = 0.004) -> Floats:
    """The line by a voice of four partials that wavers, with rests."""
    hz = np.repeat(f0.hz.astype(float), round(HOP_S * RATE_HZ))
    t = np.arange(len(hz)) / RATE_HZ
    phase = 2 * np.pi * np.cumsum(hz * (1 + wavering * np.sin(2 * np.pi * 5.5 * t))) / RATE_HZ
    sound = sum(np.sin(k * phase) / k for k in range(1, 5))
    return (0.2 * sound * (np.sin(2 * np.pi * t / 2.2) > -0.5)).astype(np.float32)


@pytest.mark.parametrize("seed", range(4))
def test_mains_are_found_and_singing_is_not_taken_for_them(seed: int) -> None:
    voice = sung(hum_of(seed, shift=-12.0))
    assert mains_hz(voice, RATE_HZ) is None
    assert without_mains(voice, RATE_HZ) is voice
    noisy = microphone.mains(voice, RATE_HZ, np.random.default_rng(seed))
    assert mains_hz(noisy, RATE_HZ) in (50.0, 60.0)


@pytest.mark.parametrize("kind", sorted(set(microphone.DISTURBANCES) - {"mains"}))
def test_no_other_disturbance_is_taken_for_them(kind: str) -> None:
    for seed in range(3):
        noisy = microphone.DISTURBANCES[kind](sung(hum_of(seed, shift=-9.0)), RATE_HZ, np.random.default_rng(seed))
        assert mains_hz(noisy, RATE_HZ) is None


def test_the_tracker_hears_the_voice_in_spite_of_them() -> None:
    f0 = f0_of(melody(3)[:800], shift=-7.0)
    noisy = Recording(microphone.mains(sung(f0), RATE_HZ, np.random.default_rng(1), -5.0), RATE_HZ)

    def right(found: F0) -> float:
        n = min(len(found.hz), len(f0.hz))
        apart = np.abs(12 * np.log2(np.maximum(found.hz[:n], 1) / f0.hz[:n])) < 0.5
        loud = np.sin(2 * np.pi * np.arange(n) * HOP_S / 2.2) > -0.4
        return float(apart[loud].mean())

    before, after = right(make_tracker(SWIFT)(noisy)), right(make_tracker(SWIFT, "hum")(noisy))
    assert after > 0.9
    assert after > before + 0.05


def test_a_played_tone_short_sounds_and_silence_are_left_alone() -> None:
    t = np.arange(4 * RATE_HZ) / RATE_HZ
    for hz in (50.0, 120.0, 300.0, 440.0):
        tone = (0.3 * np.sin(2 * np.pi * hz * t)).astype(np.float32)
        assert mains_hz(tone, RATE_HZ) is None
    assert mains_hz(np.zeros(4 * RATE_HZ, np.float32), RATE_HZ) is None
    assert mains_hz(np.zeros(100, np.float32), RATE_HZ) is None
    assert mains_hz(np.zeros(0, np.float32), RATE_HZ) is None


def test_a_hum_in_blocks_is_the_hum_at_once() -> None:
    noisy = microphone.mains(sung(hum_of(2)), RATE_HZ, np.random.default_rng(2))
    tracker = make_tracker(SWIFT, "hum")
    whole, parts = tracker(Recording(noisy, RATE_HZ)), tracker.track(np.array_split(noisy, 7))
    assert np.array_equal(whole.hz, parts.hz)
    assert (tracker.name, tracker.threshold) == ("swiftf0", make_tracker(SWIFT).threshold)


def test_what_is_no_hum_by_its_length_is_tracked_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(WithoutMains, "LONGEST_S", 3.0)
    noisy = microphone.mains(sung(hum_of(2)), RATE_HZ, np.random.default_rng(2))
    plain, tracker = make_tracker(SWIFT)(Recording(noisy, RATE_HZ)), make_tracker(SWIFT, "hum")
    for found in (tracker(Recording(noisy, RATE_HZ)), tracker.track(np.array_split(noisy, 7))):
        assert np.array_equal(found.hz, plain.hz)
