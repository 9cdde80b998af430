"""Melodies alone -> the encoder that the package ships.

    python -m humfind.training.pretrain --pop909 FILE --out FOLDER [--steps N]

FILE: POP909's melodies, a row a song: {"song": "001", "notes": [[start_s, end_s, midi], ...]} (.jsonl or .jsonl.gz);
only songs of odd number are read. With them learn all tunes of music21's O'Neill, Aird and Ryan books. Every melody
is cut into pieces of a phrase to half a minute; a piece is a song, once as written and once as a melody tracker would
find it in a mix, and is hummed several times by ``synth.hum``. Interrupted, the same command goes on.
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from tqdm import tqdm

from humfind.config import (
    AugmentConfig,
    ContourConfig,
    HummerConfig,
    ModelConfig,
    RankConfig,
    ResNet1dConfig,
    TrainConfig,
)
from humfind.data.tunebooks import read_books
from humfind.synth.hum import HOP_S, perform
from humfind.synth.melody import Notes, from_lengths, pitch_line, sung_tempo, timed
from humfind.synth.mix import heard_in_mix
from humfind.training.dataset import Example
from humfind.training.tasks.hums import train
from humfind.types import F0, Floats

CORPUS = "music21's O'Neill, Aird and Ryan tunes and POP909's odd-numbered melodies, rendered and hummed by synth"
HUMS = 4  # a piece
PIECE_S = (4.0, 32.0)
FEWEST_NOTES = 8
NOTES_PER_S = (1.7, 3.2)
LONGEST_REST_S = 1.0
# People who sing badly, and the tempo's spread that is left when a hum is tried at several tempos
HUMMER = HummerConfig(
    tempo_ratio=(0.8, 1.25), wrong=(0.0, 0.25), merged=(0.0, 0.15), intonation_cents=(8.0, 90.0), interval_scale=0.05
)
CONFIG = ModelConfig(
    contour=ContourConfig(query_hop_s=2.0, query_tempos=(0.5, 0.59, 0.71, 0.84, 1.0, 1.19, 1.41, 1.68, 2.0)),
    encoder=ResNet1dConfig(widths=(40, 80, 144, 224), segments=4, stem_stride=4),
    train=TrainConfig(
        loss="multisimilarity",
        songs_per_batch=96,
        recordings_per_song=2,
        steps=2600,
        validate_every=1300,
        validation_share=0.02,
        augment=AugmentConfig(tempo=0.1, note_error=0.05, octave_error=0.03, mask=0.25, voicing=0.5, crop_spread=0.03),
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pop909", type=Path, required=True, help="POP909's melodies, .jsonl or .jsonl.gz")
    parser.add_argument("--out", type=Path, required=True, help="folder of the checkpoint; goes on from what it holds")
    parser.add_argument("--steps", type=int, default=CONFIG.train.steps)
    parser.add_argument("--threads", type=int, default=0, help="of torch; 0: one a core")
    asked = parser.parse_args()
    if asked.threads:
        torch.set_num_threads(asked.threads)
    config = replace(CONFIG, train=replace(CONFIG.train, steps=asked.steps))
    examples = list(examples_of(melodies(asked.pop909)))
    result = train(examples, config, asked.out, rank=RankConfig(ranker="nearest"), corpus=CORPUS)
    print(f"{result.checkpoint}: best at step {result.best_step}, {result.seconds / 60:.0f} min")


def examples_of(tunes: Iterable[tuple[str, Notes]]) -> Iterator[Example]:
    """Each piece of each melody: as a song, as tracked in a mix, and ``HUMS`` times hummed. The same at every call."""
    for number, (name, notes) in enumerate(tqdm(list(tunes), desc="humming", unit="melody")):
        rng = np.random.default_rng([0, number])
        for row, piece in enumerate(_pieces(notes, rng)):
            music_id = f"{name}-{row}"
            written = pitch_line(piece)
            yield Example(f"{music_id}-song", music_id, "song", sure(written))
            yield Example(f"{music_id}-mix", music_id, "song", sure(heard_in_mix(written, HOP_S, rng)))
            for hum in range(HUMS):
                yield Example(f"{music_id}-hum{hum}", music_id, "hum", sure(perform(piece, rng, HUMMER).hz))


def melodies(pop909: Path) -> Iterator[tuple[str, Notes]]:
    """(name, notes from second 0) of every melody that the shipped encoder may learn from."""
    for tune in read_books().merged:
        melody = from_lengths(tune.midi[tune.order], tune.length_q[tune.order], tempo=tune.tempo)
        yield f"{tune.book} {tune.number} {tune.title}", timed(melody, sung_tempo(melody, NOTES_PER_S))
    with gzip.open(pop909, "rt") if pop909.suffix == ".gz" else pop909.open() as file:
        for line in file:
            song = json.loads(line)
            if int(song["song"]) % 2 == 1:
                columns = np.asarray(song["notes"], dtype=np.float32).T
                yield f"POP909 {song['song']}", Notes(*columns).without_waits(LONGEST_REST_S)


def _pieces(notes: Notes, rng: np.random.Generator) -> Iterator[Notes]:
    """One after another, of random length, log-uniform: as many short ones as long ones."""
    start, total = 0.0, float(notes.end_s[-1])
    while start < total - PIECE_S[0]:
        length = float(np.exp(rng.uniform(*np.log(PIECE_S))))
        piece = notes.between(start, start + length)
        if len(piece) >= FEWEST_NOTES:
            yield piece.without_waits(LONGEST_REST_S)
        start += length


def sure(hz: Floats) -> F0:
    """Hz every 10 ms, 0 = unvoiced -> f0 without a doubt."""
    return F0(hz, (hz > 0).astype(np.float32), HOP_S)


if __name__ == "__main__":
    main()
