"""The site is built strictly: a page without a place, a link without a target or an anchor that is not there fails.
Nothing in it comes from elsewhere; its tables of messages and of commands are the program's."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_world import REPOSITORY

from humfind import cli
from tools import command_reference

SOURCE = REPOSITORY / "src" / "humfind"
LINK = re.compile(r"\]\(([^)#\s]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(out)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return out


def test_the_site_loads_nothing_from_elsewhere(site: Path) -> None:
    pages = list(site.rglob("*.html"))
    assert len(pages) > 20
    for page in pages:
        found = re.search(r"<(script|link|img)[^>]*(src|href)=.?https?://[^>]*>", page.read_text("utf-8"))
        assert not found, f"{page.name}: {found and found.group()}"


def test_every_link_of_a_page_outside_of_the_site_has_a_target() -> None:
    for page in REPOSITORY.glob("*.md"):
        for target in LINK.findall(page.read_text("utf-8")):
            if "://" not in target:
                assert (REPOSITORY / target).exists(), f"{page.name}: {target}"


def test_the_messages_of_troubleshooting_are_the_programs() -> None:
    page = (REPOSITORY / "docs" / "troubleshooting.md").read_text("utf-8")
    messages = re.findall(r"^\| `([^`]+)` \|", page, re.MULTILINE)
    assert len(messages) >= 10
    source = "\n".join(path.read_text("utf-8") for path in SOURCE.rglob("*.py"))
    written = (REPOSITORY / "docs" / "reliability" / "bad_input.md").read_text("utf-8")
    for message in messages:
        assert message in source or message in written, message


def test_the_page_of_commands_is_todays() -> None:
    assert command_reference.reference() == command_reference.PAGE.read_text("utf-8"), (
        "python tools/command_reference.py"
    )


@pytest.mark.parametrize(("name", "command"), list(command_reference.commands()))
def test_every_command_has_an_example_that_parses(name: str, command: object, tmp_path: Path) -> None:
    epilog = getattr(command, "epilog", None)
    assert epilog, f"{name} has no example"
    words = shlex.split(epilog.removeprefix("Example: "))
    assert " ".join(words).startswith(name)
    given = words[len(name.split()) :]
    command.make_context(name, given)  # type: ignore[attr-defined]  # raises where an option is unknown or one lacks


def test_the_root_command_is_the_one_that_is_documented() -> None:
    documented = {name.split()[1] for name, _ in command_reference.commands()}
    assert documented == {"import", *(one.name or one.callback.__name__ for one in cli.app.registered_commands)}
