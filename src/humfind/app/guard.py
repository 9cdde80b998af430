"""Who may ask, how much, and how many at once.

A page elsewhere must not search or read the library: a request's Host must be ours, and where a browser says which page
asks (Origin, Sec-Fetch-Site) it must be our own. Beyond loopback a token is asked for.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
from collections import OrderedDict, deque
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from http.cookies import CookieError, SimpleCookie
from typing import Any

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Client = tuple[str, str]  # address, name

LARGEST = 30_000_000  # bytes of a request
MOST_HELD = 300_000_000  # of all requests at once
SLOWEST_S = 30.0  # in which a request must have come in whole
COOKIE = "humfind"
LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})  # names of this machine for itself
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self' blob:; "
    "connect-src 'self'; worker-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "microphone=(self), camera=(), geolocation=()",
    "cache-control": "no-store",
}


class TooManyError(Exception):
    """Of ``Turns``. after_s: when to ask again."""

    def __init__(self, after_s: int) -> None:
        super().__init__(f"too many searches at once; try again in {after_s} s")
        self.after_s = after_s


class Turns:
    """So many searches at a time; who asks waits, one from each client in turn.

    A client is an address and a name that the page draws: several people may sit behind one address.
    """

    def __init__(
        self, at_once: int, waiting: int = 48, of_one: int = 4, of_address: int = 32, search_s: float = 1.0
    ) -> None:
        """waiting, of_one, of_address: searches that may wait, all in all, of a client, and of an address."""
        self.at_once, self.waiting, self.of_one, self.of_address = at_once, waiting, of_one, of_address
        self.search_s = search_s
        self.running = 0
        self.queues: OrderedDict[Client, deque[asyncio.Future[None]]] = OrderedDict()

    @property
    def is_busy(self) -> bool:
        """Whether a search that came now would wait."""
        return self.running >= self.at_once

    @asynccontextmanager
    async def turn(self, client: Client) -> AsyncIterator[None]:
        """Raises TooManyError where too many wait already."""
        mine = self.queues.get(client, deque())
        total = sum(len(queue) for queue in self.queues.values())
        near = sum(len(queue) for (address, _), queue in self.queues.items() if address == client[0])
        if total >= self.waiting or near >= self.of_address or len(mine) >= self.of_one:
            raise TooManyError(max(1, round(self.search_s * (total + 1) / self.at_once)))
        if self.running < self.at_once and not total:
            self.running += 1
        else:
            place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.queues.setdefault(client, mine).append(place)
            try:
                await place
            except asyncio.CancelledError:
                self._forget(client, place)
                raise
        try:
            yield
        finally:
            self.running -= 1
            self._next()

    def _next(self) -> None:
        while self.queues and self.running < self.at_once:
            client, queue = self.queues.popitem(last=False)
            place = queue.popleft()
            if queue:
                self.queues[client] = queue  # behind the others
            if not place.done():
                self.running += 1
                place.set_result(None)

    def _forget(self, client: Client, place: asyncio.Future[None]) -> None:
        if place.done() and not place.cancelled():  # its turn had come
            self.running -= 1
            self._next()
            return
        queue = self.queues.get(client)
        if queue and place in queue:
            queue.remove(place)
            if not queue:
                del self.queues[client]


@dataclass(frozen=True)
class Guard:
    """Around an application. hosts: names that it answers to, without the port. token: empty where none is needed.
    proxied: those of the hosts that a proxy may serve by https."""

    app: Callable[[Scope, Receive, Send], Awaitable[None]]
    hosts: frozenset[str]
    token: str = ""
    largest: int = LARGEST
    slowest_s: float = SLOWEST_S
    most_held: int = MOST_HELD
    proxied: frozenset[str] = frozenset()
    held: list[int] = field(default_factory=lambda: [0])  # bytes of all requests that are being answered

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
        refused = self._refused(scope, headers)
        sender = _with_headers(send, self._cookie(scope, headers))
        if refused is not None:
            await _say(sender, *refused)
            return
        mine = [0]
        try:
            try:
                body = await asyncio.wait_for(self._body(receive, mine), self.slowest_s)
            except TimeoutError:
                await _say(sender, 408, "the request took too long; send it again")
                return
            except _RefusedError as error:
                await _say(sender, error.status, str(error))
                return
            await self.app(scope, _once(body, receive), sender)
        finally:
            self.held[0] -= mine[0]

    def _refused(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if _name(host) not in self.hosts:
            return 421, "another host; open the address that humfind app prints"
        opened = scope["path"] == "/" and headers.get("sec-fetch-mode") == "navigate"  # by a link: it shows no song
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") and not opened:
            return 403, "a page from elsewhere may not ask"
        origin = headers.get("origin")
        schemes = {scope.get("scheme", "http")} | ({"https"} if _name(host) in self.proxied else set())
        if origin is not None and origin not in {f"{scheme}://{host}" for scheme in schemes}:
            return 403, "a page from elsewhere may not ask"
        length = headers.get("content-length", "")
        if length.isdecimal() and (len(length) > 12 or int(length) > self.largest):
            return 413, f"more than {self.largest // 1_000_000} MB; give a shorter recording"
        if self.token and not self._known(scope, headers):
            return 401, "a token is needed; open the address that humfind app prints"
        return None

    def _known(self, scope: Scope, headers: dict[str, str]) -> bool:
        given = [headers.get("authorization", "").removeprefix("Bearer ").strip(), _asked(scope)]
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            cookie = None
        given.append(cookie.value if cookie else "")
        return any(secrets.compare_digest(one.encode(), self.token.encode()) for one in given if one)

    def _cookie(self, scope: Scope, headers: dict[str, str]) -> str:
        """Set where the address has the token, so that it need not stay there."""
        if self.token and _asked(scope) and self._known(scope, headers):
            secure = "; Secure" if scope.get("scheme") == "https" else ""
            return f"{COOKIE}={self.token}; HttpOnly; SameSite=Strict; Path=/{secure}"
        return ""

    async def _body(self, receive: Receive, mine: list[int]) -> bytes:
        """mine: counts the bytes, in the middle of a request too."""
        parts: list[bytes] = []
        while True:
            message = await receive()
            part = message.get("body", b"")
            mine[0] += len(part)
            self.held[0] += len(part)
            if mine[0] > self.largest:
                raise _RefusedError(413, f"more than {self.largest // 1_000_000} MB; give a shorter recording")
            if self.held[0] > self.most_held:
                raise _RefusedError(503, "too many recordings at once; try again in a moment")
            parts.append(part)
            if message["type"] != "http.request" or not message.get("more_body"):
                return b"".join(parts)


def is_loopback(host: str) -> bool:
    """Whether nobody but this machine reaches it."""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class _RefusedError(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def _asked(scope: Scope) -> str:
    from urllib.parse import parse_qs

    return parse_qs(scope.get("query_string", b"").decode("latin-1")).get("token", [""])[0]


def _name(host: str) -> str:
    """``127.0.0.1:8000`` -> ``127.0.0.1``; ``[::1]:8000`` -> ``::1``."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.rpartition(":")[0].lower() if host.count(":") == 1 else host.lower()


def _once(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def again() -> MutableMapping[str, Any]:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return again


def _with_headers(send: Send, cookie: str) -> Send:
    async def sending(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            there = {name.lower() for name, _ in message.get("headers", [])}
            more = [(n.encode(), v.encode()) for n, v in HEADERS.items() if n.encode() not in there]
            if cookie:
                more.append((b"set-cookie", cookie.encode()))
            message = {**message, "headers": [*message.get("headers", []), *more]}
        await send(message)

    return sending


async def _say(send: Send, status: int, text: str) -> None:
    import json

    body = json.dumps({"detail": text}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    headers.append((b"connection", b"close"))  # what was not read is not waited for
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
