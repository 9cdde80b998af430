"""An hour of sound out of the box: instruments and drums of the soundfont, hums, chorales for ensembles, noise, and
mixtures of two, as a folder of recordings with labels in the manner of ESC-50. Training reads the sound alone.
"""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from joblib import Parallel, delayed
from scipy.signal import resample_poly

from humfind.config import HummerConfig
from humfind.data.abc import Tune
from humfind.data.chorales import Note, read_chorale
from humfind.data.tunebooks import read_books
from humfind.runtime.cores import cores
from humfind.runtime.files import atomic_write
from humfind.synth import voice
from humfind.synth.hum import perform
from humfind.synth.melody import sung_tempo, timed
from humfind.synth.soundfont import DRUMS, RATE_HZ, Played, Soundfont
from humfind.types import Floats

CLIP_S = 10.0
OUT_HZ = 22_050
FAMILIES = {  # General MIDI programs
    "keys": {"piano": 0, "harpsichord": 6, "organ": 19, "accordion": 21},
    "mallets": {"marimba": 12, "bells": 14},
    "plucked": {"guitar": 24, "harp": 46, "banjo": 105, "bass": 33},
    "bowed": {"violin": 40, "cello": 42},
    "brass": {"trumpet": 56, "tuba": 58},
    "reeds": {"clarinet": 71, "saxophone": 65, "bagpipe": 109},
    "flutes": {"flute": 73, "whistle": 78},
}
PROGRAM = {name: program for members in FAMILIES.values() for name, program in members.items()}
FAMILY = {name: family for family, members in FAMILIES.items() for name in members}
ENSEMBLES = {"strings": 48, "choir": 52, "brass section": 61}  # play chorales
KINDS = {"solo": 0.6, "duet": 0.12, "ensemble": 0.09, "voice": 0.07, "drums": 0.06, "noise": 0.06}  # shares
MIDDLE = {"bass": 36.0, "tuba": 43.0, "cello": 48.0}  # MIDI pitch about which it plays; others at 67
KIT = (36, 38, 42, 46, 45, 49, 39)  # kick, snare, hats, tom, crash, clap
COLUMNS = ("filename", "category", "family", "kind")


@dataclass(frozen=True)
class Clip:
    """category: the instrument, or two of them, joined by +."""

    name: str
    category: str
    family: str
    kind: str


def plan(minutes: float, seed: int) -> list[Clip]:
    """What is rendered: every kind and, among solos, every instrument as often as every other, in a drawn order."""
    count = max(len(KINDS), round(minutes * 60 / CLIP_S))
    rng = np.random.default_rng([seed, 0])
    shares = np.cumsum([0.0, *KINDS.values()]) * (count - len(KINDS))
    edges = np.round(shares).astype(int) + np.arange(len(KINDS) + 1)  # one of each at least
    clips = []
    for kind, first, last in zip(KINDS, edges, edges[1:], strict=False):
        names = rng.permutation(list(PROGRAM)).tolist()
        for number in range(last - first):
            name = names[number % len(names)]
            category, family = kind, kind
            if kind == "solo":
                category, family = name, FAMILY[name]
            elif kind == "duet":
                other = names[(number * 7 + 3) % len(names)]
                other = names[(number + 1) % len(names)] if other == name else other
                category, family = "+".join(sorted((name, other))), "duet"
            elif kind == "ensemble":
                category, family = list(ENSEMBLES)[number % len(ENSEMBLES)], "ensemble"
            clips.append((category, family, kind))
    order = rng.permutation(len(clips)).tolist()
    return [Clip(f"{place:04d}.wav", *clips[row]) for place, row in enumerate(order)]


def render(folder: Path, minutes: float, seed: int) -> Path:
    """Wav files and ``labels.csv``, written last; nothing is done where it is there already. Returns the folder."""
    clips = plan(minutes, seed)
    lines = io.StringIO(newline="")
    table = csv.writer(lines, lineterminator="\n")
    table.writerow(COLUMNS)
    table.writerows((clip.name, clip.category, clip.family, clip.kind) for clip in clips)
    labels, content = folder / "labels.csv", lines.getvalue().encode()
    if labels.is_file() and labels.read_bytes() == content:
        return folder
    folder.mkdir(parents=True, exist_ok=True)
    tunes, font = read_books().merged, Soundfont()
    Parallel(n_jobs=cores())(
        delayed(_write)(clip, folder / clip.name, tunes, font, [seed, 1, row]) for row, clip in enumerate(clips)
    )
    atomic_write(labels, content)
    return folder


def _write(clip: Clip, path: Path, tunes: tuple[Tune, ...], font: Soundfont, key: list[int]) -> None:
    samples = sound(clip, tunes, font, np.random.default_rng(key))
    file = io.BytesIO()
    soundfile.write(file, (0.7 * samples / (np.abs(samples).max() + 1e-9)), OUT_HZ, "PCM_16", format="WAV")
    atomic_write(path, file.getvalue())


def sound(clip: Clip, tunes: tuple[Tune, ...], font: Soundfont, rng: np.random.Generator) -> Floats:
    """(n,) float32 at 22,050 Hz."""
    if clip.kind == "noise":
        return _noise(rng)
    if clip.kind == "voice":
        return _hum(tunes, rng)
    if clip.kind == "drums":
        return _resampled(font.play(_drums(rng), CLIP_S))
    if clip.kind == "ensemble":
        chorale = read_chorale(int(rng.integers(10_000)))
        return _resampled(font.play(_chorale(chorale, ENSEMBLES[clip.category], rng), CLIP_S))
    parts = [_resampled(font.play(_tune(tunes, name, rng), CLIP_S)) for name in clip.category.split("+")]
    mixed: Floats = sum(part / (np.sqrt(np.mean(part**2)) + 1e-9) for part in parts)  # as loud as each other
    return mixed.astype(np.float32)


def _tune(tunes: tuple[Tune, ...], instrument: str, rng: np.random.Generator) -> list[Played]:
    """Ten seconds of a tune, somewhere in it."""
    tune = tunes[int(rng.integers(len(tunes)))]
    middle = MIDDLE.get(instrument, 67.0) + rng.uniform(-5, 5)
    melody = tune.melody.transposed(round(middle - float(np.median(tune.melody.midi))))
    notes = timed(melody, sung_tempo(melody, (1.5, 5.0)) * rng.uniform(0.8, 1.2))
    start = rng.uniform(0, max(0.1, float(notes.end_s[-1]) - CLIP_S))
    notes = notes.between(start, start + CLIP_S)
    return [
        Played(float(begin), float(end), PROGRAM[instrument], round(float(midi)), int(rng.integers(60, 115)))
        for begin, end, midi in zip(notes.start_s, notes.end_s, notes.midi, strict=True)
    ]


def _chorale(chorale: tuple[Note, ...], program: int, rng: np.random.Generator) -> list[Played]:
    second_q = 60.0 / rng.uniform(66, 96)
    shift = int(rng.integers(-3, 4))
    notes = ((one.start_q * second_q, (one.start_q + one.length_q) * second_q, one.midi) for one in chorale)
    return [Played(begin, min(end, CLIP_S), program, midi + shift, 85) for begin, end, midi in notes if begin < CLIP_S]


def _drums(rng: np.random.Generator) -> list[Played]:
    """A pattern of sixteen steps, again and again."""
    step_s = 60.0 / rng.uniform(80, 150) / 4
    played = []
    for drum in rng.permutation(KIT)[: int(rng.integers(3, 6))].tolist():
        hits = np.flatnonzero(rng.random(16) < rng.uniform(0.15, 0.5))
        for start in np.arange(0.0, CLIP_S, 16 * step_s):
            times = [float(start + hit * step_s) for hit in hits]
            played += [Played(at, at + 0.1, DRUMS, drum, int(rng.integers(60, 115))) for at in times if at < CLIP_S]
    return played


def _hum(tunes: tuple[Tune, ...], rng: np.random.Generator) -> Floats:
    hummer = HummerConfig(rate_hz=OUT_HZ)
    tune = tunes[int(rng.integers(len(tunes)))]
    notes = timed(tune.melody, sung_tempo(tune.melody, (1.7, 3.2))).between(0.0, 2 * CLIP_S)
    samples = voice.render(perform(notes, rng, hummer), rng, hummer)
    found: Floats = np.resize(samples, round(CLIP_S * OUT_HZ))
    return found


def _noise(rng: np.random.Generator) -> Floats:
    """White to brown, its level swelling."""
    count = round(CLIP_S * OUT_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(count))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** rng.uniform(0.0, 1.0)
    made = np.fft.irfft(spectrum, count)
    swell = 1 + 0.5 * np.sin(2 * np.pi * rng.uniform(0.1, 3.0) * np.arange(count) / OUT_HZ)
    found: Floats = (swell * made / made.std()).astype(np.float32)
    return found


def _resampled(stereo: Floats) -> Floats:
    made: Floats = resample_poly(stereo.mean(axis=1), OUT_HZ, RATE_HZ).astype(np.float32)
    return made
