"""The proxy behind the HTTP face: who is admitted, what is counted, what is said."""

from __future__ import annotations

import trio
from trio.testing import MockClock

from opendmux.core.access import Access
from opendmux.core.denial import Denial, DenialKind
from opendmux.core.keys import Key, Keyring, Scopes, digest_of
from opendmux.runtime.house import House
from opendmux.runtime.metrics import Metrics, Sources
from opendmux.runtime.notary import Notary
from opendmux.runtime.site import ProxySite
from opendmux.runtime.transports.http import Site, serve_http

from .world import World, world

PLAINTEXT = "fc_" + "1" * 64
KEY = Key("bot", frozenset({Scopes.QOT_READ}))


def site_of(w: World, access: Access) -> ProxySite:
    figures = Metrics(lambda: w.proxy.stations, Sources(access.tally, "1"))
    return ProxySite(lambda: w.proxy.stations, access, Notary(House(access)), figures, wall=lambda: 1_700_000_000.0)


async def test_keys_are_judged_and_counted(autojump_clock: MockClock) -> None:
    async with world() as w:
        access = Access(Keyring.of([(KEY, digest_of(PLAINTEXT), None)]))
        site: Site = site_of(w, access)
        assert site.admit(PLAINTEXT, peer="127.0.0.1:5", local=True) == KEY
        for bearer in (None, "fc_wrong"):
            denied = site.admit(bearer, peer="p", local=True)
            assert isinstance(denied, Denial)
            assert denied.kind is DenialKind.UNAUTHENTICATED
        assert dict(access.tally.auth_events) == {
            ("http", "allow", "bot"): 1,
            ("http", "reject", "<missing>"): 1,
            ("http", "reject", "<invalid>"): 1,
        }


async def test_a_key_of_this_machine_is_none_elsewhere(autojump_clock: MockClock) -> None:
    bound = Key("bot", frozenset(), allowed_machines=frozenset({"m1"}))
    async with world() as w:
        access = Access(Keyring.of([(bound, digest_of(PLAINTEXT), None)]), machine_id="m1")
        site = site_of(w, access)
        assert site.admit(PLAINTEXT, peer="p", local=True) == bound
        assert isinstance(site.admit(PLAINTEXT, peer="p", local=False), Denial)


async def test_all_of_it_over_a_connection(autojump_clock: MockClock) -> None:
    async with world() as w, trio.open_nursery() as nursery:
        site = site_of(w, Access())
        for path, text in (("/metrics", b"opendmux_upstream_up{"), ("/readyz", b'"ready":true'), ("/livez", b"alive")):
            ours, theirs = trio.testing.memory_stream_pair()
            request = f"GET {path} HTTP/1.0\r\n\r\n".encode()

            async def serve(far_end: trio.abc.Stream = theirs, first: bytes = request) -> None:
                await serve_http(far_end, first, site, peer="127.0.0.1:5", local=True)

            nursery.start_soon(serve)
            whole = b""
            while data := await ours.receive_some():
                whole += data
            assert whole.startswith(b"HTTP/1.1 200 ")
            assert text in whole
        site.trouble = lambda: ["opendmux is stopping"]
        assert not site.readiness().ready
