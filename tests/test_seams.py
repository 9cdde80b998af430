"""Each seam is shown by a foreign part, as another package would bring it: named by an entry point, used by the
commands."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pytorch_metric_learning.losses import ArcFaceLoss
from tiny_world import REPOSITORY, f0_of, melody, put_audio
from torch import Tensor, nn

from humfind import cli
from humfind.config import RANKER_NAMES, F0Config, TrainConfig
from humfind.encoders.checkpoint import Checkpoint, Model
from humfind.f0 import make_tracker
from humfind.index import Index
from humfind.notebooks import runner
from humfind.rankers import RANKERS
from humfind.runtime import plugins
from humfind.training.loop import fit
from humfind.types import InputError

NOTEBOOKS = REPOSITORY / "notebooks"

FOREIGN = '''
from dataclasses import dataclass

import numpy as np
from torch import nn

from humfind.audio.load import resample
from humfind.types import F0, Answer, Ranking


@dataclass(frozen=True)
class MlpConfig:
    name: str = "mlp"
    embedding_dim: int = 6
    hidden: int = 12


class Mlp(nn.Module):
    Config = MlpConfig

    def __init__(self, config, in_shape):
        super().__init__()
        size = in_shape[0] * in_shape[1]
        self.layers = nn.Sequential(nn.Flatten(), nn.Linear(size, config.hidden), nn.ReLU(),
                                    nn.Linear(config.hidden, config.embedding_dim))

    def forward(self, x):
        return nn.functional.normalize(self.layers(x), dim=1)


class Peak:
    """The loudest bin of each spectrum."""

    name, version, model, decoder, threshold, rate_hz = "peak", "1", "", "", 0.5, 16000

    def __init__(self, config):
        self.hop_s = config.hop_s

    def __call__(self, recording):
        return self.track([resample(recording, self.rate_hz).samples])

    def track(self, blocks):
        samples = np.concatenate(list(blocks))
        hop = round(self.hop_s * self.rate_hz)
        frames = np.lib.stride_tricks.sliding_window_view(np.pad(samples, 1024), 2048)[::hop]
        spectrum = np.abs(np.fft.rfft(frames * np.hanning(2048)))
        hz = (spectrum.argmax(axis=1) * self.rate_hz / 2048).astype(np.float32)
        return F0(hz, (spectrum.max(axis=1) > 1).astype(np.float32), self.hop_s, self.threshold)


class RandomHalf:
    """Neighbours among every other row, and among all where that is not enough."""

    def __init__(self, table, state=None):
        self.table, self.some = table, np.arange(0, len(table), 2) if state is None else state["some"]

    def propose(self, vectors, k):
        rows = self.some if len(self.some) >= k else np.arange(len(self.table))
        part, squares = self.table.with_squares(rows)
        near = np.argsort(squares - 2 * vectors @ part.T, axis=1)[:, :k]
        return rows[near], None

    def add(self, table):
        return RandomHalf(table)

    def delete(self, table, kept):
        return RandomHalf(table)

    def state(self):
        return {"some": self.some}


class Backwards:
    """The songs in the reverse order of their ids."""

    def __init__(self, config, index):
        self.ids = index.music_ids

    def rank(self, query, k):
        ids = sorted(self.ids, reverse=True)[:k]
        return Ranking(query.name, tuple(Answer(one, -float(i)) for i, one in enumerate(ids)))
'''
ENTRY_POINTS = """
[humfind.encoders]
mlp = foreign_parts:Mlp
broken = foreign_parts:Nothing
[humfind.trackers]
peak = foreign_parts:Peak
[humfind.engines]
half = foreign_parts:RandomHalf
[humfind.rankers]
backwards = foreign_parts:Backwards
vote = foreign_parts:Backwards
"""


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package with parts of its own, installed."""
    folder = tmp_path / "site"
    about = folder / "foreign_parts-1.0.dist-info"
    about.mkdir(parents=True)
    (folder / "foreign_parts.py").write_text(FOREIGN)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: foreign-parts\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(ENTRY_POINTS)
    monkeypatch.syspath_prepend(str(folder))


def run(*arguments: object) -> None:
    cli.app([str(one) for one in arguments], prog_name="humfind", standalone_mode=False)


def test_foreign_encoder_tracker_engine_and_ranker_go_through_the_commands(
    foreign: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data, store, model = tmp_path / "data", tmp_path / "store", tmp_path / "model"
    rows = ["music_id,song_path,hum_path"]
    for i in range(6):
        put_audio(data / f"train/song/{i:04d}.wav", f0_of(melody(i, notes=16), shift=12))
        put_audio(data / f"train/hum/{i:04d}.wav", f0_of(melody(i, notes=16), shift=7))
        rows.append(f"{i:04d},train/song/{i:04d}.wav,train/hum/{i:04d}.wav")
    (data / "train" / "train_meta.csv").write_text("\n".join(rows) + "\n")
    run("f0", data, "--out", store, "--tracker", "peak")
    manifest = json.loads((store / "train" / "song" / "manifest.json").read_text())
    assert manifest["tracker"] == "peak"
    run("train", data, "--out", model, "--f0", store, "--encoder", "mlp", "--steps", "2")
    trained = Model.load(model / "model.safetensors")
    assert (trained.config.encoder.name, trained.config.encoder.hidden) == ("mlp", 12)
    index, checkpoint = tmp_path / "index", model / "model.safetensors"
    songs = data / "train" / "song"
    run("index", songs, "--out", index, "--model", checkpoint, "--tracker", "peak", "--engine", "half")
    assert Index.load(index).engine.state()["some"].tolist() == list(range(0, len(Index.load(index).vectors), 2))
    capsys.readouterr()
    hum = next((data / "train" / "hum").iterdir())
    run("search", hum, "--index", index, "--ranker", "backwards", "--json")
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert [one["music_id"] for one in answers] == sorted((one["music_id"] for one in answers), reverse=True)
    assert len(answers) == 6
    run("search", hum, "--index", index, "--ranker", "nearest", "--json")
    answers = json.loads(capsys.readouterr().out)["answers"]
    assert len({one["music_id"] for one in answers}) == 6
    with pytest.raises(InputError, match="engine 'other': unknown; choose one of exact, ivf, ivfpq, milvus, half"):
        run("index", songs, "--out", tmp_path / "other", "--engine", "other")


def test_a_foreign_part_never_replaces_one_of_ours(foreign: None) -> None:
    assert plugins.find("rankers", "vote", RANKERS) is RANKERS["vote"]
    assert plugins.names("rankers", RANKERS) == (*RANKERS, "backwards")


def test_notebooks_take_a_foreign_part_as_parameter(foreign: None) -> None:
    notebooks = [NOTEBOOKS / f"{stem}.ipynb" for stem in ("01_crepe_transform", "05_rank")]
    first, last = runner.choose_parameters(notebooks, {"tracker": "peak", "ranker": "backwards"})
    assert (first["tracker"], last["ranker"]) == ("peak", "backwards")
    with pytest.raises(InputError, match=r"ranker=forwards: unknown; choose one of .*wavelet, backwards"):
        runner.choose_parameters(notebooks, {"ranker": "forwards"})


def test_what_cannot_be_found_or_imported_says_so(foreign: None) -> None:
    with pytest.raises(InputError, match="choose one of resnet1d, broken, mlp"):
        plugins.find("encoders", "transformer", {"resnet1d": 1})
    with pytest.raises(InputError, match=r"foreign_parts:Nothing of package foreign-parts cannot be imported"):
        plugins.find("encoders", "broken", {})
    with pytest.raises(InputError, match="'hearsay': unknown"):
        make_tracker(F0Config(tracker="hearsay"))


def test_the_commands_know_every_ranker() -> None:
    assert tuple(RANKERS) == RANKER_NAMES


# --- a task that is not about hums, with two networks and a loss that learns ------------------------


class PlaceTask:
    """Points of the plane and their place on a line -> one space; ArcFace's class centres are learned too."""

    score = "accuracy"
    config: Mapping[str, Any] = {"classes": 4}
    data_checksum = "the plane"

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.module = nn.ModuleDict(
            {"plane": nn.Linear(2, 8), "line": nn.Linear(1, 8), "loss": ArcFaceLoss(4, 8, margin=10, scale=8)}
        )

    def batch(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        label = torch.from_numpy(np.random.default_rng([0, step]).integers(0, 4, 32))
        corner = torch.stack([(label % 2) * 2.0 - 1, (label // 2) * 2.0 - 1], dim=1)
        return corner, label[:, None].float() - 1.5, label

    def loss(self, batch: tuple[Tensor, Tensor, Tensor]) -> Tensor:
        plane, line, label = batch
        both = torch.cat([self.module["plane"](plane), self.module["line"](line)])
        value: Tensor = self.module["loss"](both, label.repeat(2))
        return value

    def validate(self) -> dict[str, float]:
        plane, _, label = self.batch(10_000)
        with torch.inference_mode():
            found = self.module["loss"].get_logits(self.module["plane"](plane)).argmax(dim=1)
        return {"accuracy": float((found == label).float().mean())}

    def save(self, path: Path, facts: Mapping[str, Any]) -> None:
        Checkpoint("place", self.config, self.module.state_dict(), facts).save(path)


class Killed(Exception):
    pass


def killed(row: Mapping[str, Any]) -> None:
    raise Killed


def test_a_task_of_another_kind_trains_resumes_and_keeps_what_its_loss_learned(tmp_path: Path) -> None:
    schedule = TrainConfig(steps=60, validate_every=20, learning_rate=0.05, device="cpu")
    before = PlaceTask().module["loss"].W.detach().clone()
    whole = fit(PlaceTask(), schedule, tmp_path / "whole")
    assert whole.history[-1]["accuracy"] == 1.0
    for _ in range(2):  # killed at the first validation, and again at the second
        with pytest.raises(Killed):
            fit(PlaceTask(), schedule, tmp_path / "broken", on_validation=killed)
    broken = fit(PlaceTask(), schedule, tmp_path / "broken")
    assert (broken.losses, broken.history) == (whole.losses, whole.history)
    assert broken.checkpoint.read_bytes() == whole.checkpoint.read_bytes()
    kept = Checkpoint.load(whole.checkpoint, "place")
    assert not torch.allclose(kept.tensors["loss.W"], before, atol=0.1)
    assert {name.split(".")[0] for name in kept.tensors} == {"plane", "line", "loss"}
    with pytest.raises(InputError, match="a checkpoint of kind 'place', not encoder"):
        Model.load(whole.checkpoint)


def test_a_loss_that_is_no_longer_a_number_ends_training_and_leaves_no_model(tmp_path: Path) -> None:
    schedule = TrainConfig(steps=40, validate_every=40, learning_rate=1e30, device="cpu")
    with pytest.raises(InputError, match="smaller learning_rate"):
        fit(PlaceTask(), schedule, tmp_path)
    assert not (tmp_path / "model.safetensors").exists()
