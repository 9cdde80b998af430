"""What rooms and phones add to a hum: each takes a sound and gives it back disturbed, by a level in decibels beside the
hum's own (root mean square where somebody sings) or by a degree.

Sounds are (n,) float32 at ``rate_hz``; all randomness comes from the generator that is given.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from humfind.synth.voice import OPEN, formants
from humfind.types import Floats

MAINS_HZ = (50.0, 60.0)
SYLLABLES_PER_S = 4.0
FRAME_S = 0.02  # of automatic gain


def level_of(sound: Floats) -> float:
    """Root mean square of the louder half of all 20 ms frames."""
    size = max(1, min(len(sound), 320))
    power = np.square(sound[: len(sound) // size * size], dtype=np.float64).reshape(-1, size).mean(axis=1)
    return float(np.sqrt(power[power >= np.median(power)].mean()))


def add(sound: Floats, noise: np.ndarray, level_db: float) -> Floats:
    """A noise at so many decibels of the sound's level, without clipping."""
    gain = level_of(sound) * 10 ** (level_db / 20) / max(float(np.sqrt(np.mean(np.square(noise)))), 1e-12)
    mixed = sound + gain * noise
    return (mixed * min(1.0, 0.95 / max(float(np.abs(mixed).max()), 1e-12))).astype(np.float32)


def mains(sound: Floats, rate_hz: int, rng: np.random.Generator, level_db: float = -15.0) -> Floats:
    """The hum of 50 or 60 Hz with its harmonics, the second the strongest as a rectifier's is, steady throughout."""
    t = np.arange(len(sound)) / rate_hz
    hz = rng.choice(MAINS_HZ)
    weights = [0.4, 1.0, 0.25, 0.5, 0.1, 0.2]
    tones = (w * np.sin(2 * np.pi * (k * hz * t + rng.random())) for k, w in enumerate(weights, start=1))
    return add(sound, np.sum(list(tones), axis=0), level_db)


def fan(sound: Floats, rate_hz: int, rng: np.random.Generator, level_db: float = -15.0) -> Floats:
    """Rushing air below some hundred hertz, and the tone of the blades."""
    air = sosfilt(butter(2, rng.uniform(200, 600), fs=rate_hz, output="sos"), rng.standard_normal(len(sound)))
    blades = np.sin(2 * np.pi * rng.uniform(60, 250) * np.arange(len(sound)) / rate_hz)
    return add(sound, air / air.std() + rng.uniform(0.1, 0.5) * blades, level_db)


def traffic(sound: Floats, rate_hz: int, rng: np.random.Generator, level_db: float = -10.0) -> Floats:
    """Rumble that swells and ebbs as cars pass."""
    n = len(sound)
    rumble = sosfilt(butter(2, 250.0, fs=rate_hz, output="sos"), rng.standard_normal(n))
    swell = 0.5 + 0.5 * np.sin(2 * np.pi * (rng.uniform(0.05, 0.3) * np.arange(n) / rate_hz + rng.random()))
    return add(sound, rumble * swell, level_db)


def speech(sound: Floats, rate_hz: int, rng: np.random.Generator, level_db: float = -15.0) -> Floats:
    """A television that talks: syllables of one voice with falling pitch and changing vowels."""
    return add(sound, talk(len(sound), rate_hz, rng), level_db)


def hiss(sound: Floats, rate_hz: int, rng: np.random.Generator, level_db: float = -10.0) -> Floats:
    """A weak microphone: white noise."""
    return add(sound, rng.standard_normal(len(sound)), level_db)


def clipped(sound: Floats, rate_hz: int, rng: np.random.Generator, over_db: float = 12.0) -> Floats:
    """Too near: so many decibels of the peak are cut off."""
    limit = float(np.abs(sound).max()) * 10 ** (-over_db / 20)
    return np.clip(sound, -limit, limit).astype(np.float32)


def automatic_gain(sound: Floats, rate_hz: int, rng: np.random.Generator, range_db: float = 30.0) -> Floats:
    """A recorder that turns itself up in the rests, by so much at most, within half a second."""
    size = max(1, round(FRAME_S * rate_hz))
    frames = np.sqrt(np.square(np.pad(sound, (0, -len(sound) % size))).reshape(-1, size).mean(axis=1))
    follows = FRAME_S / 0.5
    heard = lfilter([follows], [1, follows - 1], frames, zi=[frames[:1].mean() * (1 - follows)])[0]
    gain = np.clip(level_of(sound) / np.maximum(heard, 1e-9), 1.0, 10 ** (range_db / 20))
    at = np.arange(len(sound)) / size - 0.5
    loud = sound * np.interp(at, np.arange(len(gain)), gain)
    return (0.9 * loud / max(float(np.abs(loud).max()), 1e-9)).astype(np.float32)


def telephone(sound: Floats, rate_hz: int, rng: np.random.Generator, low_hz: float = 300.0) -> Floats:
    """A telephone's band, from ``low_hz`` to 3,400 Hz: the fundamental of a low voice is gone."""
    band = butter(4, [low_hz, min(3400.0, 0.45 * rate_hz)], "bandpass", fs=rate_hz, output="sos")
    return np.asarray(sosfilt(band, sound), np.float32)


def handling(sound: Floats, rate_hz: int, rng: np.random.Generator, level_db: float = 6.0) -> Floats:
    """The click of the button at both ends, and bumps of the hand every few seconds, their peaks at ``level_db``."""
    noise = np.zeros(len(sound))
    bumps = rng.uniform(0, len(sound) / rate_hz, max(2, len(sound) // (3 * rate_hz)))
    for at_s in np.concatenate([[0.05], bumps, [max(0.0, len(sound) / rate_hz - 0.1)]]):
        start = int(at_s * rate_hz)
        length = min(len(sound) - start, int(0.12 * rate_hz))
        t = np.arange(max(0, length)) / rate_hz
        hz = rng.uniform(40, 160)
        noise[start : start + length] += np.exp(-t / 0.025) * np.sin(2 * np.pi * hz * t) + (t < 0.002)
    mixed = sound + level_of(sound) * 10 ** (level_db / 20) * noise
    return (mixed * min(1.0, 0.95 / max(float(np.abs(mixed).max()), 1e-12))).astype(np.float32)


def talk(n: int, rate_hz: int, rng: np.random.Generator) -> np.ndarray:
    """(n,): one voice that reads: syllables of falling pitch and changing vowels, pauses between phrases."""
    middle, out, at = rng.uniform(95, 210), np.zeros(n), 0
    while at < n:
        phrase = int(rng.uniform(1.0, 2.5) * rate_hz)
        syllables = max(1, round(phrase / rate_hz * SYLLABLES_PER_S))
        fall = np.linspace(1.25, 0.85, syllables) * rng.lognormal(0, 0.08, syllables)
        for relative in fall:
            length = int(rng.uniform(0.7, 1.3) / SYLLABLES_PER_S * rate_hz)
            if at + length >= n:
                return out
            hz = middle * relative * np.linspace(1.06, 0.94, length)
            source = 2 * (np.cumsum(hz) / rate_hz % 1) - 1
            vowel = float(np.exp(rng.normal(0, 0.25)))
            loud = np.sin(np.pi * np.linspace(0, 1, length)) ** 0.7
            out[at : at + length] = loud * formants(source, OPEN, vowel, rate_hz)
            at += length
        at += int(rng.uniform(0.2, 0.7) * rate_hz)
    return out


DISTURBANCES: dict[str, Callable[[Floats, int, np.random.Generator], Floats]] = {
    "mains": mains,
    "fan": fan,
    "traffic": traffic,
    "speech": speech,
    "hiss": hiss,
    "clipped": clipped,
    "automatic gain": automatic_gain,
    "telephone": telephone,
    "handling": handling,
}
