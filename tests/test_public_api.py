"""``import humfind``: a few names, light until they are used; README's script runs as it stands."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_world import QUICK, REPOSITORY, f0_of, hum_of, melody, put_audio
from toy import TOY_CONFIG, toy_examples

import humfind
from humfind.config import PRESETS
from humfind.retrieval.indexing import write_index
from humfind.types import F0

README = REPOSITORY / "README.md"


def script(word: str) -> str:
    """README's Python block with this word."""
    blocks = README.read_text("utf-8").split("```python\n")[1:]
    found = [block.split("```")[0] for block in blocks if word in block]
    assert len(found) == 1
    return found[0]


def test_every_name_is_there() -> None:
    assert set(humfind.__all__) == set(humfind._WHERE)
    for name in humfind.__all__:
        assert getattr(humfind, name).__doc__
    assert set(humfind.__all__) < set(dir(humfind))
    with pytest.raises(AttributeError, match="bogus"):
        humfind.bogus  # noqa: B018


def test_nothing_is_imported_before_it_is_used() -> None:
    code = "import sys; before = set(sys.modules); import humfind; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert [name for name in done.stdout.split() if name.startswith("humfind")] == ["humfind"]


def test_the_search_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for i in range(3):
        put_audio(tmp_path / f"music/{i}.wav", f0_of(melody(i)))
    put_audio(tmp_path / "hum.wav", hum_of(1))
    write_index(tmp_path / "music", tmp_path / "my-music", "public_test", model="pretrained", f0=QUICK)
    exec(script("search_file("), {})
    assert capsys.readouterr().out.startswith("1 ")


def test_the_script_of_the_readme(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(PRESETS, "small", replace(TOY_CONFIG, train=replace(TOY_CONFIG.train, steps=4)))
    recordings = [
        (one.name, one.music_id, one.kind, one.source.hz, one.source.confidence)
        for one in toy_examples(songs=10, hums=2, seed=1, length_s=8)
        if isinstance(one.source, F0)
    ]
    exec(script("hf.train("), {"recordings": recordings})
    printed = capsys.readouterr().out
    assert printed.startswith("MRR@10 ")
    assert "(4 hums, 10 songs)" in printed
    assert float(printed.split()[1]) > 0.9
