"""Libraries opened, the endpoint guarded, and served."""

from __future__ import annotations

import asyncio
import logging
import secrets
import signal
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from humfind.app.guard import LOOPBACK, SLOWEST_S, Guard, is_loopback
from humfind.app.libraries import Libraries
from humfind.app.server import make_app
from humfind.types import InputError

MOST_CONNECTIONS = 200
log = logging.getLogger(__name__)


class Impatient(H11Protocol):
    """HTTP/1.1 that hangs up on who does not say what he wants."""

    slowest_s = SLOWEST_S
    hanging_up: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._stop_waiting()
        elif self.hanging_up is None:
            self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self.hanging_up = self.loop.call_later(self.slowest_s, self.transport.close)

    def _stop_waiting(self) -> None:
        if self.hanging_up is not None:
            self.hanging_up.cancel()
            self.hanging_up = None


def open_libraries(indexes: Sequence[Path], music: Sequence[Path], home: Path, shards: Sequence[str] = ()) -> Libraries:
    """The index folders, the servers that have a part of the songs each, and what was made of the music folders before;
    the tune books where neither is given. Raises InputError."""
    made = Libraries(home, music)
    for folder in indexes:
        made.add_index(folder)
    if shards:
        made.add_shards(shards)
    made.add_known()
    if not indexes and not shards:
        made.add_tunes()
    return made


@dataclass(frozen=True)
class Place:
    """Where it is served. token: drawn where empty and ``host`` is beyond loopback. names: others that it is reached
    by. certificate, key: files, for https."""

    host: str = "127.0.0.1"
    port: int = 8017
    token: str = ""
    names: Sequence[str] = ()
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        """Raises InputError where certificate and key cannot be used."""
        if self.certificate is None:
            if self.key is not None:
                raise InputError(f"{self.key}: a key without a certificate; give --certificate, too")
            return
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(self.certificate, self.key)
        except (OSError, ssl.SSLError) as error:
            why = error.strerror or error
            raise InputError(
                f"{self.certificate}: no good for https ({why}); give a PEM file, and its --key"
            ) from error


def serve(
    libraries: Libraries, place: Place, page: bool = True, keep: Path | None = None, tell: Callable[[str], None] = print
) -> None:
    """Until it is told to end; what runs then is finished. Raises InputError where the port is taken."""
    token = place.token or ("" if is_loopback(place.host) and not place.names else secrets.token_urlsafe(24))
    proxied = frozenset(name.lower() for name in place.names)
    try:
        with _listening(place.host, place.port) as listening:
            threading.Thread(target=_warm, args=(libraries,), daemon=True).start()
            shown = f"[{place.host}]" if ":" in place.host else place.host
            address = f"{'https' if place.certificate else 'http'}://{shown}:{listening.getsockname()[1]}/"
            tell(f"open {address}{f'?token={token}' if token else ''}")
            app = make_app(libraries, page=page, keep=keep)
            guard = Guard(app, hosts_of(place.host) | proxied, token, proxied=proxied)
            signal.signal(signal.SIGTERM, _ended)  # uvicorn raises it again, when what ran is finished
            uvicorn.Server(config_of(guard, place.certificate, place.key)).run([listening])
    finally:
        libraries.close()


def _listening(host: str, port: int) -> socket.socket:
    """Raises InputError where the port is taken."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen()  # who comes at once waits
    except OSError as error:
        listening.close()
        raise InputError(f"{host}:{port}: cannot be listened on ({error.strerror}); give another --port") from error
    return listening


def config_of(app: Guard, certificate: Path | None = None, key: Path | None = None) -> uvicorn.Config:
    """How it is served."""
    return uvicorn.Config(
        app, http=Impatient, ws="none", log_level="warning", access_log=False, server_header=False,
        proxy_headers=False, limit_concurrency=MOST_CONNECTIONS, timeout_graceful_shutdown=30, timeout_keep_alive=15,
        ssl_certfile=certificate, ssl_keyfile=key,
    )  # fmt: skip


def hosts_of(host: str) -> frozenset[str]:
    """The names by which it may be asked: this machine's own, beyond loopback."""
    if is_loopback(host):
        return LOOPBACK
    name = socket.gethostname().lower()
    try:
        addresses = {str(info[4][0]) for info in socket.getaddrinfo(name, None)}
    except OSError:
        addresses = set()
    return LOOPBACK | {host.lower(), name, f"{name}.local", *addresses}


def _ended(number: int, frame: FrameType | None) -> None:
    raise SystemExit(0)


def _warm(libraries: Libraries) -> None:
    for one in list(libraries.open.values()):
        try:
            one.warm()
        except InputError as error:  # the hum says it, too
            log.warning("%s: %s", one.name, error)
