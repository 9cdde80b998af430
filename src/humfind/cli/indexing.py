"""``humfind index``: by this process, by several, or by a cluster."""

from __future__ import annotations

from pathlib import Path

from humfind.config import F0Config
from humfind.f0.load import Skipped
from humfind.index import Index
from humfind.types import InputError


def write_melodies(
    source: Path,
    out: Path,
    split: str,
    store: Path | None,
    model: str,
    f0: F0Config | None,
    engine: str,
    workers: int,
    scheduler: str,
) -> tuple[Index, Skipped]:
    """Raises InputError."""
    if workers and scheduler:
        raise InputError("--workers are of this machine, --scheduler names a cluster; give one of the two")
    if not workers and not scheduler:
        from humfind.retrieval.indexing import write_index

        return write_index(source, out, split, store, model, f0, engine)
    if store is not None:
        raise InputError(f"{store}: workers track a folder of music themselves; leave --f0 out")
    from humfind.scale.build import write_index_by

    return write_index_by(scheduler, source, out, model, f0, engine, workers)
