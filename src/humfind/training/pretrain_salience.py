"""Melodies alone -> the salience network that the package ships (``humfind.f0.salience``).

    python -m humfind.training.pretrain_salience --pop909 FILE --out FOLDER [--clips N] [--steps N]

The melodies are those of ``humfind.training.pretrain``. Each clip is a stretch of one, arranged and played by
``humfind.synth.arrangement``. Interrupted, the same command goes on; clips are kept in FOLDER/clips.
pip install --no-deps -r requirements-no-deps.txt
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save
from torch import Tensor
from torch.nn import functional as f
from tqdm import tqdm

from humfind.audio import harmonics
from humfind.audio.load import resample
from humfind.config import TrainConfig
from humfind.f0.salience import SalienceNet, fast
from humfind.runtime.cores import cores
from humfind.runtime.files import atomic_write
from humfind.synth import arrangement
from humfind.synth.melody import Notes
from humfind.synth.soundfont import RATE_HZ, Soundfont
from humfind.training.loop import config_of, fit
from humfind.training.pretrain import melodies
from humfind.types import Floats, Recording

CORPUS = "music21's O'Neill, Aird and Ryan tunes and POP909's odd-numbered melodies, played by TimGM6mb"
CLIP_S = 12.0
CLIPS, SHARD = 1600, 50  # in all, and a file
HELD_OUT = 2  # shards
VALIDATED = 10  # batches
FEWEST_NOTES = 8
SONG_S = 150.0  # a longer melody is a pop song's
BATCH, FRAMES = 6, 200
BLUR_BINS = 0.8
SHIFT_BINS = 18  # a clip is moved up or down by so many at most
TONE_SPREAD = 0.4  # of an equaliser's knobs, in units of the network's input
CONFIG = TrainConfig(
    steps=1300, validate_every=260, learning_rate=2e-3, weight_decay=1e-3, songs_per_batch=BATCH, device="cpu"
)


def make_clips(tunes: list[Notes], shard: int, folder: Path) -> Path:
    """One shard's file: what ``Clips`` holds."""
    path = folder / f"clips-{shard:04d}.npz"
    if path.exists():
        return path
    rng = np.random.default_rng([17, shard])
    font = Soundfont()
    spectra: list[np.ndarray] = []
    pitch: list[np.ndarray] = []
    while len(spectra) < SHARD:
        notes = tunes[int(rng.integers(len(tunes)))]
        start = rng.uniform(-2.0, max(0.0, float(notes.end_s[-1]) - CLIP_S))
        speed = float(np.exp(rng.uniform(-0.25, 0.25)))
        part = notes.between(start, start + CLIP_S * speed)
        if len(part) < FEWEST_NOTES:
            continue
        shift = int(rng.integers(-6, 7))
        part = Notes(part.start_s / np.float32(speed), part.end_s / np.float32(speed), part.midi + np.float32(shift))
        made = arrangement.mixture(part, CLIP_S, font, rng)
        sound = arrangement.equalised(made.samples, rng) if rng.random() < 0.4 else made.samples
        found, line = example(sound, made.hz)
        spectra.append(found.astype(np.float16))
        pitch.append(line)
    atomic_write(path, lambda file: np.savez(file, spectra=np.stack(spectra), pitch=np.stack(pitch)))
    return path


def example(sound: Floats, hz: Floats) -> tuple[np.ndarray, np.ndarray]:
    """Sound at 44.1 kHz and its lead every 10 ms -> what the network sees, and the pitch of each of its frames."""
    samples = resample(Recording(sound, RATE_HZ), harmonics.RATE_HZ).samples
    frames = 1 + len(samples) // harmonics.HOP
    half = harmonics.FFT // 2
    padded = np.pad(samples, (half, half + harmonics.FFT))
    spectra = harmonics.levelled(harmonics.log_spectra(padded, frames))
    rows = np.minimum(np.arange(frames) * round(harmonics.HOP_S / arrangement.HOP_S), len(hz) - 1)
    with np.errstate(divide="ignore"):
        return spectra, np.where(hz[rows] > 0, 69 + 12 * np.log2(hz[rows] / 440), 0).astype(np.float32)


def targets(pitch: torch.Tensor) -> torch.Tensor:
    """(..., frames) MIDI, 0 = none -> (..., frames, BINS + 1) likelihoods, a bell about the pitch."""
    place = (pitch - harmonics.LOWEST_MIDI) * harmonics.PER_SEMITONE
    bins = torch.arange(harmonics.BINS)
    bell = torch.exp(-0.5 * ((bins - place[..., None]) / BLUR_BINS) ** 2)
    none = (pitch <= 0) | (place < -1) | (place > harmonics.BINS)
    bell = torch.where(none[..., None], torch.zeros(()), bell)
    total = bell.sum(-1, keepdim=True)
    return torch.cat([bell / total.clamp_min(1e-6), (total < 1e-3).float()], dim=-1)


@dataclass(frozen=True)
class Clips:
    """spectra: (clips, frames, 2, ROWS) float16. pitch: (clips, frames) MIDI, 0 = none."""

    spectra: np.ndarray
    pitch: np.ndarray

    @classmethod
    def read(cls, paths: Sequence[Path]) -> Clips:
        files = [np.load(path) for path in paths]
        return cls(*(np.concatenate([file[name] for file in files]) for name in ("spectra", "pitch")))

    @property
    def checksum(self) -> str:
        """sha256 of all of it."""
        digest = hashlib.sha256(self.pitch.tobytes())
        for row in self.spectra:
            digest.update(row.tobytes())
        return digest.hexdigest()


class SalienceTask:
    """For ``humfind.training.loop.fit``: clips -> the network that finds their leads."""

    score = "likelihood"

    def __init__(self, learned: Clips, held_out: Clips, config: TrainConfig) -> None:
        torch.manual_seed(config.seed)
        self.module = fast(SalienceNet())
        self.config: Mapping[str, Any] = config_of(config)
        self.data_checksum = learned.checksum
        self._learned, self._held_out, self._seed = learned, held_out, config.seed

    def batch(self, step: int) -> tuple[Tensor, Tensor]:
        return batch_of(self._learned, [self._seed, step])

    def loss(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        values, wanted = batch
        return f.cross_entropy(self.module(values).flatten(0, 1), wanted.flatten(0, 1))

    def validate(self) -> dict[str, float]:
        """likelihood: its mean logarithm of what held-out clips sound."""
        with torch.no_grad():
            found = [float(self.loss(batch_of(self._held_out, [1, n]))) for n in range(VALIDATED)]
        return {self.score: -sum(found) / len(found)}

    def save(self, path: Path, facts: Mapping[str, Any]) -> None:
        weights = {name: value.contiguous() for name, value in self.module.state_dict().items()}
        said = {"training": json.dumps({**facts, "corpus": CORPUS, "data": self.data_checksum}, sort_keys=True)}
        atomic_write(path, save(weights, said))


def batch_of(clips: Clips, seed: list[int]) -> tuple[Tensor, Tensor]:
    """A pure function of the seed: stretches of clips, moved up or down, through another equaliser."""
    rng = np.random.default_rng(seed)
    values, lines = [], []
    for _ in range(BATCH):
        row = int(rng.integers(len(clips.pitch)))
        start = int(rng.integers(clips.pitch.shape[1] - FRAMES + 1))
        spectra = clips.spectra[row, start : start + FRAMES].astype(np.float32)
        line = clips.pitch[row, start : start + FRAMES]
        move = int(rng.integers(-SHIFT_BINS, SHIFT_BINS + 1))
        source = np.clip(np.arange(spectra.shape[2]) - move, 0, spectra.shape[2] - 1)
        spectra = spectra[:, :, source]
        line = np.where(line > 0, line + move / harmonics.PER_SEMITONE, 0)
        knots = rng.normal(0, TONE_SPREAD, 8)
        spectra += np.interp(np.linspace(0, 7, spectra.shape[2]), np.arange(8), knots).astype(np.float32)
        values.append(harmonics.harmonic_stack(spectra))
        lines.append(line)
    return torch.from_numpy(np.stack(values)), targets(torch.from_numpy(np.stack(lines).astype(np.float32)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pop909", type=Path, required=True, help="POP909's melodies, .jsonl or .jsonl.gz")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint; goes on from what it holds")
    parser.add_argument("--clips", type=int, default=CLIPS)
    parser.add_argument("--steps", type=int, default=CONFIG.steps)
    parser.add_argument("--threads", type=int, default=0, help="of torch, and processes that play; 0: one a core")
    asked = parser.parse_args()
    threads = asked.threads or cores()
    torch.set_num_threads(threads)
    folder = asked.out / "clips"
    folder.mkdir(parents=True, exist_ok=True)
    tunes = balanced([notes for _, notes in melodies(asked.pop909)])
    with ProcessPoolExecutor(threads) as pool:
        jobs = [pool.submit(make_clips, tunes, number, folder) for number in range(asked.clips // SHARD)]
        paths = [job.result() for job in tqdm(jobs, desc="playing", unit="shard")]
    learned, held_out = Clips.read(paths[:-HELD_OUT]), Clips.read(paths[-HELD_OUT:])
    config = replace(CONFIG, steps=asked.steps)
    result = fit(SalienceTask(learned, held_out, config), config, asked.out)
    print(f"{result.checkpoint}: best at step {result.best_step}, {result.seconds / 60:.0f} min")


def balanced(tunes: list[Notes]) -> list[Notes]:
    """As many tunes of the books as pop songs, of which there are fewer, twice."""
    books = [notes for notes in tunes if float(notes.end_s[-1]) < SONG_S]
    songs = [notes for notes in tunes if float(notes.end_s[-1]) >= SONG_S]
    return books[:: max(1, len(books) // max(1, 2 * len(songs)))] + 2 * songs


if __name__ == "__main__":
    main()
