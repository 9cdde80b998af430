"""Ideas for speed, one by one: what counting predicts, and what is measured; those that failed too.

    python -m benchmarks.speed.ideas [--out docs/performance/ideas.md]

Each is timed in turns with what it replaces, on the same input, one thread unless it is about threads.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import faiss
import numpy as np
import torch
from numba import njit
from torch.nn import functional

from benchmarks.accuracy.ablations import Songs, query_of
from benchmarks.accuracy.rankers import table
from benchmarks.speed.f0 import RATE_HZ, hum
from benchmarks.speed.side_by_side import in_turns
from humfind.config import DtwConfig, F0Config, FusionConfig
from humfind.encoders.resnet1d import Folded
from humfind.f0 import crepe_network, make_tracker
from humfind.index.vectors import VectorTable
from humfind.rankers import null_model as evalue
from humfind.rankers.dtw import kernel
from humfind.rankers.dtw import ranker as dtw
from humfind.rankers.dtw.pitch_sequence import LEVELS, ends_of
from humfind.rankers.sequence import WindowSequence
from humfind.rankers.window_matching import Projected
from humfind.retrieval.checkpoints import load_model
from humfind.types import Contour, Ints, Recording

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


def at_once(model: str) -> crepe_network.Network:
    """The network with all channels of its first layer computed together."""
    network = crepe_network.Network(model)
    network.first, network.first_bias = [torch.cat(network.first, 2)], (torch.cat(network.first_bias),)
    return network


@njit
def in_floats(rows: int, one: np.ndarray, two: np.ndarray, here: np.ndarray, faster: float, slower: float) -> None:
    """``rows`` times ``humfind.rankers.dtw.kernel._row``, in 32-bit floats."""
    new = np.empty_like(one)
    for _ in range(rows):
        for j in range(len(here)):
            ahead = one[j] + faster
            behind = two[j + 1] + here[j] + slower
            new[j + 2] = here[j] + min(one[j + 1], min(ahead, behind))
        two, one, new = one, new, two


@njit
def in_integers(rows: int, one: np.ndarray, two: np.ndarray, here: np.ndarray, faster: int, slower: int) -> None:
    new = np.empty_like(one)
    for _ in range(rows):
        kernel._row(new, one, two, here, here, faster, slower)
        two, one, new = one, new, two


def alignment() -> Pair:
    """2,000 rows of 1,700 frames."""
    rng = np.random.default_rng(0)
    one, two, here = (rng.integers(0, 9, n).astype(np.int16) for n in (1702, 1702, 1700))
    floats = [row.astype(np.float32) for row in (one, two, here)]
    return (
        lambda: in_floats(2000, *floats, np.float32(3), np.float32(4)),
        lambda: in_integers(2000, one, two, here, np.int16(3), np.int16(4)),
    )


def stretches(count: int = 400, frames: int = 190, rows: int = 70) -> Pair:
    """So many stretches of songs, of 23 s, and a hum of 8.4 s: each in a matrix of its own; side by side."""
    rng = np.random.default_rng(0)
    level = ((np.cumsum(rng.integers(-3, 4, count * frames))) % LEVELS).astype(np.int16)
    phrase = rng.random(count * frames) < 0.1
    costs = np.round(200 * dtw.local_costs(0.6, 0.15)).astype(np.int16)
    hum = kernel.Hum(rng.integers(0, kernel.PITCHES, rows), np.full(rows, kernel.NEXT), 32)
    first = frames * np.arange(count)
    per_block = round(evalue.BLOCK_S / DtwConfig.frame_s)
    blocks = ends_of([-(-frames // per_block)] * count)
    best, key = np.zeros((2, blocks[-1]), np.int16), np.zeros((2, blocks[-1]), np.int64)
    penalties = kernel.Penalties(*(np.int16(200 * cost) for cost in (6.0, 3.0, 0.3, 0.4, 8.0, 8.0)))
    songs, where = kernel.Frames(level, phrase, phrase), kernel.Stretches(first, first + frames, blocks, per_block)

    def align(*chosen: Ints) -> None:
        for part in chosen:
            kernel.align(songs, where, part, hum, costs, penalties, kernel.Best(best, key))

    every = np.arange(count)
    return lambda: align(*np.split(every, count)), lambda: align(every)


def looks(songs: int = 900, notes: int = 525) -> Pair:
    """A hum of 10 s, aligned with songs of three and a half minutes that wander: all in fine frames; in two looks."""
    rng = np.random.default_rng(0)

    def line(count: int) -> Contour:
        pitch = 60 + np.cumsum(rng.integers(-3, 4, count)) % 12
        return Contour(np.repeat(pitch, 10).astype(np.float32), np.ones(10 * count, bool), 0.04)

    ids = tuple(f"{row:03d}" for row in range(songs))
    index = Songs(ids, tuple(line(notes) for _ in ids), np.arange(songs))
    query = query_of("hum", line(25))
    whole, twice = (
        dtw.Dtw(index, DtwConfig(rescore_top=rescore_top), threads=1) for rescore_top in (songs, DtwConfig.rescore_top)
    )
    return lambda: whole.evidence(query), lambda: twice.evidence(query)


def directions(songs: int = 5000, windows: int = 190, hum_windows: int = 28) -> Pair:
    """Windows in order among so many songs of random windows: along all 128 directions; a shortlist along few first.
    A hum's windows are of nine tempos."""
    rng = np.random.default_rng(0)
    count = songs * windows
    index = SimpleNamespace(
        vectors=VectorTable(rng.standard_normal((count, 128), np.float32).astype(np.float16)),
        begin=np.arange(0, count + 1, windows),
        start_s=np.tile(np.arange(windows, dtype=np.float32), songs),
        recording_song=np.arange(songs),
    )
    order = np.arange(hum_windows)
    query = SimpleNamespace(
        windows=SimpleNamespace(tempo_ratio=2.0 ** ((order % 9 - 4) / 4), start_s=2.0 * (order // 9)),
        embeddings=SimpleNamespace(vectors=rng.standard_normal((hum_windows, 128), np.float32)),
        contour=SimpleNamespace(length_s=10.0),
    )
    ordered = WindowSequence(index)
    few = Projected(ordered.whole, FusionConfig.directions)
    return lambda: ordered.evidence(query), lambda: ordered.shortlist(
        query, few, FusionConfig.likely, FusionConfig.shortlist
    )


def folded(batches: int = 8) -> Pair:
    """Windows to vectors by the shipped encoder, 32 at a time: as it was trained; with its norms folded."""
    model, _ = load_model("pretrained")
    parts = torch.randn(batches, 32, 2, 200, generator=torch.Generator().manual_seed(0))
    quick = Folded(model.network)

    def by(network: torch.nn.Module) -> Callable[[], object]:
        def run() -> None:
            with torch.inference_mode():
                for part in parts:
                    network(part)

        return run

    return by(model.network), by(quick)


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
    for model in ("tiny", "full"):
        whole, grouped = at_once(model), crepe_network.Network(model)
        yield Idea(
            f"CREPE {model}'s first layer 16 channels at a time",
            "1 (the same work, in the cache)",
            lambda whole=whole: whole(frames),
            lambda grouped=grouped: grouped(frames),
        )
    yield Idea("alignment in 16-bit integers instead of 32-bit floats", "2 (lanes)", *alignment())
    shares = "2.1 (a quarter of the cells for all, and 193 of 900 songs again)"
    yield Idea("alignment in two looks: all songs in frames twice as long, the best again", shares, *looks())
    shares = "1.5 (the calls for each row, at 190 frames half of the work)"
    yield Idea("short stretches of songs aligned side by side in one matrix", shares, *stretches())
    shares = "8 (32 of 128 numbers, 9 of 28 windows, every other of the songs', and 8 % of these again)"
    yield Idea("windows in order: likely places along 32 directions first", shares, *directions())
    yield Idea("the encoder's norms folded into its convolutions, channels together", "1.2 (fewer passes)", *folded())
    index = VectorTable(np.random.default_rng(0).standard_normal((16_384, 128)).astype(np.float16))
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
                "measured (least, most)": f"{ratio:.2g} ({low:.2g}, {high:.2g})",
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
