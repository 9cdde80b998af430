"""Real instruments: the General MIDI soundfont that the pretty_midi package carries, played by tinysoundfont.

pip install --no-deps -r requirements-no-deps.txt
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from humfind.types import Floats

RATE_HZ = 44_100
DRUMS = -1  # as a program
DRUM_CHANNEL = 9
BEND_SEMITONES = 2.0  # a pitch wheel's reach


class Played(NamedTuple):
    """A note. program: General MIDI, from 0; ``DRUMS``: the kit. pitch: MIDI. velocity: 1 to 127."""

    start_s: float
    end_s: float
    program: int
    pitch: int
    velocity: int


class Soundfont:
    """TimGM6mb at 44.1 kHz. Raises ModuleNotFoundError where one of the two packages is missing."""

    def __init__(self) -> None:
        self._file = _folder_of("pretty_midi") / "TimGM6mb.sf2"
        _folder_of("tinysoundfont")

    def play(self, notes: list[Played], length_s: float, bends: list[tuple[float, float]] | None = None) -> Floats:
        """(n, 2) float32. bends: (second, semitones) of the pitch wheel, for all but the drums."""
        import tinysoundfont

        synth = tinysoundfont.Synth(samplerate=RATE_HZ)  # a new one: what was played before leaves no trace
        font = synth.sfload(str(self._file))
        programs = sorted({note.program for note in notes} - {DRUMS})
        channels = {program: i if i < DRUM_CHANNEL else i + 1 for i, program in enumerate(programs)}
        for program, channel in channels.items():
            synth.program_select(channel, font, 0, program)
        synth.program_select(DRUM_CHANNEL, font, 128, 0, True)
        channels[DRUMS] = DRUM_CHANNEL
        on = [(note.start_s, 2, channels[note.program], note.pitch, note.velocity) for note in notes]
        off = [(note.end_s, 0, channels[note.program], note.pitch, 0) for note in notes]
        wheel = [
            (second, 1, channels[program], round(8192 + 8191 * float(np.clip(semitones / BEND_SEMITONES, -1, 1))), 0)
            for second, semitones in bends or []
            for program in programs
        ]
        out, at = [], 0
        for second, what, channel, value, velocity in sorted(on + off + wheel):
            sample = min(round(second * RATE_HZ), round(length_s * RATE_HZ))
            out.append(_generate(synth, sample - at))
            at = max(at, sample)
            if what == 0:
                synth.noteoff(channel, value)
            elif what == 1:
                synth.pitchbend(channel, value)
            else:
                synth.noteon(channel, value, velocity)
        out.append(_generate(synth, round(length_s * RATE_HZ) - at))
        return np.concatenate(out)


def _folder_of(package: str) -> Path:
    found = find_spec(package)
    if found is None or found.origin is None:
        raise ModuleNotFoundError(f"{package} is not installed", name=package)
    return Path(found.origin).parent


def _generate(synth: Any, samples: int) -> Floats:
    if samples <= 0:
        return np.empty((0, 2), np.float32)
    made: Floats = np.frombuffer(bytes(synth.generate(samples)), np.float32).reshape(-1, 2)
    return made
