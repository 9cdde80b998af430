"""Hz to key-free windows, on lines whose answer is known."""

from dataclasses import replace

import numpy as np
import pytest
from tiny_world import HOP_S, f0_of, melody

from humfind.config import ContourConfig
from humfind.melody import contour
from humfind.types import F0

CONFIG = ContourConfig(window_s=2.0, song_hop_s=0.4, query_hop_s=0.4, query_tempos=(0.8, 1.0, 1.25))


def test_hz_and_semitones():
    assert contour.hz_to_semitones(np.array([440, 880, 220, 261.6256])) == pytest.approx([69, 81, 57, 60], abs=1e-4)
    remove_partial_files = np.linspace(40, 1000, 200)
    assert contour.semitones_to_hz(contour.hz_to_semitones(remove_partial_files)) == pytest.approx(
        remove_partial_files, rel=1e-5
    )


def test_a_sweep_becomes_a_straight_line():
    f0 = f0_of(np.linspace(50, 70, 400, dtype=np.float32))
    line = contour.from_f0(f0, CONFIG)
    assert len(line.semitones) == 100
    assert line.voiced.all()
    assert np.diff(line.semitones) == pytest.approx(20 / 399 * 4, abs=1e-3)


@pytest.mark.parametrize("hop_s", [0.005, 0.01, 0.016])
def test_a_step_lies_at_its_second_whatever_the_hop(hop_s):
    hz = np.where(np.arange(round(4 / hop_s)) * hop_s < 2.0, 220, 440).astype(np.float32)
    line = contour.from_f0(F0(hz, np.ones_like(hz), hop_s), CONFIG)
    assert line.length_s == pytest.approx(4.0, abs=CONFIG.frame_s)
    assert np.argmax(line.semitones > 60) * CONFIG.frame_s == pytest.approx(2.0, abs=CONFIG.frame_s)


def test_gaps_hold_the_last_pitch_and_the_start_the_first():
    pitch = np.array([0, 60, 61, 0, 0, 65, 0], np.float32)
    filled = contour.fill_gaps(pitch, pitch > 0)
    assert filled.tolist() == [60, 60, 61, 61, 61, 65, 65]
    assert contour.fill_gaps(pitch, np.zeros(7, bool)).tolist() == [0] * 7


def test_unsure_frames_are_not_voiced():
    f0 = f0_of(melody(0))
    unsure = replace(f0, confidence=np.full(len(f0.hz), 0.3, np.float32))
    assert not contour.from_f0(unsure, CONFIG).voiced.any()
    assert contour.from_f0(replace(unsure, threshold=0.3), CONFIG).voiced.all()


@pytest.mark.parametrize("shift", [-12, -3.3, 5, 12])
def test_a_transposed_hum_gives_the_same_windows(shift):
    song, hum = (contour.from_f0(f0_of(melody(1), shift=s), CONFIG) for s in (0, shift))
    a, b = contour.query_windows(song, CONFIG), contour.query_windows(hum, CONFIG)
    assert np.abs(a.values - b.values).max() < 1e-4
    assert b.key - a.key == pytest.approx(np.full(len(a), shift), abs=1e-3)


def test_a_slow_hum_gives_the_song_windows_at_its_tempo():
    song = contour.song_windows(contour.from_f0(f0_of(melody(2)), CONFIG), CONFIG)
    hum = contour.query_windows(contour.from_f0(f0_of(melody(2), tempo=1.25), CONFIG), CONFIG)
    slow = np.flatnonzero(hum.tempo_ratio == 1.25)
    for window in slow[:5]:
        place = hum.start_s[window] / 1.25
        twin = np.argmin(np.abs(song.start_s - place))
        assert song.start_s[twin] == pytest.approx(place, abs=CONFIG.frame_s)
        a = song.values[twin, 0] * contour.OCTAVE + song.key[twin]
        b = hum.values[window, 0] * contour.OCTAVE + hum.key[window]
        assert np.mean(np.abs(a - b)) < 0.3
    assert hum.length_s[slow] == pytest.approx(2.5)


def test_starts_cover_the_tail_once():
    assert contour.window_starts(100, 50, 20).tolist() == [0, 20, 40, 50]
    assert contour.window_starts(90, 50, 20).tolist() == [0, 20, 40]
    assert contour.window_starts(50, 50, 20).tolist() == [0]
    assert contour.window_starts(51, 50, 20).tolist() == [0, 1]
    assert contour.window_starts(7, 50, 20).tolist() == [0]


@pytest.mark.parametrize("length_s", [0.04, 0.5, 1.96, 2.0, 2.04, 5.0])
def test_no_recording_is_lost(length_s):
    f0 = f0_of(melody(3)[: round(length_s / HOP_S)])
    windows = contour.song_windows(contour.from_f0(f0, CONFIG), CONFIG)
    assert windows.start_s[0] == 0
    assert windows.values.shape[1:] == (2, 50)
    covered = windows.start_s[-1] + windows.length_s[-1]
    assert covered == pytest.approx(max(length_s, 2.0), abs=CONFIG.frame_s)


def test_one_window_exactly_is_one_window():
    f0 = f0_of(melody(3)[:200])
    assert len(contour.song_windows(contour.from_f0(f0, CONFIG), CONFIG)) == 1


def test_a_short_recording_is_padded_with_silence():
    f0 = f0_of(melody(3)[:100])
    values = contour.song_windows(contour.from_f0(f0, CONFIG), CONFIG).values[0]
    assert values[1].tolist() == [1] * 25 + [0] * 25
    assert (values[0, 25:] == values[0, 24]).all()


@pytest.mark.parametrize("n", [0, 1, 100])
def test_silence_has_a_window_too(n):
    silent = F0(np.zeros(n, np.float32), np.zeros(n, np.float32), HOP_S)
    windows = contour.query_windows(contour.from_f0(silent, CONFIG), CONFIG)
    assert (windows.values == 0).all()
    assert (windows.key == 0).all()


def test_windows_without_singing_are_dropped_unless_all_are():
    half = f0_of(melody(4)[:400])
    hz = np.concatenate([half.hz, np.zeros(1600, np.float32)])
    line = contour.from_f0(F0(hz, np.ones_like(hz), HOP_S), CONFIG)
    kept = contour.song_windows(line, CONFIG)
    assert kept.start_s.max() < 4.0
    assert (kept.values[:, 1].mean(axis=1) >= CONFIG.min_voiced_share).all()


def test_window_key_is_the_median_of_what_is_sung():
    pitch = np.array([[60, 62, 64, 99], [60, 62, 99, 99], [50, 50, 50, 50]], np.float32)
    sung = np.array([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 0]], bool)
    assert contour.window_key(pitch, sung).tolist() == [62, 61, 0]


def test_the_scale_of_2021():
    config = ContourConfig(scale="hz", key="none", voicing_channel=False)
    semitones = contour.hz_to_semitones(np.array([[310.0, 600.0, 900.0, 310.0]]))
    values, key = contour.encoder_input(semitones, np.array([[True, True, True, False]]), config)
    assert values[0, 0] == pytest.approx([0.5, 1.0, 1.0, 0.0], abs=1e-5)
    assert key.tolist() == [0]
    assert contour.channel_count(config) == values.shape[1] == 1


def test_inputs_stay_as_they_were():
    f0 = f0_of(melody(5))
    before = f0.hz.copy()
    line = contour.from_f0(f0, CONFIG)
    pitch = line.semitones.copy()
    contour.query_windows(line, CONFIG)
    assert (f0.hz == before).all()
    assert (line.semitones == pitch).all()
