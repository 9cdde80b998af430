"""``kill -9``, then the same command: the unbroken run's bytes. ``benchmarks/reliability/kill.py`` does it 50 times."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.reliability import kill


@pytest.mark.parametrize(
    ("name", "moments"),
    [
        ("f0", ["half", "before", "after"]),
        pytest.param("data", ["half", "before", "clock"], marks=pytest.mark.slow),
        pytest.param("train", ["half", "before", "after", "clock"], marks=pytest.mark.slow),
    ],
)
def test_killed_at_a_write_it_ends_as_an_unbroken_run(
    small_world: Path, tmp_path: Path, name: str, moments: list[str]
) -> None:
    small = "benchmarks.reliability.small_steps"
    data, store = str(small_world / "data"), str(small_world / "f0")
    arguments = {"data": [], "f0": [data], "train": [data, store]}[name]
    step = kill.Step(name, name, [small, name, *arguments, "OUT"], seconds=5.0, writes=4)
    step.whole = step.digests(small_world / name)
    count = kill.Count()
    kill.one_round(step, tmp_path / "round", moments, np.random.default_rng(1), count)
    assert count.wrong == []
    assert all(count.kills[moment] == 1 for moment in moments if moment != "clock")  # the clock may come too late


def test_the_campaign_sees_what_is_wrong(small_world: Path, tmp_path: Path) -> None:
    """A half-written file under its final name, and another result, are found."""
    step = kill.Step("f0", "f0", [], whole={"part-0000.parquet": "0" * 64})
    (tmp_path / "part-0000.parquet").write_bytes(b"half")
    (tmp_path / "part-0001.parquet.part").write_bytes(b"half")
    assert kill.half_written(step, tmp_path) == ["part-0000.parquet"]
