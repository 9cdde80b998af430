"""Lab similar: a sound finds its like, a cell's worth of work each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from humfind.config import MorletConfig, SimilarLabConfig
from humfind.data.importers import labelled_sounds
from humfind.data.importers.labelled_sounds import LABEL
from humfind.encoders.morlet import SoundModel, bandwidths_hz, bank, centres_hz
from humfind.index.vectors import VectorTable
from humfind.labs.similar import rendered, search, study
from humfind.labs.similar.study import Found
from humfind.labs.similar.trees import Forest
from humfind.metrics import Interval, bootstrap
from humfind.retrieval import sound_map
from humfind.runtime.files import atomic_write
from humfind.training.deformations import KINDS, levelled
from humfind.training.loop import Training
from humfind.training.tasks.sounds import Place, Sounds, mine
from humfind.types import Floats, InputError

SHOWN_FILTERS, EVERY = 6, 8  # one by one; in the bank
HOP = 0.5  # segments from one that is searched to the next
QUERIES = 200  # of the comparison of engines
GROUPS = 6  # that a tree's leaves are coloured by
MAP_POINTS = 1_500


@dataclass(frozen=True)
class Spaces:
    """What was compared. ways: to know a sound; found: by each; chance: MAP of a random order."""

    ways: Mapping[str, study.Way]
    found: Mapping[str, Found]
    chance: float


def make_material(lab: SimilarLabConfig, config: MorletConfig, folder: Path) -> study.Material:
    """Recordings of a folder, or those that are rendered into ``folder``, split. Raises InputError where a recording or
    a table cannot be read, and where there are too few."""
    source = Path(lab.sounds) if lab.sounds else rendered.render(folder, lab.minutes, lab.seed)
    return study.material(labelled_sounds.read(source), config, lab.seed)


def table(material: study.Material) -> Any:
    """Recordings of each label, by part."""
    import pandas as pd

    column = _group_column(material)
    rows: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(sorted(material.labels[column])):
        mine = [row for row, label in enumerate(material.labels[column]) if label == name]
        labels = sorted({material.labels[LABEL][row] for row in mine})
        said = ", ".join(labels)
        minutes = sum(len(material.clips[row]) for row in mine) / material.config.rate_hz / 60
        parts = {part: sum(material.part[row] == part for row in mine) for part in study.SHARES}
        rows[name] = {"labels": said if len(said) < 80 else f"{said[:77]}...", "minutes": round(minutes, 1), **parts}
    return pd.DataFrame(rows).T


def _group_column(material: study.Material) -> str:
    """The coarsest labels that there are."""
    return "family" if "family" in material.labels else LABEL


def examples(material: study.Material, count: int = 4) -> Any:
    """Recordings of different labels, to hear."""
    column = material.labels[_group_column(material)]
    rows = [column.index(name) for name in sorted(set(column))][:count]
    return _players([(f"{material.labels[LABEL][row]}", material.clips[row]) for row in rows], material)


def _players(sounds: Sequence[tuple[str, Floats]], material: study.Material) -> Any:
    from html import escape

    from IPython.display import HTML, Audio

    lines = []
    for text, samples in sounds:
        player = Audio(np.clip(samples, -1, 1), rate=material.config.rate_hz, normalize=False)._repr_html_()
        lines.append(f"<p style='text-align:left'>{escape(text)}<br>{player}</p>")
    return HTML("".join(lines))


def wavelets(config: MorletConfig) -> tuple[Any, ...]:
    """The arguments of ``plots.similar.wavelets``."""
    real, imaginary = bank(config)
    centres, wide = centres_hz(config), bandwidths_hz(config)
    seconds = ((np.arange(config.taps) - (config.taps - 1) / 2) / config.rate_hz).astype(np.float32)
    rows = np.linspace(0, config.filters - 1, SHOWN_FILTERS).astype(int)
    spacings = {name: centres_hz(replace(config, spacing=name)) for name in ("log", "mel")}
    lower = int((spacings["log"] < 1000).sum()), int((spacings["mel"] < 1000).sum())
    claim = (
        f"{config.filters} wavelets from {centres[0]:.0f} Hz ({wide[0]:.0f} Hz wide) to {centres[-1]:.0f} Hz "
        f"({wide[-1]:.0f} Hz wide):\nbelow 1 kHz lie {lower[0]} by log, {lower[1]} by mel"
    )
    spectra = np.abs(np.fft.fft(real[::EVERY] + 1j * imaginary[::EVERY], 8 * config.taps, axis=1)) / 2
    hz = np.fft.fftfreq(8 * config.taps, 1 / config.rate_hz)
    gains = hz[hz > 0], spectra[:, hz > 0]
    return [(float(centres[row]), real[row]) for row in rows], seconds, gains, spacings, claim


def deformed(material: study.Material, config: MorletConfig, seed: int = 0) -> Deformed:
    """A segment of the first recording that is asked, and a copy of each kind."""
    sounds = Sounds(material.take("asked"), config)
    rng = np.random.default_rng([seed, 4])
    place = sounds.draw(rng)
    place = sounds.draw(rng, within=Place(place.clip, place.start))
    copies = [("as it is", sounds.segment(place))]
    for kind in KINDS:
        samples, said = sounds.deformed(place, kind, rng)
        copies.append((f"{kind}: {said}", samples))
    near = sounds.draw(rng, within=place)
    copies.append((f"near: {(near.start - place.start) / config.rate_hz:+.1f} s from it", sounds.segment(near)))
    return Deformed(tuple(copies), material)


@dataclass(frozen=True)
class Deformed:
    """copies: (what was done, samples) of one segment."""

    copies: tuple[tuple[str, Floats], ...]
    material: study.Material

    @property
    def players(self) -> Any:
        """Each, three times in a row: a segment is short."""
        return _players([(text, np.tile(samples, 3)) for text, samples in self.copies], self.material)

    def drawn(self, config: MorletConfig) -> tuple[list[tuple[str, np.ndarray, float]], Floats, str]:
        """The arguments of ``plots.similar.spectrograms``."""
        layer = SoundModel.untrained(config).network.bank
        with torch.inference_mode():
            images = layer(torch.from_numpy(np.stack([samples for _, samples in self.copies]))).numpy()
        seconds = config.samples / config.rate_hz
        panels = [(text, image, seconds) for (text, _), image in zip(self.copies, images, strict=True)]
        return panels, centres_hz(config), f"One segment of {seconds:.2f} s, and what training takes for the same"


def train(
    material: study.Material, config: MorletConfig, folder: Path, resume: bool = True
) -> tuple[Training, SoundModel]:
    """The network, into ``folder``."""
    return study.train(material, config, folder, resume)


def mined(material: study.Material, model: SoundModel, batches: int = 3) -> tuple[list[tuple[Floats, ...]], str]:
    """The arguments of ``plots.similar.mined``: cosine distances of several batches, by the network as it is now."""
    sounds = Sounds(material.take("learned"), model.config)
    found, nearer = [], []
    for step in range(batches):
        drawn = sounds.triplets(np.random.default_rng([model.config.train.seed, 5, step]))
        anchors, positives, negatives = (
            torch.from_numpy(model.embed(one)) for one in (drawn.anchors, drawn.positives, drawn.negatives)
        )
        near, cosines = (anchors * positives).sum(dim=1), anchors @ negatives.T
        chosen = mine(near, cosines, torch.from_numpy(drawn.clip[:, None] != drawn.other[None]))
        after = cosines.gather(1, chosen[:, None])[:, 0]
        found.append(tuple((1 - one).numpy() for one in (near, cosines.diagonal(), after)))
        nearer.append([float((1 - one).mean()) for one in (cosines.diagonal(), after)])
    before, now = np.mean(nearer, axis=0)
    return found, f"Mining brings the negatives nearer: mean distance {before:.2f} before, {now:.2f} after"


def compared(material: study.Material, model: SoundModel) -> Spaces:
    """Every way to know a sound, on recordings that no training saw."""
    ways = study.ways(material, model)
    found = {name: study.judge(material, way) for name, way in ways.items()}
    return Spaces(ways, found, study.chance(material.label("asked")))


def who_finds(spaces: Spaces) -> tuple[Mapping[str, Found], float, str]:
    """The arguments of ``plots.similar.methods``."""
    values = {name: (one.same.map.value, one.copies.overall.value) for name, one in spaces.found.items()}
    best = [max(values, key=lambda name: values[name][i]) for i in (0, 1)]
    claim = f"Same label: best is {best[0]} ({values[best[0]][0]:.2f});\n"
    return spaces.found, spaces.chance, claim + f"copies: best is {best[1]} ({values[best[1]][1]:.2f})"


def by_kind(spaces: Spaces) -> tuple[Mapping[str, Found], str]:
    """The arguments of ``plots.similar.kinds``."""
    ours = next(iter(spaces.found.values())).copies.by_kind
    hardest = min(ours, key=lambda kind: ours[kind].value)
    return spaces.found, f"What was learned without labels finds {hardest} hardest: MRR {ours[hardest].value:.2f}"


def mapped(material: study.Material, spaces: Spaces) -> tuple[Floats, list[str], str]:
    """The arguments of ``plots.similar.space``: recordings that no training saw, where the network places them."""
    vectors = next(iter(spaces.found.values())).vectors
    labels = list(material.label("asked", _group_column(material)))
    claim = f"{len(labels)} recordings that were never heard, coloured by labels that were never seen"
    return sound_map.flattened(vectors, material.config.train.seed), labels, claim


@dataclass(frozen=True)
class Library:
    """Segments of all recordings, as the network places them. clip: the recording of each; start: in samples."""

    vectors: Floats
    clip: np.ndarray
    start: np.ndarray
    material: study.Material
    model: SoundModel

    def __repr__(self) -> str:
        return f"{len(self.vectors)} segments of {len(self.material.clips)} recordings"


def library(material: study.Material, model: SoundModel) -> Library:
    """Every recording's segments, half of one overlapping the next."""
    config, hop = model.config, round(HOP * model.config.samples)
    rows = [
        (clip, start)
        for clip, samples in enumerate(material.clips)
        for start in range(0, len(samples) - config.samples + 1, hop)
    ]
    cut = (levelled(material.clips[clip][start : start + config.samples]) for clip, start in rows)
    clip, start = np.array(rows).T
    return Library(model.embed(np.stack(list(cut))), clip, start, material, model)


def one_tree(found: Library) -> tuple[Any, Any, list[str], str]:
    """The arguments of ``plots.similar.tree``: the forest's first, and where a query goes in it."""
    leaf = max(16, min(1024, len(found.vectors) // 12))
    forest = Forest(VectorTable.of([found.vectors.astype(np.float16)]), trees=1, leaf=leaf)
    tree, vector = forest.trees[0], found.vectors[0]
    opened = set(forest.candidates(vector, search.ANSWERS).tolist())
    labels = found.material.labels[_group_column(found.material)]
    count = {name: labels.count(name) for name in dict.fromkeys(labels)}
    groups = sorted(count, key=lambda name: (-count[name], name))[:GROUPS]
    levels: list[list[tuple[float, float, bool]]] = []
    leaves = []

    def walk(node: int, low: float, high: float, depth: int) -> bool:
        if node < 0:
            rows = tree.leaves[-1 - node]
            said = [labels[found.clip[row]] for row in rows]
            shares = np.array([said.count(name) / len(said) for name in groups])
            came = set(rows.tolist()) <= opened
            leaves.append(((low + high) / 2, np.append(shares, 1 - shares.sum()), came))
            return came
        while len(levels) <= depth:
            levels.append([])
        middle = (low + high) / 2
        place = len(levels[depth])
        levels[depth].append((middle, (high - low) / 2, False))
        below = walk(int(tree.below[node]), low, middle, depth + 1)
        above = walk(int(tree.above[node]), middle, high, depth + 1)
        levels[depth][place] = (middle, (high - low) / 2, below or above)
        return below or above

    walk(0 if len(tree.normal) else -1, 0.0, 1.0, 0)
    share = len(opened) / len(found.vectors)
    count_opened = sum(came for *_, came in leaves)
    claim = f"{len(tree.leaves)} leaves of {leaf} segments at most: the query opens {count_opened}, {share:.0%} of all"
    return levels, leaves, [*groups, "others"], claim


def engines(found: Library, seed: int = 0) -> tuple[list[Any], str]:
    """The arguments of ``plots.similar.searched``: every engine on this library, asked by segments in between."""
    material, config = found.material, found.model.config
    rng = np.random.default_rng([seed, 6])
    sounds = Sounds(material.clips, config)
    asked = found.model.embed(np.stack([sounds.segment(sounds.draw(rng)) for _ in range(QUERIES)]))
    timed = search.compare(found.vectors, asked)
    exact = next(one for one in timed if one.family == "faiss exact")
    good = [one for one in timed if one.overlap.mean() >= 0.9]
    best = min(good, key=lambda one: one.ms)
    name = " ".join((best.family, best.setting)).strip()
    claim = f"Among {len(found.vectors)} segments, exact search takes {exact.ms:.2f} ms a query;\n"
    return timed, claim + f"the quickest with nine tenths of its answer: {name}, {best.ms:.2f} ms"


def has_duets(material: study.Material) -> bool:
    """Whether a recording's label is two others, joined by +."""
    return any(all(part in material.labels[LABEL] for part in label.split("+")) and "+" in label
               for label in material.labels[LABEL])  # fmt: skip


def arithmetic(material: study.Material, model: SoundModel) -> tuple[dict[str, Interval], float, str, str]:
    """The arguments of ``plots.similar.answered``: does piano + violin find their duet? Raises InputError where no
    duets are labelled as such (``has_duets``)."""
    labels = material.labels[LABEL]
    vectors = study.of_clips(material.clips, model.embed, model.config)
    scores = study.arithmetic(vectors, labels)
    asked = len(next(iter(scores.values())))
    if not asked:
        raise InputError("arithmetic: no label names two others, a+b; this folder has no duets")
    random = float(scores.pop("random order").mean())
    found = {name: bootstrap(values.astype(np.float64)) for name, values in scores.items()}
    claim = f"The sum of two instruments finds their duet at MRR {found['both, added'].value:.2f}, one alone at "
    claim += f"{found['one alone'].value:.2f}"
    return found, random, claim, f"reciprocal rank of the first duet of the two ({asked} pairs)"


def named(material: study.Material, spaces: Spaces) -> tuple[dict[str, Interval], float, str, str]:
    """The arguments of ``plots.similar.answered``: labels of recordings from those of their neighbours."""
    known, asked = material.label("learned"), material.label("asked")
    found = {}
    for name, way in spaces.ways.items():
        places = way.clips(material.take("learned"))
        found[name] = study.named_by_neighbours(places, known, spaces.found[name].vectors, asked)
    answered = [label for label in asked if label in set(known)]
    commonest = answered.count(max(sorted(set(known)), key=known.count)) / len(answered)
    ours = next(iter(found.values()))
    claim = f"Named by five neighbours with a label, {ours.value:.0%} of recordings get their own"
    return found, commonest, claim, "share of recordings with the right label"


def likes(found: Library, count: int = 3) -> Any:
    """A recording that no training heard, and those with the most similar segments, to hear."""
    material = found.material
    row = int(material.rows("asked")[0])
    near = found.vectors @ found.vectors[np.flatnonzero(found.clip == row)].T
    best = np.full(len(material.clips), -np.inf)
    np.maximum.at(best, found.clip, near.mean(axis=1))
    best[row] = -np.inf
    order = np.argsort(-best, kind="stable")[:count].tolist()
    sounds = [(f"asked: {material.labels[LABEL][row]}", material.clips[row])]
    sounds += [(f"{material.labels[LABEL][one]} ({best[one]:.2f})", material.clips[one]) for one in order]
    return _players(sounds, material)


def write_map(found: Library, page: Path) -> Any:
    """An HTML page to walk in, which plays what one points at; and a link to it."""
    from IPython.display import HTML

    material, config = found.material, found.model.config
    rows = np.unique(np.linspace(0, len(found.vectors) - 1, MAP_POINTS).astype(int))
    groups, labels = material.labels[_group_column(material)], material.labels[LABEL]
    length_s = config.samples / config.rate_hz
    segments = [
        sound_map.Segment(
            f"{labels[clip]} ({material.files[clip].name})",
            groups[clip],
            sound_map.url_of(material.files[clip], page),
            float(found.start[row] / config.rate_hz),
            length_s,
        )
        for row, clip in zip(rows.tolist(), found.clip[rows].tolist(), strict=True)
    ]
    places = sound_map.flattened(found.vectors[rows])
    atomic_write(page, sound_map.page_of(places, segments, "Sounds, by what a network heard in them").encode())
    return HTML(f"<a href='{page.name}'>{page.name}</a>: {len(segments)} segments; open it in a browser")


def summary(spaces: Spaces, timed: Sequence[Any], sums: Any, names: Any) -> dict[str, Any]:
    """What the run keeps, as JSON values."""
    return {
        "found": {name: {"same label": str(one.same), "copies": str(one.copies.overall),
                         "by kind": {kind: str(value) for kind, value in one.copies.by_kind.items()}}
                  for name, one in spaces.found.items()},
        "chance": spaces.chance,
        "engines": [{"engine": one.family, "setting": one.setting, "overlap": round(float(one.overlap.mean()), 4)}
                    for one in timed],
        "arithmetic": {name: str(value) for name, value in sums[0].items()} if sums else {},
        "named": {name: str(value) for name, value in names[0].items()},
    }  # fmt: skip
