"""What is told, how loudly, and that a count that does not add up is never passed on."""

from __future__ import annotations

import logging

import pytest
from tiny_world import PlainModel, f0_of, hum_of, melody

from humfind.config import RankConfig
from humfind.data.zalo import Item
from humfind.f0.load import load_f0
from humfind.index import Song
from humfind.retrieval import search
from humfind.retrieval.trial import Trial
from humfind.runtime import logs
from humfind.types import InputError

LOG = logging.getLogger("humfind.test")


@pytest.fixture(autouse=True)
def as_before():
    root = logging.getLogger(logs.ROOT)
    handlers, level, propagate = root.handlers[:], root.level, root.propagate
    yield
    root.handlers[:], root.propagate = handlers, propagate
    root.setLevel(level)


@pytest.mark.parametrize(
    ("verbosity", "said", "level"),
    [
        (0, "", logging.WARNING),
        (1, "", logging.INFO),
        (2, "", logging.DEBUG),
        (5, "", logging.DEBUG),
        (0, "info", logging.INFO),
        (0, " DEBUG ", logging.DEBUG),
        (0, "error", logging.ERROR),
        (1, "debug", logging.DEBUG),
        (1, "error", logging.INFO),
    ],
)
def test_the_louder_of_flag_and_variable(verbosity, said, level):
    assert logs.level_of(verbosity, {logs.VARIABLE: said}) == level


def test_an_unknown_level_is_told():
    with pytest.raises(logs.UnknownLevelError, match="HUMFIND_LOG=loud: unknown; choose one of error"):
        logs.level_of(0, {logs.VARIABLE: "loud"})


def test_quiet_by_default_and_once_however_often_set_up(capsys):
    for _ in range(3):
        logs.set_up(0, {})
    LOG.info("counts")
    LOG.warning("mind this")
    assert capsys.readouterr().err == "warning: mind this\n"
    logs.set_up(1, {})
    LOG.info("counts")
    assert capsys.readouterr().err == "counts\n"
    logs.set_up(2, {})
    LOG.debug("details")
    assert "ms humfind.test: details" in capsys.readouterr().err


def test_a_stage_tells_its_seconds(caplog):
    with caplog.at_level(logging.INFO, "humfind"), logs.stage(LOG, "walk"):
        pass
    assert caplog.messages == ["walk: 0.00 s"]


def test_what_adds_up_is_told_and_what_does_not_is_a_bug(caplog):
    with caplog.at_level(logging.INFO, "humfind"):
        logs.check_counts(LOG, "f0", 3, "recordings", with_f0=2, skipped=1)
    assert caplog.messages == ["f0: 3 recordings = 2 with f0 + 1 skipped"]
    with pytest.raises(RuntimeError, match=r"3 recordings = 1 with f0 \+ 1 skipped: does not add up"):
        logs.check_counts(LOG, "f0", 3, "recordings", with_f0=1, skipped=1)
    with pytest.raises(RuntimeError, match="does not add up"):
        logs.check_counts(LOG, "f0", 1, "recordings", with_f0=2, skipped=-1)


def test_each_hand_over_counts(tmp_path, caplog):
    """Recordings to f0, to rows, to windows, to vectors; hums to rankings, the unread one filled."""
    model = PlainModel()
    with caplog.at_level(logging.INFO, "humfind"):
        heard = load_f0([Item("public_test/hum/a.mp3", None, None)], "public_test", "hum", None)
        index = search.build_index([(Song(f"{i}"), f0_of(melody(i))) for i in range(3)], model)
        queries = [search.make_query("a", hum_of(1), model)]
        rankings = Trial("predict", index, tuple(queries), ("a", "b"), None, [], []).rankings(RankConfig())
    assert len(heard.skipped) == 1
    assert [ranking.query for ranking in rankings] == ["a", "b"]
    windows = 3 * 17  # 20 s, windows of 4 s every second
    assert caplog.messages == [
        "f0 public_test/hum: 1 recordings = 0 with f0 + 1 skipped",
        "index: 3 recordings = 3 rows",
        f"index: {windows} windows = {windows} vectors",
        "rank: 1 hums = 1 rankings",
        "predict: 2 hums = 1 ranked + 1 filled",
    ]


def test_a_query_that_nobody_asked_for_is_a_bug():
    model = PlainModel()
    index = search.build_index([(Song("x"), f0_of(melody(0)))], model)
    trial = Trial("predict", index, (search.make_query("other", hum_of(0), model),), ("a",), None, [], [])
    with pytest.raises(RuntimeError, match="does not add up"):
        trial.rankings(RankConfig())


def test_an_index_without_songs_is_still_the_users_to_mend():
    with pytest.raises(InputError, match="no songs"):
        search.build_index([], PlainModel())
