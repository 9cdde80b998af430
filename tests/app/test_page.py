"""The page, in a real Chromium whose microphone hums."""

from __future__ import annotations

import base64
import io
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import av
import pytest
import soundfile
from served import BOOK, HUMMED, Serve, opened
from tiny_world import LONGEST_S, f0_of, melody, put_audio

from humfind.app import tunes
from humfind.app.libraries import Libraries
from humfind.app.library import Library
from humfind.retrieval.sound import write_sound
from humfind.retrieval.tracks import write_tracks

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium; get it with: make browser")
FLAGS = ["--no-sandbox", "--use-fake-device-for-media-stream"]
ALLOWED = "--use-fake-ui-for-media-stream"
PHONE, DESKTOP = {"width": 360, "height": 740}, {"width": 1100, "height": 900}
TITLE = tunes.titled(HUMMED)
Open = Callable[..., Any]


@pytest.fixture
def browse() -> Iterator[Open]:
    """browse(address, ...) -> a page in a Chromium of its own; whatever its console says fails the test."""
    with ExitStack() as stack:
        play = stack.enter_context(playwright.sync_playwright())
        complaints: list[str] = []

        def opened_page(
            address: str,
            hum: Path | None = None,
            flags: tuple[str, ...] = (ALLOWED,),
            quiet: bool = True,
            **context: Any,
        ) -> Any:
            heard = [f"--use-file-for-fake-audio-capture={hum}%noloop"] if hum else []
            browser = play.chromium.launch(executable_path=CHROMIUM, args=[*FLAGS, *flags, *heard])
            stack.callback(browser.close)
            page = browser.new_context(viewport=context.pop("viewport", DESKTOP), **context).new_page()
            page.set_default_timeout(1000 * LONGEST_S)
            page.on("pageerror", lambda error: complaints.append(str(error)))
            if quiet:
                page.on("console", lambda said: complaints.append(said.text))
            page.goto(address)
            page.wait_for_selector("#ways button, #said:not(:empty)")
            return page

        yield opened_page
        assert not complaints


def said(page: Any, *words: str) -> str:
    """What the page says, when it says one of these."""
    end = time.monotonic() + LONGEST_S
    while not any(word in (text := page.inner_text("#said")) for word in words):
        assert time.monotonic() < end, f"the page says: {text!r}"
        time.sleep(0.05)
    return text


@pytest.fixture
def address(serve: Serve, book: Library, tmp_path: Path) -> str:
    """A page that has one book."""
    return serve(opened(tmp_path, book=book))


@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_a_hum_into_the_microphone_finds_its_tune(
    browse: Open, address: str, hums: dict[str, Path], viewport: dict[str, int]
):
    page = browse(address, hums["hum"], viewport=viewport, is_mobile=viewport is PHONE)
    page.click("#record")
    page.wait_for_selector("#record[aria-pressed=true]")
    time.sleep(4)
    assert page.evaluate(COLOURED, "#melody")[0] > 100  # the melody, while it is hummed
    page.wait_for_selector("#record[aria-pressed=false]", timeout=20_000)  # by itself
    assert said(page, "Found", "One of", "Not here", "short") == f"Found: {BOOK} - {TITLE}"
    answer = page.locator("#answers li")
    assert answer.count() == 1
    assert min(page.evaluate(COLOURED, "#answers canvas")) > 100  # the hum on the song's line
    assert "semitone" in answer.inner_text() or "own key" in answer.inner_text()
    page.click("#answers .play")
    page.wait_for_function(PLAYS)
    starts = page.evaluate("document.getElementById('player').currentTime")
    place = answer.locator(".about").inner_text().split(" to ")[0]
    minutes, seconds = place.split(":")
    assert 0 <= starts - 60 * int(minutes) - int(seconds) < 4
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")  # nothing sticks out


# of a canvas, the pixels of the hum's colour and of the song's
COLOURED = """(selector) => {
    const canvas = document.querySelector(selector);
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    const count = [0, 0];
    for (let at = 0; at < data.length; at += 4) {
        if (data[at + 3] > 200 && data[at] > data[at + 2] + 60) count[0] += 1;
        if (data[at + 3] > 200 && data[at + 2] > data[at] + 60) count[1] += 1;
    }
    return count;
}"""
PLAYS = """() => {
    const player = document.getElementById("player");
    return player.readyState > 1 && !player.paused && player.currentTime > 0.2;
}"""


def test_noise_is_not_here_and_one_can_hum_again(browse: Open, address: str, hums: dict[str, Path]):
    page = browse(address, hums["noise"], quiet=False)
    page.click("#record")
    said(page, "Listening")
    assert said(page, "Found", "One of", "Not here").startswith("Not here")
    assert page.locator("#answers li").count() == 0
    page.click("#record")
    said(page, "Listening")


@pytest.mark.parametrize(("name", "text"), [("short", "Too short"), ("silence", "Nothing was heard")])
def test_what_is_no_hum_is_said(browse: Open, address: str, hums: dict[str, Path], name: str, text: str):
    page = browse(address, hums[name])
    page.click("#record")
    if name == "short":
        said(page, "Listening")
        time.sleep(0.5)
        page.click("#record")
    said(page, text)
    assert page.locator("#record[aria-pressed=false]").count() == 1


def test_a_button_that_is_held_stops_when_it_is_let_go(browse: Open, address: str, hums: dict[str, Path]):
    page = browse(address, hums["hum"])
    page.hover("#record")
    page.mouse.down()
    said(page, "Listening")
    time.sleep(6)
    page.mouse.up()
    page.wait_for_selector("#record[aria-pressed=false]", timeout=2000)
    said(page, TITLE)


def test_a_microphone_that_is_refused_or_missing_is_said(browse: Open, address: str):
    page = browse(address, flags=("--deny-permission-prompts",))
    page.click("#record")
    said(page, "was refused")
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotFoundError')); }"
    )
    page.click("#record")
    said(page, "No microphone")
    page.evaluate(
        "() => { Object.defineProperty(navigator, 'mediaDevices', { value: undefined }); }"
    )  # as without https
    page.click("#record")
    said(page, "https")


def container(wav: Path, path: Path, codec: str) -> Path:
    """As a phone or a browser records it."""
    samples, rate_hz = soundfile.read(wav, dtype="float32")
    with av.open(str(path), "w") as out:
        stream: Any = out.add_stream(codec, rate=rate_hz, layout="mono")
        frame = av.AudioFrame.from_ndarray(samples[None], "fltp", "mono")
        frame.rate = rate_hz
        resampler = av.AudioResampler(stream.codec_context.format, "mono", rate_hz, stream.codec_context.frame_size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return path


@pytest.mark.parametrize(("suffix", "codec", "kind"), [("webm", "libopus", "video/webm"), ("m4a", "aac", "audio/mp4")])
def test_a_recording_is_dropped_or_picked(
    browse: Open, address: str, hums: dict[str, Path], tmp_path: Path, suffix: str, codec: str, kind: str
):
    file = container(hums["hum"], tmp_path / f"hum.{suffix}", codec)
    page = browse(address)
    values = page.evaluate_handle(
        """([bytes, name, type]) => {
        const values = new DataTransfer();
        values.items.add(new File([new Uint8Array(bytes)], name, { type }));
        return values;
    }""",
        [list(file.read_bytes()), file.name, kind],
    )
    page.dispatch_event("body", "drop", {"dataTransfer": values})
    said(page, f"Found: {BOOK} - {TITLE}")
    page.reload()
    page.wait_for_selector("#ways button")
    page.set_input_files("#hum-file", file)
    said(page, f"Found: {BOOK} - {TITLE}")


def test_a_file_that_is_none_and_a_server_that_is_gone_are_said(
    browse: Open, serve: Serve, book: Library, tmp_path: Path
):
    page = browse(serve(opened(tmp_path, book=book)), quiet=False)
    note = tmp_path / "note.txt"
    note.write_text("hello " * 100)
    page.set_input_files("#hum-file", note)
    said(page, "it is text")
    page.route("**/api/**", lambda route: route.abort())
    page.set_input_files("#hum-file", note)
    said(page, "does not answer")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Library:
    """Recordings of six tunes, with sound and tracks; one has a hostile title."""
    root = tmp_path_factory.mktemp("rendered")
    (root / "music").mkdir()
    names = ["a", "b", "c", "d", "e", "<img src=x onerror=alert(1)>"]
    for i, name in enumerate(names, 1):
        samples, rate_hz = soundfile.read(io.BytesIO(tunes.wav(f"{BOOK}, {i}")))
        soundfile.write(root / f"music/{name}.wav", samples[: 7 * rate_hz], rate_hz)
    write_sound(root / "music", root / "index", "public_test")
    write_tracks(root / "music", root / "index", "public_test", None)
    return Library("rendered", root / "index")


def test_the_other_ways_by_keyboard_alone(browse: Open, serve: Serve, rendered: Library, tmp_path: Path):
    page = browse(serve(opened(tmp_path, rendered=rendered)), accept_downloads=True)
    page.on("dialog", lambda dialog: pytest.fail("a title was run"))
    assert page.locator("#ways button").all_inner_texts() == ["Words", "Sound", "Tracks", "Map"]

    def tab_to(selector: str) -> None:
        for _ in range(120):
            if page.evaluate("(one) => document.activeElement?.matches(one) ?? false", selector):
                return
            page.keyboard.press("Tab")
        pytest.fail(f"{selector} is not reached by Tab")

    tab_to("#words")
    page.keyboard.type("flute")
    page.keyboard.press("Enter")
    said(page, "Nearest")
    assert page.locator("#answers li").count() == 6
    assert page.locator("#answers img").count() == 0
    assert "<img src=x" in page.inner_text("#answers")
    tab_to("#answers .play")
    page.keyboard.press("Enter")
    page.wait_for_function(PLAYS)

    page.focus("#tab-words")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.activeElement.id") == "tab-tracks"
    tab_to("#track")
    page.keyboard.type("b")
    page.wait_for_selector("#offered button")
    tab_to("#offered button")
    page.keyboard.press("Enter")
    page.wait_for_selector("#chosen button")
    tab_to("#make")
    page.keyboard.press("Enter")
    said(page, "A playlist of 6 tracks")
    tab_to("#save")
    with page.expect_download() as download:
        page.keyboard.press("Enter")
    lines = Path(download.value.path()).read_text("utf-8").splitlines()
    assert lines[0] == "#EXTM3U"
    assert lines[2].endswith("/music/b.wav")

    page.focus("#tab-tracks")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#like")
    tab_to("#map")
    seen = {page.inner_text("#here")}
    for key in ("ArrowRight", "ArrowDown", "ArrowLeft", "ArrowUp"):
        for _ in range(3):
            page.keyboard.press(key)
            seen.add(page.inner_text("#here"))
    assert len(seen) >= 3
    tab_to("#like")
    page.keyboard.press("Enter")
    said(page, "Nearest")
    assert page.locator("#answers li").count() == 5  # not itself


def test_a_hum_by_keyboard_alone(browse: Open, address: str, hums: dict[str, Path]):
    page = browse(address, hums["hum"])
    for _ in range(20):
        if page.evaluate("document.activeElement.id") == "record":
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Space")
    said(page, "Listening")
    time.sleep(7)
    page.keyboard.press("Enter")
    said(page, TITLE)


def test_a_sound_is_given_with_a_place(browse: Open, serve: Serve, rendered: Library, tmp_path: Path):
    page = browse(serve(opened(tmp_path, rendered=rendered), largest=20_000_000), quiet=False)
    page.click("#tab-sound")
    file = tmp_path / "tune.wav"
    file.write_bytes(tunes.wav(f"{BOOK}, 7"))
    page.set_input_files("#sound-file", file)
    said(page, "Nearest")
    page.fill("#sound-at", "99:99:1")
    page.set_input_files("#sound-file", file)
    said(page, "minutes and seconds")
    page.fill("#sound-at", "9:00")
    page.set_input_files("#sound-file", file)
    said(page, "it ends at")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("viewport", [DESKTOP, PHONE])
def test_axe_has_nothing_to_complain_of(
    browse: Open, serve: Serve, book: Library, rendered: Library, hums: dict[str, Path], tmp_path: Path, scheme: str,
    viewport: dict[str, int],
):  # fmt: skip
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    address = serve(opened(tmp_path, book=book, rendered=rendered), largest=20_000_000)
    page = browse(address, color_scheme=scheme, viewport=viewport, bypass_csp=True)  # axe comes from outside

    def clean(where: str) -> None:
        found = axe.run(page).response["violations"]
        assert not found, f"{where}: {[(one['id'], one['nodes'][0]['html']) for one in found]}"

    clean("hum")
    page.set_input_files("#hum-file", hums["hum"])
    said(page, "Found")
    clean("found")
    page.select_option("#library", "rendered")
    for way in ("words", "sound", "tracks", "map"):
        page.click(f"#tab-{way}")
        if way == "words":
            page.fill("#words", "flute")
            page.keyboard.press("Enter")
            said(page, "Nearest")
        if way == "map":
            page.wait_for_selector("#like")
        clean(way)
    page.click("#missing summary")
    clean("what is missing")


def test_answers_come_while_one_hums(browse: Open, address: str, hums: dict[str, Path]):
    page = browse(address, hums["hum"])
    searched = []
    page.on("request", lambda request: searched.append(request.url) if "/api/search" in request.url else None)
    page.click("#record")
    said(page, "So far")
    assert page.locator("#record[aria-pressed=true]").count() == 1
    page.wait_for_selector("#record[aria-pressed=false]", timeout=20_000)
    said(page, f"Found: {BOOK} - {TITLE}")
    early = [url for url in searched if "while_humming" in url]
    assert early
    assert "while_humming" not in searched[-1]
    assert len(early) <= 5  # one at a time, every two seconds


def test_a_folder_is_added_from_the_page_with_progress(browse: Open, serve: Serve, tmp_path: Path):
    put_audio(tmp_path / "music/1.wav", f0_of(melody(1, notes=20)))
    page = browse(serve(Libraries(tmp_path / "home", [tmp_path / "music"])))
    assert page.inner_text("#said") == "No library is open."
    page.click("#adding")
    assert page.inner_text("#folder") == "music: 1 file"
    page.uncheck("input[value=sound]")
    page.uncheck("input[value=tracks]")
    page.click("#add button")
    page.wait_for_selector("#building progress")
    assert "music: " in page.inner_text("#building-what")
    page.wait_for_function("document.querySelector('#said').textContent !== 'No library is open.'")
    assert page.inner_text("#said").startswith("music"), "not of the tune books, which nobody asked for"
    said(page, "music is ready")
    page.wait_for_selector("#building", state="hidden")
    assert page.input_value("#library") == "music"
    page.click("#missing summary")
    assert page.inner_text("#missing-command") == "humfind index MUSIC --out INDEX --parts sound,tracks"


def test_a_page_from_elsewhere_neither_learns_nor_searches(
    browse: Open, serve: Serve, book: Library, hums: dict[str, Path], tmp_path: Path
):
    page = browse(serve(opened(tmp_path, book=book)), quiet=False, bypass_csp=True)  # as a page without our policy
    other = serve(opened(tmp_path, book=book), keep=tmp_path / "kept")  # another port is another origin
    ask = "async (url) => fetch(url).then((answer) => answer.text(), () => 'blocked')"
    assert "title" in page.evaluate(ask, "/api/songs?like=a")
    assert page.evaluate(ask, f"{other}/api/songs?like=a") == "blocked"
    send = """async ([url, text]) => {
        const body = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
        await fetch(url, { method: "POST", mode: "no-cors", body }).catch(() => null);
    }"""
    body = base64.b64encode(hums["hum"].read_bytes()).decode()
    page.evaluate(send, [f"{other}/api/search", body])  # which a browser sends without asking
    assert not (tmp_path / "kept").exists()
    own = browse(other, quiet=False)
    own.evaluate(send, ["/api/search", body])
    assert len(list((tmp_path / "kept").iterdir())) == 2
