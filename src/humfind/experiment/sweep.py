"""Runs trained side by side, one thread each so that how many there are changes no result; what is done is not done
again, and what was stopped goes on from its last validation."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock
from joblib.externals.loky import get_reusable_executor

from humfind.experiment.plan import DIGITS, Run, plan
from humfind.experiment.records import Record, Records, Trained
from humfind.experiment.tasks import task_of
from humfind.metrics import Interval
from humfind.runtime.cores import cores, end_on_interrupt
from humfind.types import InputError

RUNS, VALIDATION = "runs", "validation_"
QUIET = {  # no bars of progress, which would run through each other; on Ctrl-C no word of what the system clears up
    "TQDM_DISABLE": "1",
    "PYTHONWARNINGS": "ignore:resource_tracker",
}
_material: dict[str, Any] = {}  # of a worker: the last that it made, since neighbours in a sweep often share it


def sweep(
    words: Sequence[str],
    store: Path,
    many: bool = False,
    workers: int = 0,
    tell: Callable[[str], None] | None = None,
) -> list[Record]:
    """Train what ``words`` say, and keep it in ``store``; in the order of the plan. workers: runs side by side; 0: one
    a core. tell: gets a line a run. Raises InputError, before any training where the words are wrong."""
    runs = plan(words, many)
    records = Records(store, make=True)
    done = {run.key: found for run in runs if (found := records.finished(run.key)) is not None}
    say = tell or (lambda line: None)
    if done:
        say(f"{len(done)} of {len(runs)} runs are there already")
    left = [run for run in runs if run.key not in done]
    spawn = multiprocessing.get_context("spawn")
    count = min(workers or cores(), len(left))
    if left:
        with _quiet(), ProcessPoolExecutor(count, spawn, initializer=_one_thread) as pool:
            waiting = {pool.submit(trained, run, records.folder): run for run in left}
            try:
                for future in as_completed(waiting):
                    run = waiting[future]
                    done[run.key] = records.keep(run, result := future.result(), _curves(result))
                    say(f"{len(done)} of {len(runs)}: {line_of(done[run.key])}")
            except BaseException:
                pool.shutdown(wait=False, cancel_futures=True)
                raise
    return [done[run.key] for run in runs]


def trained(run: Run, store: Path) -> Trained:
    """One run, in a folder of its key; gone on with where one is there."""
    from humfind.training.state import State

    task, folder = task_of(run.task), store / RUNS / run.key
    given = _made(run, store)
    done = task.train(given, task.config(run.values), folder)
    data = State.load(folder / "resume.safetensors").about["data"]
    return Trained(folder, task.figures(given, done.checkpoint), done.history, done.losses, done.seconds, str(data))


def reproduced(record: Record, store: Path) -> dict[str, Interval]:
    """The figures anew: the material from the settings, the network from the checkpoint that MLflow has."""
    task = task_of(record.task)
    return dict(task.figures(_made(Run(record.task, record.values, record.key), store), record.checkpoint))


def line_of(record: Record) -> str:
    """Id and figures."""
    return f"{record.id[:8]}  " + ", ".join(f"{name} {one}" for name, one in record.figures.items())


def _made(run: Run, store: Path) -> Any:
    """What a run learns from; only one process at a time renders it."""
    task = task_of(run.task)
    key = task.material_key(run.values)
    if key not in _material:
        _material.clear()
        folder = store / "material" / hashlib.sha256(key.encode()).hexdigest()[:DIGITS]
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder.with_suffix(".lock")):
            _material[key] = task.material(run.values, folder)
        # joblib's own workers, which would keep this process for five minutes after its end
        get_reusable_executor().shutdown(wait=True)
    return _material[key]


@contextmanager
def _quiet() -> Iterator[None]:
    """For processes that start meanwhile."""
    before = dict(os.environ)
    os.environ.update(QUIET)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _one_thread() -> None:
    import torch

    end_on_interrupt()
    torch.set_num_threads(1)


def _curves(done: Trained) -> Any:
    """Loss and validations, drawn."""
    from humfind.plots import training

    score = next(name for name in done.history[0] if name.startswith(VALIDATION))
    return training.lab_history(
        done.history, done.losses, "material", "what is asked", score.removeprefix(VALIDATION).upper()
    )


def require_kept(record: Record, found: dict[str, Interval]) -> None:
    """Raises InputError where figures are not those that were kept."""
    for name, one in record.figures.items():
        if str(found.get(name)) != str(one):
            raise InputError(f"{record.id[:8]}: {name} is {found.get(name)} now, {one} was kept; data or code changed")
