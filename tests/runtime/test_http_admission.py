"""Who may ask over HTTP: foreign pages, certificates and keys."""

from __future__ import annotations

from collections.abc import Collection

import pytest
from trio.testing import MockClock

from opendmux.core.denial import Denial, DenialKind
from opendmux.wire.http import RequestHead

from .http_kit import FakeSite, served


@pytest.mark.parametrize(
    ("host", "origin", "reason"),
    [
        ("evil.example:33333", None, "host"),
        ("localhost", "http://evil.example", "origin"),
        ("localhost", "null", "origin"),
        ("192.0.2.8", None, "host"),
    ],
)
async def test_foreign_pages_get_nothing(host: str, origin: str | None, reason: str, autojump_clock: MockClock) -> None:
    async with served() as s:
        headers = {} if origin is None else {"origin": origin}
        for path in ("/metrics", "/nothing"):
            found = await s.browser.get(path, host=host, headers=headers, key="fc_admin")
            assert (found.status, found.reason) == (403, reason)
        assert s.site.asked == []


async def test_a_name_that_is_not_known_can_be_made_known(autojump_clock: MockClock) -> None:
    async with served() as s:
        assert b"http_names" in (await s.browser.get("/livez", host="proxy.example")).body


@pytest.mark.parametrize("host", ["127.0.0.1:33333", "192.0.2.7", "proxy.lan", "[::1]:33333"])
async def test_names_of_ours(host: str, autojump_clock: MockClock) -> None:
    async with served() as s:
        assert (await s.browser.get("/livez", host=host, headers={"origin": "http://localhost:3000"})).status == 200


class Asked:
    """Nobody gets a WebSocket; whoever may ask for one is told so."""

    origins: Collection[str] = ("https://app.example",)

    def ask(self, _head: RequestHead, *, local: bool) -> Denial:  # noqa: ARG002
        return Denial(DenialKind.UNAVAILABLE, "asked", "not today")


@pytest.mark.parametrize(
    ("certified", "origin", "reason"),
    [
        (None, "http://localhost:8080", "asked"),
        ("boss", None, "asked"),
        ("boss", "https://localhost:33333", "asked"),
        ("boss", "https://app.example", "asked"),
        ("boss", "https://proxy.lan", "asked"),
        ("boss", "http://localhost:8080", "origin"),
    ],
)
async def test_a_certificate_serves_no_page_of_another_port(
    certified: str | None, origin: str | None, reason: str, autojump_clock: MockClock
) -> None:
    """The browser shows it for every page, also for one of somebody else's program on this machine."""
    headers = {
        **({} if origin is None else {"origin": origin}),
        "connection": "upgrade",
        "upgrade": "websocket",
        "sec-websocket-version": "13",
        "sec-websocket-key": "b3BlbmRtdXggdGVzdHMhIQ==",
    }
    async with served(certified=certified, upgrades=Asked()) as s:
        found = await s.browser.get("/", headers=headers)
        assert found.reason == reason


@pytest.mark.parametrize("case", ["remote", "closed", "passed on"])
async def test_where_a_key_is_needed(case: str, autojump_clock: MockClock) -> None:
    site = FakeSite(open_locally=case != "closed")
    headers = {"x-forwarded-for": "203.0.113.9"} if case == "passed on" else {}
    async with served(site, local=case != "remote") as s:
        found = await s.browser.get("/livez", headers=headers)
        assert (found.status, found.reason, found.headers["www-authenticate"]) == (401, "missing", "Bearer")
        found = await s.browser.get("/livez", key="fc_wrong", headers=headers)
        assert (found.status, found.reason) == (401, "invalid")
        assert b"fc_wrong" not in found.body
        assert (await s.browser.get("/livez", key="fc_reader", headers=headers)).status == 200
        assert (await s.browser.get("/readyz", key="fc_reader", headers=headers)).status == 200
        found = await s.browser.get("/metrics", key="fc_reader", headers=headers)
        assert (found.status, found.reason) == (403, "scope")
        assert b"admin" in found.body
        assert (await s.browser.get("/metrics", key="fc_admin", headers=headers)).status == 200
        found = await s.browser.get("/metrics", key="busy", headers=headers)
        assert (found.status, found.headers["retry-after"]) == (429, "3")
        found = await s.browser.get("/metrics", headers={**headers, "authorization": "Basic fc_admin"})
        assert found.reason == "missing"
        found = await s.browser.get("/metrics", key="a", headers={**headers, "Authorization": "Bearer b"})
        assert (found.status, found.reason) == (400, "authorization")
