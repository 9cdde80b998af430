"""A run of the notebooks: one data set, its f0 store, one folder for results."""

from __future__ import annotations

import html
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from humfind.audio.load import load
from humfind.config import DEMO_SIZES, ContourConfig, F0Config, ModelConfig
from humfind.data import zalo
from humfind.data.identity import identify, record, run_folder
from humfind.data.zalo import Item, Split
from humfind.encoders.checkpoint import Model
from humfind.f0 import make_tracker
from humfind.f0.load import F0Cache, load_f0
from humfind.melody.contour import from_f0
from humfind.melody.pairwise_alignment import align
from humfind.notebooks.pairs import Pair
from humfind.retrieval.checkpoints import PRETRAINED, load_model
from humfind.retrieval.predict import open_store
from humfind.retrieval.trial import Trial, make_trial
from humfind.runtime.files import atomic_write_json
from humfind.training.dataset import Example
from humfind.types import F0, InputError, Recording

QUICK_STEPS = 40  # of the training that stands in where there is no checkpoint yet
QUICK_TRACKER = "swiftf0"  # what the run's tracker is compared with


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
        """(split, kind, stem) -> f0; filled by ``_hear``."""
        return {}

    @cached_property
    def _skipped(self) -> dict[tuple[str, str], list[tuple[str, str]]]:
        return {}

    def items(self, split: str, kind: str) -> tuple[Item, ...]:
        """The recordings of a split, sorted by path."""
        if split not in self.splits:
            raise InputError(f"{self.data}: has no {split}; it has {', '.join(self.splits)}")
        return self.splits[split].songs if kind == "song" else self.splits[split].hums

    def songs(self, split: str) -> tuple[Item, ...]:
        return self.items(split, "song")

    def _hear(self, split: str, kind: str) -> None:
        """Fill the f0 of one split and kind: from the store, the rest from audio."""
        if (split, kind) in self._skipped:
            return
        heard = load_f0(self.items(split, kind), split, kind, self.cache, self.tracker)
        self._f0s.update({(split, kind, item.stem): f0 for item, f0 in heard.f0})
        self._skipped[split, kind] = list(heard.skipped)

    def heard(self, split: str, kind: str) -> list[tuple[Item, F0]]:
        """The recordings that have an f0, with it."""
        self._hear(split, kind)
        items = self.items(split, kind)
        return [(i, self._f0s[split, kind, i.stem]) for i in items if (split, kind, i.stem) in self._f0s]

    def f0(self, item: Item) -> F0:
        """The f0 of one recording. Raises InputError where it was skipped."""
        for split, kind in self._groups():
            if item in self.items(split, kind):
                found = {other.stem: f0 for other, f0 in self.heard(split, kind)}
                if item.stem in found:
                    return found[item.stem]
        raise InputError(f"{item.path}: has no f0; notebook 01 tells why")

    def _groups(self) -> list[tuple[str, str]]:
        return [(split, kind) for split in self.splits for kind in zalo.KINDS]

    def transform(self) -> Any:
        """Every recording's f0 into the store; a table of what was done, a row a split and kind."""
        import pandas as pd

        rows = []
        for split, kind in self._groups():
            stems, started = {row.stem for row in self.cache.read(split, kind)}, time.perf_counter()
            heard = self.heard(split, kind)
            seconds = time.perf_counter() - started
            new_s = sum(f0.length_s for item, f0 in heard if item.stem not in stems)
            row = {"split": split, "kind": kind, "recordings": len(heard), "skipped": len(self._skipped[split, kind])}
            row |= {"reused": sum(item.stem in stems for item, _ in heard), "audio_s": round(new_s, 1)}
            row |= {"seconds": round(seconds, 1), "x_real_time": round(new_s / seconds, 1) if new_s else None}
            rows.append(row)
        self.save("transform", {"rows": rows})
        return pd.DataFrame(rows)

    def skipped(self) -> Any:
        """Recordings without f0, and why, as a table."""
        import pandas as pd

        rows = [(*group, *skip) for group, skips in self._skipped.items() for skip in skips]
        return pd.DataFrame(rows, columns=["split", "kind", "path", "reason"])

    def by_group(self, measure: Callable[[F0], float]) -> dict[str, np.ndarray]:
        """A figure of each recording's f0, by "<split> <kind>s"."""
        return {
            f"{split} {kind}s": np.array([measure(f0) for _, f0 in self.heard(split, kind)], dtype=np.float64)
            for split, kind in self._groups()
        }

    def title(self, music_id: str | None) -> str:
        """The song's title, from songs.csv where the data set has one."""
        return self._titles.get(str(music_id), f"song {music_id}")

    @cached_property
    def _titles(self) -> dict[str, str]:
        return zalo.read_titles(self.data)

    def has_audio(self, split: str) -> bool:
        """Whether every recording of the split lies there as audio, not only in the store."""
        return all(item.audio is not None for kind in zalo.KINDS for item in self.items(split, kind))

    def recording(self, item: Item) -> Recording | None:
        """The audio of one recording; None where there is only f0."""
        return load(item.audio) if item.audio is not None else None

    def player(self, item: Item) -> Any:
        """Something to click on in a notebook."""
        from IPython.display import HTML, Audio

        if item.audio is None:
            return HTML(f"<em>{html.escape(item.path)}: there is only f0, no audio</em>")
        return Audio(filename=str(item.audio), embed=True)

    def tracker_speeds(self) -> dict[str, float]:
        """Seconds of audio a second of computing, on the first hums: this run's tracker and the quick one.

        Empty without audio.
        """
        pieces = [item for split in self.splits for item in self.splits[split].hums if item.audio is not None][:3]
        if not pieces:
            return {}
        sounds = [load(item.audio) for item in pieces if item.audio is not None]
        rates = {}
        for name in dict.fromkeys((self.tracker.tracker, QUICK_TRACKER)):
            tracker = make_tracker(replace(self.tracker, tracker=name))
            tracker(sounds[0])  # warm up
            started = time.perf_counter()
            for sound in sounds[1:] or sounds:
                tracker(sound)
            length_s = sum(sound.length_s for sound in sounds[1:] or sounds)
            rates[name if tracker.model in ("", name) else f"{name} {tracker.model}"] = length_s / (
                time.perf_counter() - started
            )
        return rates

    def pairs(self) -> list[Pair]:
        """Every training hum with the excerpt that it was hummed of, aligned."""
        from tqdm import tqdm

        contour = ContourConfig()
        songs = {item.path: (item, from_f0(f0, contour)) for item, f0 in self.heard("train", "song")}
        hums = {item.path: (item, from_f0(f0, contour)) for item, f0 in self.heard("train", "hum")}
        rows = [pair for pair in self.splits["train"].pairs if pair[0] in songs and pair[1] in hums]
        pairs = []
        for song_path, hum_path in tqdm(rows, desc="aligning pairs", unit="pair"):
            (song, song_line), (hum, hum_line) = songs[song_path], hums[hum_path]
            title = self.title(song.music_id)
            pairs.append(Pair(title, song, hum, song_line, hum_line, align(hum_line, song_line)))
        return pairs

    def example_song(self) -> Item:
        """A whole song: the first of the first test split, or of train where there is none."""
        split = next((name for name in self.splits if name != "train"), "train")
        return self.songs(split)[0]

    def example_pair(self) -> Pair:
        """The first training pair."""
        songs = {item.path: item for item in self.songs("train")}
        hums = {item.path: item for item in self.items("train", "hum")}
        if not self.splits["train"].pairs:
            mend = "name them in train/train_meta.csv (music_id,song_path,hum_path)"
            raise InputError(f"{self.data}: nothing says which recording each training hum is of; {mend}")
        song_path, hum_path = self.splits["train"].pairs[0]
        song, hum = songs[song_path], hums[hum_path]
        lines = [from_f0(self.f0(item), ContourConfig()) for item in (song, hum)]
        return Pair(self.title(song.music_id), song, hum, lines[0], lines[1], align(lines[1], lines[0]))

    def split_by_song(self, validation_share: float, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(train ids, validation ids) of the train split."""
        return self.splits["train"].by_song(validation_share, seed)

    @property
    def music_ids(self) -> tuple[str, ...]:
        """Every song of the train split, whether its recordings can be read or not."""
        return self.splits["train"].music_ids

    def hums_per_song(self, groups: Mapping[str, Sequence[str]]) -> dict[str, list[int]]:
        """How many hums each song of each group has."""
        counts: dict[str, int] = {}
        for item in self.items("train", "hum"):
            counts[str(item.music_id)] = counts.get(str(item.music_id), 0) + 1
        return {name: [counts.get(music_id, 0) for music_id in ids] for name, ids in groups.items()}

    def examples(self, features: str) -> list[Example]:
        """The train split as what training learns from: f0, or audio for the spectrogram control."""
        return [
            Example(item.path, str(item.music_id), kind, self._source(item, f0, features))
            for kind in zalo.KINDS
            for item, f0 in self.heard("train", kind)
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
