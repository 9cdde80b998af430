"""The report's pages: linked, safe, and whole without a network."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from humfind.notebooks import report

EVIL = "<img src=x onerror=alert(1)><script>alert(2)</script><b>bold</b>"


def notebook(path: Path, title: str = "A title") -> Path:
    cell = new_code_cell("1")
    cell.outputs = [
        new_output("display_data", {"text/html": EVIL}),
        new_output("stream", name="stderr", text="100%"),
    ]
    nbformat.write(new_notebook(cells=[new_markdown_cell(f"# {title}\n\nWords."), cell]), path)
    return path


def test_a_page_fetches_nothing_and_runs_nothing(tmp_path: Path) -> None:
    out = tmp_path / "02.html"
    report.write_page(notebook(tmp_path / "02.ipynb"), out, ["01", "02", "03"])
    text = out.read_text()
    assert "<b>bold</b>" in text
    assert "<script" not in text
    assert "onerror" not in text
    assert "Content-Security-Policy" in text
    assert not re.findall(r"""(?:src|href)=["']?https?://""", text)
    for link in ("01.html", "03.html", "index.html"):
        assert f'href="{link}"' in text


def test_the_first_and_the_last_page_link_what_there_is(tmp_path: Path) -> None:
    report.write_page(notebook(tmp_path / "01.ipynb"), tmp_path / "01.html", ["01", "02"])
    text = (tmp_path / "01.html").read_text()
    assert 'rel="prev"' not in text
    assert 'href="02.html"' in text


def test_the_index_has_the_result_and_names_stay_text(tmp_path: Path) -> None:
    (tmp_path / "html").mkdir()
    notebook(tmp_path / "05_rank.ipynb", "Rank & submit")
    figure = {"value": 0.5, "low": 0.25, "high": 0.75}
    found = {"mrr": figure, "top1": figure, "top10": figure, "queries": 12, "songs": 8, "chance_mrr": 0.125}
    summary = {"run": "<b>mine", "ranking": {"public_test": {"fusion": found}}}
    text = report.write_index(tmp_path / "html", summary, ["05_rank"]).read_text()
    assert "0.500 [0.250, 0.750]" in text
    assert "&lt;b&gt;mine" in text
    assert "<b>mine" not in text
    assert '<a href="05_rank.html">Rank &amp; submit</a>' in text


def test_without_notebook_05_the_index_says_so(tmp_path: Path) -> None:
    (tmp_path / "html").mkdir()
    text = report.write_index(tmp_path / "html", {"run": "mine"}, []).read_text()
    assert "notebook 05 was not run" in text
