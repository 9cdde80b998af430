"""The steps, small enough to be run, killed and run again many times; each in a process of its own.

    python -m benchmarks.reliability.small_steps STEP
    STEP: data OUT | f0 DATA OUT | train DATA STORE OUT | predict DATA STORE MODEL OUT
    all FOLDER: one after the other: FOLDER/{data,f0,train,submission.csv}

They call what the commands call; only that a data set has five hums, a part of the store two recordings, and
a training a network of 5,000 weights and six steps, with a validation every second.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from humfind.config import (
    DEMO_SIZES,
    ContourConfig,
    F0Config,
    ModelConfig,
    ResNet1dConfig,
    TrainConfig,
)
from humfind.types import InputError

FEW = replace(DEMO_SIZES["tiny"], train_songs=3, train_hums=5, public_songs=2, public_hums=2, public_song_s=(20, 22))
PARTS = F0Config(tracker="swiftf0", threads=1, part_size=2)
MODEL = ModelConfig(
    contour=ContourConfig(frame_s=0.08, window_s=4.0, query_tempos=(0.84, 1.0, 1.19)),
    encoder=ResNet1dConfig(widths=(8, 16), blocks=(1, 1), kernel=5, embedding_dim=16, dropout=0.1),
    train=TrainConfig(songs_per_batch=2, recordings_per_song=2, steps=6, validate_every=2, device="cpu"),
)


def make_data(out: Path) -> None:
    from humfind.data import demo

    demo.make("tiny", out, config=FEW, workers=1)


def track(data: Path, out: Path) -> None:
    from humfind.data.zalo import load_split
    from humfind.f0.extract import extract

    for split in ("train", "public_test"):
        loaded = load_split(data, split)
        for kind, items in (("song", loaded.songs), ("hum", loaded.hums)):
            extract(items, PARTS, out, split, kind, progress=False)


def train(data: Path, store: Path, out: Path) -> None:
    from humfind.training.examples import training_examples
    from humfind.training.tasks.hums import train

    examples, _, music_ids = training_examples(data, store)
    train(examples, MODEL, out, music_ids=music_ids)


def predict(data: Path, store: Path, model: Path, out: Path) -> None:
    from humfind.retrieval.predict import predict

    predict(data, "public_test", out, store=store, model=str(model))


def make_all(folder: Path) -> None:
    data, store, model = (folder / name for name in ("data", "f0", "train"))
    make_data(data)
    track(data, store)
    train(data, store, model)
    predict(data, store, model / "model.safetensors", folder / "submission.csv")


STEPS = {"data": make_data, "f0": track, "train": train, "predict": predict, "all": make_all}

if __name__ == "__main__":
    step, *arguments = sys.argv[1:]
    try:
        STEPS[step](*(Path(argument) for argument in arguments))
    except InputError as error:
        print(f"humfind: {error}", file=sys.stderr)
        sys.exit(2)
