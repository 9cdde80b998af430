"""What holds for every tracker: any blocks, the same bytes; long recordings, little memory; CREPE in TensorFlow."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from benchmarks.speed.memory import measured
from humfind.audio.load import load, resample, stream
from humfind.audio.spans import frames_of, spans
from humfind.config import F0Config
from humfind.f0 import TRACKERS, Tracker, decode, make_tracker, track_file, viterbi
from humfind.types import F0, InputError, Recording

CONFIGS = {
    "torchcrepe": F0Config(threads=2),
    "viterbi": F0Config(decoder="viterbi", threads=1),
    "swiftf0": F0Config(tracker="swiftf0", threads=1),
    "pyin": F0Config(tracker="pyin"),
    "mix": F0Config(tracker="mix", threads=1),
}
RSS_BUDGET_GB = 1.0


def sung(length_s: float, rate_hz: int, seed: int = 0) -> np.ndarray:
    """Notes of half a second with pauses and noise: (samples,) float32."""
    rng = np.random.default_rng(seed)
    t = np.arange(round(length_s * rate_hz)) / rate_hz
    note = rng.integers(-7, 8, 1 + int(2 * length_s))[(2 * t).astype(int)]
    phase = 2 * np.pi * np.cumsum(220 * 2.0 ** (note / 12)) / rate_hz
    loud = 0.3 * ((2 * t).astype(int) % 4 != 3)
    samples = loud * (np.sin(phase) + 0.5 * np.sin(2 * phase)) + 0.003 * rng.standard_normal(len(t))
    return samples.astype(np.float32)


def same(a: F0, b: F0) -> bool:
    return a.hz.tobytes() == b.hz.tobytes() and a.confidence.tobytes() == b.confidence.tobytes()


@pytest.fixture(scope="module", params=CONFIGS)
def tracker(request: pytest.FixtureRequest) -> Tracker:
    return make_tracker(CONFIGS[request.param])


def test_a_file_in_blocks_gives_the_bytes_of_one_in_memory(
    tracker: Tracker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    samples = sung(2.3, 44_100)
    soundfile.write(tmp_path / "a.wav", np.stack([samples, 0.5 * samples], axis=1), 44_100, subtype="FLOAT")
    whole = tracker(load(tmp_path / "a.wav"))
    assert same(track_file(tracker, tmp_path / "a.wav"), whole)
    monkeypatch.setattr("humfind.audio.load.BLOCK_SAMPLES", 5_000)
    assert same(track_file(tracker, tmp_path / "a.wav"), whole)
    assert whole.voiced.mean() > 0.5


@pytest.mark.parametrize("config", CONFIGS.values(), ids=CONFIGS)
def test_the_same_bytes_from_another_object_of_the_same_tracker(config: F0Config) -> None:
    recording = Recording(sung(1.0, 16_000), 16_000)
    assert same(make_tracker(config)(recording), make_tracker(config)(recording))


@pytest.mark.parametrize("name", ["swiftf0", "viterbi"])
def test_blocks_of_any_length_beyond_a_window(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("humfind.f0.swiftf0.WINDOW", 256 * 200)
    tracker = make_tracker(CONFIGS[name])
    samples = sung(9.0, 16_000)
    cuts = np.sort(np.random.default_rng(1).integers(0, len(samples), 20))
    assert same(tracker.track(np.split(samples, cuts)), tracker.track([samples]))


def test_swiftf0_in_windows_is_swiftf0_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tracker = make_tracker(CONFIGS["swiftf0"])
    recording = Recording(sung(9.0, 16_000), 16_000)
    whole = tracker(recording)
    monkeypatch.setattr("humfind.f0.swiftf0.WINDOW", 256 * 100)
    windows = tracker(recording)
    both = whole.voiced & windows.voiced
    assert both.sum() > 400
    assert (whole.voiced != windows.voiced).sum() <= 1
    assert np.abs(1200 * np.log2(whole.hz[both] / windows.hz[both])).max() < 0.1
    assert np.abs(whole.confidence - windows.confidence).max() < 1e-3


def test_pyin_is_librosas_and_its_windows_hardly_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    import librosa

    samples = sung(6.0, 16_000)
    tracker = make_tracker(CONFIGS["pyin"])
    whole = tracker.track([samples])
    hz, _, probability = librosa.pyin(
        samples, fmin=55, fmax=1000, sr=16_000, frame_length=1024, hop_length=160, fill_na=None
    )
    assert whole.hz == pytest.approx(hz, rel=1e-6)
    assert whole.confidence == pytest.approx(probability, abs=1e-6)
    monkeypatch.setattr("humfind.f0.pyin.CORE_S", 2)
    monkeypatch.setattr("humfind.f0.pyin.MARGIN_S", 1)
    windows = tracker.track(np.array_split(samples, 7))
    assert len(windows.hz) == len(whole.hz) == 601
    both = whole.voiced & windows.voiced
    assert np.mean(np.abs(1200 * np.log2(whole.hz[both] / windows.hz[both])) < 1) > 0.99


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 44_100, 48_000, 96_000])
def test_the_stream_is_the_resampled_file(tmp_path: Path, rate_hz: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("humfind.audio.load.BLOCK_SAMPLES", 4_001)
    soundfile.write(tmp_path / "a.wav", sung(0.7, rate_hz), rate_hz, subtype="FLOAT")
    streamed = np.concatenate(list(stream(tmp_path / "a.wav", 16_000)))
    assert streamed.tobytes() == resample(load(tmp_path / "a.wav"), 16_000).samples.tobytes()


@pytest.mark.parametrize("pieces", [1, 3, 50])
@pytest.mark.parametrize("length", [0, 1, 159, 160, 3_000])
def test_spans_hold_every_frame_once(length: int, pieces: int) -> None:
    signal = np.arange(1, 1 + length, dtype=np.float32)
    padded = np.concatenate([np.zeros(50, np.float32), signal, np.zeros(2_000, np.float32)])
    found = [
        frames_of(span, 100, 20)[:count]
        for span, count in spans(np.array_split(signal, pieces), hop=20, batch=7, lead=50, length=6 * 20 + 100)
    ]
    expected = frames_of(padded, 100, 20)[: 1 + length // 20]
    assert np.concatenate(found).tolist() == expected.tolist()


@pytest.mark.parametrize("batch", [1, 7, 50, 400])
def test_viterbi_in_batches_is_viterbi_over_all(batch: int) -> None:
    rng = np.random.default_rng(batch)
    line = 180 + 40 * np.sin(np.arange(400) / 30)
    probability = np.exp(-0.5 * ((np.arange(360) - line[:, None]) / 2) ** 2) * rng.random((400, 1))
    probability = (probability + 0.2 * rng.random((400, 360)) ** 8).astype(np.float32)
    probability[150:230] = 0  # a pause, in which the paths to the bins stay apart
    whole = decode.path(probability)
    parts = np.array_split(probability, range(batch, 400, batch))
    found = list(viterbi.paths(parts, check_frames=20))
    assert np.concatenate([bins for _, bins in found]).tolist() == whole.tolist()
    assert np.concatenate([rows for rows, _ in found]).tobytes() == probability.tobytes()
    if batch == 7:
        first = next(viterbi.paths(iter(parts), check_frames=20))
        assert len(first[1]) > 0
        kept = [len(rows) for rows, _ in found]
        assert max(kept) <= batch


def test_viterbi_lets_go_of_what_is_decided() -> None:
    """Far into the signal, the first frames have been given out."""
    taken = 0

    def batches() -> Iterator[np.ndarray]:
        nonlocal taken
        frame = np.exp(-0.5 * ((np.arange(360) - 100) / 2) ** 2).astype(np.float32)
        for _ in range(1_000):
            taken += 10
            yield np.broadcast_to(frame, (10, 360))

    next(viterbi.paths(batches(), check_frames=100))
    assert taken == 100


def test_where_tensorflow_is_missing_the_mend_is_said() -> None:
    if importlib.util.find_spec("tensorflow") is not None:
        pytest.skip("TensorFlow is installed")
    with pytest.raises(InputError, match=r"TensorFlow.*humfind\[crepe\].*torchcrepe"):
        make_tracker(F0Config(tracker="crepe"))


def test_every_tracker_has_its_file() -> None:
    assert set(TRACKERS) == {"torchcrepe", "crepe", "swiftf0", "pyin", "mix"}


@pytest.mark.parametrize(("model", "length_s"), [("tiny", 4.0), ("full", 0.3)])
def test_crepe_in_keras_is_ours_frame_by_frame(model: str, length_s: float) -> None:
    pytest.importorskip("tensorflow", reason="the extra crepe is not installed; make test-all does")
    samples = sung(length_s, 16_000)
    ours = make_tracker(F0Config(model=model, threads=1))
    keras = make_tracker(F0Config(tracker="crepe", model=model))
    p_ours, p_keras = (np.concatenate(list(t.probabilities([samples]))) for t in (ours, keras))
    assert p_ours.shape == p_keras.shape
    assert np.abs(p_ours - p_keras).max() < 1e-3  # deviations differ by sqrt(1023/1024): the originals' own
    recording = Recording(samples, 16_000)
    a, b = ours(recording), keras(recording)
    voiced = a.voiced & b.voiced
    assert (a.voiced != b.voiced).sum() <= 1
    assert np.abs(1200 * np.log2(a.hz[voiced] / b.hz[voiced])).max() < 0.5
    assert same(keras(recording), b)
    assert same(keras.track(np.array_split(samples, 5)), b)


def test_crepe_in_keras_with_viterbi() -> None:
    pytest.importorskip("tensorflow", reason="the extra crepe is not installed; make test-all does")
    recording = Recording(sung(2.0, 16_000), 16_000)
    ours = make_tracker(CONFIGS["viterbi"])(recording)
    keras = make_tracker(replace(CONFIGS["viterbi"], tracker="crepe"))(recording)
    voiced = ours.voiced & keras.voiced
    assert voiced.sum() > 100
    assert np.abs(1200 * np.log2(ours.hz[voiced] / keras.hz[voiced])).max() < 0.5


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "decoder", "minutes"),
    [
        ("swiftf0", "weighted", 60),
        ("torchcrepe", "weighted", 10),
        ("torchcrepe", "viterbi", 10),
        ("pyin", "weighted", 2),
    ],
)
def test_long_recordings_need_little_memory(
    name: str, decoder: str, minutes: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """44.1 kHz stereo, from disk, in a process of its own: under 1 GB at its peak."""
    path, rate_hz = tmp_path / "long.wav", 44_100
    with soundfile.SoundFile(path, "w", rate_hz, 2) as file:
        for minute in range(minutes):
            samples = sung(60.0, rate_hz, seed=minute % 3)
            file.write(np.stack([samples, 0.5 * samples], axis=1))
    frames, gigabytes = measured(f"{name}:{decoder}", path)
    with capsys.disabled():
        print(f"\n{name} {decoder}: {minutes} min of 44.1 kHz stereo, peak {gigabytes:.2f} GB")
    assert frames == 1 + minutes * 6_000
    assert gigabytes < RSS_BUDGET_GB


ORIGINAL = {
    "tensorflow/__init__.py": """
from types import SimpleNamespace
__version__ = "0"
config = SimpleNamespace(experimental=SimpleNamespace(enable_op_determinism=lambda: None))
""",
    "crepe/__init__.py": "",
    "crepe/core.py": """
import numpy as np
class Network:
    def predict_on_batch(self, frames):
        assert frames.shape[1] == 1024 and abs(frames.mean()) < 1e-3
        assert np.all(np.abs(frames.std(axis=1)[frames.any(axis=1)] - 1) < 1e-3)
        return np.where(np.arange(360) == 200, 0.9, 0.01) + np.zeros((len(frames), 1))
def build_and_load_model(capacity):
    assert capacity == "tiny"
    return Network()
""",
    "crepe-0.0.16.dist-info/METADATA": "Metadata-Version: 2.1\nName: crepe\nVersion: 0.0.16\n",
}
ASK = """
import numpy as np
from humfind.config import F0Config
from humfind.f0 import make_tracker
from humfind.types import Recording
tracker = make_tracker(F0Config(tracker="crepe"))
found = tracker(Recording(0.1 * np.sin(np.arange(16000) * 0.1).astype(np.float32), 16000))
print(tracker.version, len(found.hz), *np.unique(np.round(found.hz[found.voiced], 2)), sep="|")
"""


def test_the_original_package_is_asked_where_it_is_there(tmp_path: Path) -> None:
    """A stand-in of its shape (the functions that we call): the package itself fetches weights when it is installed,
    so it has never run here. What is shown is that it is preferred, how it is called, and how its answer is read."""
    for name, text in ORIGINAL.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path}
    )
    assert done.returncode == 0, done.stderr
    version, frames, *pitches = done.stdout.strip().split("|")
    assert (version, frames) == ("crepe 0.0.16, tensorflow 0", "101")
    middle = 10 * 2 ** ((200 * 20 + 1997.3794084376191) / 1200)  # the 201st of CREPE's bins
    assert [float(pitch) for pitch in pitches] == pytest.approx([middle], rel=2e-3)
