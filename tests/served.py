"""What the tests of the page ask for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from humfind.app.libraries import Libraries
from humfind.app.library import Library

BOOK = "Aird's Airs 1"
HUMMED = f"{BOOK}, 30"  # the tune that is hummed
Serve = Callable[..., str]


def opened(home: Path, **libraries: Library) -> Libraries:
    """Libraries that are open, by name."""
    made = Libraries(home)
    made.open.update(libraries)
    return made
