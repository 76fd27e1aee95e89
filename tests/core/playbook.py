"""A router played by hand: frames and outcomes go in, the commands come back as lines to compare. Holds no tests.

The play stands for the runtime: it keeps what was sent upstream until it is answered, hands everything that waits to
`Router.link_lost`, and watches over the one rule of the router, that a request is answered once at most.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from opendmux.core.access import Access
from opendmux.core.answers import verdict
from opendmux.core.commands import (
    Ask,
    Close,
    CloseLane,
    Command,
    Failure,
    Forward,
    Missed,
    OpenLane,
    Outcome,
    Push,
    Reply,
    Request,
    UseRow,
    Witness,
)
from opendmux.core.gate import inspecting, open_row
from opendmux.core.identity import Session
from opendmux.core.metering import METERED_IDS
from opendmux.core.router import Policy, Router
from opendmux.native import FRAME, ClientEvent
from opendmux.native import Push as NativePush
from opendmux.wire.cipher import RANDOM_BYTES
from opendmux.wire.frame import HEADER_LEN, ProtoFmt, build_frame
from opendmux.wire.handshake import Identity
from opendmux.wire.messages import encode, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import PROTOCOLS, ProtoId, ReplyAction
from tests.core.key_kit import MACHINE

if TYPE_CHECKING:
    from collections.abc import Iterable

    from opendmux.core.denial import Denial
    from opendmux.core.keys import Key, Keyring
    from opendmux.core.lanes import Lane
    from opendmux.core.unlock import Mode

ADDRESS: Final = "opend.test:11111"
IDENTITY: Final = Identity(
    server_ver=1009, login_user_id=77, user_attribution=None, conn_id=0x1234_5678_9ABC_DEF0, keep_alive_interval_s=10
)
OK: Final = ret_body(0, 0)
PARK_S: Final = 10.0
START: Final = 1000.0

Line: TypeAlias = tuple[object, ...]
"""What a command wants, without the closures in it. A lane is named at the end, unless it is MAIN."""


@dataclass(frozen=True, slots=True)
class Passed:
    """A request that the switch passed on by itself. It keeps no body."""

    request: Request
    lane: int


Sent: TypeAlias = Ask | Forward | Passed


def line(command: Command) -> Line:
    match command:
        case Reply(session, proto_id, proto_fmt, serial_no, body):
            said = (body.decode(),) if proto_fmt == ProtoFmt.JSON else verdict(Outcome(body, proto_fmt))
            return ("reply", session.owner, proto_id, serial_no, *said)
        case Forward(request, _, lane, with_packet_id):
            return (
                "forward",
                request.session.owner,
                request.proto_id,
                request.serial_no,
                with_packet_id,
                *_named(lane),
            )
        case Ask(lane, proto_id, body):
            return ("ask", proto_id, body, *_named(lane))
        case Push(slots, frame, key):
            return ("push", tuple(slots), frame[HEADER_LEN:], key)
        case Missed(session):
            return ("missed", session.owner)
        case Witness(request, outcome):
            return ("witness", request.session.owner, request.proto_id, outcome)
        case UseRow(session):
            return ("row", session.owner)
        case OpenLane(lane):
            return ("open lane", lane)
        case CloseLane(lane):
            return ("close lane", lane)
        case Close(session, reason):
            return ("close", session.owner, reason)


def _named(lane: int) -> tuple[int, ...]:
    return (lane,) if lane else ()


def hello(*, recv_notify: bool = False, enc: int = -1, client_id: str = "test", push_proto_fmt: int = 0) -> bytes:
    c2s = opend.InitConnectC2S(
        clientVer=300, clientID=client_id, recvNotify=recv_notify, packetEncAlgo=enc, pushProtoFmt=push_proto_fmt
    )
    return encode(opend.InitConnectRequest(c2s=c2s))


class Play:
    """``ready`` False: the MAIN lane has been up, and is down now. ``metered``: budgets and shared reads are on.
    ``keyring``: clients need a key of it.
    ``retry_reads``: as in the configuration; the play shows core every frame that it is told to send anyway."""

    def __init__(
        self,
        *,
        ready: bool = True,
        allow_unknown: bool = False,
        unlock: Mode = "shared",
        extra_lanes: int = 2,
        metered: bool = False,
        retry_reads: bool = False,
        trade_address: str | None = None,
        keyring: Keyring | None = None,
    ) -> None:
        self.now = START
        row = open_row(allow_unknown=allow_unknown)
        policy = Policy(
            open_row=inspecting(row, METERED_IDS) if metered else row,
            park_s=PARK_S,
            unlock=unlock,
            extra_lanes=extra_lanes,
            budgets=metered,
            coalesce=metered,
            retry_reads=retry_reads,
        )
        self.access = Access(keyring, machine_id=MACHINE)
        self.router = Router(ADDRESS, policy, access=self.access, trade_address=trade_address)
        self.waiting: list[Sent] = []
        self._asked_at: dict[int, float] = {}
        """By the `id` of what waits."""
        """Sent upstream, not answered; oldest first."""
        self.commands: list[Command] = []
        """The latest, in full."""
        self.asked: set[tuple[int, int]] = set()
        """(owner, serial) of every request."""
        self.answered: Counter[tuple[int, int]] = Counter()
        self.closed: set[int] = set()
        """Owners of sessions that were ended, by either side."""
        self.linked: set[int] = set()
        """Lanes over which something can be sent: from the moment at which upstream has answered InitConnect."""
        self.opened = {0}
        """Lanes whose links the router wants."""
        self._serials = 0
        self.connect()
        self.ready()
        if not ready:
            self.lose()

    @property
    def main(self) -> Lane:
        return self.router.lanes.main

    # -- clients

    def session(
        self, owner: int, *, on_outage: str = "hold", local: bool = False, bound_to: str | None = None
    ) -> Session:
        """Connected; InitConnect is still to come."""
        session = Session(
            owner=owner,
            slot=owner + 100,
            generation=1,
            peer=f"192.0.2.{owner}:5000",
            peer_host=f"192.0.2.{owner}",
            transport="tcp",
            conn_id=2**62 + owner,
            random=bytes(RANDOM_BYTES),
            row=b"",
            on_outage=on_outage,
            local=local,
            bound_to=bound_to,
        )
        self.router.open_session(session)
        return session

    def caller(self, owner: int, key: Key, *, streams: int = 0) -> Session:
        """A key's session on a face of its own, with so many push streams. What they set off is done."""
        session = self.session(owner)
        session.transport = "grpc"
        session.key = key
        self.router.tenancy.open_caller(session)
        for number in range(streams):
            self.stream(session, owner * 1000 + number)
        return session

    def stream(self, session: Session, slot: int) -> list[Line]:
        """One more push stream of a caller."""
        session.streams = [*(session.streams or []), slot]
        return self.do(self.router.tenancy.stream_opened(session, slot, self.now))

    def call(self, session: Session, proto_id: int, body: bytes = b"", *, until: float | None = None) -> list[Line]:
        """A request of a caller."""
        request = Request(session, proto_id, ProtoFmt.PROTOBUF, self._asks(session), body, until)
        return self.do(self.router.call(request, self.now))

    def denial(self) -> Denial:
        """Of the latest commands: the one refusal."""
        (refusal,) = [command for command in self.commands if isinstance(command, Reply)]
        assert refusal.denial is not None, "answered, not refused"
        return refusal.denial

    def client(
        self, owner: int, *, recv_notify: bool = False, push_proto_fmt: int = 0, client_id: str = "test"
    ) -> Session:
        """Connected, InitConnect answered, settled."""
        session = self.session(owner)
        body = hello(recv_notify=recv_notify, push_proto_fmt=push_proto_fmt, client_id=client_id)
        self.send(session, ProtoId.INIT_CONNECT, body)
        self.now += 1.0
        return session

    def send(
        self, session: Session, proto_id: int, body: bytes = b"", *, proto_fmt: int = 0, kind: int = FRAME
    ) -> list[Line]:
        """A frame of a client that core has to see. Serials count up over all clients."""
        serial_no = self._asks(session)
        event = ClientEvent(kind, 0, proto_id, proto_fmt, serial_no, body)
        return self.do(self.router.client_event(session, event, self.now))

    def passes(self, session: Session, proto_id: int, *, proto_fmt: int = 0) -> Passed:
        """A frame of a client that the switch passes on by itself."""
        passed = Passed(Request(session, proto_id, proto_fmt, self._asks(session), b""), session.lane)
        self._wait(passed)
        return passed

    def _asks(self, session: Session) -> int:
        self._serials += 1
        self.asked.add((session.owner, self._serials))
        return self._serials

    @property
    def serial(self) -> int:
        """Of the latest request."""
        return self._serials

    def close(self, session: Session) -> list[Line]:
        self.closed.add(session.owner)
        return self.do(self.router.close_session(session, self.now))

    # -- upstream

    def answer(
        self, sent: Sent | None = None, body: bytes = OK, *, proto_fmt: int = 0, failure: Failure | None = None
    ) -> list[Line]:
        """Upstream answers, by default the oldest request and well."""
        sent = self.waiting[0] if sent is None else sent
        self.waiting.remove(sent)
        outcome = Outcome(b"" if failure else body, proto_fmt, failure, asked_at=self._asked_at.pop(id(sent)))
        if not isinstance(sent, Passed) and sent.then is not None:
            return self.do(sent.then(outcome, self.now))
        assert not isinstance(sent, Ask)
        request = _without_body(sent.request)
        if failure is None and (isinstance(sent, Forward) or _is_native(request)):
            # Straight to the client.
            return self.do([Reply(request.session, request.proto_id, proto_fmt, request.serial_no, body)])
        return self.do(self.router.passed_reply(sent.lane, request, outcome, self.now))

    def _wait(self, sent: Sent) -> None:
        self.waiting.append(sent)
        self._asked_at[id(sent)] = self.now

    def answer_all(self) -> list[Line]:
        """Well, until nothing waits."""
        lines: list[Line] = []
        while self.waiting:
            lines += self.answer()
        return lines

    def push(self, proto_id: int, body: bytes, *, proto_fmt: int = 0, lane: int = 0) -> list[Line]:
        native = NativePush(proto_id, proto_fmt, build_frame(proto_id, proto_fmt, 7, body))
        return self.do(self.router.push(lane, native, self.now))

    def lose(self, lane: int = 0) -> list[Line]:
        gone = [sent for sent in self.waiting if sent.lane == lane]
        self.waiting = [sent for sent in self.waiting if sent.lane != lane]
        self.linked.discard(lane)
        pending = [
            (
                None if isinstance(sent, Passed) else sent.then,
                None if isinstance(sent, Ask) else _without_body(sent.request),
            )
            for sent in gone
        ]
        return self.do(self.router.links.lost(lane, pending, self.now))

    def connect(self, lane: int = 0) -> list[Line]:
        """Upstream has answered InitConnect; what the router wants restored is out."""
        self.linked.add(lane)
        return self.do(self.router.links.connected(lane, IDENTITY, self.now))

    def ready(self, lane: int = 0) -> list[Line]:
        return self.do(self.router.links.up(lane, self.now))

    def up(self, lane: int = 0) -> list[Line]:
        """Connected, everything restored, ready."""
        lines = self.connect(lane)
        while self.router.links.replaying(lane):
            lines += self.answer(next(sent for sent in self.waiting if sent.lane == lane))
        return lines + self.ready(lane)

    # -- time

    def later(self, seconds: float) -> list[Line]:
        self.now += seconds
        return self.do(self.router.tick(self.now))

    def review(self) -> list[Line]:
        """The keys have been read again."""
        return self.do(self.router.tenancy.review(self.now, self.now + self.router.wall_offset))

    # -- the runtime

    def do(self, commands: Iterable[Command]) -> list[Line]:
        self.commands = []
        for command in commands:
            self.commands.append(command)
            if isinstance(command, Witness) and command.reply is not None:
                self.commands.append(command.reply)
        for command in self.commands:
            match command:
                case Reply(session=session, serial_no=serial_no):
                    key = (session.owner, serial_no)
                    assert key in self.asked, f"nobody asked {key}"
                    self.answered[key] += 1
                    assert self.answered[key] == 1, f"{key} was answered twice"
                case Ask(lane=lane) | Forward(lane=lane):
                    assert lane in self.linked, f"{line(command)} can't be sent"
                    self._wait(command)
                case OpenLane(lane=lane):
                    assert lane not in self.opened, f"lane {lane} is open already"
                    self.opened.add(lane)
                case CloseLane(lane=lane):
                    self.opened.remove(lane)
                case Close(session=session):
                    self.closed.add(session.owner)
                case Push() | Missed() | UseRow() | Witness():
                    pass
        return [line(command) for command in self.commands]

    def bodies(self, proto_id: int) -> list[bytes]:
        """Of the proxy's own requests that wait."""
        return [sent.body for sent in self.waiting if isinstance(sent, Ask) and sent.proto_id == proto_id]


def _is_native(request: Request) -> bool:
    protocol = PROTOCOLS.get(request.proto_id)
    return protocol is None or protocol.reply is ReplyAction.NATIVE


def _without_body(request: Request) -> Request:
    # The switch keeps no body of what is on its way.
    return Request(request.session, request.proto_id, request.proto_fmt, request.serial_no, b"")
