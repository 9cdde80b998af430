"""ABC -> notes that a hand can check; the books; the cache."""

from pathlib import Path

import numpy as np
import pytest

from humfind.data import abc, tunebooks

HEAD = "X:7\nT:{title}\nM:2/4\nL:1/8\nQ:1/4=90\nZ:Transcribed by Jane Doe <jane@doe.org>\nK:G\n"
FILL = "GABc dcBA|GABc dcBA|"


def parse(body: str, title: str = "The Test") -> abc.Tune:
    return abc.parse_tune(HEAD.format(title=title) + body + "\n", "Book")


def test_pitches_lengths_and_fields() -> None:
    tune = parse("G2 F>A|" + FILL)
    assert tune.midi[:3].tolist() == [67, 66, 69]  # G; F is sharp in G major; A
    assert tune.length_q[:3].tolist() == [1.0, 0.75, 0.25]
    assert (tune.title, tune.number, tune.transcriber) == ("The Test", "7", "Jane Doe")
    assert (tune.bar_q, tune.beat_q, tune.tempo, tune.fifths) == (2.0, 1.0, 90.0, 1)


def test_tuplets_ties_graces_chords_and_rests() -> None:
    tune = parse("(3GAB {cd}c2-|c2 [GBd]2 z2|" + FILL)
    assert tune.midi[:6].tolist() == [67, 69, 71, 72, 74, 0]
    np.testing.assert_allclose(tune.length_q[:6], [1 / 3, 1 / 3, 1 / 3, 2, 1, 1], atol=1e-6)


def test_repeats_are_played_with_their_endings() -> None:
    tune = parse("|:GABc|1 d4:|2 e4||" + FILL)
    played = tune.midi[tune.order]
    assert played[:10].tolist() == [67, 69, 71, 72, 74, 67, 69, 71, 72, 76]
    assert len(tune.midi) == 6 + 16
    assert len(played) == 10 + 16


def test_a_double_repeat_sign_ends_one_strain_and_begins_the_next() -> None:
    tune = parse("GABc::dcBA:|" + FILL)
    assert tune.order[:16].tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 4, 5, 6, 7, 4, 5, 6, 7]
    assert len(tune.order) == 32


def test_tunes_with_the_same_number_are_both_found() -> None:
    text = (HEAD.format(title="One") + FILL + "\n\n") + (HEAD.format(title="Two") + FILL + "\n")
    assert [abc.parse_tune(t, "Book").title for t in abc.split_tunes(text)] == ["One", "Two"]


def test_what_is_not_a_tune_says_why() -> None:
    with pytest.raises(abc.TuneError, match="no title"):
        parse(FILL, title="")
    with pytest.raises(abc.TuneError, match="fewer than 16"):
        parse("GABc|")


def test_titles_and_transcribers_are_tidied() -> None:
    assert parse(FILL, "DEVIL'S DREAM., The").title == "The DEVIL'S DREAM"
    assert parse(FILL, "SLY PATRICK").title == "Sly Patrick"
    text = "X:1\nT:A\nL:1/8\nZ:abc 1.6\nZ:Contributed by Ray Davies,  ray:davies99.freeserve.co.uk\nK:C\n"
    assert abc.parse_tune(text + FILL, "Book").transcriber == "Ray Davies"


def test_the_first_book_is_read_once_and_then_from_the_cache(tmp_path: Path) -> None:
    books = tunebooks.read_books(tunebooks.AIRD_1, cache=tmp_path)
    assert len(books.tunes) == 200
    assert books.lost == {}
    assert books.tunes[0].title == "The Ranting Highlandman"
    assert books.tunes[0].transcriber.startswith("Jack Campin")
    kept = list(tmp_path.iterdir())
    assert len(kept) == 1
    stamp = kept[0].stat().st_mtime_ns
    again = tunebooks.read_books(tunebooks.AIRD_1, cache=tmp_path)
    assert kept[0].stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(again.tunes[5].order, books.tunes[5].order)
    assert sum(len(t.printed_in) for t in books.merged) == 200
