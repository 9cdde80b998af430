"""The campaign of hostile commands at a small size, and its judge, which must see each kind of failure."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.reliability import attack, world
from benchmarks.reliability.attacks import Try

ONE = Try("files", "a name", ("score", "submission.csv", "answers.csv"), ("out.",))
REFUSED = attack.Outcome(2, "", "humfind: a: what is wrong; how to mend it\n", 0.1)


def found(outcome: attack.Outcome, one: Try = ONE, after: dict[str, str] | None = None) -> list[str]:
    before = {"data/a.wav": "1", "out.csv": "2"}
    verdicts = attack.judge(one, outcome, Path("nowhere"), before, before if after is None else after)
    return [what.split(":")[0].split(" ")[0] for what in verdicts]


def test_a_line_and_status_2_is_right() -> None:
    assert found(REFUSED) == []
    noisy = "f0 train/song  50%|███  | 3/6 s of audio [00:01<00:01]\rwarning: a row is left out\nhumfind: no\n"
    assert found(attack.Outcome(2, "", noisy, 0.1)) == []
    assert found(REFUSED, after={"data/a.wav": "1", "out.csv": "3", "home/x": "4"}) == []


@pytest.mark.parametrize(
    ("outcome", "kind"),
    [
        (attack.Outcome(None, "", "", 99.0), "hang"),
        (attack.Outcome(1, "", "Traceback (most recent call last)\nKeyError: 1\n", 0.1), "trace"),
        (attack.Outcome(1, "", "", 0.1), "status"),
        (attack.Outcome(-11, "", "", 0.1), "status"),
        (attack.Outcome(2, "", "", 0.1), "lines"),
        (attack.Outcome(2, "", "humfind: one\nand another\n", 0.1), "lines"),
        (attack.Outcome(2, "", "humfind: \x1b[31mred\n", 0.1), "terminal"),
        (attack.Outcome(0, "MRR@10 0.333\n", "", 0.1), "answer"),
    ],
)
def test_the_judge_sees_what_is_wrong(outcome: attack.Outcome, kind: str) -> None:
    assert kind in found(outcome)


@pytest.mark.parametrize("after", [{"out.csv": "2"}, {"data/a.wav": "9", "out.csv": "2"}])
def test_the_judge_sees_files_that_are_gone_or_changed(after: dict[str, str]) -> None:
    assert found(REFUSED, after=after) == ["files"]


def test_the_judge_reads_the_submission(tmp_path: Path) -> None:
    one = Try("names", "a title", ("predict", "data", "--out", "out.csv"), ("out.",))
    (tmp_path / "data/public_test/hum").mkdir(parents=True)
    for i in range(3):
        (tmp_path / f"data/public_test/hum/h{i}.wav").write_bytes(b"")
    right = "".join(f"h{i}.wav,{i:04d},0004\n" for i in range(3))
    for text, kind in (
        (right, ""),
        (right.replace("h1.wav,0001", "h1.wav,0003"), "is said to be 0003"),
        (right.replace("h1.wav,0001,0004\n", ""), "no row"),
        (right + "x.wav,0001\n", "no hum"),
        (right.replace(",0004", ",9999"), "songs that are none"),
        (right.replace("0000,0004", "0000,0000"), "twice"),
    ):
        (tmp_path / "out.csv").write_text(text)
        wrong = list(attack.wrong_answers(one, attack.Outcome(0, "", "", 0.1), tmp_path))
        assert (kind in " ".join(wrong)) if kind else not wrong, (text, wrong)


def test_a_snapshot_sees_every_kind_of_thing(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1")
    before = world.snapshot(tmp_path)
    (tmp_path / "a").write_text("2")
    (tmp_path / "b").symlink_to("a")
    after = world.snapshot(tmp_path)
    assert before["a"] != after["a"]
    assert after["b"] == "link a"


def test_a_small_campaign_finds_nothing() -> None:
    numbers = [str(number) for number in range(1000, 1036)]
    # In a process of its own: this one has computed, and what is forked from it would wait for threads that are gone.
    argv = [sys.executable, "-m", "benchmarks.reliability", "attack", "--seed", "0", "--replay", *numbers]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-5000:] + done.stderr[-2000:]
    tries = {family: int(count) for family, count in re.findall(r"^\| (\w+) \| (\d+) \|", done.stdout, re.M)}
    assert tries["all"] == len(numbers)
    assert all(tries[family] for family in ("files", "names", "options", "outputs"))
