"""The open suites: real people's hums, and the songs to find them among, as f0.

Read from FOLDER (default: the environment variable HUMFIND_REAL_DATA), which holds humtrans_valid_hums.jsonl.gz and
humtrans_valid_targets.jsonl.gz (Liu et al. 2023), mast_open.parquet (Bozkurt et al. 2017), pop909_melodies.jsonl.gz
(Wang et al. 2020), medleydb_melody_f0.parquet (Bittner et al. 2014) and mtc_ann.jsonl.gz (Meertens MTC-ANN 2.0.1).
Nothing of it is copied; what is simulated says so in its name. These files are an extract of the corpora (notes and f0,
as JSON lines and parquet), not the forms in which their owners hand them out, which ``humfind import`` reads. Where a
transcriber's notes overlap, the later one sounds here; of a written melody (``humfind.data.notes``) the highest does.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import median_filter

from humfind.cli.importers import write_data
from humfind.config import HummerConfig
from humfind.data.abc import TuneError, parse_tune, split_tunes
from humfind.data.importers.corpus import Corpus, Part
from humfind.data.tunebooks import corpus_folder
from humfind.synth.hum import perform
from humfind.synth.melody import Notes, from_lengths, sung_tempo, timed
from humfind.synth.mix import heard_in_mix
from humfind.types import F0, Floats

HOP_S = 0.01
FOLK_SONGS = 2000
SUNG = (1.7, 3.2)  # notes a second, for sheets whose tempo is not known
SHEET_S = 2.0  # seconds a unit of MTC-ANN, whose most frequent note is a quarter of a unit


@dataclass(frozen=True)
class Suite:
    """songs: (music_id, f0), a recording each. hums: (name, right music_id, f0)."""

    name: str
    songs: tuple[tuple[str, F0], ...]
    hums: tuple[tuple[str, str, F0], ...]


def folder(path: Path | None = None) -> Path:
    """Where the open data lie. Raises FileNotFoundError where nothing says so."""
    found = path or (Path(os.environ["HUMFIND_REAL_DATA"]) if "HUMFIND_REAL_DATA" in os.environ else None)
    if found is None or not (found / "pop909_melodies.jsonl.gz").is_file():
        raise FileNotFoundError("give the folder of the open data: --data FOLDER or HUMFIND_REAL_DATA")
    return found


def pitch_sequence_of(notes: Any) -> F0:
    """Notes [[start_s, end_s, midi], ...] -> f0, every note at its pitch, from the first note on."""
    rows = np.asarray(notes, dtype=np.float64)
    first = rows[:, 0].min()
    hz = np.zeros(max(1, round((rows[:, 1].max() - first) / HOP_S)), np.float32)
    for start, end, midi in rows:
        hz[round((start - first) / HOP_S) : round((end - first) / HOP_S)] = 440.0 * 2 ** ((midi - 69) / 12)
    return f0_of(hz)


def f0_of(hz: Any, hop_s: float = HOP_S) -> F0:
    """Hz, 0 = unvoiced -> f0 that is sure of itself."""
    hz = np.asarray(hz, dtype=np.float32)
    return F0(hz, (hz > 0).astype(np.float32), hop_s)


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a .jsonl.gz file."""
    with gzip.open(path, "rt") as file:
        yield from map(json.loads, file)


@lru_cache
def pop909(data: Path) -> tuple[tuple[str, F0], ...]:
    """The sung lines of 909 pop songs. Odd numbers may have been learned from; even ones never."""
    return tuple(
        (f"pop{row['song']}", pitch_sequence_of(row["notes"])) for row in lines(data / "pop909_melodies.jsonl.gz")
    )


@lru_cache
def folk(count: int = FOLK_SONGS, quarter_s: float = 0.0) -> tuple[tuple[str, F0], ...]:
    """Tunes of the Essen collection that music21 carries, at a tempo that people sing, or with quarters of so many
    seconds: never learned from."""
    songs: list[tuple[str, F0]] = []
    for file in sorted((corpus_folder() / "essenFolksong").glob("*.abc")):
        for chunk in split_tunes(file.read_text(encoding="utf-8", errors="replace").replace("\r", "")):
            try:
                tune = parse_tune(chunk, "essen")
                melody = from_lengths(tune.midi[tune.order], tune.length_q[tune.order], tempo=tune.tempo)
            except (TuneError, ValueError):
                continue
            if len(melody.midi) >= 12:
                notes = timed(melody, 60.0 / quarter_s if quarter_s else sung_tempo(melody, SUNG))
                rows = np.stack([notes.start_s, notes.end_s, notes.midi], axis=1)
                songs.append((f"folk{len(songs):05d}", pitch_sequence_of(rows)))
    step = max(1, len(songs) // count)
    return tuple(songs[::step][:count])


def humtrans(data: Path, transcriber: str) -> Suite:
    """Ten singers' hums, as a transcriber heard them; among their melodies, pop and folk songs."""
    targets = [
        (row["melody"], pitch_sequence_of(row["notes"])) for row in lines(data / "humtrans_valid_targets.jsonl.gz")
    ]
    rows = [row for row in lines(data / "humtrans_valid_hums.jsonl.gz") if row["transcriber"] == transcriber]
    hums = [(row["hum"], row["melody"], pitch_sequence_of(row["notes"])) for row in rows if row["notes"]]
    return Suite(f"humtrans-{transcriber.lower()}", (*targets, *pop909(data), *folk()), tuple(hums))


def mast(data: Path, grade: str) -> Suite:
    """Candidates who sing back a melody heard once; grade: what the jury said."""
    import pyarrow.parquet as pq

    rows = pq.read_table(data / "mast_open.parquet").to_pylist()
    songs = [(row["music_id"], f0_of(row["hz"], row["hop_s"])) for row in rows if row["role"] == "song"]
    sung = [row for row in rows if row["role"] == "hum" and row["grade"] == grade and any(row["hz"])]
    hums = [(row["path"], row["music_id"], f0_of(row["hz"], row["hop_s"])) for row in sung]
    return Suite(f"mast-{grade}", (*songs, *pop909(data)), tuple(hums))


def notes_of(f0: F0) -> Notes:
    """A sung line -> notes: runs of one smoothed, rounded pitch, a tenth of a second at least."""
    voiced = f0.voiced
    midi = np.where(voiced, 69 + 12 * np.log2(np.maximum(f0.hz, 1) / 440), 0)
    smooth = np.where(voiced, np.round(median_filter(midi, round(0.25 / f0.hop_s))), 0)
    edges = np.flatnonzero(np.diff(smooth, prepend=-1, append=-1))
    runs = [(a, b, smooth[a]) for a, b in pairwise(edges) if smooth[a] > 20]
    rows = np.array([run for run in runs if (run[1] - run[0]) * f0.hop_s >= 0.1], dtype=np.float32).reshape(-1, 3)
    return Notes(rows[:, 0] * np.float32(f0.hop_s), rows[:, 1] * np.float32(f0.hop_s), rows[:, 2])


def phrase(notes: Notes, seconds: float, rng: np.random.Generator) -> Notes | None:
    """A part of a song that somebody might hum: from the start of a phrase, about ``seconds`` long."""
    gaps = notes.start_s[1:] - notes.end_s[:-1]
    starts = np.concatenate([notes.start_s[:1], notes.start_s[1:][gaps > 0.3]])
    starts = starts[starts < notes.end_s[-1] - 0.7 * seconds]
    if len(starts) == 0:
        return None
    start = float(rng.choice(starts))
    part = notes.between(start, start + seconds).without_waits(0.6)
    return part if len(part) >= 8 else None


def long_hum(notes: Notes, seconds: float, rng: np.random.Generator) -> Notes:
    """What somebody hums who goes on: passages of 5 to 16 s from starts of phrases, with pauses of 0.2 to 2 s between
    them; after each, the next passage, the same once more, or any."""
    gaps = notes.start_s[1:] - notes.end_s[:-1]
    starts = np.concatenate([notes.start_s[:1], notes.start_s[1:][gaps > 0.3]])
    starts = starts[starts <= max(notes.start_s[0], notes.end_s[-1] - 4.0)]
    parts, now, at = [], 0.0, float(rng.choice(starts))
    while now < seconds:
        length = float(rng.uniform(5, 16))
        passage = notes.between(at, at + min(length, seconds - now + 1))
        passage = passage.without_waits(1.5 if rng.random() < 0.4 else 0.6)
        parts.append((passage.start_s + now, passage.end_s + now, passage.midi))
        now += float(passage.end_s[-1]) + float(rng.uniform(0.2, 2))
        after, way = starts[starts >= at + length - 0.5], rng.random()
        if way < 0.5 and len(after):
            at = float(after[0])
        elif way < 0.75:
            at = float(rng.choice(starts))
    return Notes(*(np.concatenate(column).astype(np.float32) for column in zip(*parts, strict=True)))


def _hums(songs: list[tuple[str, Notes]], each: int, length_s: tuple[float, float], seed: int) -> list[Any]:
    hums = []
    for row, (music_id, notes) in enumerate(songs):
        for take in range(each):
            rng = np.random.default_rng([seed, row, take])
            part = phrase(notes, float(rng.uniform(*length_s)), rng)
            if part is not None:
                hums.append((f"{music_id}_{take}", music_id, f0_of(perform(part, rng, HummerConfig()).hz)))
    return hums


def medley(data: Path) -> Suite:
    """Real multitracks' melodies, damaged as a tracker on the mix would; hums simulated from the undamaged."""
    import pyarrow.parquet as pq

    rows = pq.read_table(data / "medleydb_melody_f0.parquet").to_pylist()
    clean = [(row["music_id"], f0_of(row["hz"], row["hop_s"])) for row in rows]
    songs = [
        (music_id, f0_of(heard_in_mix(f0.hz, f0.hop_s, np.random.default_rng([1, i])), f0.hop_s))
        for i, (music_id, f0) in enumerate(clean)
    ]
    hums = _hums([(music_id, notes_of(f0)) for music_id, f0 in clean], 2, (10.0, 30.0), 2)
    return Suite("medley-mix-simulated", (*songs, *pop909(data)), tuple(hums))


def popmix(data: Path) -> Suite:
    """Each fifth even pop song damaged as a tracker on the mix would, the others clean; simulated hums of those."""
    songs, hummed = [], []
    for row, (music_id, f0) in enumerate(pop909(data)):
        chosen = int(music_id[3:]) % 10 == 4
        songs.append((music_id, f0_of(heard_in_mix(f0.hz, HOP_S, np.random.default_rng([3, row]))) if chosen else f0))
        hummed += [(music_id, notes_of(f0))] if chosen else []
    return Suite("pop-mix-simulated", tuple(songs), tuple(_hums(hummed, 2, (8.0, 25.0), 4)))


def poplong(data: Path) -> Suite:
    """Each fifth even pop song as a tracker of whatever is loudest would find it, fills in its rests and all, the
    others clean; simulated hums of 13 to 61 s that pause, repeat and go on elsewhere."""
    songs, hums = [], []
    for row, (music_id, f0) in enumerate(pop909(data)):
        rng = np.random.default_rng([6, row])
        if int(music_id[3:]) % 10 != 8:
            songs.append((music_id, f0))
            continue
        songs.append((music_id, f0_of(heard_in_mix(f0.hz, HOP_S, rng, float(rng.uniform(0.2, 0.8))))))
        part = long_hum(notes_of(f0), float(np.exp(rng.uniform(*np.log((13, 61))))), rng)
        hums.append((f"{music_id}_0", music_id, f0_of(perform(part, rng, HummerConfig()).hz)))
    return Suite("pop-long-simulated", tuple(songs), tuple(hums))


def mtc(data: Path) -> Suite:
    """Tune families: half of the variants are songs, at one nominal tempo; simulated hums of the other half, at a
    tempo that people sing. Any variant of the family is right."""
    songs, hums, seen = [], [], dict[str, int]()
    for row, tune in enumerate(lines(data / "mtc_ann.jsonl.gz")):
        family, notes = tune["family"], np.asarray(tune["notes_q"], dtype=np.float64)
        seen[family] = seen.get(family, 0) + 1
        if seen[family] % 2:
            songs.append((family, pitch_sequence_of(notes * [SHEET_S, SHEET_S, 1])))
            continue
        second = len(notes) / (notes[-1, 1] - notes[0, 0]) / 2.4  # 2.4 notes a second
        rng = np.random.default_rng([5, row])
        columns = (notes * [second, second, 1]).astype(np.float32).T
        part = phrase(Notes(*columns), float(rng.uniform(6, 15)), rng)
        if part is not None:
            hums.append((tune["tune"], family, f0_of(perform(part, rng, HummerConfig()).hz)))
    return Suite("mtc-variants-simulated", (*songs, *pop909(data)), tuple(hums))


SUITES: dict[str, Callable[[Path], Suite]] = {
    "humtrans-jdc-stp": lambda data: humtrans(data, "JDC-STP"),
    "humtrans-vocano": lambda data: humtrans(data, "VOCANO"),
    "mast-pass": lambda data: mast(data, "pass"),
    "mast-fail": lambda data: mast(data, "fail"),
    "medley-mix-simulated": medley,
    "pop-mix-simulated": popmix,
    "pop-long-simulated": poplong,
    "mtc-variants-simulated": mtc,
}


def main() -> None:
    """Write one suite as a data set: python -m benchmarks.accuracy.suites NAME --out DATA [--data FOLDER]"""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("suite", choices=list(SUITES))
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--hums", type=int, default=10**6, help="of the suite, drawn by a fixed seed")
    asked = parser.parse_args()
    suite = SUITES[asked.suite](folder(asked.data))
    chosen = np.sort(np.random.default_rng(0).permutation(len(suite.hums))[: asked.hums])
    hums = [Part(name, music_id, hz=_every_10_ms(f0)) for name, music_id, f0 in (suite.hums[i] for i in chosen)]
    songs = [Part(f"{row:05d}", music_id, hz=_every_10_ms(f0)) for row, (music_id, f0) in enumerate(suite.songs)]
    write_data(Corpus(tuple(hums), tuple(songs)), asked.out)


def _every_10_ms(f0: F0) -> Floats:
    rows = np.minimum((np.arange(round(f0.length_s / HOP_S)) * HOP_S / f0.hop_s).astype(int), len(f0.hz) - 1)
    hz: Floats = f0.hz[rows]
    return hz


if __name__ == "__main__":
    main()
