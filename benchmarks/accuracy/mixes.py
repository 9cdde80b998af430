"""Songs as recordings: full mixes with a sung or a played lead, tracked and searched, tracker by tracker.

    python -m benchmarks.accuracy.mixes [--data FOLDER] [--songs 40] [--sung 0.67] [--seed 0]
                                       [--trackers NAME ...] [--rankers NAME ...] [--out FILE.md]

A song is a minute of an even-numbered melody of POP909 (FOLDER: see benchmarks/accuracy/suites.py), 44.1 kHz stereo:
the lead sung by a simulated open voice or played by an instrument of TimGM6mb, -3 to +3 dB beside a band of the same
soundfont (chords by rule, bass, drums). Hums: simulated, 9 to 14 s, as 16 kHz wav. A row a tracker, kind of lead and
ranker: raw pitch and overall accuracy of the tracked line by mir_eval, MRR@10 with ``--model pretrained`` from the wav
files of the hums, and processor seconds a second of music. pip install mir_eval; pip
install --no-deps -r requirements-no-deps.txt; and for tracker basic-pitch, pip install --no-deps basic-pitch==0.4.0.
More trackers: ``salience``, the network of ``mix`` alone; ``mix and salience``, both lines of each song in the index.
"""

from __future__ import annotations

import argparse
import itertools
import tempfile
import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from benchmarks.accuracy import suites
from benchmarks.accuracy.peers import BasicPitch
from benchmarks.accuracy.rankers import table
from humfind import metrics
from humfind.audio import harmonics
from humfind.audio.load import stream
from humfind.config import F0Config, HummerConfig, RankConfig
from humfind.f0 import make_tracker, track_file
from humfind.f0.salience import MelodyLine, load_network
from humfind.index import Song
from humfind.rankers import make_ranker
from humfind.retrieval import search
from humfind.retrieval.checkpoints import load_model
from humfind.synth import voice
from humfind.synth.hum import perform
from humfind.synth.melody import Notes
from humfind.synth.soundfont import DRUMS, RATE_HZ, Played, Soundfont
from humfind.types import F0, Floats

LENGTH_S, BAR_S = 60.0, 2.0
HUM_S = (9.0, 14.0)
LEVEL_DB = (-3.0, 3.0)  # of the lead, beside the band
SUNG = 2 / 3  # of the songs
THE_LEAD, SALIENCE, BOTH = "the lead itself", "salience", "mix and salience"
LEADS = (65, 66, 73, 40, 56, 68, 26)  # General MIDI: saxophones, flute, violin, trumpet, oboe, jazz guitar
CHORDS = (0, 4, 24, 25, 27, 48, 89)  # pianos, guitars, strings, a pad
BASSES, PADS = (32, 33, 35, 38), (48, 50, 52, 89)
TRIADS = np.array([[0, 4, 7], [0, 3, 7]])
KICK, SNARE, HAT = 36, 38, 42
SINGER = HummerConfig(
    rate_hz=RATE_HZ, tempo_ratio=(1.0, 1.0), tempo_drift=0.0, timing=(0.0, 0.0), centre_midi=(52.0, 67.0),
    wrong=(0.0, 0.0), merged=(0.0, 0.0), skipped=(0.0, 0.0), intonation_cents=(5.0, 20.0), drift_cents_per_s=0.0,
    interval_scale=0.0, vibrato_cents=(20.0, 70.0), breath_every_s=(60.0, 90.0), da_share=1.0, snr_db=(60.0, 70.0),
)  # fmt: skip
HUMMER = HummerConfig()


@dataclass(frozen=True)
class Mixed:
    """A song. lead: "sung" or "played". hz: (n,) of the lead, every 10 ms, 0 where it rests."""

    name: str
    lead: str
    path: Path
    hz: Floats
    notes: Notes


def accompaniment(notes: Notes, rng: np.random.Generator) -> list[Played]:
    """Chords, bass and drums: of each bar the triad that the melody's notes fit best."""
    chords, pads, bass = (int(rng.choice(some)) for some in (CHORDS, PADS, BASSES))
    events = []
    last = 0
    for bar in range(int(LENGTH_S / BAR_S)):
        start = bar * BAR_S
        weights = np.zeros(12)
        for a, b, midi in zip(notes.start_s, notes.end_s, notes.midi, strict=True):
            weights[round(float(midi)) % 12] += max(0.0, min(b, start + BAR_S) - max(a, start))
        fits = [(weights[(root + triad) % 12].sum() + 0.05 * (root == last), root, kind)
                for root in range(12) for kind, triad in enumerate(TRIADS)]  # fmt: skip
        _, root, kind = max(fits)
        last = root
        triad = 48 + (root + TRIADS[kind]) % 12
        for beat in range(4):
            at = start + beat * BAR_S / 4
            if rng.random() < 0.8:
                events += [
                    Played(at, at + 0.4, chords, int(pitch) + 12 * (beat % 2), int(rng.integers(55, 85)))
                    for pitch in triad
                ]
            events.append(Played(at, at + 0.45, bass, 36 + root if root < 8 else 24 + root, int(rng.integers(80, 105))))
            events.append(Played(at, at + 0.2, DRUMS, KICK if beat % 2 == 0 else SNARE, int(rng.integers(85, 115))))
            events += [
                Played(at + half, at + half + 0.1, DRUMS, HAT, int(rng.integers(50, 80))) for half in (0.0, 0.25)
            ]
        events += [Played(start, start + BAR_S, pads, int(pitch) + 12, int(rng.integers(45, 65))) for pitch in triad]
    return events


def render(
    folder: Path, data: Path, count: int, seed: int = 0, sung: float = SUNG
) -> tuple[list[Mixed], list[tuple[Path, str]]]:
    """The songs, and a hum of each: (wav, name of the right song). seed: other songs, voices and instruments. sung:
    share of the songs."""
    band, songs, hums = Soundfont(), [], []
    even = [(name, f0) for name, f0 in suites.pop909(data) if int(name[3:]) % 2 == 0]
    for row in np.random.default_rng(90 + 1000 * seed).permutation(len(even)):
        name, line = even[row]
        rng = np.random.default_rng([91 + 1000 * seed, int(row)])
        whole = suites.notes_of(line)
        notes = whole.between(float(whole.start_s[0]) - 1.0, float(whole.start_s[0]) - 1.0 + LENGTH_S)
        part = suites.phrase(notes, float(rng.uniform(*HUM_S)), rng)
        if len(notes) < 40 or part is None:
            continue
        lead = "sung" if rng.random() < sung else "played"
        sound, hz, notes = _lead(notes, lead, band, rng)
        backing = band.play(accompaniment(notes, rng), LENGTH_S)
        n = min(len(sound), len(backing))
        gain = 10 ** (rng.uniform(*LEVEL_DB) / 20) * _loudness(backing) / _loudness(sound)
        mix = backing[:n] + gain * sound[:n]
        path = folder / f"{name}.wav"
        soundfile.write(path, 0.9 * mix / np.abs(mix).max(), RATE_HZ)
        songs.append(Mixed(name, lead, path, hz, notes))
        performance = perform(part, rng, HUMMER)
        wav = folder / f"hum-{name}.wav"
        soundfile.write(wav, voice.render(performance, rng, HUMMER), HUMMER.rate_hz)
        hums.append((wav, name))
        if len(songs) == count:
            break
    return songs, hums


def _lead(notes: Notes, lead: str, band: Soundfont, rng: np.random.Generator) -> tuple[Floats, Floats, Notes]:
    """(n, 2) sound, what it sounds every 10 ms, and its notes."""
    frames = round(LENGTH_S * 100)
    if lead == "sung":
        performance = perform(notes, rng, SINGER)
        sound = voice.render(replace(performance, da=True), rng, SINGER)
        hz = np.zeros(frames, np.float32)
        hz[: len(performance.hz)] = performance.hz[:frames]
        sung = performance.notes
        padded = np.zeros((round(LENGTH_S * RATE_HZ), 2), np.float32)
        padded[: len(sound)] = sound[: len(padded), None]
        return padded, hz, sung
    program = int(rng.choice(LEADS))
    rows = list(zip(notes.start_s.tolist(), notes.end_s.tolist(), notes.midi.tolist(), strict=True))
    events = [Played(a, b, program, round(midi), int(rng.integers(85, 115))) for a, b, midi in rows]
    hz = np.zeros(frames, np.float32)
    for a, b, midi in rows:
        hz[round(a * 100) : round(b * 100)] = 440 * 2 ** ((round(midi) - 69) / 12)
    return band.play(events, LENGTH_S), hz, notes


def _loudness(sound: Floats) -> float:
    """Root mean square of the parts that are not silent."""
    power = np.square(sound).mean(axis=1)
    return float(np.sqrt(power[power > 1e-6].mean()))


def accuracy(song: Mixed, found: F0) -> tuple[float, float]:
    """Raw pitch and overall accuracy (mir_eval)."""
    from mir_eval import melody

    def signed(hz: Floats, voiced: np.ndarray) -> np.ndarray:
        return np.where(voiced, hz, -hz).astype(float)

    n = min(len(song.hz), len(found.hz))
    times = np.arange(n) * 0.01
    scores = melody.evaluate(times, signed(song.hz[:n], song.hz[:n] > 0), times, signed(found.hz[:n], found.voiced[:n]))
    return float(scores["Raw Pitch Accuracy"]), float(scores["Overall Accuracy"])


def lines_of(song: Mixed, trackers: list[Any]) -> list[F0]:
    """What each of the trackers finds; of none, the lead itself."""
    if not trackers:
        return [F0(song.hz, (song.hz > 0).astype(np.float32), 0.01)]
    return [tracker.track(stream(song.path, tracker.rate_hz)) for tracker in trackers]


class Salience:
    """The salience network alone, whether somebody sings or not."""

    rate_hz = harmonics.RATE_HZ

    def __init__(self) -> None:
        self._network = load_network()

    def track(self, blocks: Iterable[Floats]) -> F0:
        line = MelodyLine(self._network, 0.01)
        for block in blocks:
            line.push(block)
        return line.finish()


def trackers_of(name: str) -> list[Any]:
    """Of each, a line of a song goes into the index."""
    if name == THE_LEAD:
        return []
    if name == BOTH:
        return [*trackers_of("mix"), *trackers_of(SALIENCE)]
    own = {BasicPitch.name: BasicPitch, SALIENCE: Salience}
    return [own[name]() if name in own else make_tracker(F0Config(tracker=name))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--songs", type=int, default=40)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--sung", type=float, default=SUNG, help="share of the songs")
    parser.add_argument("--trackers", nargs="*", default=["torchcrepe", "swiftf0", "mix"])
    parser.add_argument("--rankers", nargs="*", default=["fusion"])
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    model, _ = load_model("pretrained")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        songs, hums = render(Path(folder), suites.folder(asked.data), asked.songs, asked.seed, asked.sung)
        kinds = np.array([next(song.lead for song in songs if song.name == right) for _, right in hums])
        answers = {path.name: right for path, right in hums}
        for name in (THE_LEAD, *asked.trackers):
            trackers = trackers_of(name)
            clock = time.process_time()
            lines = [lines_of(song, trackers) for song in songs]
            spent = time.process_time() - clock
            by = "swiftf0" if name in (THE_LEAD, SALIENCE, BOTH, BasicPitch.name) else name  # what tracks the hums
            ear = make_tracker(F0Config(tracker=by), "hum")
            entries = [(Song(song.name), f0) for song, found in zip(songs, lines, strict=True) for f0 in found]
            index = search.build_index(entries, model)
            queries = [search.make_query(path.name, track_file(ear, path), model) for path, _ in hums]
            right = np.array([accuracy(song, found[0]) for song, found in zip(songs, lines, strict=True)])
            rankers = {ranker: make_ranker(RankConfig(ranker=ranker), index) for ranker in asked.rankers}
            ranks = {
                ranker: search.ranks_of(search.rank_all(queries, index, made), answers)
                for ranker, made in rankers.items()
            }
            for kind, ranker in itertools.product([*sorted({song.lead for song in songs}, reverse=True), "all"], ranks):
                of_kind = np.array([kind in ("all", song.lead) for song in songs])
                report = metrics.report(ranks[ranker][(kinds == kind) | (kind == "all")], len(songs))
                rows.append(
                    {
                        "songs' tracker": name,
                        "lead": kind,
                        "hums": report.queries,
                        "songs": report.songs,
                        "raw pitch": f"{right[of_kind, 0].mean():.2f}",
                        "overall": f"{right[of_kind, 1].mean():.2f}",
                        "ranker": ranker,
                        "MRR@10": str(report.mrr),
                        "top-1": str(report.top1),
                        "CPU s a second": f"{spent / (LENGTH_S * len(songs)):.3f}" if kind == "all" else "",
                    }
                )
                print(rows[-1], flush=True)
    print(table(rows))
    if asked.out:
        asked.out.write_text(table(rows) + "\n")


if __name__ == "__main__":
    main()
