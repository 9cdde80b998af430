"""The echo of a room."""

from __future__ import annotations

import numpy as np
from scipy.signal import lfilter, oaconvolve


def room(sound: np.ndarray, rng: np.random.Generator, rate_hz: int, decay_s: float) -> np.ndarray:
    """The sound's echo in a room, without the direct sound, as loud as it; decay_s: until -60 dB."""
    t = np.arange(int(0.7 * decay_s * rate_hz)) / rate_hz
    impulse = rng.standard_normal(len(t)) * 10 ** (-3.0 * t / decay_s)
    impulse[: int(0.008 * rate_hz)] = 0
    impulse = lfilter([0.4], [1, -0.6], impulse)  # walls swallow the treble
    echo = oaconvolve(sound, impulse / np.sqrt(np.sum(impulse**2) + 1e-12))
    return echo[: len(sound)]
