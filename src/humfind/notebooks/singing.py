"""Lab singing: wavelet strings and the attention network, a cell's worth of work each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from humfind import metrics
from humfind.config import (
    AttentionConfig,
    ContourConfig,
    ModelConfig,
    RankConfig,
    SingingLabConfig,
    TrainConfig,
)
from humfind.encoders.checkpoint import Model
from humfind.encoders.inference import embed_any_length
from humfind.labs.singing import cliques, covers, strings, transfer
from humfind.melody import wavelet_string
from humfind.melody.contour import from_f0, hz_to_semitones, semitones_to_hz
from humfind.metrics import Interval
from humfind.training.loop import Training
from humfind.training.tasks.cliques import PairConfig, Rendition, cover_report, report_of, train_cliques
from humfind.types import F0, Floats, InputError

if TYPE_CHECKING:
    from humfind.notebooks.run import Run

MELODY_DISCARDED = (0, 1, 2, 3, 4, 5)  # finest details, of melodies every 10 ms
SOUND_DISCARDED = (6, 7, 8, 9, 10)  # of sound at 4 kHz: strings of the same lengths
HEARD_LEVELS, HEARD = 8, (0, 3, 6)  # of the hum that is played
KS = (1, 2, 5, 10, 20, 50, 100)
FEWEST_CLIQUES = 7  # of a list: three asked, two held out, two learned from
RANKERS = ("wavelet", "sequence", "dtw")


@dataclass(frozen=True)
class Material:
    """Covers to learn from, to choose the step with, and to ask; no tune is in two of them."""

    learned: list[cliques.Cover]
    held_out: list[cliques.Cover]
    asked: list[cliques.Cover]

    @property
    def table(self) -> Any:
        """Tunes, recordings and leads of each part."""
        import pandas as pd

        rows = {}
        for name, part in (("learned from", self.learned), ("held out", self.held_out), ("asked", self.asked)):
            leads = {lead: sum(one.lead == lead for one in part) for lead in ("sung", "played")}
            rows[name] = {
                "tunes": len({one.clique for one in part}),
                "recordings": len(part),
                **leads,
                "minutes": round(sum(one.sound.length_s for one in part) / 60, 1),
            }
        return pd.DataFrame(rows).T


def shown_strings(run: Run) -> tuple[list[tuple[str, Floats, Floats]], str]:
    """The arguments of ``plots.singing.strings``: the first hum's melody with fewer and fewer details."""
    _, f0 = _hums(run)[0]
    line = from_f0(f0, replace(ContourConfig(), frame_s=strings.FRAME_S))
    wavelet = RankConfig().wavelet.wavelet
    panels = []
    for discarded in (0, 3, 5):
        short = wavelet_string.shortened(semitones_to_hz(line.semitones), wavelet, discarded)
        seconds = ((np.arange(len(short)) + 0.5) * strings.FRAME_S * 2**discarded).astype(np.float32)
        panels.append((f"{len(short)} numbers", seconds, hz_to_semitones(np.maximum(short, 1.0))))
    return (
        panels,
        f"A hum of {line.length_s:.0f} s in {len(panels[0][1])}, {len(panels[1][1])} and {len(panels[2][1])} numbers",
    )


def heard_strings(run: Run) -> Any:
    """The first hum's sound, all of it, and what is left without its finest details, to click on."""
    from IPython.display import HTML, Audio

    item, _ = _hums(run)[0]
    sound = run.recording(item)
    if sound is None:
        return HTML("<em>there is only f0, no audio</em>")
    wavelet = RankConfig().wavelet.wavelet
    cells = []
    for discarded in HEARD:
        kept = strings.kept_sound(sound, wavelet, HEARD_LEVELS, discarded)
        player = Audio(kept.samples, rate=kept.rate_hz, normalize=False)._repr_html_()
        cells.append(f"<td style='text-align:left'>1 / {2**discarded} of the numbers<br>{player}</td>")
    return HTML(f"<table><tr>{''.join(cells)}</tr></table>")


def string_lengths(run: Run) -> tuple[dict[str, list[strings.Length]], float, str]:
    """The arguments of ``plots.singing.string_length``: MRR@10 against the length of a hum's string, of melodies and,
    where there is audio, of the sound itself. Raises InputError where no answer is known."""
    split = _test_split(run)
    songs = {str(item.music_id): (item, f0) for item, f0 in run.tracked(split, "song")}
    hums = {item.name: (item, f0) for item, f0 in _hums(run)}
    answers = {name: music_id for name, music_id in (run.splits[split].answers or {}).items() if music_id in songs}
    hum_f0s, song_f0s = ({name: f0 for name, (_, f0) in part.items()} for part in (hums, songs))
    if not set(answers) & set(hums):
        mend = "give the right songs in answers.csv (hum,music_id)"
        raise InputError(f"{run.data}: nothing says which song a hum of {split} is of; {mend}")
    curves = {"melody": strings.by_melody(hum_f0s, song_f0s, answers, MELODY_DISCARDED)}
    hum_sounds, song_sounds = (
        {name: sound for name, (item, _) in part.items() if (sound := run.recording(item))} for part in (hums, songs)
    )
    if len(hum_sounds) == len(hums) and len(song_sounds) == len(songs):
        wavelet = RankConfig().wavelet.wavelet
        curves["sound"] = strings.by_sound(hum_sounds, song_sounds, answers, wavelet, SOUND_DISCARDED)
    best = max(curves["melody"], key=lambda one: one.mrr.value)
    claim = f"Melodies are found best with {best.symbols:.0f} symbols a hum: MRR@10 {best.mrr.value:.2f}"
    if "sound" in curves:
        claim += f";\nsound, at any length, with {max(one.mrr.value for one in curves['sound']):.2f} at most"
    return curves, metrics.chance(len(songs)), claim


def make_material(config: SingingLabConfig) -> Material:
    """Covers of tunes that are printed in most books: the first ones are asked, the next held out, the rest learned.
    Where ``config.covers`` names a list of recordings, those, its cliques dealt at random in the same shares. Raises
    InputError where the list has fewer than seven cliques."""
    if config.covers:
        return _listed(config)
    held = max(2, config.tunes // 8)
    asked = max(3, config.tunes // 4)

    def make(tunes: int, first: int, lead: str = "both") -> list[cliques.Cover]:
        return cliques.make_covers(tunes, config.renditions, config.length_s, lead, first, config.seed)

    return Material(make(config.tunes, asked + held, config.lead), make(held, asked), make(asked, 0))


def _listed(config: SingingLabConfig) -> Material:
    every = cliques.read_covers(Path(config.covers), config.length_s)
    names = np.array(sorted({one.clique for one in every}))
    if len(names) < FEWEST_CLIQUES:
        raise InputError(
            f"{config.covers}: {len(names)} cliques; at least {FEWEST_CLIQUES} are needed, to learn and to ask"
        )
    names = names[np.random.default_rng(config.seed).permutation(len(names))]
    asked, held = max(3, len(names) // 5), max(2, len(names) // 10)
    parts = np.split(names, [asked, asked + held])
    picked = [[one for one in every if one.clique in set(part)] for part in parts]
    return Material(learned=picked[2], held_out=picked[1], asked=picked[0])


def model_config(config: SingingLabConfig) -> ModelConfig:
    """The attention network on what ``config.features`` names."""
    return ModelConfig(
        features=config.features,
        contour=replace(ContourConfig(), window_s=config.window_s),
        encoder=AttentionConfig(heads=config.heads),
        train=TrainConfig(
            steps=config.steps,
            validate_every=max(1, config.steps // 6),
            learning_rate=config.learning_rate,
            seed=config.seed,
        ),
    )


def read(part: Sequence[cliques.Cover], model: ModelConfig) -> list[Rendition]:
    """Covers as the model reads them."""
    if model.features == "spectrogram":
        return cliques.spectrograms(part, model)
    return cliques.contours(part, cliques.track([one.sound for one in part]), model)


def train_network(
    material: Material, config: SingingLabConfig, folder: Path, resume: bool = True
) -> tuple[Training, Model]:
    """The attention network, trained on the material into ``folder``; resume: go on with what was stopped there."""
    model = model_config(config)
    pairs = PairConfig(config.threshold, config.weight, config.inverse, config.entropy)
    done = train_cliques(
        read(material.learned, model), read(material.held_out, model), model, pairs, folder, resume=resume
    )
    return done, Model.load(done.checkpoint)


def attended(model: Model, material: Material) -> tuple[Floats, Floats, float, str]:
    """The arguments of ``plots.singing.attention``: a recording as the network reads it, and what each moment
    weighs."""
    import torch

    cover = material.asked[0]
    values = read([cover], model.config)[0].values
    network: Any = model.network
    with torch.inference_mode():
        moments, there = network.moments(torch.from_numpy(values)[None])
        weights = network.weights(moments, there)[0].mean(dim=1).numpy()
    length_s = values.shape[1] * model.config.contour.frame_s
    half = float(np.sort(weights)[::-1].cumsum().searchsorted(0.5) + 1) / len(weights)
    claim = f"{cover.title}, {cover.lead}: half of the attention goes to {half:.0%} of the moments"
    return values, weights.astype(np.float32), length_s, claim


def cover_distances(model: Model, material: Material) -> covers.Distances:
    """Of all pairs of recordings of tunes that the network has not seen."""
    renditions = read(material.asked, model.config)
    return covers.distances(_vectors(model, renditions), renditions)


def cover_precision(model: Model, material: Material) -> Interval:
    """Mean average precision of finding the other recordings of tunes that the network has not seen."""
    renditions = read(material.asked, model.config)
    return cover_report(_vectors(model, renditions), renditions).map


def cover_methods(model: Model, material: Material, shipped: Model) -> tuple[dict[str, Interval], float, str]:
    """The arguments of ``plots.singing.methods``: mean average precision of finding a tune's other recordings, by the
    network, by the same untrained, and by the library's rankers on the tracked melodies."""
    import torch

    from humfind.encoders import build
    from humfind.encoders.checkpoint import input_shape

    renditions = read(material.asked, model.config)
    with torch.random.fork_rng():
        torch.manual_seed(model.config.train.seed)
        untrained = Model(model.config, build(model.config.encoder, input_shape(model.config)))
    found = {
        "attention": cover_precision(model, material),
        "attention, untrained": cover_report(_vectors(untrained, renditions), renditions).map,
    }
    names = [one.name for one in renditions]
    f0s = cliques.track([one.sound for one in material.asked])
    for ranker in RANKERS:
        found[ranker] = report_of(covers.by_ranker(names, f0s, shipped, ranker), renditions).map
    rng = np.random.default_rng(0)
    chance = report_of(rng.random((len(names), len(names))), renditions).map.value
    best = max(found, key=lambda name: found[name].value)
    return found, chance, f"Other recordings of a tune: {best} finds them best, MAP {found[best].value:.2f}"


def transfer_curves(
    models: Mapping[str, Model], tunes: int, each: int, seed: int = 0
) -> tuple[dict[str, list[tuple[int, Interval]]], float, str]:
    """The arguments of ``plots.singing.transfer``: MRR@10 of naming a hum's tune by its k nearest hums, of each model's
    embeddings as they are."""
    hums = transfer.make_hums(tunes, each, 12.0, first=0, seed=seed)
    curves = {}
    learned = len(transfer.split(hums)[0])
    for name, model in models.items():
        vectors = transfer.features(hums, model)
        curves[name] = [(k, transfer.classify(vectors, hums, k).mrr) for k in KS if k <= learned]
    best = {name: max(interval.value for _, interval in points) for name, points in curves.items()}
    claim = "Hums named by their nearest hums, MRR@10 at best: "
    claim += ", ".join(f"{name} {value:.2f}" for name, value in best.items())
    return curves, metrics.chance(tunes), claim


def summary(
    found: covers.Distances,
    methods: tuple[dict[str, Interval], float, str],
    curves: tuple[dict[str, list[tuple[int, Interval]]], float, str],
) -> dict[str, Any]:
    """What the run keeps, as JSON values."""
    return {
        "bhattacharyya": found.overlap,
        "bhattacharyya, 20 bins": found.overlap_20,
        "welch": {"t": found.t, "p": found.p},
        "map": {name: str(interval) for name, interval in methods[0].items()} | {"chance": methods[1]},
        "transfer": {name: {k: str(interval) for k, interval in points} for name, points in curves[0].items()},
    }


def _vectors(model: Model, renditions: Sequence[Rendition]) -> Floats:
    return embed_any_length(model.network, [one.values for one in renditions])


def _test_split(run: Run) -> str:
    return next((name for name in run.splits if name != "train"), "train")


def _hums(run: Run) -> list[tuple[Any, F0]]:
    """Raises InputError where there is none."""
    found = run.tracked(_test_split(run), "hum")
    if not found:
        raise InputError(f"{run.data}: {_test_split(run)} has no hum with an f0; give a data set that has hums")
    return found
