"""The pictures of docs/page.md: the page in Chromium, whose microphone hums a tune of the books.

python tools/page_pictures.py      (with the extras app and dev, and chromium)
"""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import soundfile
import uvicorn
from playwright.sync_api import sync_playwright

from humfind.app import tunes
from humfind.app.guard import LOOPBACK, Guard
from humfind.app.libraries import Libraries
from humfind.app.library import Library
from humfind.app.run import config_of
from humfind.app.server import make_app
from humfind.retrieval.sound import write_sound
from humfind.retrieval.tracks import write_tracks
from humfind.runtime import paths
from humfind.synth.singer import sing
from humfind.synth.soundfont import RATE_HZ, Played, Soundfont

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "page"
INSTRUMENTS = {"piano": 0, "organ": 19, "guitar": 24, "violin": 40, "trumpet": 56, "flute": 73, "harpsichord": 6}
TUNES, LENGTH_S = 42, 25.0
HUMMED = "Aird's Airs 1, 109"
DESKTOP, PHONE = {"width": 900, "height": 820}, {"width": 360, "height": 740}


def played(folder: Path) -> Path:
    """A folder of music: tunes of the books, each by one instrument."""
    font, every = Soundfont(), tunes.music_ids()
    for i, row in enumerate(np.linspace(0, len(every) - 1, TUNES).astype(int)):
        name, program = list(INSTRUMENTS.items())[i % len(INSTRUMENTS)]
        notes = tunes.notes_of(every[row]).between(0.0, LENGTH_S)
        columns = zip(notes.start_s.tolist(), notes.end_s.tolist(), notes.midi.tolist(), strict=True)
        samples = font.play([Played(a, b, program, round(midi), 90) for a, b, midi in columns], LENGTH_S)
        title = tunes.titled(every[row]).replace("/", "-")
        path = folder / name / f"{title}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.8 * samples / np.abs(samples).max(), RATE_HZ)
    return folder


def served(libraries: Libraries) -> str:
    """The address of a server that ends with the program."""
    config = config_of(Guard(make_app(libraries), LOOPBACK))
    config.port = 0
    server = uvicorn.Server(config)
    threading.Thread(target=server.run, daemon=True).start()
    while not server.started:
        time.sleep(0.05)
    return f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/"


def wait(page: Any, *words: str) -> None:
    """Until the page says one of them."""
    while not any(word in page.inner_text("#said") for word in words):
        time.sleep(0.05)


def pictures(page: Any, name: str) -> None:
    """One page, way after way."""

    def keep(what: str) -> None:
        time.sleep(0.5)
        page.screenshot(path=FOLDER / f"{what}_{name}.png")

    page.wait_for_selector("#tab-hum")
    page.click("#record")
    time.sleep(6)
    keep("humming")
    wait(page, "Found", "One of", "Not here")
    keep("found")
    page.select_option("#library", "Played tunes")
    page.wait_for_selector("#tab-words")
    page.click("#tab-words")
    page.click("#tags >> text=piano")
    wait(page, "Nearest")
    keep("words")
    page.click("#tab-tracks")
    for word in ("reel", "march"):
        page.fill("#track", word)
        page.click("#offered button")
    page.click("#make")
    wait(page, "playlist")
    keep("tracks")
    page.click("#tab-map")
    page.wait_for_selector("#like")
    page.focus("#map")
    page.keyboard.press("ArrowRight")
    keep("map")


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory() as folder:
        root = Path(folder)
        write_sound(played(root / "music"), root / "index", "public_test")
        write_tracks(root / "music", root / "index", "public_test", None)
        libraries = Libraries(paths.home() / "runs" / "app")
        tunes.build(libraries.home / tunes.FOLDER)
        libraries.add_tunes()
        libraries.open["Played tunes"] = Library("Played tunes", root / "index")
        libraries.open[tunes.NAME].warm()
        notes = tunes.notes_of(HUMMED).between(0.0, 12.0)
        sung, _, _ = sing(notes, 10.0, np.random.default_rng(1), 48_000)
        silence = np.zeros(3 * 48_000, np.float32)
        soundfile.write(root / "hum.wav", np.concatenate([0.5 * sung / np.abs(sung).max(), silence]), 48_000, "PCM_16")
        flags = ["--no-sandbox", "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        flags.append(f"--use-file-for-fake-audio-capture={root / 'hum.wav'}%noloop")
        address = served(libraries)
        with sync_playwright() as play:
            for name, viewport, scheme in (("desktop", DESKTOP, "light"), ("phone", PHONE, "dark")):
                browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=flags)
                page = browser.new_context(viewport=viewport, color_scheme=scheme).new_page()  # type: ignore[arg-type]
                page.goto(address)
                pictures(page, name)
                browser.close()


if __name__ == "__main__":
    main()
