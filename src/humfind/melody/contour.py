"""f0 in Hz -> a melody line in semitones -> key-free, overlapping windows.

The chain is ``from_f0`` -> ``windows``. Songs and hums take the same way; a hum is also tried at
several tempos, which is said here and nowhere else.
"""

from __future__ import annotations

import numpy as np

from humfind.config import ContourConfig
from humfind.types import F0, Bools, Contour, Floats, Windows

A4_HZ, A4_MIDI = 440.0, 69.0
SUBFRAME_S = 0.01  # the grid on which f0 is read before it is averaged to contour frames
OCTAVE = 12.0  # semitones; the unit of an encoder's pitch channel
PITCH_LIMIT = 24.0  # semitones from the key; what lies beyond is a tracker's slip
VOICING = 1  # the channel that says where was singing
HZ_LOW, HZ_HIGH = 20.0, 600.0  # the range that the 2021 entry scaled onto 0-1


def hz_to_semitones(hz: np.ndarray) -> Floats:
    """Hz -> MIDI semitones, elementwise; 440 Hz is 69. Every hz must be positive."""
    return (A4_MIDI + 12.0 * np.log2(np.asarray(hz, dtype=np.float64) / A4_HZ)).astype(np.float32)


def semitones_to_hz(semitones: np.ndarray) -> Floats:
    """MIDI semitones -> Hz, elementwise; the inverse of ``hz_to_semitones``."""
    return (A4_HZ * 2.0 ** ((np.asarray(semitones, dtype=np.float64) - A4_MIDI) / 12.0)).astype(np.float32)


def fill_gaps(semitones: Floats, voiced: Bools) -> Floats:
    """Hold the last sung pitch through each gap; before the first sung frame, hold that one.

    (n,), (n,) -> (n,). All zeros when nothing is voiced.
    """
    if not voiced.any():
        return np.zeros_like(semitones)
    index = np.where(voiced, np.arange(len(voiced)), -1)
    last = np.maximum.accumulate(index)
    return semitones[np.where(last >= 0, last, np.argmax(voiced))]


def from_f0(f0: F0, config: ContourConfig) -> Contour:
    """Hz -> semitones at ``config.frame_s``: each frame is the median of its voiced 10 ms steps.

    A frame is voiced when at least half of its steps are. The median drops the single-frame slips
    that trackers make at note borders.
    """
    steps = max(1, round(config.frame_s / SUBFRAME_S))
    n_frames = max(1, round(f0.length_s / config.frame_s))
    times_s = (np.arange(n_frames * steps) + 0.5) * (config.frame_s / steps)
    nearest = np.minimum((times_s / f0.hop_s).astype(np.int64), len(f0.hz) - 1)
    if len(f0.hz) == 0:
        return Contour(np.zeros(n_frames, np.float32), np.zeros(n_frames, bool), config.frame_s)
    voiced = f0.voiced[nearest].reshape(n_frames, steps)
    hz = np.where(voiced, f0.hz[nearest].reshape(n_frames, steps), np.nan)
    frame_voiced = voiced.sum(axis=1) * 2 >= steps
    pitch = np.zeros(n_frames, np.float32)
    pitch[frame_voiced] = hz_to_semitones(np.nanmedian(hz[frame_voiced], axis=1))
    return Contour(fill_gaps(pitch, frame_voiced), frame_voiced, config.frame_s)


def window_key(semitones: Floats, voiced: Bools) -> Floats:
    """The median sung pitch of each window: (n, frames), (n, frames) -> (n,). 0 where nothing is sung."""
    counts = voiced.sum(axis=1)
    ordered = np.sort(np.where(voiced, semitones, np.inf), axis=1)
    row = np.arange(len(semitones))
    low = ordered[row, np.maximum(counts - 1, 0) // 2]
    high = ordered[row, np.minimum(counts // 2, semitones.shape[1] - 1)]
    return np.where(counts > 0, (low + high) / 2, 0).astype(np.float32)


def encoder_input(semitones: Floats, voiced: Bools, config: ContourConfig) -> tuple[Floats, Floats]:
    """Pitch and voicing as an encoder sees them, the same in training and in search.

    semitones, voiced: (n, frames). Returns values (n, channels, frames) float32 and key (n,).
    """
    if config.scale == "hz":
        key = np.zeros(len(semitones), np.float32)
        pitch = np.where(voiced, (semitones_to_hz(semitones) - HZ_LOW) / (HZ_HIGH - HZ_LOW), 0)
        pitch = np.clip(pitch, 0, 1)
    else:
        zero = np.zeros(len(semitones), np.float32)
        key = window_key(semitones, voiced) if config.key == "median" else zero
        pitch = np.clip(semitones - key[:, None], -PITCH_LIMIT, PITCH_LIMIT) / OCTAVE
    channels = [pitch, voiced] if config.voicing_channel else [pitch]  # as VOICING says
    return np.stack(channels, axis=1).astype(np.float32), key


def channel_count(config: ContourConfig) -> int:
    """Channels of ``encoder_input``."""
    return 2 if config.voicing_channel else 1


def window_starts(length_frames: int, window_frames: int, hop_frames: int) -> np.ndarray:
    """Where windows start, in frames: every hop, and once more so that the tail is inside.

    A recording of at most one window gives one start, 0.
    """
    last = max(0, length_frames - window_frames)
    starts = np.arange(0, last + 1, max(1, hop_frames))
    return starts if starts[-1] == last else np.append(starts, last)


def song_windows(contour: Contour, config: ContourConfig) -> Windows:
    """A song's windows: as recorded, every ``song_hop_s``."""
    return _windows(contour, config, config.song_hop_s, (1.0,))


def query_windows(contour: Contour, config: ContourConfig) -> Windows:
    """A hum's windows: at each of ``query_tempos``, every ``query_hop_s``."""
    return _windows(contour, config, config.query_hop_s, config.query_tempos)


def at_tempo(contour: Contour, tempo_ratio: float) -> Contour:
    """The contour with ``tempo_ratio`` of its seconds in each second: above 1, faster and shorter."""
    n = max(1, round(len(contour.semitones) / tempo_ratio))
    source = np.minimum(((np.arange(n) + 0.5) * tempo_ratio).astype(np.int64), len(contour.semitones) - 1)
    return Contour(contour.semitones[source], contour.voiced[source], contour.frame_s)


def _windows(contour: Contour, config: ContourConfig, hop_s: float, tempos: tuple[float, ...]) -> Windows:
    length = round(config.window_s / config.frame_s)
    hop = round(hop_s / config.frame_s)
    pitch, voiced, start_s, ratio = [], [], [], []
    for tempo in tempos:
        line = at_tempo(contour, tempo) if tempo != 1.0 else contour
        missing = max(0, length - len(line.semitones))
        semitones = np.pad(line.semitones, (0, missing), mode="edge")
        sung = np.pad(line.voiced, (0, missing))
        starts = window_starts(len(semitones), length, hop)
        frames = starts[:, None] + np.arange(length)
        pitch.append(semitones[frames])
        voiced.append(sung[frames])
        start_s.append(starts * config.frame_s * tempo)
        ratio.append(np.full(len(starts), tempo))
    sung_windows = np.concatenate(voiced)
    share = sung_windows.mean(axis=1)
    keep = share >= min(config.min_voiced_share, share.max())
    values, key = encoder_input(np.concatenate(pitch)[keep], sung_windows[keep], config)
    ratios = np.concatenate(ratio)[keep].astype(np.float32)
    return Windows(
        values=values,
        start_s=np.concatenate(start_s)[keep].astype(np.float32),
        length_s=(ratios * config.window_s).astype(np.float32),
        tempo_ratio=ratios,
        key=key,
    )
