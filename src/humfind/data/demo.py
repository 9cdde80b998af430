"""The embedded data set: printed tunes, played and hummed by ``synth``, in the competition's layout.

    OUT/train/train_meta.csv, train/{song,hum}/NNNN.mp3          excerpts, 1-8 hums a song
    OUT/public_test/full_song/<music_id>.mp3, hum/NNNN.mp3       full songs; hums start anywhere in them
    OUT/public_test/answers.csv                                  hum,music_id
    OUT/songs.csv, credits.csv, demo.json                        titles; who typed them in; what was made

What goes where is planned in ``demo_plan.py``. Files are written under another name, then renamed; those that are there
are kept, and demo.json is written last, so that a killed run goes on where it stopped.
"""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from humfind.config import DEMO_SIZES, DemoConfig
from humfind.data import tunebooks
from humfind.data.abc import Tune
from humfind.data.demo_plan import Job, SongPlan, plan_files, plan_songs, rng_of
from humfind.data.identity import DEMO_MARKER as MARKER
from humfind.runtime.cores import end_on_interrupt
from humfind.runtime.files import ENDING, atomic_write, remove_partial_files
from humfind.runtime.lock import writing
from humfind.synth import hum as hummer
from humfind.synth import song as band
from humfind.synth import voice
from humfind.synth.soundfont import Soundfont
from humfind.types import Floats, InputError

PARTIAL = "demo.partial.json"  # what is being made, until the marker is there
LONGEST_WAIT_S = 0.8  # song seconds of silence that a hummer keeps; an interlude is not waited for
PARALLEL_FROM = 48  # files: below that, starting workers takes longer than making them
FORMAT = 4  # of the marker, and of what the synthesis sounds like: raise it when the bytes change


def make(
    size: str,
    out: Path,
    seed: int | None = None,
    workers: int | None = None,
    config: DemoConfig | None = None,
) -> dict[str, Any]:
    """Make the data set of this size in ``out``; what is there already is kept. Returns the summary of demo.json.

    Raises InputError for an unknown size, when ``out`` holds a data set made otherwise, when another process
    makes it, when the soundfont is not installed, and when the disk is full.
    """
    if size not in DEMO_SIZES and config is None:
        raise InputError(f"size {size!r}: unknown; choose one of {', '.join(DEMO_SIZES)}")
    config = config or DEMO_SIZES[size]
    if seed is not None:
        config = replace(config, seed=seed)
    wanted = json.loads(json.dumps({"format": FORMAT, "size": size, "config": asdict(config)}))
    out = Path(out)
    if made := _finished(out, wanted):
        return made
    with writing(out):
        return _finished(out, wanted) or _make(config, out, wanted, workers or min(os.cpu_count() or 1, 8))


def _make(config: DemoConfig, out: Path, wanted: dict[str, Any], workers: int) -> dict[str, Any]:
    try:
        Soundfont()
    except ModuleNotFoundError as error:
        raise InputError(f"the demo set: {error}; pip install --no-deps pretty_midi tinysoundfont") from error
    out.mkdir(parents=True, exist_ok=True)
    _write_text(out / PARTIAL, json.dumps(wanted, indent=2))
    books = tunebooks.read_books(tunebooks.AIRD_1 if config.books == "aird1" else None)
    tunes = books.merged
    songs, chosen = plan_songs(tunes, config)
    jobs, meta, answers = plan_files(songs, config)
    tables = {
        "songs.csv": (("music_id", "title", "book", "number", "transcriber"), _titles(songs, chosen)),
        "credits.csv": (("transcriber", "book", "tunes"), _credits(chosen)),
        "train/train_meta.csv": (("music_id", "song_path", "hum_path"), meta),
        "public_test/answers.csv": (("hum", "music_id"), answers),
    }
    _sweep(out, [MARKER, PARTIAL, *tables, *(job.path for job in jobs)])
    for name, (header, rows) in tables.items():
        _write_csv(out / name, header, rows)
    seconds = _make_files(jobs, out, workers)
    summary = wanted | {
        "tunes_read": len(books.tunes),
        "tunes_lost": books.lost,
        "duplicates_merged": len(books.tunes) - len(tunes),
        "train_songs": sum(s.split == "train" for s in songs),
        "train_hums": len(meta),
        "public_songs": sum(s.split == "public_test" for s in songs),
        "public_hums": len(answers),
        "audio_s": round(seconds, 1),
    }
    _write_text(out / MARKER, json.dumps(summary, indent=2) + "\n")
    (out / PARTIAL).unlink(missing_ok=True)
    return summary


def ensure(size: str = "small") -> Path:
    """The folder of the embedded data set of this size, made first where it is missing: data/demo-SIZE."""
    from humfind.runtime.paths import home

    out = home() / "data" / f"demo-{size}"
    make(size, out)
    return out


def _finished(out: Path, wanted: dict[str, Any]) -> dict[str, Any] | None:
    for name in (MARKER, PARTIAL):
        path = out / name
        if not path.is_file():
            continue
        try:
            found = json.loads(path.read_text())
        except json.JSONDecodeError as error:
            raise InputError(f"{path}: not JSON ({error}); delete {out} and make it again") from error
        if any(found.get(key) != value for key, value in wanted.items()):
            raise InputError(
                f"{out}: holds a demo set of another size, seed or version; choose another folder or delete it"
            )
        if name == MARKER and (out / PARTIAL).exists():  # a kill came between the two
            (out / PARTIAL).unlink(missing_ok=True)
        return found if name == MARKER else None
    if out.is_dir() and any(not path.name.endswith(ENDING) for path in out.iterdir()):
        raise InputError(f"{out}: is not empty and holds no demo set; choose another folder")
    return None


def _sweep(out: Path, names: Sequence[str]) -> None:
    """Remove the halves of these files; whatever else lies there is somebody's."""
    written: dict[Path, set[str]] = {}
    for name in names:
        written.setdefault((out / name).parent, set()).add(Path(name).name)
    for folder, own in written.items():
        remove_partial_files(folder, own.__contains__)


def _make_files(jobs: list[Job], out: Path, workers: int) -> float:
    """Make what is missing; returns the seconds of audio of all files."""
    from tqdm import tqdm

    for folder in {(out / job.path).parent for job in jobs}:
        folder.mkdir(parents=True, exist_ok=True)
    seconds = 0.0
    with tqdm(total=len(jobs), desc="making the demo set", unit="file", mininterval=0.5) as bar:
        for length_s in _run(jobs, out, workers):
            seconds += length_s
            bar.set_postfix_str(f"{seconds / 60:.1f} min of audio", refresh=False)
            bar.update()
    return seconds


def _run(jobs: list[Job], out: Path, workers: int) -> Iterator[float]:
    if workers == 1 or len(jobs) < PARALLEL_FROM:
        yield from (_make_file(job, out) for job in jobs)
        return
    from joblib import Parallel, delayed  # its workers also start from notebooks and unguarded scripts

    parallel = Parallel(workers, return_as="generator", batch_size=4, initializer=end_on_interrupt)
    made = parallel(delayed(_make_file)(job, out) for job in jobs)
    yield from made


def _make_file(job: Job, out: Path) -> float:
    """Make one recording, unless it is there. Returns its length in seconds."""
    import soundfile

    path = out / job.path
    if not path.is_file():
        samples, rate_hz = _sound(job)
        atomic_write(path, encode_mp3(samples, rate_hz, job.bitrate_kbps), str(os.getpid()))
    return float(soundfile.info(path).duration)


def _sound(job: Job) -> tuple[Floats, int]:
    song = job.song
    whole = band.arrange(song.melody, rng_of(job.seed, "arrange", song.number), job.song_config, song.length_s)
    rng = rng_of(job.seed, job.kind, job.number)
    if job.kind == "full":
        return band.render(whole, rng, job.song_config), job.song_config.rate_hz
    if job.kind == "excerpt":
        assert song.excerpt is not None
        piece = whole.between(*song.excerpt)
        config = job.song_config
        return band.render(piece, rng, config, config.excerpt_accompaniment_db), config.rate_hz
    return _hum_sound(job, whole, rng), job.hummer_config.rate_hz


def _hum_sound(job: Job, whole: band.Arrangement, rng: np.random.Generator) -> Floats:
    """As many notes from the start on as fill the hum's length at the hummer's tempo."""
    low, high = job.hummer_config.tempo_ratio
    ratio = float(np.exp(rng.uniform(np.log(low), np.log(high))))
    config = replace(job.hummer_config, tempo_ratio=(ratio, ratio))
    lead = whole.lead.without_waits(LONGEST_WAIT_S)
    wait_s = whole.lead.start_s - lead.start_s  # that much earlier each note comes without them
    asked = job.start_s - float(np.interp(job.start_s, whole.lead.start_s, wait_s))
    latest = max(0.0, float(lead.end_s[-1]) - job.length_s / ratio)
    first = int(np.searchsorted(lead.start_s, min(asked, latest)))
    first = min(first, len(lead) - 1)
    start = float(lead.start_s[first])
    notes = lead.between(start, start + job.length_s / ratio)
    performance = hummer.perform(notes, rng, config)
    sound = voice.render(performance, rng, config)
    lead_in = 0.002 * rng.standard_normal(int(rng.uniform(0.0, 0.5) * config.rate_hz))
    return np.concatenate([lead_in.astype(np.float32), sound])


def encode_mp3(samples: Floats, rate_hz: int, bitrate_kbps: int) -> bytes:
    """(n,) float32 within [-1, 1] -> an mp3 file; the same bytes every time."""
    import lameenc

    encoder = lameenc.Encoder()
    encoder.set_bit_rate(bitrate_kbps)
    encoder.set_in_sample_rate(rate_hz)
    encoder.set_channels(1)
    encoder.set_quality(5)
    encoder.silence()
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    return bytes(encoder.encode(pcm) + encoder.flush())


def _titles(songs: list[SongPlan], tunes: list[Tune]) -> list[tuple[str, ...]]:
    return [(s.music_id, t.title, t.book, t.number, t.transcriber) for s, t in zip(songs, tunes, strict=True)]


def _credits(tunes: list[Tune]) -> list[tuple[str, ...]]:
    counts: dict[tuple[str, str], int] = {}
    for tune in tunes:
        counts[tune.transcriber, tune.book] = counts.get((tune.transcriber, tune.book), 0) + 1
    return [(who, book, str(n)) for (who, book), n in sorted(counts.items())]


def _write_csv(path: Path, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([header, *rows])
    path.parent.mkdir(parents=True, exist_ok=True)
    _write_text(path, text.getvalue())


def _write_text(path: Path, text: str) -> None:
    atomic_write(path, text.encode(), str(os.getpid()))
