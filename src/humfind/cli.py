"""The commands. Each is thin: it fills config.py's dataclasses, calls the library and prints.

Exit status: 0 done; 2 the user can mend it (one line on stderr); 1 a bug (with its trace); 130 interrupted.
Everything heavy is imported inside the command that needs it, so that ``humfind --help`` is quick.
"""

from __future__ import annotations

import json
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from humfind.config import F0Config

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
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
    str, typer.Option("--model", help="model.safetensors [default: runs/<dataset>/model/]", metavar="CKPT")
]
Tracker = Annotated[str, typer.Option(help="torchcrepe | swiftf0 [default: as the store was made, else torchcrepe]")]
Ranker = Annotated[str, typer.Option(help="nearest | vote [default: config.py's]")]


@app.command("demo-data")
def demo_data(
    out: Annotated[Path, typer.Option(help="folder to make")],
    size: Annotated[str, typer.Option(help="tiny | small | full")] = "small",
) -> None:
    """Make the demo data set from the tune books that music21 carries."""
    from humfind.data import demo

    made = demo.make(size, out)
    _show({name: value for name, value in made.items() if not isinstance(value, dict)})


@app.command()
def run(
    data: Annotated[Path | None, typer.Option(help="data set [default: the small demo set]")] = None,
    name: Annotated[str, typer.Option(help="results go to runs/<name>/ [default: the data set's name]")] = "",
    notebook: Annotated[list[str] | None, typer.Option(help="only these, by their first letters: 03")] = None,
    parameter: Annotated[list[str] | None, typer.Option("-p", help="notebook parameter, name=value")] = None,
) -> None:
    """Run the five notebooks headless."""
    from humfind import runner
    from humfind.types import InputError

    given = [item.partition("=") for item in parameter or []]
    for left, equals, _ in given:
        if not equals:
            raise InputError(f"-p {left}: not name=value; write for example -p steps=200")
    try:
        summary = runner.run(data, name, notebook or None, {left: right for left, _, right in given})
    except runner.NotebookError as error:  # its message is the failing cell, its error and nothing else
        print(error, file=sys.stderr)
        raise typer.Exit(1) from error
    print(runner.closing_text(summary))
    print(f"report: {runner.report_of(summary)}")


@app.command()
def f0(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="store [default: crepe_freq/<dataset>/<tracker>]")] = None,
    split: Annotated[list[str] | None, typer.Option(help="only these [default: all that are there]")] = None,
    tracker: Tracker = "",
) -> None:
    """Track the pitch of every recording into an f0 store; goes on where it was stopped."""
    from humfind.config import F0Config
    from humfind.data.zalo import SPLITS, load_split
    from humfind.f0.extract import extract
    from humfind.predict import default_store
    from humfind.types import InputError

    config = _f0(tracker) or F0Config()
    store = out or default_store(data, config)
    splits = split or [name for name in SPLITS if (data / name).is_dir()]
    if not splits:
        raise InputError(f"{data}: no {', '.join(SPLITS)} in it; give a data set in the competition's layout")
    for name in splits:
        loaded = load_split(data, name)
        for kind, items in (("song", loaded.songs), ("hum", loaded.hums)):
            print(f"{name}/{kind}: {extract(items, config, store, name, kind)}")
    print(f"f0 store: {store}")


@app.command()
def train(
    data: Data,
    out: Annotated[Path | None, typer.Option(help="folder [default: runs/<dataset>/model]")] = None,
    store: Store = None,
    preset: Annotated[str, typer.Option(help="small | zalo2021")] = "small",
    steps: Annotated[int, typer.Option(help="batches [default: the preset's]")] = 0,
    seed: Annotated[int, typer.Option(help="of the split, the weights and the batches")] = 0,
    device: Annotated[str, typer.Option(help="auto | cpu | gpu")] = "auto",
) -> None:
    """Train an encoder on the train split; goes on where it was stopped."""
    from dataclasses import replace

    from humfind.config import PRESETS
    from humfind.predict import default_model, training_takes
    from humfind.training.train import train as train_on
    from humfind.types import InputError

    if preset not in PRESETS:
        raise InputError(f"preset {preset}: unknown; choose one of {', '.join(PRESETS)}")
    chosen = PRESETS[preset]
    settings = replace(chosen.train, steps=steps or chosen.train.steps, seed=seed, device=device)
    takes, skipped = training_takes(data, store)
    _tell_skipped(skipped)
    result = train_on(takes, replace(chosen, train=settings), out or default_model(data).parent)
    best = max((row["validation_mrr"] for row in result.history), default=float("nan"))
    print(f"validation MRR@10 {best:.3f} at step {result.best_step}; checkpoint: {result.checkpoint}")


@app.command()
def index(
    source: Annotated[Path, typer.Argument(metavar="DATA|STORE|FOLDER", help="a data set, an f0 store, or audio")],
    out: Annotated[Path, typer.Option(help="index folder")],
    split: Split = "public_test",
    store: Store = None,
    model: Checkpoint = "",
    tracker: Tracker = "",
) -> None:
    """Build the index of a data set's songs, of an f0 store's, or of a folder of audio."""
    from humfind.predict import index_of

    made, skipped = index_of(source, split, store, model, _f0(tracker))
    _tell_skipped(skipped)
    made.save(out)
    print(f"{len(made.music_ids)} songs, {len(made.engine)} windows: {out}")


@app.command()
def search(
    hum: Annotated[Path, typer.Argument(metavar="HUM", help="a recording of a hum, wav, mp3, ogg, flac ...")],
    index: Annotated[Path, typer.Option(help="index folder")],
    top: Annotated[int, typer.Option(min=1, help="songs to answer")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="machine-readable")] = False,
    model: Checkpoint = "",
    ranker: Ranker = "",
) -> None:
    """Find the song of one hum."""
    from humfind.predict import search_file

    found, ranking = search_file(hum, index, model, _rank(ranker, top))
    if as_json:
        from dataclasses import asdict

        _show({"query": ranking.query, "answers": [asdict(answer) for answer in ranking.answers]})
        return
    from humfind.predict import table_of

    print(table_of(ranking, found))


@app.command()
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
    """Answer every hum of a split: write the submission, print its MRR where answers exist."""
    from humfind.predict import predict as answer

    done = answer(data, split, out, store, index, model, _rank(ranker), _f0(tracker))
    _tell_skipped(done.skipped)
    if done.report:
        print(f"{split}: {done.report}")
        print(f"chance: MRR@10 {done.chance:.3f}")
    print(f"{len(done.rankings)} hums, {len(done.index.music_ids)} songs: {out}")


@app.command()
def score(
    submission: Annotated[Path, typer.Argument(metavar="SUBMISSION", help="a submission.csv")],
    answers: Annotated[Path, typer.Argument(metavar="ANSWERS", help="a CSV with the header hum,music_id")],
) -> None:
    """The MRR of a submission."""
    from humfind import metrics
    from humfind import submission as submissions
    from humfind.data.zalo import read_answers

    songs = submissions.read_card(submission)["songs"] if submissions.card_path(submission).is_file() else None
    report = submissions.score(submissions.read(submission), read_answers(answers), songs)
    print(report)
    print(f"chance: MRR@10 {metrics.chance(report.songs):.3f}")


@app.callback(invoke_without_command=True)
def version(
    show: Annotated[bool, typer.Option("--version", help="show the version and leave", is_eager=True)] = False,
) -> None:
    if show:
        from humfind import __version__

        print(f"humfind {__version__}")
        raise typer.Exit


def main() -> None:
    """The ``humfind`` command."""
    try:
        app()
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from humfind.types import InputError

        if isinstance(error, InputError):
            print(f"humfind: {' '.join(str(error).split())}", file=sys.stderr)
            sys.exit(2)
        traceback.print_exc()
        sys.exit(1)


def _f0(tracker: str) -> F0Config | None:
    """The asked-for tracker's configuration; None where it was not asked for."""
    from humfind.config import F0Config

    return F0Config(tracker=tracker) if tracker else None


def _rank(ranker: str, top: int = 10) -> Any:
    from humfind.config import RankConfig

    return RankConfig(ranker=ranker or RankConfig.ranker, top=top)


def _show(values: Any) -> None:
    print(json.dumps(values, indent=2, ensure_ascii=False, default=str))


def _tell_skipped(skipped: list[tuple[str, str]]) -> None:
    for path, reason in skipped[:10]:
        print(f"without f0: {path}: {reason}", file=sys.stderr)
    if len(skipped) > 10:
        print(f"without f0: {len(skipped) - 10} more", file=sys.stderr)
