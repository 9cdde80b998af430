"""Major or minor: how well a stretch of sound fits the best of twelve major and of twelve minor keys.

The mean chroma is correlated with each key's profile (Krumhansl and Kessler 1982), with the profiles that Temperley
(2007) counted in the Kostka-Payne corpus.
"""

from __future__ import annotations

import warnings

import numpy as np

from humfind.runtime.compiled import make_librosa
from humfind.types import Floats

FFT, HOP = 4096, 1024
LEAST = 1e-9  # from the weakest pitch class to the strongest; below, none stands out
MAJOR = (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400)
MINOR = (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330)


def mode_strengths(samples: Floats, rate_hz: int) -> Floats:
    """(2,) float32: the best correlation with a major key, and with a minor one, each in [-1, 1]; 0 in silence."""
    return strengths(_chroma(samples, rate_hz))


def key_of(samples: Floats, rate_hz: int) -> tuple[int, bool] | None:
    """The tonic (0 is C) and whether it is minor, of the key that fits best; None where nothing speaks for one."""
    chroma = _chroma(samples, rate_hz)
    if np.ptp(chroma) < LEAST:
        return None
    fits = _correlations(chroma)
    mode, tonic = np.unravel_index(int(fits.argmax()), fits.shape)
    return int(tonic), bool(mode)


def strengths(chroma: Floats) -> Floats:
    """``mode_strengths`` of a mean chroma, (12,)."""
    if np.ptp(chroma) < LEAST:
        return np.zeros(2, np.float32)
    return _correlations(chroma).max(axis=1).astype(np.float32)


def _chroma(samples: Floats, rate_hz: int) -> Floats:
    """(12,): the mean over time; zeros in silence."""
    if not samples.any():
        return np.zeros(12, np.float32)
    make_librosa()
    from librosa.feature import chroma_stft

    # of noise, which has no tuning: taken as 0
    warnings.filterwarnings("ignore", "Trying to estimate tuning from empty frequency set", UserWarning)
    found: Floats = chroma_stft(y=samples, sr=rate_hz, n_fft=FFT, hop_length=HOP).mean(axis=1)
    return found


def _correlations(chroma: Floats) -> np.ndarray:
    """(2, 12): with every major and every minor key."""
    return np.array(
        [[np.corrcoef(chroma, np.roll(profile, key))[0, 1] for key in range(12)] for profile in (MAJOR, MINOR)]
    )
