"""Make again what is committed of the tiny demo set: its annotation, f0 store and example submission.

    python tools/remake_tiny.py

The store is committed without checksums of the audio: another machine's arithmetic may differ in an mp3's last
bits, and the audio itself is made on the spot where a notebook wants to play it.
"""

from __future__ import annotations

import shutil
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from humfind.config import F0Config, ModelConfig
from humfind.data import demo
from humfind.data.identity import DEMO_MARKER, RECORD, demo_recipe
from humfind.data.zalo import KINDS, load_split
from humfind.f0.extract import extract
from humfind.f0.store import parts, read_manifest, read_part, write_part
from humfind.retrieval.predict import predict
from humfind.runtime.files import atomic_write_json
from humfind.training.examples import training_examples
from humfind.training.tasks.hums import train

ROOT = Path(__file__).resolve().parents[1]
SPLITS = ("train", "public_test")
STEPS = 150  # of the example submission's model


def main() -> None:
    meta, store = ROOT / "meta_data" / "demo-tiny", ROOT / "crepe_freq" / "demo-tiny" / "torchcrepe"
    for folder in (meta, store):
        shutil.rmtree(folder, ignore_errors=True)
    with TemporaryDirectory() as scratch:
        data = Path(scratch) / "demo-tiny"
        demo.make("tiny", data)
        for split in SPLITS:
            recordings = load_split(data, split)
            for kind, items in (("song", recordings.songs), ("hum", recordings.hums)):
                print(split, kind, extract(items, F0Config(), store, split, kind))
        for table in ("train/train_meta.csv", "public_test/answers.csv", "songs.csv", "credits.csv", DEMO_MARKER):
            (meta / table).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(data / table, meta / table)
        write_recipe(store, meta)
        for split in SPLITS:
            for kind in KINDS:
                forget_checksums(store / split / kind)
        base = ModelConfig()
        config = replace(base, train=replace(base.train, steps=STEPS))
        examples, _, music_ids = training_examples(meta, store)
        checkpoint = train(examples, config, Path(scratch) / "model", music_ids=music_ids).checkpoint
        out = ROOT / "submissions" / "demo-tiny.csv"
        print(predict(meta, "public_test", out, store, model=str(checkpoint)).report)


def write_recipe(store: Path, data: Path) -> None:
    """Which demo set the store is of, wherever that is made."""
    recipe = demo_recipe(data)
    assert recipe is not None
    atomic_write_json(store / RECORD, asdict(recipe))


def forget_checksums(folder: Path) -> None:
    """The same parts without ``source_sha256``."""
    manifest = read_manifest(folder)
    assert manifest is not None
    for number, part in enumerate(parts(folder)):
        rows = [replace(row, source_sha256=None) for row in read_part(part, manifest.threshold)]
        write_part(folder, number, rows)


if __name__ == "__main__":
    main()
