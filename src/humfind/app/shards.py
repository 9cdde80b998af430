"""A library whose songs are dealt to several servers: each searches its own, the best of all are the answers.

A shard is a ``humfind app`` on this machine or another. Its answers carry what their E-values say, which counts the
places that were searched, so answers of different shards compare. One that is slow or gone costs its own songs alone,
and that is said.
"""

from __future__ import annotations

import http.client
import json
import logging
import math
import secrets
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from concurrent.futures import wait as wait_for
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, quote, urlsplit

from humfind.app.library import MOST_NAMED, Library, OtherTrackerError
from humfind.config import F0Config, RankConfig
from humfind.f0 import Tracker, make_tracker, track_file
from humfind.rankers.fusion import none_among
from humfind.types import F0, Answer, InputError, Ranking

SLOWEST_S = 5.0  # a shard that has not answered by then is left out
AT_ONCE = 8  # questions to a shard
LARGEST = 200_000_000  # bytes of an answer: a recording
log = logging.getLogger(__name__)


class UnavailableError(Exception):
    """No shard answers."""


class _LeftOutError(Exception):
    """A shard's songs are not searched: why."""


class _OtherwiseError(_LeftOutError):
    """It is no longer what it said it was."""


class About(NamedTuple):
    """Of a shard. tracker: of its hums, as JSON; empty where it takes recordings alone."""

    songs: int
    tracker: str


@dataclass(frozen=True)
class Shard:
    """address: ``http://host:port``. token: what it asks for."""

    address: str
    token: str = field(default="", repr=False)

    @classmethod
    def of(cls, link: str) -> Shard:
        """As ``humfind app`` prints it. Raises InputError."""
        parts = urlsplit(link)
        try:
            wrong = parts.scheme not in ("http", "https") or not parts.hostname or parts.port is None
        except ValueError:
            wrong = True
        if wrong or parts.path not in ("", "/"):
            raise InputError(
                f"{link:.80}: not the address of a humfind app; give one as it prints it, http://HOST:PORT/"
            )
        return cls(f"{parts.scheme}://{parts.netloc}", parse_qs(parts.query).get("token", [""])[0])

    def ask(self, path: str, body: bytes | None = None, slowest_s: float = SLOWEST_S) -> bytes:
        """Raises InputError for what it says is wrong with the request, KeyError for what it does not have,
        _LeftOutError for everything else."""
        headers = {"x-humfind-client": secrets.token_hex(8)}  # hums of many people come from here
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["content-type"] = "application/json" if body[:1] == b"{" else "application/octet-stream"
        request = urllib.request.Request(self.address + path, body, headers)
        try:
            with urllib.request.urlopen(request, timeout=slowest_s) as answer:
                found: bytes = answer.read(LARGEST)
                return found
        except urllib.error.HTTPError as error:
            with error:
                said = _detail(error.read(10_000))
            if error.code == 404:
                raise KeyError(said) from error
            if error.code in (413, 422) and body is not None:
                raise InputError(said or "the recording cannot be searched") from error
            if error.code == 409:
                raise _OtherwiseError("was built anew") from error
            raise _LeftOutError("busy" if error.code == 429 else said or f"status {error.code}") from error
        except TimeoutError as error:
            raise _LeftOutError("slow") from error
        except (OSError, http.client.HTTPException) as error:
            slow = isinstance(getattr(error, "reason", None), TimeoutError)
            raise _LeftOutError("slow" if slow else "does not answer") from error

    def about(self) -> About:
        """Raises _LeftOutError."""
        try:
            first = json.loads(self.ask("/api/indexes"))[0]
            if not first["parts"]["melody"]:
                raise _LeftOutError("its library has no melodies")
            tracker: dict[str, Any] = first["tracker"]
            if tracker:
                F0Config.of(tracker)
            return About(int(first["songs"]), json.dumps(tracker) if tracker else "")
        except (KeyError, IndexError, TypeError, ValueError) as error:  # InputError is a ValueError
            raise _LeftOutError("is no humfind app of this version") from error


@dataclass(frozen=True)
class Shards(Library):
    """shards: where its songs are. slowest_s: for an answer of each. Only melodies are searched. A hum is tracked here,
    once, and its f0 is what the shards are asked for."""

    shards: tuple[Shard, ...] = ()
    slowest_s: float = SLOWEST_S
    known: dict[str, About] = field(default_factory=dict)  # each shard that has answered, by its address

    @classmethod
    def at(cls, name: str, links: Sequence[str], slowest_s: float = SLOWEST_S) -> Shards:
        """links: addresses as ``humfind app`` prints them. Raises InputError."""
        shards = tuple(Shard.of(link) for link in links)
        if len({shard.address for shard in shards}) < len(shards):
            raise InputError("a shard is given twice; give each once")
        return cls(name, Path(), shards=shards, slowest_s=slowest_s)

    @property
    def parts(self) -> dict[str, bool]:
        return {"melody": True, "sound": False, "tracks": False}

    def require(self) -> None:
        """Raises InputError where none answers; those that do not are told, and asked again with each hum."""
        found, missing = self._all(lambda shard: shard.about())
        self.known.update(found)
        for address, why in missing.items():
            log.warning("%s: %s; its songs are left out until it answers", address, why)
        if not found:
            raise InputError(f"{self.shards[0].address}: {missing[self.shards[0].address]}; start the shards first")

    def warm(self) -> None:
        """Open the trackers. All else each does itself."""
        for tracker in self._trackers_told():
            self._tracker(tracker)

    @property
    def count(self) -> int:
        return sum(about.songs for about in self.known.values())

    @property
    def tracker(self) -> Mapping[str, Any]:
        """Shards may differ in it."""
        return {}

    def hum(self, hum: Path | F0, name: str, tracker: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """As of one library; ``missing``: the shards whose songs were not searched, and why. Raises InputError for a
        recording that cannot be searched, UnavailableError where no shard answers."""
        if isinstance(hum, F0):
            raise OtherTrackerError("shards may differ in their trackers; send the recording")
        asked = {tracker: self._question(hum, tracker) for tracker in self._trackers_told()}

        def one(shard: Shard) -> tuple[dict[str, Any], int]:
            about = self.known.get(shard.address) or shard.about()  # it was not there before
            self.known[shard.address] = about
            question = asked.get(about.tracker) or self._question(hum, about.tracker)
            try:
                return json.loads(shard.ask(*question, self.slowest_s)), about.songs
            except _OtherwiseError:
                self.known.pop(shard.address, None)
                raise

        told, missing = self._all(one)
        if not told:
            raise UnavailableError("; ".join(f"{address}: {why}" for address, why in missing.items()))
        answers, sizes = zip(*told.values(), strict=True)
        return merged(name, answers, sizes) | {
            "missing": [{"shard": address, "why": why} for address, why in missing.items()]
        }

    def _trackers_told(self) -> list[str]:
        return sorted({about.tracker for about in list(self.known.values())})

    def _question(self, hum: Path, tracker: str) -> tuple[str, bytes]:
        """Path and body of the request for a hum by this tracker. Raises InputError where the hum cannot be read."""
        opened = self._tracker(tracker)
        if opened is None:
            return "/api/search", hum.read_bytes()
        line = track_file(opened, hum)
        columns = {"hz": line.hz.tolist(), "confidence": line.confidence.tolist()}
        about = {"tracker": json.loads(tracker), "hop_s": line.hop_s, "threshold": line.threshold}
        return "/api/search/f0", json.dumps(about | columns).encode()

    def _tracker(self, tracker: str) -> Tracker | None:
        """Held open; None where there is none, or not on this machine: then each shard tracks the recording itself."""
        with self._opening:
            if tracker and tracker not in self._trackers:
                try:
                    self._trackers[tracker] = make_tracker(F0Config.of(json.loads(tracker)), "hum")
                except InputError as error:
                    log.warning("%s; each shard tracks hums itself", error)
                    self._trackers[tracker] = None
            return self._trackers.get(tracker)

    @cached_property
    def _trackers(self) -> dict[str, Tracker | None]:
        return {}

    def called(self, like: str) -> list[dict[str, str]]:
        told, _ = self._all(lambda shard: json.loads(shard.ask(f"/api/songs?like={quote(like)}")))
        rows = {row["music_id"]: row for rows in told.values() for row in rows}
        return [rows[music_id] for music_id in sorted(rows)][:MOST_NAMED]

    def recording(self, music_id: str) -> Path | bytes:
        """Of whichever shard has it."""
        path = f"/api/audio?song={quote(music_id, safe='')}"
        asked = [self._threads[shard.address].submit(shard.ask, path) for shard in self.shards]
        with suppress(TimeoutError):
            for answer in as_completed(asked, self.slowest_s):  # the first that has it: another may be slow
                with suppress(_LeftOutError, KeyError):
                    return answer.result()
        raise InputError(f"{music_id:.80}: its recording is not to be had")

    @cached_property
    def _threads(self) -> dict[str, ThreadPoolExecutor]:
        """Of each shard, so that one that hangs holds up no other."""
        return {shard.address: ThreadPoolExecutor(AT_ONCE) for shard in self.shards}

    def _all(self, ask: Callable[[Shard], Any]) -> tuple[dict[str, Any], dict[str, str]]:
        """What each shard answers, and of the others why not, by their addresses. Raises InputError where one says that
        the request is wrong."""
        asked = {shard.address: self._threads[shard.address].submit(ask, shard) for shard in self.shards}
        wait_for(asked.values(), self.slowest_s)
        told, missing = {}, {}
        for address, answer in asked.items():
            if not answer.done():
                answer.cancel()
                missing[address] = "slow"
                continue
            try:
                told[address] = answer.result()
            except InputError:
                raise
            except _LeftOutError as error:
                missing[address] = str(error)
            except (KeyError, TypeError, ValueError):  # no JSON, or not what was asked for
                missing[address] = "does not have it"
        return told, missing


def merged(query: str, told: Sequence[Mapping[str, Any]], sizes: Sequence[int]) -> dict[str, Any]:
    """One verdict of those of several shards, as ``Library.hum`` gives them. sizes: the songs of each. A probability is
    that of a song among all of them and "none of them"."""
    weights = RankConfig().fusion
    masses = [_mass(one["answers"], none_among(size, weights)) for one, size in zip(told, sizes, strict=True)]
    log_all = _log_sum([*masses, -none_among(sum(sizes), weights)])
    heard = max(masses) > -math.inf
    best: dict[str, dict[str, Any]] = {}
    for row in sorted(
        (row for one in told for row in one["answers"]), key=lambda row: (-row["score"], row["music_id"])
    ):
        best.setdefault(row["music_id"], row | {"probability": math.exp(row["score"] - log_all) if heard else 0.0})
    rows = list(best.values())[: RankConfig.top]
    answers = tuple(Answer(row["music_id"], row["score"], row["probability"]) for row in rows)
    ranking = Ranking(query, answers, here=math.exp(_log_sum(masses) - log_all) if heard else 0.0)
    first = next((one for one in told if one["answers"]), told[0])
    said = {name: first[name] for name in ("length_s", "line", "reason") if name in first}
    return {"query": query, "verdict": ranking.verdict, "here": round(ranking.here or 0.0, 4), "answers": rows} | said


def _mass(answers: Sequence[Mapping[str, Any]], none: float) -> float:
    """The logarithm of what all songs of a shard weigh, by its first answer's share of it and of "none of them"."""
    if not answers or not answers[0]["probability"]:
        return -math.inf  # of a hum without a melody
    whole = answers[0]["score"] - math.log(answers[0]["probability"])
    return whole + math.log(max(-math.expm1(-none - whole), 1e-300))


def _log_sum(values: Sequence[float]) -> float:
    most = max(values)
    return most if most == -math.inf else most + math.log(sum(math.exp(value - most) for value in values))


def _detail(body: bytes) -> str:
    try:
        said = json.loads(body)["detail"]
    except (ValueError, KeyError, TypeError):
        return ""
    return str(said)[:200]
