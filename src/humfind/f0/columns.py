"""Columns of a parquet part -> Python and numpy values; whatever has the same meaning is cast, the rest named."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from humfind.types import Floats, InputError

LONGEST_TEXT = 8192  # bytes of a path or an id


def is_text(kind: pa.DataType) -> bool:
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_floating(kind) or pa.types.is_integer(kind))


def is_list(kind: pa.DataType) -> bool:
    tests = (pa.types.is_list, pa.types.is_large_list, pa.types.is_fixed_size_list)
    return any(test(kind) for test in tests) and (is_number(kind.value_type) or pa.types.is_null(kind.value_type))


def column(part: Path, table: pa.Table, name: str, fits: Callable[[pa.DataType], bool], wanted: str) -> pa.ChunkedArray:
    """A required column without empty rows. Raises InputError naming the part and the column."""
    if name not in table.column_names:
        raise InputError(f"{part}: column {name} is missing; there are {', '.join(table.column_names)}; add it")
    if table.column_names.count(name) > 1:
        raise InputError(f"{part}: column {name} is there {table.column_names.count(name)} times; keep one")
    found = table.column(name)
    if not fits(found.type):
        raise InputError(f"{part}: column {name} is {found.type}, not {wanted}; write it again as {wanted}")
    if found.null_count:
        raise InputError(f"{part}: column {name} has {found.null_count} empty rows; fill or remove them")
    return found


def texts(part: Path, table: pa.Table, name: str) -> list[str]:
    """A required column of text."""
    found = column(part, table, name, is_text, "text")
    _require_short(part, name, found)
    values: list[str] = found.cast(pa.string()).to_pylist()
    return values


def _require_short(part: Path, name: str, found: pa.ChunkedArray) -> None:
    """A long text that many rows share takes little room in a file, and much outside."""
    if pa.types.is_dictionary(found.type):
        for chunk in found.chunks:
            longest = pc.max(pc.binary_length(chunk.dictionary.cast(pa.string()))).as_py() or 0
            if longest > LONGEST_TEXT:
                raise InputError(
                    f"{part}: column {name} has a text of {longest:,} bytes; keep at most {LONGEST_TEXT:,}"
                )


def numbers(part: Path, table: pa.Table, name: str) -> list[float]:
    """A required column of numbers; a float32 0.01 is read as 0.01, not as 0.009999999776."""
    found = column(part, table, name, is_number, "a number")
    values = found.cast(pa.float64()).to_pylist()
    return [float(str(np.float32(x))) for x in values] if pa.types.is_float32(found.type) else values


def lists(part: Path, table: pa.Table, name: str) -> list[Floats]:
    """A required column of lists of numbers as one float32 array a row."""
    found = column(part, table, name, is_list, "a list of numbers")
    rows = []
    for chunk in found.cast(pa.large_list(found.type.value_type)).chunks:
        if chunk.flatten().null_count:
            raise InputError(f"{part}: column {name} has empty values within a list; write 0 for no pitch")
        with np.errstate(over="ignore"):  # what is too large becomes infinite, which no f0 is
            values = chunk.flatten().to_numpy(zero_copy_only=False).astype(np.float32)
        ends = chunk.offsets.to_numpy() - chunk.offsets[0].as_py()
        rows += [values[a:b] for a, b in pairwise(ends)]
    return rows


def optional_text(part: Path, table: pa.Table, name: str) -> list[str | None]:
    """A column of text or nulls; all nulls where it is missing. Whole numbers count as their digits."""
    if name not in table.column_names or pa.types.is_null(table.column(name).type):
        return [None] * table.num_rows
    if table.column_names.count(name) > 1:
        raise InputError(f"{part}: column {name} is there {table.column_names.count(name)} times; keep one")
    found = table.column(name)
    if not (is_text(found.type) or pa.types.is_integer(found.type)):
        raise InputError(f"{part}: column {name} is {found.type}, not text; write it again as text")
    _require_short(part, name, found)
    values: list[str | None] = found.cast(pa.string()).to_pylist()
    return values
