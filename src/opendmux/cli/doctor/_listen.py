"""Our own ports: free, held by opendmux, or by another program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from opendmux.config import DEFAULT_PORT, Address, parse_address
from opendmux.runtime.holders import Program, Sockets, command_for

from ._finding import Section, State

__all__ = ["Holder", "judge", "judge_free", "wanted_addresses"]

CHECK: Final = "opendmux's port"


def wanted_addresses(texts: Sequence[str]) -> list[Address]:
    """Of the settings; without any, the default."""
    return [parse_address(text, what="listen") for text in texts] or [Address("127.0.0.1", DEFAULT_PORT)]


class Holder(NamedTuple):
    """Of our ports."""

    ours: Program | None = None
    """The opendmux that runs there, where its process may be seen."""
    foreign: frozenset[int] = frozenset()
    """Ports that are certainly another program's."""
    free: tuple[Address, ...] = ()
    """One of each port on which nobody listens; `judge_free` tells of them."""


def judge(addresses: Sequence[Address], sockets: Sockets, section: Section) -> Holder:
    """A finding for each port number that is in use."""
    ours: Program | None = None
    foreign: set[int] = set()
    free: list[Address] = []
    for port in dict.fromkeys(address.port for address in addresses if address.port):
        where = next(address for address in addresses if address.port == port)
        if not sockets.known:
            section.say(
                State.SKIPPED,
                CHECK,
                f"Which program has port {port} can't be read on this system.",
                "",
                f"`{command_for(port)}` shows it.",
            )
            continue
        listening = sockets.listening(port)
        if not listening:
            free.append(where)
            continue
        program = next(iter(sockets.holders(listening).values()), None)
        who = str(program) if program else sockets.describe(listening[0])
        if program is not None and "opendmux" in program.name:
            ours = program
            section.say(State.OK, CHECK, f"opendmux runs and listens on port {port}.", who)
        elif program is None:
            section.say(
                State.UNKNOWN,
                CHECK,
                f"Port {port} is in use, by {who}; whether that is opendmux can't be seen.",
                "",
                "Run doctor as that user or as root.",
            )
        else:
            foreign.add(port)
            section.say(
                State.PROBLEM,
                CHECK,
                f"Another program uses port {port}: opendmux can't start there.",
                who,
                "End that program, or give opendmux another port by --listen. OpenD's sample file uses 33333 for its "
                "WebSocket service (websocket_port).",
            )
    return Holder(ours, frozenset(foreign), tuple(free))


def judge_free(holder: Holder, section: Section, *, waiting: bool) -> None:
    """A finding for each port that nobody has. ``waiting``: an opendmux told, by its admin socket, that it is not
    ready, so it is the one that will listen there."""
    for where in holder.free:
        text = (
            f"Nothing listens on port {where.port} yet: opendmux runs and waits for OpenD first."
            if waiting
            else f"Port {where.port} is free for opendmux."
        )
        section.say(State.OK, CHECK, text, str(where))
