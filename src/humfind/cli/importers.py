"""``humfind import``: other people's corpora into this project's formats, a command each."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from humfind.runtime.printable import say

if TYPE_CHECKING:
    from humfind.data.importers.corpus import Corpus, Part
    from humfind.types import Floats

corpora = typer.Typer(no_args_is_help=True, rich_markup_mode=None, help="Bring in a corpus of another kind.")


@corpora.callback()
def group() -> None:
    """Bring in a corpus of another kind."""


@corpora.command("pickle-2021", epilog="Example: humfind import pickle-2021 hums.pkl --out f0 --split train --kind hum")
def pickle_2021(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a pickled list of (path, f0 in Hz every 10 ms)")],
    out: Annotated[Path, typer.Option(metavar="STORE", help="f0 store to make or to add to")],
    split: Annotated[str, typer.Option(help="train | public_test | private_test")],
    kind: Annotated[str, typer.Option(help="hum | song")],
) -> None:
    """The f0 files of the 2021 entry into an f0 store; nothing in them is run."""
    from humfind.data.importers.pickle2021 import read
    from humfind.data.zalo import KINDS, SPLITS
    from humfind.types import InputError

    for name, value, choices in (("split", split, SPLITS), ("kind", kind, KINDS)):
        if value not in choices:
            raise InputError(f"{name} {value}: unknown; choose one of {', '.join(choices)}")
    rows = read(file)
    without = store_rows(rows, out, split, kind)
    say(f"{len(rows)} recordings, {without} of them without a pitch: {out / split / kind}")


def store_rows(rows: Sequence[tuple[str, Floats]], out: Path, split: str, kind: str) -> int:
    """(path, hz) every 10 ms -> ``<out>/<split>/<kind>``, whole or not at all; how many have no pitch.

    The folder has no manifest, since nobody knows what tracked these: it is a foreign one, to be read only.
    Confidence is 1 where there is a pitch. Raises InputError where the folder is there, for two paths of one
    stem and for a path that names nothing.
    """
    import numpy as np

    from humfind.config import F0Config
    from humfind.data.importers.pickle2021 import HOP_S
    from humfind.data.zalo import stem
    from humfind.f0.store import StoredF0, write_part
    from humfind.runtime.lock import writing
    from humfind.types import F0, InputError

    folder, partial = out / split / kind, out / split / f".{kind}{UNFINISHED}"
    seen: dict[str, str] = {}
    for path, _ in rows:
        if not stem(path) or any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in path):
            raise InputError(f"{path!a}: names no recording; mend the file's paths")
        if stem(path) in seen:
            raise InputError(f"{seen[stem(path)]} and {path}: one stem; keep one of the two")
        seen[stem(path)] = path
    if folder.is_dir() and any(folder.iterdir()):
        raise InputError(f"{folder}: holds something already; choose another store or delete this folder")
    stored = [StoredF0(path, None, F0(hz, (hz > 0).astype(np.float32), HOP_S)) for path, hz in rows]
    size = F0Config.part_size
    with writing(out):
        _fresh(partial)
        for number, start in enumerate(range(0, len(stored), size)):
            write_part(partial, number, stored[start : start + size])
        _finish(partial, folder)
    return sum(not row.f0.voiced.any() for row in stored)


UNFINISHED = ".humfind-part"
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="the corpus as its owners hand it out, unpacked")]
Data = Annotated[Path, typer.Option("--out", metavar="DATA", help="a folder that is not there yet, or this command's")]
Split = Annotated[str, typer.Option(help="train | public_test | private_test: of the store")]
NewStore = Annotated[Path, typer.Option("--out", metavar="STORE", help="f0 store, not there yet")]


@corpora.command("mir-qbsh", epilog="Example: humfind import mir-qbsh MIR-QBSH --out qbsh")
def mir_qbsh(
    folder: Folder,
    out: Data,
    labelled: Annotated[bool, typer.Option(help="the hums' pitch as labelled by hand (.pv), not from audio")] = False,
) -> None:
    """4,431 sung or hummed queries of 48 songs (Roger Jang's MIR-QBSH)."""
    from humfind.data.importers import mir_qbsh as corpus

    write_data(corpus.read(folder, labelled), out)


@corpora.command("mtg-qbh", epilog="Example: humfind import mtg-qbh MTG-QBH --out qbh")
def mtg_qbh(folder: Folder, out: Data) -> None:
    """118 queries of commercial songs (MTG-QBH); the songs are yours to add."""
    from humfind.data.importers import mtg_qbh as corpus

    write_data(corpus.read(folder), out)
    say(f"put the songs into {out / 'public_test/full_song'}, named by the music_id of {out / 'songs.csv'}")


@corpora.command("humtrans", epilog="Example: humfind import humtrans HumTrans --out humtrans --part test")
def humtrans(
    folder: Folder, out: Data, part: Annotated[str, typer.Option(help="train | valid | test")] = "test"
) -> None:
    """Hums of ten singers and their melodies (HumTrans)."""
    from humfind.data.importers import humtrans as corpus

    write_data(corpus.read(folder, part), out)


@corpora.command("mast", epilog="Example: humfind import mast MASTmelody --out mast --grade pass")
def mast(folder: Folder, out: Data, grade: Annotated[str, typer.Option(help="pass | fail | all")] = "all") -> None:
    """Candidates who sing back a melody, as f0 (MASTmelody)."""
    from humfind.data.importers import mast as corpus
    from humfind.types import InputError

    if grade not in corpus.GRADES:
        raise InputError(f"grade {grade}: unknown; choose one of {', '.join(corpus.GRADES)}")
    write_data(corpus.read(folder, grade), out)


@corpora.command("pop909", epilog="Example: humfind import pop909 POP909 --out pop909")
def pop909(folder: Folder, out: NewStore, split: Split = "public_test") -> None:
    """The melodies of 909 pop songs (POP909) into an f0 store."""
    from humfind.data.importers import pop909 as corpus

    write_songs(corpus.read(folder), out, split)


@corpora.command("melodies", epilog="Example: humfind import melodies tunes --out melodies")
def melodies(folder: Folder, out: NewStore, split: Split = "public_test") -> None:
    """A folder of MIDI, ABC or kern files into an f0 store."""
    from humfind.data.importers import melodies as corpus

    write_songs(corpus.read(folder), out, split)


def write_data(corpus: Corpus, out: Path) -> None:
    """``out`` in the competition's layout: hums and answers in public_test, titles in songs.csv, what is f0 and not
    audio in the store ``out``/f0. Put together under another name and renamed: whole or not at all.

    Raises InputError where ``out`` holds something already.
    """
    partial = _partial_of(out)
    for kind, parts in (("hum", corpus.hums), ("song", corpus.songs)):
        audible = [part for part in parts if part.audio is not None]
        if kind == "hum" and audible:
            (partial / "public_test" / "hum").mkdir(parents=True)
        for part in audible:
            shutil.copyfile(str(part.audio), partial / "public_test" / "hum" / part.name)
        _store(parts, partial / "f0", "public_test", kind)
    (partial / "public_test").mkdir(parents=True, exist_ok=True)
    rows = [(hum.name, hum.music_id) for hum in sorted(corpus.hums, key=lambda hum: hum.name)]
    _table(partial / "public_test" / "answers.csv", ("hum", "music_id"), rows)
    titles = {song.music_id: song.title for song in corpus.songs if song.title}
    if titles:
        _table(partial / "songs.csv", ("music_id", "title"), sorted(titles.items()))
    _finish(partial, out)
    _tell(corpus)
    ids = len({song.music_id for song in corpus.songs})
    say(f"{len(corpus.hums)} hums of {ids} songs: {out}")
    say(f"search them: humfind predict {out} --f0 {out / 'f0'} --split public_test --model pretrained --out out.csv")


def write_songs(corpus: Corpus, out: Path, split: str) -> None:
    """The songs' f0 as the store ``out``, with songs.csv in it. Raises InputError as ``write_data`` does."""
    from humfind.data.zalo import SPLITS
    from humfind.types import InputError

    if split not in SPLITS:
        raise InputError(f"split {split}: unknown; choose one of {', '.join(SPLITS)}")
    if not corpus.songs:
        raise InputError(f"no melody could be read: {'; '.join(': '.join(skip) for skip in corpus.skipped[:3])}")
    partial = _partial_of(out)
    _store(corpus.songs, partial, split, "song")
    titles = {song.music_id: song.title for song in corpus.songs if song.title}
    if titles:
        _table(partial / "songs.csv", ("music_id", "title"), sorted(titles.items()))
    _finish(partial, out)
    _tell(corpus)
    say(f"{len(corpus.songs)} songs: {out}")
    say(f"make them searchable: humfind index {out} --model pretrained --out INDEX")


def _partial_of(out: Path) -> Path:
    from humfind.runtime.files import require_writable
    from humfind.types import InputError

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise InputError(f"{out}: holds something already; choose another folder or delete this one")
    require_writable(out / "songs.csv")
    partial = out.absolute().with_name(f".{out.absolute().name}{UNFINISHED}")
    _fresh(partial)
    return partial


def _fresh(partial: Path) -> None:
    """An empty folder for what is not finished; what a kill left there is removed, whatever else is there is
    somebody's."""
    from humfind.types import InputError

    mark = partial.with_name(partial.name + ".mark")
    if mark.is_file():
        shutil.rmtree(partial, ignore_errors=True)
    elif partial.exists():
        raise InputError(f"{partial}: is there already and in the way; move it away")
    partial.parent.mkdir(parents=True, exist_ok=True)
    mark.touch()
    partial.mkdir()


def _finish(partial: Path, out: Path) -> None:
    os.replace(partial, out)
    partial.with_name(partial.name + ".mark").unlink()


def _store(parts: Sequence[Part], out: Path, split: str, kind: str) -> None:
    """Those with f0, as a foreign store: nobody's tracker made them. Raises InputError for two of one stem."""
    import numpy as np

    from humfind.config import F0Config
    from humfind.data.notes import HOP_S
    from humfind.data.zalo import stem
    from humfind.f0.store import StoredF0, write_part
    from humfind.types import F0, InputError

    rows = [
        StoredF0(part.name, part.music_id, F0(part.hz, (part.hz > 0).astype(np.float32), HOP_S))
        for part in sorted(parts, key=lambda part: part.name)
        if part.hz is not None
    ]
    seen: dict[str, str] = {}
    for row in rows:
        if seen.setdefault(stem(row.path), row.path) is not row.path:
            raise InputError(f"{seen[stem(row.path)]} and {row.path}: one stem; rename one of the two")
    folder = out / split / kind
    if rows:
        folder.mkdir(parents=True)
    for number, start in enumerate(range(0, len(rows), F0Config.part_size)):
        write_part(folder, number, rows[start : start + F0Config.part_size])


def _table(path: Path, header: tuple[str, str], rows: Sequence[tuple[str, str]]) -> None:
    from humfind.data.zalo import csv_line

    with path.open("w", encoding="utf-8", newline="") as file:
        file.writelines(map(csv_line, [header, *rows]))


def _tell(corpus: Corpus) -> None:
    for path, reason in corpus.skipped[:10]:
        say(f"skipped: {path}: {reason}", error=True)
    if len(corpus.skipped) > 10:
        say(f"skipped: {len(corpus.skipped) - 10} more", error=True)
