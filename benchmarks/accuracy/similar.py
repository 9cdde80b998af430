"""Sounds that find their like: what is learned without labels, beside what others know; and when trees begin to pay.

    python -m benchmarks.accuracy.similar --recordings FOLDER --index INDEX --out docs/labs/similar_tables.md

An hour of sound is rendered on the spot. With --recordings FOLDER: the folders fretsonfire, singularity and wesnoth, of
docs/labs/similar.md; INDEX: humfind index FOLDER --parts sound --out INDEX. Annoy is compared where it is installed
(pip install -e ".[bench]").
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from humfind.config import MorletConfig, SimilarLabConfig, TrainConfig
from humfind.data.importers import labelled_sounds
from humfind.data.importers.labelled_sounds import LABEL
from humfind.encoders.morlet import SoundModel
from humfind.encoders.sound import SoundEncoder
from humfind.index import Index
from humfind.index.sound import load_sound
from humfind.labs.similar import search, study
from humfind.labs.similar.study import Found, Material
from humfind.metrics import bootstrap, reciprocal
from humfind.notebooks import similar as lab
from humfind.retrieval.similar import SimilarSearcher
from humfind.training.deformations import KINDS

SEED = 0
STEPS = 300
SIZES, DIM, INNER, MIDDLES, SPREAD = (1_000, 10_000, 30_000, 100_000), 128, 16, 1_000, 0.35
ASKED, APART_S = 200, 10.0
ENOUGH = 0.9  # of the exact answer


def config() -> MorletConfig:
    train = TrainConfig(steps=STEPS, validate_every=STEPS // 4, learning_rate=5e-4, weight_decay=0.0, seed=SEED)
    return MorletConfig(train=train)


def rows(found: Mapping[str, Found], chance: float) -> list[str]:
    """MAP of the same label, how much more than the first row's, MRR of copies, then by kind."""
    first = next(iter(found.values()))
    lines = [
        "| | same label: MAP | more than the first | copies: MRR@10 | " + " | ".join(KINDS) + " |",
        "|---|---|---|---|" + "---:|" * len(KINDS),
    ]
    for name, one in found.items():
        more = "" if one is first else str(one.gain(first))
        kinds = [f"{one.copies.by_kind[kind].value:.3f}" for kind in KINDS]
        lines.append("| " + " | ".join([name, str(one.same.map), more, str(one.copies.overall), *kinds]) + " |")
    return [*lines, f"| random order | {chance:.3f} | | | " + " | ".join("" for _ in KINDS) + " |"]


def counts(given: Material) -> str:
    parts = ", ".join(f"{len(given.rows(name))} {name}" for name in study.SHARES)
    return f"{len(given.clips)} recordings ({parts}), {len(set(given.labels[LABEL]))} labels."


def of_rendered(folder: Path) -> tuple[list[str], SoundModel]:
    chosen = config()
    given = lab.make_material(SimilarLabConfig(seed=SEED), chosen, folder / "sounds")
    training, model = study.train(given, chosen, folder / "main")
    spaces = lab.compared(given, model)
    lines = ["", "## An hour of rendered sound", "", counts(given), ""]
    lines += [f"{STEPS} steps, {training.seconds:.0f} s, best at step {training.best_step}.", ""]
    lines += rows(spaces.found, spaces.chance)
    for found, chance, _, what in (lab.arithmetic(given, model), lab.named(given, spaces)):
        lines += ["", f"{what[0].upper()}{what[1:]}:", "", "| | |", "|---|---|"]
        lines += [f"| {name} | {value} |" for name, value in found.items()] + [f"| chance | {chance:.3f} |"]
    lines += ["", "What the training can do without:", ""]
    variants = {}
    for name, one in study.variants(chosen).items():
        trained = model if one == chosen else study.train(given, one, folder / name)[1]
        variants[name] = study.judge(given, study.by_segments(trained.embed, one))
    return lines + rows(variants, spaces.chance), model


def of_recordings(music: Path, model: SoundModel, folder: Path) -> list[str]:
    """Real recordings: which halves are of one track."""
    sounds = labelled_sounds.read(music)
    tracks = study.material(sounds, model.config, SEED)
    _, own = study.train(tracks, model.config, folder / "own")
    asked = tracks.take("asked")
    halves = tuple(part for clip in asked for part in (clip[: len(clip) // 2], clip[len(clip) // 2 :]))
    names = tuple(name for row in tracks.rows("asked") for name in 2 * [str(sounds.files[row])])
    given = replace(tracks, clips=halves, labels={LABEL: names}, part=("asked",) * len(halves))
    labels, part = (*tracks.label("learned"), *names), ("learned",) * len(tracks.rows("learned")) + given.part
    known = replace(tracks, clips=(*tracks.take("learned"), *halves), labels={LABEL: labels}, part=part)
    own_way = {"learned from other tracks of these": study.by_segments(own.embed, own.config)}
    first, *others = study.ways(known, model).items()
    ways = {"learned from rendered sound": first[1]} | own_way | dict(others)
    found = {name: study.judge(known, way) for name, way in ways.items()}
    lines = ["", "## Real recordings", "", f"{counts(tracks)} The first and the second half of a minute of each of the"]
    lines += [f"{len(asked)} asked: which is the other half?", "", *rows(found, study.chance(names))]
    return lines


def of_command(index: Index) -> list[str]:
    """``humfind similar``: a whole recording, and one place of three seconds."""
    searcher = SimilarSearcher.of(index, SoundEncoder())
    labels = {
        "folder": {song.music_id: song.music_id.split("/")[0] for song in index.songs},
        "artist": {song.music_id: song.artist for song in index.songs},
    }
    ranked = {}
    for row, song in enumerate(index.songs):
        vectors = index.vectors[index.recording == row]
        found = searcher.search(vectors, len(index.songs), without=frozenset({song.checksum}))
        ranked[song.music_id] = found.music_ids
    lines = [
        "",
        "## The command",
        "",
        f"`humfind similar`, {len(index.songs)} recordings, {len(index.vectors)} segments:",
        "",
    ]
    lines += ["| asked | found | | at random |", "|---|---|---|---:|"]
    for what, label in labels.items():
        asked_for = [music_id for music_id, name in label.items() if name and list(label.values()).count(name) > 1]
        right = {one: np.array([label[other] == label[one] for other in ranked[one]]) for one in asked_for}
        first = bootstrap(np.array([hits[0] for hits in right.values()], np.float64))
        places = [np.flatnonzero(hits) + 1 for hits in right.values()]
        mean = bootstrap(np.array([np.mean(np.arange(1, len(one) + 1) / one) for one in places]))
        random = float(np.mean([hits.mean() for hits in right.values()]))
        lines.append(f"| a recording ({len(right)}) | the first is of its {what} | {first} | {random:.3f} |")
        lines.append(f"| | all of its {what}: mean average precision | {mean} | {random:.3f} |")
    rng = np.random.default_rng(SEED)
    asked = rng.permutation(len(index.vectors))[: 2 * ASKED]
    every = study.unit(index.vectors[:])
    ranks = []
    for row in asked.tolist():
        near = (index.recording == index.recording[row]) & (np.abs(index.start_s - index.start_s[row]) < APART_S)
        cosines = np.where(near, -np.inf, every @ every[row])
        order = np.argsort(-cosines, kind="stable")[:10]
        same = np.flatnonzero(index.recording[order] == index.recording[row])
        ranks.append(int(same[0]) + 1 if len(same) else 0)
    far = f"others of the recording, {APART_S:.0f} s away or more: MRR@10"
    found_again = bootstrap(reciprocal(np.array(ranks)).astype(np.float64))
    return [*lines, f"| three seconds ({len(asked)}) | {far} | {found_again} | |"]


def made(count: int, rng: np.random.Generator) -> np.ndarray:
    """Vectors on the sphere about 1,000 middles, of 16 inner dimensions, in 128."""
    turned = np.linalg.qr(rng.standard_normal((DIM, INNER)))[0].T
    middles = np.random.default_rng(SEED).standard_normal((MIDDLES, INNER))
    inner = middles[rng.integers(MIDDLES, size=count)] + SPREAD * rng.standard_normal((count, INNER))
    return study.unit((inner @ turned).astype(np.float32))


def of_sizes(sizes: Sequence[int]) -> list[str]:
    lines = ["", "## When trees begin to pay", ""]
    lines += [f"Made vectors: {made.__doc__} {ASKED} queries, ten answers, one thread. Of each engine, the",
              f"quickest setting that finds {ENOUGH:.0%} of the exact answer, or the one that finds most.", "",
              "| vectors | engine | setting | overlap | ms a query | of exact search | built in |",
              "|---:|---|---|---:|---:|---:|---:|"]  # fmt: skip
    for size in sizes:
        rng = np.random.default_rng(SEED)
        vectors = made(size + ASKED, rng)
        timed = search.compare(vectors[:size], vectors[size:])
        exact = next(one for one in timed if one.family == "faiss exact")
        for family in dict.fromkeys(one.family for one in timed):
            mine = [one for one in timed if one.family == family]
            good = [one for one in mine if one.overlap.mean() >= ENOUGH]
            best = min(good, key=lambda one: one.ms) if good else max(mine, key=lambda one: float(one.overlap.mean()))
            lines.append(
                f"| {size:,} | {family} | {best.setting} | {best.overlap.mean():.3f} | {best.ms:.3f} | "
                f"{best.ms / exact.ms:.2f} | {best.build_s:.1f} s |"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--recordings", type=Path, help="a folder of real recordings, in folders")
    parser.add_argument("--index", type=Path, help="of these recordings, with a sound part")
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES), help="of the comparison of engines")
    given = parser.parse_args()
    lines = ["# A sound finds its like: tables", ""]
    command = (
        "python -m benchmarks.accuracy.similar --recordings FOLDER --index INDEX --out docs/labs/similar_tables.md"
    )
    lines += [f"    {command}", ""]
    lines += ["95 % bootstrap intervals over queries. Segments of 0.74 s; a recording is the mean of its segments."]
    with TemporaryDirectory() as folder:
        rendered, model = of_rendered(Path(folder))
        lines += rendered
        given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")
        if given.recordings:
            lines += of_recordings(given.recordings, model, Path(folder))
    if given.index:
        lines += of_command(load_sound(given.index))
    lines += of_sizes(given.sizes)
    given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
