"""What is said of OpenD's port, for everything that can be known of it from outside."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest

from opendmux.cli.doctor._call import CallError, Trouble
from opendmux.cli.doctor._finding import State
from opendmux.cli.doctor._port import Port, judge, judge_connections, look
from opendmux.cli.doctor._speech import Speech, overhear_untrusted
from opendmux.config import Address
from opendmux.runtime.holders import Program, Sockets

HERE = Address("127.0.0.1", 11111)
THERE = Address("192.0.2.7", 11111)
AFAR = Address("192.0.2.8", 11111)
OPEND = Program(42, "FutuOpenD", ("/opt/FutuOpenD",))


def port(trouble: Trouble, address: Address = HERE, text: str = "", first: bytes = b"", **known: Any) -> Port:
    return Port(address, CallError(trouble, text, first), **known)


CASES: list[tuple[Port, str, str, str]] = [
    (port(Trouble.REFUSED), "Nothing listens on 127.0.0.1:11111", "no process on this machine looks", "Start OpenD"),
    (
        port(Trouble.REFUSED, in_container=True),
        "Nothing listens",
        "",
        "In a container 127.0.0.1 is the container itself",
    ),
    (port(Trouble.REFUSED, seen=False), "Nothing listens", "", "shows whether something listens"),
    (
        port(Trouble.REFUSED, opends=[(OPEND, [])]),
        "OpenD runs and listens on no port",
        "FutuOpenD (pid 42)",
        "a code from the phone or a picture",
    ),
    (
        port(Trouble.REFUSED, opends=[(OPEND, [Address("127.0.0.1", 11112), Address("127.0.0.1", 22222)])]),
        "OpenD listens on another port",
        "FutuOpenD (pid 42): 127.0.0.1:11112, 127.0.0.1:22222",
        "--upstream 127.0.0.1:11112",
    ),
    (
        port(Trouble.REFUSED, listeners=[(THERE, "FutuOpenD (pid 42)")]),
        "something listens on that port of another address",
        "192.0.2.7:11111, FutuOpenD (pid 42)",
        "--upstream 192.0.2.7:11111, or set ip = 127.0.0.1 in OpenD.xml",
    ),
    (
        port(Trouble.REFUSED, Address("::1", 11111), listeners=[(HERE, "FutuOpenD (pid 42)")]),
        "something listens on that port of another address",
        "127.0.0.1:11111, FutuOpenD (pid 42)",
        "--upstream 127.0.0.1:11111.",
    ),
    (
        port(Trouble.REFUSED, THERE, listeners=[(HERE, "FutuOpenD (pid 42)")]),
        "something listens on that port of another address",
        "127.0.0.1:11111, FutuOpenD (pid 42)",
        "--upstream 127.0.0.1:11111, or set ip = 192.0.2.7 in OpenD.xml",
    ),
    (port(Trouble.REFUSED, THERE, here=False), "that machine's 127.0.0.1 alone", "", "ip = 0.0.0.0"),
    (port(Trouble.NO_NAME, Address("opend\x1b", 1)), "The name 'opend?' can't be resolved", "", "Compare the upstream"),
    (port(Trouble.NO_CONNECT, THERE), "does not answer on port 11111", "no answer to TCP connect", "firewall"),
    (port(Trouble.UNREACHABLE, THERE, "No route to host"), "does not answer", "No route to host", "firewall"),
    (
        port(Trouble.DECLINED, text="a key is wanted\x1b", listeners=[(HERE, "python -m opendmux (pid 7)")]),
        "refuses InitConnect: a key is wanted?.",
        "python -m opendmux (pid 7)",
        "OpenD's own port",
    ),
    (
        port(Trouble.SILENT, speech=Speech.OPENDMUX),
        "127.0.0.1:11111 is an opendmux and not OpenD",
        "",
        "api_port in OpenD.xml",
    ),
    (port(Trouble.SILENT, speech=Speech.WEBSOCKET), "websocket_port", "", "api_port (11111 as a rule)"),
    (
        port(Trouble.STRANGE, first=b"HTTP/1.1 400", speech=Speech.HTTP, listeners=[(HERE, "nginx (pid 9)")]),
        "it speaks HTTP and is not OpenD",
        "the program there: nginx (pid 9)",
        "Check --upstream: it must be OpenD's API port (api_port in OpenD.xml, 11111 as a rule). If that is 11111",
    ),
    (
        port(Trouble.STRANGE, first=b"220 mail"),
        "is not OpenD's protocol",
        "it begins b'220 mail'",
        "Check --upstream: ",
    ),
    (port(Trouble.SILENT), "OpenD hangs, wants encryption", "", "upstream_rsa_private_key"),
    (port(Trouble.CLOSED), "closes them before InitConnect is answered", "", "upstream_rsa_private_key"),
    (
        port(Trouble.CLOSED, connections=130, clients=[("bot.py (pid 5)", 120)]),
        "its 128 connections are used up",
        "130 of 128 connections; most are held by bot.py (pid 5): 120",
        "close()",
    ),
    (
        port(Trouble.CLOSED, listeners=[(Address("0.0.0.0", 11111), "docker-proxy (pid 3)")]),
        "published by a container in which nothing answers",
        "docker-proxy",
        "ip = 0.0.0.0 inside the container",
    ),
    (
        port(Trouble.CLOSED, encrypted=True),
        "OpenD closes the connection after an InitConnect that was encrypted with the configured RSA key",
        "",
        "the very same file",
    ),
    (port(Trouble.SILENT, encrypted=True), "OpenD does not answer after an InitConnect", "", "the very same file"),
    (
        port(Trouble.UNREADABLE, encrypted=True, text="our RSA key of 1024 bits"),
        "can't be read: it came after one that was encrypted",
        "our RSA key of 1024 bits",
        "the very same file",
    ),
    (
        port(Trouble.UNREADABLE, text="no RSA key"),
        "it is encrypted, and no RSA key is configured here",
        "no RSA key",
        "as upstream_rsa_private_key",
    ),
]


@pytest.mark.parametrize(("seen", "conclusion", "figures", "next_step"), CASES)
def test_every_way_to_fail_has_its_sentence(seen: Port, conclusion: str, figures: str, next_step: str) -> None:
    found = judge(seen)
    assert found.state is State.PROBLEM
    assert conclusion in found.conclusion
    assert found.conclusion.endswith(".")
    assert figures in found.figures
    assert next_step in found.next_step
    assert "\x1b" not in found.conclusion


def test_every_trouble_is_among_them() -> None:
    assert {case[0].error.trouble for case in CASES if case[0].error is not None} == set(Trouble)


def test_an_answer() -> None:
    found = judge(Port(HERE, encrypted=True, greeting_s=0.0034), version="10.11")
    assert (found.state, found.conclusion) == (State.OK, "OpenD answers at 127.0.0.1:11111.")
    assert found.figures == "version 10.11, InitConnect answered within 3 ms, encrypted"


def test_connections() -> None:
    assert judge_connections(Port(HERE, connections=99)).state is State.OK
    many = judge_connections(Port(HERE, connections=100, clients=[("bot.py (pid 5)", 98)]))
    assert (many.state, many.figures) == (
        State.WARNING,
        "100 of 128 connections; most are held by bot.py (pid 5): 98",
    )
    assert "on that machine" in judge_connections(Port(THERE, here=False)).conclusion
    assert judge_connections(Port(HERE, seen=False)).state is State.SKIPPED


@pytest.mark.parametrize(
    ("first", "speech"),
    [
        (b"", Speech.NOTHING),
        (b"HTTP/1.0 404 Not Found\r\n\r\n", Speech.HTTP),
        (b"HTTP/1.1 101 Switching Protocols\r\n\r\n", Speech.WEBSOCKET),
        (b"HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 13\r\n\r\n", Speech.WEBSOCKET),
        (b'HTTP/1.1 200 OK\r\n\r\n{"alive":true}', Speech.OPENDMUX),
        (b"\x15\x03\x01\x00\x02\x02\x46", Speech.TLS),
        (b"\x15", Speech.TLS),
        (b"SSH-2.0-OpenSSH", Speech.SSH),
        (b"220 smtp", Speech.OTHER),
        (b"\x15\x00", Speech.OTHER),
    ],
)
def test_what_first_bytes_tell(first: bytes, speech: Speech) -> None:
    assert overhear_untrusted(first) is speech


def test_an_own_address_of_this_machine_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever gives the machine's own address for an OpenD on 127.0.0.1 is not told of "that machine"."""

    class Bound(socket.socket):
        def bind(self, address: Any) -> None:
            if address[0] != THERE.host:
                raise OSError

    sockets = Sockets(Path("/nowhere"))
    monkeypatch.setattr("socket.socket", Bound)
    found = [look(address, None, sockets, [], encrypted=False, in_container=False).here for address in (THERE, AFAR)]
    assert found == [True, False]
