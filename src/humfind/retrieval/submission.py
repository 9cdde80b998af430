"""The submission: a CSV without header, one row a query, and a card that says what made it.

    0001.mp3,id1,…,id10        ordered by the query's name; ten distinct known ids, fewer only where the
                               database has fewer

The card is a JSON file of the same stem beside it. Neither holds a time or a path of the machine: the same
inputs give the same bytes.
"""

from __future__ import annotations

import csv
import hashlib
import importlib.metadata
import logging
import platform
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from humfind import __version__, metrics
from humfind.data.zalo import ANSWERS_HEADER, META_HEADER, csv_line, stem
from humfind.runtime.files import (
    LARGEST_TABLE,
    atomic_write,
    atomic_write_json,
    read_json,
    require_file,
    require_writable,
)
from humfind.types import InputError, Ranking, normal_form

log = logging.getLogger(__name__)
TOP = 10  # ids a row
NUMBER = re.compile(r"0*([0-9]+?)(?:\.0+)?")  # an id as a spreadsheet or a table of floats may have rewritten it
LIBRARIES = ("numpy", "torch", "faiss-cpu")

Rows = dict[str, tuple[str, ...]]


def rows_of(rankings: Iterable[Ranking]) -> Rows:
    """query name -> its first ten ids, ordered by name."""
    return {ranking.query: ranking.music_ids[:TOP] for ranking in sorted(rankings, key=lambda r: r.query)}


def write(rankings: Sequence[Ranking], path: Path, card: Mapping[str, Any]) -> Rows:
    """Write the CSV and its card, each under another name, then renamed. The card gets the CSV's sha256 and versions.

    Raises InputError where two queries have one stem or ``path`` is not a .csv.
    """
    require_replaceable(path)
    rows = rows_of(rankings)
    stems = {stem(name) for name in rows}
    if len(stems) != len(rankings):
        raise InputError(f"{path}: {len(rankings)} hums but {len(stems)} names; rename the hums of one name")
    content = "".join(csv_line([name, *ids]) for name, ids in rows.items()).encode()
    full = {**card, "rows": len(rows), "csv_sha256": hashlib.sha256(content).hexdigest(), "versions": versions()}
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, content)
    atomic_write_json(card_path(path), full)
    return rows


def require_csv(path: Path) -> None:
    """Raises InputError for a submission under another suffix, whose card would have no name."""
    if path.suffix != ".csv":
        raise InputError(f"{path}: a submission is a .csv file; its card takes the same name with .json")


def require_replaceable(path: Path) -> None:
    """Raises InputError where a submission cannot be written to ``path``, or would replace what this program did not
    write.

    A file there is a submission of this program if the card beside it has its checksum.
    """
    require_csv(path)
    require_writable(path)
    card = card_path(path)
    require_writable(card)
    mend = "choose another name, or remove it yourself"
    if not card.exists():
        if path.exists():
            raise InputError(f"{path}: is there and has no card, so it is not a submission of this program; {mend}")
        return
    about = read_card(path)
    if not isinstance(about.get("csv_sha256"), str):
        raise InputError(f"{card}: is there and is not the card of a submission; {mend}")
    if path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() != about["csv_sha256"]:
        raise InputError(f"{path}: is not as its card says, so somebody has changed it; {mend}")


def card_path(path: Path) -> Path:
    """``submission.csv`` -> ``submission.json``."""
    return path.with_suffix(".json")


def read_card(path: Path) -> dict[str, Any]:
    """The card beside a submission. Raises InputError where it is missing or not JSON."""
    file = card_path(path)
    try:
        card = read_json(file)
    except FileNotFoundError as error:
        raise InputError(f"{file}: missing; a card lies beside each submission") from error
    except (ValueError, OSError) as error:
        raise InputError(f"{file}: not JSON ({error}); write the submission again") from error
    if not isinstance(card, dict):
        raise InputError(f"{file}: not a card; write the submission again")
    return card


def songs_of(path: Path) -> int | None:
    """How many songs were searched, by the card beside a submission; None where there is no card.

    Warns where the submission is not the file that the card was written with.
    """
    if not card_path(path).is_file():
        return None
    card = read_card(path)
    songs = card.get("songs")
    if not isinstance(songs, int) or songs < 1:
        raise InputError(f"{card_path(path)}: songs is {songs!r:.40}; write the submission again, or remove the card")
    with path.open("rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != card.get("csv_sha256"):
            log.warning("%s: has changed since its card was written; what the card says may not hold", path)
    return songs


def read(path: Path) -> Rows:
    """query name -> ranked ids, in normal form. Raises InputError naming the line that is wrong."""
    rows: Rows = {}
    stems: set[str] = set()
    known: dict[str, str] = {}  # each id once in memory, however many rows name it
    require_file(path, LARGEST_TABLE)
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for number, (name, *cells) in enumerate((row for row in csv.reader(file) if row), start=1):
                ids = tuple(known.get(cell) or known.setdefault(cell, normal_form(cell)) for cell in cells)
                where = f"{path} row {number}, {name}"
                if number == 1 and (normal_form(name), *ids) in (ANSWERS_HEADER, META_HEADER):
                    raise InputError(f"{path}: holds answers, by its header; give the submission, then the answers")
                key = stem(name)
                if key in stems:
                    raise InputError(f"{where}: a second row of this hum; keep one")
                if not 1 <= len(ids) <= TOP or not all(ids):
                    raise InputError(f"{where}: {len(ids)} ids; give 1 to {TOP}, none empty")
                if len(set(ids)) != len(ids):
                    raise InputError(f"{where}: an id stands twice; ids are distinct")
                stems.add(key)
                rows[name] = ids
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; write one with: humfind predict DATA --out {path}") from error
    except (UnicodeDecodeError, csv.Error, OSError) as error:
        raise InputError(f"{path}: not a CSV in UTF-8 ({error}); write it again") from error
    if not rows:
        raise InputError(f"{path}: empty; write it again")
    return rows


def check(rows: Mapping[str, Sequence[str]], hums: Collection[str], music_ids: Collection[str]) -> None:
    """One row a hum, and in each as many distinct known ids as there can be. Raises InputError."""
    missing, extra = sorted(set(hums) - set(rows)), sorted(set(rows) - set(hums))
    if missing or extra:
        what = f"lacks {missing[0]}" if missing else f"has {extra[0]}, which is no hum of the split"
        raise InputError(f"submission: {what} ({len(missing)} missing, {len(extra)} extra); predict again")
    known, expected = set(music_ids), min(TOP, len(set(music_ids)))
    for name, ids in rows.items():
        unknown = [music_id for music_id in ids if music_id not in known]
        if unknown:
            raise InputError(f"submission: {name} answers {unknown[0]}, which is no song; predict again")
        if len(set(ids)) != len(ids) or len(ids) != expected:
            raise InputError(f"submission: {name} has {len(ids)} ids, not {expected} distinct; predict again")


def score(rows: Mapping[str, Sequence[str]], answers: Mapping[str, str], songs: int | None = None) -> metrics.Report:
    """The figures of a submission. answers: hum (name or stem) -> music_id; every one must have its row.

    songs: how many were searched; where not known, those that the rows and answers name. Raises InputError where the
    names of one of the two have lost their leading zeros; warns of ids that cannot be those of the songs searched.
    """
    by_stem = {stem(name): ids for name, ids in rows.items()}
    wanted = {stem(hum): normal_form(music_id) for hum, music_id in answers.items()}
    _require_zeros("hum", by_stem, wanted)
    missing = sorted(wanted.keys() - by_stem.keys())
    if missing or not wanted:
        what = f"no row for hum {missing[0]} ({len(missing)} such)" if missing else "no answers"
        raise InputError(f"submission: {what}; give the answers of the split that was predicted")
    named = {music_id for ids in rows.values() for music_id in ids}
    right = set(wanted.values())
    _require_zeros("song", named, right)
    everything = len(named | right)
    if named.isdisjoint(right):
        log.warning("submission: none of the %s right songs is in any row; are these its answers?", len(right))
    elif songs is not None and everything > songs:
        said = f"{everything} songs are named, {songs} were searched by its card"
        log.warning("submission: %s: at least %s ids are of no song searched", said, everything - songs)
    return metrics.report(metrics.ranks(by_stem, wanted), songs or everything)


def _require_zeros(what: str, given: Collection[str], wanted: Collection[str]) -> None:
    """Raises InputError where a name that only the submission has and one that only the answers have are the same
    number: a spreadsheet makes 19 of 0019."""
    given, wanted = set(given), set(wanted)
    numbers = {number[1]: name for name in given - wanted if (number := NUMBER.fullmatch(name))}
    for name in sorted(wanted - given):
        number = NUMBER.fullmatch(name)
        if number and number[1] in numbers:
            mend = "a spreadsheet may have changed one; take the files as they were written"
            raise InputError(f"submission: {what} {numbers[number[1]]} is {name} in the answers; {mend}")


def figures(report: metrics.Report) -> dict[str, Any]:
    """A report as a card has it: six decimals, chance beside."""
    table: dict[str, Any] = {
        name: {part: round(getattr(getattr(report, name), part), 6) for part in ("value", "low", "high")}
        for name in ("mrr", "top1", "top10")
    }
    return {
        **table,
        "chance_mrr": round(metrics.chance(report.songs), 6),
        "queries": report.queries,
        "songs": report.songs,
    }


def versions() -> dict[str, str]:
    """What could change the figures."""
    libraries = {name: importlib.metadata.version(name) for name in LIBRARIES}
    return {"humfind": __version__, "python": platform.python_version(), **libraries}
