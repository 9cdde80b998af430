"""Exit status and messages; what the commands do is tested where it is done."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from humfind import cli
from humfind.types import InputError


def humfind(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "humfind", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)


def test_help_is_quick_and_names_every_command():
    humfind("--help")  # compiled and cached
    started = os.times()
    done = humfind("--help")
    ended = os.times()
    assert done.returncode == 0
    for command in ("demo-data", "run", "f0", "train", "index", "search", "predict", "score"):
        assert f"  {command} " in done.stdout
    spent = ended.children_user + ended.children_system - started.children_user - started.children_system
    assert spent < 0.6, "of one core; 0.3 s on an idle machine"


def test_what_the_user_can_mend_is_one_line_and_2(tmp_path):
    done = humfind("score", str(tmp_path / "none.csv"), str(tmp_path / "answers.csv"))
    assert done.returncode == 2
    assert done.stderr.startswith("humfind: ")
    assert len(done.stderr.splitlines()) == 1
    assert "no such file; write one with" in done.stderr


def test_score_end_to_end(tmp_path):
    (tmp_path / "s.csv").write_text("a.mp3,1,2\nb.mp3,2,1\n")
    (tmp_path / "answers.csv").write_text("hum,music_id\na,1\nb,1\n")
    done = humfind("score", str(tmp_path / "s.csv"), str(tmp_path / "answers.csv"))
    assert done.returncode == 0, done.stderr
    assert "MRR@10 0.750" in done.stdout
    assert "chance: MRR@10 0.750" in done.stdout


@pytest.mark.parametrize("arguments", [["bogus"], ["score"], ["predict", "x", "--bogus"], ["search", "x"]])
def test_wrong_usage_is_2(arguments):
    assert CliRunner().invoke(cli.app, arguments).exit_code == 2


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (InputError("x.csv: two\nlines; mend it"), 2, "humfind: x.csv: two lines; mend it\n"),
        (ZeroDivisionError("a bug"), 1, "Traceback"),
        (KeyboardInterrupt(), 130, ""),
    ],
)
def test_main_maps_errors_to_exit_status(monkeypatch, capsys, error, status, message):
    def fail(**_: object) -> None:
        raise error

    monkeypatch.setattr(cli, "app", fail)
    with pytest.raises(SystemExit) as left:
        cli.main()
    assert left.value.code == status
    assert capsys.readouterr().err.startswith(message)


def test_a_parameter_without_a_value_is_told():
    result = CliRunner().invoke(cli.app, ["run", "-p", "steps"])
    assert isinstance(result.exception, InputError)
    assert "steps: not name=value" in str(result.exception)


def test_version():
    result = CliRunner().invoke(cli.app, ["--version"])
    assert (result.exit_code, result.output) == (0, "humfind 0.2.0\n")


def commands(group: Any, names: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every command, also of groups: its names -> it."""
    found = {names: group}
    for name, command in getattr(group, "commands", {}).items():
        found |= commands(command, (*names, name))
    return found


def test_every_command_and_option_has_help():
    for names, command in commands(typer.main.get_command(cli.app)).items():
        shown = " ".join(names) or "humfind"
        assert command.help, f"{shown}: says nothing of itself"
        for parameter in command.params:
            if parameter.name != "help":
                assert getattr(parameter, "help", None), f"{shown} {parameter.name}: has no help"


def test_quiet_by_default_and_an_unknown_level_is_told():
    assert humfind("doctor").stderr == ""
    wrong = humfind("doctor", HUMFIND_LOG="loud")
    assert (wrong.returncode, wrong.stdout) == (2, "")
    assert wrong.stderr == "humfind: HUMFIND_LOG=loud: unknown; choose one of error, warning, info, debug\n"
