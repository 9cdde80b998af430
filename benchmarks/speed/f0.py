"""f0 and decode: pitch trackers side by side, and Viterbi over CREPE's bins."""

from __future__ import annotations

import sys
import time
import types
from collections.abc import Callable

import numpy as np
import torch

from benchmarks.speed.side_by_side import Run, Stage, in_turns, installed, pick
from humfind.config import F0Config
from humfind.f0 import crepe_network, decode, make_tracker, viterbi
from humfind.f0.torchcrepe import TorchCrepe
from humfind.types import Floats, Ints, Recording

RATE_HZ = 16_000
GFLOP_A_SECOND = {"tiny": 7.3, "full": 282.0}  # of audio at a 10 ms hop, frame by frame


def hum(seconds: float) -> tuple[Floats, np.ndarray]:
    """A sung line with vibrato at 25 dB above noise: samples, and the true hz of each 10 ms frame."""
    rng = np.random.default_rng(0)
    t = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    notes = np.repeat(rng.integers(-5, 8, 1 + int(seconds * 2)), RATE_HZ // 2)[: len(t)]
    hz = 220 * 2 ** ((notes + 0.3 * np.sin(2 * np.pi * 5.5 * t)) / 12)
    phase = 2 * np.pi * np.cumsum(hz) / RATE_HZ
    samples = sum(np.sin(k * phase) / k**1.5 for k in range(1, 9)) * 0.2
    noisy = samples + 0.01 * rng.standard_normal(len(t))
    frames = np.minimum(np.arange(1 + len(t) // 160) * 160, len(t) - 1)
    return noisy.astype(np.float32), hz[frames]


def eager(samples: Floats, model: str) -> Callable[[], Floats]:
    """torchcrepe's network as it runs it, decoded as we do (its own decoders add random dither)."""
    sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))  # its import wants it and does not use it
    import torchcrepe

    audio = torch.from_numpy(samples)[None]

    def run() -> Floats:
        with torch.inference_mode():
            found = []
            for frames in torchcrepe.preprocess(audio, RATE_HZ, 160, 512, "cpu"):
                found.append(torchcrepe.infer(frames, model))
            probability: Floats = torch.cat(found).numpy()
        return decode.pitch(probability, decode.best_bins(probability))[0]

    return run


def f0(seconds: float = 10.0, repeats: int = 5, model: str = "tiny") -> Stage:
    """Every tracker on one core, processor time."""
    torch.set_num_threads(1)
    samples, true_hz = hum(seconds)
    recording = Recording(samples, RATE_HZ)
    yard = f"torchcrepe {model}, eager"
    runs: dict[str, Run] = {yard: eager(samples, model)}
    configs = {f"humfind torchcrepe {model}": F0Config(model=model, threads=1)}
    if model == "tiny":
        configs |= {
            "humfind torchcrepe tiny, viterbi": F0Config(decoder="viterbi", threads=1),
            "humfind swiftf0": F0Config(tracker="swiftf0", threads=1),
            "humfind pyin": F0Config(tracker="pyin"),
        }
    if installed("tensorflow-cpu"):
        configs[f"humfind crepe {model} (TensorFlow, its own threads)"] = F0Config(tracker="crepe", model=model)
    for name, config in configs.items():
        tracker = make_tracker(config)
        runs[name] = lambda tracker=tracker: tracker(recording).hz
    rows = in_turns(runs, repeats, time.process_time)
    reference = runs[yard]().astype(np.float64)
    agrees = {}
    for name, run in runs.items():
        hz = np.maximum(run(), 1)
        apart = np.abs(1200 * np.log2(hz / reference))
        truth = np.abs(1200 * np.log2(hz / true_hz))
        agrees[name] = f"{np.median(truth):.1f} cents from the truth; " + (
            "" if name == yard else f"{np.median(apart):.2f} from eager, {np.mean(apart < 50):.4f} of frames within 50"
        )
    network = crepe_network.Network(model)
    frames = torch.from_numpy(np.resize(samples, (crepe_network.BATCH, crepe_network.FRAME)))
    alone = in_turns({"network": lambda: network(frames)}, 2 * repeats)["network"].seconds
    rate = GFLOP_A_SECOND[model] * crepe_network.BATCH * 0.01 / alone
    notes = (
        f"{seconds:g} s of a synthetic hum with vibrato at 25 dB, 10 ms hop, one thread, processor seconds.",
        f"Our CREPE {model} network alone answers at a rate that frame by frame would be {rate:.0f} GFLOP/s.",
    )
    return Stage(f"f0, CREPE {model}", "audio to pitch", yard, pick(rows, agrees, tuple(configs)), notes)


def as_torchcrepe_calls_it(probability: Floats) -> Ints:
    """librosa's Viterbi with torchcrepe's transition, on our likelihoods."""
    import librosa

    bins = np.arange(360)
    apart = np.abs(bins[:, None] - bins[None, :])
    transition = np.maximum(12 - apart, 0).astype(np.float64)
    transition /= transition.sum(axis=1, keepdims=True)
    sequence = (probability + viterbi.FLOOR).astype(np.float64)
    sequence /= sequence.sum(axis=1, keepdims=True)
    path: Ints = librosa.sequence.viterbi(sequence.T, transition)
    return path


def decode_stage(seconds: float = 30.0, repeats: int = 5) -> Stage:
    """The best path through CREPE's bins."""
    samples, _ = hum(seconds)
    probability = np.concatenate(list(TorchCrepe(F0Config(threads=1)).probabilities([samples])))
    yard = "librosa, as torchcrepe calls it"
    runs: dict[str, Run] = {
        yard: lambda: as_torchcrepe_calls_it(probability),
        "humfind viterbi": lambda: decode.path(probability),
    }
    rows = in_turns(runs, repeats, time.process_time)
    same = float(np.mean(runs[yard]() == runs["humfind viterbi"]()))
    notes = (
        f"{len(probability)} frames of 360 bins, the same likelihoods. librosa normalises each row of the transition, "
        "so the outermost 11 bins weigh a little more there.",
    )
    return Stage(
        "decode",
        "360 bins to one path",
        yard,
        pick(rows, {"humfind viterbi": f"{same:.4f} of frames the same"}, ("humfind viterbi",)),
        notes,
    )
