"""The f0 files of the 2021 entry: a pickled list of (path, numpy array of f0 in Hz every 10 ms).

It is read by ``humfind.runtime.pickled``, which runs nothing of what the file asks for.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from humfind.runtime import pickled
from humfind.runtime.files import require_file
from humfind.types import Floats, InputError

HOP_S = 0.01
LARGEST = 2 * 2**30  # bytes: 10,000 songs of four minutes
MEND = "do not load it by other means; get the file from its maker again"


def read(path: Path) -> list[tuple[str, Floats]]:
    """(path, hz) of each recording, in the file's order; hz (n,) float32, 0 where there is no pitch.

    NaN counts as no pitch. Raises InputError where the file is missing or cut, names anything but numpy's
    arrays, or holds something else than such a list.
    """
    require_file(path, LARGEST)
    try:
        content = path.read_bytes()
        value = pickled.read(content)
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; give a file of the 2021 entry's f0") from error
    except pickled.ForbiddenError as error:
        message = f"asks for {error}, which is refused: there may be only lists, tuples, text, numbers and numpy arrays"
        raise InputError(f"{path}: {message}; {MEND}") from error
    except (ValueError, TypeError, IndexError, KeyError, OverflowError, MemoryError, OSError) as error:
        reason = (str(error).splitlines() or [""])[0] or type(error).__name__
        raise InputError(f"{path}: cannot be read as a pickle of lists and arrays ({reason}); get it again") from error
    if not isinstance(value, list | tuple):
        raise InputError(f"{path}: holds {pickled.called(value)}, not a list of (path, array); give another file")
    rows: list[tuple[str, Floats]] = []
    frames, made = 0, dict[int, Floats]()
    for number, row in enumerate(value, start=1):
        name, values = _pair(f"{path} row {number}", row)
        if id(values) not in made:  # values live as long as the list that was read, so an id means one array
            made[id(values)] = _line(f"{path} row {number}, {name}", values)
        rows.append((name, made[id(values)]))
        frames += len(rows[-1][1])
    if frames > len(content):
        raise InputError(f"{path}: {len(content):,} bytes that stand for {frames:,} frames; {MEND}")
    return rows


def _pair(where: str, row: Any) -> tuple[str, Any]:
    if not isinstance(row, list | tuple) or len(row) != 2 or not isinstance(row[0], str):
        raise InputError(f"{where}: {pickled.called(row)}, not (path, array); give another file")
    return row[0], row[1].value if isinstance(row[1], pickled.Array) else row[1]


def _line(where: str, values: Any) -> Floats:
    numbers = isinstance(values, list | tuple) and all(type(x) in (int, float) for x in values)
    if not numbers and not (isinstance(values, np.ndarray) and values.dtype.kind in "fiu"):
        raise InputError(f"{where}: {pickled.called(values)}, not an array of f0; give another file")
    try:
        with np.errstate(over="ignore"):
            hz = np.nan_to_num(np.asarray(values, np.float64), nan=0.0, posinf=-1.0).astype(np.float32)
    except OverflowError as error:
        raise InputError(f"{where}: {error}; give another file") from error
    hz = hz.reshape(-1) if hz.size == max(hz.shape) else hz  # (n, 1) and (1, n) are lines too
    if hz.ndim != 1 or not (np.isfinite(hz).all() and (hz >= 0).all()):
        raise InputError(f"{where}: shape {hz.shape} or values that no f0 has; give another file")
    return hz
