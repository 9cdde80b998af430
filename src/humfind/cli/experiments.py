"""What ``humfind experiment`` prints."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from humfind.experiment.records import DATABASE, Record, Records, differing
from humfind.experiment.sweep import line_of, reproduced, require_kept, sweep
from humfind.experiment.tasks import leaves
from humfind.runtime.printable import say, to_json
from humfind.types import InputError


def train(words: Sequence[str], store: Path, many: bool, workers: int, as_json: bool) -> None:
    """Train, and print the best last. Raises InputError."""
    found = sweep(words, store, many, workers, lambda line: say(line, error=True))
    if as_json:
        print(to_json([_row(one) for one in found]))
        return
    _table(found)


def listed(store: Path, as_json: bool) -> None:
    """Every run, the newest first."""
    found = Records(store).every()
    if as_json:
        print(to_json([_row(one) for one in found]))
        return
    for one in found:
        say(f"{one.task:8} {line_of(one)}")
    say(f"MLflow's page: mlflow ui --backend-store-uri sqlite:///{store.resolve() / DATABASE}", error=True)


def shown(said: str, store: Path, check: bool, as_json: bool) -> None:
    """One run; check: its figures anew. Raises InputError where they differ from those that were kept."""
    one = Records(store).one(said)
    if as_json:
        print(to_json(_row(one)))
    else:
        code = one.facts["revision"] or one.facts["version"]
        say(f"{one.task} {one.id}, {one.seconds:.0f} s of training, code {code}")
        for name, value in leaves(one.values).items():
            say(f"  {name}={_text(value)}")
        for row in one.history:
            say("  " + ", ".join(f"{name} {value:.4g}" for name, value in row.items()))
        for name, figure in one.figures.items():
            say(f"{name} {figure}")
        say(f"checkpoint: {one.checkpoint}")
    if check:
        require_kept(one, reproduced(one, store))
        say("the same figures again", error=True)


def compared(said: Sequence[str], store: Path, as_json: bool) -> None:
    """Runs by what differs in them, the best first. Raises InputError where they are of several tasks."""
    records = Records(store)
    found = [records.one(one) for one in said] if said else records.every()
    if len({one.task for one in found}) > 1:
        raise InputError("experiment: runs of several tasks; give the ids of runs of one")
    if as_json:
        print(to_json([_row(one) for one in found]))
        return
    _table(found)


def _table(found: Sequence[Record]) -> None:
    names = differing(found)
    figure = next(iter(found[0].figures))
    for one in sorted(found, key=lambda one: -one.figures[figure].value):
        flat = leaves(one.values)
        said = " ".join(f"{name}={_text(flat.get(name, '-'))}" for name in names)
        say(f"{line_of(one)}  {said}".rstrip())


def _text(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


def _row(one: Record) -> dict[str, Any]:
    return {
        "id": one.id,
        "task": one.task,
        "settings": leaves(one.values),
        "figures": {name: {"value": f.value, "low": f.low, "high": f.high} for name, f in one.figures.items()},
        "history": list(one.history),
        "seconds": round(one.seconds, 2),
        "checkpoint": str(one.checkpoint),
        **one.facts,
    }
