"""Who may ask the endpoint, how much, and in which turn."""

from __future__ import annotations

import asyncio

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from humfind.app.guard import COOKIE, HEADERS, Guard, TooManyError, Turns

HOSTS = frozenset({"127.0.0.1", "localhost", "::1"})


def client(token: str = "", largest: int = 1000, base: str = "http://127.0.0.1:8017") -> TestClient:
    app = FastAPI()

    @app.post("/echo")
    async def echo(body: dict[str, str]) -> dict[str, str]:
        return body

    @app.get("/open")
    def opened() -> str:
        return "here"

    return TestClient(Guard(app, HOSTS, token, largest), base_url=base)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"host": "localhost:8017"}, 200),
        ({"host": "[::1]:8017"}, 200),
        ({"host": "evil.example"}, 421),
        ({"host": "127.0.0.1.evil.example:8017"}, 421),
        ({"host": ""}, 421),
        ({"origin": "http://127.0.0.1:8017"}, 200),
        ({"origin": "http://127.0.0.1:9999"}, 403),
        ({"origin": "https://127.0.0.1:8017"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://evil.example"}, 403),
        ({"sec-fetch-site": "cross-site"}, 403),
        ({"sec-fetch-site": "same-site"}, 403),
        ({"sec-fetch-site": "none"}, 200),
    ],
)
def test_pages_from_elsewhere_may_not_ask(headers, status):
    answer = client().get("/open", headers=headers)
    assert answer.status_code == status
    for name, value in HEADERS.items():
        assert answer.headers[name] == value


def test_a_token_by_address_header_or_cookie():
    asked = client("secret")
    assert asked.get("/open").status_code == 401
    assert asked.get("/open", headers={"authorization": "Bearer wrong"}).status_code == 401
    assert asked.get("/open", headers={"authorization": "Bearer secret"}).status_code == 200
    assert asked.get("/open", headers={"cookie": f"{COOKIE}=wrong; a=b"}).status_code == 401
    first = asked.get("/open?token=secret")
    assert first.status_code == 200
    assert "HttpOnly" in first.headers["set-cookie"]
    assert "SameSite=Strict" in first.headers["set-cookie"]
    assert asked.get("/open").status_code == 200  # the cookie


def test_too_much_is_refused_before_it_is_held():
    asked = client(largest=1000)
    assert asked.post("/echo", json={"a": "b"}).json() == {"a": "b"}
    assert asked.post("/echo", content=b"x" * 1001).status_code == 413
    assert asked.post("/echo", content=(b"x" * 300 for _ in range(5))).status_code == 413  # no length is said


def test_a_link_may_open_the_page_and_nothing_else():
    app = FastAPI()
    app.get("/")(lambda: "page")
    app.get("/api/songs")(lambda: "songs")
    asked = TestClient(Guard(app, HOSTS), base_url="http://127.0.0.1:8017")
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    assert asked.get("/", headers=link).status_code == 200
    assert asked.get("/api/songs", headers=link).status_code == 403


def test_all_requests_together_hold_so_much_at_most():
    guard = Guard(FastAPI(), HOSTS, largest=1000, most_held=500)
    asked = TestClient(guard, base_url="http://localhost")
    assert asked.post("/echo", content=b"x" * 600).status_code == 503
    assert guard.held == [0]
    assert asked.post("/echo", content=b"x" * 400).status_code == 404
    assert guard.held == [0]


def test_what_comes_too_slowly_is_refused():
    async def slow() -> list[dict[str, object]]:
        sent: list[dict[str, object]] = []

        async def receive() -> dict[str, object]:
            await asyncio.sleep(10)
            return {"type": "http.request"}

        async def send(message: dict[str, object]) -> None:
            sent.append(message)

        scope = {"type": "http", "path": "/", "headers": [(b"host", b"localhost")], "query_string": b""}
        await Guard(FastAPI(), HOSTS, slowest_s=0.05)(scope, receive, send)  # type: ignore[arg-type]
        return sent

    assert asyncio.run(slow())[0]["status"] == 408


def test_turns_are_taken_from_one_client_after_the_other():
    """Of two clients, one with many searches, the other waits for one of them, not for all."""

    async def run() -> list[str]:
        turns, order, go = Turns(1, of_one=10), [], asyncio.Event()

        async def search(client: str, name: str) -> None:
            async with turns.turn(("127.0.0.1", client)):
                await go.wait()
                order.append(name)

        tasks = [asyncio.create_task(search("a", f"a{i}")) for i in range(4)]
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(search("b", "b0")))
        await asyncio.sleep(0)
        go.set()
        await asyncio.gather(*tasks)
        assert turns.running == 0
        assert not turns.queues
        return order

    order = asyncio.run(run())
    assert order.index("b0") <= 2
    assert sorted(order) == ["a0", "a1", "a2", "a3", "b0"]


def test_too_many_are_told_when_to_come_again_and_who_leaves_is_forgotten():
    async def run() -> None:
        turns, go = Turns(1, waiting=3, of_one=2, search_s=4.0), asyncio.Event()

        async def search(client: str) -> None:
            async with turns.turn(("127.0.0.1", client)):
                await go.wait()

        tasks = [asyncio.create_task(search("a")) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(TooManyError, match="try again in 12 s"):  # its own two wait already
            await search("a")
        tasks.append(asyncio.create_task(search("b")))
        await asyncio.sleep(0)
        with pytest.raises(TooManyError):
            await search("c")
        tasks[1].cancel()
        await asyncio.sleep(0)
        tasks.append(asyncio.create_task(search("c")))
        await asyncio.sleep(0)
        go.set()
        done = await asyncio.gather(*tasks, return_exceptions=True)
        assert [isinstance(one, asyncio.CancelledError) for one in done] == [False, True, False, False, False]
        assert turns.running == 0
        assert not turns.queues

    asyncio.run(run())


def test_a_name_may_be_served_by_a_proxy_with_https():
    app = FastAPI()
    app.get("/open")(lambda: "here")
    guard = Guard(app, HOSTS | {"music.example"}, proxied=frozenset({"music.example"}))
    asked = TestClient(guard, base_url="http://music.example")
    assert asked.get("/open", headers={"origin": "https://music.example"}).status_code == 200
    assert asked.get("/open", headers={"origin": "http://music.example"}).status_code == 200
    assert asked.get("/open", headers={"origin": "https://evil.example"}).status_code == 403
    here = {"host": "127.0.0.1", "origin": "https://127.0.0.1"}
    assert asked.get("/open", headers=here).status_code == 403
