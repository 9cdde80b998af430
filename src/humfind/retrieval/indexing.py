"""From songs to an index: of a data set, an f0 store or a folder of audio files."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path

from humfind.config import AUDIO_SUFFIXES, F0Config, IndexConfig
from humfind.data.identity import recorded
from humfind.data.tags import read_title
from humfind.data.walk import files_below
from humfind.data.zalo import Item, load_split, read_titles, stem
from humfind.f0.extract import file_sha256
from humfind.f0.load import F0Cache, F0Set, Skipped, load_f0, open_store
from humfind.index import Index, index_folder
from humfind.index.engines import engine_class
from humfind.index.parts import ABOUT
from humfind.index.parts import F0 as F0_FOLDER
from humfind.retrieval import search
from humfind.retrieval.checkpoints import load_model
from humfind.retrieval.trial import recordings
from humfind.runtime.lock import writing
from humfind.types import InputError, normal_form

KEPT_SPLIT = "public_test"  # of the store within an index: an f0 store has splits
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
    """The index of a data set's split, of an f0 store's split, or of a folder of audio files.

    keep: the f0 store of an audio folder, where each f0 is kept as soon as it is tracked; nowhere where None. known: an
    index from which recordings are taken that have not changed.
    """
    _require_folder(source)
    is_store = (source / split / "song").is_dir() and not (source / "train" / "train_meta.csv").is_file()
    is_audio = not is_store and store is None and not (source / split).is_dir()
    files = _audio_files(source) if is_audio else AudioFiles()
    encoder, model_path = load_model(model, (recorded(source) or source.parent) if is_store else source)
    titles: dict[str, str] = {}
    if is_store:
        cache = F0Cache(source)
        rows = cache.read(split, "song")
        f0s = load_f0([Item(r.path, r.music_id or stem(r.path), None) for r in rows], split, "song", cache, f0)
    elif not is_audio:
        cache = open_store(source, store, f0)
        parts = load_split(source, split, cache)
        f0s = load_f0(parts.songs, split, "song", cache, f0)
        f0s = replace(f0s, skipped=f0s.skipped + list(parts.strays))
    else:
        f0s, titles = _folder(files, source, f0, keep)
    songs = recordings(f0s.f0, titles | read_titles(source))
    made = search.build_index(songs, encoder, model_path, f0s.tracker, len(f0s.items), engine, known)
    return made, f0s.skipped


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
    engine_class(engine)  # which must be known
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


@dataclass(frozen=True)
class AudioFiles:
    """The audio files below a folder. skipped: (path, reason) of those that cannot be used."""

    files: tuple[Path, ...] = ()
    skipped: tuple[tuple[str, str], ...] = ()


def _audio_files(folder: Path) -> AudioFiles:
    """Raises InputError where there are none."""
    files, skipped = files_below(folder, AUDIO_SUFFIXES)
    if not files:
        reason = ": ".join(skipped[0]) if skipped else "give one of these"
        raise InputError(f"{folder}: no data set, no f0 store, no audio files; {reason}")
    return AudioFiles(tuple(files), tuple(skipped))


def _folder(audio: AudioFiles, folder: Path, f0: F0Config | None, keep: Path | None) -> tuple[F0Set, dict[str, str]]:
    """The f0 of the audio files below a folder, and the titles that their tags give. A song's id is its path below the
    folder, without the suffix where no other file differs in that alone.

    In the store, a row's key is the checksum of the file: files of one name stay apart, a file that has changed is
    tracked anew, and one that was moved is not.
    """
    below = (path.relative_to(folder).with_suffix("").as_posix() for path in audio.files)
    short = [normal_form(name) or path.name.strip() for name, path in zip(below, audio.files, strict=True)]
    count = Counter(short)
    names = [
        name if count[name] == 1 else normal_form(path.relative_to(folder).as_posix())
        for name, path in zip(short, audio.files, strict=True)
    ]
    if twice := [name for name, n in Counter(names).items() if n > 1]:  # by other letters for the same accents
        raise InputError(f"{folder}: two recordings are named {twice[0]}; rename one")
    cache = F0Cache(keep) if keep else None
    of_folder = F0Config(tracker=IndexConfig.folder_tracker)
    config = f0 or (cache.config(of_folder) if cache else of_folder)
    skipped: Skipped = list(audio.skipped)
    digests: dict[str, str] = {}  # of each name
    stored: dict[str, Item] = {}  # by checksum
    for name, file in zip(names, audio.files, strict=True):
        try:
            digests[name] = file_sha256(file)
        except OSError as error:
            skipped.append((name, f"cannot be read ({error.strerror})"))
            continue
        path = f"{file.relative_to(folder).as_posix()}/{digests[name]}"
        stored.setdefault(digests[name], Item(path, None, file))
    f0s = load_f0(list(stored.values()), KEPT_SPLIT, "song", cache, replace(config, part_size=1))
    by_digest = {item.stem: item for item in f0s.items}
    reasons = {stem(path): reason for path, reason in f0s.skipped}
    items = tuple(FolderItem(name, name, None) for name in digests if digests[name] in by_digest)
    skipped += [(name, reasons[digest]) for name, digest in digests.items() if digest not in by_digest]
    titles = {name: title for name, file in zip(names, audio.files, strict=True) if (title := read_title(file))}
    made = replace(f0s, items=items, f0_of=lambda item: f0s.f0_of(by_digest[digests[item.stem]]), skipped=skipped)
    return made, titles


class FolderItem(Item):
    """A recording whose key is its whole path, so that files of one name in different folders stay apart."""

    @property
    def stem(self) -> str:
        return self.path
