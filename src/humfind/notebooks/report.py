"""Executed notebooks as HTML pages that open anywhere: no network, no scripts, linked with one another and an index."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from humfind.runtime.files import atomic_write

INDEX = "index.html"
# Nothing is fetched and nothing runs, whatever a recording's title says
POLICY = "default-src 'none'; img-src data:; media-src data:; font-src data:; style-src 'unsafe-inline'"
STYLE = """
:root { color-scheme: light; }
body { background: #fff; }
nav.pages { display: flex; gap: 1.5em; justify-content: space-between; max-width: 60em; margin: 1em auto;
  font: 15px/1.4 system-ui, sans-serif; }
nav.pages a, main.report a { color: #1f5f8b; }
main.report { max-width: 60em; margin: 2em auto; padding: 0 1em; font: 16px/1.5 system-ui, sans-serif; color: #222; }
main.report table { border-collapse: collapse; margin: 1em 0; }
main.report th, main.report td { text-align: left; padding: .3em 1em .3em 0; border-bottom: 1px solid #ddd; }
main.report td.number { font-variant-numeric: tabular-nums; }
.jp-RenderedText[data-mime-type="application/vnd.jupyter.stderr"] { background: #f5f5f5 !important; }
"""


def write_page(notebook: Path, out: Path, pages: Sequence[str] = ()) -> None:
    """One executed notebook. pages: the report's, by their stems, in order; neighbours of this one are linked."""
    from bs4 import BeautifulSoup
    from nbconvert import HTMLExporter

    body, _ = HTMLExporter(embed_images=True).from_filename(str(notebook))
    page = BeautifulSoup(body, "html.parser")
    for script in page.find_all("script"):
        script.decompose()
    for element in page.find_all(True):
        for name in [name for name in element.attrs if name.startswith("on")]:
            del element[name]
    assert page.head is not None  # the exporter's template has both
    assert page.body is not None
    page.head.insert(0, page.new_tag("meta", attrs={"http-equiv": "Content-Security-Policy", "content": POLICY}))
    style = page.new_tag("style")
    style.string = STYLE
    page.head.append(style)
    links = _links(out.stem, pages)
    page.body.insert(0, BeautifulSoup(links, "html.parser"))
    page.body.append(BeautifulSoup(links, "html.parser"))
    atomic_write(out, str(page).encode())


def write_index(folder: Path, summary: Mapping[str, Any], pages: Sequence[str]) -> Path:
    """The report's first page: the result, and the notebooks. folder: where the pages are."""
    rows = "".join(
        f'<tr><td><a href="{escape(stem)}.html">{escape(_title(folder.parent / f"{stem}.ipynb", stem))}</a></td></tr>'
        for stem in pages
    )
    text = f"""<!doctype html>
<html lang="en"><head><meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{escape(POLICY)}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{escape(str(summary["run"]))}: hum to song</title><style>{STYLE}</style></head>
<body><main class="report"><h1>{escape(str(summary["run"]))}</h1>
{_result(summary)}
<h2>Notebooks</h2><table>{rows}</table>
</main></body></html>
"""
    out = folder / INDEX
    atomic_write(out, text.encode())
    return out


def _result(summary: Mapping[str, Any]) -> str:
    if "ranking" not in summary:
        return "<p>No ranking: notebook 05 was not run.</p>"
    rows = []
    for trial, by_ranker in summary["ranking"].items():
        chance = next(iter(by_ranker.values()))["chance_mrr"]
        rows.append(f"<tr><td>{escape(trial)}</td><td>chance</td><td class=number colspan=5>{chance:.3f}</td></tr>")
        for ranker, found in by_ranker.items():
            figures = [found[name] for name in ("mrr", "top1", "top10")]
            cells = [f"{one['value']:.3f} [{one['low']:.3f}, {one['high']:.3f}]" for one in figures]
            cells += [str(found["queries"]), str(found["songs"])]
            numbers = "".join(f"<td class=number>{cell}</td>" for cell in cells)
            rows.append(f"<tr><td>{escape(trial)}</td><td>{escape(ranker)}</td>{numbers}</tr>")
    head = "".join(f"<th>{name}</th>" for name in ("", "ranker", "MRR@10", "top-1", "top-10", "hums", "songs"))
    return f"<table><tr>{head}</tr>{''.join(rows)}</table><p>In brackets: 95 % bootstrap intervals over hums.</p>"


def _links(stem: str, pages: Sequence[str]) -> str:
    if stem not in pages:
        return ""
    at = list(pages).index(stem)
    before = f'<a href="{pages[at - 1]}.html" rel="prev">← {pages[at - 1]}</a>' if at else "<span></span>"
    after = (
        f'<a href="{pages[at + 1]}.html" rel="next">{pages[at + 1]} →</a>' if at + 1 < len(pages) else "<span></span>"
    )
    return f'<nav class="pages">{before}<a href="{INDEX}">report</a>{after}</nav>'


def _title(notebook: Path, stem: str) -> str:
    """The notebook's first heading."""
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"] if notebook.is_file() else []:
        for line in "".join(cell["source"]).splitlines():
            if cell["cell_type"] == "markdown" and line.startswith("# "):
                return line.removeprefix("# ")
    return stem
