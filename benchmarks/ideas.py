"""Ideas for speed, one by one: what counting predicts, and what is measured; those that failed too.

    python -m benchmarks.ideas [--out docs/performance/ideas.md]

Each is timed in turns with what it replaces, on the same input, one thread unless it is about threads.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
import torch
from numba import njit
from torch.nn import functional

from benchmarks.accuracy import table
from benchmarks.side_by_side import in_turns
from benchmarks.stages_f0 import RATE_HZ, hum
from humfind.config import F0Config
from humfind.f0 import crepe_network, make_tracker
from humfind.index.flat import FlatIndex
from humfind.rankers import dtw
from humfind.types import Recording

FRAMES = crepe_network.BATCH
Pair = tuple[Callable[[], object], Callable[[], object]]  # before, after


@dataclass(frozen=True)
class Idea:
    """predicted: how many times as fast, by counting operations or bytes. kept: whether humfind does it."""

    name: str
    predicted: str
    before: Callable[[], object]
    after: Callable[[], object]
    kept: bool = True


def second_convolution(
    channels: int, out: int, bf16: bool = False
) -> tuple[Callable[[], object], Callable[[], object]]:
    """128 positions, kernel 64: as torch does it, and as a product of spectra (or as torch does it in bf16)."""
    x = functional.pad(torch.randn(FRAMES, channels, 128), (31, 32))
    weight = torch.randn(out, channels, 64)
    if bf16:
        x_short, weight_short = x.bfloat16(), weight.bfloat16()
        return lambda: functional.conv1d(x, weight), lambda: functional.conv1d(x_short, weight_short)
    placed = torch.zeros(out, channels, 160)
    placed[:, :, (31 - torch.arange(64)) % 160] = weight
    filters = torch.fft.rfft(placed).permute(2, 1, 0).contiguous()
    inside = functional.pad(x[..., 31:-32], (0, 32)).contiguous()
    spectra = torch.empty(81, FRAMES, channels, dtype=torch.complex64)
    product = torch.empty(81, FRAMES, out, dtype=torch.complex64)

    def by_spectra() -> torch.Tensor:
        spectra.copy_(torch.fft.rfft(inside).permute(2, 0, 1))
        torch.bmm(spectra, filters, out=product)
        return torch.fft.irfft(product.permute(1, 2, 0).contiguous(), n=160)[..., :128]

    apart = (by_spectra() - functional.conv1d(x, weight)).abs().max() / functional.conv1d(x, weight).abs().max()
    if apart > 1e-4:
        raise AssertionError(f"the two convolutions differ by {apart:.1e}")
    return lambda: functional.conv1d(x, weight), by_spectra


class Fresh(crepe_network.Network):
    """The network with new memory for each batch."""

    def _room(self, name: str, *shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
        return torch.zeros(shape, dtype=dtype)


@njit(cache=True)
def in_floats(
    new: np.ndarray,
    one: np.ndarray,
    two: np.ndarray,
    here: np.ndarray,
    there: np.ndarray,
    faster: np.float32,
    slower: np.float32,
) -> None:
    """``humfind.rankers.dtw._row`` in 32-bit floats."""
    for j in range(len(here)):
        ahead = one[j] + faster
        behind = two[j + 1] + there[j] + slower
        new[j + 2] = here[j] + min(one[j + 1], min(ahead, behind))


def alignment() -> Pair:
    """83 rows of 1,700 frames."""
    rng = np.random.default_rng(0)
    short = [rng.integers(0, 200, 1702).astype(np.int16) for _ in range(5)]
    long = [row.astype(np.float32) for row in short]

    def floats() -> None:
        for _ in range(83):
            in_floats(long[0], long[1], long[2], long[3][2:], long[4][2:], np.float32(3), np.float32(4))

    def integers() -> None:
        for _ in range(83):
            dtw._row(short[0], short[1], short[2], short[3][2:], short[4][2:], np.int16(3), np.int16(4))

    return floats, integers


def ideas() -> Iterator[Idea]:
    one = "CREPE tiny's second convolution as a product of spectra"
    yield Idea(one, "25 (16.8 to 0.66 million multiply-adds), less the transforms", *second_convolution(128, 16))
    yield Idea("the same in CREPE full", "25, less the transforms", *second_convolution(1024, 128))
    yield Idea(
        "CREPE tiny's in bf16 instead, by torch",
        "1; 8 with matrix units",
        *second_convolution(128, 16, bf16=True),
        kept=False,
    )
    frames = torch.from_numpy(np.resize(hum(3.0)[0], (FRAMES, crepe_network.FRAME)))
    fresh, kept = Fresh("tiny"), crepe_network.Network("tiny")
    yield Idea("CREPE's memory kept from batch to batch", "1.1", lambda: fresh(frames), lambda: kept(frames))
    floats, integers = alignment()
    yield Idea("alignment in 16-bit integers instead of 32-bit floats", "2 (lanes)", floats, integers)
    index = FlatIndex(np.random.default_rng(0).standard_normal((16_384, 128)).astype(np.float16))
    theirs = faiss.IndexScalarQuantizer(128, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_L2)
    theirs.add(index[:])
    yield Idea(
        "16-bit vectors to 32 bits by shifts, not by numpy",
        "4",
        lambda: index._halves.astype(np.float32),
        lambda: index[:],
    )
    yield Idea("... not by faiss", "1", lambda: theirs.reconstruct_n(0, 16_384), lambda: index[:])
    samples = hum(20.0)[0]
    half = samples * (np.arange(len(samples)) // (2 * RATE_HZ) % 2)
    tracker = make_tracker(F0Config(threads=1))
    yield Idea(
        "frames of silence need no network: half of a recording silent",
        "2",
        lambda: tracker(Recording(samples, RATE_HZ)),
        lambda: tracker(Recording(half.astype(np.float32), RATE_HZ)),
    )
    two = make_tracker(F0Config(threads=2))
    recording = Recording(samples, RATE_HZ)
    yield Idea("batches side by side on two threads", "2", lambda: tracker(recording), lambda: two(recording))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--repeats", type=int, default=7)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    faiss.omp_set_num_threads(1)
    rows = []
    for idea in ideas():
        spent = in_turns({"before": idea.before, "after": idea.after}, asked.repeats)
        ratio = spent["before"].seconds / spent["after"].seconds
        low, high = spent["before"].low / spent["after"].high, spent["before"].high / spent["after"].low
        rows.append(
            {
                "idea": idea.name,
                "predicted, times as fast": idea.predicted,
                "measured (least, most)": f"{ratio:.1f} ({low:.1f}, {high:.1f})",
                "kept": "yes" if idea.kept else "no",
            }
        )
        print(rows[-1], flush=True)
    text = table(rows)
    print(text)
    if asked.out:
        asked.out.parent.mkdir(parents=True, exist_ok=True)
        asked.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
