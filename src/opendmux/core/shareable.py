"""Which reads may share one upstream request while it is in flight, and the book of those that are.

Two requests with the same proto_id, format, body and visibility ask the same question of the same upstream connection.
One answer serves both, if (1) asking has no effect, (2) the answer belongs to nobody in particular, and (3) it was not
asked for before something the second asker knows to have happened. (1) and (2) are decided here id by id. (3) is what
`InFlight.fence` is for: who was told that his order is placed and then asks for the orders must not get a list that was
asked for before. Quotes are not fenced by pushes: they change all the time, and any answer is a moment old.

``visibility`` stands for what the asker may see (accounts, rights): an answer is shared among those who see the same.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Final, NamedTuple

from opendmux.wire.protocols import PROTOCOLS, ProtoId

__all__ = ["IN_FLIGHT_MAX", "NOT_SHARED", "OUTDATES", "REPEATABLE", "SHAREABLE", "InFlight", "Key"]

IN_FLIGHT_MAX: Final = 4096
"""Shared requests in flight at a time; what comes on top goes upstream by itself."""

_HANDSHAKE = "belongs to one connection and is answered here"
_STATE = "changes what its own client is subscribed to"
_ACTS = "does something, so twice is not once"
_INTERNAL = "internal to the vendor: nobody can say what it does"
_RETIRED = "retired in 2020: nobody can say what it does today"
_PAGES = "its answer may hand out a key for the next page, which may be good for one reader only"

NOT_SHARED: Final[dict[int, str]] = {
    1001: _HANDSHAKE,
    1002: "carries the connID of the asker",
    1004: _HANDSHAKE,
    1005: "may carry a web login ticket, which may be good for one use only",
    1006: _ACTS,
    1007: "statistics of a connection; whether reading restarts them is not documented",
    1008: _INTERNAL,
    1009: _INTERNAL,
    2005: _ACTS,
    2008: _STATE,
    2202: _ACTS,
    2205: _ACTS,
    2209: _ACTS,
    2227: _ACTS,
    2237: _ACTS,
    3001: _STATE,
    3002: _STATE,
    3003: "shows the subscriptions of the asker",
    3100: _RETIRED,
    3101: _RETIRED,
    3102: _RETIRED,
    3103: _PAGES,
    3200: _RETIRED,
    3214: _ACTS,
    3220: _ACTS,
    3227: _PAGES,
    3230: _PAGES,
    3233: _PAGES,
    3235: _PAGES,
    3236: _PAGES,
    3238: _PAGES,
    3239: _PAGES,
    3240: _PAGES,
    3241: _PAGES,
    3242: _PAGES,
    3246: _PAGES,
    3248: _PAGES,
    3249: _PAGES,
    3260: "its calcId belongs to the asker, and so does the push that follows",
    3301: _PAGES,
    3302: _PAGES,
    3304: _PAGES,
    3305: _PAGES,
    3306: _PAGES,
    3307: _PAGES,
    3308: _PAGES,
    3309: _ACTS,
    3311: _PAGES,
    3313: _PAGES,
    3409: _PAGES,
    3418: _PAGES,
    3421: _PAGES,
    3422: _PAGES,
    3423: _PAGES,
    3425: _PAGES,
    3426: _PAGES,
    3427: _PAGES,
    3431: _PAGES,
    3432: _PAGES,
    3437: _PAGES,
    3438: _PAGES,
    3439: _PAGES,
    3453: _PAGES,
    3454: "asks market makers for a quote, whose quoteID is for the asker's order",
    3455: _STATE,
    3456: _PAGES,
}
"""Requests that always go upstream by themselves, with the reason."""

# fmt: off
SHAREABLE: Final = frozenset(
    {
        2001,
        2101, 2102, 2111, 2112,
        2201, 2211, 2221, 2222, 2223, 2225, 2226,
        3004, 3006, 3008, 3010, 3012, 3014,
        3104, 3105,
        3201, 3202, 3203, 3204, 3205, 3206, 3207, 3208, 3209, 3210, 3211, 3212, 3213, 3215, 3216, 3217, 3218, 3219,
        3221, 3222, 3223, 3224, 3225, 3226, 3228, 3229, 3231, 3232, 3234, 3237, 3243, 3244, 3245, 3247, 3250, 3251,
        3252, 3253, 3254, 3255, 3256, 3257, 3258, 3259, 3262, 3263,
        3303, 3312, 3314,
        3401, 3402, 3403, 3404, 3405, 3406, 3407, 3408, 3410, 3411, 3412, 3413, 3414, 3415, 3416, 3417, 3419, 3420,
        3424, 3428, 3429, 3430, 3433, 3434, 3435, 3436, 3445, 3446, 3447, 3448,
        3801, 3802, 3803,
    }
)
# fmt: on
"""Reads with the same answer for everybody who sees the same. An id that is in neither list goes by itself."""

REPEATABLE: Final = SHAREABLE | frozenset(proto_id for proto_id, reason in NOT_SHARED.items() if reason is _PAGES)
"""Reads that may be sent a second time when nobody knows whether the first was answered: asking has no effect. A page
that OpenD does not give out twice is refused by OpenD itself."""

_TRADE_READS: Final = frozenset(proto_id for proto_id in SHAREABLE if PROTOCOLS[proto_id].area == "trade-read")
_QUOTE_DATA: Final = frozenset({3004, 3006, 3008, 3010, 3012, 3014})
_CONTRACT_DATA: Final = frozenset({3445, 3446, 3447, 3448})

OUTDATES: Final[dict[int, frozenset[int]]] = {
    # An order, its reply or a push about it: what was asked before does not know of it.
    ProtoId.TRD_PLACE_ORDER: _TRADE_READS,
    ProtoId.TRD_MODIFY_ORDER: _TRADE_READS,
    ProtoId.TRD_PLACE_COMBO_ORDER: _TRADE_READS,
    ProtoId.TRD_RECONFIRM_ORDER_2209: _TRADE_READS,
    ProtoId.TRD_RECONFIRM_ORDER_2237: _TRADE_READS,
    ProtoId.TRD_NOTIFY: _TRADE_READS,
    ProtoId.TRD_UPDATE_ORDER: _TRADE_READS,
    ProtoId.TRD_UPDATE_ORDER_FILL: _TRADE_READS,
    # What was asked of a locked OpenD may be refused.
    ProtoId.TRD_UNLOCK_TRADE: _TRADE_READS,
    # What was asked before the subscription may be refused.
    ProtoId.QOT_SUB: _QUOTE_DATA,
    ProtoId.QOT_SUB_EVENT_CONTRACT: _CONTRACT_DATA,
    ProtoId.QOT_MODIFY_USER_SECURITY: frozenset({3213, 3222}),
    ProtoId.QOT_SET_PRICE_REMINDER: frozenset({3221}),
}
"""By proto_id of a reply or push: the reads whose answers, asked for before it, must not be joined after it."""


class Key(NamedTuple):
    """Requests with equal keys may share an answer."""

    link: int
    proto_id: int
    proto_fmt: int
    visibility: Hashable
    body_sha1: bytes


class InFlight:
    """Shareable requests that are on their way, at most ``limit`` of them."""

    def __init__(self, limit: int = IN_FLIGHT_MAX) -> None:
        self._limit = limit
        self._serials: dict[Key, int] = {}
        self._keys: dict[tuple[int, int], Key] = {}
        """By link and upstream serial."""
        self.shared = 0
        """Requests that were saved, since the start; counted by whoever joins them."""

    def __len__(self) -> int:
        return len(self._serials)

    @staticmethod
    def key(link: int, proto_id: int, proto_fmt: int, visibility: Hashable, body_sha1: bytes) -> Key | None:
        """The key of a request; None when it must go by itself. ``body_sha1``: the verified digest of the header."""
        return Key(link, proto_id, proto_fmt, visibility, body_sha1) if proto_id in SHAREABLE else None

    def find(self, key: Key) -> int | None:
        """The upstream serial of a request that is in flight and may be joined; None when there is none."""
        return self._serials.get(key)

    def add(self, key: Key, serial_no: int) -> None:
        """This request has gone upstream. When the book is full it is not written down, so nobody will join it."""
        self._forget([key])
        if len(self._serials) < self._limit:
            self._serials[key] = serial_no
            self._keys[key.link, serial_no] = key

    def done(self, link: int, serial_no: int) -> None:
        """Its reply has come, or its time is up. What is not in the book is ignored."""
        key = self._keys.get((link, serial_no))
        if key is not None:
            self._forget([key])

    def fence(self, proto_id: int) -> None:
        """A reply or push of this id is about to be handed on: reads that it outdates are not joined from now on.

        Also for a reply that says no, and for a write whose outcome is unknown.
        """
        outdated = OUTDATES.get(proto_id)
        if outdated:
            self._forget([key for key in self._serials if key.proto_id in outdated])

    def link_lost(self, link: int) -> None:
        """The upstream connection ended, and everything in flight on it."""
        self._forget([key for key in self._serials if key.link == link])

    def _forget(self, keys: Iterable[Key]) -> None:
        for key in keys:
            serial_no = self._serials.pop(key, None)
            if serial_no is not None:
                del self._keys[key.link, serial_no]
