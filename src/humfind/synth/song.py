"""A melody becomes a song: a lead, sung or played by changing instruments, over bass, chords and drums.

``arrange`` decides who plays what and when; ``render`` turns all of it, or a stretch, into sound.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import resample_poly

from humfind.config import SongConfig
from humfind.synth.melody import Melody, Notes, sung_tempo
from humfind.synth.reverb import room
from humfind.synth.singer import SINGER, sing
from humfind.synth.soundfont import DRUMS, RATE_HZ, Played, Soundfont
from humfind.types import Floats

# General MIDI programs
LEADS = (0, 21, 24, 40, 56, 71, 73, 78)  # piano, accordion, guitar, violin, trumpet, clarinet, flute, whistle
STRUCK, HELD = (0, 24, 25, 46), (16, 19, 48)  # piano, guitars, harp; organs, strings
BASSES = (32, 33)
KICK, SNARE, HAT = 36, 38, 42
TRIADS = {"major": (0, 4, 7), "minor": (0, 3, 7)}
# Chords on steps of the key, with how welcome each is where the notes leave it open.
HARMONY = {
    False: ((0, "major", 1.2), (5, "major", 1.0), (7, "major", 1.05), (9, "minor", 0.8), (2, "minor", 0.75)),
    True: ((0, "minor", 1.2), (5, "minor", 1.0), (7, "minor", 0.9), (10, "major", 1.0), (3, "major", 0.9)),
}


@dataclass(frozen=True)
class Arrangement:
    """Everything that sounds. lead: the melody in song time; sung, or played by ``instruments``; backing: the rest.

    length_s: of the song.
    """

    lead: Notes
    sung: bool
    instruments: tuple[Played, ...]
    backing: tuple[Played, ...]
    length_s: float

    def between(self, start_s: float, end_s: float) -> Arrangement:
        """A stretch of the song, with times counted from its start."""

        def cut(notes: tuple[Played, ...]) -> tuple[Played, ...]:
            inside = (n for n in notes if n.start_s < end_s and n.end_s > start_s)
            return tuple(
                n._replace(start_s=max(0.0, n.start_s - start_s), end_s=min(n.end_s, end_s) - start_s) for n in inside
            )

        lead = self.lead.between(start_s, end_s)
        return replace(
            self, lead=lead, instruments=cut(self.instruments), backing=cut(self.backing), length_s=end_s - start_s
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
    backing = accompany(melody, chords, starts, rng, second_q, length_s)
    sung = bool(rng.random() < config.sung_share)
    return Arrangement(notes, sung, () if sung else _instruments(notes, rng, config), backing, length_s)


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


def _instruments(notes: Notes, rng: np.random.Generator, config: SongConfig) -> tuple[Played, ...]:
    """The lead changes its instrument every few phrases and its level all the time."""
    played = []
    until_s, program, octave = 0.0, 0, 0
    phase = rng.uniform(0, 2 * np.pi, 2)
    for start, end, midi in zip(notes.start_s, notes.end_s, notes.midi, strict=True):
        if start >= until_s:
            until_s = start + rng.uniform(8.0, 20.0)
            program = int(rng.choice(LEADS))
            octave = 12 * int(rng.random() < 0.15)
        swell = np.sin(2 * np.pi * start / 11.0 + phase[0]) + np.sin(2 * np.pi * start / 4.3 + phase[1])
        level_db = 0.5 * config.lead_swell_db * float(swell) + rng.normal(0, 1.0)
        played.append(Played(float(start), float(end), program, round(float(midi)) + octave, _velocity(95, level_db)))
    return tuple(played)


def _velocity(middle: float, level_db: float) -> int:
    """A synthesiser's level goes with the square of it."""
    return int(np.clip(round(middle * 10 ** (level_db / 40)), 1, 127))


def accompany(
    melody: Melody,
    chords: list[tuple[int, str]],
    starts_q: list[float],
    rng: np.random.Generator,
    second_q: float,
    length_s: float,
) -> tuple[Played, ...]:
    """Bass on the beats, chords between or held, drums, from the first bar to the end."""
    out: list[Played] = []
    bass, held = int(rng.choice(BASSES)), rng.random() < 0.4
    chord = int(rng.choice(HELD if held else STRUCK))
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
            out += [Played(at_s, at_s + bar_s, chord, pitch, 60) for pitch in pitches]
        for beat in range(beats):
            time_s = at_s + beat * bar_s / beats
            step = 7 if beat % 2 else 0
            out.append(Played(time_s, time_s + 0.9 * bar_s / beats, bass, 36 + (root + step) % 12, 90))
            if not held:
                half_s = time_s + 0.5 * bar_s / beats
                out += [Played(half_s, half_s + 0.45 * bar_s / beats, chord, pitch, 70) for pitch in pitches]
            if drums:
                half_s = time_s + 0.5 * bar_s / beats
                hits = ((time_s, SNARE if beat % 2 else KICK, 100), (time_s, HAT, 60), (half_s, HAT, 50))
                out += [Played(at, at + 0.1, DRUMS, drum, velocity) for at, drum, velocity in hits]
    return tuple(note._replace(end_s=min(note.end_s, length_s)) for note in out if note.start_s < length_s - 0.05)


def render(
    arrangement: Arrangement,
    rng: np.random.Generator,
    config: SongConfig,
    accompaniment_db: tuple[float, float] | None = None,
) -> Floats:
    """The sound, (n,) float32 at ``config.rate_hz``; lead and accompaniment at a drawn balance of loudness.

    Raises ModuleNotFoundError where the soundfont is missing.
    """
    rate, length_s = config.rate_hz, arrangement.length_s
    font = Soundfont()
    backing = _resampled(font.play(list(arrangement.backing), length_s), rate)
    if arrangement.sung:
        lead = _sung(arrangement, rng, rate)
    else:
        lead = _resampled(font.play(list(arrangement.instruments), length_s), rate)
    n = min(len(lead), len(backing))
    lead, backing = lead[:n], backing[:n]
    loud = np.sqrt(np.mean(lead**2)) + 1e-9
    quiet = np.sqrt(np.mean(backing**2)) + 1e-9
    balance_db = rng.uniform(*(accompaniment_db or config.accompaniment_db))
    mix = lead + backing * (loud / quiet * 10 ** (balance_db / 20))
    mix += rng.uniform(*config.reverb) * room(mix, rng, rate, rng.uniform(0.3, 0.9))
    return (0.8 * mix / (np.abs(mix).max() + 1e-9)).astype(np.float32)


def _sung(arrangement: Arrangement, rng: np.random.Generator, rate_hz: int) -> Floats:
    notes, length_s = arrangement.lead, arrangement.length_s
    out = np.zeros(round(length_s * rate_hz), np.float32)
    if len(notes):
        middle = float(np.median(notes.midi))  # in the song's key
        sound, _, _ = sing(notes, length_s, rng, rate_hz, replace(SINGER, centre_midi=(middle, middle)))
        first = round(float(notes.start_s[0]) * rate_hz)
        out[first:] = sound[: len(out) - first]
    return out


def _resampled(sound: Floats, rate_hz: int) -> Floats:
    """(n, 2) at the soundfont's rate -> (m,) float32."""
    step = int(np.gcd(RATE_HZ, rate_hz))
    made: Floats = resample_poly(sound.mean(axis=1), rate_hz // step, RATE_HZ // step).astype(np.float32)
    return made
