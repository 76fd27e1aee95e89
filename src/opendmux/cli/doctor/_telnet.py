"""OpenD's Telnet console: who reaches it may enter codes, end OpenD and write files, for it has no login."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from typing import Final

from opendmux.config import Address
from opendmux.config.reach import is_loopback

from ._finding import Finding, State

__all__ = ["CHECK", "judge", "reach"]

CHECK: Final = "Telnet console"
CONNECT_S: Final = 2.0


def reach(address: Address) -> str:
    """Connect and hang up; returns why that can't be done, empty when it can."""
    try:
        with socket.create_connection((address.host, address.port), timeout=CONNECT_S):
            return ""
    except TimeoutError:
        return "no answer to TCP connect"
    except OSError as error:
        return error.strerror or str(error)


def judge(address: Address | None, failure: str, listening: Sequence[Address], *, configured: bool = True) -> Finding:
    """``address``: None where nothing names one. ``listening``: where that port number is listened on here.
    ``configured``: opendmux's own settings name it."""
    if address is None:
        return Finding(
            CHECK,
            State.SKIPPED,
            "OpenD's Telnet console is not configured: codes can't be entered and quote rights not be taken back from "
            "here.",
            "",
            "Set telnet_ip = 127.0.0.1 and telnet_port, such as 22222, in OpenD.xml, start OpenD again, and give the "
            "address to opendmux as `telnet`.",
        )
    if failure:
        return Finding(
            CHECK,
            State.WARNING,
            f"OpenD's Telnet console at {address} can't be reached.",
            failure,
            "Compare telnet_ip and telnet_port in OpenD.xml; OpenD opens that port at its start, and may do so only "
            "after its login.",
        )
    open_to_others = [str(where) for where in listening if not is_loopback(where.host)]
    if open_to_others or not (is_loopback(address.host) or address.host == "localhost"):
        return Finding(
            CHECK,
            State.PROBLEM,
            "OpenD's Telnet console is reachable for other machines, and it has no login: whoever reaches it can end "
            "OpenD and write files.",
            f"it listens on {', '.join(open_to_others) or address}",
            "Set telnet_ip = 127.0.0.1 in OpenD.xml and start OpenD again.",
        )
    return Finding(
        CHECK,
        State.OK,
        "OpenD's Telnet console answers, on this machine alone.",
        str(address),
        "" if configured else f'Set telnet = "{address}" in opendmux\'s settings, so that `opendmux opend` finds it.',
    )
