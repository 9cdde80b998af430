"""Melodies: as written, in quarter notes, and as played, in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from humfind.types import Floats

MAJOR_FIFTHS_PITCH = 7  # semitones of a step on the circle of fifths


@dataclass(frozen=True)
class Melody:
    """A tune. start_q, length_q: (n,) float32 quarter notes; midi: (n,) float32 semitones.

    bar_q, beat_q: quarter notes a bar and a beat. tempo: quarter notes a minute, as the book or its kind
    of dance asks. fifths: sharps of the key signature (flats are negative). minor: how the tune ends.
    """

    start_q: Floats
    length_q: Floats
    midi: Floats
    bar_q: float = 4.0
    beat_q: float = 1.0
    tempo: float = 100.0
    fifths: int = 0
    minor: bool = False

    def __post_init__(self) -> None:
        if not len(self.start_q) == len(self.length_q) == len(self.midi) > 0:
            raise ValueError("a melody needs one start, length and pitch a note, and at least one note")
        if (self.length_q <= 0).any() or (np.diff(self.start_q) <= 0).any():
            raise ValueError("notes need positive lengths and rising starts")

    @property
    def tonic(self) -> int:
        """Pitch class of the key's home note, 0 = C."""
        return (MAJOR_FIFTHS_PITCH * self.fifths + (9 if self.minor else 0)) % 12

    @property
    def total_q(self) -> float:
        """Length in quarter notes."""
        return float(self.start_q[-1] + self.length_q[-1])

    def transposed(self, semitones: float) -> Melody:
        """The same tune elsewhere. The key signature follows by whole semitones."""
        steps = round(semitones) * MAJOR_FIFTHS_PITCH + self.fifths
        fifths = (steps + 6) % 12 - 6
        midi = (self.midi + semitones).astype(np.float32)
        return Melody(self.start_q, self.length_q, midi, self.bar_q, self.beat_q, self.tempo, fifths, self.minor)


@dataclass(frozen=True)
class Notes:
    """Notes in time. start_s, end_s, midi: (n,) float32, sorted, never two at once."""

    start_s: Floats
    end_s: Floats
    midi: Floats

    def __len__(self) -> int:
        return len(self.midi)

    def without_waits(self, longest_s: float) -> Notes:
        """The same notes from second 0, no silence between them longer than ``longest_s``."""
        silence = self.start_s - np.concatenate([[0.0], self.end_s[:-1]])
        excess = np.maximum(silence - longest_s, 0.0)
        excess[0] = self.start_s[0]
        earlier = np.cumsum(excess)
        start, end = self.start_s - earlier, self.end_s - earlier
        return Notes(start.astype(np.float32), end.astype(np.float32), self.midi)

    def between(self, start_s: float, end_s: float) -> Notes:
        """The notes that begin in a span, with times counted from its start; the last may be cut."""
        keep = (self.start_s >= start_s) & (self.start_s < end_s)
        ends = np.minimum(self.end_s[keep], end_s)
        return Notes(
            (self.start_s[keep] - start_s).astype(np.float32),
            (ends - start_s).astype(np.float32),
            self.midi[keep],
        )


def timed(melody: Melody, tempo: float) -> Notes:
    """The melody at ``tempo`` quarter notes a minute."""
    second = 60.0 / tempo  # seconds a quarter note
    end = (melody.start_q + melody.length_q) * second
    return Notes((melody.start_q * second).astype(np.float32), end.astype(np.float32), melody.midi)


def from_lengths(midi: NDArray, length_q: NDArray, **score: Any) -> Melody:
    """A melody from notes one after another; midi 0 is a rest. Example: ``from_lengths([60, 62], [1, 1])``."""
    lengths = np.asarray(length_q, dtype=np.float64)
    pitch = np.asarray(midi, dtype=np.float32)
    start = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    sung = pitch > 0
    if not sung.any():
        raise ValueError("a melody needs at least one note")
    first = start[sung][0]
    return Melody((start[sung] - first).astype(np.float32), lengths[sung].astype(np.float32), pitch[sung], **score)


def sung_tempo(melody: Melody, notes_per_s: tuple[float, float]) -> float:
    """The melody's own tempo, slowed or hurried until its notes come at a rate that people sing."""
    rate = len(melody.midi) / (melody.total_q * 60.0 / melody.tempo)
    low, high = notes_per_s
    return melody.tempo * float(np.clip(rate, low, high)) / rate


def pitch_line(notes: Notes, hop_s: float = 0.01) -> Floats:
    """The notes as f0: (n,) Hz every ``hop_s``, each note flat at its pitch, 0 where none sounds."""
    hz = np.zeros(max(1, round(float(notes.end_s[-1]) / hop_s)), np.float32)
    for start_s, end_s, midi in zip(notes.start_s, notes.end_s, notes.midi, strict=True):
        hz[round(float(start_s) / hop_s) : round(float(end_s) / hop_s)] = 440.0 * 2.0 ** ((float(midi) - 69.0) / 12.0)
    return hz
