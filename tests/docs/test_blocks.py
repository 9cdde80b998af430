"""The blocks of commands and of Python in README's and the site's pages are run, page by page, as a reader would."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_world import REPOSITORY, f0_of, hum_of, melody, put_audio

DOCS = REPOSITORY / "docs"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PAGES = ("index", "troubleshooting", "benchmark", "tutorials/own_music", "tutorials/own_data", "tutorials/own_parts")


def blocks(page: Path) -> list[tuple[str, str]]:
    return [(kind, text) for kind, text in BLOCK.findall(page.read_text("utf-8"))]


def test_every_page_with_such_blocks_is_run() -> None:
    found = {str(page.relative_to(DOCS).with_suffix("")) for page in DOCS.rglob("*.md") if blocks(page)}
    assert found == set(PAGES)


@pytest.mark.parametrize("name", PAGES)
def test_the_blocks_of_a_page_run_one_after_the_other(name: str, tmp_path: Path) -> None:
    home, here = tmp_path / "home", tmp_path / "here"
    for i in range(4):
        put_audio(home / f"Music/{i} tune.wav", f0_of(melody(i)))
    put_audio(here / "hum.wav", hum_of(1))
    put_audio(here / "song.wav", f0_of(melody(9)))
    added = tmp_path / "added"  # what a page installs, away from the environment
    binaries = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = os.environ | {"HOME": str(home), "PATH": binaries, "HUMFIND_HOME": str(here)}
    environment |= {"PYTHONPATH": os.pathsep.join([str(added), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)}
    environment |= {"PIP_TARGET": str(added), "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    for kind, text in blocks(DOCS / f"{name}.md"):
        command = ["bash", "-euc", text] if kind == "sh" else [sys.executable, "-c", text]
        done = subprocess.run(command, cwd=here, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, f"{text}\n{done.stdout[-1000:]}\n{done.stderr[-3000:]}"
