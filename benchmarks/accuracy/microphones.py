"""What rooms and phones do to a hum: the pitch that each tracker finds, and the song that is found by it.

    python -m benchmarks.accuracy.microphones [--data FOLDER] [--hums 30] [--trackers NAME ...] [--out FILE.md]

Hums: simulated, 6 to 16 s, of phrases of POP909's even numbers (FOLDER: see benchmarks/accuracy/suites.py), each with
every disturbance of ``humfind.synth.microphone`` at its default level, and as the low-rate Opus and AAC of a phone.
Songs: POP909's melodies. A row a disturbance and tracker: raw pitch accuracy (mir_eval), the share of rests that the
tracker gives a pitch (voicing false alarm), the same as it is searched, without mains hum (``humfind.melody.mains``),
and MRR@10 of ``fusion`` with ``--model pretrained``. pip install mir_eval.
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.accuracy import suites
from benchmarks.accuracy.rankers import table
from humfind import metrics
from humfind.config import F0Config, HummerConfig, RankConfig
from humfind.f0 import make_tracker, track_file
from humfind.index import Song
from humfind.melody.mains import without_mains
from humfind.rankers import make_ranker
from humfind.retrieval import search
from humfind.retrieval.checkpoints import load_model
from humfind.synth import microphone, voice
from humfind.synth.hum import perform
from humfind.types import F0, Floats

LENGTH_S = (6.0, 16.0)
HUMMER = replace(HummerConfig(), snr_db=(35.0, 45.0))  # what disturbs is added here
TRACKERS = ("torchcrepe", "torchcrepe:viterbi", "swiftf0")
CODECS = {"opus, 12 kbit/s": ("ogg", "libopus", 12_000, 48_000), "aac, 24 kbit/s": ("mp4", "aac", 24_000, 44_100)}


def encode(path: Path, sound: Floats, rate_hz: int, codec: str) -> Path:
    """As a phone's file; returns its path."""
    import av

    form, name, bits, native_hz = CODECS[codec]
    out = path.with_suffix(".ogg" if form == "ogg" else ".m4a")
    with av.open(str(out), "w", format=form) as container:
        stream = container.add_stream(name, rate=native_hz, layout="mono", bit_rate=bits)
        whole = av.AudioFrame.from_ndarray(sound[None].astype(np.float32), format="flt", layout="mono")
        whole.sample_rate = rate_hz
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=native_hz)
        fifo = av.AudioFifo()
        for frame in (*resampler.resample(whole), *resampler.resample(None)):
            frame.pts = None
            fifo.write(frame)
        while frame := fifo.read(stream.frame_size or 960, partial=True):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out


def record(folder: Path, data: Path, hums: int) -> list[tuple[str, Path, str, Floats]]:
    """(disturbance, file, right music_id, what was sung in Hz every 10 ms), every hum with every disturbance."""
    even = [(name, f0) for name, f0 in suites.pop909(data) if int(name[3:]) % 2 == 0]
    made, count = [], 0
    for row in np.random.default_rng(16).permutation(len(even)):
        rng = np.random.default_rng([17, int(row)])
        name, f0 = even[row]
        part = suites.phrase(suites.notes_of(f0), float(rng.uniform(*LENGTH_S)), rng)
        if part is None:
            continue
        performance = perform(part, rng, HUMMER)
        clean, rate_hz = voice.render(performance, rng, HUMMER), HUMMER.rate_hz
        path = folder / f"{count:02d}.wav"
        for kind, disturb in {"clean": None, **microphone.DISTURBANCES}.items():
            file = path.with_stem(f"{path.stem}-{kind.replace(' ', '-')}")
            soundfile.write(file, disturb(clean, rate_hz, rng) if disturb else clean, rate_hz)
            made.append((kind, file, name, performance.hz))
        for codec in CODECS:
            file = encode(path.with_stem(f"{path.stem}-{codec.partition(',')[0]}"), clean, rate_hz, codec)
            made.append((codec, file, name, performance.hz))
        count += 1
        if count == hums:
            break
    return made


def accuracy(sung: Floats, found: F0) -> tuple[float, float]:
    """Raw pitch accuracy, voicing false alarm."""
    from mir_eval import melody

    n = min(len(sung), len(found.hz))
    times, hz = np.arange(n) * 0.01, found.hz[:n].astype(float)
    estimated = np.where(found.voiced[:n], hz, -hz)
    scores = melody.evaluate(times, sung[:n].astype(float), times, estimated)
    return float(scores["Raw Pitch Accuracy"]), float(scores["Voicing False Alarm"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--hums", type=int, default=30)
    parser.add_argument("--trackers", nargs="*", default=list(TRACKERS))
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    model, _ = load_model("pretrained")
    data = suites.folder(asked.data)
    index = search.build_index([(Song(name), f0) for name, f0 in suites.pop909(data)], model)
    ranker = make_ranker(RankConfig(), index)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        made = record(Path(folder), data, asked.hums)
        for name in asked.trackers:
            kind, _, decoder = name.partition(":")
            tracker = make_tracker(F0Config(tracker=kind, decoder=decoder or "weighted"), "hum")
            lines = {file: track_file(tracker, file) for _, file, _, _ in made}
            for disturbance in dict.fromkeys(kind for kind, *_ in made):
                chosen = [(file, right, sung) for kind, file, right, sung in made if kind == disturbance]
                exact = np.array([accuracy(sung, lines[file]) for file, _, sung in chosen])
                searched = np.array([accuracy(sung, without_mains(lines[file])) for file, _, sung in chosen])
                answers = {file.name: right for file, right, _ in chosen}
                queries = [search.make_query(file.name, lines[file], model) for file, _, _ in chosen]
                ranks = search.ranks_of(search.rank_all(queries, index, ranker), answers)
                report = metrics.report(ranks, len(index.music_ids))
                rows.append(
                    {
                        "disturbance": disturbance,
                        "tracker": name.replace(":", ", "),
                        "hums": report.queries,
                        "songs": report.songs,
                        "raw pitch": f"{exact[:, 0].mean():.2f}",
                        "voiced in rests": f"{exact[:, 1].mean():.2f}",
                        "as searched": f"{searched[:, 1].mean():.2f}",
                        "MRR@10": str(report.mrr),
                        "top-1": str(report.top1),
                    }
                )
                print(rows[-1], flush=True)
    rows.sort(key=lambda row: list(dict.fromkeys(kind for kind, *_ in made)).index(row["disturbance"]))
    print(table(rows))
    if asked.out:
        asked.out.write_text(table(rows) + "\n")


if __name__ == "__main__":
    main()
