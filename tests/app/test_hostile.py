"""A hundred requests that mean no good, over real sockets: each has its status, and the page still answers."""

from __future__ import annotations

import io
import json
import socket
import struct
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from urllib.parse import quote, urlsplit

import numpy as np
import pytest
import soundfile
from served import HUMMED, Serve, opened

from humfind.app.guard import Turns
from humfind.app.library import Library

LARGEST = 2_000_000
SLOWEST_S = 2.0
HOST = "Host: 127.0.0.1\r\n"


def sound(samples: np.ndarray, kind: str, rate_hz: int = 8_000, subtype: str | None = None) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, samples, rate_hz, subtype, format=kind)
    return file.getvalue()


def wav_header(channels: int, rate_hz: int, bits: int, data: int) -> bytes:
    frame = channels * bits // 8
    form = struct.pack("<IHHIIHH", 16, 1, channels, rate_hz, rate_hz * frame & 0xFFFFFFFF, frame & 0xFFFF, bits)
    return (
        struct.pack("<4sI8s", b"RIFF", 36 + data & 0xFFFFFFFF, b"WAVEfmt ") + form + struct.pack("<4sI", b"data", data)
    )


def unlimited_flac() -> bytes:
    """An hour of silence in a few kilobytes, whose header does not say how long it is."""
    flac = bytearray(sound(np.zeros(3600 * 8_000, np.int16), "FLAC"))
    flac[21] &= 0xF0  # the upper bits of the number of samples
    flac[22:26] = bytes(4)
    return bytes(flac)


def bodies() -> Iterator[tuple[str, bytes]]:
    """What is no recording, or none that is searched."""
    noise = np.random.default_rng(0).integers(0, 256, 4000, np.uint8).tobytes()
    wav = sound(np.zeros(4000, np.int16), "WAV")
    yield from {
        "empty": b"", "a byte": b"\x00", "text": b"hello " * 50, "zeros": bytes(5000), "noise": noise,
        "html": b"<html><script>alert(1)</script></html>", "json": b'{"a": 1}', "zip": b"PK\x03\x04" + noise,
        "pickle": b"\x80\x04cos\nsystem\n(S'id'\ntR.", "png": b"\x89PNG\r\n\x1a\n" + noise, "elf": b"\x7fELF" + noise,
        "riff alone": b"RIFF", "wav without samples": wav[:44], "wav, header cut": wav[:30],
        "wav of 0 channels": wav_header(0, 8000, 16, 400) + bytes(400),
        "wav of 65,535 channels": wav_header(65_535, 8000, 16, 400) + bytes(400),
        "wav at 0 Hz": wav_header(1, 0, 16, 400) + bytes(400),
        "wav at 4 GHz": wav_header(1, 2**32 - 1, 8, 400) + bytes(400),
        "wav of 4 GB that are not there": wav_header(1, 8000, 16, 2**32 - 1),
        "wav of NaN": sound(np.full(4000, np.nan), "WAV", subtype="FLOAT"),
        "wav of infinity": sound(np.full(4000, np.inf), "WAV", subtype="FLOAT"),
        "61 s": sound(np.zeros(61 * 8_000, np.int16), "WAV", subtype="PCM_U8"),
        "an hour in a few bytes": sound(np.zeros(3600 * 8_000, np.int16), "FLAC"),
        "an hour, and its header says nothing": unlimited_flac(),
        "flac of noise": b"fLaC" + noise, "ogg of noise": b"OggS" + noise, "webm of noise": b"\x1aE\xdf\xa3" + noise,
        "m4a of noise": b"\x00\x00\x00\x20ftypM4A " + noise, "mp3 of noise": b"\xff\xfb\x90\x00" + noise,
        "aiff of noise": b"FORM" + noise, "utf-16": ("hello" * 40).encode("utf-16"),
    }.items()  # fmt: skip


def asked(method: str, path: str, headers: str = "", body: bytes = b"") -> bytes:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return f"{method} {path} HTTP/1.1\r\n{HOST}{length}{headers}Connection: close\r\n\r\n".encode() + body


def get(path: str, headers: str = "") -> bytes:
    return asked("GET", path, headers)


def of_json(path: str, value: object) -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return asked("POST", path, "Content-Type: application/json\r\n", body)


HOSTS = (
    "evil.example",
    "127.0.0.1.evil.example",
    "localhost.evil.example:80",
    "user@127.0.0.1",
    "[::ffff:127.0.0.1",
    "0",
)
ORIGINS = (
    "http://evil.example",
    "null",
    "https://127.0.0.1",
    "http://127.0.0.1:1",
    "http://127.0.0.1.evil.example",
    "",
)
SONGS = (
    "../../etc/passwd", "/etc/passwd", "..\\..\\windows\\win.ini", "file:///etc/passwd", "\x00", "a\x00.wav", "%2e%2e/",
    "~/.ssh/id_rsa", "//etc/passwd", "http://evil.example/a.wav", "CON", ".", "\U0001f3b5", "a" * 500, "<script>",
)  # fmt: skip
PATHS = (
    "/../../etc/passwd", "/%2e%2e/%2e%2e/etc/passwd", "//etc/passwd", "/page.js/..%2f..%2fserver.py", "/server.py",
    "/.git/config", "/docs",
)  # fmt: skip
PLAYLISTS: tuple[object, ...] = (
    b"", b"{", b"\xff\xfe", b"NaN", {"tracks": []}, {"tracks": ["a"] * 51}, {"tracks": "a"}, {"tracks": [1]},
    {"tracks": ["a"], "length": -1}, {"tracks": ["a"], "length": 10**9}, {"tracks": ["a"], "length": "x"}, [1], "",
)  # fmt: skip

LINE = {"hop_s": 0.01, "threshold": 0.5, "hz": [220.0], "confidence": [1.0]}
LINES: tuple[object, ...] = (
    b"", b"{", b"\xff\xfe", b"NaN", [1], LINE, {"tracker": 1} | LINE, {"tracker": {}} | LINE | {"hz": "x" * 100_000},
    {"tracker": {}} | LINE | {"hz": [[[]]]}, {"tracker": {}} | LINE | {"hop_s": -1},
    {"tracker": {}} | LINE | {"hz": [-1]}, {"tracker": {}} | LINE | {"hz": [0] * 120_001},
)  # fmt: skip


def requests() -> Iterator[tuple[str, bytes, set[int]]]:
    """(what, as it is sent, the statuses that are right)."""
    for name, body in bodies():
        yield f"search {name}", asked("POST", "/api/search", body=body), {422}
    for host in HOSTS:
        yield f"host {host}", f"GET /api/songs HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode(), {421}
    for origin in ORIGINS:
        yield f"origin {origin}", get("/api/songs", f"Origin: {origin}\r\n"), {403}
    for site in ("cross-site", "same-site", "elsewhere"):
        there = f"Sec-Fetch-Site: {site}\r\nSec-Fetch-Mode: navigate\r\n"
        yield f"a page, {site}", get("/api/songs", there), {403}
    for song in SONGS:
        yield f"audio {song[:20]!r}", get(f"/api/audio?song={quote(song)}"), {404}
    yield "audio of no name", get("/api/audio"), {422}
    yield "audio of a long name", get(f"/api/audio?song={'a' * 501}"), {422}
    for path in PATHS:
        yield f"path {path}", get(path), {404}
    for method in ("PUT", "DELETE", "PATCH", "TRACE", "OPTIONS", "HEAD", "BREW"):
        yield method, asked(method, "/api/search"), {405}
    for value in PLAYLISTS:
        yield f"playlist {str(value)[:20]}", of_json("/api/playlist", value), {422}
    for value in LINES:
        yield f"f0 {str(value)[:20]}", of_json("/api/search/f0", value), {422}
    yield "f0 of another tracker", of_json("/api/search/f0", {"tracker": {"tracker": "x"}} | LINE), {409}
    yield "a deep f0", of_json("/api/search/f0", b"[" * 20_000), {400}
    yield "a deep playlist", of_json("/api/playlist", b"[" * 20_000), {400}
    for value in ({"id": "../..", "parts": ["melody"]}, {"id": "", "parts": ["sound"]}):
        yield f"folder {value['id']!r}", of_json("/api/folders", value), {409}
    for value in (
        {"id": "a", "parts": ["rm"]},
        {"id": "a" * 65, "parts": ["melody"]},
        {"parts": ["melody"]},
        {"id": "a", "parts": []},
    ):
        yield f"folder {str(value)[:30]}", of_json("/api/folders", value), {422}
    for query in (
        "words=",
        f"words={'a' * 201}",
        "top=3",
        "words=a&top=0",
        "words=a&top=51",
        "words=a&top=x",
        "words=a&top=1e9",
        f"words=a&index={'a' * 501}",
    ):
        yield f"tag {query[:20]}", get(f"/api/tag?{query}"), {422}
    for at in ("-1", "nan", "inf", "1e400", "x"):
        yield f"at {at}", asked("POST", f"/api/similar?at_s={at}", body=b"x"), {422}
    yield "no such library", asked("POST", "/api/search?index=other", body=b"x"), {404}
    yield "a part that is not there", get("/api/tag?words=a"), {409}
    yield (
        "too large, as it says",
        f"POST /api/search HTTP/1.1\r\n{HOST}Content-Length: 999999999999\r\n\r\n".encode(),
        {413},
    )
    yield (
        "larger than a number",
        f"POST /api/search HTTP/1.1\r\n{HOST}Content-Length: {'9' * 18}\r\n\r\n".encode(),
        {413},
    )
    chunk = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    chunked = f"POST /api/search HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n".encode()
    yield "too large, in chunks", chunked + chunk * 40 + b"0\r\n\r\n", {413}
    yield "chunks of no size", chunked + b"zz\r\n", {400}
    for length in ("-1", "1e3", "0x10", "1, 2", ""):
        yield (
            f"length {length!r}",
            f"POST /api/search HTTP/1.1\r\n{HOST}Content-Length: {length}\r\n\r\n".encode(),
            {400},
        )
    yield "no host", b"GET / HTTP/1.1\r\n\r\n", {400}
    yield "two hosts", f"GET / HTTP/1.1\r\n{HOST}{HOST}\r\n".encode(), {400}
    yield "not http", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", {400}
    yield "a header too long", get("/", f"X: {'a' * 1_000_000}\r\n"), {400}
    yield "a header with a line in it", get("/", "X: a\r\n b\x00c\r\n"), {400}


REQUESTS = list(requests())


@pytest.fixture(scope="module")
def library(folder: Path) -> Library:
    return Library("mine", folder / "index")


def status_of(address: str, sent: bytes) -> tuple[int, bytes]:
    """0 where nothing comes back."""
    place = urlsplit(address)
    answer = b""
    with socket.create_connection((place.hostname, place.port), 20) as connection:
        with suppress(OSError):  # it may have hung up, and perhaps said why
            connection.sendall(sent)
        with suppress(OSError):
            while block := connection.recv(65_536):
                answer += block
    head = answer.split(b" ", 2)
    return (int(head[1]) if len(head) > 1 else 0), answer


def test_each_has_its_status_and_the_page_still_answers(serve: Serve, library: Library, folder: Path, tmp_path: Path):
    address = serve(opened(tmp_path, mine=library), SLOWEST_S, LARGEST)
    assert len(REQUESTS) >= 100
    wrong = []
    for name, sent, right in REQUESTS:
        status, answer = status_of(address, sent)
        if status not in right or b"root:" in answer or b"Traceback" in answer or str(folder).encode() in answer:
            wrong.append(f"{name}: {status} {answer[-200:]!r}")
    assert not wrong, "\n".join(wrong)
    hum = (folder / "hums/3.wav").read_bytes()
    status, answer = status_of(address, asked("POST", "/api/search", body=hum))
    assert status == 200
    assert json.loads(answer.split(b"\r\n\r\n", 1)[1])["answers"][0]["music_id"] == "3"


@pytest.mark.parametrize(
    ("drip", "statuses"),
    [
        (b"G", {0}),  # of the first line: nothing was asked yet
        (f"POST /api/search HTTP/1.1\r\n{HOST}X: ".encode(), {0}),
        (f"POST /api/search HTTP/1.1\r\n{HOST}Content-Length: 1000\r\n\r\n".encode(), {408}),
    ],
)
def test_who_is_slow_is_left(serve: Serve, library: Library, tmp_path: Path, drip: bytes, statuses: set[int]):
    address = urlsplit(serve(opened(tmp_path, mine=library), SLOWEST_S, LARGEST))
    answer, start = b"", time.monotonic()
    with socket.create_connection((address.hostname, address.port), 20) as connection:
        connection.sendall(drip)
        connection.settimeout(0.2)
        while time.monotonic() - start < 4 * SLOWEST_S:
            try:
                connection.sendall(b"a")  # a byte now and then does not buy time
                if not (block := connection.recv(1000)):
                    break
                answer += block
            except TimeoutError:
                continue
            except OSError:
                break
    assert time.monotonic() - start < 3 * SLOWEST_S
    assert (int(answer.split(b" ", 2)[1]) if answer else 0) in statuses


def test_who_hangs_up_costs_nothing(serve: Serve, library: Library, folder: Path, tmp_path: Path):
    address = serve(opened(tmp_path, mine=library), SLOWEST_S, LARGEST)
    place = urlsplit(address)
    hum = (folder / "hums/3.wav").read_bytes()
    whole = asked("POST", "/api/search", body=hum)
    for cut in (len(whole) // 2, len(whole)):
        for _ in range(10):
            with socket.create_connection((place.hostname, place.port), 20) as connection:
                connection.sendall(whole[:cut])
    statuses = [0]
    start = time.monotonic()
    while statuses[-1] != 200 and time.monotonic() - start < 60:  # those who hung up have come in, and wait
        statuses.append(status_of(address, whole)[0])
        time.sleep(0.1)
    assert set(statuses[1:-1]) <= {429}
    assert statuses[-1] == 200


def test_a_flood_is_told_when_to_come_again(serve: Serve, library: Library, folder: Path, tmp_path: Path):
    address = serve(opened(tmp_path, mine=library), 20.0, LARGEST, Turns(1, waiting=4, of_one=4))
    hum = asked("POST", "/api/search", body=(folder / "hums/3.wav").read_bytes())
    answers: list[tuple[int, bytes]] = []
    threads = [threading.Thread(target=lambda: answers.append(status_of(address, hum))) for _ in range(20)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    statuses = [status for status, _ in answers]
    assert set(statuses) == {200, 429}
    assert statuses.count(200) >= 5  # one is searched, four wait
    assert all(b"retry-after: " in answer for status, answer in answers if status == 429)


def test_ten_people_behind_one_address_are_all_answered(
    serve: Serve, book: Library, hums: dict[str, Path], tmp_path: Path
):
    address = serve(opened(tmp_path, book=book), 30.0, LARGEST)
    body = hums["hum"].read_bytes()
    found: list[str] = []

    def hum(name: int) -> None:
        request = urllib.request.Request(f"{address}/api/search", body, {"x-humfind-client": f"{name}"})
        with urllib.request.urlopen(request) as answer:
            found.append(json.load(answer)["answers"][0]["music_id"])

    threads = [threading.Thread(target=hum, args=(i,)) for i in range(10)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert found == [HUMMED] * 10
