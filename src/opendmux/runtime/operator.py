"""Who sends operation commands to OpenD: the one way for administrators and for the proxy itself.

A command passes the table of `core.operations` first, then the counts that all processes share, then goes by OpenD's
console; where none is configured, codes go by the protocol Verification over the connection that there is. Each is put
down in the audit log, without any value of its parameters.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import trio

from opendmux.core.audit import NO_KEY, AuditEvent, AuditOutcome
from opendmux.core.commands import Ask, Command, Outcome
from opendmux.core.operation_rates import OperationRates
from opendmux.core.operations import OperationError, Order
from opendmux.core.quote_right import Policy
from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import RetType
from opendmux.wire.messages import decode_answer_untrusted, encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from opendmux.wording import nearest, printable, shown_value

from .house import House
from .telnet import Console, TelnetError

if TYPE_CHECKING:
    from .station import Station

__all__ = [
    "PROXY",
    "Asker",
    "Member",
    "NoOpendError",
    "Operator",
    "Performed",
    "by_console",
    "opends_called",
    "several_called",
]

log = logging.getLogger("opendmux.opend")

REPLY_S: Final = 15.0
"""For OpenD's answer by the protocol: the link itself gives up sooner."""
LINE_MAX: Final = 200
"""Characters of OpenD's answer in a log line."""


class NoOpendError(OperationError):
    """No OpenD is called so, or it must be said which one is meant."""


@dataclass(frozen=True, slots=True)
class Member:
    """One OpenD, as its operator sees it."""

    name: str
    """What the configuration calls it."""
    address: str
    """Of its API, as logs and status say it."""
    console: Console | None = None
    counters: Sequence[str] = ()
    """What it is called in the counts of commands; none for the simulator, which is counted by this process alone."""
    quote_right: Policy = "never"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who wants it, for the audit."""

    iface: str
    peer: str
    key_id: str = NO_KEY


PROXY: Final = Asker("proxy", "")


class Performed(msgspec.Struct, frozen=True, kw_only=True):
    """A command that was sent, and what was said to it."""

    command: str
    opend: str
    way: Literal["telnet", "protocol"]
    """``protocol``: Verification (1006)."""
    place: str
    """The console's address, or the API's."""
    lines: list[str]
    """OpenD's answer."""
    note: str
    """Why it is not whole, or what went wrong; empty for a usual answer. Whether OpenD did as it was told stands in its
    own words alone where it answers by its console."""
    refused: bool = False
    """OpenD said no: known by the protocol only."""


async def by_console(member: Member, console: Console, order: Order) -> Performed:
    """Send it to this console of the OpenD and wait for the answer; nothing is counted or put down here.

    Raises TelnetError. Cancellation: it may have been sent.
    """
    reply = await console.perform(order)
    return Performed(
        command=order.operation.name,
        opend=member.name,
        way="telnet",
        place=console.name,
        lines=reply.lines,
        note=reply.note,
    )


@dataclass(slots=True, eq=False)
class Operator:
    """One per process. ``stations``: in the order of their numbers."""

    stations: Callable[[], Sequence[Station]]
    house: House
    wall: Callable[[], float] = time.time
    on_sent: list[Callable[[Member, Order], None]] = field(default_factory=list)
    """Told of every command that is about to be sent."""
    _simulated: OperationRates = field(default_factory=OperationRates)

    def find(self, which: int | str | None) -> tuple[Station, Member]:
        """``which``: as `opends_called` takes it; None where there is only one. Raises NoOpendError."""
        found = opends_called(self.stations(), which)
        if len({id(member) for _number, _station, member in found}) == 1:
            return found[0][1:]
        raise several_called(found)

    async def perform(self, order: Order, which: int | str | None, by: Asker) -> Performed:
        """Send it and wait for the answer. Raises OperationError when it is not sent, TelnetError.

        Cancellation: it may have been sent; nothing is put down about how it ended.
        """
        try:
            station, member = self.find(which)
            if member.console is None:
                self._need_protocol(station, member, order)
            self._book(member, order)
        except OperationError as error:
            self._put_down(by, order, "reject", str(error), "" if which is None else str(which))
            raise
        return await self._send(station, member, order, by)

    def refused(self, name: str, error: OperationError, by: Asker) -> None:
        """Put down a command that the table does not let pass. ``name``: as it was asked for."""
        self._note(AuditEvent(by.iface, by.peer, by.key_id, f"opend {name}", "reject", str(error)))

    async def _send(self, station: Station, member: Member, order: Order, by: Asker) -> Performed:
        about = {"peer": by.peer, "transport": by.iface, "key": by.key_id} if by.peer else {}
        whom = by.key_id if by.peer else "the proxy"
        log.info("%s is sent to OpenD at %s for %s", order, member.address, whom, extra=about)
        for told in self.on_sent:
            told(member, order)
        try:
            if member.console is not None:
                performed = await by_console(member, member.console, order)
            else:
                performed = await self._by_protocol(station, member, order)
        except TelnetError as error:
            if not error.sent:
                self._give_back(member, order)
            self._put_down(by, order, "unknown" if error.sent else "failure", str(error), member.address)
            raise
        except OperationError as error:
            self._give_back(member, order)
            self._put_down(by, order, "failure", str(error), member.address)
            raise
        outcome: AuditOutcome = "failure" if performed.refused else "unknown" if performed.note else "success"
        self._put_down(by, order, outcome, performed.note, member.address)
        said = printable(" / ".join(performed.lines))[:LINE_MAX]
        log.info("OpenD at %s says to %s: %s", member.address, order.operation.name, said or performed.note)
        return performed

    async def _by_protocol(self, station: Station, member: Member, order: Order) -> Performed:
        verification = order.operation.verification
        assert verification is not None, "see _need_protocol"
        hub, answered, outcomes = station.hub, trio.Event(), list[Outcome]()

        def then(outcome: Outcome, _now: float) -> list[Command]:
            outcomes.append(outcome)
            answered.set()
            return []

        c2s = opend.VerificationC2S(type=verification.kind, op=verification.action, code=order.parameters.get("code"))
        body = encode(opend.VerificationRequest(c2s=c2s))
        hub.run([Ask(hub.router.lanes.main.index, ProtoId.VERIFICATION, body, then)])
        with trio.move_on_after(REPLY_S):
            await answered.wait()
        refused, note = _outcome_untrusted(outcomes[0] if outcomes else None)
        return Performed(
            command=order.operation.name,
            opend=member.name,
            way="protocol",
            place=member.address,
            lines=[] if note else ["done"],
            note=note,
            refused=refused,
        )

    def _need_protocol(self, station: Station, member: Member, order: Order) -> None:
        """There is no console: codes can go by the protocol. Raises OperationError."""
        name = order.operation.name
        hint = (
            "start opendmux with --telnet HOST:PORT, where OpenD's telnet_port listens, or set telnet in the entry "
            f"{member.name} of [[upstreams]]"
        )
        if order.operation.verification is None:
            raise OperationError(f"{name} was not sent: no console of OpenD at {member.address} is configured; {hint}")
        if len(station.reach.members_known) > 1:
            raise OperationError(
                f"{name} was not sent: the OpenDs of a group share the connection, so codes go by a console alone; "
                f"{hint}"
            )
        upstream = station.hub.router.lanes.main.upstream
        if not upstream.ready:
            raise OperationError(
                f"{name} was not sent: {upstream.absence(trio.current_time())}. Before its first code is entered OpenD "
                "may listen on no port at all: use its own console (the window or terminal it runs in)"
            )

    def _book(self, member: Member, order: Order) -> None:
        if member.counters:
            self.house.operations.book(member.counters, order.operation, self.wall())
        else:
            self._simulated.book([member.name], order.operation, self.wall())

    def _give_back(self, member: Member, order: Order) -> None:
        if member.counters:
            self.house.operations.give_back(member.counters, order.operation)
        else:
            self._simulated.give_back([member.name], order.operation)

    def _put_down(self, by: Asker, order: Order, outcome: AuditOutcome, reason: str, where: str) -> None:
        self.house.operated.add((where, order.operation.name, outcome))
        endpoint = f"opend {order.operation.name}"
        self._note(
            AuditEvent(by.iface, by.peer, by.key_id, endpoint, outcome, ": ".join(filter(None, (where, reason))))
        )

    def _note(self, event: AuditEvent) -> None:
        if event.outcome == "reject":
            log.warning("%s of %s was refused: %s", printable(event.endpoint), event.key_id, event.reason)
        if self.house.audit is not None:
            self.house.audit.write(event)


def opends_called(stations: Sequence[Station], which: int | str | None) -> list[tuple[int, Station, Member]]:
    """Those that are called so, with their numbers. ``which``: the number of an OpenD as the status says it, a name of
    the configuration, or an address, of a group as the status says it too; None: all. Raises NoOpendError."""
    everybody = [(number, s, m) for number, s in enumerate(stations, 1) for m in s.reach.members_known]
    found = [
        (number, station, member)
        for number, station, member in everybody
        if which is None or which == number or which in (member.name, member.address, station.reach.name, str(number))
    ]
    if found:
        return found
    names = [member.name for _number, _station, member in everybody]
    hint = nearest(str(which), names) or f"; there are {', '.join(dict.fromkeys(names))}"
    raise NoOpendError(f"no OpenD is called {shown_value(which)}{hint}")


def several_called(found: Sequence[tuple[int, Station, Member]]) -> NoOpendError:
    """More than one is called so, where one is wanted."""
    names = dict.fromkeys(member.name for _number, _station, member in found)
    return NoOpendError(f"there are several OpenDs: say which one, {' or '.join(names)}")


def _outcome_untrusted(outcome: Outcome | None) -> tuple[bool, str]:
    """Whether OpenD said no, and what there is to be said."""
    if outcome is None or outcome.failure is not None:
        return False, "OpenD did not answer; nobody knows whether it was carried out"
    try:
        response = decode_answer_untrusted(opend.VerificationResponse, outcome.body, outcome.proto_fmt)
    except RemoteProtocolError:
        return False, "OpenD's answer can't be read; nobody knows whether it was carried out"
    if response.retType != RetType.SUCCEED:
        return True, f"OpenD refuses: {printable(response.retMsg) or 'without a reason'}"
    return False, ""
