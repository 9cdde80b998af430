"""Audio -> log-mel frames -> windows: the control's input, in place of f0 and contour.

The control asks whether f0 makes the model's life easier (the 2021 author's claim): everything after
the windows is the same, only the first layer has another number of channels. Frames are as long as a
contour's, windows start at the same places and hums are tried at the same tempos.

The mel scale is Slaney's (Auditory Toolbox, 1998): linear below 1 kHz, logarithmic above.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from humfind.config import ContourConfig, SpectrogramConfig
from humfind.melody.contour import window_starts
from humfind.types import Floats, Recording, Windows

BREAK_HZ, LINEAR_HZ_A_MEL, LOG_STEP = 1000.0, 200.0 / 3, np.log(6.4) / 27.0
FFT_S = 0.064  # seconds that one spectrum sees


@dataclass(frozen=True)
class Spectrogram:
    """values: (n, bands) float32 in [0, 1], 0 is silence, 1 the recording's loudest; frame_s: seconds a row."""

    values: Floats
    frame_s: float

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.dtype != np.float32 or not np.isfinite(self.values).all():
            raise ValueError(f"values is {self.values.dtype} {self.values.shape}, expected finite float32 (n, bands)")


def hz_to_mel(hz: np.ndarray) -> np.ndarray:
    """Hz -> mel (Slaney), elementwise: 1000 Hz is 15."""
    hz = np.asarray(hz, dtype=np.float64)
    above = np.log(np.maximum(hz, BREAK_HZ) / BREAK_HZ) / LOG_STEP
    return np.where(hz < BREAK_HZ, hz / LINEAR_HZ_A_MEL, BREAK_HZ / LINEAR_HZ_A_MEL + above)


def mel_to_hz(mel: np.ndarray) -> np.ndarray:
    """mel -> Hz, elementwise; the inverse of ``hz_to_mel``."""
    mel = np.asarray(mel, dtype=np.float64)
    break_mel = BREAK_HZ / LINEAR_HZ_A_MEL
    return np.where(mel < break_mel, mel * LINEAR_HZ_A_MEL, BREAK_HZ * np.exp(LOG_STEP * (mel - break_mel)))


def mel_filters(fft_hz: np.ndarray, config: SpectrogramConfig) -> np.ndarray:
    """Triangles that sum an FFT's powers to bands: (bands, bins), each of area 1 Hz-wise."""
    limits = hz_to_mel(np.array([config.low_hz, config.high_hz]))
    edges = mel_to_hz(np.linspace(limits[0], limits[1], config.bands + 2))[:, None]
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    triangle = np.minimum((fft_hz - low) / (middle - low), (high - fft_hz) / (high - middle))
    return np.maximum(triangle, 0) * 2 / (high - low)


def log_mel(recording: Recording, config: SpectrogramConfig, frame_s: float) -> Spectrogram:
    """dB below the loudest frame, ``floor_db``..0 mapped onto 0..1; one row every ``frame_s``."""
    from scipy.signal import get_window, resample_poly, stft  # seconds to import, for this control alone

    samples = recording.samples
    if recording.rate_hz != config.rate_hz:
        divisor = int(np.gcd(recording.rate_hz, config.rate_hz))
        samples = resample_poly(samples, config.rate_hz // divisor, recording.rate_hz // divisor)
    n_frames = max(1, round(recording.length_s / frame_s))
    if len(samples) == 0 or not samples.any():
        return Spectrogram(np.zeros((n_frames, config.bands), np.float32), frame_s)
    hop = round(frame_s * config.rate_hz)  # samples
    length = max(hop, round(FFT_S * config.rate_hz))
    samples = np.pad(samples, (0, max(0, length - len(samples))))
    hz, _, spectrum = stft(
        samples, config.rate_hz, get_window("hann", length), length, noverlap=length - hop, padded=True
    )
    power = mel_filters(hz, config) @ np.abs(spectrum) ** 2  # (bands, frames)
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
