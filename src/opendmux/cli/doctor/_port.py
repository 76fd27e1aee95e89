"""OpenD's port: does something listen there, is it OpenD, and does it answer.

`look` gathers, `judge` decides: it is given everything and touches nothing.
"""

from __future__ import annotations

import ipaddress
import socket
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from opendmux.config import Address
from opendmux.config.reach import is_loopback
from opendmux.runtime.holders import Program, Sockets, command_for
from opendmux.wording import printable

from ._call import CallError, Trouble
from ._finding import Finding, State
from ._speech import Speech, overhear_untrusted, try_out

__all__ = ["CHECK", "CONNECTIONS_CHECK", "CONNECTIONS_MAX", "Port", "judge", "judge_connections", "look"]

CHECK: Final = "OpenD's port"
CONNECTIONS_CHECK: Final = "connections"
CONNECTIONS_MAX: Final = 128
"""What OpenD takes; what it does with one more is not documented."""
CONNECTIONS_MANY: Final = 100
HOLDERS_SHOWN: Final = 3
TEXT_SHOWN: Final = 200
"""Characters of what the peer says."""
LOOPBACK: Final = "127.0.0.1"
PUBLISHERS: Final = ("docker-proxy", "rootlessport", "rootlesskit", "gvproxy", "com.docker")
"""Programs that stand before a container's port: they take every connection, and close it where the container does
not."""


@dataclass(frozen=True, slots=True)
class Port:
    """What is known of one OpenD's port from outside."""

    address: Address
    error: CallError | None = None
    """How the call ended; None when InitConnect was answered."""
    encrypted: bool = False
    """An RSA key was used."""
    speech: Speech = Speech.NOTHING
    here: bool = True
    """The address is this machine's, so that what follows would show it."""
    seen: bool = True
    """The sockets of this machine could be read."""
    listeners: Sequence[tuple[Address, str]] = ()
    """Who listens on that port number: the address, and the program as a person knows it."""
    opends: Sequence[tuple[Program, Sequence[Address]]] = ()
    """Processes that look like OpenD, and where they listen."""
    connections: int = 0
    """To that port, established."""
    clients: Sequence[tuple[str, int]] = ()
    """Programs with the most of them."""
    in_container: bool = False
    greeting_s: float = 0.0
    """How long InitConnect took."""

    @property
    def holder(self) -> str:
        """The program at the address itself; empty when it can't be seen."""
        fitting = [who for where, who in self.listeners if where.host in (self.address.host, "0.0.0.0", "::")]  # noqa: S104
        named = fitting or [who for _where, who in self.listeners]
        return named[0] if named else ""


def look(
    address: Address,
    error: CallError | None,
    sockets: Sockets,
    opends: Sequence[tuple[Program, Sequence[Address]]],
    *,
    encrypted: bool,
    in_container: bool,
    greeting_s: float = 0.0,
) -> Port:
    """Gather. Makes further connections when what answers is not OpenD."""
    speech = Speech.NOTHING
    if error is not None and error.trouble in (Trouble.STRANGE, Trouble.SILENT, Trouble.CLOSED):
        speech = overhear_untrusted(error.first)
        if speech in (
            Speech.NOTHING,
            Speech.HTTP,
            Speech.OTHER,
        ):  # a server of HTTP may answer nonsense with HTML alone
            tried = try_out(address)
            speech = speech if tried is Speech.NOTHING else tried
    listening = sockets.listening(address.port)
    return Port(
        address,
        error,
        encrypted,
        speech,
        here=_is_here(address.host, sockets),
        seen=sockets.known,
        listeners=[(sock.local, sockets.describe(sock)) for sock in listening],
        opends=opends,
        connections=len(sockets.connected_to(address.port)),
        clients=_most(sockets, address.port),
        in_container=in_container,
        greeting_s=greeting_s,
    )


def _most(sockets: Sockets, port: int) -> list[tuple[str, int]]:
    clients = sockets.clients_of(port)
    holders = sockets.holders(clients)
    counts = Counter(str(holders.get(sock.inode, "programs of other users")) for sock in clients)
    return counts.most_common(HOLDERS_SHOWN)


def _is_here(host: str, sockets: Sockets) -> bool:
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    own = {sock.local.host for sock in sockets.all}
    return address.is_loopback or address.is_unspecified or host in own or _is_own(host)


def _is_own(host: str) -> bool:
    """One of this machine's own addresses: nobody else's can be bound."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.bind((host, 0))
    except OSError:
        return False
    return True


# -- the judgement


def judge(port: Port, *, version: str = "") -> Finding:
    """One finding, whatever there is."""
    if port.error is None:
        figures = f"version {version}, InitConnect answered within {port.greeting_s * 1000:.0f} ms"
        if port.encrypted:
            figures += ", encrypted"
        return _finding(State.OK, f"OpenD answers at {port.address}.", figures)
    match port.error.trouble:
        case Trouble.REFUSED:
            return _refused(port)
        case Trouble.NO_NAME:
            return _problem(
                f"The name {printable(port.address.host)!r} can't be resolved, so OpenD can't be reached.",
                port.error.text,
                "Compare the upstream with the name or address of the machine on which OpenD runs.",
            )
        case Trouble.UNREACHABLE | Trouble.NO_CONNECT:
            return _problem(
                f"The machine {port.address.host} does not answer on port {port.address.port}.",
                port.error.text or "no answer to TCP connect",
                "Look whether that machine is on, whether a firewall is between, and whether the address is right.",
            )
        case Trouble.DECLINED:
            return _problem(
                f"{port.address} refuses InitConnect: {_quoted(port.error.text)}.",
                f"the program there: {port.holder}" if port.holder else "",
                "Another opendmux that wants a key refuses like this: the upstream must be OpenD's own port.",
            )
    return _no_answer(port, port.error)


def _refused(port: Port) -> Finding:
    number = port.address.port
    if not port.here:
        return _problem(
            f"{port.address.host} refuses connections to port {number}: OpenD does not run there, or it listens on "
            "that machine's 127.0.0.1 alone.",
            "",
            "On that machine give OpenD ip = 0.0.0.0 or the machine's own address (with rsa_private_key, which trade "
            "calls need then), start it again, and compare api_port; or run opendmux beside OpenD, with keys and TLS.",
        )
    if port.listeners:
        elsewhere = ", ".join(f"{where}, {who}" for where, who in port.listeners)
        found = port.listeners[0][0]
        wanted = LOOPBACK if is_loopback(port.address.host) or port.address.host == "localhost" else port.address.host
        other = "" if found.host == wanted else f", or set ip = {wanted} in OpenD.xml and start OpenD again"
        return _problem(
            f"Nothing listens on {port.address}, but something listens on that port of another address.",
            elsewhere,
            f"Give that address as the upstream, such as --upstream {found}{other}.",
        )
    container = (
        " In a container 127.0.0.1 is the container itself: give the address of the machine or of OpenD's container."
        if port.in_container
        else ""
    )
    listening = [(program, where) for program, where in port.opends if where]
    if listening:
        where = listening[0][1]
        return _problem(
            f"Nothing listens on {port.address}; OpenD listens on another port.",
            "; ".join(f"{program}: {', '.join(map(str, where))}" for program, where in listening),
            f"Give OpenD's API port (api_port in OpenD.xml) as the upstream, such as --upstream {where[0]}.{container}",
        )
    if port.opends:
        return _problem(
            "OpenD runs and listens on no port: it has not come through its login.",
            ", ".join(str(program) for program, _where in port.opends),
            "Look at its window or console: it may wait for a code from the phone or a picture, or for an agreement. "
            "Until the code is entered it may open no port, its Telnet port included.",
        )
    figures = "no process on this machine looks like OpenD" if port.seen else ""
    return _problem(
        f"Nothing listens on {port.address}: OpenD does not run, or it has another port.",
        figures,
        f"Start OpenD, and compare api_port in OpenD.xml with {number}. If it ends by itself, the end of its log says "
        f"why: agreements that are not done, data that is missing, a login that failed.{container}"
        + ("" if port.seen else f" `{command_for(number, sys.platform)}` shows whether something listens."),
    )


def _no_answer(port: Port, error: CallError) -> Finding:
    """It takes connections."""
    number, holder = port.address.port, port.holder
    held = f"the program there: {holder}" if holder else ""
    if port.speech is Speech.OPENDMUX:
        return _problem(
            f"{port.address} is an opendmux and not OpenD.",
            held,
            "The upstream must be OpenD's own API port (api_port in OpenD.xml, 11111 as a rule).",
        )
    if port.speech is Speech.WEBSOCKET:
        return _problem(
            f"{port.address} speaks WebSocket and not OpenD's TCP protocol: it is OpenD's websocket_port or another "
            "program's.",
            held,
            "Give OpenD's api_port (11111 as a rule) as the upstream; WebSocket clients connect to opendmux.",
        )
    if port.speech not in (Speech.NOTHING, Speech.OTHER):
        return _problem(
            f"Another program listens on {port.address}: it speaks {port.speech.value} and is not OpenD.",
            held,
            "Check --upstream: it must be OpenD's API port (api_port in OpenD.xml, 11111 as a rule). If that is "
            f"{number}, OpenD can't have it while the other program runs: end that one and start OpenD again, or give "
            "OpenD another api_port and opendmux the same one by --upstream.",
        )
    if error.trouble is Trouble.STRANGE and not port.encrypted:
        return _problem(
            f"Another program listens on {port.address}: what it says is not OpenD's protocol.",
            "; ".join(part for part in (held, f"it begins {error.first[:16]!r}" if error.first else "") if part),
            f"Check --upstream: compare {number} with api_port in OpenD.xml. If they are the same, end that program "
            "and start OpenD again.",
        )
    if error.trouble is Trouble.CLOSED and port.here and port.connections >= CONNECTIONS_MAX - 1:
        return _problem(
            f"OpenD closes each new connection: its {CONNECTIONS_MAX} connections are used up.",
            _counted(port),
            "End the programs that leave connections behind (every context needs its close()), and let programs "
            "connect to opendmux, which takes over 1,000 of them onto one connection.",
        )
    return _keyed(error, held) if port.encrypted else _unkeyed(port, error, held)


def _keyed(error: CallError, held: str) -> Finding:
    how = {Trouble.CLOSED: "closes the connection", Trouble.SILENT: "does not answer"}.get(error.trouble, "")
    said = (
        f"OpenD {how} after an InitConnect" if how else "OpenD's answer to InitConnect can't be read: it came after one"
    )
    return _problem(
        f"{said} that was encrypted with the configured RSA key: the key is not OpenD's, or OpenD does not encrypt.",
        "; ".join(part for part in (held, _quoted(error.text)) if part),
        "Compare the file with rsa_private_key in OpenD.xml: both sides need the very same file. If OpenD has none, "
        "take upstream_rsa_private_key out of opendmux's settings.",
    )


def _unkeyed(port: Port, error: CallError, held: str) -> Finding:
    if error.trouble is Trouble.UNREADABLE:
        return _problem(
            "OpenD's answer to InitConnect can't be read: it is encrypted, and no RSA key is configured here.",
            "; ".join(part for part in (held, _quoted(error.text)) if part),
            "Give OpenD's key file (rsa_private_key in OpenD.xml) as upstream_rsa_private_key.",
        )
    figures = "; ".join(part for part in (held, _counted(port) if port.connections else "") if part)
    if error.trouble is Trouble.CLOSED and port.holder.startswith(PUBLISHERS):
        return _problem(
            f"{port.address} is published by a container in which nothing answers on that port: OpenD is not ready, or "
            "listens on the container's own 127.0.0.1.",
            figures,
            "Give OpenD ip = 0.0.0.0 inside the container, and publish the port on the machine's 127.0.0.1 alone.",
        )
    if error.trouble is Trouble.CLOSED:
        return _problem(
            f"{port.address} takes connections and closes them before InitConnect is answered.",
            figures,
            "If OpenD.xml has rsa_private_key, give that file as upstream_rsa_private_key. Otherwise OpenD may be at "
            f"its {CONNECTIONS_MAX} connections, or another program may listen there.",
        )
    return _problem(
        f"{port.address} takes connections and answers nothing: OpenD hangs, wants encryption, or it is another "
        "program.",
        figures,
        "If OpenD.xml has rsa_private_key, give that file as upstream_rsa_private_key. Otherwise compare the port with "
        "api_port there, for OpenD's Telnet console answers nothing either; then look at OpenD's window or log, and "
        "start it again.",
    )


def judge_connections(port: Port) -> Finding:
    """How many of OpenD's connections are used, when it answered."""
    if not port.seen or not port.here:
        where = "on that machine" if not port.here else "with the tools of this system"
        return Finding(
            CONNECTIONS_CHECK,
            State.SKIPPED,
            f"How many of OpenD's {CONNECTIONS_MAX} connections are used can be seen {where} only.",
        )
    figures = _counted(port)
    if port.connections < CONNECTIONS_MANY:
        return Finding(CONNECTIONS_CHECK, State.OK, "OpenD has connections to spare.", figures)
    return Finding(
        CONNECTIONS_CHECK,
        State.WARNING,
        f"OpenD's {CONNECTIONS_MAX} connections are nearly used up.",
        figures,
        "Close contexts that are not used any more, and let programs connect to opendmux, which needs one connection "
        "for all of them.",
    )


def _counted(port: Port) -> str:
    most = ", ".join(f"{who}: {count}" for who, count in port.clients)
    return f"{port.connections} of {CONNECTIONS_MAX} connections" + (f"; most are held by {most}" if most else "")


def _quoted(text: str) -> str:
    return printable(text)[:TEXT_SHOWN].rstrip(".")


def _problem(conclusion: str, figures: str, next_step: str) -> Finding:
    return _finding(State.PROBLEM, conclusion, figures, next_step)


def _finding(state: State, conclusion: str, figures: str = "", next_step: str = "") -> Finding:
    return Finding(CHECK, state, conclusion, figures, next_step)
