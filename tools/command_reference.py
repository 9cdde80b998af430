"""docs/commands.md, from the commands' own help.

python tools/command_reference.py
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import typer

from humfind.cli import app

PAGE = Path(__file__).resolve().parents[1] / "docs" / "commands.md"
WIDTH = 110
HEAD = """# Commands

Made from the commands' own help by `python tools/command_reference.py`; a test compares.

Exit status: 0 done; 2 something that the user can mend, said in one line; 1 a bug, with its trace; 130 interrupted.
`humfind -v COMMAND` tells counts, `-vv` more. `humfind --install-completion` completes commands and options in the
shell.
"""


def commands(group: Any = None, name: str = "humfind") -> Iterator[tuple[str, Any]]:
    """Every command that does something, by its whole name."""
    group = group or typer.main.get_command(app)
    for word, command in group.commands.items():
        whole = f"{name} {word}"
        if hasattr(command, "commands"):
            yield from commands(command, whole)
        else:
            yield whole, command


def reference() -> str:
    """The page."""
    return "\n".join([HEAD, *(_entry(name, command) for name, command in commands())])


def _entry(name: str, command: Any) -> str:
    context = command.make_context(name, [], resilient_parsing=True, terminal_width=WIDTH, max_content_width=WIDTH)
    return f"## `{name}`\n\n```text\n{command.get_help(context).rstrip()}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(reference(), encoding="utf-8")
