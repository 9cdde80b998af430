"""Lab playlist: tracks by their metadata, a cell's worth of work each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from humfind.config import MorletConfig, TrackModelConfig
from humfind.data.importers import track_table
from humfind.encoders.audio_embeddings import AudioEmbedding, load
from humfind.encoders.track_network import TrackModel
from humfind.experiment.plan import setting
from humfind.experiment.records import Record, differing, require_installed
from humfind.experiment.sweep import sweep as train_all
from humfind.experiment.tasks import leaves
from humfind.labs.playlist import embeddings, study, tunes
from humfind.labs.playlist.features import principal
from humfind.labs.playlist.relevance import Relevance
from humfind.labs.playlist.study import Found
from humfind.metrics import Interval
from humfind.retrieval.sound_map import flattened
from humfind.training.loop import Training
from humfind.types import Floats, InputError

SCALES, MARGINS = "10.0,30.0,60.0", "0.0,0.25,0.5,0.75"


@dataclass(frozen=True)
class TunesBySound:
    """Tunes that were rendered, and what each way makes of them."""

    sounds: embeddings.Sounds
    found: Mapping[str, embeddings.Embedded]


def make_material(table: str, seed: int = 0) -> study.Material:
    """A table of tracks, or the tune books'; split, its features without the genre. Raises InputError."""
    return study.material(track_table.read(Path(table)) if table else tunes.table(tunes.danced()), seed)


def overview(material: study.Material) -> Any:
    """What the table has."""
    import pandas as pd

    table = material.table
    years = table.years[table.years > 0]
    rows = {
        "tracks": len(table),
        "genres": ", ".join(name for name, _ in Counter(table.main_genre).most_common(8) if name),
        "years": f"{years.min()} to {years.max()}" if len(years) else "not said",
        "artists": len(set(table.artists)),
        "numbers": ", ".join(table.numbers),
        "categories": ", ".join(table.categories),
        "columns of features": len(material.features.names),
        "playlists": len({name for names in table.playlists for name in names}),
    }
    rows |= {f"tracks {part}": len(material.rows(part)) for part in study.SHARES}
    return pd.DataFrame({"": rows})


def counted(material: study.Material) -> tuple[dict[str, dict[str, int]], str]:
    """The arguments of ``plots.tags.counts``: tracks of each main genre."""
    count = Counter(name for name in material.table.main_genre if name)
    most, n = count.most_common(1)[0]
    return {"genre": dict(count.most_common())}, f"{len(count)} genres; {most} has {n} of {len(material.table)} tracks"


def explained(material: study.Material) -> tuple[Floats, int, str]:
    """The arguments of ``plots.playlist.explained``."""
    every = principal(material.features.values[material.rows("learned")], 1.0)
    kept = len(principal(material.features.values[material.rows("learned")]).axes)
    total = np.cumsum(every.explained)
    return total, kept, f"{kept} of {len(material.features.names)} components explain nine tenths of the variance"


def leak(material: study.Material) -> tuple[dict[str, Interval], str]:
    """The arguments of ``plots.playlist.shares``: what the metric would claim with the genre among the features."""
    found = {
        "without the genre": study.judge(material, study.untaught(material)).separation.cosine,
        "with the genre among the features": study.judge(
            material, study.untaught(material, leak=True)
        ).separation.cosine,
    }
    values = [one.value for one in found.values()]
    return found, f"With the genre among the features the metric claims {values[1]:.2f}, without it {values[0]:.2f}"


def triples(material: study.Material, count: int = 4, seed: int = 0) -> Any:
    """Some triples, with how relevant each is and how far away it is by its features."""
    import pandas as pd

    rows_learned = material.rows("learned")
    table = material.table.take(rows_learned)
    values = material.features.values[rows_learned]
    relevance = Relevance.of(table)
    rng = np.random.default_rng([seed, 3])
    rows = []
    for row in rng.permutation(len(table))[:count].tolist():
        near, far = relevance.triple(row, rng)
        score, distance = relevance.to(row), np.linalg.norm(values - values[row], axis=1)
        rows.append(
            {
                "anchor": table.name(row),
                "positive": f"{table.name(near)} (relevance {score[near]:.2f}, distance {distance[near]:.1f})",
                "negative": f"{table.name(far)} (relevance {score[far]:.2f}, distance {distance[far]:.1f})",
            }
        )
    return pd.DataFrame(rows)


def train(
    material: study.Material, config: TrackModelConfig, folder: Path, resume: bool = True
) -> tuple[Training, TrackModel]:
    """The network, into ``folder``."""
    return study.train(material, config, folder, resume)


def compared(
    material: study.Material, config: TrackModelConfig, folder: Path, resume: bool = True
) -> tuple[dict[str, Found], float, str]:
    """The arguments of ``plots.playlist.methods``: features, components, and the space by each loss."""
    values = material.features.values[material.rows("asked")]
    found = {
        "features": study.judge(material, values),
        "principal components": study.judge(material, study.untaught(material)),
    }
    found |= study.compare(material, study.losses(config), folder / "losses", resume)
    chance = study.chance(material.kind[material.rows("asked")])
    best = max(found, key=lambda name: found[name].precision.value)
    claim = f"Of ten neighbours {found[best].precision.value:.0%} are of the genre by {best}, "
    return found, chance, claim + f"{found['principal components'].precision.value:.0%} by principal components"


def require(sweep: bool, networks: str) -> None:
    """Raises InputError where the sweep's packages or the networks' weights are missing."""
    if sweep:
        require_installed()
    others(networks)


def sweep(table: str, config: TrackModelConfig, store: Path) -> list[Record]:
    """ArcFace at twelve scales and margins, everything else as ``config``; kept in ``store``."""
    fixed = {"data.table": table, "data.seed": config.train.seed, "loss": "arcface", "batch_norm": config.batch_norm}
    train = {
        f"train.{name}": getattr(config.train, name) for name in ("steps", "validate_every", "learning_rate", "seed")
    }
    words = [setting(name, value) for name, value in (fixed | train).items()]
    return train_all(["task=tracks", *words, f"scale={SCALES}", f"margin={MARGINS}"], store, many=True)


def kept(records: Sequence[Record]) -> Any:
    """What MLflow has of them, the best first."""
    import pandas as pd

    names = differing(records)
    rows = {
        one.id[:8]: {name: leaves(one.values)[name] for name in names}
        | {name: str(value) for name, value in one.figures.items()}
        | {"steps": one.history[-1]["step"], "seconds": round(one.seconds, 1), "code": one.facts["revision"]}
        for one in sorted(records, key=lambda one: -one.figures["precision@10"].value)
    }
    return pd.DataFrame(rows).T


def swept(records: Sequence[Record]) -> tuple[dict[float, dict[float, Interval]], str]:
    """The arguments of ``plots.playlist.sweep``, from runs that were kept."""
    found: dict[float, dict[float, Interval]] = {}
    for one in records:
        found.setdefault(one.values["scale"], {})[one.values["margin"]] = one.figures["precision@10"]
    if not records:
        return found, "left out"
    best = max(records, key=lambda one: one.figures["precision@10"].value)
    scale, margin, value = best.values["scale"], best.values["margin"], best.figures["precision@10"].value
    return found, f"ArcFace is best at scale {scale:g} and margin {margin:g}: {value:.2f} of ten neighbours"


def mapped(material: study.Material, model: TrackModel) -> tuple[Floats, list[str], str]:
    """The arguments of ``plots.similar.space``: asked tracks, coloured by genre."""
    rows = material.rows("asked")
    labels = [material.table.main_genre[row] or "none" for row in rows]
    places = flattened(model.embed(material.features.values[rows]), model.config.train.seed)
    return places, labels, f"{len(labels)} tracks that no training saw, by their genre"


def has_playlists(material: study.Material) -> bool:
    """Whether the table says in which playlists its tracks are."""
    return any(material.table.playlists)


def continued(material: study.Material, model: TrackModel) -> tuple[dict[str, Interval], float, str, str]:
    """The arguments of ``plots.similar.answered``: nDCG of finding a playlist's other tracks from three of them."""
    found = study.continued(material.table, model.embed(material.features.values))
    ndcg = {name: report.ndcg for name, report in found.items()}
    given, popularity = ndcg["the given"].value, ndcg["popularity"].value
    claim = f"A playlist's other tracks: nDCG@20 {given:.2f}, {popularity:.2f} by popularity"
    return {name: ndcg[name] for name in ("the given", "popularity")}, ndcg["random"].value, claim, "nDCG@20"


# --- how tracks sound


def embed_tunes(tunes: int, length_s: float, steps: int, networks: str, folder: Path, seed: int = 0) -> TunesBySound:
    """Tunes rendered, and what every way makes of them. steps: of the network that learns without labels. networks: of
    others, as encodec:FOLDER,wav2clip:FILE. Raises InputError where one of those is missing."""
    sounds = embeddings.rendered(tunes, length_s, seed)
    every = max(1, steps // 4)
    train = replace(MorletConfig().train, steps=steps, validate_every=every, seed=seed)
    ways = embeddings.ways(sounds, replace(MorletConfig(), train=train), folder / "sound", others(networks))
    return TunesBySound(sounds, embeddings.embed(sounds, ways))


def others(networks: str) -> list[AudioEmbedding]:
    """Raises InputError where a package or weights are missing."""
    return [load(*_named(one)) for one in networks.split(",") if one.strip()]


def _named(said: str) -> tuple[str, Path]:
    name, _, place = said.strip().partition(":")
    if not place:
        raise InputError(f"networks={said:.60}: where its weights are is missing; give it as encodec:FOLDER")
    return name, Path(place)


def embedding_costs(by_sound: TunesBySound) -> Any:
    """What comes out of each way, and how long it takes."""
    import pandas as pd

    rows = {
        name: {
            "numbers a track": one.vectors.shape[1],
            "30 s of sound take, s": round(one.seconds, 3),
            "times real time": round(embeddings.TIMED_S / one.seconds),
        }
        for name, one in by_sound.found.items()
    }
    return pd.DataFrame(rows).T


def embedding_precisions(by_sound: TunesBySound) -> tuple[dict[str, dict[str, Interval]], dict[str, float], str]:
    """The arguments of ``plots.playlist.labels``: what each way knows."""
    rows = by_sound.sounds.given.rows("asked")
    found = {name: embeddings.judged(by_sound.sounds, one.vectors[rows]) for name, one in by_sound.found.items()}
    best = max(found, key=lambda name: found[name][embeddings.PLAYER].value)
    dance, player = (found[best][what].value for what in (embeddings.DANCE, embeddings.PLAYER))
    claim = f"Sound tells who plays ({best}: {player:.2f} of ten neighbours), and of the dance {dance:.2f}"
    return found, embeddings.chance(by_sound.sounds), claim


def spaces(by_sound: TunesBySound) -> tuple[dict[str, tuple[Floats, list[str]]], str]:
    """The arguments of ``plots.playlist.spaces``: asked tracks as each way places them."""
    rows = by_sound.sounds.given.rows("asked")
    labels = [by_sound.sounds.families[row] for row in rows]
    panels = {name: (flattened(one.vectors[rows], 0), labels) for name, one in by_sound.found.items()}
    return panels, f"{len(rows)} tunes by their sound, coloured by the instruments' family, which nobody was told"


def family_cosines(by_sound: TunesBySound) -> tuple[dict[str, tuple[Floats, list[str]]], str]:
    """The arguments of ``plots.playlist.cosines``: how alike the families sound."""
    found = {name: embeddings.family_cosines(by_sound.sounds, one.vectors) for name, one in by_sound.found.items()}
    apart = {name: float(np.diag(values).mean() - values.mean()) for name, (values, _) in found.items()}
    best = max(apart, key=lambda name: apart[name])
    return found, f"A family's tunes are most alike by {best}: {apart[best]:.2f} more cosine than all"


def together(
    by_sound: TunesBySound, config: TrackModelConfig, folder: Path
) -> tuple[dict[str, dict[str, Interval]], dict[str, float], str]:
    """The arguments of ``plots.playlist.labels``: metadata, sound, and both."""
    precisions = embedding_precisions(by_sound)[0]
    best = max(precisions, key=lambda name: precisions[name][embeddings.PLAYER].value)
    found = embeddings.together(by_sound.sounds, by_sound.found[best].vectors, config, folder / "together")
    values = [found[f"{name}, learned"][embeddings.BOTH].value for name in ("metadata and sound", "metadata", "sound")]
    claim = "Dance and player: {:.2f} of ten neighbours by both, {:.2f} by metadata, {:.2f} by sound".format(*values)
    return found, embeddings.chance(by_sound.sounds), f"{claim} ({best})"


def summary(
    found: Mapping[str, Found],
    swept: Mapping[float, Mapping[float, Interval]],
    by_sound: Mapping[str, Mapping[str, Interval]],
    both: Mapping[str, Mapping[str, Interval]],
) -> dict[str, Any]:
    """What the run keeps, as JSON values."""

    def row(one: Found) -> dict[str, str]:
        shares = one.separation
        return {"precision@10": str(one.precision), "euclidean": str(shares.euclidean), "cosine": str(shares.cosine)}

    return {
        "methods": {name: row(one) for name, one in found.items()},
        "sweep": {f"scale {s:g}, margin {m:g}": str(one) for s, mine in swept.items() for m, one in mine.items()},
        "by sound": {name: {what: str(f) for what, f in one.items()} for name, one in by_sound.items()},
        "metadata and sound": {name: {what: str(f) for what, f in one.items()} for name, one in both.items()},
    }
