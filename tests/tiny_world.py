"""A small world for tests: melodies by rule, hums of them, and an encoder that needs no training."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile

from humfind.config import ContourConfig, F0Config, ModelConfig, ResNet1dConfig
from humfind.types import F0, Embeddings, Floats, Windows

REPOSITORY = Path(__file__).resolve().parents[1]
HOP_S = 0.01
LONGEST_S = 600  # that a test waits for what will come: a machine may be slow and do other things, too
CONTOUR = ContourConfig(window_s=4.0, song_hop_s=1.0, query_hop_s=1.0, query_tempos=(0.8, 1.0, 1.25))
CONFIG = ModelConfig(
    contour=ContourConfig(window_s=4.0, query_tempos=(0.8, 1.0, 1.25)),
    encoder=ResNet1dConfig(widths=(8, 16), blocks=(1, 1), embedding_dim=32),
)
QUICK = F0Config(tracker="swiftf0")


@dataclass(frozen=True)
class PlainModel:
    """The encoder that changes nothing: a window's pitch channel, every fourth frame, is its embedding."""

    config: ModelConfig = field(default_factory=lambda: ModelConfig(contour=CONTOUR))

    @property
    def checksum(self) -> str:
        return hashlib.sha256(repr(self.config).encode()).hexdigest()

    def embed(self, windows: Windows) -> Embeddings:
        return Embeddings(np.ascontiguousarray(windows.values[:, 0, ::4]))

    def embed_many(self, many: Sequence[Windows]) -> list[Embeddings]:
        return [self.embed(windows) for windows in many]


def melody(seed: int, notes: int = 40, note_s: float = 0.5) -> Floats:
    """MIDI semitones every 10 ms: a random walk on a scale, ``note_s`` a note."""
    rng = np.random.default_rng(seed)
    steps = np.cumsum(rng.choice([-4, -3, -2, -1, 1, 2, 3, 4], notes))
    return np.repeat(60.0 + steps - np.median(steps), round(note_s / HOP_S)).astype(np.float32)


def f0_of(semitones: Floats, shift: float = 0.0, tempo: float = 1.0) -> F0:
    """The f0 of a line, ``shift`` semitones higher and ``tempo`` times as long."""
    n = round(len(semitones) * tempo)
    source = np.minimum((np.arange(n) / tempo).astype(int), len(semitones) - 1)
    hz = (440.0 * 2.0 ** ((semitones[source] + shift - 69.0) / 12.0)).astype(np.float32)
    return F0(hz, np.ones(n, np.float32), HOP_S)


def hum_of(seed: int, start_s: float = 5.0, length_s: float = 8.0, shift: float = 0.0, tempo: float = 1.0) -> F0:
    """A hum of ``length_s`` song seconds of ``melody(seed)`` from ``start_s``."""
    part = melody(seed)[round(start_s / HOP_S) : round((start_s + length_s) / HOP_S)]
    return f0_of(part, shift, tempo)


def put_rows(folder: Path, rows: list[tuple[str, str | None, F0]]) -> None:
    """A foreign store's folder, as somebody else would write it: float64 lists, no checksums, no manifest."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = {
        "path": [path for path, _, _ in rows],
        "music_id": [music_id for _, music_id, _ in rows],
        "hop_s": [f0.hop_s for _, _, f0 in rows],
        "hz": [f0.hz.astype(float).tolist() for _, _, f0 in rows],
        "confidence": [f0.confidence.astype(float).tolist() for _, _, f0 in rows],
    }
    pq.write_table(pa.table(columns), folder / "part-0000.parquet")


def put_audio(path: Path, f0: F0, rate_hz: int = 16_000) -> None:
    """The line, sung by two partials."""
    path.parent.mkdir(parents=True, exist_ok=True)
    hz = np.repeat(f0.hz.astype(float), round(HOP_S * rate_hz))
    phase = 2 * np.pi * np.cumsum(hz) / rate_hz
    soundfile.write(path, 0.5 * np.sin(phase) + 0.2 * np.sin(2 * phase), rate_hz)
