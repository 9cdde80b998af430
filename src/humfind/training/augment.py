"""What singers and trackers do to a melody, done to a whole batch of crops at once.

Every function takes the generator that its draws come from. With an ``AugmentConfig`` of zeros each is
the identity.
"""

from __future__ import annotations

import numpy as np

from humfind.config import AugmentConfig
from humfind.types import Bools, Floats, Ints

SPAN_S = 0.3  # a wrong note, or a tracker's octave slip, lasts about this long
SLOW_S = 1.5  # between the knots of a slow drift
OCTAVE = 12.0  # semitones


def source_frames(n: int, frames: int, config: AugmentConfig, frame_s: float, rng: np.random.Generator) -> Ints:
    """Which frame of its recording each frame of a crop shows, from the crop's start: (n, frames) int64.

    The tempo is stretched by one factor a crop and drifts by ``warp`` around it.
    """
    stretch = np.exp(rng.uniform(-1, 1, (n, 1)) * np.log1p(config.tempo))
    rate = stretch * np.exp(config.warp * _slow(n, frames, frame_s, rng))
    return (np.cumsum(rate, axis=1) - rate / 2).astype(np.int64)


def starts(length: Ints, frames: Ints, group: Ints, spread: float, rng: np.random.Generator) -> Ints:
    """Where each crop begins in its recording: (n,) int64; 0 where the recording is shorter than the crop.

    Crops of one group begin at one share of their recording (spread 0), anywhere (1), or between.
    """
    room = np.maximum(0, length - 1 - frames[:, -1])
    shared = rng.random(int(group.max()) + 1)[group]
    share = (1 - spread) * shared + spread * rng.random(len(length))
    return np.floor(share * (room + 1)).astype(np.int64)


def mirrored(song: Ints, share: float, rng: np.random.Generator) -> tuple[Bools, Bools]:
    """Which crops are turned upside down, and which are played backwards: (n,), (n,).

    All crops of a song share its fate: a melody upside down or backwards is a new melody, and its hums are
    hums of that. From few songs this makes four times as many.
    """
    fate = rng.random((int(song.max()) + 1, 2)) < share
    return fate[song, 0], fate[song, 1]


def crops(
    semitones: Floats, voiced: Bools, config: AugmentConfig, frame_s: float, rng: np.random.Generator
) -> tuple[Floats, Bools]:
    """Damage to pitch and voicing. (n, frames) semitones and voiced in, the same shapes out."""
    n, frames = semitones.shape
    pitch = semitones + config.detune * _slow(n, frames, frame_s, rng)
    wrong = rng.choice(np.array([-2.0, -1.0, 1.0, 2.0]), (n, frames))
    pitch += _in_spans(n, frames, config.note_error, frame_s, rng) * _hold(wrong, frame_s)
    octave = rng.choice(np.array([-OCTAVE, OCTAVE]), (n, frames))
    pitch += _in_spans(n, frames, config.octave_error, frame_s, rng) * _hold(octave, frame_s)
    pitch += config.jitter * rng.standard_normal((n, frames))
    masked, before = _mask(n, frames, config.mask, rng)
    pitch = np.take_along_axis(pitch, np.where(masked, before[:, None], np.arange(frames)), axis=1)
    return pitch.astype(np.float32), voiced & ~masked


def mask_rows(rows: Floats, config: AugmentConfig, rng: np.random.Generator) -> Floats:
    """A span of each spectrogram silenced: (n, frames, bands) -> the same shape."""
    masked, _ = _mask(rows.shape[0], rows.shape[1], config.mask, rng)
    return np.where(masked[:, :, None], np.float32(0), rows)


def _slow(n: int, frames: int, frame_s: float, rng: np.random.Generator) -> np.ndarray:
    """Normal noise at knots ``SLOW_S`` apart, straight lines between: (n, frames)."""
    knots = rng.standard_normal((n, int(frames * frame_s / SLOW_S) + 2))
    position = np.arange(frames) * frame_s / SLOW_S
    left = position.astype(np.int64)
    share = position - left
    return knots[:, left] * (1 - share) + knots[:, left + 1] * share


def _hold(values: np.ndarray, frame_s: float) -> np.ndarray:
    """Each span's first value throughout the span: (n, frames) -> (n, frames)."""
    span = max(1, round(SPAN_S / frame_s))
    return values[:, np.arange(values.shape[1]) // span * span]


def _in_spans(n: int, frames: int, share: float, frame_s: float, rng: np.random.Generator) -> Bools:
    """Whole spans, chosen with probability ``share``: (n, frames) bool."""
    return _hold(rng.random((n, frames)), frame_s) < share


def _mask(n: int, frames: int, most: float, rng: np.random.Generator) -> tuple[Bools, Ints]:
    """One span a crop of at most ``most`` of it, and the frame that is held through it: (n, frames), (n,)."""
    length = np.floor(rng.random(n) * most * frames).astype(np.int64)
    begin = np.floor(rng.random(n) * (frames - length + 1)).astype(np.int64)
    frame = np.arange(frames)
    masked = (frame >= begin[:, None]) & (frame < (begin + length)[:, None])
    return masked, np.where(begin > 0, begin - 1, np.minimum(length, frames - 1))
