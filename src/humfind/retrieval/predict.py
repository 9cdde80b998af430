"""From a data set to a submission, and from songs to an index: what the commands do, free of printing."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from humfind import metrics
from humfind.config import F0Config, IndexConfig, RankConfig, to_dict
from humfind.data.identity import recorded
from humfind.data.walk import files_below
from humfind.data.zalo import AUDIO_SUFFIXES, Item, load_split, read_titles, stem
from humfind.f0.extract import file_sha256
from humfind.f0.load import F0Cache, F0Set, Skipped, store_of
from humfind.f0.load import load_f0 as load_f0
from humfind.index import Index, index_folder
from humfind.index.engines import engine_class
from humfind.index.parts import ABOUT
from humfind.index.parts import F0 as F0_FOLDER
from humfind.rankers import make_ranker
from humfind.retrieval import search, submission
from humfind.retrieval.checkpoints import load_model
from humfind.retrieval.query import HumQuery, load_query
from humfind.retrieval.trial import Trial, make_trial, recordings
from humfind.runtime import paths
from humfind.runtime.lock import writing
from humfind.runtime.printable import printable
from humfind.types import InputError, Query, Ranking, normal_form

if TYPE_CHECKING:
    from humfind.encoders.checkpoint import Model
    from humfind.training.dataset import Example

KEPT_SPLIT = "public_test"  # of the store within an index: an f0 store has splits
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Prediction:
    """rankings: one a hum. report: None where no answers are known.

    skipped: recordings without f0, and files that are none. unheard: how many hums are among them.
    """

    rankings: tuple[Ranking, ...]
    index: Index
    report: metrics.Report | None
    skipped: Skipped
    unheard: int = 0

    @property
    def chance(self) -> float:
        """MRR@10 of a random order."""
        return metrics.chance(len(self.index.music_ids))


def default_store(data: Path, f0: F0Config | None = None) -> Path:
    """``crepe_freq/<dataset>/<tracker>`` of the project; ``<dataset>-<hash>`` for a second one of that name."""
    return store_of(data, paths.home() / "crepe_freq", (f0 or F0Config()).tracker)


def open_store(data: Path, store: Path | None = None, f0: F0Config | None = None) -> F0Cache:
    """The f0 store that is given, or the data set's own."""
    return F0Cache(store) if store is not None else F0Cache(default_store(data, f0), data)


def predict(
    data: Path,
    split: str,
    out: Path,
    store: Path | None = None,
    index: Path | None = None,
    model: str = "",
    rank: RankConfig | None = None,
    f0: F0Config | None = None,
) -> Prediction:
    """Answer every hum of a split and write the submission with its card.

    data: in the competition's layout, as much of it as the store does not have. store: ``default_store``
    where None. index: a folder; built in memory where None. model: a checkpoint; ``default_model`` where
    empty. ``train`` is asked with the songs that the model did not learn from. A hum that cannot be read
    has its row all the same: the first songs by id; the card names it.
    """
    rank = rank or RankConfig()
    encoder, model_path = load_model(model, data)
    trial = make_trial(data, split, encoder, model_path, open_store(data, store, f0), f0, index)
    return submit(trial, split, encoder, rank, out)


def submit(trial: Trial, split: str, model: Model, rank: RankConfig, out: Path) -> Prediction:
    """Answer every hum, check that the rows are whole, write the submission with its card."""
    rankings = trial.rankings(rank)
    report = search.evaluate(rankings, trial.answers, len(trial.index.music_ids)) if trial.answers else None
    card = card_of(split, model, rank, trial.index, trial.queries, report)
    card |= {"without_f0": [path for path, _ in trial.skipped]}
    submission.check(submission.rows_of(rankings), trial.hums, trial.index.music_ids)
    submission.write(rankings, out, card)
    told = trial.skipped + trial.strays
    return Prediction(tuple(rankings), trial.index, report, told, len(trial.hums) - len(trial.queries))


def card_of(
    split: str,
    model: Model,
    rank: RankConfig,
    index: Index,
    queries: Sequence[Query],
    report: metrics.Report | None,
) -> dict[str, Any]:
    """What a submission's card says; ``submission.write`` adds the rows and the versions."""
    digest = hashlib.sha256()
    for song in index.songs:
        digest.update(f"{song.music_id}\t{song.checksum}\n".encode())
    for query in queries:
        line = query.melody
        digest.update(f"{query.name}\t".encode() + line.semitones.tobytes() + line.voiced.tobytes())
    return {
        "split": split,
        "songs": len(index.music_ids),
        "hums": len(queries),
        "data_sha256": digest.hexdigest(),
        "model_sha256": model.checksum,
        "rank": to_dict(rank),
        "config": to_dict(model.config),
        "tracker": index.info.tracker,
        "metrics": submission.figures(report) if report else None,
    }


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
    if is_store:
        cache = F0Cache(source)
        rows = cache.read(split, "song")
        heard = load_f0([Item(r.path, r.music_id or stem(r.path), None) for r in rows], split, "song", cache, f0)
    elif not is_audio:
        cache = open_store(source, store, f0)
        parts = load_split(source, split, cache)
        heard = load_f0(parts.songs, split, "song", cache, f0)
        heard = replace(heard, skipped=heard.skipped + list(parts.strays))
    else:
        heard = _folder(files, source, f0, keep)
    songs = recordings(heard.f0, read_titles(source))
    made = search.build_index(songs, encoder, model_path, heard.tracker, len(heard.items), engine, known)
    return made, heard.skipped


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


def search_file(
    hum: Path,
    index: Path,
    model: str = "",
    rank: RankConfig | None = None,
    heard: Callable[[], HumQuery] | None = None,
) -> tuple[Index, Ranking]:
    """One recording, searched in an index folder. model: the one that made the index where empty. heard: gives what
    ``load_query`` would, where another process is at it already."""
    rank = rank or RankConfig()
    found = Index.load(index)
    ranker = make_ranker(rank, found)
    made = heard() if heard else load_query(hum, index, model)
    if made.tracker != found.info.tracker:  # each has read an index.json of its own
        raise InputError(f"{index}: was built anew while the hum was read; give the command again")
    found.require_model(made.model_checksum, index)
    return found, search.search(made.query, found, ranker, rank.top)


def answers_of(ranking: Ranking, index: Index) -> list[dict[str, Any]]:
    """A ranking as plain JSON values, with titles; seconds and semitones to two decimals."""
    answers = []
    for answer in ranking.answers:
        row: dict[str, Any] = asdict(answer)
        if answer.match:
            row["match"] = {name: round(value, 2) for name, value in asdict(answer.match).items()}
        answers.append({"music_id": answer.music_id, "title": index.title(answer.music_id)} | row)
    return answers


def table_of(ranking: Ranking, index: Index) -> str:
    """A ranking for eyes: rank, song, title, place in the song, semitones from hum to song, score."""
    rows = [("", "song", "title", "where", "key", "score")]
    for rank, answer in enumerate(ranking.answers, start=1):
        where, key = "", ""
        if answer.match:
            where = f"{_clock(answer.match.start_s)}-{_clock(answer.match.end_s)}"
            key = f"{answer.match.semitones:+.0f}"
        title = printable(index.title(answer.music_id))
        rows.append((str(rank), printable(answer.music_id), title, where, key, f"{answer.score:.3f}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
    return "\n".join(line.rstrip() for line in lines)


def training_examples(data: Path, store: Path | None = None) -> tuple[list[Example], Skipped, tuple[str, ...]]:
    """The train split's recordings with their f0, those without, and all of its songs' ids: what
    ``humfind.training.tasks.hums.train`` takes."""
    from humfind.training.dataset import Example

    cache = open_store(data, store)
    parts = load_split(data, "train", cache)
    examples: list[Example] = []
    skipped: Skipped = list(parts.strays)
    for kind, items in (("song", parts.songs), ("hum", parts.hums)):
        heard = load_f0(items, "train", kind, cache)
        examples += [Example(item.name, item.music_id or item.stem, kind, line) for item, line in heard.f0]
        skipped += heard.skipped
    return examples, skipped, parts.music_ids


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60:02d}:{int(seconds) % 60:02d}"


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


def _folder(audio: AudioFiles, folder: Path, f0: F0Config | None, keep: Path | None) -> F0Set:
    """The f0 of the audio files below a folder; a song's id is its path below it, without the suffix.

    In the store, a row's key is the checksum of the file: files of one name stay apart, a file that has changed is
    tracked anew, and one that was moved is not.
    """
    below = (path.relative_to(folder).with_suffix("").as_posix() for path in audio.files)
    names = [normal_form(name) or path.name.strip() for name, path in zip(below, audio.files, strict=True)]
    twice = [a for a, b in zip(sorted(names), sorted(names)[1:], strict=False) if a == b]
    if twice:
        raise InputError(f"{folder}: two recordings are named {twice[0]}; rename one")
    cache = F0Cache(keep) if keep else None
    config = f0 or (cache.config() if cache else F0Config())
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
    heard = load_f0(list(stored.values()), KEPT_SPLIT, "song", cache, replace(config, part_size=1))
    by_digest = {item.stem: item for item in heard.items}
    reasons = {stem(path): reason for path, reason in heard.skipped}
    items = tuple(FolderItem(name, name, None) for name in digests if digests[name] in by_digest)
    skipped += [(name, reasons[digest]) for name, digest in digests.items() if digest not in by_digest]
    return replace(heard, items=items, f0_of=lambda item: heard.f0_of(by_digest[digests[item.stem]]), skipped=skipped)


class FolderItem(Item):
    """A recording whose key is its whole path, so that files of one name in different folders stay apart."""

    @property
    def stem(self) -> str:
        return self.path
