"""Words of the command -> configurations: Hydra's defaults, groups, overrides and sweeps over ``config.py``'s values.

``task=hums encoder=attention loss=triplet,ntxent steps=200 -m``: a setting is called by its dotted name
(``train.steps``), or by the end of it where only one ends so.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, cast

from humfind.config import DEMO_SIZES
from humfind.experiment.tasks import Task, Values, leaves, task_of
from humfind.types import InputError, did_you_mean

DIGITS = 16  # of a run's key
DEMOS = tuple(f"demo-{size}" for size in DEMO_SIZES)


@dataclass(frozen=True)
class Run:
    """What is to be trained. key: the same for the same settings and the same files."""

    task: str
    values: Values
    key: str


def plan(words: Sequence[str], many: bool = False) -> list[Run]:
    """The runs of a command: one, or where ``many`` every combination of values set apart by commas. Raises InputError
    for a setting that none is called so, and for values that it cannot have."""
    named = dict.fromkeys(word.partition("=")[0] for word in words)
    if len(named) < len(words) or any("=" not in word for word in words):
        raise InputError("experiment: give each setting once, as name=value (task=hums loss=triplet)")
    wanted = [word.partition("=")[2] for word in words if word.startswith("task=")]
    task = task_of(wanted[0] if wanted else "hums")
    others = [_full(word, task) for word in words if not word.startswith("task=")]
    made = [_run(task, values) for values in _composed(task, others, many)]
    return list({run.key: run for run in made}.values())


def setting(name: str, value: Any) -> str:
    """A word of the command; text is quoted, so that commas and signs in it mean nothing."""
    if not isinstance(value, str):
        return f"{name}={value}"
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"{name}='{escaped}'"


def _full(word: str, task: Task) -> str:
    """``steps=100`` -> ``train.steps=100``."""
    name, _, value = word.partition("=")
    known = list(dict.fromkeys([*task.groups, *leaves(task.defaults), *_of_choices(task)]))
    if name in known:
        return word
    ends = [one for one in known if one.endswith(f".{name}")]
    if len(ends) == 1:
        return f"{ends[0]}={value}"
    if ends:
        raise InputError(f"{name}: several settings of task {task.name} are called so; say {' or '.join(ends)}")
    short = [one.rpartition(".")[2] for one in known]
    raise InputError(f"{name}: task {task.name} has no such setting{did_you_mean(name, [*known, *short])}")


def _of_choices(task: Task) -> list[str]:
    """Settings that only some choice of a group has (``encoder.heads``)."""
    own = [group for group in task.groups if group in task.defaults]
    return [f"{group}.{name}" for group in own for choice in task.groups[group].values() for name in leaves(choice)]


def _composed(task: Task, words: Sequence[str], many: bool) -> list[dict[str, Any]]:
    """By Hydra: the task's defaults, its groups, then the words."""
    try:
        from hydra import compose, initialize
        from hydra.core.config_store import ConfigStore
        from hydra.core.override_parser.overrides_parser import OverridesParser
        from hydra.errors import HydraException, OverrideParseException
        from omegaconf import OmegaConf
        from omegaconf.errors import OmegaConfBaseException
    except ImportError as error:
        raise InputError(f"experiment: {missing(error.name)}") from error
    values = {name: value for name, value in task.defaults.items() if name not in task.groups}
    chosen = [{group: next(iter(choices))} for group, choices in task.groups.items()]
    store = ConfigStore.instance()
    store.store(name=task.name, node={"defaults": ["_self_", *chosen], **values})
    for group, choices in task.groups.items():
        for name, choice in choices.items():
            store.store(
                group=group, name=name, node=dict(choice), package=None if group in task.defaults else "_global_"
            )
    try:
        parts: list[list[str]] = []
        for word in words:
            (override,) = OverridesParser.create().parse_overrides([word])
            name = override.get_key_element()
            if name in task.groups:
                _require_choices(name, word, task)
            if override.is_sweep_override():
                parts.append([f"{name}={value}" for value in override.sweep_string_iterator()])
            else:
                parts.append([f"{name}={override.get_value_element_as_str()}"])
        if not many and (sweeping := [part[0].partition("=")[0] for part in parts if len(part) > 1]):
            raise InputError(f"{sweeping[0]}: several values; give -m to train with each of them")
        with initialize(version_base=None, config_path=None):
            made = [compose(config_name=task.name, overrides=list(combination)) for combination in product(*parts)]
        return [cast(dict[str, Any], OmegaConf.to_container(one, resolve=True)) for one in made]
    except OverrideParseException as error:
        raise InputError(f"{error.override}: not a value that Hydra can read; quote what has signs in it") from error
    except (HydraException, OmegaConfBaseException) as error:
        line = next(line for line in str(error).splitlines() if line.strip()).strip()
        raise InputError(f"experiment: {line:.300}; correct it") from error


def _require_choices(name: str, word: str, task: Task) -> None:
    known = list(task.groups[name])
    for one in word.partition("=")[2].split(","):
        if one not in known:
            raise InputError(f"{name}={one:.60}: unknown; choose one of {', '.join(known)}{did_you_mean(one, known)}")


def missing(package: str | None) -> str:
    """What to install."""
    return f"the package {package} is missing; install humfind[experiments]"


def _run(task: Task, values: Values) -> Run:
    task.require(values)
    flat = leaves(values)
    files = {name: _fingerprint(Path(flat[name])) for name in task.sources if flat[name]}
    for name, known in files.items():
        if not known and flat[name] not in DEMOS:
            raise InputError(f"{name}={flat[name]}: no such file or folder; name what is there")
    said = json.dumps([task.name, values, files], sort_keys=True)
    return Run(task.name, values, hashlib.sha256(said.encode()).hexdigest()[:DIGITS])


def _fingerprint(path: Path) -> str:
    """Of a file, or of all files below a folder: names, sizes and times; empty where there is none."""
    files = sorted(one for one in path.rglob("*") if one.is_file()) if path.is_dir() else [path]
    facts = [(str(one.relative_to(path)), one.stat().st_size, one.stat().st_mtime_ns) for one in files if one.exists()]
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:DIGITS] if facts else ""
