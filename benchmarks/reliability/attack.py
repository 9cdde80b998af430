"""Hostile commands by the hundred, each judged by more than its exit status.

Every try changes a copy of a small world (``world.py``) in a way drawn from the seed (``attacks.py``), runs the real
command line in a process of its own with limits of time and memory, and is judged (``judge``): its status, one line
where it is 2, no trace, nothing that acts on a terminal, no file changed that was not asked for, the right answer
where it says 0, and after a signal the same command again with an undisturbed run's answer. The processes are forked
from one that has imported the libraries, which saves their seconds; nothing has been computed in it, since a library's
threads do not live on in a forked process, and whoever waits for them waits for ever.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import re
import resource
import shutil
import signal
import sys
import tempfile
import textwrap
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.reliability import attacks, world
from benchmarks.reliability.attacks import Try

DOCS = Path(__file__).resolve().parents[2] / "docs" / "reliability" / "attack.md"
SECONDS = 90.0  # that a command may take
MEMORY_BYTES = 4 * 2**30  # beyond what the process holds when it is forked
NOISE = re.compile(r"^\s*$|^warning: |^without f0: |\d+%\||\[\d\d:\d\d|^without an f0|hums? could not be")
ACTS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


WORDS = """Each try copies a small world (songs, hums, f0 store, index, models, a submission, tunes), damages it in
a way drawn from the seed, and runs the real command line in a process of its own. *Right* is: the exit
status, one line where it is 2, no trace, nothing that acts on a terminal, no file changed that was not
asked for, the right answers where the status is 0, within {seconds:.0f} s and {gb} GB; after a signal,
the same command again answers as if undisturbed."""


@dataclass(frozen=True)
class Outcome:
    """What one command did. status: negative where a signal ended it; None where it had to be killed for its time."""

    status: int | None
    out: str
    err: str
    seconds: float


@dataclass(frozen=True)
class Verdict:
    """number: of the try. wrong: what was found, nothing where it was all right."""

    number: int
    one: Try
    outcome: Outcome
    wrong: tuple[str, ...]


def run(one: Try, argv: Sequence[str], root: Path, disturbed: bool = True) -> Outcome:
    """Run a command line in a forked process, in ``root``."""
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        started = time.monotonic()
        child = os.fork()
        if child == 0:
            _become(one, argv, root, [out.fileno(), err.fileno()], disturbed)
        status = _wait(child, one.signal_at if disturbed else None, started)
        seconds = time.monotonic() - started
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)  # whatever it left running
        out.seek(0)
        err.seek(0)
        said = (text.read().decode("utf-8", "backslashreplace") for text in (out, err))
        return Outcome(status, *said, seconds)


def _become(one: Try, argv: Sequence[str], root: Path, streams: list[int], disturbed: bool) -> None:
    """The child: a session, streams, folder, environment and limits of its own; never returns."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(streams[0], 1)
    os.dup2(streams[1], 2)
    sys.stdin = io.TextIOWrapper(io.FileIO(0), "utf-8")
    sys.stdout, sys.stderr = (io.TextIOWrapper(io.BufferedWriter(io.FileIO(number, "w")), "utf-8") for number in (1, 2))
    os.environ["HUMFIND_HOME"] = str(root / "home")
    os.chdir(root)
    if disturbed:
        for name, value in one.environment.items():
            os.environ.pop(name, None)
            if value is not None:
                os.environ[name] = value
        if one.cwd_gone:
            os.environ.pop("HUMFIND_HOME")
            (root / "gone").mkdir()
            os.chdir(root / "gone")
            (root / "gone").rmdir()
        held = int(Path("/proc/self/statm").read_text().split()[0]) * 4096
        limits = {"RLIMIT_AS": held + MEMORY_BYTES} | {
            name: value + (held if name == "RLIMIT_AS" else 0) for name, value in one.limits.items()
        }
        for name, value in limits.items():
            resource.setrlimit(getattr(resource, name), (value, value))
    status = 1
    try:
        from humfind import cli

        sys.argv = ["humfind", *argv]
        cli.main()
        status = 0
    except SystemExit as left:
        status = left.code if isinstance(left.code, int) else 0 if left.code is None else 1
    except BaseException:
        import traceback

        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        os._exit(status)


def _wait(child: int, signal_at: tuple[int, float] | None, started: float) -> int | None:
    sent = signal_at is None
    while True:
        done, raw = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(raw)
        passed = time.monotonic() - started
        if signal_at is not None and not sent and passed >= signal_at[1]:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(child, signal_at[0])
            sent = True
        if passed > SECONDS:
            os.killpg(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.005)


# --- the judge --------------------------------------------------------------------------------------


def judge(one: Try, outcome: Outcome, root: Path, before: dict[str, str], after: dict[str, str]) -> Iterator[str]:
    """What is wrong with an outcome. before, after: snapshots of the world."""
    if outcome.status is None:
        yield f"hang: not done after {SECONDS:.0f} s"
        return
    if "Traceback" in outcome.err or "Traceback" in outcome.out:
        yield f"trace: {outcome.err.strip().splitlines()[-1][:200] if outcome.err.strip() else ''}"
    if outcome.status not in one.status:
        yield f"status {outcome.status}, expected {' or '.join(map(str, one.status))}"
    lines = [line for line in re.split(r"[\r\n]", outcome.err) if not NOISE.search(line)]
    if outcome.status == 2 and (len(lines) != 1 or len(lines[0]) > 1000) and not _says_so(one, outcome):
        yield f"lines: {len(lines)} where one is promised: {lines[:3]!r:.300}"
    if ACTS.search(outcome.out.replace("\t", "")) or ACTS.search(outcome.err.replace("\t", "")):
        yield "terminal: a control character was printed"
    changed = {path for path in before.keys() | after.keys() if before.get(path) != after.get(path)}
    strange = sorted(path for path in changed if not _may(path, one))
    if strange:
        yield f"files: changed or removed, not asked for: {', '.join(strange[:4])!a:.300}"
    if outcome.status == 0:
        yield from wrong_answers(one, outcome, root)


def _says_so(one: Try, outcome: Outcome) -> bool:
    """The doctor, the leak check and a help speak on stdout."""
    return one.argv[:1] in (("doctor",), ("check",)) and bool(outcome.out.strip())


def _may(path: str, one: Try) -> bool:
    allowed = (*one.writes, "home", ".")  # "." stands for the hidden files beside an output: locks, unfinished folders
    return any(path == name or path.startswith((f"{name}/", name) if name != "." else ".") for name in allowed)


def wrong_answers(one: Try, outcome: Outcome, root: Path) -> Iterator[str]:
    """What an answer says that is not so: the melodies are clear, so what was not attacked is found."""
    command = one.argv[0]
    if command == "search" and "--json" in one.argv and "hum.wav" not in one.damaged:
        first = json.loads(outcome.out)["answers"][0]["music_id"]
        if first != "0001":
            yield f"answer: the hum of 0001 is said to be {first}"
    elif command == "predict":
        yield from _wrong_submission(one, root)
    elif command == "score" and not one.damaged and "MRR@10 1.000" not in outcome.out:
        yield f"answer: a perfect submission scores {outcome.out[:60]!r}"


def _wrong_submission(one: Try, root: Path) -> Iterator[str]:
    out = root / one.argv[one.argv.index("--out") + 1]
    data = root / one.argv[1]
    with open(out, newline="", encoding="utf-8") as file:
        rows = {row[0]: row[1:] for row in csv.reader(file)}
    stored = "--f0" in one.argv
    hums = {os.fsdecode(name) for name in os.listdir(os.fsencode(data / "public_test/hum"))}
    hums = {name for name in hums if name.lower().endswith(".wav") and not name.startswith(".")}
    usable = {name for name in hums if _is_text(name)} | ({f"h{i}.wav" for i in range(3)} if stored else set())
    missing = {name for name in usable if os.path.isfile(data / "public_test/hum" / name)} - set(rows)
    if missing:
        yield f"answer: no row for {sorted(missing)[:2]!a}"
    if set(rows) - usable:
        yield f"answer: a row for {sorted(set(rows) - usable)[:2]!a}, which is no hum"
    ids = {music_id for row in rows.values() for music_id in row}
    songs = {f"{i:04d}" for i in range(world.SONGS)}
    if not any("full_song" in path or "answers" in path for path in one.damaged) and "song" not in one.name:
        if strange := ids - songs:
            yield f"answer: songs that are none: {sorted(strange)[:3]!a}"
        for i in range(3):
            row = rows.get(f"h{i}.wav")
            damaged = any(part in path for path in one.damaged for part in (f"hum/h{i}", "store", "index"))
            if row is not None and not damaged and one.family != "twins" and row[0] != f"{i:04d}":
                yield f"answer: the hum h{i} of {i:04d} is said to be {row[0]}"
    for name, row in rows.items():
        if len(set(row)) != len(row):
            yield f"answer: {name!a} names a song twice"


def _is_text(name: str) -> bool:
    return not any("\ud800" <= letter <= "\udfff" for letter in name)


# --- the campaign -----------------------------------------------------------------------------------


def one_try(seed: int, number: int, clean: Path, folder: Path) -> Verdict:
    """Attack a copy of the clean world in ``folder``, run, judge."""
    shutil.rmtree(folder, ignore_errors=True)
    world.copy(clean, folder)
    one = attacks.draw(folder, seed, number)
    wrong: list[str] = []
    if one.first:
        first = run(one, one.first, folder, disturbed=False)
        if first.status != 0:
            wrong.append(f"first command: status {first.status}, {first.err[-200:]!r}")
    before = world.snapshot(folder)
    outcome = run(one, one.argv, folder)
    wrong += judge(one, outcome, folder, before, world.snapshot(folder))
    if one.again:
        again = run(one, one.argv, folder, disturbed=False)
        wrong += [f"again: {what}" for what in judge(_undisturbed(one), again, folder, before, world.snapshot(folder))]
    return Verdict(number, one, outcome, tuple(wrong))


def _undisturbed(one: Try) -> Try:
    done = (0, 2) if one.argv[0] == "import" else (0,)  # an import that was done before the signal is not done again
    return replace(one, status=done, signal_at=None)


def campaign(numbers: Sequence[int], seed: int, verbose: bool = False) -> list[Verdict]:
    """The tries of these numbers."""
    import importlib

    with tempfile.TemporaryDirectory(prefix="humfind-attack-") as scratch:
        clean = Path(scratch) / "clean"
        clean.mkdir()
        world.make(clean)
        for name in (
            "humfind.cli",
            "humfind.retrieval.predict",
            "humfind.encoders.checkpoint",
            "humfind.training.tasks.hums",
            "humfind.data.audit",
            "mido",
        ):
            importlib.import_module(name)
        verdicts = []
        for number in numbers:
            verdict = one_try(seed, number, clean, Path(scratch) / "world")
            verdicts.append(verdict)
            if verdict.wrong or verbose:
                print(
                    f"{number} {verdict.one.family}: {verdict.one.name!a}: {' '.join(verdict.one.argv)!a}", flush=True
                )
                print(f"    status {verdict.outcome.status}, {verdict.outcome.seconds:.1f} s", flush=True)
                for what in verdict.wrong:
                    print(f"    WRONG {what}", flush=True)
                if verbose:
                    print(verdict.outcome.out[-1500:], verdict.outcome.err[-3000:], sep="\n", flush=True)
        return verdicts


def table(verdicts: Sequence[Verdict]) -> str:
    """A row a family: tries, how they ended, what was wrong."""
    lines = [
        "| attack | tries | answered (0) | refused in a line (2) | ended by its signal | wrong |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    for family in (*attacks.FAMILIES, "all"):
        mine = [verdict for verdict in verdicts if family in ("all", verdict.one.family)]
        ends = Counter({0: "0", 2: "2"}.get(verdict.outcome.status or 0, "signal") for verdict in mine)
        wrong = sum(bool(verdict.wrong) for verdict in mine)
        lines.append(f"| {family} | {len(mine)} | {ends['0']} | {ends['2']} | {ends['signal']} | {wrong} |")
    return "\n".join(lines)


def main(one_parsed: argparse.Namespace) -> None:
    numbers = one_parsed.replay if one_parsed.replay else range(one_parsed.tries)
    started = time.monotonic()
    verdicts = campaign(list(numbers), one_parsed.seed, verbose=bool(one_parsed.replay))
    text = table(verdicts)
    print(text)
    print(f"{time.monotonic() - started:.0f} s; slowest {max(v.outcome.seconds for v in verdicts):.1f} s")
    failed = [verdict for verdict in verdicts if verdict.wrong]
    if one_parsed.write:
        DOCS.write_text(page(verdicts, one_parsed), encoding="utf-8")
    if failed:
        print(
            f"replay: python -m benchmarks.reliability attack --seed {one_parsed.seed} --replay",
            *(v.number for v in failed),
        )
        sys.exit(1)


def page(verdicts: Sequence[Verdict], asked: argparse.Namespace) -> str:
    """docs/reliability/attack.md."""
    failed = [verdict for verdict in verdicts if verdict.wrong]
    lines = [
        "# Attacks",
        "",
        f"    python -m benchmarks.reliability attack --tries {len(verdicts)} --seed {asked.seed} --write",
        "",
        *textwrap.wrap(WORDS.format(seconds=SECONDS, gb=MEMORY_BYTES // 2**30), 118),
        "",
        table(verdicts),
        "",
    ]
    if failed:
        lines += ["What went wrong:", "", *(f"- {v.number}, {v.one.name!a}: {'; '.join(v.wrong)}" for v in failed), ""]
    return "\n".join(lines)
