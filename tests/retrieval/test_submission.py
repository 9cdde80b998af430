"""The CSV and its card: written, read back, checked, scored."""

from __future__ import annotations

import json

import pytest

from humfind.retrieval import submission
from humfind.types import Answer, InputError, Ranking

IDS = tuple(f"s{i:02d}" for i in range(12))


def ranking(name: str, *ids: str) -> Ranking:
    return Ranking(name, tuple(Answer(music_id, -float(i)) for i, music_id in enumerate(ids)))


RANKINGS = [ranking("b, 2.mp3", *IDS), ranking("a.mp3", *IDS[::-1])]


def test_written_as_agreed_and_read_back(tmp_path):
    path = tmp_path / "deep" / "submission.csv"
    rows = submission.write(RANKINGS, path, {"split": "public_test"})
    lines = path.read_text().splitlines()
    assert lines == ["a.mp3," + ",".join(IDS[:1:-1]), '"b, 2.mp3",' + ",".join(IDS[:10])]
    assert submission.read(path) == rows
    card = submission.read_card(path)
    assert (card["split"], card["rows"]) == ("public_test", 2)
    assert {"humfind", "numpy", "torch", "faiss-cpu", "python"} <= set(card["versions"])
    assert sorted(file.name for file in path.parent.iterdir()) == ["submission.csv", "submission.json"]


def test_the_same_bytes_whatever_the_order_and_name(tmp_path):
    a, b = tmp_path / "a.csv", tmp_path / "b.csv"
    submission.write(RANKINGS, a, {})
    submission.write(RANKINGS[::-1], b, {})
    assert a.read_bytes() == b.read_bytes()
    assert a.with_suffix(".json").read_bytes() == b.with_suffix(".json").read_bytes()


def test_two_hums_of_one_name_are_refused(tmp_path):
    with pytest.raises(InputError, match="2 hums but 1 names"):
        submission.write([RANKINGS[0], RANKINGS[0]], tmp_path / "s.csv", {})
    with pytest.raises(InputError, match=r"a submission is a \.csv"):
        submission.write(RANKINGS, tmp_path / "s.json", {})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,1\na,2\n", "row 2, a: a second row"),
        ("a,1,2,1\n", "row 1, a: an id stands twice"),
        ("a\n", "0 ids"),
        ("a,1,,2\n", "none empty"),
        ("a," + ",".join("0123456789x") + "\n", "11 ids"),
        ("", "empty"),
    ],
)
def test_a_wrong_file_is_told(tmp_path, text, message):
    path = tmp_path / "s.csv"
    path.write_text(text)
    with pytest.raises(InputError, match=message):
        submission.read(path)


def test_a_missing_file_and_card_are_told(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        submission.read(tmp_path / "s.csv")
    with pytest.raises(InputError, match="missing; a card"):
        submission.read_card(tmp_path / "s.csv")
    (tmp_path / "s.json").write_text("{")
    with pytest.raises(InputError, match="not JSON"):
        submission.read_card(tmp_path / "s.csv")


def test_check():
    rows = submission.rows_of(RANKINGS)
    hums = ["a.mp3", "b, 2.mp3"]
    submission.check(rows, hums, IDS)
    submission.check({"a": ("1", "2")}, ["a"], ["2", "1"])
    with pytest.raises(InputError, match=r"lacks c\.mp3 \(1 missing, 0 extra\)"):
        submission.check(rows, [*hums, "c.mp3"], IDS)
    with pytest.raises(InputError, match=r"has b, 2\.mp3, which is no hum"):
        submission.check(rows, hums[:1], IDS)
    with pytest.raises(InputError, match="answers s11, which is no song"):
        submission.check(rows, hums, IDS[:11])
    with pytest.raises(InputError, match="has 1 ids, not 2 distinct"):
        submission.check({"a": ("1",)}, ["a"], ["1", "2"])
    with pytest.raises(InputError, match="not 2 distinct"):
        submission.check({"a": ("1", "1")}, ["a"], ["1", "2"])


def test_score_by_hand():
    rows = {"a.mp3": ("1", "2"), "b.mp3": ("2", "1"), "c.mp3": ("3", "4")}
    report = submission.score(rows, {"a": "1", "x/b.wav": "1", "c": "9"}, songs=50)
    assert report.mrr.value == pytest.approx(0.5, abs=1e-6)
    assert (report.queries, report.songs) == (3, 50)
    assert submission.score(rows, {"a": "1"}).songs == 4
    with pytest.raises(InputError, match=r"no row for hum d \(1 such\)"):
        submission.score(rows, {"a": "1", "d": "1"})
    with pytest.raises(InputError, match="no answers"):
        submission.score(rows, {})


def test_figures_are_plain_json():
    report = submission.score({"a": ("1",)}, {"a": "1"}, songs=4)
    figures = json.loads(json.dumps(submission.figures(report)))
    assert figures["mrr"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    assert (figures["queries"], figures["songs"], figures["chance_mrr"]) == (1, 4, 0.520833)
