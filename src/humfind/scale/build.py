"""An index of a folder of music, built by many processes on Dask: by those of this machine, or by a cluster's.

Recordings are dealt to parts, each a task of its own that keeps what it has made in a folder beside the index. So a
worker that dies costs what it had in hand; a scheduler that dies costs no more, since the same command goes on with
what is there. A recording that ends its worker again and again is left out, named, and tried again by the next build.
When all parts are there, the one path of ``write_index`` takes them over: the index is that of one process, byte for
byte. Workers on other machines need the same folders by the same names, and the same version of this program.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm import tqdm

from humfind.config import F0Config, IndexConfig, to_dict
from humfind.data.identity import identify
from humfind.f0 import make_tracker
from humfind.f0.extract import manifest_of
from humfind.f0.load import F0Cache, Skipped
from humfind.f0.store import Skip, open_for_writing, part_path, parts, read_skipped, write_part
from humfind.index import Index, IndexInfo, index_folder
from humfind.index.engines import require_engine
from humfind.index.parts import ABOUT, PARTS
from humfind.index.parts import F0 as F0_FOLDER
from humfind.retrieval.checkpoints import load_model, trained_or_shipped
from humfind.retrieval.indexing import index_of, kind_of
from humfind.retrieval.music_folder import KEPT_SPLIT, distinct_files, music_files
from humfind.runtime.cores import cores
from humfind.runtime.files import atomic_write
from humfind.runtime.lock import writing
from humfind.scale.part import DONE, INDEX, Part, make
from humfind.types import InputError

A_PART = 8  # recordings
TRIES = 3  # workers that may end with a part in hand before its recordings are tried one by one
THREADS = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")  # of a worker
ENDED = f"it ended {TRIES} workers"  # how the reason begins that is told of a recording
log = logging.getLogger(__name__)


def write_index_by(
    scheduler: str,
    source: Path,
    out: Path,
    model: str = "",
    f0: F0Config | None = None,
    engine: str = IndexConfig.engine,
    workers: int = 0,
) -> tuple[Index, Skipped]:
    """``write_index`` of a folder of music. scheduler: the address of a Dask cluster's; of this machine's own, with so
    many ``workers`` (one a core where 0), where empty. Raises InputError as it does, and where no scheduler answers."""
    if kind_of(source, KEPT_SPLIT) != "folder":
        raise InputError(f"{source}: workers build the index of a folder of music alone; leave --workers out")
    require_engine(engine)
    folder = index_folder(out, source)
    with writing(folder):
        cache = F0Cache(folder / F0_FOLDER)
        config = f0 or cache.config(F0Config(tracker=IndexConfig.folder_tracker))
        config = replace(config, part_size=1)
        encoder, model_path = load_model(model or trained_or_shipped(identify(source)))
        files = music_files(source)
        paths = _skipped(cache) + [row.path for row in cache.read(KEPT_SPLIT, "song")]
        there = {PurePosixPath(path).name for path in paths}
        audible, _ = distinct_files(files, source)
        recordings = [
            (f"{file.relative_to(source).as_posix()}/{digest}", file.resolve())
            for _, file, digest in audible
            if digest not in there
        ]
        wanted = _dealt(recordings, folder / PARTS, model_path, encoder.checksum, config)
        if wanted:
            with _client(scheduler, workers) as client:
                made, ended = _make_all(client, wanted)
            _take_f0(made, ended, cache, config)
        known = _known(folder, model_path, encoder.checksum)
        index, skipped = index_of(source, KEPT_SPLIT, None, model_path, f0, folder / F0_FOLDER, engine, known)
        index.save(folder)
        shutil.rmtree(folder / PARTS, ignore_errors=True)
    return index, skipped


def _skipped(cache: F0Cache) -> list[str]:
    """What the store knows to have no f0. What ended workers is forgotten, to be tried again: memory may have been
    short."""
    paths = []
    for part in parts(cache.folder / KEPT_SPLIT / "song"):
        skipped = read_skipped(part)
        if any(skip.reason.startswith(ENDED) for skip in skipped):
            part.unlink()  # it holds this one alone
        else:
            paths += [skip.path for skip in skipped]
    return paths


def _dealt(recordings: Sequence[tuple[str, Path]], folder: Path, model: str, checksum: str, f0: F0Config) -> list[Part]:
    """Named after what they are made of, so that what another one left is not taken for one."""
    found = []
    for start in range(0, len(recordings), A_PART):
        keys, files = zip(*recordings[start : start + A_PART], strict=True)
        made_of = json.dumps([keys, checksum, to_dict(f0)])
        name = hashlib.sha256(made_of.encode()).hexdigest()
        found.append(Part(folder / name[:16], keys, files, model, checksum, f0))
    return found


def _make_all(client: Any, wanted: Sequence[Part]) -> tuple[list[Part], list[Part]]:
    """Those that are made, and those of one recording that ended every process. Raises InputError where a worker says
    so, and where the scheduler is gone.

    A scheduler counts a worker's end against all parts that wait for this worker. So the recordings of parts that it
    gives up are made here, one after the other, each by a process of its own, before one is said to be at fault."""
    from distributed import CancelledError, KilledWorker, as_completed

    made: list[Part] = []
    doubtful: list[Part] = []
    ended: list[Part] = []
    of = {f"part-{part.folder.name}": part for part in wanted}
    with tqdm(total=sum(len(part.keys) for part in wanted), desc="indexing", unit="recording") as bar:
        for future in as_completed([client.submit(make, part, key=key, pure=False) for key, part in of.items()]):
            part = of[future.key]
            try:
                future.result()
            except KilledWorker:
                log.warning("part %s: %d workers ended; its recordings follow one by one", part.folder.name, TRIES)
                doubtful += part.alone()
            except (CancelledError, OSError) as error:
                raise InputError("the scheduler is gone; give the same command again: it goes on from here") from error
            else:
                made.append(part)
                bar.update(len(part.keys))
        for part in doubtful:
            (made if _made_alone(part) else ended).append(part)
            bar.update()
    return made, ended


def _made_alone(part: Part) -> bool:
    """By a process of this machine; False where it ended."""
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:
        try:
            alone.submit(make, part).result()
        except BrokenProcessPool:
            return False
    return True


def _take_f0(made: Sequence[Part], ended: Sequence[Part], cache: F0Cache, config: F0Config) -> None:
    """Into the index's own store, as one process would have put them there."""
    folder = cache.folder / KEPT_SPLIT / "song"
    place: dict[str, Path] = {}
    for part in made:
        keys = sorted(part.keys, key=lambda key: (PurePosixPath(key).name, key))
        place |= {key: part_path(part.store / KEPT_SPLIT / "song", row) for row, key in enumerate(keys)}
    gone = {part.keys[0]: part for part in ended}
    tracker = make_tracker(config, "song")
    with writing(cache.folder):
        open_for_writing(folder, manifest_of(tracker, config))
        free = (number for number in range(10**9) if not part_path(folder, number).exists())
        for key in sorted([*place, *gone], key=lambda key: (PurePosixPath(key).name, key)):
            number = next(free)
            if key in place:
                atomic_write(part_path(folder, number), place[key].read_bytes())
            else:
                reason = f"{ENDED}, and a process of its own; the next build by workers tries it again"
                write_part(folder, number, [], [Skip(key, reason, PurePosixPath(key).name)])


def _known(folder: Path, model: str, checksum: str) -> Index | None:
    """What the workers have made, and an index in ``folder``."""
    places = [done.parent / INDEX for done in sorted((folder / PARTS).glob(f"*/{DONE}"))]
    if (folder / ABOUT).exists():
        places.insert(0, folder)
    indexes = []
    for place in places:
        try:
            indexes += [Index.load(place)] if (place / ABOUT).exists() else []
        except InputError as error:
            log.info("built anew, since %s", error)
    alike = [one for one in indexes if one.info.model_checksum == checksum]
    entries = (one.entry(row) for one in alike for row in range(len(one.songs)))
    return Index.build(entries, IndexInfo(checksum, model), folder) if alike else None


@contextmanager
def _client(scheduler: str, workers: int) -> Iterator[Any]:
    """Raises InputError where none answers."""
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise InputError("workers: dask is not installed; pip install 'humfind[scale]'") from error
    settings = {"distributed.scheduler.allowed-failures": TRIES - 1, "distributed.comm.timeouts.connect": "10s"}
    with dask.config.set(settings):
        if scheduler:
            try:
                with Client(scheduler) as client:
                    yield client
            except (OSError, ValueError) as error:
                mend = "see that it runs, or give another --scheduler"
                raise InputError(f"{scheduler}: no Dask scheduler answers ({error}); {mend}") from error
            return
        count = workers or cores()
        cluster = LocalCluster(
            n_workers=count, threads_per_worker=1, dashboard_address=None, memory_limit=0, silence_logs=logging.ERROR,
            env=THREADS,
        )  # fmt: skip
        with cluster, Client(cluster) as client:
            yield client
