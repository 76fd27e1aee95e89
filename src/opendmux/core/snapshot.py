"""What the proxy looks like at one moment, as plain data: what `/v1/status` sends and the command line prints.

Times of day are RFC 3339 in UTC, rates are per second. Names in it were chosen by peers: whoever shows them must not
take them for markup.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = [
    "Audit",
    "Client",
    "Condition",
    "Freeze",
    "History",
    "Lane",
    "Limit",
    "Opend",
    "Pause",
    "Protocol",
    "QuoteRight",
    "Refusal",
    "Snapshot",
    "Subscription",
]


class Condition(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is wrong, or has happened; see docs/alerts.md."""

    kind: str
    opend: str
    """The name of the OpenD it is about; empty for what concerns the proxy itself."""
    subject: str
    active: bool
    """It lasts; else it happened within the last hour, and has no duration."""
    since: str
    times: int
    """How often it happened."""
    blocks: bool
    """The proxy is not ready while it lasts."""
    conclusion: str
    figures: str
    next_step: str


class Lane(msgspec.Struct, frozen=True, kw_only=True):
    """One connection to OpenD."""

    name: str
    state: Literal["ready", "down"]
    since: str
    reconnects: int
    subscriptions: int


class Protocol(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of request, as far as OpenD has answered it."""

    proto_id: int
    """0: all that opendmux does not know."""
    name: str
    answered: int
    """Since the start."""
    lately: int
    """In the last minute, as is all that follows."""
    per_s: float
    mean_ms: float | None
    """None: none was answered lately."""
    p50_ms: float | None
    """Half of them took at most so long. None: none lately, or more than the largest bound."""
    p99_ms: float | None


class History(msgspec.Struct, frozen=True, kw_only=True):
    """Rates of the last minute, one a second, oldest first."""

    requests: list[float]
    pushes_in: list[float]
    pushes_out: list[float]


class Pause(msgspec.Struct, frozen=True, kw_only=True):
    """OpenD is left alone on somebody's order."""

    since: str
    until: str | None
    """None: until somebody ends it."""
    by: str


class QuoteRight(msgspec.Struct, frozen=True, kw_only=True):
    """A quote right that is lost, and what is done about it."""

    policy: Literal["never", "when-lost", "always"]
    since: str
    tries: int
    """How often it was asked back, in this quarrel."""
    next_try: str | None
    """None: it will not be asked back."""
    contested: bool
    """It was taken twice within ten seconds, so it is let alone for a while."""


class Opend(msgspec.Struct, frozen=True, kw_only=True):
    """One OpenD, or one group of them."""

    number: int
    """From 1."""
    name: str
    simulated: bool
    consoles: dict[str, str]
    """By the address of an OpenD's API: that of its Telnet console. Those that none is configured for are left out."""
    state: Literal["ready", "down"]
    since: str
    paused: Pause | None
    """Somebody has ordered opendmux to let go of it."""
    absence: str
    """Why it can't serve, in one sentence; empty when it can."""
    version: int | None
    """OpenD's serverVer; None before the first connection."""
    quote_login: bool | None
    """None: OpenD has not said so on this connection."""
    trade_login: bool | None
    program: str | None
    """The state of OpenD's program, in words; None likewise."""
    rights: dict[str, str]
    """What it may quote, by market; empty while it has not said so."""
    quote_right: QuoteRight | None
    """None: none is lost, as far as is known."""
    reconnects: int
    quota_used: int | None
    """What OpenD said last of its subscription quota; None: it has not."""
    quota_left: int | None
    quota_at: str | None
    """When it said so."""
    history_used: int | None
    """Securities with historical candles, likewise."""
    history_quota: int | None
    """How many of them there may be."""
    subscriptions: int
    """What this proxy holds there now."""
    stale: int
    """Those among them whose prices may be old."""
    clients: int
    pending: int
    """Requests that wait for OpenD."""
    outbox_bytes: int
    requests_per_s: float
    pushes_in_per_s: float
    pushes_out_per_s: float
    conflated: int
    """Pushes replaced by a newer one before a slow client took them, since the start."""
    lanes: list[Lane]
    protocols: list[Protocol]
    history: History


class Client(msgspec.Struct, frozen=True, kw_only=True):
    """One session: a connection, or a key's over gRPC or HTTP."""

    id: str
    opend: int
    """Its number."""
    transport: str
    peer: str
    key_id: str | None
    client_id: str
    state: Literal["new", "ready", "closed"]
    since: str
    requests: int
    requests_per_s: float
    pushes: int
    pushes_per_s: float
    in_flight: int
    outbox_bytes: int
    subscriptions: int


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """One stream of OpenD, which counts once for its quota however many hold it."""

    opend: int
    security: str
    """Such as ``HK.00700``."""
    sub_type: int
    name: str
    """Of the sub type."""
    event_contract: bool
    lane: str
    state: Literal["subscribed", "asking", "refused", "leaving"]
    """``leaving``: nobody holds it, and OpenD keeps it for the rest of its 60 seconds."""
    holders: int
    registered: int
    """Clients that get its pushes."""
    age_s: float | None
    """Since OpenD took it."""
    leaves_in_s: float | None
    refusal: str
    stale: bool
    """What is known of its prices may be old."""
    stale_reason: str
    """Why, in one sentence."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """What was turned away lately; the same again counts on one line."""

    time: str
    """Of the latest one."""
    count: int
    transport: str
    peer: str
    key_id: str
    client_id: str
    proto_id: int
    name: str
    kind: str
    reason: str
    text: str


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """How far a key is from one of its limits."""

    key_id: str
    limit: str
    """``rate`` in orders of this minute, ``daily`` in money, ``hours`` 1 within them and 0 outside."""
    left: float


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """The audit log."""

    healthy: bool
    written: int
    queued: int
    lost: int


class Freeze(msgspec.Struct, frozen=True, kw_only=True):
    """Trading that is stopped on somebody's order, or by a key's dead-man timer."""

    key_id: str | None
    """None: everybody's."""
    mode: Literal["read-only", "cancel-only"]
    since: str
    by: str
    dead_man: bool
    stray: bool
    """No key is called so (any more): it holds for nobody."""
    text: str
    """All of it in one sentence, with how it ends."""


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """Everything. Of very long lists the rest is left out and counted."""

    opendmux: str
    """Its version."""
    pid: int
    """Of its process: where SIGHUP goes."""
    time: str
    up_s: float
    ready: bool
    reasons: list[str]
    """Why not, one sentence each."""
    conditions: list[Condition]
    """What is wrong now, and what has happened within the last hour; the oldest first."""
    simulated: bool
    keys: bool
    """Keys are configured."""
    opends: list[Opend]
    clients: list[Client]
    clients_left_out: int
    subscriptions: list[Subscription]
    subscriptions_left_out: int
    rejects: list[Refusal]
    limits: list[Limit]
    freezes: list[Freeze]
    audit: Audit | None
