"""The commands. Each is thin: it fills config.py's dataclasses, calls the library and prints.

Exit status: 0 done; 2 the user can mend it (one line on stderr); 1 a bug (with its trace); 130 interrupted.
Everything heavy is imported inside the command that needs it, so that ``humfind --help`` is quick.
"""

from __future__ import annotations

import gc
import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from humfind.cli.ending import complaint, interrupted, leave_quietly
from humfind.cli.importers import corpora
from humfind.runtime.printable import printable, say, to_json

if TYPE_CHECKING:
    from humfind.config import F0Config

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Hum ten seconds of a song, get the song.",
)

Data = Annotated[Path, typer.Argument(metavar="DATA", help="a data set in the competition's layout")]
Split = Annotated[str, typer.Option(help="train | public_test | private_test")]
Store = Annotated[
    Path | None, typer.Option("--f0", help="f0 store [default: crepe_freq/<dataset>/<tracker>]", metavar="STORE")
]
Checkpoint = Annotated[
    str,
    typer.Option(
        "--model",
        help="pretrained: the encoder in the package, for any music | a model.safetensors, for data that you trained on"
        " [default: runs/<dataset>/model/; index: pretrained where nothing was trained]",
        metavar="CKPT",
    ),
]
Tracker = Annotated[
    str,
    typer.Option(
        help="torchcrepe | crepe | swiftf0 | pyin | mix [default: the store's, else torchcrepe; of a folder mix]"
    ),
]
Top = Annotated[int, typer.Option(min=1, help="songs to answer")]
AsJson = Annotated[bool, typer.Option("--json", help="machine-readable")]
Plot = Annotated[
    Path | None,
    typer.Option(help="draw the hum on the first song: a PNG, or a folder for several hums", metavar="FILE.png|FOLDER"),
]
Play = Annotated[bool, typer.Option("--play", help="play the place in the first song")]
ADDRESS_SPACE = 3 * 2**30  # bytes, the least in which all libraries load
FEWEST_FILES = 64  # that may be open at once
Ranker = Annotated[str, typer.Option(help="nearest | vote | sequence | dtw | fusion | wavelet [default: fusion]")]


@app.command("demo-data", epilog="Example: humfind demo-data --size tiny --out demo")
def demo_data(
    out: Annotated[Path, typer.Option(help="folder to make")],
    size: Annotated[str, typer.Option(help="tiny | small | full")] = "small",
) -> None:
    """Make the demo data set from old tune books."""
    from humfind.data import demo

    made = demo.make(size, out)
    _show({name: value for name, value in made.items() if not isinstance(value, dict)})


@app.command(epilog="Example: humfind run --data DATA -p preset=small -p steps=600")
def run(
    data: Annotated[Path | None, typer.Option(help="data set [default: the small demo set]")] = None,
    name: Annotated[str, typer.Option(help="results go to runs/<name>/ [default: the data set's name]")] = "",
    notebook: Annotated[list[str] | None, typer.Option(help="only these, by their first letters: 03")] = None,
    parameter: Annotated[list[str] | None, typer.Option("-p", help="notebook parameter, name=value")] = None,
) -> None:
    """Run the notebooks headless."""
    from humfind.notebooks import runner

    with _failing_cell():
        summary = runner.run(data, name, notebook or None, _parameters(parameter))
    say(runner.closing_text(summary))
    say(f"report: {runner.report_of(summary)}")


@app.command(epilog="Example: humfind labs singing -p steps=600")
def labs(
    lab: Annotated[
        str,
        typer.Argument(
            metavar="LAB",
            help="singing: hums by wavelet strings and attention | tags: words to music | similar: sounds by example "
            "| playlist: tracks by their metadata",
        ),
    ],
    data: Annotated[Path | None, typer.Option(help="data set [default: the tiny demo set]")] = None,
    parameter: Annotated[list[str] | None, typer.Option("-p", help="notebook parameter, name=value")] = None,
) -> None:
    """Run the notebook of a wider system."""
    from humfind.notebooks import runner

    with _failing_cell():
        say(f"page: {runner.run_lab(lab, data, _parameters(parameter))}")


@app.command(epilog="Example: humfind f0 DATA --tracker swiftf0 --split public_test")
def f0(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="store [default: crepe_freq/<dataset>/<tracker>]")] = None,
    split: Annotated[list[str] | None, typer.Option(help="only these [default: all that are there]")] = None,
    tracker: Tracker = "",
) -> None:
    """Track the pitch of every recording, resumably."""
    _require_limits()
    from humfind.config import F0Config
    from humfind.data.identity import record
    from humfind.data.zalo import load_split, splits_of
    from humfind.f0.extract import extract
    from humfind.f0.load import default_store
    from humfind.runtime.lock import writing

    config = _f0(tracker) or F0Config()
    splits = split or splits_of(data)
    store = out or default_store(data, config)
    with writing(store):
        if out is None:
            record(store, data)
        for name in splits:
            loaded = load_split(data, name)
            _report_skipped(list(loaded.strays))
            for kind, items in (("song", loaded.songs), ("hum", loaded.hums)):
                done = extract(items, config, store, name, kind)
                say(f"{name}/{kind}: {done}")
                _report_skipped([(skip.path, skip.reason.removeprefix(f"{skip.path}: ")) for skip in done.skipped])
    say(f"f0 store: {store}")


@app.command(epilog="Example: humfind train DATA --steps 2000 --hours 8 --out model")
def train(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="folder [default: runs/<dataset>/model]")] = None,
    store: Store = None,
    preset: Annotated[str, typer.Option(help="small | zalo2021")] = "small",
    encoder: Annotated[str, typer.Option(help="resnet1d, or one that a package adds [default: the preset's]")] = "",
    steps: Annotated[int, typer.Option(min=0, max=10**7, help="batches [default: the preset's]")] = 0,
    seed: Annotated[int, typer.Option(min=0, max=2**63 - 1, help="of the split, the weights and the batches")] = 0,
    device: Annotated[str, typer.Option(help="auto | cpu | gpu")] = "auto",
    processes: Annotated[int, typer.Option(min=1, max=1024, help="that share every batch: one a GPU")] = 1,
    resume: Annotated[bool, typer.Option(help="go on where a training was stopped, or begin anew")] = True,
    hours: Annotated[float, typer.Option(min=0.0, help="stop after so many; 0: no limit")] = 0.0,
) -> None:
    """Train an encoder on the train split."""
    _require_limits()
    from dataclasses import replace

    from humfind.config import PRESETS, require_valid
    from humfind.data.identity import identify, record, run_folder
    from humfind.retrieval.checkpoints import require_training_folder
    from humfind.training.examples import training_examples

    for name, value in (("preset", preset), ("device", device)):
        require_valid(name, value)
    if out is not None:
        require_training_folder(out)
    chosen = PRESETS[preset]
    steps = steps or chosen.train.steps
    settings = replace(chosen.train, steps=steps, seed=seed, device=device, processes=processes)
    examples, skipped, music_ids = training_examples(data, store)
    _report_skipped(skipped)
    from humfind.encoders import with_encoder  # seconds to import: after what can be refused at once
    from humfind.training.tasks.hums import train as train_on

    if out is None:
        out = run_folder(identify(data)) / "model"
        record(out.parent, data)
    config = replace(with_encoder(chosen, encoder) if encoder else chosen, train=settings)
    result = train_on(examples, config, out, resume, music_ids=music_ids, hours=hours)
    best = max(result.history, key=lambda row: row["validation_mrr"])
    figure = f"{best['validation_mrr']:.3f} [{best['low']:.3f}, {best['high']:.3f}]"
    counts = f"({result.validation_hums} hums, {len(result.validation_ids)} songs)"
    say(f"validation MRR@10 {figure} {counts} at step {result.best_step}; checkpoint: {result.checkpoint}")


@app.command(epilog="Example: humfind kaggle --data USER/DATASET --user YOU --out kaggle")
def kaggle(
    data: Annotated[str, typer.Option(help="of the recordings on Kaggle: USER/DATASET, or a competition's name")],
    out: Annotated[Path, typer.Option(help="folder to make")],
    user: Annotated[str, typer.Option(envvar="KAGGLE_USERNAME", help="your Kaggle user name")] = "",
    hours: Annotated[float, typer.Option(help="that a run may take: it trains for what is left")] = 8.0,
    python: Annotated[str, typer.Option(help="of Kaggle's image")] = "3.11",
    wheels: Annotated[bool, typer.Option(help="also of other packages, from the package registry")] = True,
) -> None:
    """Make a folder of kernels and wheels for Kaggle."""
    from humfind.kaggle import folder

    made = folder.write(folder.Plan(data, user, hours, python), out, wheels)
    size = sum(path.stat().st_size for path in made) / 1e6
    say(f"{len(made)} wheels, {size:.0f} MB; what to do next: {out / 'README.md'}")


@app.command(epilog="Example: humfind index ~/Music --model pretrained --out my-music")
def index(
    source: Annotated[
        Path, typer.Argument(metavar="DATA|STORE|FOLDER", help="a data set, an f0 store, or a folder of music")
    ],
    out: Annotated[Path, typer.Option(help="index folder")],
    split: Split = "public_test",
    store: Store = None,
    model: Checkpoint = "",
    tracker: Tracker = "",
    engine: Annotated[
        str, typer.Option(help="what finds neighbours: exact, or for many songs ivfpq (ivf, milvus)")
    ] = "",
    parts: Annotated[
        str, typer.Option(help="melody: to hum at | sound: for tag and similar | tracks: with sound, for playlist")
    ] = "melody",
    table: Annotated[
        Path | None,
        typer.Option(help="with tracks: artist, title, year, genre of files", metavar="CSV"),
    ] = None,
    workers: Annotated[int, typer.Option(min=0, max=1000, help="processes that build it; 0: this one")] = 0,
    scheduler: Annotated[
        str, typer.Option(help="of a Dask cluster that builds it", metavar="ADDRESS", show_default=False)
    ] = "",
) -> None:
    """Build an index of songs, from a data set or a folder; given again, what has not changed is taken over."""
    from humfind.config import INDEX_PARTS, IndexConfig, require_valid
    from humfind.data.importers import track_table
    from humfind.types import InputError

    wanted = [part.strip() for part in parts.split(",")]
    if (workers or scheduler) and "melody" not in wanted:
        raise InputError("--workers and --scheduler build melodies; give --parts melody too, or leave them out")
    for part in wanted:
        require_valid("parts", part)
    if table is not None and "tracks" not in wanted:
        raise InputError(f"{table}: a table is of tracks; give --parts tracks, or sound,tracks")
    _require_limits()
    about = track_table.read(table) if table is not None else None
    for part in (one for one in INDEX_PARTS if one in wanted):
        if part == "melody":
            from humfind.cli.indexing import write_melodies

            made, skipped = write_melodies(
                source, out, split, store, model, _f0(tracker), engine or IndexConfig.engine, workers, scheduler
            )
            said = f"{len(made.music_ids)} songs, {len(made.vectors)} windows of melody"
        elif part == "sound":
            from humfind.retrieval.sound import write_sound

            made, skipped = write_sound(source, out, split)
            said = f"{len(made.music_ids)} songs, {len(made.vectors)} segments of sound"
        else:
            from humfind.retrieval.tracks import write_tracks

            tracks, skipped = write_tracks(source, out, split, about)
            said = f"{len(tracks)} tracks"
        _report_skipped(skipped)
        without = f", {len(skipped)} skipped" if skipped else ""
        say(f"{said}{without}: {out}")


@app.command(epilog="Example: humfind shard my-music --into 4 --out shards")
def shard(
    index: Annotated[Path, typer.Argument(metavar="INDEX", help="index folder")],
    into: Annotated[int, typer.Option(min=1, max=10_000, help="so many indexes")],
    out: Annotated[Path, typer.Option(help="folder for them: 1, 2, ...")],
) -> None:
    """Deal an index's songs to several, one for each machine; a song always falls to the same."""
    from humfind.index import Index, index_folder

    _require_limits()
    places = [index_folder(out / str(number + 1), index) for number in range(into)]
    whole = Index.load(index)
    parts = [whole.shard(number, into) for number in range(into)]
    for part, place in zip(parts, places, strict=True):
        part.save(place)
        say(f"{len(part.music_ids)} songs: {place}")


@app.command(epilog="Example: humfind search hum.m4a --index my-music --plot hum.png")
def search(
    hum: Annotated[list[Path], typer.Argument(metavar="HUM...", help="recordings of hums: wav, mp3, m4a, webm ...")],
    index: Annotated[Path, typer.Option(help="index folder")],
    top: Top = 10,
    as_json: AsJson = False,
    plot: Plot = None,
    play: Play = False,
    model: Checkpoint = "",
    ranker: Ranker = "",
) -> None:
    """Find the song of a hum, or of several: found, one of these, or not here."""
    from humfind.types import InputError

    for path in hum:
        if not path.is_file():
            raise InputError(f"{path}: no such file; give the recording of a hum")
    _require_limits()
    rank = _rank(ranker, top)
    from humfind.cli.searching import answer

    with _uncollected():
        missing = answer(hum, index, model, rank, as_json, plot, play)
    if missing:
        raise typer.Exit(2)


@app.command(epilog="Example: humfind listen --index my-music --seconds 8 --play")
def listen(
    index: Annotated[Path, typer.Option(help="index folder")],
    seconds: Annotated[float, typer.Option(min=2, max=60, help="to record")] = 10,
    top: Top = 10,
    as_json: AsJson = False,
    plot: Plot = None,
    play: Play = False,
    model: Checkpoint = "",
    ranker: Ranker = "",
) -> None:
    """Record a hum from the microphone, and find its song."""
    from humfind.index.parts import read_about

    _require_limits()
    rank = _rank(ranker, top)
    read_about(index)
    from tempfile import TemporaryDirectory

    from humfind.audio.device import record, recorder
    from humfind.cli.searching import answer

    program = recorder()
    with TemporaryDirectory() as folder:
        wav = Path(folder) / "hum.wav"
        say(f"hum now, for {seconds:.0f} s", error=True)
        record(wav, seconds, program)
        missing = answer([wav], index, model, rank, as_json, plot, play)
    if missing:
        raise typer.Exit(2)


@app.command(epilog="Example: humfind tag slow piano --index my-music")
def tag(
    words: Annotated[list[str], typer.Argument(metavar="WORD...", help="tags, or words of titles and artists")],
    index: Annotated[Path, typer.Option(help="index folder that has a sound part")],
    top: Top = 10,
    as_json: AsJson = False,
    model: Annotated[
        str, typer.Option(help="of lab tags, for more words [default: none]", metavar="CKPT", show_default=False)
    ] = "",
) -> None:
    """Find songs by words: genre, instrument, mood, era, voice, tempo, or what they are called."""
    from humfind.index.sound import load_sound

    _require_limits()
    songs = load_sound(index)
    from humfind.cli.searching import answer_words

    with _uncollected():
        answer_words(" ".join(words), songs, top, as_json, model)


@app.command(epilog="Example: humfind similar song.mp3 --at 0:41 --index my-music --map map.html")
def similar(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="a recording of music, or of any sound")],
    index: Annotated[Path, typer.Option(help="index folder that has a sound part")],
    at: Annotated[str, typer.Option(help="the three seconds from there [default: all of it]", metavar="M:SS")] = "",
    top: Top = 10,
    as_json: AsJson = False,
    play: Play = False,
    page: Annotated[
        Path | None,
        typer.Option("--map", help="also write a page that shows the library and plays it", metavar="PAGE.html"),
    ] = None,
) -> None:
    """Find what sounds like a recording, or like a place in it."""
    from humfind.index.sound import load_sound
    from humfind.types import InputError

    if not file.is_file():
        raise InputError(f"{file}: no such file; give a recording")
    start_s = _seconds(at)
    if page is not None and page.suffix.lower() not in (".html", ".htm"):
        raise InputError(f"{page}: not a .html; name one, for example map.html")
    if page is not None and not page.absolute().parent.is_dir():
        raise InputError(f"{page}: its folder is not there; make it first")
    _require_limits()
    songs = load_sound(index)
    from humfind.cli.searching import answer_sound, play_match

    with _uncollected():
        ranking = answer_sound(file, songs, start_s, top, as_json, page)
    if play:
        play_match(ranking, songs)


@app.command(epilog="Example: humfind playlist 'Elf Land' --index my-music --out list.m3u8")
def playlist(
    track: Annotated[list[str], typer.Argument(metavar="TRACK...", help="of the index: ids, titles or files")],
    index: Annotated[Path, typer.Option(help="index folder that has a sound and a tracks part")],
    length: Annotated[int, typer.Option(min=2, max=500, help="tracks, those given among them")] = 20,
    out: Annotated[Path | None, typer.Option(help="also write it for players", metavar="LIST.m3u8")] = None,
    as_json: AsJson = False,
) -> None:
    """Make a playlist from a few tracks: of their kind, in an order in which neighbours fit."""
    from humfind.index.sound import load_sound
    from humfind.index.tracks import load_tracks
    from humfind.types import InputError

    if out is not None and out.suffix.lower() not in (".m3u8", ".m3u"):
        raise InputError(f"{out}: not a .m3u8; name one, for example list.m3u8")
    if out is not None and not out.absolute().parent.is_dir():
        raise InputError(f"{out}: its folder is not there; make it first")
    _require_limits()
    tracks, songs = load_tracks(index), load_sound(index)
    from humfind.cli.searching import answer_playlist

    answer_playlist(track, tracks, songs, length, out, as_json)


@app.command(epilog="Example: humfind experiment task=tracks loss=triplet,arcface steps=200 -m")
def experiment(
    words: Annotated[
        list[str],
        typer.Argument(
            metavar="WORD...",
            help="settings as name=value: task=hums|singing|tags|sounds|tracks and what config.py has "
            "| list | show RUN | compare [RUN...]",
        ),
    ],
    many: Annotated[bool, typer.Option("-m", "--multirun", help="train with every combination of values")] = False,
    store: Annotated[Path | None, typer.Option(help="folder of the runs [default: runs/experiments]")] = None,
    workers: Annotated[int, typer.Option(min=0, max=256, help="runs side by side; 0: one a core")] = 0,
    check: Annotated[bool, typer.Option(help="with show: the figures anew, from the kept checkpoint")] = False,
    as_json: AsJson = False,
) -> None:
    """Train networks with settings of your own, and keep what came of it."""
    from humfind.runtime import paths

    _require_limits()
    folder = store or paths.home() / "runs" / "experiments"
    from humfind.cli import experiments

    if words == ["list"]:
        experiments.listed(folder, as_json)
    elif words[0] == "show" and len(words) == 2:
        experiments.shown(words[1], folder, check, as_json)
    elif words[0] == "compare":
        experiments.compared(words[1:], folder, as_json)
    else:
        experiments.train(words, folder, many, workers, as_json)


@app.command("app", epilog="Example: humfind app --index my-music")
def serve(
    index: Annotated[
        list[Path] | None, typer.Option(help="index folder, or several [default: the tune books]", show_default=False)
    ] = None,
    music: Annotated[
        list[Path] | None,
        typer.Option(help="folder: it, and those below it, can be added from the page", show_default=False),
    ] = None,
    host: Annotated[str, typer.Option(help="address to listen on; beyond loopback a token is asked for")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any that is free")] = 8017,
    token: Annotated[
        str, typer.Option(help="of your own [default: none on loopback, else drawn]", show_default=False)
    ] = "",
    name: Annotated[
        list[str] | None, typer.Option(help="that it is reached by, besides the machine's own", show_default=False)
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option(help="for https, which phones ask for", metavar="PEM", show_default=False)
    ] = None,
    key: Annotated[Path | None, typer.Option(help="of the certificate", metavar="PEM", show_default=False)] = None,
    keep: Annotated[
        Path | None,
        typer.Option(help="folder in which hums are kept, with what was found [default: none is]", show_default=False),
    ] = None,
    json_only: Annotated[bool, typer.Option("--json-only", help="the JSON endpoint without the page")] = False,
    shard: Annotated[
        list[str] | None,
        typer.Option(
            help="another humfind app, of a part of the songs; several are searched as one library",
            metavar="ADDRESS",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Open a library as a page that one hums into."""
    from humfind.runtime import paths
    from humfind.types import InputError

    _require_limits()
    try:
        from humfind.app import run
    except ModuleNotFoundError as error:
        raise InputError(f"app: the package {error.name} is missing; install humfind[app]") from error
    place = run.Place(host, port, token, name or (), certificate, key)
    libraries = run.open_libraries(index or [], music or [], paths.home() / "runs" / "app", shard or [])
    run.serve(libraries, place, not json_only, keep, lambda line: say(line, error=True))


@app.command(epilog="Example: humfind predict DATA --model pretrained --out submission.csv")
def predict(
    data: Data,
    out: Annotated[Path, typer.Option(help="submission.csv; its card is the .json beside it")],
    split: Split = "public_test",
    store: Store = None,
    index: Annotated[Path | None, typer.Option(help="index folder [default: built from the songs]")] = None,
    model: Checkpoint = "",
    ranker: Ranker = "",
    tracker: Tracker = "",
) -> None:
    """Answer every hum: write the submission, tell its MRR."""
    from humfind.retrieval.submission import require_replaceable

    _require_limits()
    require_replaceable(out)
    rank = _rank(ranker)
    from humfind.retrieval.predict import predict as answer

    done = answer(data, split, out, store, index, model, rank, _f0(tracker))
    _report_skipped(done.skipped)
    if done.without_f0:
        hums = "1 hum" if done.without_f0 == 1 else f"{done.without_f0} hums"
        say(f"{hums} without an f0; their rows are the first songs by id", error=True)
    if done.report:
        say(f"{'validation songs of train' if split == 'train' else split}: {done.report}")
        say(f"chance: MRR@10 {done.chance:.3f}")
    say(f"{len(done.rankings)} hums, {len(done.index.music_ids)} songs: {out}")


@app.command(epilog="Example: humfind score submission.csv DATA/public_test/answers.csv")
def score(
    submission: Annotated[Path, typer.Argument(metavar="SUBMISSION", help="a submission.csv")],
    answers: Annotated[
        Path, typer.Argument(metavar="ANSWERS", help="a CSV with the header hum,music_id, or a train_meta.csv")
    ],
) -> None:
    """The MRR of a submission."""
    from humfind import metrics
    from humfind.data.zalo import read_answers
    from humfind.retrieval import submission as submissions

    rows = submissions.read(submission)
    report = submissions.score(rows, read_answers(answers), submissions.songs_of(submission))
    say(report)
    say(f"chance: MRR@10 {metrics.chance(report.songs):.3f}")


@app.command(epilog="Example: humfind doctor")
def doctor() -> None:
    """Tell whether this machine is ready, and what to do where not."""
    from humfind.runtime.doctor import diagnose, look

    diagnosis = diagnose(look())
    say(diagnosis)
    if not diagnosis.fit:
        raise typer.Exit(2)


@app.command(epilog="Example: humfind check DATA --tracker swiftf0")
def check(data: Data, store: Store = None, tracker: Tracker = "") -> None:
    """Look for leaks between train, validation and test."""
    _require_limits()
    from humfind.data.audit import check as look_for_leaks

    report, skipped = look_for_leaks(data, store, _f0(tracker))
    _report_skipped(skipped)
    say(report)
    if report.leaks:
        raise typer.Exit(2)


app.add_typer(corpora, name="import")


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="show the version and leave", is_eager=True)] = False,
    verbose: Annotated[
        int,
        typer.Option(
            "-v", "--verbose", count=True, show_default=False, help="tell counts; -vv more (or HUMFIND_LOG=info)"
        ),
    ] = 0,
) -> None:
    from humfind.runtime import logs

    try:
        logs.set_up(verbose)
    except logs.UnknownLevelError as error:
        from humfind.types import InputError

        raise InputError(str(error)) from error
    if version:
        from humfind import __version__

        say(f"humfind {__version__}")
        raise typer.Exit


def main() -> None:
    """The ``humfind`` command."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller: what is said goes nowhere
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
    if isinstance(sys.stdout, io.TextIOWrapper):  # a name that the terminal cannot show, or that is no text
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = app(prog_name="humfind", standalone_mode=False)
        sys.stdout.flush()
        sys.exit(status)
    except KeyboardInterrupt:
        leave_quietly(130)
    except BrokenPipeError:  # whoever read what is printed has seen enough
        leave_quietly(0)
    except Exception as error:
        if interrupted(error):
            leave_quietly(130)
        message = complaint(error)
        if message is not None:
            say(message, error=True)
            sys.exit(2)
        traceback.print_exc()
        sys.exit(1)


@contextmanager
def _uncollected() -> Iterator[None]:
    """No garbage is looked for: one answer, and the process ends. What was imported and read is not looked through at
    its end either, which would delay the prompt."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _parameters(given: list[str] | None) -> dict[str, str]:
    """``name=value`` of each ``-p``."""
    from humfind.types import InputError

    parts = [item.partition("=") for item in given or []]
    for left, equals, _ in parts:
        if not equals:
            raise InputError(f"-p {left}: not name=value; write for example -p steps=200")
    return {left: right for left, _, right in parts}


@contextmanager
def _failing_cell() -> Iterator[None]:
    """A notebook that fails shows its cell, its error and nothing else."""
    from humfind.notebooks.runner import NotebookError

    try:
        yield
    except NotebookError as error:
        say(error, error=True)
        raise typer.Exit(1) from error


def _f0(tracker: str) -> F0Config | None:
    """The asked-for tracker's configuration; None where it was not asked for."""
    from humfind.config import F0Config

    return F0Config(tracker=tracker) if tracker else None


def _require_limits() -> None:
    """Under a small ``ulimit -v`` the libraries of linear algebra ask for memory without end; under a small
    ``ulimit -n`` onnxruntime complains on its own. Raises InputError."""
    from humfind.runtime.limits import limit
    from humfind.types import InputError

    space = limit("RLIMIT_AS")
    if space is not None and space < ADDRESS_SPACE:
        had, needed = space // 2**20, ADDRESS_SPACE // 2**20
        raise InputError(f"memory: {had} MiB of address space are too few; set ulimit -v to {needed * 1024} or more")
    files = limit("RLIMIT_NOFILE")
    if files is not None and files < FEWEST_FILES:
        raise InputError(f"files: only {files} may be open at once; set ulimit -n to {FEWEST_FILES} or more")


def _rank(ranker: str, top: int = 10) -> Any:
    from humfind.config import RANKER_NAMES, RankConfig
    from humfind.runtime import plugins
    from humfind.types import InputError, did_you_mean

    known = plugins.names("rankers", dict.fromkeys(RANKER_NAMES))
    if ranker not in ("", *known):
        raise InputError(f"ranker {ranker}: unknown; choose one of {', '.join(known)}{did_you_mean(ranker, known)}")
    return RankConfig(ranker=ranker or RankConfig.ranker, top=top)


def _show(values: Any) -> None:
    print(to_json(values))


def _report_skipped(skipped: list[tuple[str, str]]) -> None:
    for path, reason in skipped[:10]:
        say(f"skipped: {printable(path)}: {printable(reason)}", error=True)
    if len(skipped) > 10:
        say(f"skipped: {len(skipped) - 10} more", error=True)


def _seconds(at: str) -> float | None:
    """``41``, ``0:41`` and ``1:02:03`` in seconds; None where nothing was asked for. Raises InputError."""
    from humfind.types import InputError

    if not at:
        return None
    parts = at.split(":")
    if not at.isascii() or not all(part.replace(".", "", 1).isdigit() for part in parts) or len(parts) > 3:
        raise InputError(f"--at {at}: no place in a recording; write for example 0:41")
    seconds = 0.0
    for part in parts:
        seconds = 60 * seconds + float(part)
    return seconds
