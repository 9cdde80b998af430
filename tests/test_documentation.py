"""Pages that are made from the code are today's."""

from __future__ import annotations

from tools import api_reference, architecture


def test_the_api_reference_is_todays() -> None:
    made = api_reference.reference()
    assert made == api_reference.PAGE.read_text(encoding="utf-8"), "python tools/api_reference.py"


def test_every_entry_of_the_api_reference_has_a_docstring() -> None:
    made = api_reference.reference()
    entries = made.split("\n### ")[1:]
    empty = [entry.splitlines()[0] for entry in entries if len([line for line in entry.splitlines() if line]) < 2]
    assert not empty


def test_the_way_of_the_data_is_todays() -> None:
    page = architecture.PAGE.read_text(encoding="utf-8")
    assert architecture.page(page) == page, "python tools/architecture.py"
    assert all(architecture.functions()[step] for step in architecture.STEPS)
