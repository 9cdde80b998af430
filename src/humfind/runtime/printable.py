"""Text from data on a terminal, in a log, in JSON: never a control sequence, never a surprise in direction."""

from __future__ import annotations

import json
import sys
import unicodedata
from typing import Any

UNSAFE = {
    "Cc",
    "Cf",
    "Cs",
    "Co",
    "Zl",
    "Zp",
}  # categories: controls, invisible and direction marks, bytes that are no text
JOINERS = "\u200c\u200d"  # that some scripts need between letters


def printable(text: str, keep: str = "") -> str:
    """The text with each unsafe character written out (``\\x1b``), so that it can neither act on a terminal nor hide.

    keep: characters that stay, for example the line end of a table.
    """
    return "".join(
        c if c in keep or c in JOINERS or unicodedata.category(c) not in UNSAFE else _written(c) for c in text
    )


def to_json(values: Any) -> str:
    """Indented JSON that reads back as exactly ``values``; what a terminal would act on is escaped."""
    text = json.dumps(values, indent=2, ensure_ascii=False, default=str)
    return "".join(c if c == "\n" or unicodedata.category(c) not in UNSAFE else json.dumps(c)[1:-1] for c in text)


def _written(c: str) -> str:
    code = ord(c)
    if 0xDC80 <= code <= 0xDCFF:  # how Python holds a byte of a file name that is no UTF-8
        return f"\\x{code - 0xDC00:02x}"
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def say(text: object, error: bool = False) -> None:
    """Print lines to the terminal, made printable. error: on stderr."""
    print(printable(str(text), keep="\n"), file=sys.stderr if error else sys.stdout)
