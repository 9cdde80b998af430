"""A run of the notebooks: one data set, its f0 store, one folder for results."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from humfind.audio.load import load
from humfind.config import DEMO_SIZES, F0Config, ModelConfig
from humfind.data import zalo
from humfind.data.identity import identify, record, run_folder
from humfind.data.zalo import Item, Split
from humfind.encoders.checkpoint import Model
from humfind.f0.load import F0Cache, load_f0, open_store
from humfind.retrieval.checkpoints import PRETRAINED, load_model
from humfind.retrieval.trial import Trial, make_trial
from humfind.runtime.files import atomic_write_json
from humfind.training.dataset import Example
from humfind.types import F0, InputError, Recording

QUICK_STEPS = 40  # of the training that stands in where there is no checkpoint yet


def open_run(data: str, run_dir: str, f0: F0Config) -> Run:
    """data: demo-tiny | demo-small | demo-full (made where missing), or a folder. run_dir: empty is runs/<data>.

    Raises InputError where there is no such data set.
    """
    size = data.removeprefix("demo-")
    if data != size and size in DEMO_SIZES and not Path(data).is_dir():
        from humfind.data import demo

        folder = demo.ensure(size)
    else:
        folder = Path(data)
    if not folder.is_dir():
        known = ", ".join(f"demo-{name}" for name in DEMO_SIZES)
        raise InputError(f"{data}: no such data set; give a folder in the competition's layout, or one of {known}")
    out = Path(run_dir) if run_dir else run_folder(identify(folder))
    record(out, folder)
    (out / "results").mkdir(parents=True, exist_ok=True)
    return Run(folder, out, f0)


def shipped() -> Model:
    """The model that the package carries."""
    return load_model(PRETRAINED)[0]


@dataclass(frozen=True)
class Run:
    """data: the data set. folder: where results go. tracker: which f0."""

    data: Path
    folder: Path
    tracker: F0Config

    def __repr__(self) -> str:
        parts = [f"data set {self.data.name}, f0 by {self.tracker.tracker}"]
        for name, split in self.splits.items():
            parts.append(f"  {name}: {len(split.songs)} songs or excerpts, {len(split.hums)} hums")
        return "\n".join(parts)

    @cached_property
    def cache(self) -> F0Cache:
        return open_store(self.data, None, self.tracker)

    @property
    def store(self) -> Path:
        return self.cache.folder

    @cached_property
    def splits(self) -> dict[str, Split]:
        """Every split that the data set or its store has."""
        return {name: zalo.load_split(self.data, name, self.cache) for name in self.cache.splits(self.data)}

    @cached_property
    def _f0s(self) -> dict[tuple[str, str, str], F0]:
        """(split, kind, stem) -> f0; filled by ``_track``."""
        return {}

    @cached_property
    def skipped(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        return {}

    def items(self, split: str, kind: str) -> tuple[Item, ...]:
        """The recordings of a split, sorted by path."""
        if split not in self.splits:
            raise InputError(f"{self.data}: has no {split}; it has {', '.join(self.splits)}")
        return self.splits[split].songs if kind == "song" else self.splits[split].hums

    def songs(self, split: str) -> tuple[Item, ...]:
        return self.items(split, "song")

    def _track(self, split: str, kind: str) -> None:
        """Fill the f0 of one split and kind: from the store, the rest from audio."""
        if (split, kind) in self.skipped:
            return
        f0s = load_f0(self.items(split, kind), split, kind, self.cache, self.tracker)
        self._f0s.update({(split, kind, item.stem): f0 for item, f0 in f0s.f0})
        self.skipped[split, kind] = list(f0s.skipped)

    def tracked(self, split: str, kind: str) -> list[tuple[Item, F0]]:
        """The recordings that have an f0, with it."""
        self._track(split, kind)
        items = self.items(split, kind)
        return [(i, self._f0s[split, kind, i.stem]) for i in items if (split, kind, i.stem) in self._f0s]

    def f0(self, item: Item) -> F0:
        """The f0 of one recording. Raises InputError where it was skipped."""
        for split, kind in self.groups:
            if item in self.items(split, kind):
                found = {other.stem: f0 for other, f0 in self.tracked(split, kind)}
                if item.stem in found:
                    return found[item.stem]
        raise InputError(f"{item.path}: has no f0; notebook 01 tells why")

    @property
    def groups(self) -> list[tuple[str, str]]:
        return [(split, kind) for split in self.splits for kind in zalo.KINDS]

    def title(self, music_id: str | None) -> str:
        """The song's title, from songs.csv where the data set has one."""
        return self._titles.get(str(music_id), f"song {music_id}")

    @cached_property
    def _titles(self) -> dict[str, str]:
        return zalo.read_titles(self.data)

    def recording(self, item: Item) -> Recording | None:
        """The audio of one recording; None where there is only f0."""
        return load(item.audio) if item.audio is not None else None

    @property
    def music_ids(self) -> tuple[str, ...]:
        """Every song of the train split, whether its recordings can be read or not."""
        return self.splits["train"].music_ids

    def examples(self, features: str) -> list[Example]:
        """The train split as what training learns from: f0, or audio for the spectrogram control."""
        return [
            Example(item.path, str(item.music_id), kind, self._source(item, f0, features))
            for kind in zalo.KINDS
            for item, f0 in self.tracked("train", kind)
        ]

    def _source(self, item: Item, f0: F0, features: str) -> F0 | Recording:
        if features == "f0":
            return f0
        if item.audio is None:
            raise InputError(f"{item.path}: the spectrogram control needs audio, and there is only f0")
        return load(item.audio)

    @cached_property
    def _model_paths(self) -> dict[str, str]:
        """Checksum of each model that was loaded -> what it was loaded from."""
        return {}

    def model(self, checkpoint: str) -> Model:
        """The checkpoint, or ``pretrained``; empty: what notebook 03 left in this run, else one trained here for a
        minute."""
        own, quick = (self.folder / name / "model.safetensors" for name in ("model", "quick_model"))
        if not checkpoint and not own.is_file():
            from humfind.training.tasks.hums import train  # seconds to import

            default = ModelConfig()
            short = replace(default.train, steps=QUICK_STEPS, validate_every=QUICK_STEPS)
            config = replace(default, train=short)
            own = train(self.examples("f0"), config, quick.parent, music_ids=self.music_ids).checkpoint
        model, path = load_model(checkpoint or str(own))
        self._model_paths[model.checksum] = path
        return model

    def trial(self, name: str, model: Model, trained: Model | None = None) -> Trial:
        """validation (the songs that training did not see) or a split: its songs indexed, its hums as queries.

        trained: whose training held the validation songs out (default: this model's).
        """
        split = "train" if name == "validation" else name
        if split not in self.splits:
            raise InputError(f"{self.data}: has no {split}; it has {', '.join(self.splits)}")
        path = self._model_paths.get(model.checksum, "")
        return make_trial(self.data, split, model, path, self.cache, self.tracker, trained=trained)

    def save(self, name: str, values: Mapping[str, Any]) -> None:
        """``results/<name>.json``: what the run's summary gathers."""
        atomic_write_json(self.folder / "results" / f"{name}.json", values)
