"""Audio -> log-mel frames -> windows: the control's input, in place of f0 and contour.

The control asks whether f0 makes the model's life easier (the 2021 author's claim): everything after
the windows is the same, only the first layer has another number of channels. Frames are as long as a
contour's, windows start at the same places and hums are tried at the same tempos.

The mel scale is Slaney's (Auditory Toolbox, 1998), librosa's default: linear below 1 kHz, logarithmic above.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from humfind.audio.load import resample
from humfind.config import ContourConfig, SpectrogramConfig
from humfind.melody.contour import window_starts
from humfind.runtime.compiled import make_librosa
from humfind.types import Floats, Recording, Windows

FFT_S = 0.064  # seconds that one spectrum sees


@dataclass(frozen=True)
class Spectrogram:
    """values: (n, bands) float32 in [0, 1], 0 is silence, 1 the recording's loudest; frame_s: seconds a row."""

    values: Floats
    frame_s: float

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != np.float32 or not np.isfinite(self.values).all():
            raise ValueError(f"values is {self.values.dtype} {self.values.shape}, expected finite float32 (n, bands)")


def log_mel(recording: Recording, config: SpectrogramConfig, frame_s: float) -> Spectrogram:
    """dB below the loudest frame, ``floor_db``..0 mapped onto 0..1; one row every ``frame_s``."""
    make_librosa()
    from librosa.filters import mel as mel_filters  # seconds to import, for this control alone
    from scipy.signal import get_window, stft

    samples = resample(recording, config.rate_hz).samples
    n_frames = max(1, round(recording.length_s / frame_s))
    if len(samples) == 0 or not samples.any():
        return Spectrogram(np.zeros((n_frames, config.bands), np.float32), frame_s)
    hop = round(frame_s * config.rate_hz)  # samples
    length = max(hop, round(FFT_S * config.rate_hz))
    samples = np.pad(samples, (0, max(0, length - len(samples))))
    _, _, spectrum = stft(
        samples, config.rate_hz, get_window("hann", length), length, noverlap=length - hop, padded=True
    )
    filters = mel_filters(
        sr=config.rate_hz, n_fft=length, n_mels=config.bands, fmin=config.low_hz, fmax=config.high_hz, dtype=np.float64
    )
    power = filters @ np.abs(spectrum) ** 2  # (bands, frames)
    db = 10 * np.log10(np.maximum(power / power.max(), 1e-12)).T
    nearest = np.minimum(np.arange(n_frames), len(db) - 1)
    return Spectrogram(np.clip(1 - db[nearest] / config.floor_db, 0, 1).astype(np.float32), frame_s)


def song_windows(spectrogram: Spectrogram, config: ContourConfig) -> Windows:
    """A song's windows, (n, bands, frames), every ``song_hop_s``."""
    return _windows(spectrogram, replace(config, query_hop_s=config.song_hop_s, query_tempos=(1.0,)))


def query_windows(spectrogram: Spectrogram, config: ContourConfig) -> Windows:
    """A hum's windows at each of ``query_tempos``, every ``query_hop_s``."""
    return _windows(spectrogram, config)


def _windows(spectrogram: Spectrogram, config: ContourConfig) -> Windows:
    length, hop = round(config.window_s / config.frame_s), round(config.query_hop_s / config.frame_s)
    values, start_s, ratio = [], [], []
    for tempo in config.query_tempos:
        n = max(1, round(len(spectrogram.values) / tempo))
        source = np.minimum(((np.arange(n) + 0.5) * tempo).astype(np.int64), len(spectrogram.values) - 1)
        rows = np.pad(spectrogram.values[source], ((0, max(0, length - n)), (0, 0)))
        starts = window_starts(len(rows), length, hop)
        values.append(rows[starts[:, None] + np.arange(length)].transpose(0, 2, 1))
        start_s.append(starts * config.frame_s * tempo)
        ratio.append(np.full(len(starts), tempo))
    ratios = np.concatenate(ratio).astype(np.float32)
    return Windows(
        values=np.ascontiguousarray(np.concatenate(values)),
        start_s=np.concatenate(start_s).astype(np.float32),
        length_s=(ratios * config.window_s).astype(np.float32),
        tempo_ratio=ratios,
        key=np.zeros(len(ratios), np.float32),
    )


def compressed_mel(samples: Floats, rate_hz: int, fft: int, hop: int, bands: int) -> Floats:
    """log10(1 + 10,000 * power) in mel bands, as networks for tagging music read it: (frames, bands) float32.

    A frame every ``hop`` samples, ``fft`` samples long, the first at sample 0; none beyond the end.
    """
    make_librosa()
    from librosa.feature import melspectrogram

    power = melspectrogram(y=samples, sr=rate_hz, n_fft=fft, hop_length=hop, n_mels=bands, center=False)
    return np.ascontiguousarray(np.log10(1 + 10_000 * power).T, dtype=np.float32)


def mfcc(samples: Floats, rate_hz: int, count: int) -> Floats:
    """Mel-frequency cepstral coefficients: (frames, count) float32."""
    make_librosa()
    from librosa.feature import mfcc as cepstrum

    return np.ascontiguousarray(cepstrum(y=samples, sr=rate_hz, n_mfcc=count).T, dtype=np.float32)
