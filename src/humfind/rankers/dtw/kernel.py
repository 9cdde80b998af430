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
NEXT, SKIP, JUMP = 0, 1, 2  # how a path may go on
LAG = 0  # a step of one frame of the song over two of the hum
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


class Hum(NamedTuple):
    """pitch: (m,) int64, in [0, PITCHES) to align, in [0, LEVELS) to trace. resume: (m,) int64, how a path may go on at
    each frame: at the ``NEXT`` of the song, at any of the next ``reach`` (``SKIP``), or at any of all (``JUMP``).
    reach: a power of two."""

    pitch: np.ndarray
    resume: np.ndarray
    reach: int


class Penalties(NamedTuple):
    """Costs of a path in addition to the local ones, all of one type (int16 to align, float32 to trace). off_start,
    off_end: of beginning (a jump begins, too), and of ending, elsewhere than a phrase does. faster, slower: of a step
    at double and at half the tempo. skip, jump: of going on later in the song, or anywhere in it."""

    off_start: Any
    off_end: Any
    faster: Any
    slower: Any
    skip: Any
    jump: Any


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
    hum: Hum,
    costs: np.ndarray,
    penalties: Penalties,
    best: Best,
) -> None:
    """Fill ``best`` for the stretches ``rows``.

    costs: (LEVELS,) int16, of each distance on the circle of pitch classes.

    One row of the matrix is computed from the two before it alone, so that its cells are independent of each other, and
    sixteen or more fit into a register: that is what makes it quick. Short stretches lie side by side in one matrix,
    with two cells that nothing reaches after each: a step passes over one at most. A path costs at most ROOM, so
    neither FREE + a path's cost nor UNREACHED + it overflows. Rows are filled up to whole ``LANES``: what lies there
    reaches no frame.
    """
    per_key = PITCHES // KEYS
    circle = np.concatenate((costs, costs))  # spares a division for each cell
    first, blocks, per_block = stretches.first, stretches.blocks, stretches.per_block
    level = songs.level
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
        spare = np.empty((2, width), np.int16)
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
            moved = Hum((hum.pitch + key * per_key) % PITCHES, hum.resume, hum.reach)
            last = _rows(three, local, (opening, ending), moved, penalties, at, spare)[2:]
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
    phrases: tuple[np.ndarray, np.ndarray],
    hum: Hum,
    penalties: Penalties,
    at: np.ndarray,
    spare: np.ndarray,
) -> np.ndarray:
    """The last row of the matrix of one transposition. phrases: what it costs to begin, and to end, in each cell. at:
    where each stretch's cells begin, and where the last's end, each with two others after them."""
    one, two, new = three[0], three[1], three[2]
    one[:2], new[:2], two[:] = UNREACHED, UNREACHED, UNREACHED
    here = local[hum.pitch[0]]
    _open(one, here, phrases[0])
    _part(one, at[1:])
    for i in range(1, len(hum.pitch)):
        if hum.resume[i] != NEXT:
            for k in range(len(at) - 1):
                _resume(one[2:], phrases, penalties, hum.resume[i], hum.reach, at[k], at[k + 1] - 2, spare)
        there = here
        here = local[hum.pitch[i]]
        _row(new, one, two, here, there, penalties.faster, penalties.slower)
        _part(new, at[1:])
        two, one, new = one, new, two
    return one


@njit(nogil=True, cache=True, boundscheck=False)
def _resume(
    row: np.ndarray,
    phrases: tuple[np.ndarray, np.ndarray],
    penalties: Penalties,
    resume: int,
    reach: int,
    begin: int,
    end: int,
    spare: np.ndarray,
) -> None:
    """What the cells [begin, end) of a row cost where a path may have skipped or jumped to each."""
    opening, ending = phrases[0][begin:end], phrases[1][begin:end]
    cells, later, other = row[begin:end], spare[0][begin:end], spare[1][begin:end]
    later[:] = cells  # the least of each cell and of those before it: of 2, 4, 8 ... of them
    shift = 1
    while shift < min(reach, len(cells)):
        other[:shift] = later[:shift]
        _lesser(other[shift:], later[shift:], later[:-shift])
        later, other = other, later
        shift *= 2
    anywhere = np.int16(UNREACHED)
    if resume == JUMP:
        anywhere = np.int16(min(np.int32(UNREACHED), np.int32(_least(cells, ending)) + penalties.jump))
    _go_on(cells, later, opening, penalties.skip, anywhere)


@njit(nogil=True, cache=True, boundscheck=False)
def _lesser(least: np.ndarray, one: np.ndarray, other: np.ndarray) -> None:
    for j in range(len(least)):
        least[j] = min(one[j], other[j])


@njit(nogil=True, cache=True, boundscheck=False)
def _go_on(cells: np.ndarray, later: np.ndarray, opening: np.ndarray, skip: np.int16, anywhere: np.int16) -> None:
    for j in range(len(cells)):
        # in whole words: a sum may be too large for 16 bits, but then it is not the least
        cells[j] = min(np.int64(cells[j]), min(np.int64(later[j]) + skip, np.int64(anywhere) + opening[j]))


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
def trace(
    songs: Frames, hum: Hum, costs: np.ndarray, penalties: Penalties, begin: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The best path through one song that ends at its frame ``begin`` or later: (m,) int64 the frame of the song for
    each of the hum, -1 everywhere where no path fits; (m,) bool, the frames before which it jumps."""
    level, start, end = songs
    n, m = len(hum.pitch), len(level)
    circle = np.concatenate((costs, costs))
    cost = np.empty((3, m), np.float32)  # a row and the two before it
    step = np.empty((n, m), np.int8)  # frames of the song since the hum's last; LAG: one, over two of the hum
    resumed = np.full((np.sum(hum.resume != NEXT), m), -1, np.int32)  # from which frame a path went on
    row_of = np.cumsum(hum.resume != NEXT) - 1
    jumped = np.full(n, -1, np.int64)  # from which frame paths jump
    for i in range(n):
        here, back, far = i % 3, (i - 1) % 3, (i - 2) % 3
        pitch, before = LEVELS - hum.pitch[i], LEVELS - hum.pitch[i - 1]
        if i > 0 and hum.resume[i] != NEXT:
            jumped[i] = _trace_resume(cost[back], resumed[row_of[i]], songs, hum, penalties, hum.resume[i] == JUMP)
        for j in range(m):
            if i == 0:
                cost[0, j] = circle[level[j] + pitch] + (np.float32(0) if start[j] else penalties.off_start)
                continue
            lowest, step[i, j] = np.float32(1e9), 1
            if j >= 1:
                lowest = cost[back, j - 1]
            if j >= 2 and cost[back, j - 2] + penalties.faster < lowest:
                lowest, step[i, j] = cost[back, j - 2] + penalties.faster, 2
            if i >= 2 and j >= 1:
                lagging = cost[far, j - 1] + circle[level[j] + before] + penalties.slower
                if lagging < lowest:
                    lowest, step[i, j] = lagging, LAG
            cost[here, j] = circle[level[j] + pitch] + lowest
    path, jumps = np.full(n, -1, np.int64), np.zeros(n, np.bool_)
    least, j = np.float32(1e8), -1
    for last in range(begin, m):
        total = cost[(n - 1) % 3, last] + (np.float32(0) if end[last] else penalties.off_end)
        if total < least:
            least, j = total, last
    i = n - 1
    while j >= 0 and i >= 0:
        path[i] = j
        if i == 0:
            break
        lags = step[i, j] == LAG
        if lags:
            path[i - 1] = j
        j -= 1 if lags else step[i, j]
        i -= 2 if lags else 1
        # the row that it comes from may have been reached from elsewhere before the next frame of the hum
        if hum.resume[i + 1] != NEXT and resumed[row_of[i + 1], j] >= 0:
            came = resumed[row_of[i + 1], j]
            jumps[i + 1] = came == jumped[i + 1] and not 0 <= j - came < hum.reach
            j = came
    return path, jumps


@njit(nogil=True, cache=True)
def _trace_resume(
    cost: np.ndarray, came: np.ndarray, songs: Frames, hum: Hum, penalties: Penalties, jumps: bool
) -> int:
    """``_resume``, with the frame that each path came from in ``came``. Returns the one that paths jump from."""
    m = len(cost)
    before = cost.copy()
    anywhere, origin = np.float32(1e9), -1
    if jumps:
        for j in range(m):
            total = before[j] + (np.float32(0) if songs.end[j] else penalties.off_end) + penalties.jump
            if total < anywhere:
                anywhere, origin = total, j
    for j in range(m):
        for back in range(1, min(hum.reach, j + 1)):
            if before[j - back] + penalties.skip < cost[j]:
                cost[j], came[j] = before[j - back] + penalties.skip, j - back
        opened = anywhere + (np.float32(0) if songs.start[j] else penalties.off_start)
        if opened < cost[j]:
            cost[j], came[j] = opened, origin
    return origin
