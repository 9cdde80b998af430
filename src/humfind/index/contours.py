"""The contours of an index in one file, of which those that are asked for alone are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO, overload

import numpy as np
from numpy.typing import NDArray

from humfind.index.mapped import AGAIN, map_array, read_ahead, write_array
from humfind.types import Contour, InputError, Ints

FRAME = np.dtype([("semitones", "<f4"), ("voiced", "?")])
SEMITONES = 2000.0  # no pitch that a float32 of Hz can hold is further from 0
FRAMES_S = (0.001, 1.0)  # of a contour


class StoredContours(Sequence[Contour | None]):
    """A recording's contour, or None where it has none. frames: (n,) ``FRAME``, mapped. begin: (recordings + 1,) where
    each one's begin. frame_s: (recordings,) NaN where there is none. source: the file, for what it is told to be
    wrong: a contour is checked when it is read, InputError."""

    def __init__(self, frames: np.ndarray, begin: Ints, frame_s: NDArray[np.float64], source: str) -> None:
        if begin[-1] != len(frames):
            raise ValueError(f"contours of {begin[-1]} frames, but there are {len(frames)}")
        self._frames, self._begin, self._frame_s, self._source = frames, begin, frame_s, source

    def __len__(self) -> int:
        return len(self._frame_s)

    @overload
    def __getitem__(self, row: int) -> Contour | None: ...
    @overload
    def __getitem__(self, row: slice) -> Sequence[Contour | None]: ...
    def __getitem__(self, row: int | slice) -> Contour | Sequence[Contour | None] | None:
        if isinstance(row, slice):
            return [self[one] for one in range(*row.indices(len(self)))]
        if not -len(self) <= row < len(self):
            raise IndexError(row)
        row %= len(self)
        frame_s = float(self._frame_s[row])
        if np.isnan(frame_s):
            return None
        where = slice(self._begin[row], self._begin[row + 1])
        read_ahead(self._frames, where)
        mine = self._frames[where]
        semitones = np.ascontiguousarray(mine["semitones"])
        if not (np.abs(semitones) <= SEMITONES).all():
            raise InputError(f"{self._source}: a pitch leaves -{SEMITONES:g} to {SEMITONES:g}; {AGAIN}")
        return Contour(semitones, mine["voiced"].view(np.uint8) != 0, frame_s)  # a byte may hold anything

    def __iter__(self) -> Iterator[Contour | None]:
        return (self[row] for row in range(len(self)))


def frames_of(contours: Sequence[Contour | None]) -> tuple[Ints, NDArray[np.float64]]:
    """(recordings,) each: how many frames, and how long one is; 0 and NaN where there is none."""
    lengths = [(len(one.semitones), one.frame_s) if one else (0, np.nan) for one in contours]
    counts, frame_s = zip(*lengths, strict=True)
    return np.array(counts, np.int64), np.array(frame_s, np.float64)


def save_contours(path: Path, contours: Sequence[Contour | None]) -> None:
    """As ``read_contours`` reads them."""

    def pieces() -> Iterator[np.ndarray]:
        for one in contours:
            if one is not None:
                piece = np.empty(len(one.semitones), FRAME)
                piece["semitones"], piece["voiced"] = one.semitones, one.voiced
                yield piece

    write_array(path, FRAME, (int(frames_of(contours)[0].sum()),), pieces())


def read_contours(file: BinaryIO, counts: Ints, frame_s: NDArray[np.float64]) -> StoredContours:
    """counts, frame_s: as ``frames_of`` gave them. Raises InputError where the file is not a whole one, ValueError
    where they are not of it."""
    frames = map_array(file, FRAME, 1, "a whole table of contours", scattered=True)
    if (counts < 0).any() or (counts > len(frames)).any():
        raise ValueError("contours: a count of frames that cannot be")
    there = ~np.isnan(frame_s)
    if not ((FRAMES_S[0] <= frame_s[there]) & (frame_s[there] <= FRAMES_S[1])).all():
        raise ValueError(f"contours: frame_s leaves {FRAMES_S[0]:g} to {FRAMES_S[1]:g}")
    return StoredContours(frames, np.concatenate([[0], np.cumsum(counts)]), frame_s, file.name)
