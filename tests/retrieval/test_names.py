"""One normal form for names and ids at every door; what is written is read back; what was rewritten elsewhere is
refused."""

from __future__ import annotations

import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny_world import CONFIG, f0_of, hum_of, melody, put_audio, put_rows

from humfind import metrics
from humfind.config import F0Config
from humfind.data.zalo import Item, csv_line, read_answers, read_titles, stem
from humfind.encoders import build
from humfind.encoders.checkpoint import Model, input_shape
from humfind.index import Song
from humfind.retrieval import search, submission
from humfind.retrieval.indexing import index_of
from humfind.retrieval.predict import predict
from humfind.types import Answer, InputError, Ranking, normal_form

BOUNDED = settings(max_examples=150, derandomize=True, deadline=None, database=None)
COMPOSED, DECOMPOSED = "café", unicodedata.normalize("NFD", "café")
SPELLINGS = [COMPOSED, DECOMPOSED, f" {COMPOSED}", f"{DECOMPOSED}\u00a0", f"{COMPOSED}\r"]
NAMES = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/\\\0"), min_size=1, max_size=12)


@BOUNDED
@given(text=NAMES)
def test_the_normal_form_is_one(text: str) -> None:
    form = normal_form(text)
    assert normal_form(form) == form
    assert normal_form(unicodedata.normalize("NFD", f" {text}\n")) == form


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_every_door_gives_the_normal_form(spelling: str, tmp_path: Path) -> None:
    assert Item("x.mp3", spelling, None).music_id == COMPOSED
    assert Song(spelling).music_id == COMPOSED
    assert stem(f"a/{spelling.strip()}.mp3") == COMPOSED
    (tmp_path / "answers.csv").write_bytes(b"hum,music_id\n" + csv_line(["h", spelling]).encode())
    assert read_answers(tmp_path / "answers.csv") == {"h": COMPOSED}
    (tmp_path / "songs.csv").write_bytes(b"music_id,title\n" + csv_line([spelling, "t"]).encode())
    assert read_titles(tmp_path) == {COMPOSED: "t"}
    (tmp_path / "s.csv").write_bytes(csv_line(["h.mp3", spelling]).encode())
    assert submission.read(tmp_path / "s.csv") == {"h.mp3": (COMPOSED,)}


@BOUNDED
@given(rows=st.dictionaries(NAMES, st.lists(NAMES, min_size=1, max_size=4), min_size=1, max_size=5))
def test_what_is_written_is_read_back(rows: dict[str, list[str]], tmp_path_factory: pytest.TempPathFactory) -> None:
    usable = {}
    for name, ids in rows.items():
        forms = tuple(dict.fromkeys(form for one in ids if (form := normal_form(one))))
        if forms and stem(name) and stem(name) not in {stem(other) for other in usable}:
            usable[name] = forms
    if not usable or next(iter(sorted(usable))).startswith("\ufeff"):
        return
    path = tmp_path_factory.mktemp("names") / "out.csv"
    rankings = [
        Ranking(name, tuple(Answer(one, -float(i)) for i, one in enumerate(ids))) for name, ids in usable.items()
    ]
    submission.write(rankings, path, {"songs": 3})
    assert submission.read(path) == usable


def test_accents_join_index_hums_and_answers_however_they_are_spelt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The songs' files decomposed, the answers composed: as one system and another write them."""
    monkeypatch.setenv("HUMFIND_HOME", str(tmp_path / "home"))
    data, model = tmp_path / "data", tmp_path / "model.safetensors"
    torch.manual_seed(0)
    Model(CONFIG, build(CONFIG.encoder, input_shape(CONFIG))).save(model)
    names = [f"{accent}{i}" for i, accent in enumerate("éüñå")]
    for i, name in enumerate(names):
        file = unicodedata.normalize("NFD", name)
        put_audio(data / f"public_test/full_song/{file}.wav", f0_of(melody(i, notes=20), shift=12))
        put_audio(data / f"public_test/hum/h{i}.wav", hum_of(i, 1.0, 6.0, shift=9))
    lines = "".join(f"h{i},{name}\n" for i, name in enumerate(names))
    (data / "public_test/answers.csv").write_text(f"hum,music_id\n{lines}")
    tracker = F0Config(tracker="swiftf0")
    made, _ = index_of(data / "public_test/full_song", "public_test", None, str(model), tracker)
    made.save(tmp_path / "index")
    reports = [
        predict(data, "public_test", tmp_path / f"{i}.csv", index=index, model=str(model), f0=tracker).report
        for i, index in enumerate((None, tmp_path / "index"))
    ]
    scored = submission.score(submission.read(tmp_path / "1.csv"), read_answers(data / "public_test/answers.csv"))
    assert reports[0] is not None
    assert reports[1] is not None
    assert reports[0].mrr == reports[1].mrr == scored.mrr
    assert scored.mrr.value == 1.0


def test_ids_of_a_foreign_store_and_of_evaluate_are_in_normal_form(tmp_path: Path) -> None:
    put_rows(tmp_path / "public_test/song", [("a.mp3", f" {DECOMPOSED}", f0_of(melody(0)))])
    made, _ = index_of(tmp_path, "public_test", None, "pretrained")
    assert made.music_ids == (COMPOSED,)
    report = search.evaluate([Ranking("h", (Answer(COMPOSED, 1.0),))], {"h": DECOMPOSED}, 1)
    assert report.mrr.value == 1.0


@pytest.mark.parametrize(
    ("rows", "answers"),
    [
        ({"h.mp3": ("19",)}, {"h": "0019"}),
        ({"h.mp3": ("19.0",)}, {"h": "0019"}),
        ({"h.mp3": ("0019",)}, {"h": "19"}),
        ({"7.mp3": ("x",)}, {"0007": "x"}),
    ],
)
def test_ids_that_lost_their_zeros_are_refused(rows: dict, answers: dict) -> None:
    with pytest.raises(InputError, match="a spreadsheet may have changed one"):
        submission.score(rows, answers)


@pytest.mark.parametrize("header", ["hum,music_id", " hum , music_id", "music_id,song_path,hum_path"])
def test_answers_are_no_submission(header: str, tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\nh,0001,x\n")
    with pytest.raises(InputError, match="holds answers, by its header"):
        submission.read(tmp_path / "a.csv")


def test_ids_that_are_of_no_song_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    submission.score({"a": ("x", "y"), "b": ("z", "w")}, {"a": "x", "b": "z"}, songs=2)
    assert "at least 2 ids are of no song searched" in caplog.text
    caplog.clear()
    submission.score({"a": ("x",)}, {"a": "q"})
    assert "none of the 1 right songs is in any row" in caplog.text


def test_figures_do_not_depend_on_the_block_in_which_they_are_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.random.default_rng(0).random(777)
    picks = np.random.default_rng(0).integers(0, len(values), (2000, len(values)))
    low, high = np.percentile(values[picks].mean(axis=1), [2.5, 97.5])
    for block in (777, 5000, 10**6, 10**9):
        monkeypatch.setattr(metrics.intervals, "BLOCK", block)
        found = metrics.bootstrap(values)
        assert (found.low, found.high) == (low, high)


def test_a_large_submission_is_scored_in_little_memory(tmp_path: Path) -> None:
    """A hundred thousand rows; a million take ten times as much beyond what the program itself holds."""
    rows, songs = 100_000, 9973
    with open(tmp_path / "s.csv", "w") as file:
        file.writelines(f"{i:07d}.mp3," + ",".join(str((i + k) % songs) for k in range(10)) + "\n" for i in range(rows))
    with open(tmp_path / "a.csv", "w") as file:
        file.write("hum,music_id\n" + "".join(f"{i:07d},{(i + 3) % songs}\n" for i in range(rows)))
    code = (
        "import resource, sys; from humfind.retrieval import submission as s\n"
        "from humfind.data.zalo import read_answers\n"
        "from pathlib import Path; before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        f"r = s.score(s.read(Path({str(tmp_path / 's.csv')!r})), read_answers(Path({str(tmp_path / 'a.csv')!r})))\n"
        "print(r.mrr.value, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    value, megabytes = map(float, done.stdout.split())
    assert value == 0.25
    assert megabytes < 90, f"{megabytes} MB for {rows} rows"
