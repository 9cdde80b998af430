"""The submissions of the tiny demo set, from the f0 and the weights that the repository ships, are those of before:
a file changes with a ranker's method alone, and CHANGELOG.md says so."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_world import REPOSITORY

from humfind.config import RANKER_NAMES, RankConfig
from humfind.retrieval.predict import predict

KEPT = Path(__file__).with_name("demo_tiny")
STORE = REPOSITORY / "crepe_freq" / "demo-tiny" / "torchcrepe"


@pytest.mark.parametrize("ranker", RANKER_NAMES)
def test_a_submission_keeps_its_bytes(ranker: str, tmp_path: Path) -> None:
    out = tmp_path / "submission.csv"
    data = REPOSITORY / "meta_data" / "demo-tiny"
    predict(data, "public_test", out, STORE, model="pretrained", rank=RankConfig(ranker=ranker))
    assert out.read_bytes() == (KEPT / f"{ranker}.csv").read_bytes()
