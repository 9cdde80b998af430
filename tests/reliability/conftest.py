"""What several tests of this folder share: one small world, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.reliability import determinism


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data, f0, train and submission.csv of ``benchmarks/reliability/small_steps.py``, made in a process."""
    folder = tmp_path_factory.mktemp("small_world")
    determinism.run_all(folder)
    return folder
