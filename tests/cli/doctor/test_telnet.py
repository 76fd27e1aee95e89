"""OpenD's Telnet console."""

from __future__ import annotations

import socket

from opendmux.cli.doctor._finding import State
from opendmux.cli.doctor._telnet import judge, reach
from opendmux.config import Address

HERE = Address("127.0.0.1", 22222)


def test_what_is_said() -> None:
    off = judge(None, "", [])
    assert (off.state, "telnet_port" in off.next_step) == (State.SKIPPED, True)
    assert judge(HERE, "", [HERE]).state is State.OK
    assert judge(Address("localhost", 1), "", []).state is State.OK
    unnamed = judge(HERE, "", [HERE], configured=False)
    assert (unnamed.state, 'telnet = "127.0.0.1:22222"' in unnamed.next_step) == (State.OK, True)
    silent = judge(HERE, "Connection refused", [])
    assert (silent.state, silent.figures) == (State.WARNING, "Connection refused")
    for address, listening in ((HERE, [Address("0.0.0.0", 22222)]), (Address("192.0.2.7", 22222), [])):
        found = judge(address, "", listening)
        assert found.state is State.PROBLEM
        assert "it has no login" in found.conclusion
        assert "telnet_ip = 127.0.0.1" in found.next_step


def test_reaching() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = Address("127.0.0.1", server.getsockname()[1])
        assert reach(address) == ""
    assert reach(address) == "Connection refused"
