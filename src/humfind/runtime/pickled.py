"""A pickle's lists, tuples, dictionaries, text, numbers and numpy arrays, without Python's unpickler.

A pickle is a program for a small stack machine, and Python's own runs whatever the program names. This one knows those
values and nothing else: the names that numpy writes stand for builders of this module; any other name ends the reading.
No module is imported and no function of the file's choice is called. Each instruction makes one value or refers to one,
and an array has exactly the bytes that lie in the file, so memory grows with the file alone.
"""

from __future__ import annotations

import pickletools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

MOST_DIMENSIONS = 4


def read(program: bytes) -> Any:
    """The value that a pickle leaves. Raises ForbiddenError for anything else than such values; ValueError, TypeError,
    IndexError, KeyError, OverflowError or MemoryError for a damaged one."""
    return _plain(_Machine().run(program))


def _plain(value: Any) -> Any:
    """An array in the place of what numpy makes empty and fills afterwards, at the top and one level below."""
    if isinstance(value, dict):
        return {key: one.value if isinstance(one, Array) else one for key, one in value.items()}
    return value.value if isinstance(value, Array) else value


class ForbiddenError(Exception):
    """A name or an instruction that such values do not need."""


def called(value: Any) -> str:
    """A value in few letters. Never its own text: lists that hold each other can make that endless."""
    if isinstance(value, str | bytes | int | float):
        return f"{value!r:.40}"
    return "nothing" if value is None else type(value).__name__.strip("_").lower()


@dataclass
class _Dtype:
    """A number type as numpy writes it: dtype('f4', False, True), then its byte order."""

    value: np.dtype[Any]


@dataclass
class Array:
    """An array that numpy makes empty and fills afterwards."""

    value: np.ndarray | None = None


def _dtype(code: Any, *_: Any) -> _Dtype:
    text = code.decode("ascii") if isinstance(code, bytes) else code
    if not isinstance(text, str) or text[:1] not in "fiub" or not text[1:].isdigit() or len(text) > 3:
        raise ForbiddenError(f"numpy.dtype({called(text)})")
    return _Dtype(np.dtype(text))


def _shaped(data: Any, dtype: Any, shape: Any, order: Any) -> np.ndarray:
    """Bytes -> array of its own; its size is that of the bytes, whatever the file claims."""
    content = data.encode("latin-1") if isinstance(data, str) else data
    if not isinstance(content, bytes | bytearray) or not isinstance(dtype, _Dtype):
        raise ForbiddenError("an array of objects")
    sizes = tuple(shape) if isinstance(shape, list | tuple) else (shape,)
    if not all(type(size) is int and size >= 0 for size in sizes) or len(sizes) > MOST_DIMENSIONS:
        raise ValueError("an array of a strange shape")
    return np.frombuffer(content, dtype.value).reshape(sizes, order="F" if order in (True, "F") else "C").copy()


def _reconstruct(kind: Any, shape: Any, code: Any) -> Array:
    if kind is not NDARRAY:
        raise ForbiddenError("an array of an unknown class")
    return Array()


def _frombuffer(data: Any, dtype: Any, shape: Any, order: Any) -> Array:
    return Array(_shaped(data, dtype, shape, order))


def _scalar(dtype: Any, data: Any) -> Any:
    return _shaped(data, dtype, (1,), "C")[0].item()


def _encode(text: Any, code: Any) -> bytes:
    """How protocols 0 to 2 write bytes: as text, to be encoded."""
    if not isinstance(text, str) or code not in ("latin1", "latin-1"):
        raise ForbiddenError(f"_codecs.encode(…, {called(code)})")
    return text.encode("latin-1")


def _no_bytes() -> bytes:
    """How protocols 0 to 2 write no bytes at all."""
    return b""


def NDARRAY() -> None:
    """Stands for numpy.ndarray, which is named but never called."""
    raise ForbiddenError("numpy.ndarray itself")


NAMES: dict[str, Callable[..., Any]] = {
    "numpy.ndarray": NDARRAY,
    "numpy.dtype": _dtype,
    "numpy.core.multiarray._reconstruct": _reconstruct,
    "numpy._core.multiarray._reconstruct": _reconstruct,
    "numpy.core.multiarray.scalar": _scalar,
    "numpy._core.multiarray.scalar": _scalar,
    "numpy.core.numeric._frombuffer": _frombuffer,
    "numpy._core.numeric._frombuffer": _frombuffer,
    "_codecs.encode": _encode,
    "__builtin__.bytes": _no_bytes,
    "builtins.bytes": _no_bytes,
}
PLAIN = {  # instructions whose argument is the value
    *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
    *("STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    *("UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
}
CONSTANTS: dict[str, Callable[[], Any]] = {
    **{"NONE": lambda: None, "NEWTRUE": lambda: True, "NEWFALSE": lambda: False},
    **{"EMPTY_LIST": list, "EMPTY_TUPLE": tuple, "EMPTY_DICT": dict},
}


class _Machine:
    """Python's pickle machine without what runs code. stack: values; marks: where its parts begin."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def run(self, program: bytes) -> Any:
        """The value that the program leaves. Raises ForbiddenError, or what a damaged program comes to."""
        for opcode, argument, _ in pickletools.genops(program):
            name = opcode.name
            if name == "STOP":
                return self.stack.pop()
            if name in PLAIN:
                self.stack.append(argument)
            elif name in CONSTANTS:
                self.stack.append(CONSTANTS[name]())
            elif name in ("GLOBAL", "STACK_GLOBAL"):
                self.stack.append(self._named(name, argument))
            else:
                step = getattr(self, f"_{name.lower()}", None)
                if step is None:
                    raise ForbiddenError(f"the instruction {name}")
                step(argument)
        raise ValueError("no end")

    def _named(self, name: str, argument: Any) -> Callable[..., Any]:
        if name == "GLOBAL":
            dotted = str(argument).replace(" ", ".")
        else:
            attribute, module = self.stack.pop(), self.stack.pop()
            if not isinstance(module, str) or not isinstance(attribute, str):
                raise ForbiddenError(f"{called(module)}, {called(attribute)} by name")
            dotted = f"{module}.{attribute}"
        if dotted not in NAMES:
            raise ForbiddenError(f"{dotted:.80}")
        return NAMES[dotted]

    def _since_mark(self) -> list[Any]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def _top(self, kind: type) -> Any:
        if not isinstance(self.stack[-1], kind):
            raise ValueError(f"{kind.__name__} expected, {called(self.stack[-1])} found")
        return self.stack[-1]

    def _proto(self, argument: int) -> None:
        if argument > 5:
            raise ValueError(f"pickle protocol {argument}")

    def _frame(self, argument: int) -> None:
        """Only a hint of how much to read at once."""

    def _mark(self, _: Any) -> None:
        self.marks.append(len(self.stack))

    def _pop(self, _: Any) -> None:
        self.stack.pop()

    def _memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _put(self, argument: int) -> None:
        self.memo[argument] = self.stack[-1]

    _binput = _long_binput = _put

    def _get(self, argument: int) -> None:
        self.stack.append(self.memo[argument])

    _binget = _long_binget = _get

    def _append(self, _: Any) -> None:
        value = self.stack.pop()
        self._top(list).append(value)

    def _appends(self, _: Any) -> None:
        items = self._since_mark()
        self._top(list).extend(items)

    def _setitem(self, _: Any) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        self._set([key, value])

    def _setitems(self, _: Any) -> None:
        items = self._since_mark()
        self._set(items)

    def _set(self, items: list[Any]) -> None:
        """key, value, key, value ..."""
        if not all(isinstance(key, str) for key in items[::2]) or len(items) % 2:
            raise ForbiddenError("a key that is no text")
        self._top(dict).update(zip(items[::2], items[1::2], strict=True))

    def _list(self, _: Any) -> None:
        self.stack.append(self._since_mark())

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self._since_mark()))

    def _tuple1(self, _: Any) -> None:
        self._tuple_of(1)

    def _tuple2(self, _: Any) -> None:
        self._tuple_of(2)

    def _tuple3(self, _: Any) -> None:
        self._tuple_of(3)

    def _tuple_of(self, size: int) -> None:
        if len(self.stack) < size:
            raise IndexError("stack underflow")
        items = self.stack[-size:]
        del self.stack[-size:]
        self.stack.append(tuple(items))

    def _reduce(self, _: Any) -> None:
        arguments, builder = self.stack.pop(), self.stack.pop()
        if not any(builder is known for known in NAMES.values()) or not isinstance(arguments, tuple):
            raise ForbiddenError(f"a call of {called(builder)}")
        self.stack.append(builder(*arguments))

    def _build(self, _: Any) -> None:
        state, target = self.stack.pop(), self.stack[-1]
        if not isinstance(state, tuple) or not isinstance(target, Array | _Dtype):
            raise ForbiddenError(f"a state for {called(target)}")
        if isinstance(target, Array):
            _, shape, dtype, fortran, data = state
            target.value = _shaped(data, dtype, shape, fortran)
        elif state[1] in (">", b">"):
            target.value = target.value.newbyteorder(">")
