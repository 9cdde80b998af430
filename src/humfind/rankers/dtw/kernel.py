"""The alignment's matrix, compiled: the cheapest ends in each block of songs, and the best path of one traced back."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit

from humfind.rankers.dtw.pitch_sequence import LEVELS

KEYS = 24  # transpositions: quarter tones
PITCHES = 48  # that a hum is rounded to, an octave: each is a row of costs
LANES = 64  # cells that are computed together, four registers of them
TOGETHER = 1500  # frames of short stretches that are aligned side by side
OWN = 1  # so many steps on either side of 0 count as the song's own key
FREE, UNREACHED, ROOM = -31_500, 0, 31_000  # in 16 bits: a path's cost before it begins, where none is, the dearest's


class Frames(NamedTuple):
    """The songs, frame by frame, laid end to end. level: (n,) int16 in [0, LEVELS). start, end: (n,) bool, whether a
    phrase starts or ends here."""

    level: np.ndarray
    start: np.ndarray
    end: np.ndarray


class Stretches(NamedTuple):
    """What is aligned. first, stop: (stretches,) its frames. blocks: (stretches + 1,) where its blocks begin among all.
    per_block: frames a block."""

    first: np.ndarray
    stop: np.ndarray
    blocks: np.ndarray
    per_block: int


class Penalties(NamedTuple):
    """Costs of a path beside the local ones, all of one type (int16 to align, float32 to trace). off_start, off_end: of
    beginning, and of ending, elsewhere than a phrase does. faster, slower: of a step at double and at half the
    tempo."""

    off_start: Any
    off_end: Any
    faster: Any
    slower: Any


class Best(NamedTuple):
    """The cheapest end in each block, in any key and in the song's own. cost: (2, blocks) int16. key: (2, blocks)
    int64, its transposition."""

    cost: np.ndarray
    key: np.ndarray


@njit(nogil=True, cache=True, boundscheck=False)
def align(
    songs: Frames,
    stretches: Stretches,
    rows: np.ndarray,
    hum: np.ndarray,
    costs: np.ndarray,
    penalties: Penalties,
    best: Best,
) -> None:
    """Fill ``best`` for the stretches ``rows``.

    hum: (m,) int64 in [0, PITCHES). costs: (LEVELS,) int16, of each distance on the circle of pitch classes.

    One row of the matrix is computed from the two before it alone, so that its cells are independent of each other, and
    sixteen or more fit into a register: that is what makes it quick. Short stretches lie side by side in one matrix,
    with two cells that nothing reaches after each: a step passes over one at most. A path costs at most ROOM, so
    neither FREE + a path's cost nor UNREACHED + it overflows. Rows are filled up to whole ``LANES``: what lies there
    reaches no frame.
    """
    per_key = PITCHES // KEYS
    circle = np.concatenate((costs, costs))  # spares a division for each cell
    first, blocks, per_block = stretches.first, stretches.blocks, stretches.per_block
    level, faster, slower = songs.level, penalties.faster, penalties.slower
    length = (stretches.stop - first)[rows]
    done = 0
    while done < len(rows):
        begin = done
        done += 1
        m = length[begin] + 2
        while done < len(rows) and m + length[done] <= TOGETHER:
            m += length[done] + 2
            done += 1
        width = -(-m // LANES) * LANES
        opening, ending = np.zeros(width, np.int16), np.zeros(width, np.int16)
        local = np.zeros((PITCHES, width), np.int16)  # cost of each frame for each pitch class
        three = np.empty((3, width + 2), np.int16)  # this row and those before, after two cells that nothing reaches
        at = np.zeros(done - begin + 1, np.int64)  # where each one's cells begin, and where its two others end
        at[1:] = np.cumsum(length[begin:done] + 2)
        for k in range(done - begin):
            a, count = first[rows[begin + k]], length[begin + k]
            for j in range(count):
                opening[at[k] + j] = np.int16(0) if songs.start[a + j] else penalties.off_start
                ending[at[k] + j] = np.int16(0) if songs.end[a + j] else penalties.off_end
            for pitch in range(PITCHES):
                offset = LEVELS - pitch * (LEVELS // PITCHES)
                _look_up(local[pitch][at[k] : at[k] + count], circle, level[a : a + count], offset)
        for key in range(KEYS):
            last = _rows(three, local, opening, (hum + key * per_key) % PITCHES, faster, slower, at[1:])[2:]
            for k in range(done - begin):
                row, until = rows[begin + k], at[k] + length[begin + k]
                for block in range(blocks[row], blocks[row + 1]):
                    here = at[k] + (block - blocks[row]) * per_block
                    least = _least(last[here : min(until, here + per_block)], ending[here:until])
                    for kind in range(2 if min(key, KEYS - key) <= OWN else 1):
                        if least < best.cost[kind, block]:
                            best.cost[kind, block] = least
                            best.key[kind, block] = key


# Loops of their own functions, and every sum cast back to 16 bits: else they are not compiled to vectors.


@njit(nogil=True, cache=True, boundscheck=False)
def _look_up(local: np.ndarray, circle: np.ndarray, level: np.ndarray, offset: int) -> None:
    for j in range(len(local)):
        local[j] = circle[level[j] + offset]


@njit(nogil=True, cache=True, boundscheck=False)
def _rows(
    three: np.ndarray,
    local: np.ndarray,
    opening: np.ndarray,
    hum: np.ndarray,
    faster: np.int16,
    slower: np.int16,
    ends: np.ndarray,
) -> np.ndarray:
    """The last row of the matrix of one transposition. ends: of each stretch's cells and the two after them."""
    one, two, new = three[0], three[1], three[2]
    one[:2], new[:2], two[:] = UNREACHED, UNREACHED, UNREACHED
    here = local[hum[0]]
    _open(one, here, opening)
    _part(one, ends)
    for i in range(1, len(hum)):
        there = here
        here = local[hum[i]]
        _row(new, one, two, here, there, faster, slower)
        _part(new, ends)
        two, one, new = one, new, two
    return one


@njit(nogil=True, cache=True, boundscheck=False)
def _open(one: np.ndarray, here: np.ndarray, opening: np.ndarray) -> None:
    for j in range(len(here)):
        one[j + 2] = np.int16(np.int16(np.int16(FREE) + here[j]) + opening[j])


@njit(nogil=True, cache=True, boundscheck=False)
def _part(row: np.ndarray, ends: np.ndarray) -> None:
    for end in ends:
        row[end], row[end + 1] = UNREACHED, UNREACHED  # a row begins with two other cells


@njit(nogil=True, cache=True, boundscheck=False)
def _row(
    new: np.ndarray,
    one: np.ndarray,
    two: np.ndarray,
    here: np.ndarray,
    there: np.ndarray,
    faster: np.int16,
    slower: np.int16,
) -> None:
    for j in range(len(here)):
        ahead = np.int16(one[j] + faster)
        behind = np.int16(np.int16(two[j + 1] + there[j]) + slower)
        new[j + 2] = np.int16(here[j] + min(one[j + 1], min(ahead, behind)))


@njit(nogil=True, cache=True, boundscheck=False)
def _least(row: np.ndarray, ending: np.ndarray) -> np.int16:
    least = np.int16(UNREACHED)
    for j in range(len(row)):
        least = min(least, np.int16(row[j] + ending[j]))
    return least


@njit(nogil=True, cache=True)
def trace(songs: Frames, hum: np.ndarray, costs: np.ndarray, penalties: Penalties) -> tuple[int, int]:
    """The first and last frame of the best path through one song; -1 where none fits."""
    level, start, end, (off_start, off_end, faster, slower) = songs.level, songs.start, songs.end, penalties
    n, m = len(hum), len(level)
    circle = np.concatenate((costs, costs))
    cost, origin = np.empty((3, m), np.float32), np.empty((3, m), np.int64)  # a row and the two before it
    for i in range(n):
        here, back, far = i % 3, (i - 1) % 3, (i - 2) % 3
        pitch, before = LEVELS - hum[i], LEVELS - hum[i - 1]
        for j in range(m):
            if i == 0:
                cost[0, j] = circle[level[j] + pitch] + (np.float32(0) if start[j] else off_start)
                origin[0, j] = j
                continue
            lowest, came = np.float32(1e9), -1
            if j >= 1:
                lowest, came = cost[back, j - 1], origin[back, j - 1]
            if j >= 2 and cost[back, j - 2] + faster < lowest:
                lowest, came = cost[back, j - 2] + faster, origin[back, j - 2]
            if i >= 2 and j >= 1:
                lagging = cost[far, j - 1] + circle[level[j] + before] + slower
                if lagging < lowest:
                    lowest, came = lagging, origin[far, j - 1]
            cost[here, j], origin[here, j] = circle[level[j] + pitch] + lowest, came
    least, answer = np.float32(1e8), (-1, -1)
    for j in range(m):
        total = cost[(n - 1) % 3, j] + (np.float32(0) if end[j] else off_end)
        if total < least:
            least, answer = total, (origin[(n - 1) % 3, j], j)
    return answer
