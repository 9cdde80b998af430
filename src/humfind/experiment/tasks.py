"""What can be trained as an experiment: the main suite's encoder and the labs' networks, by their own functions.

A configuration is a table of plain values, as ``config.py`` has them: ``data`` says where the material comes from, the
rest is the model's.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from humfind.config import (
    CHOICES,
    PRESETS,
    RANGES,
    F0Config,
    ModelConfig,
    MorletConfig,
    NotebookConfig,
    RankConfig,
    SimilarLabConfig,
    SingingLabConfig,
    TagModelConfig,
    TagsLabConfig,
    TrackModelConfig,
    from_dict,
    require_valid,
    to_dict,
)
from humfind.metrics import Interval
from humfind.training.loop import Training
from humfind.types import InputError, did_you_mean

Values = Mapping[str, Any]


@dataclass(frozen=True)
class Task:
    """defaults: every setting, as plain values. config: of the model, from them. material: what it learns from and is
    asked, from the settings and a folder to render into. depends: the settings that the material depends on, beside
    ``data``. figures: of a checkpoint, on what no training saw. groups: settings that are chosen by one name. sources:
    settings that name files. rules: of ``config.CHOICES``, for settings that are called otherwise there."""

    name: str
    defaults: Values
    config: Callable[[Values], Any]
    material: Callable[[Values, Path], Any]
    train: Callable[[Any, Any, Path], Training]
    figures: Callable[[Any, Path], Mapping[str, Interval]]
    depends: tuple[str, ...] = ()
    groups: Mapping[str, Mapping[str, Values]] = field(default_factory=dict)
    sources: tuple[str, ...] = ()
    rules: Mapping[str, str] = field(default_factory=dict)

    def require(self, values: Values) -> None:
        """Raises InputError for a setting that is none, before any work."""
        for name, value in leaves(values).items():
            rule = self.rules.get(name, name.rpartition(".")[2])
            if (rule in RANGES and not isinstance(value, str | bool)) or (rule in CHOICES and isinstance(value, str)):
                require_valid(rule, value)
        self.config(values)

    def material_key(self, values: Values) -> str:
        """The same for configurations that share their material."""
        flat = leaves(values)
        return json.dumps([self.name, values["data"], [flat[name] for name in self.depends]])


def leaves(values: Values, name: str = "") -> dict[str, Any]:
    """Every setting by its dotted name; a list is one setting."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        inner = f"{name}.{key}".lstrip(".")
        found |= leaves(value, inner) if isinstance(value, Mapping) else {inner: value}
    return found


def task_of(name: str) -> Task:
    """Raises InputError for one that is not known."""
    made = {"hums": _hums, "singing": _singing, "tags": _tags, "sounds": _sounds, "tracks": _tracks}
    if name not in made:
        known = ", ".join(made)
        raise InputError(f"task={name!s:.60}: unknown; choose one of {known}{did_you_mean(name, list(made))}")
    return made[name]()


def model_of(values: Values) -> dict[str, Any]:
    """The settings that are the model's."""
    return {name: value for name, value in values.items() if name != "data"}


def _data(kind: type, values: Values) -> Any:
    return from_dict(kind, dict(values["data"]), "data")


# --- the main suite: hums and songs


class _Hums(NamedTuple):
    examples: list[Any]
    music_ids: tuple[str, ...]


def _hums() -> Task:
    from humfind.encoders import ENCODERS, with_encoder
    from humfind.encoders.checkpoint import Model, config_from
    from humfind.notebooks.run import open_run
    from humfind.runtime.plugins import names
    from humfind.training.dataset import Example
    from humfind.training.tasks import hums

    small = ModelConfig()

    def material(values: Values, folder: Path) -> _Hums:
        data = values["data"]
        run = open_run(data["folder"], str(folder / "run"), F0Config(tracker=data["tracker"]))
        return _Hums(run.examples(values["features"]), run.music_ids)

    def figures(given: _Hums, checkpoint: Path) -> dict[str, Interval]:
        model = Model.load(checkpoint)
        held_out = set(model.held_out(given.music_ids))
        asked: list[Example] = [one for one in given.examples if one.music_id in held_out]
        return {"MRR@10": hums.validate(model, asked, RankConfig(ranker="vote")).mrr}

    return Task(
        "hums",
        {"data": {"folder": NotebookConfig.data, "tracker": F0Config.tracker}, **to_dict(small)},
        lambda values: config_from(model_of(values), "experiment"),
        material,
        lambda given, config, folder: hums.train(given.examples, config, folder, music_ids=given.music_ids),
        figures,
        depends=("features",),
        groups={
            "encoder": {name: to_dict(with_encoder(small, name).encoder) for name in names("encoders", ENCODERS)},
            "preset": {name: _changed(to_dict(small), to_dict(one)) for name, one in PRESETS.items()},
        },
        sources=("data.folder",),
    )


def _changed(was: Values, now: Values) -> dict[str, Any]:
    """What of ``now`` differs."""
    found: dict[str, Any] = {}
    for name, value in now.items():
        if isinstance(value, Mapping):
            if inner := _changed(was[name], value):
                found[name] = inner
        elif value != was[name]:
            found[name] = value
    return found


# --- the labs


def _singing() -> Task:
    from humfind.encoders.checkpoint import Model
    from humfind.notebooks import singing as lab

    default = to_dict(SingingLabConfig())
    source = {name: default.pop(name) for name in ("covers", "tunes", "renditions", "length_s", "lead")}

    def config(values: Values) -> SingingLabConfig:
        made: SingingLabConfig = from_dict(SingingLabConfig, {**values["data"], **model_of(values)}, "experiment")
        return made

    return Task(
        "singing",
        {"data": source, **default},
        config,
        lambda values, _: lab.make_material(config(values)),
        lambda given, config, folder: lab.train_network(given, config, folder)[0],
        lambda given, checkpoint: {"MAP": lab.cover_precision(Model.load(checkpoint), given)},
        depends=("seed",),
        sources=("data.covers",),
    )


def _tags() -> Task:
    from humfind.encoders.tag_model import TagModel
    from humfind.labs.tags import study
    from humfind.notebooks import tags as lab

    def config(values: Values) -> TagModelConfig:
        made: TagModelConfig = from_dict(TagModelConfig, model_of(values), "experiment")
        return made

    return Task(
        "tags",
        {"data": to_dict(TagsLabConfig()), **to_dict(TagModelConfig())},
        config,
        lambda values, _: lab.make_material(_data(TagsLabConfig, values), config(values)),
        lambda given, config, folder: lab.train(given, config, folder)[0],
        lambda given, checkpoint: {"MAP": study.test(given.given, TagModel.load(checkpoint)).report.map},
        depends=("song", "acoustic", "words"),
        sources=("data.table",),
    )


def _sounds() -> Task:
    from humfind.encoders.morlet import SoundModel
    from humfind.labs.similar import study
    from humfind.notebooks import similar as lab

    def config(values: Values) -> MorletConfig:
        made: MorletConfig = from_dict(MorletConfig, model_of(values), "experiment")
        return made

    def figures(given: study.Material, checkpoint: Path) -> dict[str, Interval]:
        model = SoundModel.load(checkpoint)
        found = study.judge(given, study.by_segments(model.embed, model.config))
        return {"MAP of the same label": found.same.map, "MRR@10 of copies": found.copies.overall}

    return Task(
        "sounds",
        {"data": to_dict(SimilarLabConfig()), **to_dict(MorletConfig())},
        config,
        lambda values, folder: lab.make_material(_data(SimilarLabConfig, values), config(values), folder / "sounds"),
        lambda given, config, folder: study.train(given, config, folder)[0],
        figures,
        depends=("rate_hz", "samples"),
        sources=("data.sounds",),
    )


def _tracks() -> Task:
    from humfind.encoders.track_network import TrackModel
    from humfind.labs.playlist import study
    from humfind.notebooks import playlist as lab

    def config(values: Values) -> TrackModelConfig:
        made: TrackModelConfig = from_dict(TrackModelConfig, model_of(values), "experiment")
        return made

    def figures(given: study.Material, checkpoint: Path) -> dict[str, Interval]:
        found = study.judge(given, TrackModel.load(checkpoint).embed(given.features.values[given.rows("asked")]))
        return {"precision@10": found.precision, "genres kept together": found.separation.cosine}

    return Task(
        "tracks",
        {"data": {"table": "", "seed": 0}, **to_dict(TrackModelConfig())},
        config,
        lambda values, _: lab.make_material(values["data"]["table"], values["data"]["seed"]),
        lambda given, config, folder: study.train(given, config, folder)[0],
        figures,
        sources=("data.table",),
        rules={"loss": "track_loss"},
    )
