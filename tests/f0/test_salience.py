"""The salience network: its spectra, its path, and what it follows in a mix."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from humfind.audio import harmonics
from humfind.config import F0Config
from humfind.f0 import make_tracker, salience
from humfind.f0.salience import NONE, MelodyLine, load_network, melody, viterbi
from humfind.synth import arrangement
from humfind.synth.melody import Notes
from humfind.synth.soundfont import RATE_HZ, Played, Soundfont
from humfind.types import Recording

SAMPLES_10_S = 10 * harmonics.RATE_HZ


def tone(midi: float, partials: int, seconds: float = 2.0) -> np.ndarray:
    t = np.arange(round(seconds * harmonics.RATE_HZ)) / harmonics.RATE_HZ
    hz = 440 * 2 ** ((midi - 69) / 12)
    return (0.2 * sum(np.sin(2 * np.pi * k * hz * t) / k for k in range(1, partials + 1))).astype(np.float32)


@pytest.mark.parametrize("midi", [45, 60, 72.33, 90])
def test_a_pitch_has_its_harmonics_where_the_stack_says(midi):
    spectra = harmonics.log_spectra(tone(midi, 6), 5)
    stacked = harmonics.harmonic_stack(spectra)
    assert stacked.shape == (harmonics.CHANNELS, 5, harmonics.BINS)
    place = round((midi - harmonics.LOWEST_MIDI) * harmonics.PER_SEMITONE)
    for channel, times in enumerate(harmonics.HARMONICS[1:5], start=1):
        row = stacked[2 * channel, 2]  # by the long window
        near = row[max(0, place - 1) : place + 2].max()
        assert near > np.median(row) + 2, f"harmonic {times}"
    assert harmonics.levelled(spectra).mean() == pytest.approx(0, abs=1e-3)
    assert harmonics.levelled(spectra) == pytest.approx(harmonics.levelled(spectra + 3), abs=1e-4), "however loud"


def test_a_path_is_the_best_of_all(monkeypatch):
    monkeypatch.setattr(salience, "BINS", 3)
    monkeypatch.setattr(salience, "NONE", 3)
    rng = np.random.default_rng(0)
    for _ in range(20):
        likelihoods = rng.normal(0, 2, (5, 4)).astype(np.float32)

        def worth(path, likelihoods=likelihoods):
            total = sum(likelihoods[t, state] for t, state in enumerate(path))
            for a, b in itertools.pairwise(path):
                if (a == 3) != (b == 3):
                    total -= salience.BEGIN
                elif a != 3:
                    total -= min(salience.STEP * abs(a - b), salience.LEAP)
            return total

        best = max(itertools.product(range(4), repeat=5), key=worth)
        assert viterbi(likelihoods).tolist() == list(best)


def test_a_pitch_between_two_bins_is_their_mean():
    likelihoods = np.full((9, NONE + 1), -20.0, np.float32)
    likelihoods[:6, 99] = likelihoods[:6, 100] = np.log(0.5)
    likelihoods[6:, NONE] = 0
    hz, confidence = melody(likelihoods)
    midi = harmonics.LOWEST_MIDI + 99.5 / harmonics.PER_SEMITONE
    assert 69 + 12 * np.log2(hz[:6] / 440) == pytest.approx(np.full(6, midi), abs=0.01)
    assert confidence[:6] == pytest.approx(np.ones(6))
    assert not hz[6:].any()
    assert not confidence[6:].any()


def test_the_spectra_are_the_sum_of_each_rows_triangle():
    sound = np.random.default_rng(1).normal(0, 0.1, harmonics.FFT).astype(np.float32)
    (found,) = harmonics.log_spectra(sound, 1)
    weights = harmonics._filters().toarray()
    for row, window in zip(found, harmonics.WINDOWS, strict=True):
        taper = np.hanning(window + 1)[:-1]
        middle = sound[(len(sound) - window) // 2 :][:window].astype(float)
        magnitude = np.abs(np.fft.rfft(middle * taper, harmonics.FFT)) * 2 / taper.sum()
        assert row == pytest.approx(np.log(magnitude @ weights + harmonics.FAINT), abs=1e-4)


def test_a_frames_likelihoods_depend_on_its_margin_alone():
    """However long the rest of the span is."""
    sound = np.concatenate([tone(60 + step, 5, 1.0) for step in range(12)])
    network, margin, hop = load_network(), salience.MARGIN, harmonics.HOP
    frames = (len(sound) - harmonics.FFT) // hop + 1 - 2 * margin
    whole = salience.log_likelihoods(sound, frames, network)
    part = salience.log_likelihoods(sound[30 * hop :], frames - 30, network)
    assert part == pytest.approx(whole[30:], abs=1e-3)


@pytest.mark.parametrize("samples", [0, 1, 500, harmonics.RATE_HZ, 33 * harmonics.RATE_HZ + 7])
def test_blocks_change_no_bit(samples):
    network = load_network()
    sound = np.concatenate([tone(60 + step, 5, 3.0) for step in range(12)])[:samples]
    whole, parts = MelodyLine(network, 0.01), MelodyLine(network, 0.01)
    whole.push(sound)
    for part in np.split(sound, np.sort(np.random.default_rng(0).integers(0, samples + 1, 7))):
        parts.push(part)
    one, many = whole.finish(), parts.finish()
    assert len(one.hz) == 1 + samples // 160
    assert one.hz.tobytes() == many.hz.tobytes()
    assert one.confidence.tobytes() == many.confidence.tobytes()


def test_the_network_reads_only_about_what_is_wanted(monkeypatch):
    sound = np.concatenate([tone(60 + step, 5, 3.0) for step in range(20)])
    read: list[int] = []
    whole = salience.log_likelihoods

    def counted(samples, frames, network):
        read.append(frames)
        return whole(samples, frames, network)

    monkeypatch.setattr(salience, "log_likelihoods", counted)
    every, some, none = (MelodyLine(load_network(), 0.01) for _ in range(3))
    for line in (every, some, none):
        line.push(sound)
    wanted = np.zeros(6001, bool)
    wanted[1000:1500] = wanted[4000:4200] = True
    found = every.finish()
    assert sum(read) == 1501
    read.clear()
    part = some.finish(wanted)
    assert read == [126, 51]
    steady = np.r_[1005:1495, 4005:4195]
    assert part.hz[steady] == pytest.approx(found.hz[steady], rel=1e-3)
    assert not part.voiced[1600:3900].any()
    assert not none.finish(np.zeros(6001, bool)).voiced.any()


def test_silence_has_no_melody():
    line = MelodyLine(load_network(), 0.01)
    line.push(np.zeros(SAMPLES_10_S, np.float32))
    assert not line.finish().voiced.any()


def test_a_played_lead_is_followed_through_a_band():
    """An instrument, a band and a tune that training did not have, twice as right as the loudest pitch."""
    rng = np.random.default_rng(2)
    starts = np.arange(30, dtype=np.float32) * np.float32(0.4)
    pitches = (67 + np.cumsum(rng.choice([-2, -1, 1, 2], 30)) % 12).astype(np.float32)
    notes = Notes(starts, starts + np.float32(0.38), pitches)
    font, violin, band = Soundfont(), 40, (0, 48, 33)
    lead = font.play(
        [Played(a, b, violin, int(p), 100) for a, b, p in zip(starts, notes.end_s, pitches, strict=True)], 12
    )
    chords = [
        Played(start, start + 0.95, program, pitch + (-12 if program == 33 else 0), 90)
        for start, root in zip(range(12), (48, 53, 55, 48) * 3, strict=True)
        for program in band
        for pitch in (root, root + 4, root + 7)[: 1 if program == 33 else 3]
    ]
    backing = font.play(chords, 12)
    n = min(len(lead), len(backing))
    mixed = lead[:n].mean(axis=1) / arrangement.loudness(lead) + backing[:n].mean(axis=1) / arrangement.loudness(
        backing
    )
    recording = Recording((0.1 * mixed).astype(np.float32), RATE_HZ)

    def accuracy(tracker: str) -> float:
        found = make_tracker(F0Config(tracker=tracker, threads=1))(recording)
        rows = np.minimum((np.arange(30) * 40 + 20), len(found.hz) - 1)
        midi = 69 + 12 * np.log2(np.maximum(found.hz[rows], 1) / 440)
        return float((np.abs(midi - pitches) < 0.5).mean())

    assert accuracy("mix") > 0.8
    assert accuracy("mix") > accuracy("swiftf0")


def test_the_networks_answer_is_a_distribution():
    with torch.inference_mode():
        found = load_network()(torch.zeros(1, harmonics.CHANNELS, 10, harmonics.BINS))
    assert found.shape == (1, 10, NONE + 1)
    assert torch.isfinite(found).all()
