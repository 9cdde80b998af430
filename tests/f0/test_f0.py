"""Pitch trackers against pitch that is known, because it was made here."""

from __future__ import annotations

import os
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import torch.nn.functional as F

from humfind.audio import load as audio
from humfind.audio.load import load, resample
from humfind.audio.spans import stretches
from humfind.config import F0Config
from humfind.data.demo import encode_mp3
from humfind.f0 import Tracker, crepe_network, decode, make_tracker
from humfind.f0.swiftf0 import SwiftF0, regrid
from humfind.types import F0, InputError, Recording

CREPE = F0Config(threads=1)
SWIFT = F0Config(tracker="swiftf0", threads=1)


def tone(hz: np.ndarray, rate_hz: int) -> Recording:
    """Five harmonics that follow ``hz`` (samples,), falling by 6 dB each, below the Nyquist frequency."""
    phase = 2 * np.pi * np.cumsum(hz) / rate_hz
    parts = [np.sin(k * phase) * 0.5**k for k in range(1, 6) if k * hz.max() < rate_hz / 2]
    return Recording((0.6 * np.sum(parts, axis=0)).astype(np.float32), rate_hz)


def steady(hz: float, rate_hz: int = 16_000, length_s: float = 1.0) -> Recording:
    return tone(np.full(round(length_s * rate_hz), hz), rate_hz)


def vibrato(rate_hz: int, length_s: float = 1.5) -> tuple[Recording, np.ndarray]:
    """A sweep from 150 to 300 Hz with 5 Hz vibrato of +-50 cents: the recording, and its hz a sample."""
    t = np.arange(round(length_s * rate_hz)) / rate_hz
    hz = 150 * 2 ** (t / length_s + 50 / 1200 * np.sin(2 * np.pi * 5 * t))
    return tone(hz, rate_hz), hz


def cents(f0: F0, true_hz: np.ndarray | float) -> np.ndarray:
    """The error of each frame, less those whose window leaves the signal at either end."""
    inner = slice(4, len(f0.hz) - 5)
    true = np.broadcast_to(true_hz, f0.hz.shape)[inner]
    assert (f0.hz[inner] > 0).all()
    return np.abs(1200 * np.log2(f0.hz[inner] / true))


@pytest.fixture(scope="module")
def crepe() -> Tracker:
    return make_tracker(CREPE)


@pytest.fixture(scope="module")
def swift() -> Tracker:
    return make_tracker(SWIFT)


@pytest.mark.parametrize("hz", [82.4, 110.0, 220.0, 440.0, 659.3, 987.8])
def test_torchcrepe_hears_a_steady_tone(crepe: Tracker, hz: float) -> None:
    f0 = crepe(steady(hz))
    assert len(f0.hz) == 101
    assert np.median(cents(f0, hz)) < 12
    assert f0.voiced[4:-5].all()


@pytest.mark.parametrize("hz", [82.4, 220.0, 659.3])
def test_swiftf0_hears_a_steady_tone(swift: Tracker, hz: float) -> None:
    f0 = swift(steady(hz))
    assert len(f0.hz) == 101
    assert np.median(cents(f0, hz)) < 12
    assert f0.voiced[4:-5].all()


@pytest.mark.parametrize("rate_hz", [8_000, 16_000, 22_050, 44_100, 48_000])
@pytest.mark.parametrize("config", [CREPE, SWIFT], ids=["torchcrepe", "swiftf0"])
def test_trackers_follow_vibrato_at_any_sample_rate(config: F0Config, rate_hz: int) -> None:
    recording, hz = vibrato(rate_hz)
    f0 = make_tracker(config)(recording)
    assert len(f0.hz) == 151
    at = np.minimum(np.round(np.arange(len(f0.hz)) * f0.hop_s * rate_hz).astype(int), len(hz) - 1)
    error = cents(f0, hz[at])
    assert np.median(error) < 12
    assert np.percentile(error, 95) < 30


@pytest.mark.parametrize("config", [CREPE, SWIFT], ids=["torchcrepe", "swiftf0"])
def test_silence_is_unvoiced_and_so_is_a_constant(config: F0Config) -> None:
    tracker = make_tracker(config)
    assert not tracker(Recording(np.zeros(8_000, np.float32), 16_000)).voiced.any()
    assert not tracker(Recording(np.full(8_000, 1e-5, np.float32), 16_000)).voiced.any()


def test_a_pause_between_tones_has_no_pitch(crepe: Tracker) -> None:
    samples = np.concatenate([steady(220.0).samples, np.zeros(16_000, np.float32), steady(330.0).samples])
    f0 = crepe(Recording(samples, 16_000))
    assert not f0.voiced[104:197].any()
    assert (f0.hz[104:197] == 0).all()
    assert f0.voiced[4:96].all()
    assert f0.voiced[205:296].all()


def test_noise_is_rarely_voiced(crepe: Tracker) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    assert crepe(Recording(noise, 16_000)).voiced.mean() < 0.1


@pytest.mark.parametrize("length", [0, 1, 100, 159, 160, 1_023])
@pytest.mark.parametrize("config", [CREPE, SWIFT], ids=["torchcrepe", "swiftf0"])
def test_recordings_shorter_than_a_frame(config: F0Config, length: int) -> None:
    f0 = make_tracker(config)(Recording(steady(440.0).samples[:length], 16_000))
    assert len(f0.hz) == 1 + length // 160


def test_the_same_bytes_twice_and_with_any_number_of_threads(crepe: Tracker) -> None:
    recording, _ = vibrato(44_100)
    first, again = crepe(recording), crepe(recording)
    threads = torch.get_num_threads()
    two = make_tracker(replace(CREPE, threads=2))(recording)
    assert first.hz.tobytes() == again.hz.tobytes() == two.hz.tobytes()
    assert first.confidence.tobytes() == again.confidence.tobytes() == two.confidence.tobytes()
    assert torch.get_num_threads() == threads


def test_how_many_threads_torch_has_does_not_change_the_network() -> None:
    before, found = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        network = crepe_network.Network("tiny")
        found.append([part.numpy().tobytes() for part in (*network.first, *(weight for weight, _ in network.convs))])
    torch.set_num_threads(before)
    assert found[0] == found[1]


def test_a_frame_does_not_depend_on_what_comes_later(crepe: Tracker) -> None:
    recording, _ = vibrato(16_000)
    part = crepe(Recording(recording.samples[:12_000], 16_000))
    whole = crepe(recording)
    unaffected = (12_000 - 512) // 160
    assert part.hz[:unaffected].tobytes() == whole.hz[:unaffected].tobytes()


def reference(model: str, samples: np.ndarray) -> np.ndarray:
    """CREPE as published, frame by frame: (n,) at 16 kHz -> (1 + n // 160, 360)."""
    weights = crepe_network.load_weights(model)
    with torch.inference_mode():
        x = F.pad(torch.from_numpy(samples), (512, 512)).unfold(0, 1024, 160)
        x = x - x.mean(dim=1, keepdim=True)
        x = (x / x.std(dim=1, keepdim=True).clamp(min=1e-10))[:, None]
        for layer in range(1, 7):
            x = F.pad(x, (254, 254) if layer == 1 else (31, 32))
            kernel, bias = weights[f"conv{layer}.weight"][..., 0], weights[f"conv{layer}.bias"]
            x = F.relu(F.conv1d(x, kernel, bias, stride=4 if layer == 1 else 1))
            norm = [weights[f"conv{layer}_BN.{n}"] for n in ("running_mean", "running_var", "weight", "bias")]
            x = F.max_pool1d(F.batch_norm(x, *norm, eps=0.0010000000474974513), 2)
        x = x.permute(0, 2, 1).flatten(1)
        return torch.sigmoid(F.linear(x, weights["classifier.weight"], weights["classifier.bias"])).numpy()


@pytest.mark.parametrize(("model", "length_s"), [("tiny", 1.5), ("full", 0.1)])
def test_the_rearranged_network_gives_the_published_probabilities(model: str, length_s: float) -> None:
    recording, _ = vibrato(16_000, length_s)
    noise = np.random.default_rng(1).standard_normal(len(recording.samples))
    swell = np.linspace(0.01, 1, len(noise)) ** 2
    samples = (0.1 + recording.samples * swell + 0.02 * noise).astype(np.float32)  # louder and louder, on an offset
    tracker = make_tracker(replace(CREPE, model=model))
    ours = np.concatenate(list(tracker.probabilities([samples])))
    theirs = reference(model, samples)
    assert np.abs(ours - theirs).max() < 1e-4
    est_hz, _ = decode.pitch(ours, decode.best_bins(ours))
    ref_hz, _ = decode.pitch(theirs, decode.best_bins(theirs))
    assert np.abs(1200 * np.log2(est_hz / ref_hz)).max() < 0.1


def bump(*bins: float) -> np.ndarray:
    """One frame a bin: a Gaussian of probability around it."""
    return np.exp(-0.5 * ((np.arange(360) - np.array(bins)[:, None]) / 1.5) ** 2).astype(np.float32)


def test_bins_to_hz() -> None:
    probability = bump(0, 100, 100.5, 359)
    hz, confidence = decode.pitch(probability, decode.best_bins(probability))
    expected = 10 * 2 ** ((1997.3794084376191 + 20 * np.array([100, 100.5])) / 1200)
    assert np.abs(1200 * np.log2(hz[1:3] / expected)).max() < 1.0
    assert confidence[1] == 1.0
    assert 31.7 < hz[0] < 32.7  # only the neighbours inside count
    assert 1980 < hz[3] < 2006


def test_silent_frames_decode_to_no_pitch() -> None:
    probability = np.zeros((3, 360), np.float32)
    for chosen in (decode.best_bins(probability), decode.path(probability)):
        hz, confidence = decode.pitch(probability, chosen)
        assert (hz == 0).all()
        assert (confidence == 0).all()


def test_viterbi_keeps_to_the_line_through_an_octave_slip() -> None:
    probability = bump(*[200.0] * 10, 260, *[200.0] * 10)
    probability[10, 200] = 0.6
    assert decode.best_bins(probability)[10] == 260
    assert (decode.path(probability) == 200).all()


def test_viterbi_finds_the_best_path_of_the_whole_transition_matrix() -> None:
    rng = np.random.default_rng(3)
    probability = rng.random((80, 360), dtype=np.float32) ** 4
    transition = np.maximum(12 - np.abs(np.subtract.outer(np.arange(360), np.arange(360))), 0) / 144
    log_transition = np.log(np.maximum(transition, 1e-300))
    likelihood = np.log(probability + np.float32(0.01))
    total, came = likelihood[0].astype(np.float64), []
    for frame in likelihood[1:]:
        arrive = total[:, None] + log_transition
        came.append(arrive.argmax(axis=0))
        total = arrive.max(axis=0) + frame
    expected = [int(total.argmax())]
    for step in reversed(came):
        expected.append(int(step[expected[-1]]))
    assert decode.path(probability).tolist() == expected[::-1]


def test_viterbi_follows_notes_and_pauses() -> None:
    rng = np.random.default_rng(5)
    hz = np.repeat([220.0, 330.0, 165.0, 440.0], 6_400)
    samples = tone(hz, 16_000).samples * np.repeat([1, 1, 0, 1, 1, 0, 1, 0], 3_200)
    samples = samples + 0.003 * rng.standard_normal(len(samples))
    f0 = make_tracker(replace(CREPE, decoder="viterbi"))(Recording(samples.astype(np.float32), 16_000))
    for frames, note in ((slice(4, 36), 220.0), (slice(64, 76), 330.0), (slice(84, 96), 165.0)):
        assert np.abs(1200 * np.log2(f0.hz[frames] / note)).max() < 30
        assert f0.voiced[frames].all()
    assert not f0.voiced[47:54].any()


def test_parts_of_a_recording_are_tracked_as_in_the_whole(swift: Tracker) -> None:
    rng = np.random.default_rng(8)
    hz = np.repeat(220 * 2 ** (rng.integers(-12, 12, 140) / 12), 8_000)
    recording = tone(hz, 16_000)
    whole = swift(recording)
    parts = SwiftF0(F0Config(tracker="swiftf0", threads=1)).parts()
    for block in np.array_split(recording.samples, 7):
        parts.push(block)
    wanted = np.zeros(len(whole.hz), bool)
    wanted[:40] = wanted[900:4700] = wanted[5500:5510] = wanted[-30:] = True
    found = parts.finish(wanted, whole.hop_s)
    assert len(found.hz) == len(whole.hz)
    same = np.isclose(found.hz, whole.hz, rtol=1e-3) & np.isclose(found.confidence, whole.confidence, atol=1e-3)
    assert same[wanted].mean() > 0.998, "all but where rounding decides between two notes"
    far = np.convolve(wanted, np.ones(9), mode="same") == 0
    assert not found.voiced[far].any()
    assert whole.voiced[far].mean() > 0.5
    assert not parts.finish(np.zeros(len(whole.hz), bool), whole.hop_s).voiced.any()


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ([], []),
        ([0], [(0, 1)]),
        ([4, 5], [(2, 3)]),
        ([2, 3, 8, 9, 39], [(1, 5), (20, 21)]),
        ([59, 60, 61], [(29, 30)]),
        (range(40), [(0, 8), (8, 16), (16, 21)]),
    ],
)
def test_stretches_of_what_is_wanted(wanted: list[int], found: list[tuple[int, int]]) -> None:
    """Of 30 frames, each as long as two of those that are asked for."""
    asked = np.zeros(62, bool)
    asked[list(wanted)] = True
    assert stretches(30, 8, 3, asked, 0.5) == found


def test_regrid_draws_lines_in_log_frequency_between_voiced_frames_only() -> None:
    hz = np.array([100.0, 400.0, 400.0, 50.0])
    confidence = np.array([1.0, 0.8, 0.0, 0.9])
    new_hz, new_confidence = regrid(hz, confidence, 0.02, np.array([0, 0.01, 0.02, 0.025, 0.04, 0.055, 0.09]), 0.5)
    assert new_hz == pytest.approx([100, 200, 400, 400, 400, 50, 50])
    assert new_confidence == pytest.approx([1, 0.9, 0.8, 0.8, 0, 0.9, 0.9])


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (F0Config(tracker="nobody"), "torchcrepe, crepe, swiftf0, pyin"),
        (F0Config(model="huge"), "tiny or full"),
        (F0Config(decoder="guess"), "weighted or viterbi"),
        (F0Config(hop_s=0.0101), "multiple of 0.0005"),
        (F0Config(hop_s=-1), "multiple of 0.0005"),
    ],
)
def test_what_cannot_be_made_is_said(config: F0Config, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_tracker(config)


def test_load_averages_the_channels(tmp_path: Path) -> None:
    left, right = np.full(100, 0.5, np.float32), np.full(100, -0.25, np.float32)
    soundfile.write(tmp_path / "a.wav", np.stack([left, right], axis=1), 44_100, subtype="FLOAT")
    recording = load(tmp_path / "a.wav")
    assert recording.rate_hz == 44_100
    assert recording.samples == pytest.approx(np.full(100, 0.125))


def test_load_says_what_is_wrong_with_a_file(tmp_path: Path) -> None:
    (tmp_path / "empty.mp3").touch()
    (tmp_path / "text.mp3").write_text("thị: no audio at all\n" * 40, encoding="utf-8")
    (tmp_path / "noise.wav").write_bytes(bytes(range(128, 256)) * 20)
    soundfile.write(tmp_path / "none.wav", np.zeros(0), 8_000)
    soundfile.write(tmp_path / "nan.wav", np.array([0, np.nan, 0.1]), 8_000, subtype="FLOAT")
    cases = {
        "missing.wav": "no such file",
        "empty.mp3": "0 bytes",
        "text.mp3": "it is text",
        "noise.wav": "cannot be read as audio",
        "none.wav": "no audio frames",
        "nan.wav": "1 of 3 samples are NaN",
    }
    for name, message in cases.items():
        with pytest.raises(InputError, match=rf"{name}: .*{message}"):
            load(tmp_path / name)


def test_resample_keeps_the_length() -> None:
    recording = steady(440.0, 44_100)
    assert len(resample(recording, 16_000).samples) == 16_000
    assert resample(recording, 44_100) is recording


def test_an_mp3_of_several_blocks_is_decoded_in_one_go(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    """The same samples as a single read, and no word of the decoder: it is never sent back or forth."""
    rng = np.random.default_rng(0)
    loud = np.repeat(rng.uniform(0, 0.9, 80), 8000).astype(np.float32)
    path = tmp_path / "long.mp3"
    path.write_bytes(encode_mp3(loud * rng.standard_normal(len(loud)).astype(np.float32), 16_000, 64))
    whole, _ = soundfile.read(path, dtype="float32")
    capfd.readouterr()
    monkeypatch.setattr(audio, "BLOCK_SAMPLES", 1 << 14)
    monkeypatch.setattr(audio, "decoder_silenced", nullcontext())
    np.testing.assert_array_equal(load(path).samples, whole)
    assert capfd.readouterr().err == ""


def test_what_the_decoder_says_of_a_damaged_mp3_tears_no_bar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    noise = 0.1 * np.random.default_rng(0).standard_normal(80_000).astype(np.float32)
    content = bytearray(encode_mp3(noise, 16_000, 64))
    for at in np.random.default_rng(1).integers(500, len(content), 300):
        content[at] = 7
    (tmp_path / "a.mp3").write_bytes(bytes(content))
    damaged = load(tmp_path / "a.mp3").samples
    os.write(2, b"still there\n")
    *warnings, last = capfd.readouterr().err.splitlines()
    assert last == "still there"
    assert all("cut short" in line for line in warnings)
    monkeypatch.setattr(audio, "decoder_silenced", nullcontext())
    np.testing.assert_array_equal(load(tmp_path / "a.mp3").samples, damaged)
    assert "Note" in capfd.readouterr().err, "this file says nothing of that: find another"


def test_threads_that_overlap_leave_stderr_as_it_was(capfd: pytest.CaptureFixture[str]) -> None:
    first, second = ExitStack(), ExitStack()
    first.enter_context(audio.decoder_silenced)
    second.enter_context(audio.decoder_silenced)
    first.close()
    os.write(2, b"of the second\n")
    second.close()
    os.write(2, b"still there\n")
    assert capfd.readouterr().err == "still there\n"


def test_what_a_mac_leaves_does_not_harm_the_recording(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_bytes(encode_mp3(np.zeros(16_000, np.float32), 16_000, 64))
    length = len(load(tmp_path / "a.mp3").samples)
    (tmp_path / "._a.mp3").write_bytes(b"\0\5\x16\7\0\2\0\0Mac OS X        " + bytes(100))
    assert len(load(tmp_path / "a.mp3").samples) == length
