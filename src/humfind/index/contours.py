"""The contours of an index in one file, of which those that are asked for alone are read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, overload

import numpy as np
from numpy.typing import NDArray

from humfind.index.mapped import AGAIN, Spool, map_array, read_ranges_ahead
from humfind.types import Contour, Contours, InputError, Ints, frames_between

FRAME = np.dtype([("semitones", "<f4"), ("voiced", "?")])
SEMITONES = 2000.0  # no pitch that a float32 of Hz can hold is further from 0
FRAMES_S = (0.001, 1.0)  # of a contour
TOGETHER = 256  # contours that are read at once where all are


class StoredContours(Sequence[Contour | None]):
    """A recording's contour, or None where it has none. frames: (n,) ``FRAME``, maybe mapped. begin: (recordings + 1,)
    where each one's begin. frame_s: (recordings,) NaN where there is none. source: the file, where it is one, for what
    it is told to be wrong: a contour is checked when it is read, InputError."""

    def __init__(self, frames: np.ndarray, begin: Ints, frame_s: NDArray[np.float64], source: str = "") -> None:
        if begin[-1] != len(frames):
            raise ValueError(f"contours of {begin[-1]} frames, but there are {len(frames)}")
        self.frames, self.begin, self.frame_s, self.source = frames, begin, frame_s, source

    @classmethod
    def of(cls, contours: Iterable[Contour | None]) -> StoredContours:
        """In memory."""
        made = ContourSpool()
        for contour in contours:
            made.append(contour)
        return made.contours()

    def __len__(self) -> int:
        return len(self.frame_s)

    @overload
    def __getitem__(self, row: int) -> Contour | None: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Contour | None]: ...
    def __getitem__(self, row: int | slice) -> Contour | Sequence[Contour | None] | None:
        every = range(len(self))
        rows = np.array(every[row] if isinstance(row, slice) else [every[row]], np.int64)
        found = self.between(rows, np.zeros(len(rows)), np.full(len(rows), np.inf))
        return found if isinstance(row, slice) else found[0]

    def between(self, recordings: Ints, start_s: NDArray[Any], end_s: NDArray[Any]) -> Contours:
        """Of these recordings' contours the parts from one second to another; nothing else is read."""
        frame_s, first = self.frame_s[recordings], self.begin[recordings]
        whole = self.begin[recordings + 1] - first
        from_frame, to_frame = first + frames_between(start_s, end_s, np.nan_to_num(frame_s, nan=1.0), whole)
        read_ranges_ahead(self.frames, from_frame, to_frame)
        begin = np.append(0, np.cumsum(to_frame - from_frame))
        mine = np.concatenate([self.frames[:0], *map(self.frames.__getitem__, map(slice, from_frame, to_frame))])
        semitones = np.ascontiguousarray(mine["semitones"])
        if self.source and not (np.abs(semitones) <= SEMITONES).all():
            raise InputError(f"{self.source}: a pitch leaves -{SEMITONES:g} to {SEMITONES:g}; {AGAIN}")
        return Contours(semitones, mine["voiced"].view(np.uint8) != 0, begin, frame_s)  # a byte may hold anything

    def __iter__(self) -> Iterator[Contour | None]:
        for row in range(0, len(self), TOGETHER):
            yield from self[row : row + TOGETHER]


class ContourSpool:
    """Contours that come one by one."""

    def __init__(self, beside: Path | None = None) -> None:
        """beside: of ``Spool``."""
        self._frames = Spool(FRAME, beside)
        self._counts, self._frame_s = list[int](), list[float]()

    def append(self, contour: Contour | None) -> None:
        self._counts.append(len(contour.semitones) if contour else 0)
        self._frame_s.append(contour.frame_s if contour else np.nan)
        if contour:
            frames = np.empty(len(contour.semitones), FRAME)
            frames["semitones"], frames["voiced"] = contour.semitones, contour.voiced
            self._frames.append(frames)

    def contours(self) -> StoredContours:
        """All of them, once."""
        begin = np.cumsum([0, *self._counts])
        return StoredContours(self._frames.rows(), begin, np.array(self._frame_s, np.float64))


def read_contours(file: BinaryIO, counts: Ints, frame_s: NDArray[np.float64]) -> StoredContours:
    """counts: (recordings,) of frames. frame_s: (recordings,) of ``StoredContours``. Raises InputError where the file
    is not a whole one, ValueError where they are not of it."""
    frames = map_array(file, FRAME, 1, "a whole table of contours", scattered=True)
    if (counts < 0).any() or (counts > len(frames)).any():
        raise ValueError("contours: a count of frames that cannot be")
    there = ~np.isnan(frame_s)
    if not ((FRAMES_S[0] <= frame_s[there]) & (frame_s[there] <= FRAMES_S[1])).all():
        raise ValueError(f"contours: frame_s leaves {FRAMES_S[0]:g} to {FRAMES_S[1]:g}")
    return StoredContours(frames, np.concatenate([[0], np.cumsum(counts)]), frame_s, file.name)
