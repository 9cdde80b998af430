"""What several tests share: one small world, made once."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import determinism


@pytest.fixture(scope="session")
def small_world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data, f0, train and submission.csv of ``benchmarks/small_steps.py``, made in a process of their own."""
    folder = tmp_path_factory.mktemp("small_world")
    determinism.run_all(folder)
    return folder
