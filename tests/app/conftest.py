"""The endpoint as it is served, over real sockets, with the tunes of one book."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import uvicorn
from served import BOOK, HUMMED, Serve
from tiny_world import f0_of, melody, put_audio

from humfind.app import tunes
from humfind.app.guard import LOOPBACK, Guard, Turns
from humfind.app.libraries import Libraries
from humfind.app.library import Library
from humfind.app.run import Impatient, config_of
from humfind.app.server import make_app
from humfind.config import F0Config
from humfind.retrieval.indexing import write_index
from humfind.synth.singer import sing


@pytest.fixture(scope="session")
def book(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """The tunes of one book."""
    folder = tmp_path_factory.mktemp("book") / tunes.FOLDER
    tunes.build(folder, {BOOK})
    return tunes.library(folder)


@pytest.fixture(scope="session")
def hums(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Ten seconds, sung in 48 kHz: ``hum`` of the tune that ``HUMMED`` names, ``noise``, ``short`` and ``silence``."""
    folder = tmp_path_factory.mktemp("hums")
    rng = np.random.default_rng(4)
    notes = tunes.notes_of(HUMMED).between(1.0, 12.0)
    sung, _, _ = sing(notes, 10.0, rng, 48_000)
    quiet = np.zeros(3 * 48_000, np.float32)
    sounds = {
        "hum": np.concatenate([0.5 * sung / np.abs(sung).max(), quiet]),
        "noise": np.concatenate([0.1 * rng.standard_normal(8 * 48_000).astype(np.float32), quiet]),
        "short": np.concatenate([0.5 * sung[48_000:96_000] / np.abs(sung).max(), quiet]),
        "silence": np.zeros(20 * 48_000, np.float32),
    }
    for name, samples in sounds.items():
        soundfile.write(folder / f"{name}.wav", samples, 48_000, "PCM_16")
    return {name: folder / f"{name}.wav" for name in sounds}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """music/N.wav, and index/ of their melodies."""
    root = tmp_path_factory.mktemp("library")
    for i in range(8):
        put_audio(root / f"music/{i}.wav", f0_of(melody(i, notes=40), shift=12))
        put_audio(root / f"hums/{i}.wav", f0_of(melody(i, notes=20), shift=9))
    write_index(root / "music", root / "index", "public_test", None, "pretrained", F0Config(tracker="swiftf0"))
    return root


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Serves libraries, guarded, until the test ends: serve(libraries, ...) -> address."""
    running: list[tuple[uvicorn.Server, threading.Thread]] = []

    def start(
        libraries: Libraries,
        slowest_s: float = 5.0,
        largest: int = 2_000_000,
        turns: Turns | None = None,
        token: str = "",
        keep: Path | None = None,
        port: int = 0,
    ) -> str:
        guard = Guard(make_app(libraries, turns, keep=keep), LOOPBACK, token, largest, slowest_s)
        config = config_of(guard)
        config.http = type("Quick", (Impatient,), {"slowest_s": slowest_s})
        config.port = port
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, daemon=True)
        thread.start()
        running.append((server, thread))
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.02)
        return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"

    yield start
    for server, thread in running:
        server.should_exit = True
        thread.join(30)
