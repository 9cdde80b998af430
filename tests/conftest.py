"""What tests of several rooms share."""

from __future__ import annotations

import pytest
import torch
from tiny_world import CONFIG

from humfind.encoders import build
from humfind.encoders.checkpoint import Model, input_shape
from humfind.runtime.compiled import make_librosa


def pytest_configure(config: pytest.Config) -> None:
    """Before there are workers: tests import librosa by themselves."""
    if getattr(config.option, "numprocesses", None):
        make_librosa()


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A small model that has learned nothing."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    Model(CONFIG, build(CONFIG.encoder, input_shape(CONFIG))).save(path)
    return str(path)
