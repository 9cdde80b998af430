"""What a song costs on its way into an index, stage by stage: processor seconds, operations, and bytes that are kept.

    python -m benchmarks.speed.stages --data FOLDER --out docs/performance/stages.json

Songs as ``benchmarks.accuracy.mixes`` renders them, a minute each, as mp3; all figures are of ``SONG_S``, by one
thread, the mean of the songs. FOLDER: see benchmarks/accuracy/suites.py. Operations are those of the networks' products
and sums, as torch counts them; SwiftF0's, which onnxruntime runs, are not counted.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.accuracy import mixes
from benchmarks.accuracy.rankers import table
from benchmarks.speed.search import MFLOP_A_WINDOW
from benchmarks.speed.side_by_side import ceilings, machine
from humfind.audio import separate
from humfind.audio.load import stream
from humfind.audio.separate import VoiceSeparator
from humfind.audio.spans import spans
from humfind.config import F0Config
from humfind.f0 import make_tracker, swiftf0, track_file
from humfind.f0.salience import MelodyLine, load_network
from humfind.f0.store import StoredF0, write_part
from humfind.index import Song
from humfind.retrieval import search
from humfind.retrieval.checkpoints import load_model
from humfind.runtime.files import atomic_write_json
from humfind.types import F0, Floats

SONG_S = 210.0
MILLION_HOURS = 1_000_000 / 3600


def measured(data: Path, count: int) -> list[dict[str, Any]]:
    """A row a stage. count: songs that are sung, and as many that are played."""
    model, _ = load_model("pretrained")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        sung, played = (songs(Path(folder) / str(share), data, count, share) for share in (1.0, 0.0))
        both = [*sung, *played]
        size = mean(path.stat().st_size for path in both)
        decoded = seconds(lambda path: last(stream(path, separate.RATE_HZ)), both)
        rows.append(row("decoded and resampled", decoded, 0.0, size, "the mp3 itself"))
        separator = VoiceSeparator(1)
        separated = seconds(lambda path: last(separator.voice(stream(path, separate.RATE_HZ))), both) - decoded
        rows.append(row("voice separated", separated, operations(both[0], voice_of), 0))
        tracker = make_tracker(F0Config(tracker="mix", threads=1), "song")
        lines: dict[Path, F0] = {}
        for kind, paths in (("sung", sung), ("played", played)):
            spent = seconds(lambda path: lines.update({path: track_file(tracker, path)}), paths) - decoded - separated
            kept = mean(stored(Path(folder), lines[path]) for path in paths)
            done = operations(paths[0], salience_of) if kind == "played" else float("nan")
            rows.append(row(f"f0 of what is {kind}", spent, done, kept, "f0 store"))
        made = [search.build_index([(Song("song"), line)], model) for line in lines.values()]
        embedded = seconds(lambda line: search.build_index([(Song("song"), line)], model), list(lines.values()))
        windows = mean(len(index.vectors) for index in made)
        made[0].save(Path(folder) / "index")
        here = [path.stat().st_size for path in (Path(folder) / "index").iterdir() if path.suffix == ".npy"]
        rows.append(row("windows to vectors", embedded, windows * MFLOP_A_WINDOW / 1e3, sum(here), "index"))
    return rows


def songs(folder: Path, data: Path, count: int, share: float) -> list[Path]:
    """A minute each, as mp3. share: of them that are sung."""
    folder.mkdir()
    found = []
    for song in mixes.render(folder, data, count, sung=share)[0]:
        sound, rate_hz = soundfile.read(song.path, dtype="float32")
        found.append(song.path.with_suffix(".mp3"))
        soundfile.write(found[-1], sound, rate_hz, format="MP3")
    return found


def row(stage: str, spent_s: float, gflop: float, kept: float, what: str = "") -> dict[str, Any]:
    """All of a minute."""
    longer = SONG_S / mixes.LENGTH_S
    return {
        "stage": stage,
        "processor s": round(longer * spent_s, 2),
        "GFLOP": None if np.isnan(gflop) else round(longer * gflop, 1),
        "kB": round(longer * kept / 1e3, 1),
        "of": what,
        "a million songs, processor hours": round(longer * spent_s * MILLION_HOURS),
    }


def mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def seconds(work: Callable[[Any], Any], of: list[Any]) -> float:
    """Of the processor, in the mean; the first is done once more before."""
    work(of[0])
    started = time.process_time()
    for one in of:
        work(one)
    return (time.process_time() - started) / len(of)


def last(blocks: Iterator[Floats]) -> None:
    for _ in blocks:
        pass


def operations(path: Path, work: Callable[[Floats], Any]) -> float:
    """1e9 of them."""
    sound = np.concatenate(list(stream(path, separate.RATE_HZ)))
    with FlopCounterMode(display=False) as counter:
        work(sound)
    return float(counter.get_total_flops()) / 1e9


def voice_of(sound: Floats) -> None:
    """In this thread, which is where operations are counted."""
    separator = VoiceSeparator(1)
    length = (separate.FRAMES - 1) * separate.HOP + separate.FFT
    for span, _ in spans([sound], separate.HOP, separate.FRAMES - 2 * separate.MARGIN, 0, length):
        separator._separate(span)


def salience_of(sound: Floats) -> None:
    import soxr

    line = MelodyLine(load_network(), 0.01)
    line.push(soxr.resample(sound, separate.RATE_HZ, swiftf0.RATE_HZ))
    line.finish()


def stored(folder: Path, line: F0) -> int:
    """Bytes of it in an f0 store."""
    part = write_part(folder, 0, [StoredF0("song.mp3", "song", line, "0" * 64)])
    return part.stat().st_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--songs", type=int, default=6, help="sung, and as many played")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows = measured(given.data, given.songs)
    print(table(rows))
    if given.out:
        about = {"machine": machine(), "ceilings": ceilings(), "song_s": SONG_S, "songs": 2 * given.songs}
        atomic_write_json(given.out, about | {"stages": rows})


if __name__ == "__main__":
    main()
