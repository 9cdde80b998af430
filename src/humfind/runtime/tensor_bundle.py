"""A reader of TensorFlow's checkpoints (the V2 "tensor bundle"): named arrays, without TensorFlow.

Two files: ``.index``, a sorted string table (LevelDB's format) of small protocol buffers that say where each array
lies, and ``.data-00000-of-00001``, the arrays' bytes. Formats: tensorflow/core/util/tensor_bundle and
tensorflow/core/lib/io/format; https://github.com/google/leveldb/blob/main/doc/table_format.md.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

MAGIC = 0xDB4775248B80FB57  # at the end of a string table
FOOTER = 48  # bytes: two handles, padding, the magic number
DTYPES: dict[int, np.dtype[Any]] = {1: np.dtype("<f4"), 3: np.dtype("<i4"), 9: np.dtype("<i8")}
UNCOMPRESSED = 0


def read(index: Path, data: Path) -> dict[str, np.ndarray]:
    """Every array of a checkpoint of one shard, by name. Raises ValueError for what is not one, OSError as files do."""
    table, content = index.read_bytes(), data.read_bytes()
    try:
        return {name.decode(): _array(entry, content) for name, entry in _entries(table) if name}
    except (IndexError, struct.error, UnicodeDecodeError, KeyError) as error:
        raise ValueError(f"{index.name}: not a tensor bundle ({error})") from error


def _array(entry: bytes, content: bytes) -> np.ndarray:
    numbers, parts = _message(entry)
    shape = [_message(size)[0].get(1, 0) for size in _all(parts.get(2, b""), 2)]
    start, size = numbers.get(4, 0), numbers.get(5, 0)
    dtype: np.dtype[Any] = DTYPES[numbers.get(1, 0)]
    if start + size > len(content) or size != dtype.itemsize * math.prod(shape):
        raise ValueError(f"an array of {size} bytes at {start} does not fit its file or its shape {shape}")
    return np.frombuffer(content, dtype, size // dtype.itemsize, start).reshape(shape)


def _entries(table: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values of a string table, in order."""
    if len(table) < FOOTER or struct.unpack("<Q", table[-8:])[0] != MAGIC:
        raise ValueError("not a string table")
    at = len(table) - FOOTER
    for _ in range(2):  # the handle of what the table says about itself, which is skipped
        _, at = _varint(table, at)
    start, at = _varint(table, at)
    size, at = _varint(table, at)
    for _, handle in _block(table, start, size):
        first, after = _varint(handle, 0)
        length, _ = _varint(handle, after)
        yield from _block(table, first, length)


def _block(table: bytes, start: int, size: int) -> Iterator[tuple[bytes, bytes]]:
    """Each key shares its beginning with the one before; the block ends with a list of places, and their number."""
    if start + size + 1 > len(table) or table[start + size] != UNCOMPRESSED:
        raise ValueError("a block is cut short, or compressed")
    block = table[start : start + size]
    end = size - 4 - 4 * struct.unpack("<I", block[-4:])[0]
    at, key = 0, b""
    while at < end:
        shared, at = _varint(block, at)
        own, at = _varint(block, at)
        length, at = _varint(block, at)
        key = key[:shared] + block[at : at + own]
        yield key, block[at + own : at + own + length]
        at += own + length


def _message(data: bytes) -> tuple[dict[int, int], dict[int, bytes]]:
    """A protocol buffer's numbers and its parts, by field; of what repeats, the last."""
    numbers, parts = {}, {}
    for field, value in _fields(data):
        if isinstance(value, int):
            numbers[field] = value
        else:
            parts[field] = value
    return numbers, parts


def _all(data: bytes, wanted: int) -> list[bytes]:
    """Every part of a field that repeats."""
    return [value for field, value in _fields(data) if field == wanted and isinstance(value, bytes)]


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """(field, value) of a protocol buffer's fields: varints, lengths with bytes, fixed 32 and 64 bits."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        kind = tag & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield tag >> 3, value
        elif kind == 2:
            length, at = _varint(message, at)
            yield tag >> 3, message[at : at + length]
            at += length
        elif kind in (1, 5):
            width = 8 if kind == 1 else 4
            yield tag >> 3, int.from_bytes(message[at : at + width], "little")
            at += width
        else:
            raise ValueError(f"a field of kind {kind}")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """A number of seven bits a byte, and where it ends."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
