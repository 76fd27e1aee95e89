"""Ports and their programs, out of a planted /proc, and once out of the real one."""

from __future__ import annotations

import os
import socket
import struct
import sys
from pathlib import Path

import pytest

from opendmux.config import Address
from opendmux.errors import ConfigError
from opendmux.runtime.binding import bind
from opendmux.runtime.holders import PROC, Sockets, command_for, holder_of
from tests.proc_kit import Planted

HERE = "127.0.0.1"
linux = pytest.mark.skipif(not PROC.joinpath("net/tcp").exists(), reason="only Linux shows its sockets in /proc")


def test_who_listens(tmp_path: Path) -> None:
    planted = Planted(tmp_path)
    planted.program(42, "/opt/opend/FutuOpenD", "-login_pwd=secret", inodes=[900])
    planted.listen(HERE, 11111, inode=900)
    planted.write()
    sockets = Sockets(tmp_path)
    (found,) = sockets.listening(11111)
    assert found.local == Address(HERE, 11111)
    assert sockets.describe(found) == "FutuOpenD (pid 42)"
    assert sockets.listening(11112) == []


def test_what_is_behind_the_name_of_a_program_is_never_shown(tmp_path: Path) -> None:
    planted = Planted(tmp_path)
    planted.program(1, "/usr/bin/python3.11", "-m", "opendmux", "--keys", "fc_0123456789abcdef", inodes=[1])
    planted.program(2, "/usr/bin/python3", "/home/me/bot.py", "hunter2", inodes=[2])
    planted.program(3, "python3", "-c", "print('hunter2')", inodes=[3])
    planted.program(4, "node\x1b[31m", "page.js", inodes=[4])
    planted.program(5, comm="kworker", inodes=[5])
    for inode in range(1, 6):
        planted.listen(HERE, 1000 + inode, inode=inode)
    planted.write()
    sockets = Sockets(tmp_path)
    said = [sockets.describe(sockets.listening(1000 + inode)[0]) for inode in range(1, 6)]
    assert said == [
        "python3.11 -m opendmux (pid 1)",
        "bot.py (pid 2)",
        "python3 (pid 3)",
        "node?[31m (pid 4)",
        "kworker (pid 5)",
    ]


def test_of_a_stranger_the_user_is_known(tmp_path: Path) -> None:
    planted = Planted(tmp_path)
    planted.listen(HERE, 11111, inode=900, uid=4_000_000)
    planted.write()
    assert holder_of(Address(HERE, 11111), tmp_path) == "a program of the user 4000000"


def test_the_address_counts(tmp_path: Path) -> None:
    planted = Planted(tmp_path)
    for number, host in enumerate(["192.0.2.7", "127.0.0.1", "::1", "::"], 1):
        planted.program(number, f"program-{number}", inodes=[number])
        planted.listen(host, 5000 if host != "::" else 6000, inode=number)
    planted.write()
    assert holder_of(Address("127.0.0.1", 5000), tmp_path) == "program-2 (pid 2)"
    assert holder_of(Address("::1", 5000), tmp_path) == "program-3 (pid 3)"
    assert holder_of(Address("192.0.2.9", 6000), tmp_path) == "program-4 (pid 4)"
    assert holder_of(Address("localhost", 5000), tmp_path) == "program-1 (pid 1)", "a name may be any of them"
    assert holder_of(Address("127.0.0.1", 7000), tmp_path) == ""


def test_connections_from_both_ends(tmp_path: Path) -> None:
    planted = Planted(tmp_path)
    planted.program(1, "FutuOpenD", inodes=[10, 11, 12])
    planted.program(2, "python3", "bot.py", inodes=[21])
    planted.listen(HERE, 11111, inode=10)
    planted.connection((HERE, 50001), (HERE, 11111), client_inode=21, server_inode=11)
    planted.connection(("192.0.2.9", 50002), ("192.0.2.7", 11111), client_inode=None, server_inode=12)
    planted.connection((HERE, 50003), (HERE, 22222), client_inode=30, server_inode=31)
    planted.write()
    sockets = Sockets(tmp_path)
    assert [sock.inode for sock in sockets.connected_to(11111)] == [11, 12]
    clients = sockets.clients_of(11111)
    assert [str(sockets.holders(clients)[sock.inode]) for sock in clients] == ["bot.py (pid 2)"]


def test_an_ipv4_connection_to_an_ipv6_socket_is_the_ipv4_one(tmp_path: Path) -> None:
    planted = Planted(tmp_path)
    planted.listen("::ffff:127.0.0.1", 11111, inode=900)
    planted.write()
    assert [sock.local for sock in Sockets(tmp_path).listening(11111)] == [Address("127.0.0.1", 11111)]


def test_without_proc_nothing_is_known(tmp_path: Path) -> None:
    sockets = Sockets(tmp_path)
    assert not sockets.known
    assert sockets.all == []
    assert sockets.programs() == []
    assert holder_of(Address(HERE, 1), tmp_path) == ""


@pytest.mark.parametrize("line", ["", "0: 0100007F", "0: X:Y 0:0 0A a b c 0 0 1", "0: 01:1 01:1 0A a b c 0 0 1"])
def test_a_line_that_cannot_be_read_is_passed_over(tmp_path: Path, line: str) -> None:
    (tmp_path / "net").mkdir()
    (tmp_path / "net" / "tcp").write_text(f"head\n{line}\n")
    assert Sockets(tmp_path).all == []


def test_what_to_run_where_nothing_can_be_read() -> None:
    assert command_for(11111, "win32") == "netstat -ano | findstr :11111"
    assert command_for(11111, "darwin") == "lsof -nP -iTCP:11111 -sTCP:LISTEN"
    assert command_for(11111, "linux") == "ss -ltnp 'sport = :11111'"


@linux
def test_the_real_proc_knows_this_process() -> None:
    with socket.create_server((HERE, 0)) as server:
        port = server.getsockname()[1]
        assert holder_of(Address(HERE, port)).endswith(f"(pid {os.getpid()})")
        with pytest.raises(ConfigError) as refused:
            bind([f"{HERE}:{port}"])
    assert str(refused.value).startswith(f"cannot listen on {HERE}:{port}: another program uses that port, ")
    assert str(refused.value).endswith(f"(pid {os.getpid()}): end it, or give another port by --listen")


def test_where_it_cannot_be_seen_the_command_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("opendmux.runtime.binding.holder_of", lambda _address: "")
    with socket.create_server((HERE, 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(ConfigError) as refused:
            bind([f"{HERE}:{port}"])
    assert f"(`{command_for(port)}` shows which): end it, or" in str(refused.value)


def test_the_kit_writes_addresses_as_the_kernel_does(tmp_path: Path) -> None:
    planted = Planted(tmp_path)
    planted.listen("127.0.0.1", 11111, inode=1)
    planted.write()
    word = struct.pack("=I", 0x7F000001).hex().upper()
    assert f" {word}:2B67 00000000:0000 0A " in (tmp_path / "net" / "tcp").read_text()
    assert sys.byteorder == "big" or word == "0100007F"
