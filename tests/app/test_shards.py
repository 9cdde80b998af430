"""Songs dealt to several servers, searched as one library: real servers, real sockets."""

from __future__ import annotations

import json
import math
import socket
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

import numpy as np
import pytest
from served import HUMMED, Serve, opened
from tiny_world import LONGEST_S

from humfind.app.library import Library
from humfind.app.shards import Shard, Shards, UnavailableError, merged
from humfind.config import RankConfig
from humfind.f0 import Tracker, track_file
from humfind.index import Index
from humfind.rankers.fusion import none_among, probabilities
from humfind.types import F0, InputError

INTO, PATIENT_S = 3, 60.0


@pytest.fixture(scope="module")
def dealt(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Library]:
    out = tmp_path_factory.mktemp("shards")
    command = [sys.executable, "-m", "humfind", "shard", folder / "index", "--into", str(INTO), "--out", out]
    assert subprocess.run(command, capture_output=True, check=True, text=True).stdout.count(" songs: ") == INTO
    parts = [Library(f"part {number}", out / str(number)) for number in range(1, INTO + 1)]
    for one in parts:
        one.warm()
    return parts


@contextmanager
def silent() -> Iterator[str]:
    """A server that takes what it is asked and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def free() -> str:
    """An address where nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


def searched(address: str, hum: Path) -> dict[str, Any]:
    with urllib.request.urlopen(
        urllib.request.Request(f"{address}/api/search", hum.read_bytes()), timeout=LONGEST_S
    ) as answer:
        found: dict[str, Any] = json.load(answer)
    return found


def test_every_song_falls_to_one_shard_and_always_to_the_same(folder: Path, dealt: list[Library]):
    whole = Index.load(folder / "index")
    parts = [Index.load(one.folder) for one in dealt]
    assert sorted(music_id for part in parts for music_id in part.music_ids) == list(whole.music_ids)
    for part in parts:
        for row, song in enumerate(part.songs):
            here, there = part.entry(row), whole.entry(whole.songs.index(song))
            assert (here.embeddings.vectors == there.embeddings.vectors).all()
            assert (here.contour.semitones == there.contour.semitones).all()
    less = whole.delete([whole.music_ids[0]])
    kept = set(parts[1].music_ids) - {whole.music_ids[0]}
    assert set(less.shard(1, INTO).music_ids) == kept
    with pytest.raises(InputError, match=r"shard \d+ of 100 would have no song; take fewer shards"):
        [whole.shard(number, 100) for number in range(100)]


def test_the_page_searches_all_of_them(serve: Serve, folder: Path, dealt: list[Library], tmp_path: Path):
    addresses = [serve(opened(tmp_path, part=one), token="secret") for one in dealt]
    every = Shards.at("all", [f"{address}/?token=secret" for address in addresses], PATIENT_S)
    every.require()
    front = serve(opened(tmp_path, all=every))
    with urllib.request.urlopen(f"{front}/api/indexes") as answer:
        assert json.load(answer) == [
            {"name": "all", "songs": 8, "parts": {"melody": True, "sound": False, "tracks": False}, "tracker": {}}
        ]
    hum = folder / "hums/1.wav"
    found, alone = searched(front, hum), Library("whole", folder / "index").hum(hum, "hum")
    assert found["missing"] == []
    assert found["answers"][0]["music_id"] == "1" == alone["answers"][0]["music_id"]
    assert len({row["music_id"] for row in found["answers"]}) == 8
    assert found["answers"][0]["line"] == alone["answers"][0]["line"]
    assert found["line"] == alone["line"]
    with urllib.request.urlopen(f"{front}/api/songs?like=") as answer:
        assert [row["music_id"] for row in json.load(answer)] == [str(number) for number in range(8)]
    with urllib.request.urlopen(f"{front}/api/audio?song=5") as answer:
        assert answer.read() == (folder / "music/5.wav").read_bytes()
    with pytest.raises(urllib.error.HTTPError, match="404"):
        urllib.request.urlopen(f"{front}/api/audio?song=none")


def test_the_answers_are_those_of_one_library(serve: Serve, book: Library, hums: dict[str, Path], tmp_path: Path):
    """Tunes enough for each to tell what chance does."""
    whole, addresses = Index.load(book.folder), []
    for number in range(INTO):
        whole.shard(number, INTO).save(tmp_path / str(number))
        addresses.append(serve(opened(tmp_path, part=Library("part", tmp_path / str(number)))))
    every = Shards.at("all", addresses, PATIENT_S)
    found, alone = every.hum(hums["hum"], "hum"), book.hum(hums["hum"], "hum")
    assert every.count == len(whole.music_ids)
    assert found["verdict"] == alone["verdict"] == "found"
    assert found["answers"][0]["music_id"] == alone["answers"][0]["music_id"] == HUMMED
    assert found["answers"][0]["match"] == alone["answers"][0]["match"]
    assert found["here"] == pytest.approx(alone["here"], abs=0.1)
    five, among = ([row["music_id"] for row in one["answers"]] for one in (found, alone))
    assert len(set(five[:5]) & set(among)) >= 4
    noise = every.hum(hums["noise"], "noise")
    assert noise["verdict"] == "not here" == book.hum(hums["noise"], "noise")["verdict"]


def test_one_that_is_slow_or_gone_costs_its_own_songs_and_is_named(
    serve: Serve, folder: Path, dealt: list[Library], tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    here, gone = serve(opened(tmp_path, part=dealt[0])), free()
    with silent() as slow:
        every = Shards.at("all", [here, gone, slow], slowest_s=10.0)
        every.require()
        assert f"{gone}: does not answer; its songs are left out until it answers" in caplog.text
        song = Index.load(dealt[0].folder).music_ids[0]
        start = time.monotonic()
        found = every.hum(folder / f"hums/{song}.wav", "hum")
        assert time.monotonic() - start < 20
        assert found["answers"][0]["music_id"] == song
        start = time.monotonic()
        assert every.recording(song) == (folder / f"music/{song}.wav").read_bytes()
        assert time.monotonic() - start < 8, "the slow one is not waited for"
        assert found["missing"] == [{"shard": gone, "why": "does not answer"}, {"shard": slow, "why": "slow"}]
    nobody = Shards.at("all", [free(), free()], slowest_s=4.0)
    with pytest.raises(InputError, match="does not answer; start the shards first"):
        nobody.require()
    with pytest.raises(UnavailableError, match="does not answer"):
        nobody.hum(folder / "hums/1.wav", "hum")
    front = serve(opened(tmp_path, all=nobody))
    with pytest.raises(urllib.error.HTTPError, match="503"):
        searched(front, folder / "hums/1.wav")


def test_one_that_comes_back_is_searched_again(serve: Serve, folder: Path, dealt: list[Library], tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        late = f"http://127.0.0.1:{listening.getsockname()[1]}"
        port = listening.getsockname()[1]
    every = Shards.at("all", [serve(opened(tmp_path, part=dealt[0])), late], PATIENT_S)
    every.require()
    song = Index.load(dealt[1].folder).music_ids[0]
    hum = folder / f"hums/{song}.wav"
    assert [one["shard"] for one in every.hum(hum, "hum")["missing"]] == [late]
    assert serve(opened(tmp_path, part=dealt[1]), port=port) == late
    found = every.hum(hum, "hum")
    assert found["missing"] == []
    assert found["answers"][0]["music_id"] == song
    assert every.count == sum(len(Index.load(one.folder).music_ids) for one in dealt[:2])


def test_what_is_no_recording_is_told_as_by_one_library(
    serve: Serve, folder: Path, dealt: list[Library], tmp_path: Path
):
    every = Shards.at("all", [serve(opened(tmp_path, part=one)) for one in dealt], PATIENT_S)
    (tmp_path / "text.wav").write_text("no sound")
    with pytest.raises(InputError, match=r"text\.wav: "):
        every.hum(tmp_path / "text.wav", "hum")


def test_a_hum_is_tracked_once_however_many_shards_there_are(
    serve: Serve, folder: Path, dealt: list[Library], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    every = Shards.at("all", [serve(opened(tmp_path, part=one)) for one in dealt], PATIENT_S)
    every.require()
    by_shards: list[Path] = []

    def track(tracker: Tracker, path: Path) -> F0:
        by_shards.append(path)
        return track_file(tracker, path)

    monkeypatch.setattr("humfind.f0.track_file", track)  # which a library's own queries are made by
    once = every.hum(folder / "hums/1.wav", "hum")
    assert not by_shards
    without = Shards.at("all", [shard.address for shard in every.shards], PATIENT_S)
    without.require()
    for address, about in without.known.items():
        other = json.dumps(json.loads(about.tracker) | {"tracker": "not on this machine"})
        without.known[address] = about._replace(tracker=other)
    assert without.hum(folder / "hums/1.wav", "hum") == once
    assert len(by_shards) == INTO


def test_a_shard_that_now_tracks_in_another_way_is_told_apart_and_asked_anew(
    serve: Serve, folder: Path, dealt: list[Library], tmp_path: Path
):
    every = Shards.at("all", [serve(opened(tmp_path, part=one)) for one in dealt], PATIENT_S)
    every.require()
    first = every.shards[0].address
    slower = json.dumps(json.loads(every.known[first].tracker) | {"version": "of last year"})
    every.known[first] = every.known[first]._replace(tracker=slower)
    hum = folder / "hums/1.wav"
    assert every.hum(hum, "hum")["missing"] == [{"shard": first, "why": "was built anew"}]
    found = every.hum(hum, "hum")
    assert found["missing"] == []
    assert len(found["answers"]) == 8


class Answering:
    """A server that answers everything with the same bytes."""

    def __init__(self, body: bytes) -> None:
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.body = body
        self.address = f"http://127.0.0.1:{self.listening.getsockname()[1]}"
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection:
                connection.recv(1_000_000)
                connection.sendall(self.body)


@pytest.mark.parametrize(
    "body",
    [
        b"SSH-2.0-OpenSSH\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n[1",
        b'HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{"answers": null}',
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 301 Moved\r\nLocation: file:///etc/passwd\r\nContent-Length: 0\r\n\r\n",
    ],
    ids=["no http", "empty", "cut", "null", "500", "moved"],
)
def test_what_is_no_shard_is_left_out(serve: Serve, folder: Path, dealt: list[Library], tmp_path: Path, body: bytes):
    other = Answering(body)
    every = Shards.at("all", [serve(opened(tmp_path, part=dealt[0])), other.address], PATIENT_S)
    every.require()
    song = Index.load(dealt[0].folder).music_ids[0]
    found = every.hum(folder / f"hums/{song}.wav", "hum")
    assert found["answers"][0]["music_id"] == song
    assert [one["shard"] for one in found["missing"]] == [other.address]
    other.listening.close()


@pytest.mark.parametrize(
    ("link", "address", "token"),
    [
        ("http://127.0.0.1:8017/", "http://127.0.0.1:8017", ""),
        ("https://music.local:8017/?token=abc", "https://music.local:8017", "abc"),
        ("http://[::1]:8017", "http://[::1]:8017", ""),
    ],
)
def test_addresses(link: str, address: str, token: str):
    assert Shard.of(link) == Shard(address, token)
    assert "abc" not in repr(Shard.of(link)), "a token is not printed"


@pytest.mark.parametrize("link", ["", "music.local", "http://", "file:///etc/passwd", "http://a:b/", "http://a:80/x"])
def test_addresses_that_are_none(link: str):
    with pytest.raises(InputError, match="not the address of a humfind app"):
        Shard.of(link)


def test_a_shard_that_is_given_twice():
    with pytest.raises(InputError, match="given twice"):
        Shards.at("all", ["http://a:1/", "http://a:1"])


def of_shard(log_e: np.ndarray, names: list[str], none: float) -> dict[str, Any]:
    """What a shard says of its songs' log E-values."""
    chance = probabilities(log_e, none)
    order = np.argsort(log_e, kind="stable")[:10]
    rows = [{"music_id": names[i], "score": -float(log_e[i]), "probability": float(chance[i])} for i in order]
    return {"query": "hum", "verdict": "", "here": round(float(chance.sum()), 4), "answers": rows}


@pytest.mark.parametrize("best", [-40.0, -12.0, -9.0, -3.0, 2.0])
def test_a_probability_is_among_the_songs_of_all_shards(best: float):
    rng = np.random.default_rng(int(abs(best)))
    weights = RankConfig().fusion
    log_e = rng.uniform(-6, 8, 5000)
    log_e[1234] = best
    names = [f"{i:04d}" for i in range(len(log_e))]
    parts = np.split(np.arange(len(log_e)), [400, 1500, 1501])
    told = [of_shard(log_e[part], [names[i] for i in part], none_among(len(part), weights)) for part in parts]
    found = merged("hum", told, [len(part) for part in parts])
    whole = of_shard(log_e, names, none_among(len(log_e), weights))
    assert [row["music_id"] for row in found["answers"]] == [row["music_id"] for row in whole["answers"]]
    chance = [row["probability"] for row in whole["answers"]]
    assert [row["probability"] for row in found["answers"]] == pytest.approx(chance, rel=1e-6)
    assert found["here"] == pytest.approx(whole["here"], abs=1e-4)


def test_a_hum_without_a_melody_is_in_no_shard():
    log_e = np.array([3.0, 1.0])
    told = [of_shard(log_e, ["a", "b"], -math.inf), of_shard(log_e, ["c", "d"], -math.inf)]
    found = merged("hum", told, [2, 2])
    assert found["here"] == 0
    assert found["verdict"] == "not here"
    none = {"query": "hum", "verdict": "not here", "here": 0.0, "reason": "no melody", "answers": []}
    assert merged("hum", [none, none], [2, 2]) == none


def test_songs_are_added_and_deleted_while_it_is_searched(folder: Path, tmp_path: Path):
    """Each answer is of one whole version, the last one that was there when it was asked for, or the next."""
    whole = Index.load(folder / "index")
    without = whole.delete(["3"])
    without.save(tmp_path / "index")
    library, hum = Library("mine", tmp_path / "index"), folder / "hums/3.wav"
    assert library.hum(hum, "hum")["answers"][0]["music_id"] != "3"
    ends, failed = threading.Event(), []

    def write() -> None:
        try:
            for turn in range(12):
                (without if turn % 2 else whole).save(tmp_path / "index")
                time.sleep(0.5)
        except Exception as error:
            failed.append(error)
        ends.set()

    writer = threading.Thread(target=write)
    writer.start()
    counts = set()
    while not ends.is_set():
        found = [row["music_id"] for row in library.hum(hum, "hum")["answers"]]
        counts.add(len(found))
        assert ("3" in found) == (len(found) == 8)
        assert ("3" in found) == (found[0] == "3")
    writer.join()
    assert not failed
    assert counts == {7, 8}, "both were seen"
    whole.save(tmp_path / "index")
    assert library.hum(hum, "hum")["answers"][0]["music_id"] == "3"
    (tmp_path / "index/index.json").write_text("broken")
    assert library.hum(hum, "hum")["answers"][0]["music_id"] == "3", "the last whole one"
