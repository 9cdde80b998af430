"""The mains (50 or 60 Hz and multiples) out of a recording of a hum, so that they are not tracked for a voice.

They are told by lines that are as narrow as a second of sound can show, loud beside their neighbours in the quietest
windows too, on several multiples of one of the two frequencies: no voice holds a tone so still. Notches of a few
hertz take them out. What has no such lines is left as it is, to the byte.
"""

from __future__ import annotations

import numpy as np
from scipy.signal import filtfilt, iirnotch

from humfind.types import Floats

MAINS_HZ = (50.0, 60.0)
WINDOW_S, HOP_S = 1.0, 0.25
SHORTEST_S = 2.0  # fewer windows tell nothing
QUIET = 20  # percentile of the windows
LOUD_DB = 12.0  # above its neighbours
MULTIPLES = 6  # that are looked at
LEAST = 3  # of these, one of them odd
NOTCHES, WIDTH_HZ = 12, 3.0


def without_mains(samples: Floats, rate_hz: int) -> Floats:
    """(n,) -> (n,): the same array where there are no mains."""
    hz = mains_hz(samples, rate_hz)
    if hz is None:
        return samples
    cleaned = samples.astype(np.float64)
    for multiple in range(1, NOTCHES + 1):
        if multiple * hz < 0.45 * rate_hz:
            cleaned = filtfilt(*iirnotch(multiple * hz, multiple * hz / WIDTH_HZ, rate_hz), cleaned)
    return cleaned.astype(np.float32)


def mains_hz(samples: Floats, rate_hz: int) -> float | None:
    """50 or 60, whichever has more lines; None where neither has enough."""
    if len(samples) < SHORTEST_S * rate_hz:
        return None
    size, hop = round(WINDOW_S * rate_hz), round(HOP_S * rate_hz)
    window, highest = np.hanning(size), round((MAINS_HZ[-1] * MULTIPLES + 20) * WINDOW_S)
    starts = range(0, len(samples) - size + 1, hop)
    power = [np.abs(np.fft.rfft(samples[start : start + size] * window)[:highest]) ** 2 for start in starts]
    quiet = np.percentile(power, QUIET, axis=0)
    best: tuple[int, float] | None = None
    for hz in MAINS_HZ:
        lines = [k for k in range(1, MULTIPLES + 1) if _line(quiet, round(k * hz * WINDOW_S))]
        if len(lines) >= LEAST and any(k % 2 for k in lines) and (best is None or len(lines) > best[0]):
            best = len(lines), hz
    return best[1] if best else None


def _line(quiet: np.ndarray, bin_: int) -> bool:
    """Whether a bin stands above those around it."""
    floor = np.median(np.concatenate([quiet[bin_ - 9 : bin_ - 3], quiet[bin_ + 4 : bin_ + 10]]))
    return bool(quiet[bin_ - 1 : bin_ + 2].max() > floor * 10 ** (LOUD_DB / 10) and floor >= 0)
