"""Tunes of the old books, rendered by real instruments, and tagged by what is true of them.

A tag is what the book says (dance, metre, mode) or what was rendered (tempo, instrument, ensemble, register,
ornaments); a context is whom a tune stands with: the same page, its neighbours in the book, a word of its title, its
composer. No tag is made of a context, and none of the words that are tags is taken from a title.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from joblib import Parallel, delayed
from scipy.signal import resample_poly

from humfind.data.abc import Tune
from humfind.data.tag_table import TagTable, table_of
from humfind.data.tunebooks import read_books
from humfind.runtime.cores import cores
from humfind.synth.melody import Melody, timed
from humfind.synth.song import accompany, harmonise
from humfind.synth.soundfont import DRUMS, RATE_HZ, Played, Soundfont
from humfind.types import Recording

INSTRUMENTS = {  # General MIDI programs
    "piano": 0, "harpsichord": 6, "marimba": 12, "organ": 19, "accordion": 21, "guitar": 24, "violin": 40, "cello": 42,
    "harp": 46, "choir": 52, "trumpet": 56, "clarinet": 71, "flute": 73, "banjo": 105,
}  # fmt: skip
DANCES = {"slipjig": "slip jig", "double jig": "jig", "fling": "highland fling"}  # other names of one
METRES = {(2.0, 1.0): "duple time", (4.0, 1.0): "common time", (4.0, 2.0): "common time", (3.0, 1.0): "triple time",
          (3.0, 1.5): "compound time", (4.5, 1.5): "compound time"}  # fmt: skip
TEMPOS = {"slow": (50.0, 76.0), "medium": (92.0, 116.0), "fast": (136.0, 184.0)}  # beats a minute
AS_PRINTED, PRINTED_SPREAD = "as printed", 0.1  # the tempo that the book's dance has, and how far players differ
ENSEMBLES = ("solo", "accompanied", "band")
LOW, HIGH = 60, 76  # MIDI pitches of a register's middle
PAGE, NEAR = 6, 12  # tunes of a page; of a stretch of the book
SHORTEST_WORD = 4  # of a title, that is no "the" or "of"
FEWEST_OF_A_DANCE = 10
OUT_HZ = 22_050


@dataclass(frozen=True)
class Rendered:
    """How a tune is played. ornaments: grace notes before the longer notes."""

    tune: Tune
    instrument: str
    tempo: str
    ensemble: str
    high: bool
    ornaments: bool

    @property
    def tags(self) -> tuple[tuple[str, str], ...]:
        """(tag, category) of all that is true of it."""
        dance = DANCES.get(self.tune.rhythm, self.tune.rhythm)
        metre = METRES.get((self.tune.bar_q, self.tune.beat_q))
        found = [(self.instrument, "instrument"), (self.tempo, "tempo"), (self.ensemble, "ensemble")]
        found += [("high" if self.high else "low", "register"), ("minor" if self.tune.minor else "major", "mode")]
        found += [("ornamented" if self.ornaments else "plain", "ornament")]
        found += [(dance, "dance")] if dance else []
        return tuple(found + ([(metre, "metre")] if metre else []))


def choose(count: int, seed: int) -> list[Rendered]:
    """``count`` tunes whose dance is known, and how each is played, drawn at random."""
    every = read_books().merged
    called = Counter(tune.rhythm for tune in every)
    tunes = [tune for tune in every if tune.rhythm and called[tune.rhythm] >= FEWEST_OF_A_DANCE]
    rng = np.random.default_rng([seed, 0])
    chosen = sorted(rng.permutation(len(tunes))[:count].tolist())
    return [
        Rendered(
            tunes[row],
            str(rng.choice(list(INSTRUMENTS))),
            str(rng.choice(list(TEMPOS))),
            str(rng.choice(ENSEMBLES)),
            bool(rng.random() < 0.5),
            bool(rng.random() < 0.5),
        )
        for row in chosen
    ]


def table(chosen: Sequence[Rendered]) -> TagTable:
    """Tags and contexts of each; a track's id is its book and number."""
    tagged = {word for one in chosen for tag, _ in one.tags for word in tag.split()}
    rows = []
    category: dict[str, str] = {}
    for one in chosen:
        category |= dict(one.tags)
        rows.append((one.tune.where, tuple(tag for tag, _ in one.tags), _contexts(one.tune, tagged)))
    return table_of(rows, category)


def _contexts(tune: Tune, tagged: set[str]) -> tuple[str, ...]:
    digits = "".join(letter for letter in tune.number if letter.isdigit())
    place = int(digits or 0)
    found = [f"{tune.book}, page {place // PAGE}", f"{tune.book}, near {(place + NEAR // 2) // NEAR}"]
    words = {word.strip(".,()'\"").casefold() for word in tune.title.split()}
    found += [f"title: {word}" for word in sorted(words) if len(word) >= SHORTEST_WORD and word not in tagged]
    return tuple(found + ([f"composer: {tune.composer}"] if tune.composer else []))


def render(chosen: Sequence[Rendered], length_s: float, seed: int) -> list[Recording]:
    """The beginning of each, ``length_s`` seconds."""
    font = Soundfont()
    made: list[Recording] = Parallel(n_jobs=cores())(
        delayed(_render)(one, length_s, font, [seed, 1, row]) for row, one in enumerate(chosen)
    )
    return made


def _render(one: Rendered, length_s: float, font: Soundfont, key: list[int]) -> Recording:
    rng = np.random.default_rng(key)
    melody = one.tune.melody
    if one.tempo == AS_PRINTED:
        beats = one.tune.tempo / melody.beat_q * rng.uniform(1 - PRINTED_SPREAD, 1 + PRINTED_SPREAD)
    else:
        beats = rng.uniform(*TEMPOS[one.tempo])
    middle = HIGH if one.high else LOW
    melody = melody.transposed(round(middle + rng.uniform(-3, 3) - float(np.median(melody.midi))))
    notes = timed(melody, beats * melody.beat_q).between(0.0, length_s)
    program = INSTRUMENTS[one.instrument]
    played = []
    for start, end, midi in zip(notes.start_s.tolist(), notes.end_s.tolist(), notes.midi.tolist(), strict=True):
        grace_s = 0.07
        if one.ornaments and end - start > 3 * grace_s:
            played.append(Played(start, start + grace_s, program, round(midi) + 2, 80))
            start += grace_s
        played.append(Played(start, end, program, round(midi), int(rng.integers(80, 110))))
    backing = [] if one.ensemble == "solo" else _backing(melody, beats, one.ensemble == "band", rng, length_s)
    sound = font.play([*played, *backing], length_s).mean(axis=1)
    step = int(np.gcd(RATE_HZ, OUT_HZ))
    samples = resample_poly(sound, OUT_HZ // step, RATE_HZ // step)
    return Recording((0.7 * samples / (np.abs(samples).max() + 1e-9)).astype(np.float32), OUT_HZ)


def _backing(melody: Melody, beats: float, drums: bool, rng: np.random.Generator, length_s: float) -> list[Played]:
    """Chords and bass, and drums or none."""
    second_q = 60.0 / (beats * melody.beat_q)
    notes = accompany(melody, harmonise(melody), [0.0], rng, second_q, length_s)
    quiet = (note._replace(velocity=round(0.7 * note.velocity)) for note in notes)
    return [note for note in quiet if drums or note.program != DRUMS]
