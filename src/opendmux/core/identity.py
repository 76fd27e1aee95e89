"""Who a session is, and what an upstream connection is to core.

Everything that belongs to somebody hangs on the owner number, never on a socket.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from opendmux.wire.handshake import Identity, State
from opendmux.wire.secure import ServerSide

from .keys import Key
from .notices import ConnStatus, GtwEvent, Notice, ProgramStatus
from .opendstate import GlobalState, read_state_untrusted
from .pauses import Pause

__all__ = ["Session", "Upstream"]


def _nothing() -> None:
    pass


@dataclass(slots=True, eq=False)
class Session:
    """One client connection, as core sees it."""

    owner: int
    """Unique for the life of the process: ledger, accounts and limits hang on it."""
    slot: int
    generation: int
    peer: str
    peer_host: str
    transport: str
    conn_id: int
    """The connID this client is told: random, 63 bits, never upstream's."""
    random: bytes = field(repr=False)
    """Secret random bytes for this connection's key and IV."""
    row: bytes
    """The policy row in force; what waits in a queue is gated by it again when it leaves the queue."""
    on_outage: str = "hold"
    """``hold`` or ``close``: what this client sees when OpenD goes away."""
    state: State = State.NEW
    local: bool = False
    """The client is on this machine."""
    bound_to: str | None = None
    """The key id that its certificate names, or that of its listener, for clients that show no key."""
    key: Key | None = None
    """Whose it is; None where no keys are configured: it may do what OpenD lets it do."""
    digest: bytes = field(default=b"", repr=False)
    """Of the key that it showed; empty when its listener is bound to one."""
    streams: list[int] | None = None
    """The slots of a caller's open push streams; None for a client that gets its pushes in its own slot."""
    missed: Callable[[], None] = field(default=_nothing, repr=False)
    """Puts a gap where its pushes are recorded; does nothing where they are not."""
    sdk_dialect: bool = False
    """It speaks ft-v1.0, the JavaScript SDK's own: what comes as its InitConnect is an InitWebSocket."""
    own: bool = False
    """It is the proxy's own, for what it does in the place of a client that is missing."""
    stands_in_for: str = ""
    """Of the proxy's own: the key whose orders it looks after. What is frozen for that key is frozen for it."""
    attended: bool = True
    """Somebody uses it: a caller's session outlives its connections for a while."""
    admitted: bool = False
    """Its transport's handshake has told who it is, so its InitConnect need not."""
    client_id: str = ""
    recv_notify: bool = False
    trades: bool = False
    """It has read the account list, asked for account pushes or sent a trade write: an order of it may come."""
    lane: int = 0
    """The upstream connection that its requests use and that its pushes come from, unless a stream needs another."""
    secure: ServerSide | None = None
    """What encrypts this connection; None where nothing does."""
    since: float = 0.0
    """When it connected, in Trio seconds."""
    calls: int = 0
    """Requests that did not come as frames."""
    past_pushes: int = 0
    """What its streams that have ended were given."""
    settled_at: float = 0.0
    """Before this time no push may be sent: the Python SDK ignores one that comes with its InitConnect reply."""

    @property
    def push_slots(self) -> Sequence[int]:
        """Where its pushes go."""
        return (self.slot,) if self.streams is None else self.streams

    @property
    def freezes_by(self) -> str | None:
        """The key whose freezes hold for it; None: those of everybody alone."""
        return self.stands_in_for or (None if self.key is None else self.key.id)

    @property
    def ready(self) -> bool:
        """InitConnect has been answered."""
        return self.state is State.READY

    def __str__(self) -> str:
        name = f" {self.client_id!r}" if self.client_id else ""
        if self.key is not None:
            name += f" key {self.key.id}"
        return f"#{self.owner} {self.transport} {self.peer}{name}"


@dataclass(slots=True)
class Upstream:
    """One upstream connection, as core sees it."""

    address: str
    ready: bool = False
    identity: Identity | None = None
    """Of the last successful InitConnect; remembered over outages."""
    down_since: float = 0.0
    ready_since: float = 0.0
    reconnects: int = 0
    """How often it became ready again after it was lost."""
    logins: ConnStatus | None = None
    """OpenD's own; None: it has not said so on this connection."""
    program: int | None = None
    """ProgramStatusType of OpenD; None likewise."""
    state: GlobalState | None = None
    """The latest answer to GetGlobalState of this connection."""
    reason: str = ""
    """Why the connection was lost or could not be made, the last time, in the words of the log."""
    pushed_at: float | None = None
    """When the latest push came, whatever its kind; None: none has come since the start."""

    noticed_at: float = -math.inf
    """When it told of its program or of its logins by itself, the last time."""

    pause: Pause | None = None
    """Set while nobody may connect."""

    def told(self, body: bytes, proto_fmt: int, asked_at: float) -> bool:
        """An answer to GetGlobalState came by this connection. False: it was asked for before a notice came, and may be
        of before that too, so nothing of it counts. ``asked_at``: see `Outcome`."""
        if asked_at < self.noticed_at:
            return False
        state = read_state_untrusted(body, proto_fmt)
        if state is None:
            return True
        self.state = state
        self.logins = state.logins
        if state.program is not None:
            self.program = state.program.status
        return True

    def notified(self, notice: Notice | None, now: float) -> None:
        """A Notify came by it; None: one that could not be read."""
        if isinstance(notice, ConnStatus | ProgramStatus | GtwEvent):
            self.noticed_at = now
        if isinstance(notice, ConnStatus):
            self.logins = notice
        elif isinstance(notice, ProgramStatus):
            self.program = notice.status

    def absence(self, now: float) -> str:
        """Why a request can't be served now, in one sentence for the user."""
        if self.pause is not None:
            return f"OpenD at {self.address} is {self.pause.text()}"
        seconds = max(0, round(now - self.down_since))
        return f"OpenD at {self.address} has been away for {seconds} s; opendmux is reconnecting"
