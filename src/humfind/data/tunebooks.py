"""The tune books that music21 carries -> tunes, read once and kept in a cache.

O'Neill's Music of Ireland, Aird's Airs (six books) and Ryan's Mammoth Collection: about 4,200 titled tunes
of the 18th and 19th centuries, typed in as ABC by volunteers, whom ``Tune.transcriber`` names. No header of
theirs forbids a use; music21 hands the files on with the transcribers' permission (its corpus/license.txt).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from dataclasses import dataclass, replace
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from humfind.data.abc import Tune, TuneError, parse_tune, split_tunes
from humfind.synth import likeness
from humfind.types import InputError, Ints

PARSER_VERSION = 4  # raise it when a change here or in abc.py gives other notes or texts: the cache is then made anew
BOOKS = {
    "airdsAirs/book*": "Aird's Airs",
    "oneills1850/*": "O'Neill's Music of Ireland",
    "ryansMammoth/*": "Ryan's Mammoth Collection",
}
AIRD_1 = {"airdsAirs/book1": "Aird's Airs"}
TEXTS = ("title", "book", "number", "transcriber", "bar_q", "beat_q", "tempo", "fifths", "minor", "rhythm", "composer")
ARRAYS = {"midi": np.float32, "length_q": np.float32, "order": np.int64}


@dataclass(frozen=True)
class Books:
    """What reading the books gave. group: (n,) the first tune that each is a printing of (its own row where
    it is the first); lost: reason -> how many tunes it cost."""

    tunes: tuple[Tune, ...]
    group: Ints
    lost: dict[str, int]

    @property
    def merged(self) -> tuple[Tune, ...]:
        """One tune for all its printings, the first; ``printed_in`` names them all."""
        rows: dict[int, list[int]] = {}
        for row, first in enumerate(self.group.tolist()):
            rows.setdefault(first, []).append(row)
        return tuple(
            replace(self.tunes[first], printed_in=tuple(self.tunes[row].where for row in same))
            for first, same in rows.items()
        )


def corpus_folder() -> Path:
    """Where music21 keeps its tune books; found without importing it."""
    spec = find_spec("music21")
    folder = Path(spec.origin).parent / "corpus" if spec and spec.origin else None
    if folder is None or not (folder / "airdsAirs").is_dir():
        raise InputError("music21: its corpus of tune books is not there; pip install --force-reinstall music21")
    return folder


def cache_folder() -> Path:
    """The user's cache: $XDG_CACHE_HOME/humfind, else ~/.cache/humfind."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "humfind"


def read_books(patterns: dict[str, str] | None = None, cache: Path | None = None) -> Books:
    """All tunes of the books (pattern in the corpus -> title), from the cache where it is fresh.

    Reading takes about 35 s for all books and 2 s for the first of Aird's; from the cache, 0.3 s.
    """
    corpus = corpus_folder()
    chosen = BOOKS if patterns is None else patterns
    files = [(f, name) for p, name in chosen.items() for f in sorted(corpus.glob(f"{p}.abc"))]
    key = hashlib.sha256(f"{PARSER_VERSION} {version('music21')}".encode())
    for file, name in files:
        key.update(f"{file.relative_to(corpus)} {name}".encode() + file.read_bytes())
    kept = (cache or cache_folder()) / f"tunes-{key.hexdigest()[:16]}.parquet"
    if not kept.is_file():
        _keep(parse_books(files), kept)
    return _read_kept(kept)


def parse_books(files: list[tuple[Path, str]]) -> Books:
    """(ABC file, book) -> tunes, and which of them are the same."""
    from tqdm import tqdm

    tunes: list[Tune] = []
    lost: Counter[str] = Counter()
    bar = tqdm(total=sum(f.stat().st_size for f, _ in files), desc="reading tune books", unit="B", unit_scale=True)
    for file, book in files:
        text = file.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n").replace("\r", "\n")
        label = f"{book} {file.stem[-1]}" if file.stem.startswith("book") else book
        number = file.stem if "Ryan" in book else ""  # its files hold one tune each, all numbered 1
        for chunk in split_tunes(text):
            try:
                tunes.append(parse_tune(chunk, label, number))
            except TuneError as error:
                lost[str(error)] += 1
            bar.update(len(chunk.encode()))
    bar.close()
    group = likeness.same([tune.written for tune in tunes])
    return Books(tuple(tunes), group.astype(np.int64), dict(lost))


def _keep(books: Books, path: Path) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = (*TEXTS, *ARRAYS)
    columns: dict[str, Any] = {name: [getattr(t, name) for t in books.tunes] for name in names}
    table = pa.table(columns | {"group": books.group})
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    pq.write_table(table.replace_schema_metadata({"lost": json.dumps(books.lost)}), partial)
    os.replace(partial, path)


def _read_kept(path: Path) -> Books:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    tunes = []
    for row in table.drop_columns("group").to_pylist():
        tunes.append(Tune(**row | {name: np.array(row[name], kind) for name, kind in ARRAYS.items()}))
    return Books(tuple(tunes), table["group"].to_numpy(), json.loads(table.schema.metadata[b"lost"]))
