"""A melody sung in tune and time, by an open voice: the lead of a song."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from humfind.config import HummerConfig
from humfind.synth import voice
from humfind.synth.hum import HOP_S, perform
from humfind.synth.melody import Notes
from humfind.types import Floats

SINGER = HummerConfig(
    tempo_ratio=(1.0, 1.0), tempo_drift=0.0, timing=(0.0, 0.0), centre_midi=(50.0, 72.0),
    wrong=(0.0, 0.0), merged=(0.0, 0.0), skipped=(0.0, 0.0), intonation_cents=(5.0, 30.0), drift_cents_per_s=0.0,
    interval_scale=0.0, vibrato_cents=(0.0, 90.0), breath_every_s=(60.0, 90.0), snr_db=(60.0, 70.0),
)  # fmt: skip


def sing(
    notes: Notes, length_s: float, rng: np.random.Generator, rate_hz: int, singer: HummerConfig = SINGER
) -> tuple[Floats, Floats, Notes]:
    """The notes from the first one's start on -> the sound, (length_s * rate_hz,) float32; its f0 in Hz every
    ``humfind.synth.hum.HOP_S``, 0 where it rests; and the notes as sung, from second 0."""
    singer = replace(singer, rate_hz=rate_hz)
    performance = perform(notes, rng, singer)
    sound = voice.render(replace(performance, da=True), rng, singer)
    hz = np.zeros(round(length_s / HOP_S), np.float32)
    hz[: len(performance.hz)] = performance.hz[: len(hz)]
    out = np.zeros(round(length_s * rate_hz), np.float32)
    out[: len(sound)] = sound[: len(out)]
    return out, hz, performance.notes
