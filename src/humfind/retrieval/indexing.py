"""From songs to an index: of a data set, an f0 store or a folder of music."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from humfind.config import F0Config, IndexConfig
from humfind.data.identity import identify, recorded
from humfind.data.zalo import Item, load_split, read_titles, stem
from humfind.f0.load import F0Cache, Skipped, load_f0, open_store
from humfind.index import Index, Song, index_folder
from humfind.index.engines import require_engine
from humfind.index.parts import ABOUT
from humfind.index.parts import F0 as F0_FOLDER
from humfind.retrieval import search
from humfind.retrieval.checkpoints import load_model, trained_or_shipped
from humfind.retrieval.music_folder import MusicFiles, music_files, read_folder
from humfind.retrieval.trial import recordings
from humfind.runtime.lock import writing
from humfind.types import InputError

log = logging.getLogger(__name__)


def index_of(
    source: Path,
    split: str,
    store: Path | None = None,
    model: str = "",
    f0: F0Config | None = None,
    keep: Path | None = None,
    engine: str = IndexConfig.engine,
    known: Index | None = None,
) -> tuple[Index, Skipped]:
    """The index of a data set's split, of an f0 store's split, or of a folder of music: recordings, MIDI, ABC, kern.

    keep: the f0 store of such a folder's recordings, where each f0 is kept as soon as it is tracked; nowhere where
    None; on its disk the index grows. known: an index from which recordings are taken that have not changed.
    """
    kind = kind_of(source, split)
    is_store, is_folder = kind == "store", kind == "folder" and store is None
    files = music_files(source) if is_folder else MusicFiles()
    dataset = (recorded(source) or identify(source.parent)) if is_store else identify(source)
    encoder, model_path = load_model(model or trained_or_shipped(dataset), dataset)
    songs: dict[str, Song] = {}
    if is_store:
        cache = F0Cache(source)
        rows = cache.read(split, "song")
        f0s = load_f0([Item(r.path, r.music_id or stem(r.path), None) for r in rows], split, "song", cache, f0)
    elif not is_folder:
        cache = open_store(source, store, f0)
        parts = load_split(source, split, cache)
        f0s = load_f0(parts.songs, split, "song", cache, f0)
        f0s = replace(f0s, skipped=f0s.skipped + list(parts.strays))
    else:
        f0s, songs = read_folder(files, source, f0, keep)
    entries = recordings(f0s.f0, read_titles(source), songs)
    made = search.build_index(entries, encoder, model_path, f0s.tracker, len(f0s.items), engine, known, keep)
    return made, f0s.skipped


def kind_of(source: Path, split: str) -> str:
    """store (of f0) | dataset | folder (of music). Raises InputError where there is no such folder."""
    _require_folder(source)
    if (source / split / "song").is_dir() and not (source / "train" / "train_meta.csv").is_file():
        return "store"
    return "dataset" if (source / split).is_dir() else "folder"


def write_index(
    source: Path,
    out: Path,
    split: str,
    store: Path | None = None,
    model: str = "",
    f0: F0Config | None = None,
    engine: str = IndexConfig.engine,
) -> tuple[Index, Skipped]:
    """``index_of``, saved in the folder ``out``, which is looked at before anything else is done. The f0 of an audio
    folder are kept in ``out``/f0: what was tracked once, in a run that was stopped too, is not tracked again; what an
    index in ``out`` has of recordings that have not changed is taken over."""
    _require_folder(source)
    require_engine(engine)
    folder = index_folder(out, source)
    with writing(folder):
        made, skipped = index_of(source, split, store, model, f0, folder / F0_FOLDER, engine, _index_at(folder))
        made.save(folder)
    return made, skipped


def _index_at(folder: Path) -> Index | None:
    """The index that is there, where it is whole; what is not is built anew."""
    if not (folder / ABOUT).exists():
        return None
    try:
        return Index.load(folder)
    except InputError as error:
        log.info("built anew, since %s", error)
        return None


def _require_folder(source: Path) -> None:
    if not source.is_dir():
        raise InputError(f"{source}: no such folder; give a data set, an f0 store or a folder of audio")
