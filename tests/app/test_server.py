"""The endpoint: the answers of the commands, and nothing for who asks wrongly."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import soundfile
from fastapi.testclient import TestClient
from served import opened

from humfind.app.libraries import Libraries
from humfind.app.library import Library
from humfind.app.server import PAGE, make_app
from humfind.config import F0Config
from humfind.f0 import make_tracker, track_file
from humfind.index import Index, Song


@pytest.fixture(scope="module")
def client(folder: Path) -> TestClient:
    libraries = opened(folder / "home", mine=Library("mine", folder / "index"))
    return TestClient(make_app(libraries), base_url="http://127.0.0.1")


def test_a_hum_has_the_answer_of_the_command(folder, client):
    hum = folder / "hums/3.wav"
    command = [sys.executable, "-m", "humfind", "search", hum, "--index", folder / "index", "--json"]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    found = client.post("/api/search", content=hum.read_bytes()).json()
    assert found["verdict"] == said["verdict"]
    assert found["here"] == said["here"]
    for mine, theirs in zip(found["answers"], said["answers"], strict=True):
        assert mine["music_id"] == theirs["music_id"]
        assert mine["probability"] == theirs["probability"]
        assert mine["match"] == theirs["match"]
        assert "path" not in mine  # where it lies on the disk
    assert found["answers"][0]["music_id"] == "3"
    assert len(found["line"]) > 50
    assert len(found["answers"][0]["line"]) > 50


def test_samples_alone_are_the_same_hum(folder, client):
    hum = folder / "hums/3.wav"
    samples, rate_hz = soundfile.read(hum, dtype="int16")
    whole = client.post("/api/search", content=hum.read_bytes()).json()
    parts = (samples[start : start + 999].tobytes() for start in range(0, len(samples), 999))  # as a stream
    assert client.post("/api/search", params={"pcm_hz": rate_hz}, content=parts).json() == whole
    assert client.post("/api/search", params={"pcm_hz": 7}, content=b"xx").status_code == 422


@pytest.fixture
def tracked(folder: Path, client: TestClient) -> dict[str, Any]:
    """A hum's f0, as it is sent."""
    about = client.get("/api/indexes").json()[0]["tracker"]
    line = track_file(make_tracker(F0Config.of(about), "hum"), folder / "hums/3.wav")
    columns = {"hz": line.hz.tolist(), "confidence": line.confidence.tolist()}
    return {"tracker": about, "hop_s": line.hop_s, "threshold": line.threshold} | columns


def test_a_hum_that_was_tracked_elsewhere_has_the_answer_of_its_recording(folder, client, tracked):
    whole = client.post("/api/search", content=(folder / "hums/3.wav").read_bytes()).json()
    assert client.post("/api/search/f0", json=tracked).json() == whole
    silent = client.post("/api/search/f0", json=tracked | {"hz": [0.0] * len(tracked["hz"])}).json()
    assert silent["verdict"] == "not here"
    assert silent["reason"].startswith("hum: silent: no frame has a pitch")


def test_the_tracker_is_that_of_the_index_that_is_searched(folder, client, tracked, tmp_path, monkeypatch):
    """Which may be another by the time that a hum's turn has come."""
    first = Library("mine", folder / "index").searcher
    info = replace(first.index.info, tracker=first.index.info.tracker | {"version": "another"})
    replace(first.index.delete(["3"]), info=info).save(tmp_path / "index")
    then = Library("mine", tmp_path / "index").searcher
    opened_in_turn = iter([first])
    monkeypatch.setattr(Library, "searcher", property(lambda library: next(opened_in_turn, then)))
    assert client.post("/api/search/f0", json=tracked).json()["answers"][0]["music_id"] == "3"
    answer = client.post("/api/search/f0", json=tracked)
    assert (answer.status_code, answer.json()["detail"][:11]) == (409, "not tracked")


@pytest.mark.parametrize(
    ("changed", "status", "said"),
    [
        ({"tracker": {"tracker": "pyin"}}, 409, "not tracked as this library's hums"),
        ({"tracker": {}}, 409, "not tracked as this library's hums"),
        ({"hz": [220.0]}, 422, "a confidence for each hz"),
        ({"hz": [220.0] * 9000, "confidence": [1.0] * 9000}, 422, "60 s at most"),
        ({"hz": [-1.0], "confidence": [1.0]}, 422, "greater than or equal to 0"),
        ({"hz": ["nan"], "confidence": [1.0]}, 422, "hz 0: Input should be"),
        ({"hz": [1e300], "confidence": [1.0]}, 422, "less than or equal to 20000"),
        ({"hop_s": 1e-9}, 422, "greater than or equal to 0.0005"),
        ({"threshold": "nan"}, 422, "threshold: Input should be"),
        ({"hz": None}, 422, "valid list"),
    ],
    ids=lambda value: str(value)[:24],
)
def test_f0_that_is_none(client, tracked, changed, status, said):
    answer = client.post("/api/search/f0", json=tracked | changed)
    assert answer.status_code == status
    assert said in answer.json()["detail"]


def test_what_is_no_recording_is_not_handed_out(folder, client, tmp_path, monkeypatch):
    """An index of another's making may name any file."""
    page = tmp_path / "page.html"
    page.write_text("<script>alert(1)</script>")
    monkeypatch.setattr("humfind.index.Index.song", lambda index, music_id: Song(music_id, source=str(page)))
    answer = client.get("/api/audio", params={"song": "3"})
    assert (answer.status_code, "script" in answer.text) == (404, False)


def test_what_is_there_and_what_is_not(folder, client):
    assert client.get("/api/health").json()["status"] == "ok"
    parts = {"melody": True, "sound": False, "tracks": False}
    tracker = Index.load(folder / "index").info.tracker
    assert tracker["tracker"] == "swiftf0"
    assert client.get("/api/indexes").json() == [{"name": "mine", "songs": 8, "parts": parts, "tracker": tracker}]
    answer = client.get("/api/tag", params={"words": "rock"})
    assert (answer.status_code, "no sound; add it" in answer.json()["detail"]) == (409, True)
    assert client.post("/api/search?index=other", content=b"x").status_code == 404
    assert client.get("/api/songs", params={"like": "3"}).json() == [{"music_id": "3", "title": "", "artist": ""}]


def test_recordings_are_played_in_parts(folder, client):
    whole = (folder / "music/3.wav").read_bytes()
    assert client.get("/api/audio", params={"song": "3"}).content == whole
    part = client.get("/api/audio", params={"song": "3"}, headers={"range": "bytes=100-199"})
    assert (part.status_code, part.content) == (206, whole[100:200])


@pytest.mark.parametrize("song", ["../../etc/passwd", "/etc/passwd", "..", "3.wav", "", "\x00", "3" * 501])
def test_no_path_reaches_the_disk(client, song):
    answer = client.get("/api/audio", params={"song": song})
    assert answer.status_code in (404, 422)
    assert b"root:" not in answer.content


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "no recording"),
        (b"hello", "it is text"),
        (b"RIFF\x00\x00\x00\x00WAVE", "the recording"),
        (b"\x1aE\xdf\xa3" + b"\x00" * 400, "the recording"),
        (b"OggS" + b"\xff" * 400, "the recording"),
    ],
)
def test_what_is_no_recording_is_one_sentence(client, body, text):
    answer = client.post("/api/search", content=body)
    assert answer.status_code == 422
    assert text in answer.json()["detail"]
    assert "/tmp" not in answer.json()["detail"]
    assert "\n" not in answer.json()["detail"]


def test_the_page_is_whole_and_asks_nobody_else(client):
    page = client.get("/")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    for name in PAGE:
        assert client.get(f"/{name}").status_code == 200
    assert "//" not in page.text.replace("<!doctype", "")
    assert "style=" not in page.text
    alone = TestClient(make_app(Libraries(Path("nowhere")), page=False), base_url="http://127.0.0.1")
    assert alone.get("/").status_code == 404
    assert "/api/search" in alone.get("/api/docs.json").json()["paths"]
