"""Recordings -> batches of crops, each a pure function of (seed, step).

A batch holds P songs x K crops. Which songs, which recordings, where they are cut and how they are
damaged is drawn from one generator that belongs to the step: a resumed run sees the batches that the
unbroken run saw, and loader workers cannot share a seed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from humfind.audio import mel as spectrogram
from humfind.config import ModelConfig
from humfind.melody import contour
from humfind.training.augment import crops, mask_rows, mirrored, source_frames, starts
from humfind.training.sampler import draw
from humfind.types import F0, Bools, Floats, InputError, Ints, Recording, normal_form

KINDS = ("hum", "song")


@dataclass(frozen=True)
class Example:
    """One recording to learn from. music_id: in normal form. kind: hum | song. source: its f0, or its audio for the
    control."""

    name: str
    music_id: str
    kind: str
    source: F0 | Recording

    def __post_init__(self) -> None:
        object.__setattr__(self, "music_id", normal_form(self.music_id))
        if self.kind not in KINDS:
            raise ValueError(f"{self.name}: kind {self.kind!r} is neither hum nor song")


@dataclass(frozen=True)
class Bank:
    """Every recording's frames laid end to end, so that a batch is one gather.

    rows: (frames, columns) float32, semitones (one column) or a spectrogram's bands. voiced: (frames,).
    first, length: (recordings,) int64, where each recording lies. song: (recordings,) int64, a row of
    music_ids. is_hum: (recordings,).
    """

    rows: Floats
    voiced: Bools
    first: Ints
    length: Ints
    song: Ints
    is_hum: Bools
    music_ids: tuple[str, ...]

    @property
    def checksum(self) -> str:
        """sha256 of all that training could see here."""
        digest = hashlib.sha256("\n".join(self.music_ids).encode())
        for column in (self.rows, self.voiced, self.length, self.song, self.is_hum):
            digest.update(np.ascontiguousarray(column).tobytes())
        return digest.hexdigest()


def make_bank(examples: Sequence[Example], config: ModelConfig) -> Bank:
    """Contours (or spectrograms) of ``examples``, in their order. Raises InputError for fewer than two songs."""
    music_ids = tuple(sorted({example.music_id for example in examples}))
    if len(music_ids) < 2:
        raise InputError(f"training: {len(music_ids)} songs; at least two are needed to tell apart")
    row_of = {music_id: row for row, music_id in enumerate(music_ids)}
    rows, voiced = zip(*(_frames(example, config) for example in examples), strict=True)
    length = np.array([len(part) for part in voiced], dtype=np.int64)
    return Bank(
        rows=np.concatenate(rows),
        voiced=np.concatenate(voiced),
        first=np.cumsum(length) - length,
        length=length,
        song=np.array([row_of[example.music_id] for example in examples], dtype=np.int64),
        is_hum=np.array([example.kind == "hum" for example in examples]),
        music_ids=music_ids,
    )


def _frames(example: Example, config: ModelConfig) -> tuple[Floats, Bools]:
    if config.features == "spectrogram":
        if not isinstance(example.source, Recording):
            raise InputError(f"{example.name}: the spectrogram control needs audio, there is only f0")
        mel = spectrogram.log_mel(example.source, config.spectrogram, config.contour.frame_s)
        return mel.values, np.ones(len(mel.values), bool)
    if config.features != "f0":
        raise InputError(f"features {config.features!r}: unknown; choose f0 or spectrogram")
    if not isinstance(example.source, F0):
        raise InputError(f"{example.name}: training on f0 needs f0, there is only audio; extract f0 first")
    line = contour.from_f0(example.source, config.contour)
    return line.semitones[:, None], line.voiced


def batch(bank: Bank, config: ModelConfig, step: int) -> tuple[Floats, Ints]:
    """The batch of one step: values (P*K, channels, frames) float32, song (P*K,) int64."""
    train = config.train
    generator = np.random.default_rng([train.seed, step])
    picks = draw(bank.song, bank.is_hum, train.songs_per_batch, train.recordings_per_song, generator)
    frames = round(config.contour.window_s / config.contour.frame_s)
    steps = source_frames(len(picks), frames, train.augment, config.contour.frame_s, generator)
    start = starts(bank.length[picks], steps, bank.song[picks], train.augment.crop_spread, generator)
    source = start[:, None] + steps  # (B, frames), frames of each recording
    outside = source >= bank.length[picks][:, None]
    source = np.minimum(source, bank.length[picks][:, None] - 1) + bank.first[picks][:, None]
    song = bank.song[picks]
    upside_down, backwards = mirrored(song, train.augment.mirror, generator)
    source = np.where(backwards[:, None], source[:, ::-1], source)
    outside = np.where(backwards[:, None], outside[:, ::-1], outside)
    if config.features == "spectrogram":
        rows = np.where(outside[:, :, None], 0, bank.rows[source])
        values = mask_rows(rows, train.augment, generator).transpose(0, 2, 1)
        return np.ascontiguousarray(values, dtype=np.float32), song
    pitch = np.where(upside_down[:, None], -bank.rows[source, 0], bank.rows[source, 0])
    semitones, voiced = crops(pitch, bank.voiced[source] & ~outside, train.augment, config.contour.frame_s, generator)
    values, _ = contour.encoder_input(semitones, voiced, config.contour)
    if config.contour.voicing_channel:
        values[generator.random(len(values)) < train.augment.voicing, contour.VOICING] = 1
    return values, song
