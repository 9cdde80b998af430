"""basic-pitch as a tracker of a mix's melody, for comparison: its contour posteriors, and a path through them.

pip install --no-deps basic-pitch==0.4.0 (R. M. Bittner et al., ICASSP 2022; Apache-2.0; its network in the wheel).
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from humfind.audio.harmonics import BINS, LOWEST_MIDI, PER_SEMITONE
from humfind.f0.salience import THRESHOLD, melody
from humfind.f0.swiftf0 import regrid
from humfind.types import F0, Floats

RATE_HZ, HOP = 22_050, 256
SAMPLES, FRAMES, OVERLAP = 43_844, 172, 30  # of a window; of which half at each end is not used
FIRST_MIDI = 21
UNVOICED = 0.3  # a posterior below which there is no melody


class BasicPitch:
    """Samples in blocks -> F0, in one piece: for recordings of minutes."""

    name, rate_hz, hop_s = "basic-pitch", RATE_HZ, 0.01

    def __init__(self) -> None:
        import onnxruntime

        found = find_spec("basic_pitch")
        if found is None or found.origin is None:
            raise ModuleNotFoundError("basic_pitch", name="basic_pitch")
        network = Path(found.origin).parent / "saved_models/icassp_2022/nmp.onnx"
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(str(network), options)

    def track(self, blocks: Iterable[Floats]) -> F0:
        samples = np.concatenate(list(blocks))
        half, step = OVERLAP // 2, SAMPLES - OVERLAP * HOP
        padded = np.pad(samples, (half * HOP, SAMPLES))
        kept = []
        for start in range(0, len(samples), step):
            window = padded[start : start + SAMPLES].astype(np.float32)[None, :, None]
            (posterior,) = self._session.run(["StatefulPartitionedCall:0"], {"serving_default_input_2:0": window})
            kept.append(posterior[0, half : FRAMES - half])
        first = (LOWEST_MIDI - FIRST_MIDI) * PER_SEMITONE
        pitches = np.concatenate(kept)[: 1 + len(samples) // HOP, first : first + BINS]
        none = np.full((len(pitches), 1), UNVOICED)
        hz, confidence = melody(np.log(np.concatenate([pitches, none], axis=1) + 0.01).astype(np.float32))
        times_s = np.arange(1 + int(len(samples) / RATE_HZ / self.hop_s)) * self.hop_s
        return F0(
            *regrid(hz, confidence, step / (FRAMES - OVERLAP) / RATE_HZ, times_s, THRESHOLD), self.hop_s, THRESHOLD
        )
