"""Words to music: which tower knows which tags, how triplets are drawn, which vectors of words.

    python -m benchmarks.accuracy.tags --data FOLDER --recordings INDEX --out docs/labs/tags_tables.md

FOLDER: jamendo_moodtheme.tsv.gz and jamendo_instrument.tsv.gz (MTG-Jamendo, Bogdanov et al. 2019). Tunes of the old
books are rendered and heard on the spot. With --recordings INDEX: the folders fretsonfire, singularity and wesnoth, of
docs/accuracy/recordings.md, indexed with their sound. Vectors of general English need the extra ``words``.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from humfind.config import TagModelConfig, TagsLabConfig, TrainConfig
from humfind.data.importers import jamendo
from humfind.encoders.sound import SoundEncoder
from humfind.encoders.tag_model import TagModel
from humfind.index.sound import load_sound
from humfind.labs.tags import preparation, study, tunes
from humfind.labs.tags.study import Found, Material
from humfind.metrics.relevance import average_precision
from humfind.notebooks import tags as lab
from humfind.retrieval.words import WordSearcher
from humfind.types import InputError

TRACKS, CNN_TRACKS = 640, 320
SEED = 0
FOLDERS = {"metal": "fretsonfire", "rock guitar": "fretsonfire", "electronic": "singularity", "techno": "singularity",
           "synth": "singularity", "classical": "wesnoth", "strings": "wesnoth"}  # fmt: skip
JAMENDO = ("jamendo_moodtheme.tsv.gz", "jamendo_instrument.tsv.gz")


def config(steps: int, **changes: object) -> TagModelConfig:
    train = TrainConfig(steps=steps, validate_every=steps // 4, learning_rate=1e-3, weight_decay=0.0, seed=SEED)
    return replace(TagModelConfig(train=train), **changes)


def rows(found: Mapping[str, Found], chance: float | None = None) -> list[str]:
    """A table: MAP, how much more than the first row's, precision@10, then MAP of each category."""
    first = next(iter(found.values()))
    kinds = list(first.by_category)
    lines = [
        "| | MAP | more than the first | P@10 | " + " | ".join(kinds) + " |",
        "|---|---|---|---|" + "---:|" * len(kinds),
    ]
    for name, one in found.items():
        more = "" if one is first else str(one.gain(first))
        cells = [name, str(one.report.map), more, str(one.report.precision)]
        lines.append("| " + " | ".join([*cells, *(f"{one.by_category[kind].value:.3f}" for kind in kinds)]) + " |")
    if chance is not None:
        lines.append(f"| random order | {chance:.3f} | | | " + " | ".join("" for _ in kinds) + " |")
    return lines


def heading(title: str, given: Material) -> list[str]:
    counts = ", ".join(f"{len(given.table.rows(name))} {name}" for name in preparation.SHARES)
    return ["", f"## {title}", "", f"{len(given.table.tracks)} tracks ({counts}), {len(given.table.tags)} tags.", ""]


def of_tunes(folder: Path) -> list[str]:
    given = lab.make_material(TagsLabConfig(tracks=TRACKS, seed=SEED), TagModelConfig()).given
    test = given.part("test")
    lines = heading("Tunes of the old books", given)
    _, gated = study.train(given, config(1600), folder / "gated")
    towers = study.compare(given, study.towers(gated.config, True), folder / "towers", trained=gated)
    lines += rows(towers, study.chance(test.has, given.tracks.category))
    lines += ["", "How triplets are drawn (gated):", ""]
    lines += rows(study.compare(given, study.samplings(gated.config), folder / "samplings", trained=gated))
    lines += ["", "Vectors of words (gated):", ""]
    lines += rows(words(given, gated, folder))
    lines += ["", f"The sound alone, by the frozen networks or by a CNN that learns ({CNN_TRACKS} tunes):", ""]
    few = TagsLabConfig(tracks=CNN_TRACKS, seed=SEED)
    heard = {}
    for acoustic in ("musicnn", "cnn"):
        mine = lab.make_material(few, TagModelConfig(acoustic=acoustic)).given
        learned = config(400, song="spec", acoustic=acoustic, triplets=64)
        heard |= study.compare(mine, {acoustic: learned}, folder / "acoustic")
    lines += rows(heard)
    return lines + zero_shot(given)


def words(given: Material, trained: TagModel, folder: Path) -> dict[str, Found]:
    """The same tracks, tags as music or general English has them."""
    found = {}
    for kind in ("music", "general"):
        try:
            mine = study.material(given.table, given.tracks.sound, kind, SEED)
        except InputError as error:
            print(error)
            continue
        found |= study.compare(mine, {kind: replace(trained.config, words=kind)}, folder / "words", trained=trained)
    return found


def zero_shot(given: Material) -> list[str]:
    """What musicnn says of tags that it knows by name, beside nothing learned here."""
    encoder = SoundEncoder()
    shared = [tag for tag in given.table.tags if tag in encoder.tags]
    part = given.part("test")
    columns = [given.table.tags.index(tag) for tag in shared]
    odds = encoder.log_odds(part.sound)[:, [encoder.tags.index(tag) for tag in shared]]
    category = {tag: given.table.category[tag] for tag in shared}
    found = study.judged(odds, part.has[:, columns], category)
    return ["", f"musicnn's own tags, nothing learned here ({', '.join(shared)}):", "", *rows({"musicnn": found})]


def of_mode() -> list[str]:
    """Major against minor, fitted on tunes of another seed."""
    chosen = tunes.choose(CNN_TRACKS, SEED + 3)
    minor = np.array([one.tune.minor for one in chosen])
    better = np.array(
        [np.diff(heard[-2:])[0] for heard in study.heard(tunes.render(chosen, 9.0, SEED + 3), SoundEncoder())]
    )
    fitted = LogisticRegression(C=100, class_weight="balanced").fit(better[:, None], minor)
    area = roc_auc_score(minor, better)
    said = f"slope {fitted.coef_[0, 0]:.1f}, at equal {fitted.intercept_[0]:.2f}; area under ROC {area:.3f}"
    return ["", "## Mode", "", f"{len(chosen)} tunes, {minor.sum()} in minor: {said}."]


def of_recordings(index: Path) -> list[str]:
    """Real recordings, whose folders say what they are: how high a word of one puts its folder."""
    songs = load_sound(index)
    searcher = WordSearcher.of(songs, SoundEncoder())
    lines = ["", "## Real recordings", "", f"{len(songs.music_ids)} recordings, nothing learned here.", ""]
    lines += [
        "| words | folder | recordings of it | average precision | of the first ten |",
        "|---|---|---:|---:|---:|",
    ]
    for words, folder in FOLDERS.items():
        right = [music_id for music_id in songs.music_ids if music_id.startswith(f"{folder}/")]
        ranked = searcher.search(words, len(songs.music_ids)).music_ids
        precision = average_precision(ranked, right)
        lines.append(f"| {words} | {folder} | {len(right)} | {precision:.2f} | {len(set(ranked[:10]) & set(right))} |")
    return lines


def of_jamendo(data: Path, folder: Path) -> list[str]:
    table = preparation.prepared(jamendo.read([data / name for name in JAMENDO]), 100)
    table = preparation.split(table, SEED)
    preparation.require_no_leak(table)
    given = study.material(table, np.zeros((len(table.tracks), 0), np.float32), "music", SEED)
    test = given.part("test")
    lines = heading("MTG-Jamendo: who stands with whom", given)
    _, trained = study.train(given, config(3000, song="cf"), folder / "cf")
    found = study.compare(given, study.samplings(trained.config), folder / "jamendo", trained=trained)
    lines += rows(found, study.chance(test.has, given.tracks.category, 3))
    lines += ["", "Vectors of words (balanced-weighted):", "", *rows(words(given, trained, folder / "jamendo"))]
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", choices=("tunes", "jamendo", "mode", "recordings"))
    parser.add_argument("--recordings", type=Path, help="an index with a sound part, of real recordings")
    given = parser.parse_args()
    lines = [
        "# Words to music: tables",
        "",
        "    python -m benchmarks.accuracy.tags --data FOLDER --recordings INDEX --out docs/labs/tags_tables.md",
    ]
    lines += [
        "",
        "MAP and precision@10 over tags, on test tracks, 95 % bootstrap intervals over tags; then each category's MAP.",
    ]
    with TemporaryDirectory() as folder:
        if given.only in (None, "tunes"):
            lines += of_tunes(Path(folder))
        if given.only in (None, "jamendo"):
            lines += of_jamendo(given.data, Path(folder))
        if given.only in (None, "mode"):
            lines += of_mode()
    if given.recordings:
        lines += of_recordings(given.recordings)
    given.out.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
