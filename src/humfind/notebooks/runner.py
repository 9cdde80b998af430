"""The notebooks, headless: parameters checked, run in order, kept with their HTML, summed up.

papermill runs a notebook and keeps its executed copy; what it does not do is refuse a parameter that no
notebook has, and show a failure in one screen. Both are here.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from humfind.config import require_valid
from humfind.data.identity import identify, record, run_folder
from humfind.data.zalo import require_no_split
from humfind.notebooks.report import INDEX, write_index, write_page
from humfind.retrieval.checkpoints import PRETRAINED
from humfind.runtime import limits, paths, plugins
from humfind.runtime.files import atomic_write_json
from humfind.runtime.lock import writing
from humfind.types import InputError, did_you_mean

SUITE = ("01_crepe_transform", "02_eda", "03_train", "04_infer", "05_rank", "06_hum_yourself")
LABS = ("singing", "tags", "similar", "playlist")  # notebooks/labs, each by itself
WITHOUT_TRAIN = ("01_crepe_transform", "06_hum_yourself")
SOURCE_LINES, TRACE_LINES = 12, 16  # of a failing cell, shown
COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class NotebookError(RuntimeError):
    """A notebook's cell failed: a bug, unless the cell raised an InputError."""


def parameters_of(notebook: Path) -> dict[str, str]:
    """Each parameter of a notebook with its default, as written in the cell tagged ``parameters``."""
    import papermill

    return {name: str(found["default"]) for name, found in papermill.inspect_notebook(str(notebook)).items()}


def choose_parameters(notebooks: Sequence[Path], given: Mapping[str, str]) -> list[dict[str, Any]]:
    """What each notebook is given: the parameters that it has. One that no notebook has is refused."""
    known = [parameters_of(notebook) for notebook in notebooks]
    unknown = sorted(set(given) - {name for parameters in known for name in parameters})
    if unknown:
        names = sorted({name for parameters in known for name in parameters})
        listed, meant = ", ".join(names), did_you_mean(unknown[0], names)
        raise InputError(f"{', '.join(unknown)}: no notebook of this run has that parameter; they have {listed}{meant}")
    chosen = [{name: typed(given[name], own[name], name) for name in given if name in own} for own in known]
    for name, value in {name: value for own in chosen for name, value in own.items()}.items():
        require_valid(name, value, plugins.others(f"{name}s"))
    require_checkpoint(given.get("checkpoint", ""))
    return chosen


def typed(text: str, default: str, name: str) -> Any:
    """The value that ``text`` spells, of the type that the parameter's default has."""
    import ast

    like = ast.literal_eval(default)
    if isinstance(like, str):
        return text
    try:
        value = ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        value = None
    if isinstance(like, float) and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if type(value) is not type(like):
        raise InputError(f"{name}={text:.60}: expected a {type(like).__name__} like {default}")
    return value


def require_train(data: Path, notebooks: Sequence[str]) -> None:
    """Raises InputError where a notebook that is asked for needs training pairs and the data set has none."""
    from humfind.f0.load import open_store

    wanting = [name for name in notebooks if name not in WITHOUT_TRAIN]
    if wanting and "train" not in open_store(data).splits(data):
        mend = f"answer its hums without training: humfind predict {data} --model pretrained --out submission.csv"
        raise InputError(f"{data}: has no train/, which {wanting[0]} needs; {mend}")


def require_checkpoint(checkpoint: str) -> None:
    """Raises InputError where a notebook would look for a model in vain."""
    if checkpoint and checkpoint != PRETRAINED and not Path(checkpoint).is_file():
        mend = f"give a model.safetensors, {PRETRAINED}, or nothing for the run's own"
        raise InputError(f"checkpoint={checkpoint}: no such file; {mend}")


def run(
    data: Path | None = None,
    name: str = "",
    notebooks: Sequence[str] | None = None,
    parameters: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Run the suite, or the notebooks named by their first letters, into ``runs/<name>/``.

    data: a data set in the competition's layout; None makes and takes the small demo set. name: the run's;
    the data set's by default. parameters: notebook parameters as text. Returns the summary that is also
    written to ``summary.json``. Raises InputError for what the user can mend, NotebookError for a bug.
    """
    home = paths.home()
    sources = [paths.notebooks() / f"{stem}.ipynb" for stem in choose_notebooks(notebooks)]
    asked = dict(parameters or {})
    for parameter, option in (("data", "--data"), ("run_dir", "--name")):
        if parameter in asked:
            raise InputError(f"{parameter}={asked[parameter]}: is given as {option}, not as a parameter")
    if (checkpoint := asked.get("checkpoint")) and checkpoint != PRETRAINED:
        asked["checkpoint"] = str(Path(checkpoint).absolute())  # notebooks run in a folder of their own
    if hum := asked.get("hum"):
        if not Path(hum).is_file():
            raise InputError(f"hum={hum}: no such file; give a recording, or nothing for a hum of the data set")
        asked["hum"] = str(Path(hum).absolute())
    choose_parameters(sources, asked)  # refused before anything is made
    if data is None:
        from humfind.data.demo import ensure

        data = ensure("small")
    if not data.is_dir():
        raise InputError(f"{data}: no such data set; give a folder in the competition's layout, or none for the demo")
    require_no_split(data)
    require_train(data, [source.stem for source in sources])
    if name and (Path(name).name != name or name in (".", "..")):
        raise InputError(f"--name {name}: the name of a folder in runs/, not a path; choose letters, digits and dashes")
    folder = home / "runs" / name if name else run_folder(identify(data))
    name = folder.name
    given = {"data": str(data.resolve()), "run_dir": str(folder), **asked}
    chosen = choose_parameters(sources, given)
    about = {"run": name, "data": data.name, "parameters": dict(parameters or {})}
    with writing(folder):
        record(folder, data)
        return _run(folder, sources, chosen, about)


def run_lab(lab: str, data: Path | None = None, parameters: Mapping[str, str] | None = None) -> Path:
    """Run one of ``LABS`` on a data set (default: the tiny demo set) into ``runs/<data>-<lab>/``; its page.

    Raises InputError for what the user can mend, NotebookError for a bug.
    """
    if lab not in LABS:
        raise InputError(f"lab {lab}: unknown; choose one of {', '.join(LABS)}{did_you_mean(lab, LABS)}")
    source = paths.notebooks() / "labs" / f"{lab}.ipynb"
    asked = dict(parameters or {})
    for parameter in ("data", "run_dir"):
        if parameter in asked:
            raise InputError(f"{parameter}={asked[parameter]}: is no parameter of a lab; give the data set as --data")
    if covers := asked.get("covers"):
        if not Path(covers).is_file():
            raise InputError(f"covers={covers}: no such file; give a CSV with the header clique,track,path")
        asked["covers"] = str(Path(covers).absolute())
    if table := asked.get("table"):
        paths_given = [Path(name.strip()) for name in table.split(",")]
        if missing := [path for path in paths_given if not path.exists()]:
            raise InputError(f"table={missing[0]}: no such file or folder; name a table that is there")
        asked["table"] = ",".join(str(path.absolute()) for path in paths_given)
    if networks := asked.get("networks"):
        pairs = [one.strip().partition(":") for one in networks.split(",")]
        if not all(place for _, _, place in pairs):
            raise InputError(f"networks={networks:.60}: where weights are is missing; give them as encodec:FOLDER")
        asked["networks"] = ",".join(f"{name}:{Path(place).absolute()}" for name, _, place in pairs)
    if sounds := asked.get("sounds"):
        if not Path(sounds).is_dir():
            raise InputError(f"sounds={sounds}: no such folder; give one of recordings")
        asked["sounds"] = str(Path(sounds).absolute())
    choose_parameters([source], asked)
    if data is None:
        from humfind.data.demo import ensure

        data = ensure("tiny")
    if not data.is_dir():
        raise InputError(f"{data}: no such data set; give a folder in the competition's layout, or none for the demo")
    base = run_folder(identify(data))
    folder = base.with_name(f"{base.name}-{lab}")
    (chosen,) = choose_parameters([source], {"data": str(data.resolve()), "run_dir": str(folder), **asked})
    with writing(folder):
        record(folder, data)
        (folder / "html").mkdir(parents=True, exist_ok=True)
        print(lab, flush=True)
        execute(source, folder / source.name, chosen)
    return folder / "html" / f"{lab}.html"


def _run(
    folder: Path, sources: Sequence[Path], chosen: Sequence[Mapping[str, Any]], about: Mapping[str, Any]
) -> dict[str, Any]:
    (folder / "html").mkdir(parents=True, exist_ok=True)
    summary: dict[str, Any] = {**about, "notebooks": {}}
    started = time.perf_counter()
    running = {source.stem for source in sources}
    pages = [stem for stem in SUITE if stem in running or (folder / "html" / f"{stem}.html").is_file()]
    for source, own in zip(sources, chosen, strict=True):
        print(f"{source.stem}", flush=True)
        seconds = execute(source, folder / source.name, own, pages)
        summary["notebooks"][source.stem] = {"seconds": round(seconds, 1), "html": f"html/{source.stem}.html"}
    summary["seconds"] = round(time.perf_counter() - started, 1)
    summary["peak_memory_gb"] = round(limits.peak_memory_gb() or float("nan"), 2)
    for part in sorted((folder / "results").glob("*.json")):
        summary[part.stem] = json.loads(part.read_text())
    atomic_write_json(folder / "summary.json", summary)
    write_index(folder / "html", summary, pages)
    return summary


def report_of(summary: Mapping[str, Any]) -> Path:
    """The first page of a run's report."""
    return paths.home() / "runs" / str(summary["run"]) / "html" / INDEX


def closing_text(summary: Mapping[str, Any]) -> str:
    """The MRR table of a run, and where its report lies."""
    lines = [f"{'':12}  {'':8}  {'MRR@10':22}  {'top-1':22}  {'top-10':22}  hums  songs"]
    for trial, by_ranker in summary.get("ranking", {}).items():
        chance = next(iter(by_ranker.values()))["chance_mrr"]
        lines.append(f"{trial:12}  {'chance':8}  {chance:.3f}")
        for ranker, found in by_ranker.items():
            cells = (
                f"{found[name]['value']:.3f} [{found[name]['low']:.3f}, {found[name]['high']:.3f}]"
                for name in ("mrr", "top1", "top10")
            )
            counts = f"{found['queries']:4}  {found['songs']:5}"
            lines.append(f"{trial:12}  {ranker:8}  {'  '.join(f'{cell:22}' for cell in cells)}  {counts}")
    minutes, seconds = divmod(round(summary["seconds"]), 60)
    lines.append("In brackets: 95 % bootstrap intervals over hums.")
    lines.append(f"{minutes} min {seconds} s, at most {summary['peak_memory_gb']} GB in one process.")
    return "\n".join(lines)


def choose_notebooks(asked: Sequence[str] | None) -> list[str]:
    """The suite's notebooks that begin with each of ``asked`` ("03" is 03_train), in the suite's order."""
    if not asked:
        return list(SUITE)
    for start in asked:
        if not start or not any(stem.startswith(start) for stem in SUITE):
            raise InputError(f"{start or repr(start)}: no such notebook; the suite has {', '.join(SUITE)}")
    return [stem for stem in SUITE if any(stem.startswith(start) for start in asked)]


def execute(source: Path, out: Path, parameters: Mapping[str, Any], pages: Sequence[str] = ()) -> float:
    """Run one notebook into ``out`` and ``html/`` beside it; the source stays untouched. pages: of the report, which
    are linked. Returns seconds."""
    import papermill
    from papermill.exceptions import PapermillExecutionError

    started = time.perf_counter()
    try:
        papermill.execute_notebook(
            str(source),
            str(out),
            parameters=dict(parameters),
            kernel_name="python3",
            extra_arguments=["--log-level=50"],  # else the kernel warns at each start, and of each interrupt
            progress_bar=True,
            stdout_file=None,
            cwd=str(out.parent),
        )
    except PapermillExecutionError as error:
        screen = failure_screen(error, source, out)
        if error.ename == "InputError":
            raise InputError(f"{source.name}: {error.evalue}") from error
        raise NotebookError(screen) from error
    finally:
        if out.exists():
            calm(out)
            write_page(out, out.parent / "html" / f"{out.stem}.html", pages)
    return time.perf_counter() - started


def failure_screen(error: Any, source: Path, out: Path) -> str:
    """The failing cell and its error, short enough to be seen at once."""
    cell = str(error.source).strip().splitlines()
    if len(cell) > SOURCE_LINES:
        cell = [*cell[:SOURCE_LINES], "..."]
    plain = COLOURS.sub("", "\n".join(str(entry) for entry in error.traceback))
    trace = plain.splitlines()[-TRACE_LINES:]
    head = f"{source.name}, cell [{error.exec_count}] failed: {error.ename}: {error.evalue}"
    shown = [head, "", *(f"    {line}" for line in cell), "", *trace, "", f"The executed notebook: {out}"]
    return "\n".join(shown)


def calm(notebook: Path) -> None:
    """Progress bars wrote a line at every step: keep what a terminal would show in the end."""
    import nbformat
    from nbconvert.preprocessors import CoalesceStreamsPreprocessor

    executed = nbformat.read(notebook, 4)
    calmed, _ = CoalesceStreamsPreprocessor(enabled=True).preprocess(executed, {})
    nbformat.write(calmed, notebook)
