"""How long must a wavelet string be? Hums among songs, by strings of their melodies and of their sound."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from humfind import metrics
from humfind.audio.load import resample
from humfind.config import ContourConfig, RankConfig
from humfind.melody import wavelet_string
from humfind.melody.contour import from_f0
from humfind.metrics import Interval
from humfind.rankers.wavelet import Wavelet, nearest_stretch
from humfind.types import F0, Contour, Floats, Ints, Recording

FRAME_S = 0.01  # of a melody whose string has one symbol a frame where nothing is discarded
SOUND_HZ = 4000  # of the sound's strings: what is above is discarded before anything is compared
SOUND_STEPS = 1.0  # symbols of the sound tell doublings apart
HOP_S = 0.25  # between the places of a song that a sound's string is compared with, at least


@dataclass(frozen=True)
class Melodies:
    """What ranker ``wavelet`` needs of an index."""

    music_ids: tuple[str, ...]
    contours: tuple[Contour | None, ...]

    @property
    def recording_song(self) -> Ints:
        return np.arange(len(self.music_ids))


@dataclass(frozen=True)
class Length:
    """symbols: of a hum's string, the median. mrr: at that length."""

    symbols: float
    mrr: Interval


def by_melody(
    hums: Mapping[str, F0], songs: Mapping[str, F0], answers: Mapping[str, str], discarded: Sequence[int]
) -> list[Length]:
    """MRR@10 of ranker ``wavelet`` on melodies, with so many details discarded. songs: by music_id."""
    ids = tuple(sorted(songs))
    frames = replace(ContourConfig(), frame_s=FRAME_S)
    melodies = Melodies(ids, tuple(from_f0(songs[one], frames) for one in ids))
    found = []
    for count in discarded:
        rank = RankConfig()
        ranker = Wavelet(replace(rank, wavelet=replace(rank.wavelet, discarded=count)), melodies)
        lines = {name: from_f0(f0, frames) for name, f0 in hums.items() if name in answers}
        ranked = {name: ranker.rank_contour(name, line, 10).music_ids for name, line in lines.items()}
        length = float(np.median([len(ranker.string(line)) for line in lines.values()]))
        ranks = metrics.ranks(ranked, {name: answers[name] for name in lines})
        found.append(Length(length, metrics.report(ranks, len(ids)).mrr))
    return found


def by_sound(
    hums: Mapping[str, Recording],
    songs: Mapping[str, Recording],
    answers: Mapping[str, str],
    wavelet: str,
    discarded: Sequence[int],
) -> list[Length]:
    """The same of the sound itself, as the 2017 report began: strings of the waveform."""
    ids = sorted(songs)
    waves = {name: resample(one, SOUND_HZ).samples for name, one in songs.items()}
    hummed = {name: resample(one, SOUND_HZ).samples for name, one in hums.items() if name in answers}
    found = []
    for count in discarded:
        strings = [sound_string(waves[one], wavelet, count) for one in ids]
        ranked, lengths = {}, []
        for name, samples in hummed.items():
            text = sound_string(samples, wavelet, count)
            lengths.append(len(text))
            places = max(1, round(len(samples) / SOUND_HZ / HOP_S))
            scores = np.array([score for score, _ in nearest_stretch(text, strings, places)])
            ranked[name] = [ids[row] for row in np.argsort(-scores, kind="stable")[:10]]
        ranks = metrics.ranks(ranked, {name: answers[name] for name in hummed})
        found.append(Length(float(np.median(lengths)), metrics.report(ranks, len(ids)).mrr))
    return found


def sound_string(samples: Floats, wavelet: str, discarded: int) -> str:
    """One character a coefficient that is left."""
    short = wavelet_string.shortened(samples, wavelet, discarded)
    return wavelet_string.as_text(wavelet_string.symbols(short, SOUND_STEPS))


def kept_sound(sound: Recording, wavelet: str, levels: int, discarded: int) -> Recording:
    """What is left to hear without the ``discarded`` finest of ``levels`` details; with none discarded, all of it."""
    parts = wavelet_string.decompose(sound.samples, wavelet, levels)
    samples = wavelet_string.restore(parts, wavelet, len(sound.samples), discarded)
    return Recording(np.clip(samples, -1, 1).astype(np.float32), sound.rate_hz)
