"""The JSON endpoint, documented by OpenAPI at /api/docs.json, and the page."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import secrets
import tempfile
import time
import wave
from collections.abc import Awaitable, Callable
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import Body, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse
from pydantic import BaseModel, Field

from humfind import __version__
from humfind.app.guard import TooManyError, Turns, is_loopback
from humfind.app.libraries import Libraries
from humfind.app.library import Library, OtherTrackerError
from humfind.app.shards import UnavailableError
from humfind.audio.load import require_shorter
from humfind.config import HOPS_S
from humfind.retrieval.playlist import Pick
from humfind.runtime.cores import cores
from humfind.runtime.files import atomic_write
from humfind.runtime.limits import peak_memory_gb
from humfind.types import F0, InputError

LONGEST_HUM_S, LONGEST_SOUND_S = 60.0, 600.0  # that are searched
MOST_FRAMES = round(LONGEST_HUM_S / HOPS_S[0])
PAGE = {"": "text/html", "page.css": "text/css"} | {
    f"{name}.js": "text/javascript" for name in ("page", "texts", "drawing", "microphone", "pitch", "recorder")
}
Part = Literal["melody", "sound", "tracks"]
Index = Annotated[str, Query(max_length=500, description="of a library, as /api/indexes has it; the first where empty")]
Top = Annotated[int, Query(ge=1, le=50)]
SongId = Annotated[str, Query(max_length=500)]
log = logging.getLogger(__name__)


class AskedF0(BaseModel):
    """A hum as it was tracked: hz (0 where there is no pitch) and confidence of each frame. tracker: as /api/indexes
    names the library's, which it must be."""

    tracker: dict[str, Any]
    hop_s: float = Field(ge=HOPS_S[0], le=HOPS_S[1])
    threshold: float = Field(ge=0, le=1)
    hz: list[Annotated[float, Field(ge=0, le=20_000)]] = Field(max_length=MOST_FRAMES)
    confidence: list[Annotated[float, Field(ge=0, le=1)]] = Field(max_length=MOST_FRAMES)

    def f0(self) -> F0:
        """Raises InputError."""
        if len(self.hz) != len(self.confidence) or len(self.hz) * self.hop_s > LONGEST_HUM_S + self.hop_s:
            raise InputError(f"f0: give a confidence for each hz, of {LONGEST_HUM_S:.0f} s at most")
        return F0(np.array(self.hz, np.float32), np.array(self.confidence, np.float32), self.hop_s, self.threshold)


class AskedPlaylist(BaseModel):
    """tracks: ids, titles or names."""

    tracks: list[str] = Field(min_length=1, max_length=50)
    length: int = Field(default=20, ge=2, le=200)


class AskedList(BaseModel):
    """tracks: ids, in their order."""

    tracks: list[str] = Field(min_length=1, max_length=200)


class AskedFolder(BaseModel):
    """id: of a folder, as /api/folders has it."""

    id: str = Field(max_length=64)
    parts: list[Part] = Field(min_length=1, max_length=3)


def make_app(libraries: Libraries, turns: Turns | None = None, page: bool = True, keep: Path | None = None) -> FastAPI:
    """page: False leaves the JSON endpoint alone. keep: a folder for the recordings that are searched, with what was
    found; none is kept where None."""
    app = FastAPI(title="humfind", version=__version__, docs_url=None, redoc_url=None, openapi_url="/api/docs.json")
    waiting = turns or Turns(cores())

    def named(index: str) -> Library:
        found = libraries.open.get(index) if index else next(iter(libraries.open.values()), None)
        if found is None:
            raise HTTPException(404, f"no library is called so; there are {', '.join(libraries.open) or 'none yet'}")
        return found

    def library(index: str, part: Part) -> Library:
        found = named(index)
        if not found.parts[part]:
            raise HTTPException(409, f"this library has no {part}; add it: humfind index FOLDER --parts {part}")
        return found

    async def worked(request: Request, work: Callable[[], Any]) -> Any:
        """In a thread, when its turn has come."""
        address = request.client.host if request.client else ""
        try:
            async with waiting.turn((address, request.headers.get("x-humfind-client", "")[:40])):
                return await asyncio.to_thread(work)
        except TooManyError as error:
            raise HTTPException(429, str(error), {"retry-after": str(error.after_s)}) from error

    async def heard(
        request: Request, longest_s: float, work: Callable[[Path], Any], kept: bool = False, pcm_hz: int | None = None
    ) -> Any:
        """``work`` on the recording that a request brings, in a file that is gone afterwards."""
        body = await request.body()
        if not body:
            raise HTTPException(422, "no recording; send the bytes of an audio file")
        if pcm_hz is not None:
            body = _wav(body, pcm_hz)

        def on_file() -> Any:
            with tempfile.TemporaryDirectory(prefix="humfind-") as folder:
                file = Path(folder) / f"recording{_suffix(body)}"
                file.write_bytes(body)
                try:
                    require_shorter(file, longest_s)
                    found = work(file)
                except InputError as error:
                    raise InputError(str(error).replace(str(file), "the recording")) from error
            if keep is not None and kept:
                _keep(keep, body, found)
            return found

        return await worked(request, on_file)

    @app.get("/api/health")
    def health() -> dict[str, Any]:
        """Whether it answers, the most memory that it took, and what is being built."""
        memory = peak_memory_gb()
        builds = [build.told() for build in libraries.builds.values()]
        return {
            "status": "ok",
            "version": __version__,
            "memory_gb": None if memory is None else round(memory, 2),
            "busy": waiting.is_busy,
            "builds": builds,
        }

    @app.get("/api/indexes")
    def indexes() -> list[dict[str, Any]]:
        """Each library, its songs, what it can be asked, and by which tracker its hums are tracked."""
        return [
            {"name": name, "songs": one.count, "parts": one.parts, "tracker": one.tracker}
            for name, one in list(libraries.open.items())
        ]

    @app.get("/api/folders")
    async def folders() -> list[dict[str, Any]]:
        """Folders of music that may be added: those that it was started with, and what is below them."""
        found = await asyncio.to_thread(libraries.folders)
        return [{"id": one.id, "name": one.name, "files": one.files} for one in found]

    @app.post("/api/folders", status_code=202)
    async def add_folder(asked: Annotated[AskedFolder, Body()]) -> dict[str, object]:
        """Index a folder; /api/health tells how far it is."""
        try:
            return (await asyncio.to_thread(libraries.add_folder, asked.id, asked.parts)).told()
        except InputError as error:
            raise HTTPException(409, str(error)) from error

    @app.post("/api/search")
    async def search(
        request: Request,
        index: Index = "",
        while_humming: bool = False,
        pcm_hz: Annotated[int | None, Query(ge=8_000, le=192_000)] = None,
    ) -> Any:
        """A hum: the body is an audio file of any common format, a minute at most; with pcm_hz it is samples of that
        rate, one channel, 16 bits, little-endian. while_humming: answered only where nobody waits."""
        chosen = library(index, "melody")
        if while_humming and waiting.is_busy:
            raise HTTPException(429, "others are being answered; hum on", {"retry-after": "2"})
        return await heard(request, LONGEST_HUM_S, lambda file: chosen.hum(file, "hum"), not while_humming, pcm_hz)

    @app.post("/api/search/f0")
    async def search_f0(request: Request, asked: Annotated[AskedF0, Body()], index: Index = "") -> Any:
        """A hum that was tracked elsewhere, by the library's own tracker: as by the recording."""
        chosen = library(index, "melody")
        line = asked.f0()
        return await worked(request, lambda: chosen.hum(line, "hum", asked.tracker))

    @app.get("/api/tag")
    async def tag(
        request: Request, words: Annotated[str, Query(min_length=1, max_length=200)], index: Index = "", top: Top = 10
    ) -> Any:
        """Songs by words."""
        chosen = library(index, "sound")
        return await worked(request, lambda: chosen.tag(words, top))

    @app.get("/api/tags")
    async def tags(request: Request, index: Index = "") -> Any:
        """Every tag, for completion."""
        chosen = library(index, "sound")
        return await worked(request, lambda: list(chosen.words.tags))

    @app.post("/api/similar")
    async def similar(
        request: Request, index: Index = "", at_s: Annotated[float | None, Query(ge=0, le=3600)] = None, top: Top = 10
    ) -> Any:
        """What sounds like the recording that is the body; with at_s, like the three seconds from there."""
        chosen = library(index, "sound")
        return await heard(request, LONGEST_SOUND_S, lambda file: chosen.similar(file, "sound", at_s, top))

    @app.get("/api/similar")
    async def similar_to(request: Request, song: SongId, index: Index = "", top: Top = 10) -> Any:
        """What sounds like one of the library's own songs."""
        chosen = library(index, "sound")
        return await worked(request, lambda: chosen.similar_to(song, top))

    @app.post("/api/playlist")
    async def playlist(request: Request, asked: Annotated[AskedPlaylist, Body()], index: Index = "") -> Any:
        """A playlist from some tracks."""
        chosen = library(index, "tracks")
        picks: list[Pick] = await worked(request, lambda: chosen.playlist(asked.tracks, asked.length))
        return [
            {"music_id": one.track.music_id, "name": one.track.name, "why": one.why, "given": one.given,
             "length_s": round(one.track.length_s, 1)}
            for one in picks
        ]  # fmt: skip

    @app.post("/api/m3u8")
    async def m3u8(request: Request, asked: Annotated[AskedList, Body()], index: Index = "") -> dict[str, str]:
        """Tracks as a playlist for a player, for this machine alone: it says where they lie."""
        chosen = library(index, "tracks")
        if request.client is None or not is_loopback(request.client.host):
            raise HTTPException(403, "a list says where files lie; save it on the machine that runs humfind")
        return {"m3u8": await worked(request, lambda: chosen.m3u8(asked.tracks))}

    @app.get("/api/map")
    async def plane(request: Request, index: Index = "") -> Any:
        """The library's songs on a plane, those of like sound near each other."""
        chosen = library(index, "sound")
        return await worked(request, lambda: chosen.map)

    @app.get("/api/songs")
    async def songs(request: Request, index: Index = "", like: Annotated[str, Query(max_length=100)] = "") -> Any:
        """Songs whose title, artist or id has the words, fifty at most."""
        chosen = named(index)
        return await worked(request, lambda: chosen.called(like))

    @app.get("/api/audio")
    async def audio(request: Request, song: SongId, index: Index = "") -> Response:
        """A song's recording, or its notes played; with ranges."""
        chosen = named(index)
        try:
            found = await asyncio.to_thread(chosen.recording, song)
        except InputError as error:
            raise HTTPException(404, str(error)) from error
        if isinstance(found, Path):
            return FileResponse(found)
        return _ranged(found, request.headers.get("range", ""))

    if page:
        for name, kind in PAGE.items():
            app.get(f"/{name}", include_in_schema=False)(_static(name or "index.html", kind))

    @app.exception_handler(RequestValidationError)
    async def wrongly_asked(request: Request, error: RequestValidationError) -> JSONResponse:
        first = error.errors()[0]
        where = " ".join(str(part) for part in first["loc"][1:]) or "the request"
        return JSONResponse({"detail": f"{where:.80}: {first['msg']:.200}"}, 422)

    @app.exception_handler(InputError)
    async def cannot_be_done(request: Request, error: InputError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 422)

    @app.exception_handler(OtherTrackerError)
    async def tracked_otherwise(request: Request, error: OtherTrackerError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 409)

    @app.exception_handler(UnavailableError)
    async def not_now(request: Request, error: UnavailableError) -> JSONResponse:
        return JSONResponse({"detail": str(error)}, 503)

    @app.exception_handler(Exception)
    async def failed(request: Request, error: Exception) -> JSONResponse:
        log.exception("a request failed: %s", request.url.path)
        return JSONResponse({"detail": "something went wrong here; the terminal says what"}, 500)

    return app


def _keep(folder: Path, body: bytes, found: Any) -> None:
    name = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    folder.mkdir(parents=True, exist_ok=True)
    atomic_write(folder / f"{name}{_suffix(body)}", body)
    atomic_write(folder / f"{name}.json", json.dumps(found, ensure_ascii=False, indent=1).encode())


def _static(name: str, kind: str) -> Callable[[], Awaitable[Response]]:
    content = (files("humfind.app") / "page" / name).read_bytes()

    async def send() -> Response:
        return Response(content, media_type=f"{kind}; charset=utf-8")

    return send


def _wav(pcm: bytes, rate_hz: int) -> bytes:
    """Samples of 16 bits with a header before them."""
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, rate_hz, 0, "NONE", ""))
        out.writeframes(pcm[: len(pcm) // 2 * 2])
    return file.getvalue()


def _suffix(body: bytes) -> str:
    """What readers go by: the container that the first bytes say."""
    if body[:4] == b"\x1aE\xdf\xa3":
        return ".webm"
    if body[4:8] == b"ftyp":
        return ".m4a"
    return {b"RIFF": ".wav", b"fLaC": ".flac", b"OggS": ".ogg", b"FORM": ".aiff"}.get(body[:4], ".mp3")


def _ranged(content: bytes, asked: str) -> Response:
    """A part of what is in memory, as players ask for it."""
    first, last = 0, len(content) - 1
    unit, _, span = asked.partition("=")
    start, _, end = span.partition("-")
    if unit != "bytes" or not start.isdigit() or (end and not end.isdigit()):
        return Response(content, media_type="audio/wav", headers={"accept-ranges": "bytes"})
    first, last = int(start), min(last, int(end) if end else last)
    if first > last:
        return Response(status_code=416, headers={"content-range": f"bytes */{len(content)}"})
    headers = {"accept-ranges": "bytes", "content-range": f"bytes {first}-{last}/{len(content)}"}
    return Response(content[first : last + 1], 206, headers, "audio/wav")
