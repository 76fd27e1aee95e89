"""What OpenD allows per 30 seconds, as data, and how a request is matched to it.

Every row carries the place where its number was found: a page of the official documentation [doc], its last archived
copy of 2020 [doc20], the vendor's notes for program writers, or third parties [3p]. Calls without a row are free: OpenD
answers them from its cache or documents no limit. The counts hold for all connections to one OpenD together.
"""

from __future__ import annotations

import enum
import math
from dataclasses import dataclass
from typing import Final, NamedTuple

import msgspec

from opendmux.errors import RemoteProtocolError
from opendmux.native import read_bytes_untrusted, read_int32_untrusted, read_varint_untrusted
from opendmux.wire.frame import ProtoFmt
from opendmux.wire.protocols import PROTOCOLS, ProtoId

from .answers import name_of

__all__ = [
    "LIMITS",
    "ROWS",
    "USER",
    "Charge",
    "Counts",
    "Limit",
    "Priority",
    "Row",
    "Scope",
    "charge_untrusted",
    "priority_untrusted",
    "refusal_text",
]

WINDOW_S: Final = 30.0
"""The one window OpenD uses."""

USER: Final = 0
"""The key of what counts for the logged-in user as a whole; no account has this number."""


class Scope(enum.Enum):
    """Whose requests are counted together."""

    ACCOUNT = "account"
    USER = "user"
    """Also where the documentation names no scope: it is the wider one."""


class Counts(enum.Enum):
    """Which requests of a call count."""

    ALWAYS = "always"
    REFRESH = "refreshCache set"
    """Without it the answer comes from OpenD's cache."""
    FIRST_PAGE = "nextReqKey absent"
    """An empty key is no page either."""
    NOT_WARRANTS = "referenceType is not Warrant"


class Priority(enum.IntEnum):
    """Who goes first when a window opens: what takes risk away before what adds it, orders before questions."""

    CANCEL = 0
    MODIFY = 1
    PLACE = 2
    QUERY = 3


class Charge(NamedTuple):
    """What a request is counted under."""

    budget: str
    key: int
    """acc_id, or `USER`."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A budget: any ``count + 1`` requests in a row span more than ``window_s``, and two are ``min_gap_s`` apart."""

    proto_id: int
    """The call that gives the budget its name."""
    count: int
    scope: Scope
    min_gap_s: float = 0.0
    window_s: float = WINDOW_S

    @property
    def name(self) -> str:
        return PROTOCOLS[self.proto_id].name


@dataclass(frozen=True, slots=True)
class Row:
    """One call that OpenD limits. Paths are field numbers from the outermost message, as the scanner takes them."""

    proto_id: int
    limit: Limit
    source: str
    counts: Counts = Counts.ALWAYS
    acc_id: bytes = b""
    """Where header.accID is; empty for user scope."""
    field: bytes = b""
    """Where the field that ``counts`` speaks of is."""


_ACCOUNT, _USER = Scope.ACCOUNT, Scope.USER
_READ_ACC_ID: Final = b"\x01\x01\x02"
"""c2s.header.accID"""
_WRITE_ACC_ID: Final = b"\x01\x02\x02"
"""The same, behind packetID."""

_PLACE = Limit(ProtoId.TRD_PLACE_ORDER, 15, _ACCOUNT, min_gap_s=0.02)
_MODIFY = Limit(ProtoId.TRD_MODIFY_ORDER, 20, _ACCOUNT, min_gap_s=0.04)


def _account(proto_id: int, count: int, source: str) -> Row:
    return Row(proto_id, Limit(proto_id, count, _ACCOUNT), source, acc_id=_READ_ACC_ID)


def _refresh(proto_id: int, source: str, field: bytes) -> Row:
    return Row(proto_id, Limit(proto_id, 10, _ACCOUNT), source, Counts.REFRESH, _READ_ACC_ID, field)


def _user(proto_id: int, count: int, source: str, counts: Counts = Counts.ALWAYS, field: bytes = b"") -> Row:
    return Row(proto_id, Limit(proto_id, count, _USER), source, counts, field=field)


_ALL: Final = (
    _user(2005, 10, "trade/unlock [doc20, 3p]"),
    Row(2202, _PLACE, "trade/place-order [doc]", acc_id=_WRITE_ACC_ID),
    Row(2227, _PLACE, "vendor notes [doc]: shares the window of 2202", acc_id=_WRITE_ACC_ID),
    Row(2205, _MODIFY, "trade/modify-order [doc]; a gap of 0.02 s in 2020", acc_id=_WRITE_ACC_ID),
    _refresh(2101, "trade/get-* [doc]", b"\x01\x02"),
    _refresh(2102, "trade/get-* [doc]", b"\x01\x05"),
    _refresh(2201, "trade/get-* [doc]", b"\x01\x04"),
    _refresh(2211, "trade/get-* [doc]", b"\x01\x03"),
    _account(2111, 10, "[doc]"),
    _account(2221, 10, "[doc]"),
    _account(2222, 10, "[doc]"),
    _account(2225, 10, "[doc]"),
    _account(2226, 20, "[doc]"),
    _user(3103, 60, "quote/request-history-kline [doc20, 3p 2026]", Counts.FIRST_PAGE, b"\x01\x08"),
    _user(3105, 60, "[doc20]"),
    _user(3203, 60, "intro/authority [doc], [doc20]"),
    _user(3204, 10, "[doc20]"),
    _user(3205, 10, "[doc20]"),
    _user(3206, 10, "[doc20]", Counts.NOT_WARRANTS, b"\x01\x02"),
    _user(3207, 10, "[doc20]"),
    _user(3208, 10, "[doc20]"),
    _user(3209, 10, "[doc20]"),
    _user(3210, 60, "[doc20]"),
    _user(3211, 30, "[doc20]"),
    _user(3212, 30, "[doc20]"),
    _user(3213, 10, "[doc20]"),
    _user(3214, 10, "[doc20]"),
    _user(3215, 10, "[doc20]"),
    _user(3217, 10, "[doc20]"),
    _user(3218, 30, "[doc20]"),
    _user(3219, 30, "[doc20]"),
    _user(3220, 60, "[doc20]"),
    _user(3221, 10, "[doc20]"),
    _user(3222, 10, "[doc20]"),
    _user(3223, 10, "[doc20]"),
    _user(3262, 10, "vendor notes [doc]"),
    _user(3263, 10, "vendor notes [doc]"),
)

ROWS: Final[dict[int, Row]] = {row.proto_id: row for row in _ALL}
"""By proto_id."""

LIMITS: Final[dict[str, Limit]] = {row.limit.name: row.limit for row in _ALL}
"""By budget name."""

_WARRANT: Final = 1
"""referenceType of 3206; 2 asks for futures."""

_MODIFY_OP: Final = b"\x01\x04"
"""2205: c2s.modifyOrderOp."""
_FOR_ALL: Final = b"\x01\x05"
_CANCEL_OPS: Final = frozenset({2, 3})
"""Cancel, and Disable, which takes an order out of the market just as well."""

_PRIORITIES: Final[dict[int, Priority]] = {
    ProtoId.TRD_PLACE_ORDER: Priority.PLACE,
    ProtoId.TRD_PLACE_COMBO_ORDER: Priority.PLACE,
    ProtoId.TRD_RECONFIRM_ORDER_2209: Priority.PLACE,
    ProtoId.TRD_RECONFIRM_ORDER_2237: Priority.PLACE,
}


def charge_untrusted(proto_id: int, proto_fmt: int, body: bytes) -> Charge | None:
    """What this request counts under; None when it is free. Never raises.

    A body that can't be read, and one that names no account where one is due, counts under the user: it must not get
    past the count.
    """
    row = ROWS.get(proto_id)
    if row is None:
        return None
    name = row.limit.name
    try:
        if row.counts is not Counts.ALWAYS and not _counts_untrusted(row, proto_fmt, body):
            return None
        return Charge(name, _acc_id_untrusted(row, proto_fmt, body) if row.acc_id else USER)
    except RemoteProtocolError:
        return Charge(name, USER)


def priority_untrusted(proto_id: int, proto_fmt: int, body: bytes) -> Priority:
    """Who this request goes before. Never raises: a 2205 that can't be read is taken for a plain modification."""
    if proto_id != ProtoId.TRD_MODIFY_ORDER:
        return _PRIORITIES.get(proto_id, Priority.QUERY)
    try:
        if proto_fmt == ProtoFmt.PROTOBUF:
            op, for_all = read_int32_untrusted(body, _MODIFY_OP), bool(read_varint_untrusted(body, _FOR_ALL))
        else:
            c2s = _json_c2s_untrusted(proto_fmt, body)
            op, for_all = c2s.modify_order_op, bool(c2s.for_all)
    except RemoteProtocolError:
        return Priority.MODIFY
    return Priority.CANCEL if for_all or op in _CANCEL_OPS else Priority.MODIFY


def refusal_text(proto_id: int, retry_after_s: float) -> str:
    """The words for a refused request. ``proto_id`` must have a row."""
    limit = ROWS[proto_id].limit
    also = "" if proto_id == limit.proto_id else f", {name_of(proto_id)} included"
    # Up to the next tenth, so that who comes back after the time shown finds the window open; 1.1 * 10 is over 11.
    seconds = max(0.1, math.ceil(round(retry_after_s * 10, 6)) / 10)
    per = f"per {limit.window_s:g} s and {limit.scope.value}"
    return (
        f"OpenD allows {limit.count} of {name_of(limit.proto_id)} {per}{also}; "
        f"try again in {seconds:.1f} s; nothing was sent"
    )


def _counts_untrusted(row: Row, proto_fmt: int, body: bytes) -> bool:
    if proto_fmt == ProtoFmt.PROTOBUF:
        if row.counts is Counts.REFRESH:
            return bool(read_varint_untrusted(body, row.field))
        if row.counts is Counts.FIRST_PAGE:
            return not read_bytes_untrusted(body, row.field)
        return read_int32_untrusted(body, row.field) != _WARRANT
    c2s = _json_c2s_untrusted(proto_fmt, body)
    if row.counts is Counts.REFRESH:
        return bool(c2s.refresh_cache)
    if row.counts is Counts.FIRST_PAGE:
        return not c2s.next_req_key
    return c2s.reference_type != _WARRANT


def _acc_id_untrusted(row: Row, proto_fmt: int, body: bytes) -> int:
    if proto_fmt == ProtoFmt.PROTOBUF:
        return read_varint_untrusted(body, row.acc_id) or USER
    header = _json_c2s_untrusted(proto_fmt, body).header
    return (header.acc_id or USER) if header else USER


class _Header(msgspec.Struct):
    acc_id: int | None = msgspec.field(default=None, name="accID")


class _C2S(msgspec.Struct):
    """What is looked at in JSON bodies, of all calls together; the names are OpenD's."""

    header: _Header | None = None
    refresh_cache: bool | None = msgspec.field(default=None, name="refreshCache")
    next_req_key: str | None = msgspec.field(default=None, name="nextReqKey")
    reference_type: int | None = msgspec.field(default=None, name="referenceType")
    modify_order_op: int | None = msgspec.field(default=None, name="modifyOrderOp")
    for_all: bool | None = msgspec.field(default=None, name="forAll")


class _Body(msgspec.Struct):
    c2s: _C2S


def _json_c2s_untrusted(proto_fmt: int, body: bytes) -> _C2S:
    if proto_fmt != ProtoFmt.JSON:
        raise RemoteProtocolError(f"unknown proto_fmt {proto_fmt}")
    try:
        # Not strict: 64-bit numbers come as strings.
        return msgspec.json.decode(body, type=_Body, strict=False).c2s
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise RemoteProtocolError(f"the JSON body can't be read: {error}") from error
