"""Toy melodies for tests: random walks of notes, sung twice with a hummer's liberties."""

from __future__ import annotations

import numpy as np

from humfind.config import ContourConfig, ModelConfig, ResNet1dConfig, TrainConfig
from humfind.melody.contour import semitones_to_hz
from humfind.training.dataset import Example
from humfind.types import F0

TOY_CONFIG = ModelConfig(
    contour=ContourConfig(frame_s=0.08, window_s=4.0, query_tempos=(1.0,)),
    encoder=ResNet1dConfig(widths=(8,), blocks=(1,), kernel=5, embedding_dim=8),
    train=TrainConfig(songs_per_batch=6, recordings_per_song=2, steps=2, validate_every=2, device="cpu"),
)


def melody_f0(
    rng: np.random.Generator, notes: np.ndarray, lengths_s: np.ndarray, human: bool, hop_s: float = 0.01
) -> F0:
    """Notes as f0; a human is in another key and tempo, drifts, and leaves gaps."""
    if human:
        notes = notes + rng.uniform(-7, 7) + 0.25 * rng.standard_normal(len(notes))
        lengths_s = lengths_s * rng.uniform(0.8, 1.25) * np.exp(0.1 * rng.standard_normal(len(notes)))
    steps = np.maximum(4, np.round(lengths_s / hop_s).astype(int))
    pitch = np.repeat(notes, steps)
    voiced = np.concatenate([np.arange(n) < n - (rng.integers(1, 4) if human else 1) for n in steps])
    if human:
        pitch = pitch + 0.1 * rng.standard_normal(len(pitch))
    hz = np.where(voiced, semitones_to_hz(pitch), 0).astype(np.float32)
    return F0(hz, voiced.astype(np.float32), hop_s)


def toy_examples(songs: int, hums: int, seed: int, length_s: float = 10.0) -> list[Example]:
    """``songs`` melodies, each once as written and ``hums`` times hummed."""
    rng = np.random.default_rng(seed)
    examples = []
    for song in range(songs):
        count = int(length_s / 0.4)
        notes = 60 + np.clip(np.cumsum(rng.integers(-4, 5, count)), -10, 10).astype(float)
        lengths_s = rng.choice([0.2, 0.4, 0.8], count, p=[0.4, 0.4, 0.2])
        music_id = f"{song:04d}"
        examples.append(Example(f"s{music_id}.mp3", music_id, "song", melody_f0(rng, notes, lengths_s, False)))
        for hum in range(hums):
            f0 = melody_f0(rng, notes, lengths_s, True)
            examples.append(Example(f"h{music_id}-{hum}.mp3", music_id, "hum", f0))
    return examples
