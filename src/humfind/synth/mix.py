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
# where fills are asked for: in rests so long, another instrument's notes; now and then the melody is lost for longer
REST_S, FILL_S, FILL_NOTE_S, FILL_STEPS = 0.4, (0.5, 4.0), (0.12, 0.7), 5
LOST_EVERY_S, LOST_S = 9.0, (0.6, 3.0)
HEARD_HZ = (40.0, 2000.0)


def heard_in_mix(hz: Floats, hop_s: float, rng: np.random.Generator, fills: float = 0.0) -> Floats:
    """(n,) Hz, 0 = unvoiced -> the same line as a tracker finds it in a mix, (n,) Hz.

    fills: share of the time in longer rests that holds another instrument's melody, as a tracker of whatever is
    loudest gives it; above 0, the melody is lost for seconds, too.
    """
    damaged = hz.astype(np.float64)
    silent = damaged <= 0
    if fills:
        _fill(damaged, silent, hop_s, rng, fills)
        for start, end in _spans(len(hz), LOST_EVERY_S, LOST_S, hop_s, rng):
            damaged[start:end] = 0
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


def _fill(hz: np.ndarray, silent: np.ndarray, hop_s: float, rng: np.random.Generator, share: float) -> None:
    """Notes by chance about the melody's middle, in rests."""
    if silent.all():
        return
    middle = 69 + 12 * np.log2(np.median(hz[~silent]) / 440)
    edges = np.flatnonzero(np.diff(silent.astype(np.int8), prepend=0, append=0))
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        while (end - start) * hop_s > REST_S:
            until = min(end, start + round(rng.uniform(*FILL_S) / hop_s))
            if rng.random() < share:
                midi, at = middle + rng.uniform(-7, 7), start
                while at < until:
                    length = max(1, round(rng.uniform(*FILL_NOTE_S) / hop_s))
                    hz[at : min(until, at + length)] = 440 * 2 ** ((midi - 69) / 12)
                    midi = float(np.clip(midi + rng.integers(-FILL_STEPS, FILL_STEPS + 1), middle - 19, middle + 19))
                    at += length
            start = until


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
