"""Log-frequency spectra of a signal, and each pitch with its harmonics side by side (the harmonic CQT's idea: R. M.
Bittner et al., Deep salience representations for f0 estimation in polyphonic music, ISMIR 2017).

Two windows: a long one that tells low pitches apart, and a short one that tells when a note begins.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.fft import rfft
from scipy.ndimage import uniform_filter1d
from scipy.sparse import csc_array

from humfind.types import Floats

RATE_HZ, HOP = 16_000, 640
HOP_S = HOP / RATE_HZ
FFT, WINDOWS = 8192, (4096, 1024)  # samples
PER_SEMITONE = 3  # bins
LOWEST_MIDI, PITCHES = 36, 60  # of the pitches that are looked for: 65 Hz to 2.0 kHz
BINS = PITCHES * PER_SEMITONE
HARMONICS = (0.5, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0)
SHIFTS = tuple(round(12 * PER_SEMITONE * float(np.log2(h))) for h in HARMONICS)
BELOW = -min(SHIFTS)
ROWS = BELOW + BINS + max(SHIFTS)
CHANNELS = len(WINDOWS) * len(HARMONICS)
FAINT = 1e-4
LEVEL_FRAMES = 50  # before and after a frame, over whose mean it is levelled
SCALE = 3.0


def log_spectra(samples: Floats, frames: int) -> Floats:
    """(FFT - HOP + frames * HOP,) at ``RATE_HZ`` -> (frames, 2, ROWS) float32, log magnitudes. Frame i has its centre
    at sample FFT / 2 + i * HOP."""
    out = np.empty((frames, len(WINDOWS), ROWS), np.float32)
    for row, window in enumerate(WINDOWS):
        taper = np.hanning(window + 1)[:-1].astype(np.float32)
        start = (FFT - window) // 2
        cut = np.lib.stride_tricks.sliding_window_view(samples[start:], window)[::HOP][:frames]
        spectrum = rfft(cut * taper, FFT)  # in float32, unlike numpy's
        magnitude = np.sqrt(spectrum.real**2 + spectrum.imag**2) * (2 / taper.sum())
        out[:, row] = np.log(magnitude @ _filters() + FAINT)
    return out


def levelled(spectra: Floats) -> Floats:
    """(frames, 2, ROWS) log magnitudes less their mean over all rows and the frames around: no matter how loud."""
    mean = uniform_filter1d(spectra.mean(axis=(1, 2)), 2 * LEVEL_FRAMES + 1, mode="nearest")
    out: Floats = (spectra - mean[:, None, None]) / np.float32(SCALE)
    return out


def harmonic_stack(spectra: Floats) -> Floats:
    """(frames, 2, ROWS) -> (CHANNELS, frames, BINS): what each pitch has at each of its harmonics."""
    parts = [spectra[:, :, BELOW + shift : BELOW + shift + BINS] for shift in SHIFTS]
    stacked: Floats = np.concatenate(parts, axis=1).transpose(1, 0, 2)
    return stacked


@lru_cache(maxsize=1)
def _filters() -> csc_array:
    """(FFT bins, ROWS): triangles a bin to each side, no narrower than the FFT's own bins; nothing above Nyquist."""
    midi = LOWEST_MIDI + (np.arange(ROWS) - BELOW) / PER_SEMITONE
    centre = 440 * 2 ** ((midi - 69) / 12)
    width = np.maximum(centre * (2 ** (1 / (12 * PER_SEMITONE)) - 1), RATE_HZ / FFT)
    hz = np.arange(FFT // 2 + 1) * RATE_HZ / FFT
    weight = np.clip(1 - np.abs(hz[:, None] - centre[None, :]) / width[None, :], 0, None)
    weight /= np.maximum(weight.sum(axis=0), 1e-9)
    return csc_array(np.where(centre < RATE_HZ / 2 - 2 * width, weight, 0).astype(np.float32))
