"""Instruments: one cycle of a wave that fades from bright to dull, and drums made of noise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from humfind.types import Floats

TABLE = 2048  # samples a cycle
NYQUIST_SHARE = 0.45  # of the sampling rate: partials above are left out


@dataclass(frozen=True)
class Timbre:
    """partials: how strength falls with the partial's number, as a power; odd: only odd partials.

    bright_s: how fast the treble dies; decay_s: how fast all of it dies (None: held); attack_s, release_s.
    vibrato_cents at 5.5 Hz. fm: depth of a modulator at twice the pitch, as in a bell or an electric piano.
    """

    partials: float
    attack_s: float
    release_s: float
    odd: bool = False
    bright_s: float = 0.5
    decay_s: float | None = None
    vibrato_cents: float = 0.0
    fm: float = 0.0


@dataclass(frozen=True)
class Tone:
    """One note of one part. level: linear amplitude."""

    start_s: float
    end_s: float
    midi: float
    level: float
    timbre: str


TIMBRES = {
    "fiddle": Timbre(0.9, 0.05, 0.06, bright_s=4.0, vibrato_cents=14.0),
    "flute": Timbre(2.2, 0.06, 0.08, bright_s=4.0, vibrato_cents=8.0),
    "clarinet": Timbre(1.1, 0.04, 0.06, odd=True, bright_s=4.0),
    "voice": Timbre(1.5, 0.07, 0.09, bright_s=4.0, vibrato_cents=30.0),
    "synth": Timbre(1.0, 0.01, 0.04, bright_s=0.3),
    "mandolin": Timbre(1.2, 0.003, 0.08, bright_s=0.12, decay_s=0.6),
    "epiano": Timbre(2.5, 0.004, 0.12, bright_s=0.4, decay_s=1.2, fm=0.9),
    "piano": Timbre(1.4, 0.004, 0.10, bright_s=0.2, decay_s=0.7),
    "guitar": Timbre(1.3, 0.003, 0.08, bright_s=0.15, decay_s=0.5),
    "pad": Timbre(1.6, 0.15, 0.20, bright_s=4.0),
    "organ": Timbre(1.2, 0.02, 0.05, bright_s=4.0),
    "bass": Timbre(1.8, 0.01, 0.05, bright_s=0.3),
    "pluckbass": Timbre(1.4, 0.004, 0.05, bright_s=0.15, decay_s=0.6),
}
LEADS = ("fiddle", "flute", "clarinet", "voice", "synth", "mandolin", "epiano")


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


def add_tone(out: np.ndarray, tone: Tone, timbre: Timbre, rate_hz: int) -> None:
    """Play one note into ``out``, (n,) float64, in place; it may ring past its end."""
    first = int(tone.start_s * rate_hz)
    held = max(tone.end_s - tone.start_s, 0.03)
    n = min(int((held + timbre.release_s) * rate_hz), len(out) - first)
    if n <= 0:
        return
    hz = 440.0 * 2.0 ** ((tone.midi - 69.0) / 12.0)
    t = np.arange(n) / rate_hz
    phase = hz * t
    if timbre.vibrato_cents:
        depth = hz * (2 ** (timbre.vibrato_cents / 1200) - 1) / (2 * np.pi * 5.5)
        phase = phase - depth * np.minimum(t / 0.3, 1.0) * np.cos(2 * np.pi * 5.5 * t + tone.start_s)
    if timbre.fm:
        phase = phase + timbre.fm / (2 * np.pi) * np.exp(-t / timbre.bright_s) * np.sin(4 * np.pi * hz * t)
    count = max(1, min(40, int(NYQUIST_SHARE * rate_hz / hz)))
    bright = look_up(wave(timbre.partials, timbre.odd, count), phase)
    if timbre.bright_s < 2.0:
        share = np.exp(-t / timbre.bright_s)
        dull = look_up(wave(timbre.partials + 1.5, timbre.odd, count), phase)
        bright = bright * share + dull * (1 - share)
    envelope = np.minimum(t / timbre.attack_s, 1.0)
    if timbre.decay_s:
        envelope = envelope * np.exp(-t / timbre.decay_s)
    envelope *= np.clip((held + timbre.release_s - t) / timbre.release_s, 0.0, 1.0)
    out[first : first + n] += tone.level * envelope * bright


def drum_kit(rng: np.random.Generator, rate_hz: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kick, snare and hat, made anew for every song."""
    t = np.arange(int(0.25 * rate_hz)) / rate_hz
    noise = rng.standard_normal(len(t))
    kick = np.sin(2 * np.pi * (50 * t + 60 * 0.04 * (1 - np.exp(-t / 0.04)))) * np.exp(-t / 0.08)
    snare = (0.5 * noise + 0.5 * np.sin(2 * np.pi * 190 * t)) * np.exp(-t / rng.uniform(0.04, 0.09))
    hat = np.diff(noise, prepend=0.0) * np.exp(-t / rng.uniform(0.015, 0.05))
    return 0.6 * kick, 0.35 * snare, 0.12 * hat
