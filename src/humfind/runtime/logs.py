"""What the project says while it works, and the count at each hand-over.

Everything is logged below the name "humfind". The command is quiet by default: warnings only. ``humfind -v`` tells
each stage with its counts and seconds, ``-vv`` the details; so does HUMFIND_LOG=info or debug, also in notebooks
once ``set_up`` was called. As a library, humfind sets up nothing: what it logs goes where the program sends it.
"""

from __future__ import annotations

import logging
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from humfind.runtime.printable import printable

ROOT = "humfind"
VARIABLE = "HUMFIND_LOG"
LEVELS = {"error": logging.ERROR, "warning": logging.WARNING, "info": logging.INFO, "debug": logging.DEBUG}


class UnknownLevelError(ValueError):
    """HUMFIND_LOG names no level."""


def level_of(verbosity: int, environment: Mapping[str, str]) -> int:
    """How much is logged: the louder of -v (info), -vv (debug) and HUMFIND_LOG; warnings where neither is given.

    Raises UnknownLevelError for an unknown level.
    """
    asked = environment.get(VARIABLE, "").strip().lower() or "warning"
    if asked not in LEVELS:
        raise UnknownLevelError(f"{VARIABLE}={asked}: unknown; choose one of {', '.join(LEVELS)}")
    by_flag = (logging.WARNING, logging.INFO, logging.DEBUG)[min(verbosity, 2)]
    return min(LEVELS[asked], by_flag) if verbosity else LEVELS[asked]


def set_up(verbosity: int = 0, environment: Mapping[str, str] | None = None) -> None:
    """Send the project's log to stderr, once, above any progress bar. Raises UnknownLevelError."""
    level = level_of(verbosity, os.environ if environment is None else environment)
    root = logging.getLogger(ROOT)
    for handler in [handler for handler in root.handlers if isinstance(handler, AboveBars)]:
        root.removeHandler(handler)
    handler = AboveBars()
    handler.setFormatter(Plain(detailed=level <= logging.DEBUG))
    root.addHandler(handler)
    root.setLevel(level)
    root.propagate = False


class Plain(logging.Formatter):
    """The message; a warning says that it is one. detailed: when and where, too."""

    def __init__(self, detailed: bool) -> None:
        super().__init__("%(relativeCreated)6.0f ms %(name)s: %(message)s" if detailed else "%(message)s")

    def format(self, record: logging.LogRecord) -> str:
        mark = f"{record.levelname.lower()}: " if record.levelno >= logging.WARNING else ""
        return printable(mark + super().format(record), keep="\n" if record.exc_info else "")


class AboveBars(logging.Handler):
    """Lines on stderr that leave a tqdm bar whole."""

    def emit(self, record: logging.LogRecord) -> None:
        line = self.format(record)
        tqdm = sys.modules.get("tqdm")
        if tqdm is None:
            print(line, file=sys.stderr)
        else:
            tqdm.tqdm.write(line, file=sys.stderr)


@contextmanager
def stage(log: logging.Logger, what: str) -> Iterator[None]:
    """Tell how long a stage took, at INFO."""
    started = time.perf_counter()
    yield
    log.info("%s: %.2f s", what, time.perf_counter() - started)


def check_counts(log: logging.Logger, where: str, went_in: int, what: str, **came_out: int) -> None:
    """A hand-over loses nothing: ``went_in`` of ``what`` is the sum of ``came_out``; logged at INFO.

    Raises RuntimeError where it does not add up: a bug, never the user's.
    """
    parts = " + ".join(f"{count} {name.replace('_', ' ')}" for name, count in came_out.items())
    line = f"{where}: {went_in} {what} = {parts}"
    if went_in != sum(came_out.values()) or min(came_out.values(), default=0) < 0:
        raise RuntimeError(f"{line}: does not add up")
    log.info(line)
