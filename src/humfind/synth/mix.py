"""What a melody tracker makes of a line that lies within a mix: gaps, octave errors, other instruments.

Made to figures of a polyphonic tracker on real mixes: 0.4 jumps of more than nine semitones a voiced second, median
voiced run 0.49 s, voiced share 0.61.
"""

from __future__ import annotations

import numpy as np

from humfind.types import Floats

SLIP_EVERY_S, SLIP_S = 4.5, (0.1, 0.8)  # an octave off, or on another instrument
GAP_EVERY_S, GAP_S = 0.75, (0.05, 0.5)  # the tracker finds no pitch
STRAY_EVERY_S, STRAY_S = 3.0, (0.2, 1.0)  # where nobody sings, it follows another instrument
NOISE_SEMITONES = 0.15
HEARD_HZ = (40.0, 2000.0)


def heard_in_mix(hz: Floats, hop_s: float, rng: np.random.Generator) -> Floats:
    """(n,) Hz, 0 = unvoiced -> the same line as a tracker finds it in a mix, (n,) Hz."""
    damaged = hz.astype(np.float64)
    silent = damaged <= 0
    for start, end in _spans(len(hz), SLIP_EVERY_S, SLIP_S, hop_s, rng):
        octave, other = rng.choice([-12.0, 12.0]), rng.choice([-1.0, 1.0]) * rng.uniform(9, 20)
        damaged[start:end] *= 2.0 ** (rng.choice([octave, other]) / 12)
    for start, end in _spans(len(hz), GAP_EVERY_S, GAP_S, hop_s, rng):
        damaged[start:end] = 0
    for start, end in _spans(len(hz), STRAY_EVERY_S, STRAY_S, hop_s, rng):
        damaged[start:end][silent[start:end]] = 440.0 * 2.0 ** (rng.uniform(-18, 6) / 12)
    damaged *= 2.0 ** (NOISE_SEMITONES / 12 * rng.standard_normal(len(hz)))
    inside = (damaged > HEARD_HZ[0]) & (damaged < HEARD_HZ[1])
    return np.where(inside, damaged, 0).astype(np.float32)


def _spans(
    n: int, every_s: float, length_s: tuple[float, float], hop_s: float, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Spans that do not overlap: exponential waits between them, uniform lengths; (first, past the last) frames."""
    spans: list[tuple[int, int]] = []
    end = 0
    while True:
        start = end + 1 + round(rng.exponential(every_s) / hop_s)
        end = start + round(rng.uniform(*length_s) / hop_s)
        if start >= n:
            return spans
        spans.append((start, min(end, n)))
