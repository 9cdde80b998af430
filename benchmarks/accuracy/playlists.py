"""Tracks by their metadata, and playlists: which space keeps genres together, what a leak is worth, and the order.

    python -m benchmarks.accuracy.playlists --data FOLDER --index INDEX --out docs/labs/playlist_tables.md

FOLDER: spotify_hits_2000_2019.csv.gz (2,000 tracks). INDEX: real recordings with the parts sound and tracks, in folders
(docs/labs/similar.md). Tempo and key are asked of tunes that are rendered on the spot, whose tempo and key are known.
"""

from __future__ import annotations

import argparse
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from humfind.audio.load import resample
from humfind.audio.rhythm import tempo_bpm
from humfind.audio.tonality import key_of
from humfind.config import MorletConfig, TrackModelConfig
from humfind.data.importers import track_table
from humfind.experiment.plan import setting
from humfind.experiment.sweep import sweep
from humfind.index.sound import load_sound
from humfind.index.tracks import load_tracks
from humfind.labs.playlist import embeddings, study, tunes
from humfind.labs.playlist.study import Found
from humfind.labs.tags import tunes as rendered
from humfind.metrics import Interval, bootstrap
from humfind.retrieval.playlist import Playlists, key_gap, tempo_gap
from humfind.retrieval.tracks import RATE_HZ

SEED, LENGTH, TUNES, TUNE_S, EACH_MODE = 0, 15, 1000, 20.0, 30
EMBEDDED, EMBEDDED_S = 480, 10.0  # tunes that are known by their sound
HITS = "spotify_hits_2000_2019.csv.gz"


def rows(found: dict[str, Found]) -> list[str]:
    lines = [
        "| | of ten neighbours, those of the genre | genres kept together: Euclidean | cosine |",
        "|---|---|---|---|",
    ]
    for name, one in found.items():
        shares = one.separation
        lines.append(f"| {name} | {one.precision} | {shares.euclidean} | {shares.cosine} |")
    return lines


def of_table(title: str, path: str, folder: Path) -> list[str]:
    table = track_table.read(Path(path)) if path else tunes.table(tunes.danced())
    given = study.material(table, SEED)
    parts = ", ".join(f"{len(given.rows(name))} {name}" for name in study.SHARES)
    lines = ["", f"## {title}", "", f"{len(table)} tracks ({parts}), {given.kind.max() + 1} genres,"]
    chance = study.chance(given.kind[given.rows("asked")])
    lines += [f"{len(given.features.names)} columns of features. At random, {chance:.3f} of neighbours.", ""]
    config = TrackModelConfig()
    found = {
        "features": study.judge(given, given.features.values[given.rows("asked")]),
        "principal components": study.judge(given, study.untaught(given)),
        "principal components, the genre among them (a leak)": study.judge(given, study.untaught(given, leak=True)),
    }
    found |= study.compare(given, study.losses(config), folder / "losses")
    lines += [*rows(found), "", "ArcFace, of ten neighbours those of the genre, by scale and margin:", ""]
    words = ["task=tracks", setting("data.table", path), "loss=arcface", "scale=10.0,30.0,60.0"]
    kept = sweep([*words, "margin=0.0,0.25,0.5,0.75"], folder / "runs", many=True)
    margins = sorted({one.values["margin"] for one in kept})
    lines += ["| scale | " + " | ".join(f"margin {margin:g}" for margin in margins) + " |", "|---" * 5 + "|"]
    for scale in sorted({one.values["scale"] for one in kept}):
        mine = {one.values["margin"]: one.figures["precision@10"] for one in kept if one.values["scale"] == scale}
        lines.append(f"| {scale:g} | " + " | ".join(str(mine[margin]) for margin in margins) + " |")
    return lines


def of_sound(folder: Path) -> list[str]:
    """Tunes by their sound, and by metadata and sound."""
    sounds = embeddings.rendered(EMBEDDED, EMBEDDED_S, SEED)
    found = embeddings.embed(sounds, embeddings.ways(sounds, MorletConfig(), folder / "ours"))
    asked = sounds.given.rows("asked")
    lines = ["", "## Tunes by their sound", "", f"{len(sounds.recordings)} tunes of {embeddings.DANCES} dances,"]
    lines += [f"{EMBEDDED_S:.0f} s each, {len(asked)} of them asked. The seconds: of one call for 30 s of sound.", ""]
    judged = {name: embeddings.judged(sounds, one.vectors[asked]) for name, one in found.items()}
    lines += ["| | numbers | seconds |", "|---|---:|---:|"]
    lines += [f"| {name} | {one.vectors.shape[1]} | {one.seconds:.3f} |" for name, one in found.items()]
    best, chance = _best(judged), embeddings.chance(sounds)
    lines += ["", *_labels(judged, chance), "", f"Metadata and sound together (sound: {best}):", ""]
    return lines + _labels(
        embeddings.together(sounds, found[best].vectors, TrackModelConfig(), folder / "both"), chance
    )


def _best(judged: dict[str, dict[str, Interval]]) -> str:
    return max(judged, key=lambda name: judged[name][embeddings.PLAYER].value)


def _labels(found: dict[str, dict[str, Interval]], chance: dict[str, float]) -> list[str]:
    lines = ["| of ten neighbours, those that share | " + " | ".join(chance) + " |", "|---" * (len(chance) + 1) + "|"]
    lines += [f"| {name} | " + " | ".join(str(one[what]) for what in chance) + " |" for name, one in found.items()]
    return [*lines, "| at random | " + " | ".join(f"{value:.3f}" for value in chance.values()) + " |"]


def of_order(index: Path) -> list[str]:
    """Every track of a library asks for a playlist: are its tracks of the folder, and how far apart are neighbours?"""
    tracks = load_tracks(index)
    library = Playlists.of(tracks, load_sound(index))
    folder = [track.music_id.split("/")[0] for track in library.tracks]
    rng = np.random.default_rng(SEED)
    same, chance = [], []
    gaps: dict[str, list[list[float]]] = {"as ordered": [], "the same, shuffled": []}
    for row in range(len(library.tracks)):
        picks = library.make([row], min(LENGTH, folder.count(folder[row])))
        if len(picks) < 3:
            continue
        chosen = [library.find(pick.track.music_id) for pick in picks]
        same.append(np.mean([folder[one] == folder[row] for one in chosen[1:]]))
        chance.append((folder.count(folder[row]) - 1) / (len(folder) - 1))
        shuffled = [chosen[0], *rng.permutation(chosen[1:]).tolist()]
        for name, way in (("as ordered", chosen), ("the same, shuffled", shuffled)):
            gaps[name].append(np.mean([steps(library, *pair) for pair in pairwise(way)], axis=0).tolist())
    lines = [
        "",
        "## Playlists of real recordings",
        "",
        f"{len(library.tracks)} recordings; each asks for a playlist of",
    ]
    lines += [f"{LENGTH} tracks, or as many as its folder has. Of its other tracks are of the same folder:"]
    lines += [f"{bootstrap(np.array(same))}; at random {np.mean(chance):.3f}.", ""]
    lines += ["| from a track to the next | tempo, octaves | key, fifths | sound, cosine |", "|---|---:|---:|---:|"]
    for name, values in gaps.items():
        tempo, key, sound = np.mean(values, axis=0)
        lines.append(f"| {name} | {tempo:.3f} | {key:.2f} | {sound:.2f} |")
    return lines


def steps(library: Playlists, a: int, b: int) -> tuple[float, float, float]:
    one, other = library.tracks[a], library.tracks[b]
    return tempo_gap(one, other), key_gap(one, other), float(library.means[a] @ library.means[b])


def of_tunes() -> list[str]:
    """Tempo and key of rendered tunes; tempo as it is, and where half and double count."""
    bands = [one for one in rendered.choose(TUNES, SEED + 7) if one.ensemble == "band"]
    chosen = [one for minor in (True, False) for one in [x for x in bands if x.tune.minor == minor][:EACH_MODE]]
    sounds = rendered.render(chosen, TUNE_S, SEED + 7)
    exact, octave, mode = [], [], []
    for one, sound in zip(chosen, sounds, strict=True):
        samples = resample(sound, RATE_HZ).samples
        low, high = rendered.TEMPOS[one.tempo]
        heard = tempo_bpm(samples, RATE_HZ)
        exact.append(0.96 * low <= heard <= 1.04 * high)
        octave.append(any(0.96 * low <= heard * factor <= 1.04 * high for factor in (0.5, 1, 2)))
        found = key_of(samples, RATE_HZ)
        mode.append(found is not None and found[1] == one.tune.minor)  # its tonic was moved with the register
    lines = [
        "",
        "## Tempo and mode of rendered tunes",
        "",
        f"{len(chosen)} tunes played by a band, {TUNE_S:.0f} s each.",
        "",
    ]
    lines += ["| | share |", "|---|---|", f"| tempo within its range | {bootstrap(np.array(exact, float))} |"]
    lines += [f"| the same, half and double counted | {bootstrap(np.array(octave, float))} |"]
    return [
        *lines,
        f"| major or minor ({sum(one.tune.minor for one in chosen)} in minor) | {bootstrap(np.array(mode, float))} |",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--index", type=Path, help="real recordings, with the parts sound and tracks")
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    lines = ["# Tracks by their metadata: tables", ""]
    command = "python -m benchmarks.accuracy.playlists --data FOLDER --index INDEX --out docs/labs/playlist_tables.md"
    lines += [
        f"    {command}",
        "",
        "On tracks that no training saw; 95 % bootstrap intervals over tracks, and over genres.",
    ]
    with TemporaryDirectory() as folder:
        lines += of_table("Hits of 2000 to 2019", str(given.data / HITS), Path(folder) / "hits")
        lines += of_table("Tunes of the old books", "", Path(folder) / "tunes")
        lines += of_sound(Path(folder) / "sound")
    lines += of_tunes()
    if given.index:
        lines += of_order(given.index)
    given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
