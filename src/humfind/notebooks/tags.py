"""Lab tags: words to music, a cell's worth of work each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from humfind.config import TagModelConfig, TagsLabConfig
from humfind.data.importers import jamendo, msd500
from humfind.encoders.sound import SoundEncoder
from humfind.encoders.tag_model import TagModel
from humfind.labs.tags import preparation, study, tunes
from humfind.labs.tags.study import Found
from humfind.retrieval.words import parse
from humfind.training import tag_sampler
from humfind.training.loop import Training
from humfind.training.tasks.tags import scores_of
from humfind.types import Floats, InputError, Recording

DRAWN = 20_000  # triplets, to see how often each tag is asked
ORIGINAL = {"random": 0.1658, "balanced": 0.1675, "balanced-weighted": 0.1852}  # MAP of the 2020 paper, MSD100
SHARE, MOST = 50, 100  # a tag needs a fiftieth of the tracks, a hundred at most


@dataclass(frozen=True)
class Material:
    """given: tags, tracks and what the towers read. sounds: by track, those that can be played."""

    given: study.Material
    sounds: Mapping[str, Recording]

    @property
    def table(self) -> Any:
        """Tags and tracks of each category."""
        import pandas as pd

        table, has = self.given.table, self.given.table.has
        rows = {}
        for kind in dict.fromkeys(table.category[tag] for tag in table.tags):
            columns = [i for i, tag in enumerate(table.tags) if table.category[tag] == kind]
            names = ", ".join(table.tags[i] for i in columns)
            parts = {name: int(has[table.rows(name)][:, columns].any(axis=1).sum()) for name in preparation.SHARES}
            rows[kind] = {"tags": names if len(names) < 90 else f"{names[:87]}...", **parts}
        return pd.DataFrame(rows).T


def make_material(config: TagsLabConfig, model: TagModelConfig) -> Material:
    """Tunes of the old books, rendered and heard; or the tracks of tables, of which there is no sound. Raises
    InputError where a table cannot be read, a tag leaks, and where the model wants a sound that is not there."""
    if config.table:
        if model.song != "cf":
            raise InputError(f"song={model.song}: {config.table} has no sound; choose song=cf")
        found = _read(config.table)
        sounds: dict[str, Recording] = {}
    else:
        chosen = tunes.choose(config.tracks, config.seed)
        found = tunes.table(chosen)
        rendered = tunes.render(chosen, config.length_s, config.seed)
        sounds = {one.tune.where: sound for one, sound in zip(chosen, rendered, strict=True)}
    least = config.least_tracks or min(MOST, max(6, len(found.tracks) // SHARE))
    table = preparation.split(preparation.prepared(found, least), config.seed)
    preparation.require_no_leak(table)
    heard = np.zeros((len(table.tracks), 0), np.float32)
    if sounds:
        mine = [sounds[track] for track in table.tracks]
        heard = study.chunks(mine) if model.acoustic == "cnn" else study.heard(mine, SoundEncoder())
    return Material(study.material(table, heard, model.words, config.seed), sounds)


def _read(names: str) -> Any:
    paths = [Path(name.strip()) for name in names.split(",")]
    if len(paths) == 1 and paths[0].is_dir():
        return msd500.read(paths[0])
    return jamendo.read(paths)


def examples(material: Material, count: int = 3) -> Any:
    """Some tracks to hear, with their tags."""
    return _players(material, material.given.table.tracks[:count])


def _players(material: Material, tracks: Sequence[str], notes: Sequence[str] = ()) -> Any:
    from html import escape

    from IPython.display import HTML, Audio

    if not material.sounds:
        return HTML("<em>there are only tags, no sound</em>")
    table = material.given.table
    tagged = dict(zip(table.tracks, table.tagged, strict=True))
    lines = []
    for row, track in enumerate(tracks):
        sound = material.sounds[track]
        player = Audio(sound.samples, rate=sound.rate_hz, normalize=False)._repr_html_()
        note = f" ({escape(notes[row])})" if notes else ""
        said = f"<b>{escape(track)}</b>{note}: {escape(', '.join(tagged[track]))}"
        lines.append(f"<p style='text-align:left'>{said}<br>{player}</p>")
    return HTML("".join(lines))


def counted(material: Material) -> tuple[dict[str, dict[str, int]], str]:
    """The arguments of ``plots.tags.counts``: tracks of each tag, by category."""
    table = material.given.table
    count = Counter(tag for tags in table.tagged for tag in tags)
    groups: dict[str, dict[str, int]] = {}
    for tag, n in count.most_common():
        groups.setdefault(table.category[tag], {})[tag] = n
    most, least = count.most_common()[0], count.most_common()[-1]
    return groups, f"{len(count)} tags of {len(table.tracks)} tracks: {most[0]} has {most[1]}, {least[0]} {least[1]}"


def sampled(material: Material, seed: int = 0) -> tuple[np.ndarray, dict[str, np.ndarray], str]:
    """The arguments of ``plots.tags.samplers``: the share of triplets that ask for each tag, beside the share of its
    tracks."""
    has = material.given.part("train").has
    shares = {}
    for name in ("random", "balanced"):
        anchor, _, _ = tag_sampler.draw(has, name, DRAWN, np.random.default_rng([seed, 2]))
        shares[name] = np.bincount(anchor, minlength=has.shape[1]) / DRAWN
    share = has.sum(axis=0) / has.sum()
    ratio = {name: values.max() / values.min() for name, values in shares.items()}
    claim = f"Drawn at random, the commonest tag is asked {ratio['random']:.0f} times as often as the rarest; "
    return share, shares, claim + f"balanced, {ratio['balanced']:.1f} times"


def train(material: Material, config: TagModelConfig, folder: Path, resume: bool = True) -> tuple[Training, TagModel]:
    """The model, into ``folder``."""
    return study.train(material.given, config, folder, resume)


def compared_towers(material: Material, model: TagModel, folder: Path, resume: bool = True) -> Any:
    """The arguments of ``plots.tags.by_category``: what a track can be known by."""
    found = study.compare(
        material.given, study.towers(model.config, bool(material.sounds)), folder / "towers", resume, model
    )
    part = material.given.part("test")
    chance = study.chance(part.has, material.given.tracks.category)
    if len(found) == 1:
        return found, chance, f"Who stands with whom: MAP {found['culture'].report.map.value:.2f}"
    sound, culture = found["sound"].by_category, found["culture"].by_category
    better = [kind for kind in culture if culture[kind].value > sound[kind].value]
    best = max(found, key=lambda name: found[name].report.map.value)
    where = f"Culture knows better: {', '.join(better)}" if better else "Sound knows every category better"
    return found, chance, f"{where};\nbest of all is {best}, MAP {found[best].report.map.value:.2f}"


def compared_samplings(material: Material, model: TagModel, folder: Path, resume: bool = True) -> Any:
    """The arguments of ``plots.tags.methods``: how triplets are drawn."""
    found = study.compare(material.given, study.samplings(model.config), folder / "samplings", resume, model)
    values = {name: one.report.map for name, one in found.items()}
    here = ", ".join(f"{name} {value.value:.3f}" for name, value in values.items())
    there = ", ".join(f"{value:.3f}" for value in ORIGINAL.values())
    return values, f"MAP here: {here}\n(the original: {there})"


def words_compared(material: Material, model: TagModel, folder: Path, resume: bool = True) -> Any:
    """The arguments of ``plots.tags.methods``: vectors of tags from music and from general English, the latter where
    its encoder is installed."""
    found: dict[str, Found] = {}
    missing = ""
    for kind in ("music", "general"):
        try:
            given = study.material(material.given.table, material.given.tracks.sound, kind, model.config.train.seed)
        except InputError as error:
            missing = f"\n{error}"
            continue
        found |= study.compare(given, {kind: replace(model.config, words=kind)}, folder / "words", resume, model)
    names = {"music": "words of these tracks", "general": "general English"}
    values = {names[kind]: one.report.map for kind, one in found.items()}
    here = ", ".join(f"{name} {value.value:.3f}" for name, value in values.items())
    return values, f"MAP by vectors of words: {here}{missing}"


def nearest_tags(model: TagModel, count: int = 4) -> Any:
    """The nearest other tags of each, in the space that was learned."""
    import pandas as pd

    near = model.tag_embeddings @ model.tag_embeddings.T
    np.fill_diagonal(near, -np.inf)
    rows = {}
    for row, tag in enumerate(model.tags):
        order = np.argsort(-near[row], kind="stable")[:count]
        rows[tag] = {
            "category": model.category[tag],
            "nearest": ", ".join(f"{model.tags[i]} {near[row, i]:.2f}" for i in order),
        }
    return pd.DataFrame(rows).T


def zero_shot(material: Material, model: TagModel) -> tuple[dict[str, Any], str]:
    """The arguments of ``plots.tags.methods``: tags that musicnn knows by name, as it hears them, and as the model does
    that learned here. Raises InputError where there is no sound."""
    if not material.sounds or material.given.tracks.sound.ndim != 2:
        raise InputError("zero_shot: needs what musicnn hears; give acoustic=musicnn, and no table")
    encoder = SoundEncoder()
    part = material.given.part("test")
    tags = material.given.table.tags
    shared = [tag for tag in tags if tag in encoder.tags]
    columns = [tags.index(tag) for tag in shared]
    category = {tag: material.given.table.category[tag] for tag in shared}
    odds = encoder.log_odds(part.sound)[:, [encoder.tags.index(tag) for tag in shared]]
    ours = scores_of(model, part)[:, columns]
    values = {
        "musicnn, nothing learned here": study.judged(odds, part.has[:, columns], category).report.map,
        "learned here": study.judged(ours, part.has[:, columns], category).report.map,
    }
    first = values["musicnn, nothing learned here"].value
    return (
        values,
        f"Of {len(shared)} tags that musicnn knows by name ({', '.join(shared)})\nit finds MAP {first:.2f} untaught",
    )


def mapped(material: Material, model: TagModel, seed: int = 0) -> tuple[Floats, Floats, list[str], list[str], str]:
    """The arguments of ``plots.tags.space``: places of test tracks and of tags on a plane, the tags' names, and what
    each track is coloured by: its tag of the category that has most tags."""
    from sklearn.manifold import TSNE

    part = material.given.part("test")
    songs = model.embed_songs(part.sound, part.culture)
    both = np.concatenate([songs, model.tag_embeddings])
    near = min(20.0, (len(both) - 1) / 3)
    flat = TSNE(2, perplexity=near, metric="cosine", init="pca", random_state=seed).fit_transform(both)
    kind = Counter(model.category.values()).most_common(1)[0][0]
    colours = []
    for row in material.given.table.rows("test"):
        mine = [tag for tag in material.given.table.tagged[row] if model.category[tag] == kind]
        colours.append(mine[0] if mine else "none")
    claim = f"{len(songs)} tracks that were never seen, and {len(model.tags)} tags, in one space"
    return flat[: len(songs)], flat[len(songs) :], list(model.tags), colours, claim


def found_for(material: Material, model: TagModel, words: str, count: int = 3) -> Any:
    """The test tracks that fit the words best, to hear."""
    tags, rest = parse(words, model.tags)
    if rest or not tags:
        raise InputError(f"words: {rest[0] if rest else 'none'}: no tag; tags are {', '.join(model.tags)}")
    part = material.given.part("test")
    scores = scores_of(model, part)[:, [model.tags.index(tag) for tag in tags]].mean(axis=1)
    rows = material.given.table.rows("test")
    order = np.argsort(-scores, kind="stable")[:count]
    tracks = [material.given.table.tracks[rows[i]] for i in order]
    return _players(material, tracks, [f"{scores[i]:.2f}" for i in order])


def summary(towers: Any, samplings: Any, words: Any) -> dict[str, Any]:
    """What the run keeps, as JSON values."""
    return {
        "towers": {name: {"map": str(one.report.map), "precision@10": str(one.report.precision),
                          "by category": {kind: str(value) for kind, value in one.by_category.items()}}
                   for name, one in towers[0].items()},
        "chance": towers[1],
        "samplings": {name: str(value) for name, value in samplings[0].items()},
        "words": {name: str(value) for name, value in words[0].items()},
    }  # fmt: skip
