"""``humfind app`` as a process of its own: what it builds, what it keeps, and how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from served import BOOK, Serve, opened
from tiny_world import LONGEST_S

from humfind.app import build as builds
from humfind.app import tunes
from humfind.app.build import Build
from humfind.app.libraries import Libraries
from humfind.app.library import Library
from humfind.app.run import Place, open_libraries
from humfind.types import InputError


@contextmanager
def running(home: Path, *arguments: object) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The process, and its address with the token where it has one."""
    command = [sys.executable, "-m", "humfind", "app", "--port", "0", *map(str, arguments)]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "HUMFIND_HOME": str(home)}
    )
    assert process.stderr is not None
    try:
        yield process, process.stderr.readline().removeprefix("open ").strip()
    finally:
        process.kill()
        process.wait()
        process.stderr.close()


def asked(address: str, body: bytes | None = None, **headers: str) -> Any:
    with urllib.request.urlopen(urllib.request.Request(address, body, headers), timeout=LONGEST_S) as answer:
        return json.load(answer)


def test_a_search_that_runs_is_finished_before_it_ends(folder: Path, tmp_path: Path):
    hum = (folder / "hums/3.wav").read_bytes()
    with running(tmp_path, "--index", folder / "index") as (process, address):
        answers: list[Any] = []
        threads = [
            threading.Thread(target=lambda: answers.append(asked(f"{address}api/search", hum))) for _ in range(6)
        ]
        for one in threads:
            one.start()
        busy = False
        while not busy and any(one.is_alive() for one in threads):
            busy = asked(f"{address}api/health")["busy"]
        assert busy
        process.send_signal(signal.SIGTERM)
        for one in threads:
            one.join()
        assert [answer["answers"][0]["music_id"] for answer in answers] == ["3"] * 6
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_beyond_loopback_a_token_is_drawn_and_hums_are_kept_where_one_asks(folder: Path, tmp_path: Path):
    hum = (folder / "hums/3.wav").read_bytes()
    options = ("--index", folder / "index", "--host", "0.0.0.0", "--keep", tmp_path / "kept", "--json-only")
    with running(tmp_path, *options) as (_, address):
        place, token = re.fullmatch(r"http://0\.0\.0\.0:(\d+)/\?token=([\w-]{32})", address).groups()
        here = f"http://127.0.0.1:{place}/"
        with pytest.raises(urllib.error.HTTPError, match="401"):
            asked(f"{here}api/health")
        found = asked(f"{here}api/search", hum, Authorization=f"Bearer {token}")
        with pytest.raises(urllib.error.HTTPError, match="404"):
            asked(here, Authorization=f"Bearer {token}")  # no page
    kept = sorted((tmp_path / "kept").iterdir())
    assert [one.suffix for one in kept] == [".json", ".wav"]
    assert kept[1].read_bytes() == hum
    assert json.loads(kept[0].read_text("utf-8")) == found


def test_with_a_certificate_it_speaks_https(folder: Path, tmp_path: Path):
    pem, key = tmp_path / "own.pem", tmp_path / "own.key"
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"]
    made += ["-addext", "subjectAltName=DNS:localhost", "-out", pem, "-keyout", key]
    subprocess.run(made, check=True, capture_output=True)
    options = ("--index", folder / "index", "--certificate", pem, "--key", key, "--name", "localhost")
    with running(tmp_path, *options) as (_, address):
        assert address.startswith("https://127.0.0.1:")
        health = address.replace("127.0.0.1", "localhost").replace("?token", "api/health?token")
        trusted = ssl.create_default_context(cafile=str(pem))
        with urllib.request.urlopen(health, timeout=LONGEST_S, context=trusted) as answer:
            assert json.load(answer)["status"] == "ok"
    with pytest.raises(InputError, match="no good for https"):
        Place(certificate=key)
    with pytest.raises(InputError, match="a key without a certificate"):
        Place(key=key)


def test_nothing_is_kept_where_nobody_asks(serve: Serve, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    address = serve(opened(tmp_path / "home", mine=Library("mine", folder / "index")))
    asked(f"{address}/api/search", (folder / "hums/3.wav").read_bytes())
    assert not list(tmp_path.rglob("*.wav"))


def test_a_port_that_is_taken_is_one_line(folder: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "humfind", "app", "--index", str(folder / "index"), "--port", str(port)]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=LONGEST_S)
    assert (ended.returncode, ended.stderr.count("\n")) == (2, 1), ended.stderr
    assert "give another --port" in ended.stderr


def test_wrong_folders_are_refused(folder: Path, tmp_path: Path):
    index = folder / "index"
    for indexes, music, text in (
        ([index, index], [], "two libraries are called index"),
        ([tmp_path], [], "not an index; build one"),
        ([], [tmp_path / "no"], "no such folder"),
    ):
        with pytest.raises(InputError, match=text):
            open_libraries(indexes, music, tmp_path)


def test_a_build_that_fails_says_why(tmp_path: Path):
    command = [sys.executable, "-m", "humfind", "index", str(tmp_path), "--out", str(tmp_path / "out")]
    build = Build("empty", command, lambda: pytest.fail("it cannot be done"))
    build.start()
    build.join()
    assert build.told() == {"name": "empty", "step": "", "share": 0.0, "state": "failed", "error": build.error}
    assert "no music files" in build.error
    assert not build.error.startswith("humfind")


def test_the_tune_books_are_built_while_it_is_open_and_a_build_can_be_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(builds, "ENDS_IN_S", 1.0)  # where tests run in the background it hears the second
    libraries = Libraries(tmp_path)
    libraries.add_tunes()
    build = libraries.builds["Tune books"]
    seen = set()
    while not (build.step == "indexing" and build.share > 0.02):
        assert build.state == "building", build.error
        seen.add(build.share)
        time.sleep(0.05)
    libraries.close()
    build.join()
    assert build.state == "failed"
    assert not libraries.open
    assert not list(tmp_path.glob("tunes/index.json"))


DEAF = """
import signal, sys, time
for name in {}:
    signal.signal(getattr(signal, name), signal.SIG_IGN)
print("x: 1%|", file=sys.stderr, flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize(("deaf", "ended_by"), [(["SIGINT"], signal.SIGTERM), (["SIGINT", "SIGTERM"], signal.SIGKILL)])
def test_a_build_that_does_not_hear_an_interrupt_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch, deaf: list[str], ended_by: signal.Signals
):
    """As the children of a shell's background job do not."""
    monkeypatch.setattr(builds, "ENDS_IN_S", 0.5)
    one = Build("deaf", [sys.executable, "-c", DEAF.format(deaf)], lambda: None)
    one.start()
    while not one.share:
        time.sleep(0.02)
    one.stop()
    one.join()
    assert one._process is not None
    assert one._process.returncode == -ended_by
    assert one.state == "failed"


def test_tune_books_of_another_format_are_built_again(tmp_path: Path, book: Library):
    shutil.copytree(book.folder, tmp_path / "tunes")
    about = json.loads((tmp_path / "tunes/index.json").read_text())
    (tmp_path / "tunes/index.json").write_text(json.dumps(about | {"format_version": 5}))
    assert not tunes.is_built(tmp_path / "tunes")
    tunes.build(tmp_path / "tunes", {BOOK})
    assert tunes.is_built(tmp_path / "tunes")
    assert tunes.library(tmp_path / "tunes").songs.music_ids == book.songs.music_ids


def test_only_folders_below_those_given_are_offered(folder: Path, tmp_path: Path):
    (tmp_path / "music/deep/er").mkdir(parents=True)
    (tmp_path / "other").mkdir()
    for place in ("music/deep/er", "other"):
        (tmp_path / place / "a.wav").write_bytes((folder / "music/1.wav").read_bytes())
    (tmp_path / "music/link").symlink_to(tmp_path / "other")
    libraries = Libraries(tmp_path / "home", [tmp_path / "music"])
    offered = {one.name: one.files for one in libraries.folders()}
    assert offered == {"music": 1, "music/deep": 1, "music/deep/er": 1}
    for wrong in ("", "..", str(tmp_path / "other"), "0" * 16):
        with pytest.raises(InputError, match="no such folder below"):
            libraries.add_folder(wrong, ["melody"])
    with pytest.raises(InputError, match="parts: give some of melody"):
        libraries.add_folder(libraries.folders()[0].id, [])


def test_a_folder_is_added_and_is_there_at_the_next_start(
    folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    music = tmp_path / "music"
    music.mkdir()
    for name in ("3.wav", "5.wav"):
        (music / name).symlink_to(folder / "music" / name)
    libraries = Libraries(tmp_path / "home", [music])
    build = libraries.add_folder(libraries.folders()[0].id, ["melody"])
    with pytest.raises(InputError, match="is being built; wait"):
        libraries.add_folder(libraries.folders()[0].id, ["melody"])
    build.join()
    assert build.state == "done", build.error
    found = libraries.open["music"].hum(folder / "hums/3.wav", "hum")
    assert found["answers"][0]["music_id"] == "3"
    again = Libraries(tmp_path / "home", [music])
    again.add_known()
    next((tmp_path / "home").glob("*/contours-*")).write_bytes(b"broken")
    broken = Libraries(tmp_path / "home", [music])
    broken.add_known()
    assert "music is left out; add it again from the page" in caplog.text
    assert not broken.open
    assert list(again.open) == ["music"]
    assert again.open["music"].parts == {"melody": True, "sound": False, "tracks": False}
