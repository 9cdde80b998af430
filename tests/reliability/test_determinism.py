"""The same seed, the same bytes: two processes, each with its own hash seed and order of folders."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reliability import determinism


@pytest.fixture(scope="module")
def twice(small_world: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], dict[str, str]]:
    """What each of two runs made: file -> SHA-256."""
    again = tmp_path_factory.mktemp("again")
    determinism.run_all(again, hash_seed=7)
    return determinism.digests(small_world), determinism.digests(again)


@pytest.mark.parametrize("result", determinism.RESULTS)
def test_two_processes_make_the_same_bytes(result: str, twice: tuple[dict[str, str], dict[str, str]]) -> None:
    first, second = ({name: sha for name, sha in made.items() if determinism.is_of(name, result)} for made in twice)
    assert len(first) >= 2
    assert first == second
