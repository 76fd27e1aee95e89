"""From the configuration to ports and what they lead to. Nothing is dialled; ports are free ones of this machine."""

from __future__ import annotations

import logging
import socket

import pytest

from opendmux.cli.upstreams import faces_of, name_of
from opendmux.config import SIMULATED, Address, Config, Listener, TlsConfig, UpstreamConfig, check
from opendmux.errors import ConfigError
from opendmux.runtime.binding import bind, meets
from opendmux.runtime.door import Plain

KEY = UpstreamConfig("b", "192.0.2.2:11111", "key.pem")
FREE = ("127.0.0.1:0",)
A, B = UpstreamConfig("a", "192.0.2.1:11111"), UpstreamConfig("b", "192.0.2.2:11111")


def test_names() -> None:
    assert name_of("sim") == SIMULATED
    assert name_of("[::1]:11111") == "[::1]:11111"
    with pytest.raises(ConfigError, match="--upstream 'x' is not HOST:PORT"):
        name_of("x")


async def test_one_upstream() -> None:
    async with faces_of(Config(listen=(*FREE, *FREE), upstream="192.0.2.1:11111")) as (face,):
        assert face.reach.name == "192.0.2.1:11111"
        assert face.reach.trade_name is None
        assert face.on_outage == "hold"
        assert len(face.bound) == 2
        bound = face.bound
    assert all(sock.fileno() == -1 for sock in bound), "closed at the end"


async def test_without_listeners_the_first_of_several_is_meant() -> None:
    async with faces_of(Config(listen=FREE, upstreams=(A, B))) as (face,):
        assert face.reach.name == A.address


async def test_listeners_lead_where_they_say() -> None:
    listeners = (
        Listener(FREE, ("b",)),
        Listener(FREE, ("a",), "close"),
        Listener(FREE, ("b",), "hold"),
        Listener(FREE, ("b", "a")),
    )
    async with faces_of(Config(upstreams=(A, B), listeners=listeners, on_outage="close")) as faces:
        assert [face.reach.name for face in faces] == [
            B.address,
            A.address,
            B.address,
            f"{B.address} or {A.address}",
        ]
        assert faces[0].reach is faces[2].reach, "one upstream, one connection to it"
        assert [face.on_outage for face in faces] == ["close", "close", "hold", "close"]
        assert [face.reach.trade_name for face in faces] == [None, None, None, B.address]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (Config(upstreams=(A,), listeners=(Listener(FREE, ("b",)),)), "no upstream is called 'b'"),
        (Config(upstreams=(A,), listeners=(Listener(FREE, ()),)), "it names no upstream"),
        (Config(listen=FREE, upstreams=(A, UpstreamConfig("a", "192.0.2.9:1"))), "two upstreams have the same name"),
        (Config(listen=FREE, upstream="nowhere"), "'nowhere' is not HOST:PORT"),
        (Config(listen=("nowhere",)), "listen 'nowhere' is not HOST:PORT"),
        (Config(listen=FREE, rsa_private_key="/nowhere.pem"), "/nowhere.pem"),
        (
            Config(upstreams=(A, KEY), listeners=(Listener(FREE, ("a", "b")),)),
            "they must have the same rsa_private_key",
        ),
    ],
)
async def test_what_is_impossible(config: Config, words: str) -> None:
    async def begin() -> None:
        check(config)
        async with faces_of(config):
            pass

    with pytest.raises(ConfigError) as caught:
        await begin()
    assert words in str(caught.value)


async def test_an_error_closes_what_was_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    bound: list[socket.socket] = []

    def watched(texts: tuple[str, ...]) -> list[socket.socket]:
        bound.extend(sockets := bind(texts))
        return sockets

    monkeypatch.setattr("opendmux.cli.upstreams.bind", watched)
    listeners = (Listener(FREE, ("a",)), Listener(("nowhere",), ("a",)))
    with pytest.raises(ConfigError):
        async with faces_of(Config(upstreams=(A,), listeners=listeners)):
            pass
    assert [sock.fileno() for sock in bound] == [-1]


@pytest.mark.parametrize(
    ("dialled", "bound", "expected"),
    [
        ("127.0.0.1", "127.0.0.1", True),
        ("localhost", "127.0.0.1", True),
        ("LocalHost", "::1", True),
        ("localhost", "0.0.0.0", True),
        ("127.0.0.1", "0.0.0.0", True),
        ("127.9.9.9", "0.0.0.0", True),
        ("0.0.0.0", "127.0.0.1", True),
        ("0.0.0.0", "0.0.0.0", True),
        ("::1", "::", True),
        ("::", "::1", True),
        ("0:0:0:0:0:0:0:1", "::1", True),
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "0.0.0.0", False),
        ("192.0.2.1", "127.0.0.1", False),
        ("127.0.0.2", "127.0.0.1", False),
        ("127.0.0.1", "::", False),
        ("::1", "127.0.0.1", False),
        ("localhost", "192.0.2.1", False),
        ("opend.example", "127.0.0.1", False),
    ],
)
def test_what_leads_back_to_a_listener(dialled: str, bound: str, expected: bool) -> None:
    assert meets(Address(dialled, 11111), Address(bound, 11111)) is expected
    assert not meets(Address(dialled, 11111), Address(bound, 11112))


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "0.0.0.0"])
async def test_a_proxy_is_not_its_own_upstream(host: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    listen = (f"127.0.0.1:{port}",)
    with pytest.raises(ConfigError, match=rf"the upstream {host}:{port} is this proxy itself, which listens on"):
        async with faces_of(Config(listen=listen, upstream=f"{host}:{port}")):
            pass
    (sock,) = bind(listen)
    sock.close()


async def test_an_upstream_that_no_listener_names_may_be_anything() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = UpstreamConfig("own", f"127.0.0.1:{port}")
    async with faces_of(Config(listen=(f"127.0.0.1:{port}",), upstreams=(A, own))) as faces:
        assert len(faces) == 1


# -- who may reach a port

TLS = TlsConfig("cert.pem", "key.pem")
EVERYWHERE = ("0.0.0.0:0",)


def entry(**details: object) -> tuple[Listener, ...]:
    return (Listener(EVERYWHERE, ("opend",), **details),)  # type: ignore[arg-type]


OPEND = (UpstreamConfig("opend", "192.0.2.1:11111"),)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (Config(listen=EVERYWHERE), "without keys would let other machines trade"),
        (Config(listen=EVERYWHERE, tls=TLS), "without keys would let other machines trade"),
        (Config(listen=EVERYWHERE, insecure_plain=True), "without keys would let other machines trade"),
        (Config(listen=EVERYWHERE, keys="k"), "without TLS would send keys and orders readable"),
        (Config(listen=("127.0.0.1:0", *EVERYWHERE), keys="k"), "`opendmux tls self-signed`"),
        (Config(listen=EVERYWHERE, keys="k", tls=TLS, protocols=("opend",)), "keep tls among the protocols"),
        (Config(upstreams=OPEND, listeners=entry(), keys="k"), "insecure_plain = true allows it"),
        (Config(upstreams=OPEND, listeners=entry(protocols=("grpc",)), keys="k", tls=TLS), "without TLS would send"),
    ],
)
async def test_what_other_machines_reach_has_keys_and_tls(config: Config, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        async with faces_of(config):
            pass
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("config", "plain", "warned"),
    [
        (Config(listen=FREE), Plain.LOCAL, False),
        (Config(listen=FREE, insecure_plain=True), Plain.ANYBODY, False),
        (Config(listen=FREE, tls=TlsConfig("c", "k", require=True)), Plain.NOBODY, False),
        (Config(listen=EVERYWHERE, keys="k", tls=TLS), Plain.LOCAL, False),
        (Config(listen=EVERYWHERE, keys="k", tls=TlsConfig("c", "k", require=True)), Plain.NOBODY, False),
        (Config(listen=EVERYWHERE, keys="k", insecure_plain=True), Plain.ANYBODY, True),
        (Config(upstreams=OPEND, listeners=entry(insecure_plain=True), keys="k"), Plain.ANYBODY, True),
    ],
)
async def test_who_may_come_without_tls(
    config: Config, plain: Plain, warned: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        async with faces_of(config) as (face,):
            assert face.plain is plain
    assert ("without TLS: keys and orders can be read on the way" in caplog.text) is warned


async def test_protocols_of_a_listener_count_before_those_of_all() -> None:
    listeners = (Listener(FREE, ("a",)), Listener(FREE, ("a",), protocols=("opend", "http")))
    async with faces_of(Config(upstreams=(A,), listeners=listeners, protocols=("grpc",))) as faces:
        assert [face.protocols for face in faces] == [("grpc",), ("opend", "http")]
