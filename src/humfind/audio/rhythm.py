"""How fast a recording is: beats a minute, from the autocorrelation of its onsets (Ellis, Beat tracking by dynamic
programming, 2007; as librosa has it)."""

from __future__ import annotations

from humfind.runtime.compiled import make_librosa
from humfind.types import Floats

HOP = 512
LEAST_S = 4.0  # of sound, below which nothing is said


def tempo_bpm(samples: Floats, rate_hz: int) -> float:
    """Beats a minute; 0 where there is too little sound, or none begins. Often half or double of what one would tap."""
    if len(samples) < LEAST_S * rate_hz or not samples.any():
        return 0.0
    make_librosa()
    from librosa.feature import tempo
    from librosa.onset import onset_strength

    onsets = onset_strength(y=samples, sr=rate_hz, hop_length=HOP)
    if onsets.max() <= 0:
        return 0.0
    return float(tempo(onset_envelope=onsets, sr=rate_hz, hop_length=HOP)[0])
