"""Runs in MLflow: settings, curves, figures, checkpoint, checksum of the data, revision of the code; in one SQLite
file, which ``mlflow ui`` opens."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from humfind import __version__
from humfind.experiment.plan import Run, missing
from humfind.experiment.tasks import leaves, task_of
from humfind.metrics import Interval
from humfind.runtime.files import atomic_write_json, read_json
from humfind.types import InputError

os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")  # nothing is sent anywhere
os.environ.setdefault("MLFLOW_LOGGING_LEVEL", "WARNING")
DATABASE, CONFIG = "mlflow.db", "config.json"
KEY, DATA, REVISION, VERSION = "humfind.key", "humfind.data", "humfind.revision", "humfind.version"
MOST = 10_000  # runs that are read back
BATCH = 90  # settings that one call to MLflow takes
LONGEST = 5_000  # characters of a setting's value
LOW, HIGH = " low", " high"  # ends of a figure's interval
NAME = str.maketrans({"@": " at "})  # MLflow's names of figures


@dataclass(frozen=True)
class Record:
    """A run that was trained. values: its settings. figures: on what no training saw. history: a row a validation.
    checkpoint: the best one's path. facts: by tag."""

    id: str
    task: str
    key: str
    values: Mapping[str, Any]
    figures: Mapping[str, Interval]
    history: tuple[dict[str, float], ...]
    checkpoint: Path
    seconds: float
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """What a worker hands back. history, losses, seconds: of ``Training``. data: checksum of what was learned from."""

    folder: Path
    figures: Mapping[str, Interval]
    history: tuple[dict[str, float], ...]
    losses: tuple[float, ...]
    seconds: float
    data: str


class Records:
    """The runs of a folder. Raises InputError where MLflow is not installed, and where the folder has no runs and
    ``make`` is not set."""

    def __init__(self, folder: Path, make: bool = False) -> None:
        self.folder = folder.resolve()
        if not make and not (self.folder / DATABASE).is_file():
            raise InputError(f"{folder}: no experiments; give: humfind experiment task=tracks --store {folder}")
        require_installed()
        from mlflow import MlflowClient

        self.folder.mkdir(parents=True, exist_ok=True)
        self.client = MlflowClient(f"sqlite:///{self.folder / DATABASE}")

    def keep(self, run: Run, trained: Trained, figure: Any = None) -> Record:
        """Into MLflow, finished once everything is there. figure: its curves, drawn."""
        client = self.client
        tags = {KEY: run.key, DATA: trained.data, VERSION: __version__, REVISION: revision()}
        now = int(1000 * time.time())
        began = now - round(1000 * trained.seconds)
        made = client.create_run(self._experiment(run.task), began, tags, run_name=name_of(run))
        kept = made.info.run_id
        from mlflow.entities import Metric, Param

        settings = [Param(name, str(value)[:LONGEST]) for name, value in leaves(run.values).items()]
        for first in range(0, len(settings), BATCH):
            client.log_batch(kept, params=settings[first : first + BATCH])
        curves = [Metric(name, value, now, int(row["step"])) for row in trained.history for name, value in row.items()]
        ends = {name: {"": one.value, LOW: one.low, HIGH: one.high} for name, one in trained.figures.items()}
        figures = [
            Metric((name + end).translate(NAME), value, now, 0)
            for name, parts in ends.items()
            for end, value in parts.items()
        ]
        client.log_batch(kept, metrics=[*curves, *figures, Metric("seconds", trained.seconds, now, 0)])
        atomic_write_json(trained.folder / CONFIG, _as_json(run, trained))
        for name in (CONFIG, "model.safetensors", "model.json"):
            client.log_artifact(kept, str(trained.folder / name))
        if figure is not None:
            client.log_figure(kept, figure, "curves.png")
        client.set_terminated(kept)
        return self.one(kept)

    def _experiment(self, task: str) -> str:
        found = self.client.get_experiment_by_name(task)
        if found is not None:
            return str(found.experiment_id)
        return str(self.client.create_experiment(task, (self.folder / "artifacts" / task).as_uri()))

    def finished(self, key: str) -> Record | None:
        """The run of a key, the newest; None where none has ended."""
        found = self._search(f"tags.`{KEY}` = '{key}'", 1)
        return self._record(found[0]) if found else None

    def every(self, task: str = "") -> list[Record]:
        """The newest first."""
        return [self._record(run) for run in self._search("", MOST, task)]

    def one(self, said: str) -> Record:
        """By its id, or the beginning of it. Raises InputError where none begins so, or several do."""
        found = [run for run in self._search("", MOST) if run.info.run_id.startswith(said)]
        if len(found) != 1 or not said:
            what = "several runs begin" if found else "no run begins"
            raise InputError(f"{said}: {what} so; humfind experiment list shows their ids")
        return self._record(found[0])

    def _search(self, query: str, most: int, task: str = "") -> list[Any]:
        names = {str(one.experiment_id): one.name for one in self.client.search_experiments()}
        ids = [number for number, name in names.items() if task in ("", name)]
        asked = " and ".join(part for part in ("attributes.status = 'FINISHED'", query) if part)
        found = self.client.search_runs(ids, asked, max_results=most, order_by=["attributes.start_time DESC"])
        return [run for run in found if KEY in run.data.tags]

    def _record(self, run: Any) -> Record:
        folder = Path(self.client.download_artifacts(run.info.run_id, ""))
        kept = read_json(folder / CONFIG)
        return Record(
            run.info.run_id,
            kept["task"],
            run.data.tags[KEY],
            kept["values"],
            {name: Interval(*one) for name, one in kept["figures"].items()},
            tuple(kept["history"]),
            folder / "model.safetensors",
            run.data.metrics["seconds"],
            {name.partition(".")[2]: value for name, value in run.data.tags.items() if name.startswith("humfind.")},
        )


def _as_json(run: Run, trained: Trained) -> dict[str, Any]:
    figures = {name: [one.value, one.low, one.high] for name, one in trained.figures.items()}
    return {"task": run.task, "values": run.values, "figures": figures, "history": list(trained.history)}


def name_of(run: Run) -> str:
    """The settings that are not the defaults, as words of the command."""
    default, mine = leaves(task_of(run.task).defaults), leaves(run.values)
    said = [f"{name}={value}" for name, value in mine.items() if json.dumps(value) != json.dumps(default.get(name))]
    return f"{' '.join(said):.200}" or "defaults"


def require_installed() -> None:
    """Raises InputError where Hydra or MLflow is not there."""
    for name in ("hydra", "mlflow"):
        if find_spec(name) is None:
            raise InputError(f"experiment: {missing(name)}")


def revision() -> str:
    """Of the code: the commit, ``+`` where files differ from it; empty where it is no checkout."""
    where = Path(__file__).parent

    def git(*words: str) -> str:
        done = subprocess.run(["git", "-C", str(where), *words], capture_output=True, text=True, check=False)
        return done.stdout.strip() if done.returncode == 0 else ""

    try:
        return git("rev-parse", "--short=12", "HEAD") + "+" * bool(git("status", "--porcelain", "--", "."))
    except OSError:  # no git
        return ""


def differing(records: Sequence[Record]) -> list[str]:
    """Settings that are not the same in all, by their dotted names."""
    flat = [leaves(one.values) for one in records]
    names = dict.fromkeys(name for one in flat for name in one)
    return [name for name in names if len({json.dumps(one.get(name)) for one in flat}) > 1]
