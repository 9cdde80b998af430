"""Notes -> how a person hums them: f0 alone. ``voice.py`` makes sound of it.

``perform`` is a pure function, quick enough to be called for every training example (under a millisecond
for ten seconds).

Conventions
-----------
- 0 Hz denotes unvoiced. Frames are ``HOP_S`` apart.
- Pitch is handled in MIDI semitones; cents are hundredths of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import lfilter

from humfind.config import HummerConfig
from humfind.synth.melody import Notes
from humfind.types import Floats

HOP_S = 0.01
WRONG_STEPS = np.array([-3, -2, -2, -1, -1, 1, 1, 2, 2, 3])  # semitones; how far wrong notes land
SHORTEST_S = 0.07  # of a sung note


@dataclass(frozen=True)
class Performance:
    """What was sung. hz: (n,) float32 every ``HOP_S``, 0 = unvoiced; notes: as sung, in time and pitch.

    source: (len(notes),) int64, the note of the melody that each came from. da: sung "da da", not with a
    closed mouth. tempo_ratio: hum seconds a song second. key: semitones from the melody to the hum.
    """

    hz: Floats
    notes: Notes
    source: np.ndarray
    da: bool
    tempo_ratio: float
    key: float

    @property
    def length_s(self) -> float:
        return len(self.hz) * HOP_S


def perform(notes: Notes, rng: np.random.Generator, config: HummerConfig) -> Performance:
    """Sing the notes: own key and tempo, some notes wrong, merged or skipped, glides, vibrato, breath.

    Raises ValueError when there are no notes.
    """
    if len(notes) == 0:
        raise ValueError("nothing to sing: no notes")
    keep, start, end, midi = _remember(notes, rng, config)
    tempo_ratio = float(np.exp(rng.uniform(*np.log(config.tempo_ratio))))
    start, end = _pace(start, end, tempo_ratio, rng, config)
    end = _breathe(start, end, rng, config)
    midi, key = _tune(start, midi, rng, config)
    da = bool(rng.random() < config.da_share)
    hz = _line(start, end, midi, da, rng, config)
    sung = Notes(start.astype(np.float32), end.astype(np.float32), midi.astype(np.float32))
    return Performance(hz, sung, keep, da, tempo_ratio, key)


def _remember(
    notes: Notes, rng: np.random.Generator, config: HummerConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Which notes are sung and which pitch is meant: skipped ones leave their time to silence, merged ones
    to the note before."""
    n = len(notes)
    start, end = notes.start_s.astype(np.float64), notes.end_s.astype(np.float64).copy()
    midi = notes.midi.astype(np.float64)
    wrong = rng.random(n) < rng.uniform(*config.wrong)
    midi = midi + wrong * rng.choice(WRONG_STEPS, n)
    merged = rng.random(n) < rng.uniform(*config.merged)
    skipped = rng.random(n) < rng.uniform(*config.skipped)
    merged[0] = skipped[0] = False
    for i in np.flatnonzero(merged):  # in order, so that a row of merged notes all go to the first
        merged_into = i - 1
        while merged[merged_into]:
            merged_into -= 1
        end[merged_into] = end[i]
    keep = np.flatnonzero(~merged & ~skipped)
    return keep, start[keep] - start[0], end[keep] - start[0], midi[keep]


def _pace(
    start: np.ndarray, end: np.ndarray, tempo_ratio: float, rng: np.random.Generator, config: HummerConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Another tempo, drifting, and every note a little longer or shorter than it should be."""
    onset_gap = np.diff(start, append=end[-1])
    held = (end - start) / np.maximum(onset_gap, 1e-6)
    held[held > 0.98] = 1.0  # legato: no gap from rounding
    drift = 1.0 + rng.normal(0, config.tempo_drift) * np.linspace(-1, 1, len(start))
    gap = onset_gap * tempo_ratio * np.clip(drift, 0.7, 1.4)
    gap = np.maximum(gap * np.exp(rng.normal(0, rng.uniform(*config.timing), len(start))), SHORTEST_S)
    start = np.concatenate([[0.0], np.cumsum(gap)[:-1]])
    return start, start + np.maximum(held * gap, SHORTEST_S)


def _breathe(start: np.ndarray, end: np.ndarray, rng: np.random.Generator, config: HummerConfig) -> np.ndarray:
    """Every few seconds the end of a long enough note is given up for breath."""
    end = end.copy()
    next_s = rng.uniform(*config.breath_every_s)
    for i in np.flatnonzero(end - start > 2.5 * config.breath_s[0]):
        if end[i] < next_s:
            continue
        end[i] -= min(rng.uniform(*config.breath_s), 0.6 * (end[i] - start[i]))
        next_s = end[i] + rng.uniform(*config.breath_every_s)
    return end


def _tune(
    start: np.ndarray, midi: np.ndarray, rng: np.random.Generator, config: HummerConfig
) -> tuple[np.ndarray, float]:
    """Into a comfortable range, then as much out of tune as people are. Returns pitches and the key's shift."""
    middle = float(np.median(midi))
    key = float(rng.uniform(*config.centre_midi)) - middle
    scale = 1.0 + rng.normal(0, config.interval_scale)
    spread = rng.uniform(*config.intonation_cents) / 100
    error = lfilter([1.0], [1.0, -0.3], rng.normal(0, spread * np.sqrt(1 - 0.09), len(midi)))
    drift = rng.normal(0, config.drift_cents_per_s) / 100 * start
    return middle + key + (midi - middle) * scale + error + drift, key


def _line(
    start: np.ndarray,
    end: np.ndarray,
    midi: np.ndarray,
    da: bool,
    rng: np.random.Generator,
    config: HummerConfig,
) -> Floats:
    """The pitch line at ``HOP_S``: glides between notes, scoops after silence, vibrato, wobble, gaps."""
    n = max(1, int(np.ceil(end[-1] / HOP_S)))
    t = np.arange(n) * HOP_S
    note = np.clip(np.searchsorted(start, t, side="right") - 1, 0, len(start) - 1)
    since, length = t - start[note], (end - start)[note]
    silence = start - np.concatenate([[-1.0], end[:-1]])
    after_silence = silence > 0.1
    scoop = -np.abs(rng.normal(0, config.scoop_cents / 100, len(midi)))
    came_from = np.where(after_silence, scoop, np.concatenate([[0.0], midi[:-1]]) - midi)
    glide_s = rng.uniform(*config.glide_s) * rng.uniform(0.6, 1.4, len(midi))
    glide_s = np.minimum(glide_s, 0.6 * (end - start))
    progress = np.clip(since / glide_s[note], 0, 1)
    pitch = midi[note] + came_from[note] * 0.5 * (1 + np.cos(np.pi * progress))

    depth = rng.uniform(*config.vibrato_cents) / 100
    rate = rng.uniform(*config.vibrato_hz) * (1 + 0.05 * rng.normal(size=len(midi)))
    swell = np.clip((since - 0.25) / 0.3, 0, 1) * (length > 0.35)
    pitch += depth * swell * np.sin(2 * np.pi * rate[note] * since + rng.uniform(0, 6.28, len(midi))[note])
    wobble = lfilter([0.1], [1.0, -0.9], rng.standard_normal(n)) / 0.2294  # unit spread, about 0.1 s long
    pitch += rng.uniform(0.5, 1.5) * config.jitter_cents / 100 * wobble

    gap_s = rng.uniform(*config.da_gap_s) * rng.uniform(0.5, 1.5, len(midi)) if da else np.zeros(len(midi))
    gap_s = np.minimum(gap_s, 0.4 * (end - start))
    gap_s[after_silence] = 0.0
    voiced = (since >= gap_s[note]) & (t < end[note])
    return np.where(voiced, 440.0 * 2.0 ** ((pitch - 69.0) / 12.0), 0.0).astype(np.float32)
