"""Arrays in files that are mapped into memory rather than read: several processes share their pages, and what is not
looked at takes none. ``.npy`` files as ``numpy.load`` reads them, and safetensors files.

What a file says of itself is checked before anything is mapped; the numbers in it are whoever reads them to check.
"""

from __future__ import annotations

import errno
import json
import math
import mmap
import os
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import DTypeLike

from humfind.runtime.files import atomic_write, raise_if_disk_full
from humfind.types import InputError

NPY_VERSION = (1, 0)
# what numpy's reader of headers raises
NOT_A_HEADER = (ValueError, EOFError, SyntaxError, TokenError, RecursionError, MemoryError)
ADVICE = hasattr(mmap, "MADV_RANDOM")  # not on Windows
AHEAD_PAGES = 32  # that Linux looks for at one word
AGAIN = "build the index again"
LARGEST_HEADER = 2**20  # bytes of a safetensors file's names and shapes
TENSORS = {
    "BOOL": "?", "U8": "u1", "I8": "i1", "I16": "<i2", "U16": "<u2", "F16": "<f2",
    "I32": "<i4", "U32": "<u4", "F32": "<f4", "I64": "<i8", "U64": "<u8", "F64": "<f8",
}  # fmt: skip


def write_array(path: Path, dtype: DTypeLike, shape: tuple[int, ...], pieces: Iterable[np.ndarray]) -> None:
    """A ``.npy`` file of pieces that follow each other."""
    kind = np.dtype(dtype)
    header = {"descr": npy.dtype_to_descr(kind), "fortran_order": False, "shape": shape}

    def write(file: BinaryIO) -> None:  # numpy's own writer does not say which error the disk gave
        npy.write_array_header_1_0(file, header)
        for piece in pieces:
            file.write(np.ascontiguousarray(piece, kind).data)

    atomic_write(path, write)


class Spool:
    """Rows that come piece by piece, to be laid end to end: in memory; or, beside a folder, in a file without a name,
    which is gone with the last who looks at it, so that they take no more memory than they are looked at."""

    def __init__(self, dtype: DTypeLike, beside: Path | None = None) -> None:
        """beside: a folder that need not be there yet."""
        self._kind, self._pieces, self._shape = np.dtype(dtype), list[np.ndarray](), (0,)
        self._file: Any = None
        if beside is not None:
            self._place = next(place for place in (beside, *beside.absolute().parents) if place.is_dir())
            self._file = tempfile.TemporaryFile(dir=self._place)  # noqa: SIM115 (closed when all rows are in)

    def append(self, piece: np.ndarray) -> None:
        """Raises InputError where the disk is full."""
        self._shape = (self._shape[0] + len(piece), *piece.shape[1:])
        rows = np.ascontiguousarray(piece, self._kind)
        if self._file is None:
            self._pieces.append(rows)
            return
        with raise_if_disk_full(self._place):
            self._file.write(rows.data)

    def rows(self) -> np.ndarray:
        """All of them, once; no more is held than once on the way."""
        if self._file is None:
            laid, end = np.empty(self._shape, self._kind), self._shape[0]
            while self._pieces:
                piece = self._pieces.pop()
                laid[end - len(piece) : end] = piece
                end -= len(piece)
            return laid
        with raise_if_disk_full(self._place), self._file as file:
            file.flush()
            return _mapped(file, self._kind, self._shape, 0)


def write_tensors(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """A safetensors file, from the arrays where they lie: its own library would hold all of them again."""
    about: dict[str, Any] = {}
    end = 0
    for name, array in arrays.items():
        begin, end = end, end + array.nbytes
        kind = next(kind for kind, dtype in TENSORS.items() if np.dtype(dtype) == array.dtype)
        about[name] = {"dtype": kind, "shape": array.shape, "data_offsets": (begin, end)}
    header = json.dumps(about).encode()
    header += b" " * (-len(header) % 8)

    def write(file: BinaryIO) -> None:
        file.write(len(header).to_bytes(8, "little") + header)
        for name, array in arrays.items():
            file.write(np.ascontiguousarray(array, TENSORS[about[name]["dtype"]]).data)

    atomic_write(path, write)


def map_array(file: BinaryIO, dtype: DTypeLike, dimensions: int, what: str, scattered: bool = False) -> np.ndarray:
    """An open ``.npy`` file, whose size has to be what its header says. what: it should be, in words. scattered: few
    rows of it are read, here and there, and nothing around them shall be; see ``read_ahead``. Raises InputError."""
    kind = np.dtype(dtype)
    try:
        if npy.read_magic(file) != NPY_VERSION:
            raise ValueError("another version of the format")
        shape, by_columns, found = npy.read_array_header_1_0(file)
    except NOT_A_HEADER as error:
        raise InputError(f"{file.name}: not a whole npy file; {AGAIN}") from error
    stored = os.fstat(file.fileno()).st_size - file.tell()
    if by_columns or found != kind or len(shape) != dimensions or stored != kind.itemsize * math.prod(shape):
        raise InputError(f"{file.name}: not {what}; {AGAIN}")
    return _mapped(file, kind, shape, file.tell(), scattered)


def map_tensors(file: BinaryIO, most_bytes: int) -> dict[str, np.ndarray]:
    """The arrays of an open safetensors file. Raises InputError where it is not a whole one, or larger than
    ``most_bytes``."""
    size = os.fstat(file.fileno()).st_size
    if size > most_bytes:
        raise InputError(f"{file.name}: {size:,} bytes, which no engine of these vectors needs; {AGAIN}")
    try:
        length = int.from_bytes(file.read(8), "little")
        if length > min(size - 8, LARGEST_HEADER):
            raise ValueError("its header is not whole")
        header = json.loads(file.read(length))
        places = [(name, *_place(about, size - 8 - length)) for name, about in header.items() if name != "__metadata__"]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(f"{file.name}: not a whole safetensors file ({error}); {AGAIN}") from error
    return {name: _mapped(file, kind, shape, 8 + length + begin) for name, kind, shape, begin in places}


def _place(about: dict[str, Any], size: int) -> tuple[np.dtype[Any], tuple[int, ...], int]:
    """Of a tensor: type, shape, first byte. size: of all of them."""
    kind, shape, (begin, end) = np.dtype(TENSORS[about["dtype"]]), about["shape"], about["data_offsets"]
    if any(type(number) is not int or number < 0 for number in (*shape, begin, end)):
        raise ValueError("a size that is none")
    if end > size or end - begin != kind.itemsize * math.prod(shape):
        raise ValueError("a tensor of another size")
    return kind, tuple(shape), begin


def read_ahead(table: np.ndarray, rows: slice | np.ndarray) -> None:
    """Those rows of ``table`` are read next: where it is mapped as scattered, the disk is told, to look for all at
    once."""
    if isinstance(rows, slice):
        first, stop, _ = rows.indices(len(table))
        read_ranges_ahead(table, np.array([first]), np.array([stop]))
    else:
        at = np.ravel(rows)
        read_ranges_ahead(table, at, at + 1)


def read_ranges_ahead(table: np.ndarray, first: np.ndarray, stop: np.ndarray) -> None:
    """The same for rows in ranges: (n,) each."""
    whole: Any = table
    while isinstance(whole, np.ndarray):
        whole = whole.base
    some = stop > first
    if not ADVICE or not isinstance(whole, mmap.mmap) or not some.any():
        return
    begin, row_size = table.ctypes.data - np.frombuffer(whole, np.uint8).ctypes.data, table.strides[0]
    ends = np.stack([first[some] * row_size, stop[some] * row_size - 1])
    pages = (begin + ends.astype(np.int64)) // mmap.PAGESIZE
    step = pages[0, 1:] - pages[1, :-1]
    starts = np.append(0, np.flatnonzero((step < 0) | (step > 1)) + 1)  # of pages next to each other
    first, stops = pages[0][starts], pages[1][np.append(starts[1:], pages.shape[1]) - 1] + 1
    several = stops > first + 1
    for start, end in zip(first[several].tolist(), stops[several].tolist(), strict=True):
        for page in range(start, end, AHEAD_PAGES):
            size = min(AHEAD_PAGES, end - page) * mmap.PAGESIZE
            whole.madvise(mmap.MADV_WILLNEED, page * mmap.PAGESIZE, size)


def _mapped(
    file: BinaryIO, kind: np.dtype[Any], shape: tuple[int, ...], offset: int, scattered: bool = False
) -> np.ndarray:
    stored = kind.itemsize * math.prod(shape)
    if not stored:
        return np.empty(shape, kind)
    try:
        whole = mmap.mmap(file.fileno(), offset + stored, access=mmap.ACCESS_READ)
        if ADVICE and scattered:
            whole.madvise(mmap.MADV_RANDOM)  # or each page that is looked at brings a hundred KB with it
        return np.ndarray(shape, kind, whole, offset)
    except (MemoryError, OSError) as error:
        if isinstance(error, OSError) and error.errno != errno.ENOMEM:
            raise
        mend = "raise ulimit -v, or index fewer songs"
        raise InputError(f"{file.name}: {stored:,} bytes are more than the memory; {mend}") from error
