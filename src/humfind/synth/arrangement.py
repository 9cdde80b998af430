"""A melody becomes a full mix with a played or sung lead: what the salience network learns from.

Chords, bass, drums and fills by rule, in many ways of playing; the lead on an instrument of the soundfont, with
vibrato, distortion, a second voice or none; room, equaliser, compression. benchmarks/accuracy/mixes.py arranges
in its own way, with instruments that are not among these.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.signal import butter, sosfilt

from humfind.synth.melody import Notes
from humfind.synth.reverb import room
from humfind.synth.singer import sing
from humfind.synth.soundfont import DRUMS, RATE_HZ, Played, Soundfont
from humfind.types import Floats

HOP_S = 0.01
SUSTAINED = (16, 18, 19, 21, 22, 41, 42, 44, 57, 59, 60, 64, 67, 69, 70, 71, 72, 74, 75, 77, 78, 79, 80, 81, 82, 84, 85,
             109, 110, 111, 52, 53, 54)  # fmt: skip
PLUCKED = (1, 2, 5, 6, 7, 8, 9, 11, 12, 13, 15, 28, 29, 30, 31, 45, 46, 104, 105, 106, 107, 108)
CHORDS = (1, 2, 3, 5, 6, 7, 16, 17, 18, 19, 21, 28, 29, 30, 45, 46)
PADS = (49, 51, 61, 62, 63, 88, 90, 91, 92, 93, 94, 95)
BASSES = (34, 36, 37, 39, 43, 58)
KICK, SNARE, RIM, HAT, OPEN_HAT, RIDE, CRASH, TOM = 36, 38, 37, 42, 46, 51, 49, 45
TRIADS = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 10), (0, 3, 7, 10))
LEVEL_DB = (-5.0, 9.0)  # of the lead, compared with the band


@dataclass(frozen=True)
class Mixture:
    """samples: (n,) float32 at ``RATE_HZ``. hz: (m,) of the lead, every ``HOP_S``, 0 where it rests."""

    samples: Floats
    hz: Floats


def mixture(notes: Notes, length_s: float, font: Soundfont, rng: np.random.Generator, sung: float = 0.15) -> Mixture:
    """``length_s`` of a song with this melody. sung: chance that the lead is a voice."""
    lead, hz, notes = (
        sing(notes, length_s, rng, RATE_HZ) if rng.random() < sung else _played(notes, length_s, font, rng)
    )
    band = font.play(_band(notes, length_s, rng), length_s).mean(axis=1)
    n = min(len(lead), len(band))
    lead, band = lead[:n], band[:n]
    gain = 10 ** (rng.uniform(*LEVEL_DB) / 20) * loudness(band) / loudness(lead)
    swell = np.interp(np.arange(n), np.linspace(0, n, 6), 10 ** (rng.normal(0, 1.5, 6) / 20))
    mix = band + gain * swell * lead
    if rng.random() < 0.6:
        mix = mix + rng.uniform(0.03, 0.3) * room(mix, rng, RATE_HZ, rng.uniform(0.3, 1.2))
    mix = mix / (np.abs(mix).max() + 1e-9)
    if rng.random() < 0.4:  # as mastering does: what is loud is squeezed
        drive = rng.uniform(1.0, 4.0)
        mix = np.tanh(drive * mix) / np.tanh(drive)
    return Mixture((0.8 * mix).astype(np.float32), hz)


def loudness(sound: Floats) -> float:
    """Root mean square of what is not silent."""
    power = np.square(sound)
    loud = power > 1e-6
    return float(np.sqrt(power[loud].mean())) if loud.any() else 1e-3


def _played(notes: Notes, length_s: float, font: Soundfont, rng: np.random.Generator) -> tuple[Floats, Floats, Notes]:
    sustains = rng.random() < 0.65
    program = int(rng.choice(SUSTAINED if sustains else PLUCKED))
    shift = 12 * round((rng.uniform(57, 84) - float(np.median(notes.midi))) / 12)
    midi = np.clip(np.round(notes.midi) + shift, 40, 100).astype(np.float32)
    notes = Notes(notes.start_s, notes.end_s, midi)
    legato = rng.uniform(0.7, 1.0)
    ends = notes.start_s + legato * (notes.end_s - notes.start_s)
    rows = list(zip(notes.start_s.tolist(), ends.tolist(), midi.astype(int).tolist(), strict=True))
    played = [Played(a, b, program, pitch, int(rng.integers(70, 120))) for a, b, pitch in rows]
    if (second := rng.random()) < 0.12:  # a second voice below, or an octave
        interval = int(rng.choice([-12, -3, -4, -5, -7] if second < 0.08 else [12]))
        played += [Played(a, b, program, pitch + interval, int(rng.integers(40, 70))) for a, b, pitch in rows]
    bends: list[tuple[float, float]] = []
    if sustains and rng.random() < 0.5:
        rate, depth = rng.uniform(4.5, 6.5), rng.uniform(0.1, 0.5)
        times = np.arange(0, length_s, 0.02)
        note = np.clip(np.searchsorted(notes.start_s, times, side="right") - 1, 0, len(notes) - 1)
        ready = np.clip((times - notes.start_s[note] - 0.15) / 0.3, 0, 1)
        bends = list(zip(times.tolist(), (depth * ready * np.sin(2 * np.pi * rate * times)).tolist(), strict=True))
    sound = font.play(played, length_s, bends).mean(axis=1)
    if rng.random() < 0.25:
        drive = 10 ** rng.uniform(0.3, 1.3)
        sound = np.tanh(drive * sound / (np.abs(sound).max() + 1e-9)).astype(np.float32)
    hz = np.zeros(round(length_s / HOP_S), np.float32)
    for a, b, pitch in rows:
        hz[round(a / HOP_S) : round(b / HOP_S)] = 440 * 2 ** ((pitch - 69) / 12)
    return sound, hz, notes


def _band(notes: Notes, length_s: float, rng: np.random.Generator) -> list[Played]:
    bar_s = float(rng.uniform(1.4, 3.0))
    beats = int(rng.choice([3, 4, 4, 4]))
    chord, pad, bass = (int(rng.choice(some)) for some in (CHORDS, PADS, BASSES))
    style = str(rng.choice(["strum", "arpeggio", "held", "offbeat", "riff"]))
    has_pad, has_drums, has_bass, has_fills = (rng.random(4) < (0.5, 0.8, 0.85, 0.4)).tolist()
    octave = int(rng.choice([48, 48, 60, 55]))
    kit = _pattern(beats, rng)
    out: list[Played] = []
    last = -1
    for bar in range(int(np.ceil(length_s / bar_s))):
        start = bar * bar_s
        root, triad = _harmony(notes, start, start + bar_s, last, rng)
        last = root
        tones = [octave + (root + step) % 12 for step in triad]
        beat_s = bar_s / beats
        if style == "held":
            out += [Played(start, start + 0.98 * bar_s, chord, pitch, int(rng.integers(50, 90))) for pitch in tones]
        elif style == "arpeggio":
            for eighth in range(2 * beats):
                at = start + eighth * beat_s / 2
                pitch = tones[int(rng.integers(len(tones)))] + 12 * int(rng.integers(0, 2))
                out.append(Played(at, at + beat_s, chord, pitch, int(rng.integers(50, 95))))
        else:
            for half in range(2 * beats):
                on = half % 2 == (1 if style == "offbeat" else 0)
                if (on and rng.random() < 0.85) or (style == "riff" and rng.random() < 0.5):
                    at = start + half * beat_s / 2
                    length = beat_s * rng.uniform(0.3, 0.9)
                    out += [Played(at, at + length, chord, pitch, int(rng.integers(50, 95))) for pitch in tones]
        if has_pad:
            out += [Played(start, start + bar_s, pad, pitch + 12, int(rng.integers(35, 75))) for pitch in tones[:3]]
        if has_bass:
            for beat in range(beats):
                at = start + beat * beat_s
                step = int(rng.choice([0, 0, 0, 7, triad[1], 12]))
                low = 28 + (root - 4) % 12 + step
                out.append(Played(at, at + beat_s * rng.uniform(0.4, 0.95), bass, low, int(rng.integers(70, 110))))
        if has_drums:
            for slot, drum in kit:
                at = start + slot * beat_s / 4
                out.append(Played(at, at + 0.1, DRUMS, drum, int(rng.integers(55, 115))))
    if has_fills:
        out += _fills(notes, length_s, int(rng.choice((*SUSTAINED, *PLUCKED))), rng)
    return [note._replace(end_s=min(note.end_s, length_s)) for note in out if note.start_s < length_s - 0.02]


def _pattern(beats: int, rng: np.random.Generator) -> list[tuple[int, int]]:
    """(sixteenth, drum) of a bar."""
    hat, every = int(rng.choice([HAT, HAT, RIDE, OPEN_HAT])), int(rng.choice([1, 2, 2, 4]))
    slots = [(slot, hat) for slot in range(0, 4 * beats, every)]
    slots += [(4 * beat, int(rng.choice([SNARE, SNARE, RIM]))) for beat in range(1, beats, 2)]
    slots += [(0, KICK), *((int(slot), KICK) for slot in rng.integers(1, 4 * beats, 2))]
    if rng.random() < 0.2:
        slots += [(int(slot), TOM) for slot in rng.integers(0, 4 * beats, 3)]
    if rng.random() < 0.2:
        slots.append((0, CRASH))
    return slots


def _harmony(
    notes: Notes, start_s: float, end_s: float, last: int, rng: np.random.Generator
) -> tuple[int, tuple[int, ...]]:
    """Root and chord that hold most of what the melody sounds in a bar, now and then another."""
    held = np.clip(np.minimum(notes.end_s, end_s) - np.maximum(notes.start_s, start_s), 0, None)
    weight = np.bincount(np.round(notes.midi).astype(int) % 12, held, 12)
    kinds = TRIADS if rng.random() < 0.3 else TRIADS[:2]
    noise = 0.15 * (end_s - start_s)
    scores = {
        (root, triad): weight[[(root + step) % 12 for step in triad]].sum() + noise * rng.random()
        + 0.05 * (root == last)
        for root in range(12)
        for triad in kinds
    }  # fmt: skip
    return max(scores, key=lambda one: scores[one])


def _fills(notes: Notes, length_s: float, program: int, rng: np.random.Generator) -> list[Played]:
    """Another instrument where the lead rests for longer: no melody that anybody hums."""
    edges = [(float(a), float(b)) for a, b in zip(notes.end_s[:-1], notes.start_s[1:], strict=True)]
    out = []
    pitch = float(np.median(notes.midi)) + float(rng.uniform(-14, 7))
    for start, end in [*edges, (float(notes.end_s[-1]), length_s)]:
        at = start + 0.1
        while end - at > 0.3:
            length = float(rng.uniform(0.12, 0.5))
            pitch = float(np.clip(pitch + rng.integers(-4, 5), 45, 90))
            out.append(Played(at, min(end, at + length), program, round(pitch), int(rng.integers(45, 85))))
            at += length
    return out


def equalised(sound: Floats, rng: np.random.Generator) -> Floats:
    """Through a band of a cheap loudspeaker or a bright one."""
    low, high = rng.uniform(30, 150), rng.uniform(5000, 15000)
    out: Floats = sosfilt(butter(1, [low, high], "bandpass", fs=RATE_HZ, output="sos"), sound).astype(np.float32)
    return out
