"""The checkpoint says which songs its training held out, and everyone reads it there: nobody splits again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_world import f0_of, melody, put_audio
from toy import TOY_CONFIG, toy_examples

from humfind import notebooks
from humfind.config import F0Config
from humfind.data.audit import check
from humfind.data.zalo import load_split, split_by_song
from humfind.encoders.checkpoint import Model
from humfind.retrieval.checkpoints import load_model
from humfind.retrieval.predict import predict
from humfind.training.examples import training_examples
from humfind.training.tasks.hums import train
from humfind.types import InputError

SONGS = 20
LOST = {"0003", "0011"}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty songs, each with a hum; the recordings of two cannot be read. Tracked once, and a model trained."""
    home = tmp_path_factory.mktemp("home")
    data, rows = home / "data", ["music_id,song_path,hum_path"]
    for i in range(SONGS):
        for kind, shift in (("song", 12.0), ("hum", 7.0)):
            path = data / f"train/{kind}/{i:04d}.wav"
            put_audio(path, f0_of(melody(i, notes=14), shift=shift))
            if f"{i:04d}" in LOST:
                path.write_bytes(b"")
        rows.append(f"{i:04d},train/song/{i:04d}.wav,train/hum/{i:04d}.wav")
    (data / "train/train_meta.csv").write_text("\n".join(rows) + "\n")
    examples, skipped, music_ids = training_examples(data, home / "store")
    assert (len(examples), len(skipped), len(music_ids)) == (36, 4, SONGS)
    train(examples, TOY_CONFIG, home / "model", music_ids=music_ids)
    return home


@pytest.fixture(autouse=True)
def at_home(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUMFIND_HOME", str(home))


def checkpoint(home: Path) -> Path:
    return home / "model" / "model.safetensors"


def test_songs_without_f0_move_no_other_from_side_to_side(home: Path) -> None:
    sides = Model.load(checkpoint(home)).facts["music_ids"]
    expected = split_by_song([f"{i:04d}" for i in range(SONGS)], 0.2, 0)
    assert (tuple(sides["train"]), tuple(sides["validation"])) == expected


def test_predict_and_notebooks_ask_the_same_songs_and_none_that_was_learned(home: Path, tmp_path: Path) -> None:
    model, data = Model.load(checkpoint(home)), home / "data"
    held_out = set(model.facts["music_ids"]["validation"])
    done = predict(data, "train", tmp_path / "out.csv", home / "store", model=str(checkpoint(home)))
    assert set(done.index.music_ids) == held_out - LOST
    run = notebooks.open_run(str(data), str(tmp_path / "run"), F0Config())
    run.__dict__["cache"] = type(run.cache)(home / "store")
    trial = run.trial("validation", model)
    assert trial.index.music_ids == done.index.music_ids
    assert trial.hums == tuple(ranking.query for ranking in done.rankings)
    assert set(run.splits["train"].by_song(0.2, 0)[1]) == held_out
    assert set(load_split(data, "train").by_song(0.2, 0)[1]) == held_out


def test_leaks_are_looked_for_between_those_sides(home: Path) -> None:
    sides = load_split(home / "data", "train").by_song(0.2, 0)
    recorded = {music_id for side in sides for music_id in side}
    assert recorded == {f"{i:04d}" for i in range(SONGS)}
    report, _ = check(home / "data", home / "store")
    assert report.compared + report.silent == 36


def test_a_checkpoint_that_does_not_say_is_refused(home: Path, tmp_path: Path) -> None:
    Model.load(checkpoint(home)).save(tmp_path / "model.safetensors")
    about = tmp_path / "model.json"
    facts = json.loads(about.read_text())
    del facts["training"]["music_ids"]
    about.write_text(json.dumps(facts))
    with pytest.raises(InputError, match="does not say which songs its training held out"):
        predict(home / "data", "train", tmp_path / "o.csv", home / "store", model=str(tmp_path / "model.safetensors"))


def test_a_model_of_other_songs_is_refused_and_the_shipped_one_learned_none(home: Path) -> None:
    with pytest.raises(InputError, match="trained on others"):
        Model.load(checkpoint(home)).held_out(["x", "y"])
    assert load_model("pretrained")[0].held_out(["b", "a"]) == ("a", "b")


def test_a_resumed_training_holds_the_same_songs_out(tmp_path: Path) -> None:
    examples = toy_examples(songs=10, hums=2, seed=1, length_s=6)
    ids = sorted({take.music_id for take in examples})
    whole = train(examples, TOY_CONFIG, tmp_path, music_ids=[*ids, "silent"])
    assert train(examples, TOY_CONFIG, tmp_path, music_ids=[*ids, "silent"]).validation_ids == whole.validation_ids
    with pytest.raises(InputError, match=r"another (held-out songs|config|data)"):
        train(examples, TOY_CONFIG, tmp_path, music_ids=[*ids, "silent", "dumb", "mute", "quiet"])
