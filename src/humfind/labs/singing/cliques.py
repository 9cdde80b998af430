"""Cover cliques: a tune of the old books, several times over, in the printings of its books, in other keys, tempos and
bands, its lead sung or played by instruments of the soundfont."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from joblib import Parallel, delayed

from humfind.audio.load import load, resample
from humfind.audio.mel import log_mel
from humfind.config import F0Config, ModelConfig, SongConfig
from humfind.data.importers import cover_list
from humfind.data.tunebooks import Books, read_books
from humfind.f0 import make_tracker
from humfind.melody.contour import encoder_input, from_f0
from humfind.runtime.cores import cores
from humfind.synth import song
from humfind.synth.melody import Melody
from humfind.training.tasks.cliques import Rendition
from humfind.types import F0, Floats, Recording

LEADS = {"both": 0.5, "sung": 1.0, "played": 0.0}  # what sings -> the share of sung leads
FEWEST_NOTES = 16


@dataclass(frozen=True)
class Cover:
    """One recording of a tune. clique: the tune. lead: sung | played | unknown."""

    name: str
    clique: str
    title: str
    lead: str
    sound: Recording


def make_covers(
    tunes: int, renditions: int, length_s: float, lead: str = "both", first: int = 0, seed: int = 0
) -> list[Cover]:
    """``renditions`` of each of ``tunes`` tunes, ``length_s`` seconds each; tunes printed in most books come first,
    from the ``first`` on. lead: both | sung | played."""
    books = read_books()
    chosen = groups(books)[first : first + tunes]
    jobs = [
        (rows[i % len(rows)], rows[0], i, [seed, rows[0], i], LEADS[lead]) for rows in chosen for i in range(renditions)
    ]
    made = Parallel(n_jobs=cores())(
        delayed(_cover)(books.tunes[row].melody, length_s, share, key) for row, _, _, key, share in jobs
    )
    covers = []
    for (row, clique, i, _, _), (sound, sung) in zip(jobs, made, strict=True):
        name, title = f"{clique:04d}-{i}", books.tunes[row].title
        covers.append(Cover(name, f"{clique:04d}", title, "sung" if sung else "played", sound))
    return covers


def read_covers(path: Path, length_s: float) -> list[Cover]:
    """The recordings of a list (``data.importers.cover_list``), the middle ``length_s`` seconds of each. Raises
    InputError."""
    covers = []
    for one in cover_list.read(path):
        whole = resample(load(one.path), SongConfig().rate_hz)
        length = min(len(whole.samples), round(length_s * whole.rate_hz))
        start = (len(whole.samples) - length) // 2
        sound = Recording(whole.samples[start : start + length], whole.rate_hz)
        covers.append(Cover(one.name, one.clique, one.name, "unknown", sound))
    return covers


def groups(books: Books) -> list[list[int]]:
    """The rows of each tune's printings, those of most printings first."""
    rows: dict[int, list[int]] = {}
    for row, clique in enumerate(books.group.tolist()):
        if len(books.tunes[row].melody.midi) >= FEWEST_NOTES:
            rows.setdefault(clique, []).append(row)
    return sorted(rows.values(), key=lambda group: (-len(group), group[0]))


def _cover(melody: Melody, length_s: float, sung_share: float, key: Sequence[int]) -> tuple[Recording, bool]:
    rng = np.random.default_rng(list(key))
    config = replace(SongConfig(), sung_share=sung_share, intro_bars=(0, 1), tempo_spread=0.2)
    whole = song.arrange(melody, rng, config, 2 * length_s)
    start_s = float(rng.uniform(0, 0.5)) * length_s
    part = whole.between(start_s, start_s + length_s)
    return Recording(song.render(part, rng, config), config.rate_hz), whole.sung


def spectrograms(covers: Sequence[Cover], config: ModelConfig) -> list[Rendition]:
    """As the attention network reads them: log-mel, (bands, frames)."""
    return [Rendition(one.name, one.clique, spectrogram(one.sound, config)) for one in covers]


def spectrogram(sound: Recording, config: ModelConfig) -> Floats:
    """(bands, frames) float32, 0 for silence."""
    return np.ascontiguousarray(log_mel(sound, config.spectrogram, config.contour.frame_s).values.T)


def track(sounds: Sequence[Recording], tracker: str = "swiftf0") -> list[F0]:
    """The f0 of each."""
    tracks = make_tracker(F0Config(tracker=tracker))
    return [tracks(sound) for sound in sounds]


def contours(covers: Sequence[Cover], f0s: Sequence[F0], config: ModelConfig) -> list[Rendition]:
    """Their melodies in place of their spectrograms: pitch without the key, and voicing, (2, frames)."""
    return [Rendition(one.name, one.clique, melody_of(f0, config)) for one, f0 in zip(covers, f0s, strict=True)]


def melody_of(f0: F0, config: ModelConfig) -> Floats:
    """(channels, frames) float32."""
    line = from_f0(f0, config.contour)
    values: Floats = encoder_input(line.semitones[None], line.voiced[None], config.contour)[0][0]
    return values
