from __future__ import annotations

import numpy as np
import pytest
from librosa import mel_frequencies

from humfind.audio.mel import log_mel, query_windows, song_windows
from humfind.config import ContourConfig, SpectrogramConfig
from humfind.types import Recording

CONFIG = SpectrogramConfig()


def tone(hz: float, length_s: float, rate_hz: int) -> Recording:
    samples = 0.5 * np.sin(2 * np.pi * hz * np.arange(int(length_s * rate_hz)) / rate_hz)
    return Recording(samples.astype(np.float32), rate_hz)


@pytest.mark.parametrize("rate_hz", [8000, 16000, 44100])
def test_a_tone_is_loudest_in_its_own_band(rate_hz: int) -> None:
    edges = mel_frequencies(CONFIG.bands + 2, fmin=CONFIG.low_hz, fmax=CONFIG.high_hz)
    mel = log_mel(tone(440, 2, rate_hz), CONFIG, 0.04)
    assert mel.values.shape == (50, CONFIG.bands)
    band = int(mel.values[25].argmax())
    assert edges[band] < 440 < edges[band + 2]
    assert mel.values[25].max() == pytest.approx(1, abs=0.05)


def test_silence_is_zero() -> None:
    assert not log_mel(Recording(np.zeros(16000, np.float32), 16000), CONFIG, 0.04).values.any()
    assert log_mel(Recording(np.zeros(0, np.float32), 16000), CONFIG, 0.04).values.shape == (1, CONFIG.bands)


def test_windows_lose_no_tail_and_know_their_place() -> None:
    contour = ContourConfig(query_tempos=(1.0, 2.0))
    mel = log_mel(tone(440, 9.6, 16000), CONFIG, contour.frame_s)
    songs = song_windows(mel, contour)
    assert songs.values.shape == (3, CONFIG.bands, 200)
    assert songs.start_s == pytest.approx([0, 1, 1.6])
    assert np.array_equal(songs.values[2, :, -1], mel.values[-1])
    queries = query_windows(mel, contour)
    assert list(queries.tempo_ratio) == [1, 1, 1, 2]
    assert not queries.values[3, :, 120:].any()  # 9.6 s at twice the tempo fill 4.8 s of the window
