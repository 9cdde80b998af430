"""A signal that arrives in blocks -> batches of overlapping frames, whatever the blocks' lengths.

What a tracker reads depends on the frame's number alone, so a recording tracked block after block gives the
same bytes as one that lies in memory, and an hour needs no more memory than a minute.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from humfind.types import Bools, Floats

SILENCE = 10 ** (-70 / 20)  # deviation within a frame, where full scale is 1: -70 dB


def spans(blocks: Iterable[Floats], hop: int, batch: int, lead: int, length: int) -> Iterator[tuple[Floats, int]]:
    """Blocks of a signal of n samples -> (span, frames), batch after batch; ``1 + n // hop`` frames in all.

    span: (length,) samples from ``lead`` before the centre of the batch's first frame on, zeros where there is
    no signal. frames: how many of its ``batch`` frames are the signal's; less only in the last one.
    """
    waiting = np.zeros(lead, np.float32)
    received = given = 0
    for block in blocks:
        received += len(block)
        waiting = np.concatenate([waiting, block])
        start = 0
        while len(waiting) - start >= length:
            yield waiting[start : start + length].copy(), batch
            given += batch
            start += batch * hop
        waiting = waiting[start:].copy()
    while (left := 1 + received // hop - given) > 0:
        span = np.zeros(length, np.float32)
        span[: min(length, len(waiting))] = waiting[:length]
        yield span, min(left, batch)
        given += batch
        waiting = waiting[batch * hop :]


def frames_of(span: Floats, length: int, hop: int) -> Floats:
    """(samples,) -> (frames, length), a view."""
    view: Floats = np.lib.stride_tricks.sliding_window_view(span, length)[::hop]
    return view


def audible(frames: Floats) -> Bools:
    """Which frames are not quieter than ``SILENCE``; the others need no network: they have no pitch."""
    loud: Bools = frames.std(axis=1) >= SILENCE
    return loud
