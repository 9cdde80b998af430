"""A melody becomes a song: a lead of changing timbre and level over bass, chords and percussion.

``arrange`` decides who plays what and when; ``render`` turns all of it, or a stretch, into sound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import lfilter, oaconvolve

from humfind.config import SongConfig
from humfind.synth.melody import Melody, Notes, sung_tempo
from humfind.synth.timbre import LEADS, TIMBRES, Tone, add_tone, drum_kit
from humfind.types import Floats

TRIADS = {"major": (0, 4, 7), "minor": (0, 3, 7)}
# Chords on steps of the key, with how welcome each is where the notes leave it open.
HARMONY = {
    False: ((0, "major", 1.2), (5, "major", 1.0), (7, "major", 1.05), (9, "minor", 0.8), (2, "minor", 0.75)),
    True: ((0, "minor", 1.2), (5, "minor", 1.0), (7, "minor", 0.9), (10, "major", 1.0), (3, "major", 0.9)),
}


@dataclass(frozen=True)
class Arrangement:
    """Everything that sounds. lead: the melody in song time. tones: every pitched note of every part.

    hits: (m, 2) float64 start_s and drum (0 kick, 1 snare, 2 hat). length_s: of the song.
    """

    lead: Notes
    lead_tones: tuple[Tone, ...]
    backing_tones: tuple[Tone, ...]
    hits: np.ndarray
    length_s: float

    def between(self, start_s: float, end_s: float) -> Arrangement:
        """A stretch of the song, with times counted from its start."""

        def cut(tones: tuple[Tone, ...]) -> tuple[Tone, ...]:
            inside = (t for t in tones if t.start_s < end_s and t.end_s > start_s)
            return tuple(
                replace(t, start_s=max(0.0, t.start_s - start_s), end_s=min(t.end_s, end_s) - start_s) for t in inside
            )

        keep = (self.hits[:, 0] >= start_s) & (self.hits[:, 0] < end_s)
        hits = self.hits[keep] - [start_s, 0.0]
        return Arrangement(
            self.lead.between(start_s, end_s),
            cut(self.lead_tones),
            cut(self.backing_tones),
            hits,
            end_s - start_s,
        )


def arrange(melody: Melody, rng: np.random.Generator, config: SongConfig, length_s: float) -> Arrangement:
    """The tune, round after round, until ``length_s``: key, tempo, timbres and accompaniment drawn from rng."""
    low, high = config.lead_median_midi
    shift = round(float(rng.uniform(low, high) - np.median(melody.midi)))
    melody = melody.transposed(shift)
    spread = 1.0 + config.tempo_spread * rng.uniform(-1, 1)
    second_q = 60.0 / (sung_tempo(melody, config.notes_per_s) * spread)  # seconds a quarter note
    chords = harmonise(melody)
    round_q = len(chords) * melody.bar_q
    starts, at_q = [], 0.0
    while at_q * second_q < length_s:
        at_q += int(rng.integers(config.intro_bars[0], config.intro_bars[1] + 1)) * melody.bar_q
        starts.append(at_q)
        at_q += round_q
    lead = [(s + melody.start_q, melody.length_q) for s in starts]
    begins = np.concatenate([a for a, _ in lead]) * second_q
    ends = begins + np.concatenate([b for _, b in lead]) * second_q
    midi = np.tile(melody.midi, len(starts)).astype(np.float32)
    keep = begins < length_s - 0.2
    ends = np.minimum(ends, length_s)
    notes = Notes(begins[keep].astype(np.float32), ends[keep].astype(np.float32), midi[keep])
    backing, hits = _accompany(melody, chords, starts, rng, second_q, length_s)
    return Arrangement(notes, _lead_tones(notes, rng, config), backing, hits, length_s)


def harmonise(melody: Melody) -> list[tuple[int, str]]:
    """One (root pitch class, triad) a bar: the chord of the key that holds most of the bar's sung time."""
    bars = max(1, int(np.ceil(melody.total_q / melody.bar_q - 1e-3)))
    chosen = []
    for bar in range(bars):
        begin, end = bar * melody.bar_q, (bar + 1) * melody.bar_q
        stop = np.minimum(melody.start_q + melody.length_q, end)
        overlap = np.clip(stop - np.maximum(melody.start_q, begin), 0, None)
        weight = np.bincount(melody.midi.astype(int) % 12, overlap, 12)
        options = [((melody.tonic + step) % 12, triad, like) for step, triad, like in HARMONY[melody.minor]]
        scores = [like * weight[[(root + i) % 12 for i in TRIADS[triad]]].sum() for root, triad, like in options]
        root, triad, _ = options[int(np.argmax(scores))]
        chosen.append((root, triad))
    return chosen


def _lead_tones(notes: Notes, rng: np.random.Generator, config: SongConfig) -> tuple[Tone, ...]:
    """The lead changes its instrument every few phrases and its level all the time."""
    tones = []
    until_s, timbre, octave = 0.0, "", 0
    phase = rng.uniform(0, 2 * np.pi, 2)
    for start, end, midi in zip(notes.start_s, notes.end_s, notes.midi, strict=True):
        if start >= until_s:
            until_s = start + rng.uniform(8.0, 20.0)
            timbre = LEADS[int(rng.integers(len(LEADS)))]
            octave = 12 * int(rng.random() < 0.15)
        swell = np.sin(2 * np.pi * start / 11.0 + phase[0]) + np.sin(2 * np.pi * start / 4.3 + phase[1])
        level_db = 0.5 * config.lead_swell_db * float(swell) + rng.normal(0, 1.0)
        tones.append(Tone(float(start), float(end), float(midi) + octave, 0.25 * 10 ** (level_db / 20), timbre))
    return tuple(tones)


def _accompany(
    melody: Melody,
    chords: list[tuple[int, str]],
    starts_q: list[float],
    rng: np.random.Generator,
    second_q: float,
    length_s: float,
) -> tuple[tuple[Tone, ...], np.ndarray]:
    """Bass on the beats, chords between or held, drums, from the first bar to the end."""
    tones: list[Tone] = []
    hits: list[tuple[float, float]] = []
    bass, held = str(rng.choice(["bass", "pluckbass"])), rng.random() < 0.4
    chord_timbre = str(rng.choice(["pad", "organ"] if held else ["piano", "guitar"]))
    drums = rng.random() < 0.75
    beats = max(1, round(melody.bar_q / melody.beat_q))
    bar_s, beat_s = melody.bar_q * second_q, melody.beat_q * second_q
    while beat_s < 0.35:  # a beat faster than a foot taps: every other one is played
        beat_s, beats = 2 * beat_s, max(1, beats // 2)
    offset_bars = round(starts_q[0] / melody.bar_q)
    for bar in range(int(np.ceil(length_s / bar_s))):
        root, triad = chords[(bar - offset_bars) % len(chords)]
        at_s = bar * bar_s
        pitches = [48 + (root + step) % 12 for step in TRIADS[triad]]
        if held:
            tones += [Tone(at_s, at_s + bar_s, float(p), 0.07, chord_timbre) for p in pitches]
        for beat in range(beats):
            time_s = at_s + beat * bar_s / beats
            step = 7 if beat % 2 else 0
            tones.append(Tone(time_s, time_s + 0.9 * bar_s / beats, 36.0 + (root + step) % 12, 0.16, bass))
            if not held:
                half_s = time_s + 0.5 * bar_s / beats
                tones += [Tone(half_s, half_s + 0.45 * bar_s / beats, float(p), 0.08, chord_timbre) for p in pitches]
            if drums:
                hits += [(time_s, float(beat % 2)), (time_s, 2.0), (time_s + 0.5 * bar_s / beats, 2.0)]
    inside = tuple(replace(t, end_s=min(t.end_s, length_s)) for t in tones if t.start_s < length_s - 0.05)
    return inside, np.array([h for h in hits if h[0] < length_s - 0.05], np.float64).reshape(-1, 2)


def render(
    arrangement: Arrangement,
    rng: np.random.Generator,
    config: SongConfig,
    accompaniment_db: tuple[float, float] | None = None,
) -> Floats:
    """The sound, (n,) float32 at ``config.rate_hz``; lead and accompaniment at a drawn balance of loudness."""
    rate = config.rate_hz
    n = int(arrangement.length_s * rate)
    lead, backing = np.zeros(n), np.zeros(n)
    for tone in arrangement.lead_tones:
        add_tone(lead, tone, TIMBRES[tone.timbre], rate)
    for tone in arrangement.backing_tones:
        add_tone(backing, tone, TIMBRES[tone.timbre], rate)
    kit = drum_kit(rng, rate)
    for start_s, drum in arrangement.hits:
        hit = kit[int(drum)]
        first = int(start_s * rate)
        length = min(len(hit), n - first)
        backing[first : first + length] += hit[:length] * rng.uniform(0.7, 1.0)
    loud = np.sqrt(np.mean(lead**2)) + 1e-9
    quiet = np.sqrt(np.mean(backing**2)) + 1e-9
    balance_db = rng.uniform(*(accompaniment_db or config.accompaniment_db))
    mix = lead + backing * (loud / quiet * 10 ** (balance_db / 20))
    mix += rng.uniform(*config.reverb) * room(mix, rng, rate, rng.uniform(0.3, 0.9))
    return (0.8 * mix / (np.abs(mix).max() + 1e-9)).astype(np.float32)


def room(sound: np.ndarray, rng: np.random.Generator, rate_hz: int, decay_s: float) -> np.ndarray:
    """The sound's echo in a room, without the direct sound, as loud as it; decay_s: until -60 dB."""
    t = np.arange(int(0.7 * decay_s * rate_hz)) / rate_hz
    impulse = rng.standard_normal(len(t)) * 10 ** (-3.0 * t / decay_s)
    impulse[: int(0.008 * rate_hz)] = 0
    impulse = lfilter([0.4], [1, -0.6], impulse)  # walls swallow the treble
    echo = oaconvolve(sound, impulse / np.sqrt(np.sum(impulse**2) + 1e-12))
    return echo[: len(sound)]
