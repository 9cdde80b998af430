"""Windows -> vectors in batches, on all cores; a window's vector depends neither on the others nor on the cores."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from humfind.runtime.cores import cores
from humfind.types import Floats


def embed_batches(network: nn.Module, values: Tensor, batch: int) -> Tensor:
    """(n, ...) -> (n, dim), without gradients, exactly ``batch`` windows at a time, each on one thread.

    The last batch is filled up with zeros, so that a window's vector depends neither on the others in its batch nor on
    the number of cores.
    """
    filled = functional.pad(values, (0, 0) * (values.ndim - 1) + (0, -len(values) % batch))
    threads = 1 if values.is_cuda else cores()
    before = torch.get_num_threads()

    def embed(part: Tensor) -> Tensor:
        with torch.inference_mode():  # a thread's own
            found: Tensor = network(part).float()
        return found

    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            return torch.cat(list(pool.map(embed, filled.split(batch))))[: len(values)]
    finally:
        torch.set_num_threads(before)


def embed_any_length(network: nn.Module, recordings: Sequence[Floats], batch: int = 16) -> Floats:
    """Whole recordings, each (channels, its own frames) -> (n, dim), without gradients: padded with zeros to the
    longest of their batch. Raises ValueError where the encoder does not read any length."""
    if not getattr(network, "any_length", False):
        raise ValueError(f"{type(network).__name__} reads windows of one length")
    network.eval()
    order = sorted(range(len(recordings)), key=lambda row: recordings[row].shape[-1])
    found: list[Floats | None] = [None] * len(recordings)
    for start in range(0, len(order), batch):
        rows = order[start : start + batch]
        longest = max(recordings[row].shape[-1] for row in rows)
        padded = [np.pad(recordings[row], ((0, 0), (0, longest - recordings[row].shape[-1]))) for row in rows]
        with torch.inference_mode():
            vectors = network(torch.from_numpy(np.stack(padded))).float().numpy()
        for row, vector in zip(rows, vectors, strict=True):
            found[row] = vector
    return np.stack([vector for vector in found if vector is not None])
