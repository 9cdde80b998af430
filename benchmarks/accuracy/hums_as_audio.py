"""From a hum's sound to the song, tracker by tracker, where the songs are sheets whose tempo is not known.

    python -m benchmarks.accuracy.hums_as_audio [--data FOLDER] [--hums 60] [--trackers NAME ...] [--out FILE.md]

Songs: 2,000 tunes of the Essen collection, every quarter note half a second long whatever the tune, and POP909 (FOLDER:
see benchmarks/accuracy/suites.py). Hums: simulated, of a phrase of an Essen tune at a tempo that people sing, made into
sound with breath, room and microphone, and written as wav files of 8 to 44.1 kHz, mono and stereo. A row a tracker:
MRR@10 of
``fusion`` with ``--model pretrained``; first, for comparison, the f0 that was sung. No tune is one that the encoder
learned from but POP909's odd numbers, which are nobody's answer.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile
import soxr

from benchmarks.accuracy import suites
from benchmarks.accuracy.rankers import table
from humfind import metrics
from humfind.config import F0Config, HummerConfig, RankConfig
from humfind.f0 import make_tracker, track_file
from humfind.index import Song
from humfind.rankers import make_ranker
from humfind.retrieval import search
from humfind.retrieval.checkpoints import load_model
from humfind.synth import voice
from humfind.synth.hum import perform
from humfind.types import F0, Ints

RATES_HZ = (8_000, 11_025, 16_000, 22_050, 44_100)
LENGTH_S = (6.0, 16.0)
QUARTER_S = 0.5
TRACKERS = ("torchcrepe", "torchcrepe:viterbi", "swiftf0", "pyin")
HUMMER = HummerConfig()


def record(folder: Path, hums: int) -> list[tuple[Path, str, F0]]:
    """Write the hums: (wav, right music_id, what was sung). Tunes and takes are drawn by a fixed seed."""
    sung = suites.folk()
    made = []
    for row in np.random.default_rng(6).permutation(len(sung)):
        rng = np.random.default_rng([7, int(row)])
        part = suites.phrase(suites.notes_of(sung[row][1]), float(rng.uniform(*LENGTH_S)), rng)
        if part is None:
            continue
        performance = perform(part, rng, HUMMER)
        sound = voice.render(performance, rng, HUMMER)
        rate_hz = RATES_HZ[len(made) % len(RATES_HZ)]
        sound = soxr.resample(sound, HUMMER.rate_hz, rate_hz)
        path = folder / f"{len(made):03d}.wav"
        channels = np.stack([sound, 0.7 * sound], axis=1) if len(made) % 2 else sound
        soundfile.write(path, channels, rate_hz)
        made.append((path, sung[row][0], suites.f0_of(performance.hz)))
        if len(made) == hums:
            break
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--hums", type=int, default=60)
    parser.add_argument("--trackers", nargs="*", default=list(TRACKERS))
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    model, _ = load_model("pretrained")
    sheets = [*suites.folk(quarter_s=QUARTER_S), *suites.pop909(suites.folder(asked.data))]
    index = search.build_index([(Song(name), f0) for name, f0 in sheets], model)
    ranker = make_ranker(RankConfig(), index)
    ranks: dict[str, Ints] = {}
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        made = record(Path(folder), asked.hums)
        answers = {path.name: right for path, right, _ in made}
        length_s = sum(f0.length_s for _, _, f0 in made)
        for name in ("what was sung", *asked.trackers):
            clock = time.process_time()
            if name == "what was sung":
                heard = [f0 for _, _, f0 in made]
            else:
                kind, _, decoder = name.partition(":")
                tracker = make_tracker(F0Config(tracker=kind, decoder=decoder or "weighted"))
                heard = [track_file(tracker, path) for path, _, _ in made]
            spent = time.process_time() - clock
            queries = [search.make_query(path.name, f0, model) for (path, _, _), f0 in zip(made, heard, strict=True)]
            ranks[name] = search.ranks_of(search.rank_all(queries, index, ranker), answers)
            report = metrics.report(ranks[name], len(index.music_ids))
            gap = metrics.paired_difference(ranks[name], ranks["what was sung"])
            rows.append(
                {
                    "tracker": name.replace(":", ", "),
                    "hums": report.queries,
                    "songs": report.songs,
                    "MRR@10": str(report.mrr),
                    "top-1": str(report.top1),
                    "top-10": str(report.top10),
                    "minus what was sung": "" if name == "what was sung" else str(gap),
                    "CPU s a second of sound": "" if name == "what was sung" else f"{spent / length_s:.3f}",
                }
            )
            print(rows[-1], flush=True)
    print(table(rows))
    if asked.out:
        asked.out.write_text(table(rows) + "\n")


if __name__ == "__main__":
    main()
