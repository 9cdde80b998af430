"""Names, titles and paths come from data: none of them acts on a terminal, and JSON reads back exactly."""

from __future__ import annotations

import json
import logging
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from humfind.index import Song
from humfind.retrieval.answers import answers_of, table_of
from humfind.runtime import logs
from humfind.runtime.printable import JOINERS, UNSAFE, printable, say, to_json
from humfind.types import Answer, Match, Ranking

BOUNDED = settings(max_examples=200, derandomize=True, deadline=None, database=None)
ANY = st.text(st.characters(), max_size=30)
HOSTILE = ["\x1b[31mred", "\x1b]0;title\x07", "a\rb", "\x9b2J", "\u202eevil", "caf\udce9", "\x00", "a\nb", "\u2028"]


def safe(text: str) -> bool:
    return all(c in JOINERS or unicodedata.category(c) not in UNSAFE for c in text)


@BOUNDED
@given(text=ANY | st.sampled_from(HOSTILE))
def test_printable_text_is_safe_and_plain_text_stays(text: str) -> None:
    assert safe(printable(text))
    assert printable(printable(text)) == printable(text)
    if safe(text):
        assert printable(text) == text


def test_what_is_written_out_says_which_character_it_was() -> None:
    assert printable("\x1b[31m") == r"\x1b[31m"
    assert printable("caf\udce9.wav") == r"caf\xe9.wav"
    assert printable("\u202e") == r"\u202e"
    assert printable("Ünïcödé 歌 🎵") == "Ünïcödé 歌 🎵"


@BOUNDED
@given(
    values=st.recursive(
        ANY | st.integers() | st.none(), lambda inner: st.lists(inner) | st.dictionaries(ANY, inner), max_leaves=6
    )
)
def test_json_reads_back_exactly_and_is_safe(values: object) -> None:
    text = to_json(values)
    assert json.loads(text) == values
    assert safe(text.replace("\n", ""))


class Titles:
    """What is needed of an index: songs and their titles."""

    def song(self, music_id: str) -> Song:
        return Song("1", f"title of {music_id}", artist=music_id, album=music_id, source=music_id)

    def title(self, music_id: str) -> str:
        return f"title of {music_id}"


@pytest.mark.parametrize("name", HOSTILE)
def test_tables_logs_and_lines_are_safe(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    ranking = Ranking(name, (Answer(name, 1.0, 0.5, Match(0.0, 1.0, 0.0, 1.0)), Answer("b", 0.5)))
    table = table_of(ranking, Titles())
    assert table.count("\n") == 2
    assert safe(table.replace("\n", ""))
    assert json.loads(to_json(answers_of(ranking, Titles())))[0]["music_id"] == name
    say(name, error=True)
    assert safe(capsys.readouterr().err.replace("\n", ""))
    record = logging.LogRecord("humfind", logging.WARNING, "", 0, "%s", (name,), None)
    assert safe(logs.Plain(detailed=False).format(record))
