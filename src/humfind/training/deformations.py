"""What is done to a sound so that a network learns what stays the same: another pitch, another tempo, noise, a second
sound beside it (2019). All in the time domain, and what comes out is as long and as loud as what went in.
"""

from __future__ import annotations

import numpy as np

from humfind.runtime.compiled import make_librosa
from humfind.types import Floats

PITCH = (-10, 9)  # semitones
STRETCH = (0.5, 2.0)  # times as fast
NOISE = (0.01, 0.05)  # deviation of white noise, where a sound's level is ``LEVEL``
MIXTURE = (0.25, 0.75)  # level of the second sound, of the first's
LEVEL = 0.1  # root mean square of every segment: how loud it is tells nothing
KINDS = ("pitch", "stretch", "noise", "mixture")
SILENT = 1e-4  # root mean square, below which there is nothing to hear


def levelled(samples: Floats) -> Floats:
    """Of root mean square ``LEVEL``; silence stays silent."""
    found: Floats = (samples * (LEVEL / max(rms(samples), SILENT))).astype(np.float32)
    return found


def rms(samples: Floats) -> float:
    """Root mean square."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)))) if len(samples) else 0.0


def pitched(samples: Floats, rate_hz: int, semitones: float) -> Floats:
    """Higher, at the same tempo."""
    make_librosa()
    from librosa.effects import pitch_shift

    return levelled(pitch_shift(samples, sr=rate_hz, n_steps=semitones, n_fft=1024))


def stretched(samples: Floats, length: int, faster: float) -> Floats:
    """``faster`` times as fast, at the same pitch; cut or repeated to ``length`` samples."""
    make_librosa()
    from librosa.effects import time_stretch

    made: Floats = time_stretch(samples, rate=faster, n_fft=1024)
    return levelled(np.tile(made, -(-length // len(made)))[:length])


def noisy(samples: Floats, deviation: float, rng: np.random.Generator) -> Floats:
    """With white noise."""
    return levelled(levelled(samples) + (deviation * rng.standard_normal(len(samples))).astype(np.float32))


def mixed(samples: Floats, other: Floats, level: float) -> Floats:
    """With another sound of the same length, ``level`` times as loud."""
    return levelled(levelled(samples) + level * levelled(other))


def deform(
    kind: str, samples: Floats, length: int, rate_hz: int, other: Floats, rng: np.random.Generator
) -> tuple[Floats, str]:
    """A copy of the first ``length`` samples, as one of ``KINDS``, and what was done, in words.

    samples: what follows the segment, too: twice as fast takes twice as much. other: for a mixture, (length,).
    """
    one = samples[:length]
    if kind == "pitch":
        steps = int(rng.choice([n for n in range(PITCH[0], PITCH[1] + 1) if n]))
        return pitched(one, rate_hz, steps), f"{steps:+d} semitones"
    if kind == "stretch":
        faster = float(np.exp(rng.uniform(*np.log(STRETCH))))
        return stretched(samples[: round(length * max(1.0, faster))], length, faster), f"{faster:.2f} times as fast"
    if kind == "noise":
        deviation = float(rng.uniform(*NOISE))
        return noisy(one, deviation, rng), f"{20 * np.log10(LEVEL / deviation):.0f} dB below"
    if kind == "mixture":
        level = float(rng.uniform(*MIXTURE))
        return mixed(one, other, level), f"another sound {-20 * np.log10(level):.0f} dB below"
    raise ValueError(f"deformation {kind}: choose one of {', '.join(KINDS)}")
