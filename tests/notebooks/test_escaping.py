"""What comes from data stays text: in figures, in notebooks, in their HTML."""

from __future__ import annotations

import warnings
from pathlib import Path

import nbformat
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from tiny_world import PlainModel, f0_of, hum_of, melody, put_audio

from humfind import notebooks
from humfind.config import ContourConfig
from humfind.data.zalo import Item
from humfind.melody.contour import from_f0
from humfind.notebooks import runner
from humfind.notebooks.space import map_claim
from humfind.plots import embedding, pairs, ranking, style, transform, way
from humfind.retrieval.query import make_query
from humfind.types import Match

TITLES = ["A$AP Rocky_^ Ke$ha", "$", r"$\frac{", "50% of $x_1$ & <b>", "\x1b[31mred\x07", "a\nb", r"\$\$ {\bf", "$$"]
HTML = '<img src=x onerror="alert(1)">'


def null_sample(figure: Figure) -> None:
    FigureCanvasAgg(figure).draw()


@pytest.mark.parametrize("title", TITLES)
def test_any_title_is_drawn_as_it_is(title: str) -> None:
    line = from_f0(hum_of(0), ContourConfig())
    match = Match(0.0, 8.0, 0.0, 1.0)
    case = {
        "name": title,
        "rank": 3,
        "hum": line,
        "right": (title, line, match, 0.1, "1"),
        "wrong": (title, line, match, 0.2, "2"),
    }
    values = np.zeros((2, 50), np.float32)
    points, song, is_hum = np.random.default_rng(0).normal(size=(9, 2)), np.arange(9) % 3, np.arange(9) > 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a glyph that the font lacks would be a box
        null_sample(ranking.worst([case]))
        null_sample(pairs.raw(hum_of(0), f0_of(melody(0)), title))
        null_sample(pairs.aligned(line, line, match, title))
        null_sample(transform.f0_over_spectrogram({"song": (None, hum_of(0))}, title))
        null_sample(embedding.neighbours(values, [(title, values, 0.5, True)], 0.04, title))
        null_sample(pairs.gallery([(title, hum_of(0), f0_of(melody(0)), title, f0_of(melody(1)))], title))
        null_sample(embedding.window_distances([(title, np.ones((3, 9)), 0.2)] * 2, title))
        null_sample(way.way(None, hum_of(0), make_query(title, hum_of(0), PlainModel()), [(title, 0.9)], title))
        null_sample(embedding.space(points, song, is_hum, [(0, title)], title))


def test_a_dollar_is_shown_as_a_dollar() -> None:
    figure, axes = style.canvas("A$AP Ke$ha")
    style.panel(axes[0, 0], "$x$")
    null_sample(figure)
    assert axes[0, 0].get_title(loc="left") == r"\$x\$"


def test_hostile_names_stay_text_in_the_executed_notebook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HUMFIND_HOME", str(tmp_path))
    data = tmp_path / "data"
    put_audio(data / f"public_test/full_song/{HTML}.wav", f0_of(melody(0, notes=12)))
    put_audio(data / "public_test/hum/b.wav", hum_of(1, length_s=3.0))
    (data / f"public_test/hum/{HTML}.wav").write_bytes(b"")
    quoted = HTML.replace('"', '""')
    (data / "songs.csv").write_text(f'music_id,title\n"{quoted}","{quoted}"\n')
    cells = [
        "from humfind import notebooks; from humfind.config import F0Config; from humfind.data.zalo import Item",
        f"run = notebooks.open_run({str(data)!r}, {str(tmp_path / 'run')!r}, F0Config(tracker='swiftf0')); run",
        "notebooks.transform(run)",
        "notebooks.skipped(run)",
        "run.items('public_test', 'song')[0], run.title(run.items('public_test', 'song')[0].music_id)",
        f"item = Item({HTML!r}, None, None); notebooks.player(item)",
        f"import pandas as pd; pd.DataFrame([{HTML!r}])",
        f"print({HTML!r}); {HTML!r}",
        f"import sys; print({HTML!r}, file=sys.stderr)",
    ]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    notebook.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(notebook, tmp_path / "hostile.ipynb")
    (tmp_path / "html").mkdir()
    runner.execute(tmp_path / "hostile.ipynb", tmp_path / "out.ipynb", {})
    page = (tmp_path / "html" / "out.html").read_text()
    assert "onerror" in page
    assert "<img src=x" not in page


def test_the_player_without_audio_escapes_its_path(tmp_path: Path) -> None:
    assert "<img" not in notebooks.player(Item(HTML, None, None)).data


def test_the_maps_claim_is_counted() -> None:
    rng = np.random.default_rng(0)
    song, is_hum = np.repeat(np.arange(4), 50), np.tile(np.arange(50) >= 45, 4)
    apart = 100.0 * np.stack([song % 2, song // 2], axis=1) + rng.normal(0, 1, (200, 2))
    together = map_claim(apart, song, is_hum)
    assert "100% of song windows" in together
    assert "100% of hum windows" in together
    assert "in 1 clump " in together
    mixed = map_claim(rng.normal(0, 1, (200, 2)), song, is_hum)
    assert "100%" not in mixed
    split = apart + 1000.0 * (np.arange(200) % 5)[:, None] * (1 - is_hum)[:, None]
    assert "in 5 clumps" in map_claim(split, song, is_hum)
