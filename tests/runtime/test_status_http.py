"""The status routes over a connection: the page and its policy, figures once and live, ending a client, keys."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from itertools import pairwise

import pytest
import trio
import trio.testing
from trio.testing import MockClock

from opendmux.core.access import Access
from opendmux.core.keys import Key, Keyring, Scopes, digest_of
from opendmux.runtime.house import House
from opendmux.runtime.metrics import Metrics, Sources
from opendmux.runtime.notary import Notary
from opendmux.runtime.site import ProxySite
from opendmux.runtime.status import Status
from opendmux.runtime.transports._http_about import document
from opendmux.runtime.transports.control import client_routes
from opendmux.runtime.transports.http import ROUTES, HttpSession, serve_http
from opendmux.runtime.transports.status import page, policy_of, status_routes
from tests.core.key_kit import key, plaintext, ring

from .http_kit import Browser
from .world import World, world

ADMIN, READER = key(Scopes.ADMIN, key_id="boss"), key(Scopes.QOT_READ, key_id="reader")


class Desk:
    """A world, and browsers that look at it."""

    def __init__(self, w: World, nursery: trio.Nursery) -> None:
        self.world = w
        self._nursery = nursery
        self.house = w.proxy.house
        access = self.house.access
        figures = Metrics(lambda: w.proxy.stations, Sources(access.tally, "1"))
        self.site = ProxySite(
            lambda: w.proxy.stations,
            access,
            Notary(self.house),
            figures,
            wall=lambda: 1_700_000_000.0 + trio.current_time(),
        )
        self.status = Status(lambda: w.proxy.stations, self.house, "1.2.3", self.site.readiness)
        nursery.start_soon(self.status.sampler.run)
        self.sessions: set[HttpSession] = set()

    async def somebody(self) -> None:
        """A connection that begins as OpenD's clients do."""
        client = await self.world.connect()
        await client.stream.send_all(b"FT")
        await trio.testing.wait_all_tasks_blocked()

    def browser(self, *, local: bool = True) -> Browser:
        ours, theirs = trio.testing.memory_stream_pair()

        async def serve() -> None:
            await serve_http(
                theirs,
                bytes(await theirs.receive_some(3)),
                self.site,
                peer="192.0.2.1:5",
                local=local,
                routes={**ROUTES, **status_routes(self.status), **client_routes(self.status)},
                sessions=self.sessions,
            )

        self._nursery.start_soon(serve)
        return Browser(ours)


@asynccontextmanager
async def desk(*keys: object) -> AsyncIterator[Desk]:
    async with world(house=House()) as w, trio.open_nursery() as nursery:
        if keys:
            w.proxy.house.access.keyring = ring(ADMIN, READER)
        yield Desk(w, nursery)
        nursery.cancel_scope.cancel()


async def events(browser: Browser) -> AsyncGenerator[dict[str, object], None]:
    """Of a stream that was just asked for, its head skipped; ends with it."""
    rest = b""
    while data := await browser.stream.receive_some():
        rest += data
        for piece in re.findall(rb"data: (\{.*?\})\n\n", rest, re.DOTALL):
            yield json.loads(piece)
        rest = rest[rest.rfind(b"\n\n") + 2 :] if b"\n\n" in rest else rest


# -- the page


async def test_the_page(autojump_clock: MockClock) -> None:
    async with desk() as d:
        answer = await d.browser().get("/")
        assert (answer.status, answer.body) == (200, page())
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["content-security-policy"] == policy_of(page())
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert answer.headers["x-content-type-options"] == "nosniff"


async def test_the_page_asks_for_the_key_itself(autojump_clock: MockClock) -> None:
    async with desk("keys") as d:
        assert (await d.browser(local=False).get("/")).status == 200


def test_the_policy_names_what_is_in_the_page_and_no_more() -> None:
    policy = dict(part.split(" ", 1) for part in policy_of(page()).split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == policy["form-action"] == "'none'"
    for kind, count in (("script", 2), ("style", 1)):
        texts = re.findall(rf"<{kind}>(.*?)</{kind}>".encode(), page(), re.DOTALL)
        assert len(texts) == count == page().count(f"<{kind}".encode())
        hashes = [base64.b64encode(hashlib.sha256(text).digest()).decode() for text in texts]
        assert policy[f"{kind}-src"] == " ".join(f"'sha256-{one}'" for one in hashes)
    assert "unsafe" not in policy_of(page())


def test_the_page_needs_nothing_from_elsewhere_and_makes_no_markup_of_text() -> None:
    text = page().decode()
    assert set(re.findall(r"https?://[^\s\"'<]+", text)) == {"http://www.w3.org/2000/svg"}
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|\son\w+=", text)
    assert not re.search(r"\sstyle=|@import|url\(", text), "the policy would not let it"


# -- figures


async def test_figures_once(autojump_clock: MockClock) -> None:
    async with desk() as d:
        await d.world.client("alice")
        answer = await d.browser().get("/v1/status")
        assert answer.status == 200
        assert answer.headers["content-type"] == "application/json"
        assert [client["client_id"] for client in json.loads(answer.body)["clients"]] == ["alice"]


async def test_figures_live(autojump_clock: MockClock) -> None:
    async with desk() as d:
        browser = d.browser()
        await browser.send("/v1/status", headers={"accept": "text/event-stream"})
        seen = []
        async with aclosing(events(browser)) as stream:
            async for event in stream:
                seen.append((trio.current_time(), len(event["clients"])))  # type: ignore[arg-type]
                if len(seen) == 2:
                    await d.somebody()
                if len(seen) == 5:
                    break
        assert seen[0][1] == 0
        assert seen[-1][1] == 1
        gaps = [after - before for (before, _), (after, _) in pairwise(seen[1:])]
        assert gaps == pytest.approx([1.0] * 3)


async def test_a_live_reader_is_told_of_a_drain_and_let_go(autojump_clock: MockClock) -> None:
    async with desk() as d:
        browser = d.browser()
        await browser.send("/v1/status", headers={"accept": "text/event-stream"})
        stream = events(browser)
        await anext(stream)
        for session in d.sessions:
            session.drain()
        at = trio.current_time()
        assert len([event async for event in stream]) == 1
        assert trio.current_time() - at < 1.5


async def test_a_reader_whose_key_ends_is_cut_off(autojump_clock: MockClock) -> None:
    async with desk("keys") as d:
        browser = d.browser()
        await browser.send("/v1/status", headers={"accept": "text/event-stream"}, key=plaintext("boss"))
        stream = events(browser)
        await anext(stream)
        d.house.access.keyring = ring(READER)
        assert len([event async for event in stream]) <= 1


@pytest.mark.parametrize(
    "change", ["revoked", "rotated out", "another's now", "no admin any more", "not on this machine", "expired"]
)
async def test_a_reader_who_would_not_be_let_in_now_is_cut_off(autojump_clock: MockClock, change: str) -> None:
    async with desk("keys") as d:
        browser = d.browser()
        await browser.send("/v1/status", headers={"accept": "text/event-stream"}, key=plaintext("boss"))
        stream = events(browser)
        await anext(stream)
        await anext(stream)
        shown, other = digest_of(plaintext("boss")), digest_of(plaintext("new"))
        entries: dict[str, list[tuple[Key, bytes, float | None]]] = {
            "revoked": [],
            "rotated out": [(ADMIN, other, None), (ADMIN, shown, d.site.wall() + 3.0)],
            "another's now": [(ADMIN, other, None), (READER, shown, None)],
            "no admin any more": [(replace(ADMIN, scopes=READER.scopes), shown, None)],
            "not on this machine": [(replace(ADMIN, allowed_machines=frozenset()), shown, None)],
            "expired": [(replace(ADMIN, expires_at=d.site.wall() + 3.0), shown, None)],
        }
        d.house.access.keyring = Keyring.of(entries[change])
        at = trio.current_time()
        left = [event async for event in stream]
        if change in ("rotated out", "expired"):
            assert 2 <= len(left) <= 4, "until then it may"
        else:
            assert len(left) <= 1
            assert trio.current_time() - at < 2.5


async def test_a_reader_without_a_key_is_cut_off_when_there_are_keys(autojump_clock: MockClock) -> None:
    async with desk() as d:
        browser = d.browser()
        await browser.send("/v1/status", headers={"accept": "text/event-stream"})
        stream = events(browser)
        await anext(stream)
        d.house.access.keyring = ring(ADMIN)
        assert len([event async for event in stream]) <= 1


@pytest.mark.parametrize(("path", "method"), [("/v1/status", "GET"), ("/v1/clients/1/close", "POST")])
async def test_who_may(autojump_clock: MockClock, path: str, method: str) -> None:
    async with desk("keys") as d:
        for shown, status, reason in (
            (None, 401, "missing"),
            ("fc_wrong", 401, "invalid"),
            (plaintext("reader"), 403, "scope"),
        ):
            for local in (True, False):
                answer = await d.browser(local=local).get(path, method=method, key=shown)
                assert (answer.status, answer.reason) == (status, reason)
        answer = await d.browser(local=False).get(path, method=method, key=plaintext("boss"))
        assert answer.status == (200 if method == "GET" else 404)


async def test_without_keys_only_this_machine_may_look(autojump_clock: MockClock) -> None:
    path = "/v1/status"
    async with desk() as d:
        assert (await d.browser().get(path)).status == 200
        assert (await d.browser(local=False).get(path)).status == 403
        passed_on = await d.browser().get(path, headers={"x-forwarded-for": "192.0.2.9"})
        assert passed_on.status == 403
        assert b"requests of this machine alone" in passed_on.body, "there is no key that could lack a scope"
        foreign = await d.browser().get(path, headers={"origin": "https://evil.example"})
        assert (foreign.status, foreign.reason) == (403, "origin")
        rebound = await d.browser().get(path, host="evil.example")
        assert (rebound.status, rebound.reason) == (403, "host")


@pytest.mark.parametrize("allow_trading", [False, True])
async def test_without_keys_nobody_may_give_orders_over_the_port(
    autojump_clock: MockClock, allow_trading: bool
) -> None:
    async with desk() as d:
        d.site.access = Access(insecure_allow_trading=allow_trading)
        for local in (True, False):
            answer = await d.browser(local=local).get("/v1/clients/1/close", method="POST")
            assert (answer.status, answer.reason) == (403, "scope")
            assert "admin socket" in json.loads(answer.body)["error"]["text"]


async def test_pages_of_other_ports_of_this_machine_give_no_orders(autojump_clock: MockClock) -> None:
    """The browser shows its owner's certificate for them too."""
    async with desk("keys") as d:
        for origin, status in (("http://localhost:8080", 403), ("http://localhost:33333", 404)):
            answer = await d.browser().get(
                "/v1/clients/1/close",
                method="POST",
                host="localhost:33333",
                key=plaintext("boss"),
                headers={"origin": origin},
            )
            assert answer.status == status


# -- ending a client


async def test_ending_a_client(autojump_clock: MockClock) -> None:
    async with desk("keys") as d:
        await d.somebody()
        browser = d.browser()
        answer = await browser.get("/v1/clients/1/close", method="POST", key=plaintext("boss"))
        assert (answer.status, json.loads(answer.body)) == (200, {"closed": "1"})
        answer = await browser.get("/v1/status", key=plaintext("boss"))
        assert json.loads(answer.body)["clients"] == []
        again = await browser.get("/v1/clients/1/close", method="POST", key=plaintext("boss"))
        assert (again.status, again.reason) == (404, "client")


@pytest.mark.parametrize(
    "path", ["/v1/clients//close", "/v1/clients/1/2/close", "/v1/clients/{client_id}/close", "/v1/clients/1"]
)
async def test_paths_that_name_no_client(autojump_clock: MockClock, path: str) -> None:
    async with desk() as d:
        answer = await d.browser().get(path, method="POST")
        assert (answer.status, answer.reason) == (404, "not_found")


async def test_asking_with_get_ends_nobody(autojump_clock: MockClock) -> None:
    async with desk() as d:
        answer = await d.browser().get("/v1/clients/1/close")
        assert (answer.status, answer.headers["allow"]) == (405, "POST")


async def test_the_document_has_these_routes_too(autojump_clock: MockClock) -> None:
    async with desk() as d:
        routes = {**status_routes(d.status), **client_routes(d.status)}
        paths = document(routes)["paths"]
        assert set(paths) == set(routes) == {"/", "/v1/status", "/v1/clients/{client_id}/close"}
        assert paths["/v1/clients/{client_id}/close"]["post"]["parameters"][0]["name"] == "client_id"
        assert set(paths["/v1/status"]["get"]["responses"]["200"]["content"]) == {
            "application/json",
            "text/event-stream",
        }
