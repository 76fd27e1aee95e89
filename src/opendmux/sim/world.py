"""The whole state of one simulated OpenD, without any I/O.

What must be sent is put into ``outgoing`` and taken from there by the part that owns the streams.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from opendmux.wire.cipher import RANDOM_BYTES, ConnSecrets, EncAlgo, conn_secrets
from opendmux.wire.frame import ProtoFmt, build_frame
from opendmux.wire.messages import to_client
from opendmux.wire.pb import opend, opend_sim
from opendmux.wire.protocols import ProtoId

from .broker import Broker
from .dice import number
from .faults import Faults
from .market import Market, Stock
from .numbers import TrdEnv
from .rates import Rates
from .record import ConnectionRecord, Record
from .status import Status
from .subscriptions import Subscriptions
from .trade_messages import fill_message, header_of, order_message
from .verification import Verification

if TYPE_CHECKING:
    from collections.abc import Callable

    from google.protobuf.message import Message

    from .config import SimConfig
    from .securities import SecKey

__all__ = ["Session", "World"]


@dataclass(slots=True)
class Session:
    """What OpenD remembers of one connection."""

    number: int
    conn_id: int
    record: ConnectionRecord
    initialized: bool = False
    recv_notify: bool = False
    push_fmt: int = ProtoFmt.PROTOBUF
    last_serial: int = -1
    last_packet_serial: int = 0
    acc_list_seen: bool = False
    """2001 was called: a condition for orders."""
    acc_push: frozenset[int] = frozenset()
    """The last 2008 list."""
    security_firm: int = 0
    """From the header of the last subscription."""
    random: bytes = field(default=bytes(RANDOM_BYTES), repr=False)
    """What this connection's key and IV are made of."""
    secrets: ConnSecrets = field(init=False)
    """What the InitConnect reply says of key and IV; a key is told also where nothing is encrypted."""

    def __post_init__(self) -> None:
        self.secrets = conn_secrets(EncAlgo.NONE, self.random)


class World:
    """One OpenD: market, accounts, sessions, faults, record."""

    def __init__(self, config: SimConfig, elapsed: Callable[[], float]) -> None:
        """``elapsed``: seconds since the simulator began."""
        self.config = config
        self.elapsed = elapsed
        self.market = Market(config.seed, config.epoch)
        self.broker = Broker(config.seed, self.market)
        self.subscriptions = Subscriptions(config.sub_quota, config.min_subscription_age_s)
        self.faults = Faults()
        self.record = Record(config.requests_kept)
        self.sessions: dict[int, Session] = {}
        self.rates = Rates()
        self.rates_enforced = config.rate_limits
        self.status = Status()
        self.verification = Verification()
        self.operation_times: dict[str, deque[float]] = {}
        """When which command of the console was taken."""
        self.unlocked = False
        self.outgoing: list[tuple[int, bytes]] = []
        """(connection number, whole frames) in the order in which they must be sent."""
        self._connections = 0
        self._push_serial = 0

    @property
    def now(self) -> float:
        """The wall clock of the simulator, in seconds UTC."""
        return self.config.epoch + self.elapsed()

    @property
    def server_ver(self) -> int:
        """What it calls its version."""
        return self.config.server_ver if self.status.version is None else self.status.version

    def history_quota(self) -> int:
        """Securities with historical candles that the account may have."""
        changed = self.status.history_quota
        return self.config.history_quota if changed is None else changed

    def stock(self, security: opend.Security) -> Stock:
        """The security of a message. Raises Refused."""
        return self.market.stock((security.market, security.code), self.now)

    # -- sessions

    def open_session(self) -> Session:
        """A new connection; its connID follows from the seed and the number of connections before it."""
        self._connections += 1
        count, seed = self._connections, self.config.seed
        conn_id = 1 + number(seed, "connID", count) % (2**63 - 1)
        record = ConnectionRecord(count, self.elapsed(), conn_id)
        random = b"".join(number(seed, "key", count, part).to_bytes(8, "little") for part in range(RANDOM_BYTES // 8))
        session = self.sessions[count] = Session(count, conn_id, record, random=random)
        self.record.connections.append(record)
        return session

    def close_session(self, session: Session, reason: str) -> None:
        if self.sessions.pop(session.number, None) is None:
            return
        session.record.closed_at = self.elapsed()
        session.record.close_reason = reason
        self.subscriptions.drop(session.number, self.elapsed())

    # -- pushes

    def push_frame(self, proto_id: int, message: Message, proto_fmt: int) -> bytes:
        """A push as it goes to any number of connections."""
        self._push_serial = self._push_serial % 0xFFFF_FFFF + 1
        return build_frame(proto_id, proto_fmt, self._push_serial, to_client(message, proto_fmt))

    def send(self, connection: int, proto_id: int, frame: bytes) -> None:
        """Put a push frame in the way out."""
        self.record.push_counts[proto_id] += 1
        self.outgoing.append((connection, frame))

    def publish_trades(self) -> None:
        """Turn what the broker did into pushes for the connections whose last 2008 list has the account."""
        for order, fill in self.broker.take_events():
            listeners = [session for session in self.sessions.values() if order.acc_id in session.acc_push]
            update = opend_sim.UpdateOrderResponse(
                retType=0, s2c=opend_sim.UpdateOrderS2C(header=header_of(order), order=order_message(order))
            )
            self._push_to(listeners, ProtoId.TRD_UPDATE_ORDER, update)
            if fill is not None and order.trd_env == TrdEnv.REAL:
                s2c = opend_sim.UpdateOrderFillS2C(header=header_of(order), orderFill=fill_message(fill))
                self._push_to(
                    listeners, ProtoId.TRD_UPDATE_ORDER_FILL, opend_sim.UpdateOrderFillResponse(retType=0, s2c=s2c)
                )

    def notify(self, message: Message) -> None:
        """Send a Notify to every connection that wants them."""
        listeners = [session for session in self.sessions.values() if session.recv_notify]
        self._push_to(listeners, ProtoId.NOTIFY, message)

    def _push_to(self, listeners: list[Session], proto_id: int, message: Message) -> None:
        frames: dict[int, bytes] = {}
        for session in listeners:
            frame = frames.get(session.push_fmt)
            if frame is None:
                frame = frames[session.push_fmt] = self.push_frame(proto_id, message, session.push_fmt)
            self.send(session.number, proto_id, frame)

    # -- time

    def watched(self) -> set[SecKey]:
        """Securities that must move."""
        return self.broker.watched.union(self.subscriptions.watched)
