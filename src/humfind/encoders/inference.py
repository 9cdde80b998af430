"""Windows -> vectors in batches, on all cores; a window's vector depends neither on the others nor on the cores."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import torch
from torch import Tensor, nn
from torch.nn import functional

from humfind.runtime.cores import cores


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
