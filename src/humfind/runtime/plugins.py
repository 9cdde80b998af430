"""Parts by name: those of this package, and those that another installed package declares as an entry point.

A package adds, for example, an encoder by declaring in its ``pyproject.toml``::

    [project.entry-points."humfind.encoders"]
    transformer = "my_package.transformer:Transformer"

Groups: ``humfind.trackers``, ``humfind.encoders``, ``humfind.engines``, ``humfind.rankers``. This package's own names
come first, so that no installed package changes what they mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module, metadata
from typing import Any

from humfind.types import InputError, did_you_mean


def find(group: str, name: str, table: Mapping[str, Any]) -> Any:
    """The part ``name`` of ``group`` ("encoders", ...).

    table: this package's own parts; a string "module:attribute" is imported when it is asked for. Raises InputError for
    a name that neither the table nor an entry point has, and for an entry point that cannot be imported.
    """
    if name in table:
        part = table[name]
        if isinstance(part, str):
            module, _, attribute = part.partition(":")
            return getattr(import_module(module), attribute)
        return part
    for entry in metadata.entry_points(group=f"humfind.{group}", name=name):
        try:
            return entry.load()
        except (ImportError, AttributeError) as error:
            where = f"entry point {entry.value} of package {entry.dist.name if entry.dist else 'unknown'}"
            raise InputError(f"{group[:-1]} {name}: {where} cannot be imported ({error}); reinstall it") from error
    known = names(group, table)
    meant = did_you_mean(name, known)
    raise InputError(f"{group[:-1]} {name!r:.60}: unknown; choose one of {', '.join(known)}{meant}")


def names(group: str, table: Mapping[str, Any]) -> tuple[str, ...]:
    """Every name that ``find`` knows: the table's in its order, then those of other packages, sorted."""
    return (*table, *(name for name in others(group) if name not in table))


def others(group: str) -> tuple[str, ...]:
    """The names that other packages add, sorted."""
    return tuple(sorted({entry.name for entry in metadata.entry_points(group=f"humfind.{group}")}))
