"""A performance becomes the sound of a hum: a voice with formants, breath, a room and a microphone."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.signal import butter, lfilter, sosfilt

from humfind.config import HummerConfig
from humfind.synth.hum import HOP_S, Performance
from humfind.synth.reverb import room
from humfind.types import Floats

# Formants: centre Hz, width Hz, strength. A closed mouth lets out little but the nasal murmur.
CLOSED = ((270.0, 90.0, 1.0), (1000.0, 250.0, 0.06), (2200.0, 350.0, 0.03))
OPEN = ((720.0, 110.0, 1.0), (1180.0, 130.0, 0.55), (2550.0, 200.0, 0.16))
TABLE = 2048  # samples of a cycle
TILT = 1.3  # the glottal wave's partials fall as 1 / k ** TILT


def render(performance: Performance, rng: np.random.Generator, config: HummerConfig) -> Floats:
    """The sound of the performance, (n,) float32 at ``config.rate_hz``, peak below 1."""
    rate = config.rate_hz
    sung = performance.hz > 0
    if not sung.any():
        raise ValueError("nothing is sung: every frame is unvoiced")
    frames = np.flatnonzero(sung)
    filled = np.interp(np.arange(len(sung)), frames, performance.hz[frames])
    n = int(len(sung) * HOP_S * rate)
    at = np.arange(n) / (rate * HOP_S)  # in frames
    hz = np.interp(at, np.arange(len(filled)), filled)
    level = _level(performance, rng)
    loud = np.interp(at, np.arange(len(level)), level)

    phase = np.cumsum(hz) / rate
    count = max(1, min(40, int(0.45 * rate / float(hz.max()))))
    source = look_up(wave(TILT, False, count), phase) + 0.02 * rng.standard_normal(n)  # breath in the voice
    tract = float(np.exp(rng.normal(0, 0.08)))  # small heads have high formants
    closed = formants(source, CLOSED, tract, rate)
    if performance.da:
        mouth = np.interp(at, np.arange(len(level)), _mouth(performance))
        sound = mouth * formants(source, OPEN, tract, rate) + (1 - mouth) * closed
    else:
        sound = closed
    sound *= loud
    sound += _consonants(performance, rng, n, rate)
    sound += _inhaled(performance, rng, n, rate)
    sound += rng.uniform(0.05, 0.5) * room(sound, rng, rate, rng.uniform(0.15, 0.6))
    return _microphone(sound, rng, config)


def _level(performance: Performance, rng: np.random.Generator) -> np.ndarray:
    """Loudness a frame: notes swell and fade, repeated notes dip, silence is silent."""
    notes, n = performance.notes, len(performance.hz)
    t = np.arange(n) * HOP_S
    note = np.clip(np.searchsorted(notes.start_s, t, side="right") - 1, 0, len(notes) - 1)
    since, length = t - notes.start_s[note], (notes.end_s - notes.start_s)[note]
    accent = 10 ** (rng.normal(0, 1.8, len(notes)) / 20)
    shape = (1 - 0.35 * np.clip(since / np.maximum(length, 0.1), 0, 1)) * (1 - 0.5 * np.exp(-since / 0.03))
    level = np.where(performance.hz > 0, accent[note] * shape, 0.0)
    smooth = np.convolve(level, [0.25, 0.5, 0.25], mode="same")
    return np.where(performance.hz > 0, smooth, 0.3 * smooth)


def _mouth(performance: Performance) -> np.ndarray:
    """How open the mouth is a frame: it opens within 50 ms after each "d"."""
    notes = performance.notes
    t = np.arange(len(performance.hz)) * HOP_S
    note = np.clip(np.searchsorted(notes.start_s, t, side="right") - 1, 0, len(notes) - 1)
    return np.clip((t - notes.start_s[note]) / 0.05, 0, 1)


def formants(source: np.ndarray, formants: tuple, tract: float, rate_hz: int) -> np.ndarray:
    """Two-pole resonances side by side, each of unit gain at its centre times its strength."""
    out = np.zeros_like(source)
    for centre, width, strength in formants:
        radius = np.exp(-np.pi * width / rate_hz)
        angle = 2 * np.pi * centre * tract / rate_hz
        gain = (1 - radius) * np.sqrt(1 - 2 * radius * np.cos(2 * angle) + radius**2)
        out += lfilter([strength * gain], [1, -2 * radius * np.cos(angle), radius**2], source)
    return out + 0.05 * source


def _consonants(performance: Performance, rng: np.random.Generator, n: int, rate_hz: int) -> np.ndarray:
    """A short burst of noise where a "d" is released."""
    out = np.zeros(n)
    if not performance.da:
        return out
    length = int(0.012 * rate_hz)
    for start_s in performance.notes.start_s:
        first = int(start_s * rate_hz)
        burst = rng.standard_normal(length) * np.exp(-np.arange(length) / (0.004 * rate_hz))
        span = out[first : first + length]
        span += 0.05 * rng.uniform(0.3, 1.0) * burst[: len(span)]
    return out


def _inhaled(performance: Performance, rng: np.random.Generator, n: int, rate_hz: int) -> np.ndarray:
    """Breath drawn in the longer silences."""
    out = np.zeros(n)
    notes = performance.notes
    for end_s, next_s in zip(notes.end_s[:-1], notes.start_s[1:], strict=True):
        first, last = int((end_s + 0.04) * rate_hz), int((next_s - 0.04) * rate_hz)
        if last - first < 0.12 * rate_hz or rng.random() < 0.3:
            continue
        swell = np.sin(np.pi * np.linspace(0, 1, last - first)) ** 2
        out[first:last] += rng.uniform(0.005, 0.04) * swell * rng.standard_normal(last - first)
    return out


def _microphone(sound: np.ndarray, rng: np.random.Generator, config: HummerConfig) -> Floats:
    """Band limits, hiss and rumble, mains hum now and then, a peak below full scale."""
    rate, n = config.rate_hz, len(sound)
    noise = rng.standard_normal(n)
    pink = lfilter([0.08], [1, -0.97], noise) + 0.25 * noise
    if rng.random() < 0.3:
        pink += 0.3 * np.sin(2 * np.pi * rng.choice([50.0, 60.0]) * np.arange(n) / rate)
    loud = np.sqrt(np.mean(sound**2))
    sound = sound + pink * (loud / np.sqrt(np.mean(pink**2))) * 10 ** (-rng.uniform(*config.snr_db) / 20)
    band = butter(2, [rng.uniform(50, 110), rng.uniform(3200, 7000)], "bandpass", fs=rate, output="sos")
    sound = sosfilt(band, sound)
    return (rng.uniform(0.3, 0.9) * sound / (np.abs(sound).max() + 1e-9)).astype(np.float32)


@lru_cache(maxsize=512)
def wave(power: float, odd: bool, count: int) -> Floats:
    """One cycle of ``count`` partials that fall as ``1 / k ** power``, of unit loudness; one sample over."""
    spectrum = np.zeros(TABLE // 2 + 1, dtype=np.complex128)
    k = np.arange(1, count + 1)
    strength = k ** (-power) * np.where(odd & (k % 2 == 0), 0.05, 1.0)
    spectrum[1 : count + 1] = strength * np.exp(-0.5j * np.pi * (1 + 0.37 * k * k))
    cycle = np.fft.irfft(spectrum)
    cycle /= np.sqrt(np.mean(cycle**2))
    return np.append(cycle, cycle[0]).astype(np.float32)


def look_up(table: Floats, phase: np.ndarray) -> np.ndarray:
    """The wave at phases in cycles, between its samples."""
    position = (phase % 1.0) * TABLE
    index = position.astype(np.int64)
    share = position - index
    return table[index] * (1 - share) + table[np.minimum(index + 1, TABLE)] * share
