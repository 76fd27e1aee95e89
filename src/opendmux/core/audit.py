"""The audit log as data: what an event says, and how it becomes one line of a chain.

A line is a JSON object with its keys in a fixed order. ``prev`` is the hash of the line before it (64 zeros for the
first of all), ``hash`` the SHA-256 of the line's own bytes up to ``,"hash":``. So nothing can be changed, taken out or
moved without every later hash being wrong. Nothing is signed: somebody who can write the file can compute a new chain,
and only an anchor (seq and hash, kept elsewhere) shows that; see `audit_verify`.

A key's plaintext never gets in: whatever looks like one is masked in every text, and bodies appear as a hash alone.
"""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

import msgspec
from google.protobuf.message import Message

from opendmux.errors import RemoteProtocolError
from opendmux.wire.messages import decode_untrusted
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId
from opendmux.wording import masked

from .markets import TRD_SIDES

__all__ = [
    "BEGINS",
    "CONTINUES",
    "ENDS",
    "GENESIS",
    "INVALID_KEY",
    "LOST",
    "MISSING_KEY",
    "NO_KEY",
    "TORN",
    "AuditEvent",
    "AuditOutcome",
    "OrderSummary",
    "args_hash_of",
    "hash_of_line",
    "line_of",
    "note",
    "order_summary_untrusted",
    "said_time",
    "timestamp_of",
    "torn_hash_of",
]

AuditOutcome: TypeAlias = Literal["allow", "reject", "success", "failure", "unknown"]
OrderSummary: TypeAlias = "dict[str, int | float | str | list[str]]"

GENESIS: Final = "0" * 64
"""``prev`` of the very first line."""

MISSING_KEY: Final = "<missing>"
"""A key was needed and none was shown."""
INVALID_KEY: Final = "<invalid>"
"""One was shown that is not known, or not any more."""
NO_KEY: Final = "<none>"
"""No keys are configured, or nobody's doing."""

BEGINS: Final = "audit begins"
"""Endpoint of the first line of every file: so it shows when lines are missing at the front."""
CONTINUES: Final = "audit continues"
"""A new process goes on with the chain of an existing file."""
ENDS: Final = "audit ends"
"""The process has stopped in good order, or the file was changed for another one."""
TORN: Final = "audit torn"
"""The bytes before this line are what a crash left of one; their hash is in ``args_hash``."""
LOST: Final = "audit lost"
"""Events could not be written and were dropped; ``reason`` says how many."""

TEXT_MAX: Final = 256
"""Characters of one text: callers choose some of them, and a line must stay a line."""
LEGS_MAX: Final = 16
"""Legs of a combo that are listed."""
HASH_HEX: Final = 16
"""Of a body's SHA-256: enough to tell two bodies of one log apart, too little to look up what was in one."""

_HASH_AT: Final = b',"hash":"'
_TAIL_LEN: Final = len(_HASH_AT) + 64 + len(b'"}\n')


@dataclass(frozen=True, slots=True)
class AuditEvent:
    """One thing that happened."""

    iface: str
    """How they came: ``tcp``, ``grpc``, ``http``, ``ws``, ``cli``; ``proxy`` for what the proxy did by itself."""
    peer: str
    key_id: str
    """The id of the key, or `MISSING_KEY`, `INVALID_KEY`, `NO_KEY`. Never its plaintext."""
    endpoint: str
    """``proto_id=2202``, ``keys reload`` and the like."""
    outcome: AuditOutcome
    """allow, reject: what the gate said. success, failure, unknown: how a trade write ended."""
    reason: str = ""
    scope: str = ""
    args_hash: str = ""
    """See `args_hash_of`."""
    order: Mapping[str, int | float | str | list[str]] = field(default_factory=dict)
    """See `order_summary_untrusted`; empty for everything but trade writes."""
    upstream_serial: int = 0
    """The serial number under which it went to OpenD; 0 when it did not."""


class _Line(msgspec.Struct, frozen=True):
    """Everything before the hash, in the order of the file."""

    timestamp: str
    seq: int
    iface: str
    peer: str
    key_id: str
    endpoint: str
    outcome: str
    reason: str
    scope: str
    args_hash: str
    order: dict[str, int | float | str | list[str]]
    upstream_serial: int
    prev: str


_encoder = msgspec.json.Encoder()


def line_of(event: AuditEvent, seq: int, wall: float, previous_hash: str) -> bytes:
    """The line of this event, newline included. ``wall``: UTC seconds. ``previous_hash``: of the line before it."""
    line = _Line(
        timestamp=timestamp_of(wall),
        seq=seq,
        iface=_clean(event.iface),
        peer=_clean(event.peer),
        key_id=_clean(event.key_id),
        endpoint=_clean(event.endpoint),
        outcome=event.outcome,
        reason=_clean(event.reason),
        scope=_clean(event.scope),
        args_hash=_clean(event.args_hash),
        order={name: _clean_value(value) for name, value in event.order.items()},
        upstream_serial=event.upstream_serial,
        prev=previous_hash,
    )
    hashed = _encoder.encode(line)[:-1]
    return b'%s%s%s"}\n' % (hashed, _HASH_AT, hashlib.sha256(hashed).hexdigest().encode())


def hash_of_line(line: bytes) -> str | None:
    """The hash at the end of a line (newline included) when it is the right one; None for anything else."""
    if len(line) <= _TAIL_LEN or line[-3:] != b'"}\n':
        return None
    hashed, tail = line[:-_TAIL_LEN], line[-_TAIL_LEN:]
    digest = hashlib.sha256(hashed).hexdigest()
    return digest if tail == b'%s%s"}\n' % (_HASH_AT, digest.encode()) else None


def timestamp_of(wall: float) -> str:
    """RFC 3339 in UTC with microseconds: ``2026-11-21T09:30:00.000125Z``."""
    moment = dt.datetime.fromtimestamp(wall, dt.UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def said_time(wall: float) -> str:
    """The same to the second, for sentences: ``2026-11-21T09:30:00Z``."""
    return f"{timestamp_of(wall)[:19]}Z"


def note(endpoint: str, reason: str = "", args_hash: str = "") -> AuditEvent:
    """An event about the log itself."""
    return AuditEvent("proxy", "", NO_KEY, endpoint, "success", reason, args_hash=args_hash)


def args_hash_of(body: bytes) -> str:
    """What stands for a body: the first 16 hex digits of its SHA-256."""
    return hashlib.sha256(body).hexdigest()[:HASH_HEX]


def torn_hash_of(scrap: bytes) -> str:
    """What stands for the scrap of a line that a crash left behind, however it was completed."""
    return hashlib.sha256(scrap.removesuffix(b"\n")).hexdigest()


def _clean(text: str) -> str:
    clean = masked(text)
    # A lone surrogate can't be encoded.
    return clean[:TEXT_MAX].encode("utf-8", "replace").decode()


def _clean_value(value: float | str | list[str]) -> int | float | str | list[str]:
    if isinstance(value, str):
        return _clean(value)
    return [_clean(item) for item in value] if isinstance(value, list) else value


# -- orders

_OPS: Final = {1: "NORMAL", 2: "CANCEL", 3: "DISABLE", 4: "ENABLE", 5: "DELETE"}
_MARKETS: Final = {1: "HK", 2: "US", 3: "CN", 4: "HKCC", 5: "FUTURES", 6: "SG", 7: "CRYPTO", 8: "AU", 15: "JP"}
_ORDER_TYPES: Final = {
    1: "NORMAL",
    2: "MARKET",
    5: "ABSOLUTE_LIMIT",
    6: "AUCTION",
    7: "AUCTION_LIMIT",
    8: "SPECIAL_LIMIT",
    9: "SPECIAL_LIMIT_ALL",
    10: "STOP",
    11: "STOP_LIMIT",
    12: "MARKET_IF_TOUCHED",
    13: "LIMIT_IF_TOUCHED",
    14: "TRAILING_STOP",
    15: "TRAILING_STOP_LIMIT",
    16: "TWAP_MARKET",
    17: "TWAP_LIMIT",
    18: "VWAP_MARKET",
    19: "VWAP_LIMIT",
}


def order_summary_untrusted(proto_id: int, proto_fmt: int, body: bytes) -> OrderSummary:
    """What a trade write says, for people to read: acc_id, env, market, code, side, order_type, qty, price, order_id,
    op; each only where the body has it. {} for everything that is no trade write or can't be read; never raises.

    A number without a name stays a number.
    """
    kind = _SUMMARIES.get(proto_id)
    if kind is None:
        return {}
    cls, fill = kind
    try:
        c2s = decode_untrusted(cls, body, proto_fmt).c2s  # type: ignore[attr-defined]
    except RemoteProtocolError:
        return {}
    summary: OrderSummary = {}
    header = c2s.header
    _put(summary, header, "accID", "acc_id")
    _put(summary, header, "trdEnv", "env", {0: "simulate", 1: "real"})
    _put(summary, header, "trdMarket", "market", _MARKETS)
    fill(summary, c2s)
    return summary


def _put(
    summary: OrderSummary, message: Message, name: str, label: str, names: Mapping[int, str] | None = None
) -> None:
    if message.HasField(name):
        value = getattr(message, name)
        summary[label] = value if names is None else names.get(value, value)


def _place(summary: OrderSummary, c2s: Message) -> None:
    _put(summary, c2s, "code", "code")
    _put(summary, c2s, "trdSide", "side", TRD_SIDES)
    _put(summary, c2s, "orderType", "order_type", _ORDER_TYPES)
    _put(summary, c2s, "qty", "qty")
    _put(summary, c2s, "price", "price")


def _modify(summary: OrderSummary, c2s: Message) -> None:
    _put(summary, c2s, "modifyOrderOp", "op", _OPS)
    _put(summary, c2s, "forAll", "for_all")
    _order_id(summary, c2s)
    if c2s.HasField("orderIDEx") and c2s.orderIDEx:  # type: ignore[attr-defined]
        _put(summary, c2s, "orderIDEx", "order_id")  # the Python SDK sends orderID 0 beside it
    _put(summary, c2s, "qty", "qty")
    _put(summary, c2s, "price", "price")


def _combo(summary: OrderSummary, c2s: opend.PlaceComboOrderC2S) -> None:
    legs = c2s.comboLegs[:LEGS_MAX]
    summary["code"] = [leg.security.code for leg in legs]
    summary["side"] = [TRD_SIDES.get(leg.side, str(leg.side)) for leg in legs]
    _put(summary, c2s, "orderType", "order_type", _ORDER_TYPES)
    _put(summary, c2s, "qty", "qty")
    _put(summary, c2s, "price", "price")


def _reconfirm(summary: OrderSummary, c2s: Message) -> None:
    _order_id(summary, c2s)
    summary["op"] = "RECONFIRM"


def _order_id(summary: OrderSummary, c2s: Message) -> None:
    if c2s.HasField("orderID"):
        summary["order_id"] = str(c2s.orderID)  # type: ignore[attr-defined]


_SUMMARIES: Final[Mapping[int, tuple[type[Message], Callable[..., None]]]] = {
    ProtoId.TRD_PLACE_ORDER: (opend.PlaceOrderRequest, _place),
    ProtoId.TRD_MODIFY_ORDER: (opend.ModifyOrderRequest, _modify),
    ProtoId.TRD_PLACE_COMBO_ORDER: (opend.PlaceComboOrderRequest, _combo),
    ProtoId.TRD_RECONFIRM_ORDER_2209: (opend.ReconfirmOrderRequest, _reconfirm),
    ProtoId.TRD_RECONFIRM_ORDER_2237: (opend.ReconfirmOrderRequest, _reconfirm),
}
