"""How long the 2021 recipe takes whole, from measured steps: 1,400 epochs of 2,600 pairs, preset ``zalo2021``.

    python -m benchmarks.speed.recipe_2021 [--steps 4] [--out docs/recipe_2021.md]

Trains ``--steps`` steps of the preset on this machine, on its GPU where there is one, and counts the floating-point
operations of a step (torch's counter). Hours on other devices are computed from that count and the device's
published peak, at the share of the peak that is said; a row says which it is, measured or computed.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.accuracy.experiments import melodies
from benchmarks.accuracy.rankers import table
from benchmarks.speed.side_by_side import machine
from humfind.config import ZALO2021
from humfind.encoders import build
from humfind.training.dataset import batch, make_bank
from humfind.training.losses import make_loss
from humfind.training.pretrain import examples_of
from humfind.training.tasks.hums import train

EPOCHS, PAIRS = 1400, 2600
TUNES = 40
SHARE = 0.25  # of its published peak that a device is taken to reach
PEAKS = {  # operations a second, as the makers publish them: dense, 16 bits where a network can be trained in them
    "NVIDIA P100 (fp32), one of Kaggle's": 9.3e12,
    "NVIDIA T4 (fp16), one of Kaggle's": 65e12,
    "NVIDIA A100 (bf16)": 312e12,
    "NVIDIA H100 (bf16)": 989e12,
}


def operations() -> float:
    """Of one step: forward and backward of a batch."""
    bank = make_bank(list(examples_of(list(melodies())[:TUNES])), ZALO2021)
    values, song = batch(bank, ZALO2021, 0)
    network, loss = build(ZALO2021.encoder, values.shape[1:]), make_loss(ZALO2021.train)
    with FlopCounterMode(display=False) as counter:
        loss(network(torch.from_numpy(values)), torch.from_numpy(song)).backward()
    return float(counter.get_total_flops())


def seconds_a_step(steps: int) -> float:
    """As training does them, validation left out."""
    examples = list(examples_of(list(melodies())[:TUNES]))
    taken = []
    with tempfile.TemporaryDirectory() as folder:
        for count in (1, 1 + steps):
            config = replace(ZALO2021, train=replace(ZALO2021.train, steps=count, validate_every=10**7))
            started = time.monotonic()
            train(examples, config, Path(folder) / str(count))
            taken.append(time.monotonic() - started)
    return (taken[1] - taken[0]) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=4)
    parser.add_argument("--out", type=Path, default=None)
    asked = parser.parse_args()
    pairs = ZALO2021.train.songs_per_batch * ZALO2021.train.recordings_per_song // 2
    total = EPOCHS * PAIRS / pairs
    work, measured = operations(), seconds_a_step(asked.steps)
    here = torch.cuda.get_device_name() if torch.cuda.is_available() else f"this machine, {machine()['processor']}"
    rows = [{"device": here, "how": "measured", "seconds a step": f"{measured:.3g}",
             "hours": f"{measured * total / 3600:,.0f}"}]  # fmt: skip
    for name, peak in PEAKS.items():
        one = work / (SHARE * peak)
        rows.append({"device": name, "how": "computed", "seconds a step": f"{one:.2g}",
                     "hours": f"{one * total / 3600:,.1f}"})  # fmt: skip
    text = f"""# The 2021 recipe, in hours

    python -m benchmarks.speed.recipe_2021 --out docs/recipe_2021.md

{EPOCHS:,} epochs of {PAIRS:,} pairs in batches of {pairs} pairs are {total:,.0f} steps; one takes
{work / 1e12:.2f} trillion floating-point operations (forward and backward, by torch's counter). Measured:
{asked.steps} steps of the preset `zalo2021` on this machine, which reached {work / measured / 1e9:.0f} GFLOP/s.
Computed: that work at {SHARE:.0%} of the device's published peak, which is a guess until somebody runs this command
there. Validation and tracking are left out.

{table(rows)}

A training is stopped and gone on with at will (`humfind train --preset zalo2021 --hours 8`, or `--hours` of
`humfind kaggle`), so a recipe longer than a session is done in several. What the 2021 recipe reaches here in five
minutes the shipped recipe reaches in a fraction of them: [Speed](performance.md), *train*.
"""
    print(text)
    if asked.out:
        asked.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
