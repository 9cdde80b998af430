"""Lab singing: covers, transfer and strings on small material, and the notebook as its command runs it."""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import nbformat
import numpy as np
import pytest
import scipy.stats
from tiny_world import REPOSITORY, f0_of, hum_of, melody, put_audio

from humfind.config import AttentionConfig, F0Config, NotebookConfig, RankConfig, SingingLabConfig
from humfind.data.importers import cover_list
from humfind.index import Song
from humfind.labs.singing import cliques, covers, strings, transfer
from humfind.notebooks import open_run, runner, singing
from humfind.rankers import make_ranker
from humfind.retrieval.query import make_query
from humfind.retrieval.search import build_index, search
from humfind.training.tasks.cliques import Rendition
from humfind.types import InputError, Recording

LAB = REPOSITORY / "notebooks" / "labs" / "singing.ipynb"


@pytest.fixture(scope="module")
def two_tunes() -> list[cliques.Cover]:
    return cliques.make_covers(2, 3, 4.0)


def test_covers_of_a_tune_share_its_clique_and_not_their_sound(two_tunes: list[cliques.Cover]) -> None:
    assert [one.clique for one in two_tunes] == [two_tunes[0].clique] * 3 + [two_tunes[3].clique] * 3
    assert len({one.name for one in two_tunes}) == 6
    assert all(one.sound.length_s == pytest.approx(4.0, abs=0.1) for one in two_tunes)
    assert not np.array_equal(two_tunes[0].sound.samples, two_tunes[1].sound.samples)


def test_the_same_seed_gives_the_same_bytes(two_tunes: list[cliques.Cover]) -> None:
    again = cliques.make_covers(1, 3, 4.0)
    assert all(np.array_equal(a.sound.samples, b.sound.samples) for a, b in zip(two_tunes, again, strict=False))
    other = cliques.make_covers(1, 1, 4.0, seed=1)[0]
    assert not np.array_equal(other.sound.samples, two_tunes[0].sound.samples)


def test_leads_are_what_is_asked_for() -> None:
    assert {one.lead for one in cliques.make_covers(1, 3, 3.0, "sung")} == {"sung"}
    assert {one.lead for one in cliques.make_covers(1, 3, 3.0, "played")} == {"played"}


def test_distances_of_a_line_by_hand() -> None:
    parts = [Rendition(name, name[0], np.zeros((1, 1), np.float32)) for name in ("a1", "a2", "b1", "b2")]
    found = covers.distances(np.array([[0.0], [1.0], [10.0], [12.0]], np.float32), parts)
    assert sorted(found.matching) == [1.0, 2.0]
    assert sorted(found.other) == [9.0, 10.0, 11.0, 12.0]
    test = scipy.stats.ttest_ind(found.matching, found.other, equal_var=False)
    assert (found.t, found.p) == pytest.approx((test.statistic, test.pvalue))
    # Welch by hand: (1.5 - 10.5) / sqrt(0.5 / 2 + (5 / 3) / 4)
    assert found.t == pytest.approx(-9 / np.sqrt(0.25 + 5 / 12), rel=1e-5)
    assert found.overlap_20 == 0.0


def test_a_hum_is_named_by_its_neighbours() -> None:
    f0, sound = hum_of(0), Recording(np.zeros(16, np.float32), 16_000)
    hums = [transfer.Hum(f"{tune}{i}", tune, f0, sound) for tune in "ab" for i in range(6)]
    apart = np.array([[0.0 + 0.1 * i] for i in range(6)] + [[10.0 + 0.1 * i] for i in range(6)], np.float32)
    assert transfer.classify(apart, hums, k=3).mrr.value == 1.0
    learned, asked = transfer.split(hums)
    assert len(learned) == 8
    assert not set(learned) & set(asked)
    everywhere = transfer.classify(apart, hums, k=8)  # all vote: four each, and the nearest decides
    assert everywhere.mrr.value == 1.0
    assert everywhere.songs == 2


def test_a_transcribed_hum_is_sung_as_it_was() -> None:
    hum = transfer.of_notes("h", "t", [[1.0, 1.5, 60], [1.4, 2.0, 62], [2.2, 2.6, 69]], seed=0)
    assert hum.f0.hz[150] == pytest.approx(440.0, rel=1e-3)  # of the third, counted from the first one's start
    assert hum.f0.hz[110] == 0.0
    assert hum.sound.length_s == pytest.approx(1.6, abs=0.1)


def test_strings_of_melodies_find_their_songs_and_have_their_lengths() -> None:
    songs = {f"{i}": f0_of(melody(i)) for i in range(5)}
    hums = {f"h{i}": hum_of(i) for i in range(5)}
    answers = {f"h{i}": f"{i}" for i in range(5)}
    found = strings.by_melody(hums, songs, answers, (2, 4))
    assert [one.symbols for one in found] == [199, 49]
    assert found[1].mrr.value > 0.6


def test_the_sound_comes_back_whole_where_nothing_is_discarded() -> None:
    sound = Recording(np.random.default_rng(0).uniform(-1, 1, 4001).astype(np.float32), 16_000)
    assert np.allclose(strings.kept_sound(sound, "db2", 8, 0).samples, sound.samples, atol=1e-5)
    assert np.square(strings.kept_sound(sound, "db2", 8, 3).samples).mean() < 0.3 * np.square(sound.samples).mean()


def test_a_network_that_reads_melodies_is_an_encoder_like_any_other(tmp_path: Path) -> None:
    config = SingingLabConfig(tunes=2, renditions=2, length_s=5.0, steps=3, features="f0")
    _, model = singing.train_network(singing.make_material(config), config, tmp_path)
    index = build_index([(Song(f"{i}"), f0_of(melody(i))) for i in range(4)], model)
    found = search(make_query("h", hum_of(1), model), index, make_ranker(RankConfig(), index))
    assert found.music_ids[0] == "1"  # fusion aligns, too
    assert index.vectors.dim == AttentionConfig().embedding_dim


def test_a_list_of_covers(tmp_path: Path) -> None:
    for i in range(3):
        put_audio(tmp_path / f"{i}.wav", f0_of(melody(i, notes=12)))
    (tmp_path / "covers.csv").write_text("clique,track,path\na,one,0.wav\na,two,1.wav\nb,three,2.wav\n")
    found = cover_list.read(tmp_path / "covers.csv")
    assert [(one.clique, one.name) for one in found] == [("a", "one"), ("a", "two")]
    assert [one.sound.length_s for one in cliques.read_covers(tmp_path / "covers.csv", 3.0)] == [3.0, 3.0]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("song,track,path\na,one,0.wav\n", "header is"),
        ("clique,track,path\na,one,0.wav\na,one,0.wav\n", "the same as|stands twice"),
        ("clique,track,path\na,one,0.wav\na,two,none.wav\n", "no such file"),
        ("clique,track,path\na,one,0.wav\n", "no clique has two"),
    ],
)
def test_a_bad_list_is_told(tmp_path: Path, text: str, message: str) -> None:
    put_audio(tmp_path / "0.wav", f0_of(melody(0, notes=12)))
    (tmp_path / "covers.csv").write_text(text)
    with pytest.raises(InputError, match=message):
        cover_list.read(tmp_path / "covers.csv")


def test_few_cliques_are_refused(tmp_path: Path) -> None:
    put_audio(tmp_path / "0.wav", f0_of(melody(0, notes=12)))
    (tmp_path / "covers.csv").write_text("clique,track,path\na,one,0.wav\na,two,0.wav\n")
    with pytest.raises(InputError, match="1 cliques; at least 7"):
        singing.make_material(SingingLabConfig(covers=str(tmp_path / "covers.csv")))


def test_the_parameters_are_the_configurations() -> None:
    cells = nbformat.read(LAB, 4).cells
    code = next(cell for cell in cells if "parameters" in cell.metadata.get("tags", []))
    own = {f.name: f.default for f in fields(SingingLabConfig)}
    shared = {f.name: f.default for kind in (NotebookConfig, F0Config) for f in fields(kind)}
    for node in ast.parse(code.source).body:
        assert isinstance(node, ast.AnnAssign)
        assert isinstance(node.target, ast.Name)
        assert node.value is not None
        assert ast.literal_eval(node.value) == (shared | own)[node.target.id]
    for cell in cells:
        assert cell.cell_type != "code" or not cell.outputs
        assert cell is code or cell.cell_type != "code" or len(cell.source.splitlines()) <= 12


def test_the_lab_runs_by_its_command(tmp_path: Path) -> None:
    environment = os.environ | {"HUMFIND_HOME": str(tmp_path)}
    data = tmp_path / "data" / "demo-tiny"
    made = [sys.executable, "-m", "humfind", "demo-data", "--size", "tiny", "--out", str(data)]
    subprocess.run(made, env=environment, check=True, capture_output=True)
    quick = ["-p", "tunes=4", "-p", "renditions=2", "-p", "steps=6", "-p", "length_s=5", "-p", "tracker=swiftf0"]
    (tmp_path / "notebooks").symlink_to(REPOSITORY / "notebooks")
    command = [sys.executable, "-m", "humfind", "labs", "singing", "--data", str(data), *quick]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:] + done.stdout
    page = Path(done.stdout.split("page: ")[1].strip())
    assert page.stat().st_size > 100_000
    kept = json.loads((page.parents[1] / "results" / "singing.json").read_text())
    assert set(kept["map"]) == {"attention", "attention, untrained", "wavelet", "sequence", "dtw", "chance"}
    executed = nbformat.read(page.parents[1] / "singing.ipynb", 4)
    pictures = [o for c in executed.cells if c.cell_type == "code" for o in c.outputs if "image/png" in str(o)]
    assert len(pictures) == 7


def test_a_data_set_without_answers_is_told(tmp_path: Path) -> None:
    put_audio(tmp_path / "data/public_test/full_song/1.wav", f0_of(melody(1, notes=12)))
    run = open_run(str(tmp_path / "data"), str(tmp_path / "run"), F0Config(tracker="swiftf0"))
    with pytest.raises(InputError, match="no hums"):
        singing.shown_strings(run)
    put_audio(tmp_path / "data/public_test/hum/a.wav", hum_of(1, length_s=3.0))
    run = open_run(str(tmp_path / "data"), str(tmp_path / "run"), F0Config(tracker="swiftf0"))
    with pytest.raises(InputError, match="which song a hum of public_test is of"):
        singing.string_lengths(run)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"lab": "singin"}, "did you mean singing"),
        ({"lab": "singing", "parameters": {"tunez": "3"}}, "no notebook of this run has that parameter"),
        ({"lab": "singing", "parameters": {"lead": "drummed"}}, "lead=drummed: unknown"),
        ({"lab": "singing", "parameters": {"covers": "none.csv"}}, "no such file"),
        ({"lab": "singing", "parameters": {"data": "x"}}, "give the data set as --data"),
        ({"lab": "singing", "data": Path("none")}, "no such data set"),
    ],
)
def test_what_a_lab_cannot_run_is_refused_at_once(given: dict, message: str) -> None:
    with pytest.raises(InputError, match=message):
        runner.run_lab(**given)
