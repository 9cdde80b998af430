"""Training by two processes on the CPU (gloo)."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_world import LONGEST_S
from toy import toy_examples

from humfind.config import ContourConfig, ModelConfig, ResNet1dConfig, TrainConfig
from humfind.encoders.checkpoint import Model
from humfind.training.loop import HistoryRow
from humfind.training.tasks.hums import train
from humfind.types import InputError

TINY = ModelConfig(
    contour=ContourConfig(frame_s=0.08, window_s=4.0, query_tempos=(0.84, 1.0, 1.19)),
    encoder=ResNet1dConfig(widths=(8, 16), blocks=(1, 1), kernel=5, embedding_dim=16),
    train=TrainConfig(songs_per_batch=6, recordings_per_song=2, steps=6, validate_every=3, device="cpu"),
)


def by(processes: int, config: ModelConfig = TINY, **train_values: Any) -> ModelConfig:
    return replace(config, train=replace(config.train, processes=processes, **train_values))


@pytest.mark.parametrize("loss", ["ntxent", "multisimilarity"])
def test_two_processes_learn_what_one_does_from_the_same_batches(loss: str, tmp_path: Path) -> None:
    examples = toy_examples(songs=10, hums=2, seed=1, length_s=6)
    one = train(examples, by(1, loss=loss), tmp_path / "one")
    two = train(examples, by(2, loss=loss), tmp_path / "two")
    assert two.losses == pytest.approx(one.losses, abs=2e-5)
    assert [row["validation_mrr"] for row in two.history] == pytest.approx(
        [row["validation_mrr"] for row in one.history]
    )
    mine, theirs = (Model.load(run.checkpoint).network.state_dict() for run in (two, one))
    assert mine.keys() == theirs.keys()
    for name, values in theirs.items():  # running statistics of batch normalisation among them
        assert torch.allclose(mine[name].float(), values.float(), atol=2e-3), name


def test_a_training_by_two_processes_goes_on_to_the_bit(tmp_path: Path) -> None:
    examples = toy_examples(songs=10, hums=2, seed=1, length_s=6)
    whole = train(examples, by(2), tmp_path / "whole")

    def stop(row: HistoryRow) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(examples, by(2), tmp_path / "cut", on_validation=stop)
    assert not multiprocessing.active_children()
    cut = train(examples, by(2), tmp_path / "cut")
    assert cut.losses == whole.losses
    assert cut.checkpoint.read_bytes() == whole.checkpoint.read_bytes()


def test_a_process_that_is_killed_ends_the_training_with_one_line_and_it_goes_on(tmp_path: Path) -> None:
    examples = toy_examples(songs=10, hums=2, seed=1, length_s=6)

    def kill(row: HistoryRow) -> None:
        (other,) = multiprocessing.active_children()
        assert other.pid is not None
        os.kill(other.pid, signal.SIGKILL)

    with pytest.raises(InputError, match="one of its 2 processes has ended"):
        train(examples, by(2), tmp_path / "run", on_validation=kill)
    assert not multiprocessing.active_children()
    assert len(train(examples, by(2), tmp_path / "run").losses) == TINY.train.steps


def test_what_cannot_be_shared_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"5 processes cannot share a batch of 12 alike"):
        train(toy_examples(songs=10, hums=2, seed=1, length_s=6), by(5), tmp_path / "a")
    with pytest.raises(InputError, match="choose at least 1"):
        train(toy_examples(songs=10, hums=2, seed=1, length_s=6), by(0), tmp_path / "b")
    assert not multiprocessing.active_children()


def test_a_script_without_a_main_guard_is_told_at_once(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        f"""import sys
sys.path[:0] = {[str(Path(__file__).parent), str(Path(__file__).parents[1])]!r}
from test_distributed import by, toy_examples, train
train(toy_examples(songs=10, hums=2, seed=1, length_s=6), by(2), __import__("pathlib").Path({str(tmp_path / "run")!r}))
"""
    )
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=LONGEST_S)
    assert done.returncode == 1
    assert "InputError: training: one of its 2 processes has ended" in done.stderr
