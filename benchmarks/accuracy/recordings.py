"""Real recordings: hums of the guitar's lines in songs whose guitar is a stem of its own, searched among other music.

    python -m benchmarks.accuracy.recordings --songs FOLDER [--music FOLDER ...] [--hums 3] [--out FILE.md]

--songs: songs of Frets on Fire, each a folder with ``song.ogg`` and ``guitar.ogg`` (Debian's package
fretsonfire-songs-sectoid); the two are mixed and indexed as the tracks of one folder, with the recordings of --music
(Debian's singularity-music, wesnoth-1.16-music). A hum: 8 to 14 s of what SwiftF0 finds in the guitar alone, hummed by
the simulated hummer, as 16 kHz wav. A row a hum: where it is from, and at which rank its song is found, by each tracker
of the folder; "guitar alone": by SwiftF0, the songs' guitars in place of their mixes.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.accuracy import suites
from benchmarks.accuracy.rankers import table
from humfind import metrics
from humfind.audio.load import load
from humfind.config import F0Config, HummerConfig
from humfind.f0 import make_tracker, track_file
from humfind.retrieval.indexing import write_index
from humfind.retrieval.searcher import search_files
from humfind.synth import voice
from humfind.synth.hum import perform

HUM_S = (8.0, 14.0)
FEWEST_NOTES = 12
HUMMER = HummerConfig()
ALONE = "guitar alone"


def mixed(song: Path, out: Path) -> None:
    """The song as a player would sound it."""
    band, guitar = load(song / "song.ogg"), load(song / "guitar.ogg")
    n = min(len(band.samples), len(guitar.samples))
    both = band.samples[:n] + guitar.samples[:n]
    with soundfile.SoundFile(out, "w", band.rate_hz, 1) as file:
        file.write(0.9 * both / np.abs(both).max())


def hums_of(song: Path, count: int, folder: Path) -> list[tuple[Path, float]]:
    """(wav, second of the song) of hums of what the guitar plays."""
    notes = suites.notes_of(track_file(make_tracker(F0Config(tracker="swiftf0")), song / "guitar.ogg"))
    rng = np.random.default_rng(sum(song.name.encode()))
    made: list[tuple[Path, float]] = []
    for _ in range(50 * count):
        start_s = float(rng.choice(notes.start_s))
        part = notes.between(start_s, start_s + float(rng.uniform(*HUM_S)))
        played = float((part.end_s - part.start_s).sum() / max(part.end_s[-1], 1e-9)) if len(part) else 0.0
        if len(part) < FEWEST_NOTES or len(np.unique(np.round(part.midi))) < 4 or played < 0.6:
            continue
        if any(abs(start_s - other) < HUM_S[1] for _, other in made):
            continue
        wav = folder / f"{song.name}-{len(made)}.wav"
        soundfile.write(wav, voice.render(perform(part, rng, HUMMER), rng, HUMMER), HUMMER.rate_hz)
        made.append((wav, start_s))
        if len(made) == count:
            break
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--songs", type=Path, required=True)
    parser.add_argument("--music", type=Path, nargs="*", default=[])
    parser.add_argument("--hums", type=int, default=3, help="of each song")
    parser.add_argument("--trackers", nargs="*", default=[ALONE, "swiftf0", "mix"])
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        music, guitars, hums = (Path(place) / name for name in ("music", "guitars", "hums"))
        for folder in (music, guitars, hums):
            folder.mkdir()
        for folder in asked.music:
            shutil.copytree(folder, music / folder.name)
            shutil.copytree(folder, guitars / folder.name)
        rows = []
        for song in sorted(path.parent for path in asked.songs.glob("*/guitar.ogg")):
            mixed(song, music / f"{song.name}.flac")
            shutil.copy(song / "guitar.ogg", guitars / f"{song.name}.ogg")
            for wav, start_s in hums_of(song, asked.hums, hums):
                rows.append({"song": song.name, "hum of": f"{start_s:.0f} s", "wav": str(wav)})
        summary = []
        for name in asked.trackers:
            index = Path(place) / name
            tracks, tracker = (guitars, "swiftf0") if name == ALONE else (music, name)
            made, skipped = write_index(tracks, index, "public_test", None, "pretrained", F0Config(tracker=tracker))
            _, searched, reasons = search_files([Path(row["wav"]) for row in rows], index)
            if reasons or skipped:
                raise SystemExit("\n".join([*reasons, *(f"{path}: {reason}" for path, reason in skipped)]))
            ranks = []
            for row, one in zip(rows, searched, strict=True):
                ids = one.ranking.music_ids
                rank = ids.index(row["song"]) + 1 if row["song"] in ids else 0
                ranks.append(rank)
                row[f"rank, {name}"] = str(rank or "-")
                row[f"verdict, {name}"] = str(one.ranking.verdict)
            report = metrics.report(np.array(ranks), len(made.music_ids))
            summary.append({"tracker": name, "hums": report.queries, "songs": report.songs, "MRR@10": str(report.mrr),
                            "top-1": str(report.top1), "chance": f"{metrics.chance(report.songs):.2f}"})  # fmt: skip
    told = table(summary) + "\n\n" + table([{k: v for k, v in row.items() if k != "wav"} for row in rows])
    print(told)
    if asked.out:
        asked.out.write_text(told + "\n")


if __name__ == "__main__":
    main()
