"""Timing in turns, what its tables say, and the exponents of growth."""

from __future__ import annotations

import time

import numpy as np
import pytest

from benchmarks.speed.growth import carried_on, exponents
from benchmarks.speed.side_by_side import Stage, in_turns, machine, markdown, pick
from humfind.plots.speed import grown, side_by_side


def test_ways_are_timed_in_turns_after_a_warm_up():
    order: list[str] = []
    rows = in_turns({"a": lambda: order.append("a"), "b": lambda: (order.append("b"), time.sleep(0.01))}, 3)
    assert "".join(order) == "ab" + "ababab"
    assert rows["b"].low >= 0.01 > rows["a"].seconds
    assert rows["b"].low <= rows["b"].seconds <= rows["b"].high


def test_a_table_has_ratios_to_the_yardstick():
    rows = in_turns({"theirs": lambda: time.sleep(0.02), "ours": lambda: time.sleep(0.005)}, 2)
    stage = Stage("s", "what", "theirs", pick(rows, {"ours": "same"}, ("ours",)), ("a note",))
    assert stage.ratio(stage.rows[1]) > 2
    text = markdown(stage)
    assert "| **ours** |" in text
    assert "| 1.00 |" in text
    assert text.endswith("a note")
    assert side_by_side({row.name: (row.seconds, row.low, row.high, row.ours) for row in stage.rows}, "claim").axes


def test_exponents_are_slopes():
    rows = [{"songs": n, "search, s": 0.1 * n**0.5, "disk, GB": 2e-3 * n} for n in (10, 100, 1000)]
    power = exponents(rows)
    assert power == pytest.approx({"search, s": 0.5, "disk, GB": 1.0})
    assert len(grown(rows, power).axes) == 2


def test_what_three_sizes_tell_is_carried_on():
    rows = [{"songs": n, "search, s": 0.1 * n**0.5, "recall@100": 0.9} for n in (10, 100, 1000)]
    rows[0]["disk, GB"], rows[1]["disk, GB"] = 1.0, 2.0
    assert carried_on(rows, 10**6) == pytest.approx({"search, s": 100.0})


def test_the_machine_is_described():
    about = machine()
    assert about["cores"] >= 1
    assert about["versions"]["numpy"] == np.__version__
