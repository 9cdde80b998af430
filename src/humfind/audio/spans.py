"""A signal that arrives in blocks -> batches of overlapping frames, whatever the blocks' lengths.

What a tracker reads depends on the frame's number alone, so a recording tracked block after block gives the
same bytes as one that lies in memory, and an hour needs no more memory than a minute.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from humfind.types import Bools, Floats

AHEAD = 2  # spans a thread that may wait for their turn
Made = TypeVar("Made")
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


def side_by_side(
    spans: Iterable[tuple[Floats, int]], work: Callable[[Floats], Made], threads: int, start: Callable[[], None]
) -> Iterator[tuple[Made, int]]:
    """(``work`` of each span, its frames), in order, several spans at a time. start: called once in each thread."""
    with ThreadPoolExecutor(threads, initializer=start) as pool:
        ahead: deque[tuple[Future[Made], int]] = deque()  # few: their spans and results are memory
        for span, frames in spans:
            ahead.append((pool.submit(work, span), frames))
            if len(ahead) > AHEAD * threads:
                made, count = ahead.popleft()
                yield made.result(), count
        for made, count in ahead:
            yield made.result(), count


def stretches(frames: int, longest: int, apart: int, wanted: Bools | None, ratio: float) -> list[tuple[int, int]]:
    """Those of a network's ``frames`` that are wanted, and what lies between two no more than ``apart``: (first, past
    the last), ``longest`` at most. wanted: of another grid's frames, ``ratio`` of the network's apart. None: all.
    """
    asked = np.ones(frames, bool)
    if wanted is not None:
        asked[:] = False
        asked[np.minimum(np.round(np.flatnonzero(wanted) * ratio).astype(np.int64), frames - 1)] = True
    rows = np.flatnonzero(asked)
    if not len(rows):
        return []
    ends = np.flatnonzero(np.diff(rows) > apart)
    firsts, lasts = rows[[0, *(ends + 1)]], rows[[*ends, -1]] + 1
    return [
        (at, min(at + longest, int(last)))
        for first, last in zip(firsts, lasts, strict=True)
        for at in range(int(first), int(last), longest)
    ]


def frames_of(span: Floats, length: int, hop: int) -> Floats:
    """(samples,) -> (frames, length), a view."""
    view: Floats = np.lib.stride_tricks.sliding_window_view(span, length)[::hop]
    return view


def audible(frames: Floats) -> Bools:
    """Which frames are not quieter than ``SILENCE``; the others need no network: they have no pitch."""
    loud: Bools = frames.std(axis=1) >= SILENCE
    return loud
