"""One training by several processes: each takes its share of every batch through the network, all see the embeddings of
all. One process a GPU (NCCL), or on CPUs (gloo).

torch's DistributedDataParallel brings the gradients together. Batch normalisation takes its statistics over all shares,
and the loss is that of the whole batch, so that losses are those of one process but for rounding.
"""

from __future__ import annotations

import copy
import itertools
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.parallel import DistributedDataParallel

from humfind.types import InputError

PATIENCE = timedelta(days=1)  # others wait while the first validates


@contextmanager
def together(processes: int, help_with: Callable[[], None], device: torch.device) -> Iterator[None]:
    """This process is the first of ``processes``; in the others ``help_with`` is called.

    help_with: can be pickled. Raises InputError where another process has ended before this one is done.
    """
    if processes == 1:
        yield
        return
    if device.type == "cuda" and processes > (gpus := torch.cuda.device_count()):
        raise InputError(f"processes {processes}: torch sees {gpus} GPUs; choose as many at most, or device cpu")
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="humfind-") as beside:
        meeting, others, mails = Path(beside) / "meeting", [], []
        threads = torch.get_num_threads()
        for number in range(1, processes):
            mine, theirs = context.Pipe()
            mails.append(mine)
            others.append(
                context.Process(target=_help, args=(number, processes, meeting, theirs, device.type), daemon=True)
            )
            others[-1].start()
            theirs.close()  # or one that has ended would be waited for
        try:
            for mail in mails:
                mail.send(help_with)
            for mail in mails:
                mail.recv()
            _join(0, processes, meeting, device.type)
            yield
            for other in others:
                other.join()
        except (RuntimeError, EOFError, ConnectionError) as error:
            for other in others:
                other.join(1)
            if not any(other.exitcode for other in others):
                raise
            mend = "give the same command again to go on from the last validation, or fewer processes"
            raise InputError(f"training: one of its {processes} processes has ended; {mend}") from error
        finally:
            for other in others:
                other.terminate()
                other.join()
            for mail in mails:
                mail.close()
            if distributed.is_initialized():
                distributed.destroy_process_group()
            torch.set_num_threads(threads)


def require_shareable(module: nn.Module, processes: int) -> None:
    """Raises InputError where ``module`` cannot be trained by so many processes."""
    if processes < 1:
        raise InputError(f"processes {processes}: choose at least 1")
    if processes > 1 and not (isinstance(module, nn.ModuleDict) and "network" in module):
        raise InputError(f"processes {processes}: this is learned by one process; choose 1")
    if processes > 1 and multiprocessing.current_process().daemon:
        raise InputError(f"processes {processes}: of trainings side by side each has one; choose 1")


def sharing(module: nn.Module) -> Callable[[], AbstractContextManager[None]]:
    """A context in which ``module["network"]`` is shared by all processes; nothing changes where there is one."""
    if not distributed.is_initialized():
        return nullcontext
    assert isinstance(module, nn.ModuleDict)
    network, shared = module["network"], Shared(module["network"])

    @contextmanager
    def share() -> Iterator[None]:
        module["network"] = shared
        try:
            yield
        finally:
            module["network"] = network

    return share


def take_over(module: nn.Module) -> None:
    """Its numbers become this process's own: those that come from another process are in its memory, too."""
    for one in itertools.chain(module.parameters(), module.buffers()):
        one.data = one.data.clone()


def number() -> int:
    """Of this process, the first is 0."""
    return distributed.get_rank() if distributed.is_initialized() else 0


def agreed(answer: bool) -> bool:
    """The first process's."""
    if not distributed.is_initialized():
        return answer
    said = torch.tensor([answer], dtype=torch.uint8)
    if distributed.get_backend() == "nccl":
        said = said.cuda()
    distributed.broadcast(said, 0)
    return bool(said.item())


class Shared(nn.Module):
    """(rows, ...) -> (rows, dim), the same in every process, each of which takes its share through ``network``. It
    learns: parameters and running statistics are the network's own."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        kept = {id(one): one for one in itertools.chain(network.parameters(), network.buffers())}
        twin = copy.deepcopy(network, kept).train()
        for module in list(twin.modules()):
            for name, child in list(module.named_children()):
                if isinstance(child, _BatchNorm):
                    setattr(module, name, SharedNorm(child))
        self.network = DistributedDataParallel(twin)

    def forward(self, rows: Tensor) -> Tensor:
        processes = distributed.get_world_size()
        if len(rows) % processes:
            mend = "choose processes that divide it"
            raise InputError(f"training: {processes} processes cannot share a batch of {len(rows)} alike; {mend}")
        size = len(rows) // processes
        mine = slice(size * distributed.get_rank(), size * (distributed.get_rank() + 1))
        found = self.network(rows[mine])
        every = found.new_zeros((len(rows), *found.shape[1:]))
        every[mine] = found
        return _sum(every)


class SharedNorm(nn.Module):
    """Batch normalisation (B, C, ...) by the statistics of all processes' shares, which are of one size; the parameters
    and running statistics are those of ``norm``. (torch's own SyncBatchNorm does without CPUs.)"""

    def __init__(self, norm: _BatchNorm) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        norm, processes = self.norm, distributed.get_world_size()
        over = [axis for axis in range(x.dim()) if axis != 1]
        shape = [1, -1] + [1] * (x.dim() - 2)
        mean = _sum(x.float().mean(over)) / processes
        centred = x.float() - mean.view(shape)
        variance = _sum(centred.square().mean(over)) / processes
        count = x.numel() // x.shape[1] * processes
        with torch.no_grad():
            for running, now in ((norm.running_mean, mean), (norm.running_var, variance * (count / max(1, count - 1)))):
                assert running is not None
                running.lerp_(now, norm.momentum or 0.0)
            assert norm.num_batches_tracked is not None
            norm.num_batches_tracked.add_(1)
        scaled = centred * (norm.weight / (variance + norm.eps).sqrt()).view(shape) + norm.bias.view(shape)
        return scaled.to(x.dtype)


class _Sum(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        total = x.clone()
        distributed.all_reduce(total)
        return total

    @staticmethod
    def backward(context: Any, *gradient: Tensor) -> Tensor:
        """Of the losses of all processes together: what is added up here goes into each of them."""
        total = gradient[0].clone()
        distributed.all_reduce(total)
        return total


def _sum(x: Tensor) -> Tensor:
    """Over all processes."""
    found: Tensor = _Sum.apply(x)
    return found


def _join(number: int, processes: int, meeting: Path, device: str) -> None:
    if device == "cuda":
        torch.cuda.set_device(number)
    else:
        torch.set_num_threads(max(1, torch.get_num_threads() // processes))
    distributed.init_process_group(
        "nccl" if device == "cuda" else "gloo",
        init_method=meeting.as_uri(),
        rank=number,
        world_size=processes,
        timeout=PATIENCE,
    )


def _help(number: int, processes: int, meeting: Path, mail: Connection, device: str) -> None:
    """A process beside the first. Where that has ended, so does this one."""
    first = os.getppid()
    try:
        help_with = mail.recv()
        mail.send("here")
        _join(number, processes, meeting, device)
        help_with()
    except (InputError, EOFError, KeyboardInterrupt):  # which the first says itself
        sys.exit(1)
    except RuntimeError:
        if os.getppid() == first:
            raise
        sys.exit(1)
