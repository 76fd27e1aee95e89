"""The kill switch: whose trading is frozen, how far, since when, and by whom.

A freeze is about everybody or about one key; the stricter of the two counts. ``read-only`` stops every trade write and
the unlock; ``cancel-only`` lets through what only takes orders out of the market. Reads go on in both. It narrows the
policy rows, so that most is refused without a look, and is asked again about every single request: when it comes, when
the gate has its answers, and when it leaves a queue. What has been sent is sent.

A key whose dead-man timer has run out is on cancel-only as well, but by a list of its own: it ends by itself when the
key speaks again, and is not kept over a restart, for a restart asks every key to speak.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import msgspec

from opendmux.wire.protocols import PROTOCOLS, ProtoId, RequestAction

from .answers import name_of
from .audit import said_time
from .denial import Denial, DenialKind
from .gate import TRADE_IDS
from .orders import surely_calming_untrusted

__all__ = ["FROZEN", "Freeze", "Freezes", "FrozenMode", "dump", "is_order", "parse"]

FROZEN: Final = "frozen"
"""The reason of refusals, in metrics and audit."""

AREAS: Final = frozenset({"trade-write", "unlock"})
"""What a freeze is about."""


def is_order(proto_id: int) -> bool:
    """A freeze is about it: a trade write, the unlock, or something of trading that nobody knows."""
    protocol = PROTOCOLS.get(proto_id)
    return proto_id in TRADE_IDS if protocol is None else protocol.area in AREAS


class FrozenMode(enum.StrEnum):
    """How far."""

    READ_ONLY = "read-only"
    CANCEL_ONLY = "cancel-only"


@dataclass(frozen=True, slots=True)
class Freeze:
    """One freeze. ``key`` None: everybody's."""

    key: str | None
    mode: FrozenMode
    since: float
    """UTC seconds."""
    by: str
    """Who froze, in words."""
    why: str = ""
    """Where nobody asked for it: a sentence without its full stop."""
    silent: bool = False
    """Set by a dead-man timer: it ends when the key speaks again."""
    stray: bool = False
    """No key is called so (any more): it holds for nobody. Set for telling alone, see `Access.told_freezes`."""

    @property
    def whom(self) -> str:
        """In words."""
        return "everybody" if self.key is None else f"the key {self.key}"

    @property
    def lifted_by(self) -> str:
        """The command that ends it."""
        return f"`opendmux freeze{'' if self.key is None else f' --key {self.key}'} --mode off`"

    def text(self) -> str:
        """What holds, since when, by whom and how it ends, in one sentence without its full stop."""
        why = f": {self.why}" if self.why else ""
        said = f"trading is frozen ({self.mode}) for {self.whom} since {said_time(self.since)} by {self.by}{why}"
        if self.stray:
            renamed = "if that key has another id now, it may trade, so freeze that"
            return f"{said}; NO KEY IS CALLED SO, it holds for nobody: {renamed}; {self.lifted_by} takes this away"
        lifts = f"{self.lifted_by} lifts it"
        return f"{said}; a read of it ends this, or {lifts}" if self.silent else f"{said}; {lifts}"

    def refuses(self, proto_id: int, proto_fmt: int, body: bytes) -> bool:
        """This request may not be sent. Ids that nobody knows may not when their number is one of trading; a body that
        can't be read takes no risk away."""
        if proto_id not in PROTOCOLS or not is_order(proto_id):
            return is_order(proto_id)
        return self.mode is FrozenMode.READ_ONLY or not surely_calming_untrusted(proto_id, proto_fmt, body)


class Freezes:
    """All freezes in force, shared by all ports and OpenDs of the process."""

    def __init__(self, freezes: Iterable[Freeze] = ()) -> None:
        self._set: dict[str | None, Freeze] = {freeze.key: freeze for freeze in freezes}
        self._silent: dict[str | None, Freeze] = {}

    def active(self) -> list[Freeze]:
        """Everybody's first, then by key; those of dead-man timers last."""
        by_key = sorted(self._set.values(), key=lambda freeze: (freeze.key is not None, freeze.key or ""))
        return by_key + sorted(self._silent.values(), key=lambda freeze: freeze.key or "")

    def kept(self) -> list[Freeze]:
        """Those that survive a restart."""
        return list(self._set.values())

    def of(self, key_id: str | None) -> Freeze | None:
        """What somebody set for exactly this key, or for everybody."""
        return self._set.get(key_id)

    def over(self, key_id: str | None) -> Freeze | None:
        """The strictest that holds for this key; None in both senses: nobody's, no freeze."""
        if not self._set and not self._silent:
            return None  # as nearly always, and every request asks
        holding = [self._set.get(None)]
        if key_id is not None:
            holding += [self._set.get(key_id), self._silent.get(key_id)]
        found = [freeze for freeze in holding if freeze is not None]
        strict = [freeze for freeze in found if freeze.mode is FrozenMode.READ_ONLY]
        return next(iter(strict or found), None)

    def put(self, freeze: Freeze) -> None:
        """It holds from now on, in place of the former one of that key."""
        held = self._silent if freeze.silent else self._set
        held[freeze.key] = freeze

    def lift(self, freeze: Freeze) -> bool:
        """End this one; False when another has taken its place meanwhile, which goes on."""
        held = self._silent if freeze.silent else self._set
        if held.get(freeze.key) is not freeze:
            return False
        del held[freeze.key]
        return True

    def silent(self, key_id: str) -> Freeze | None:
        """What a dead-man timer has put this key under."""
        return self._silent.get(key_id)

    def denial(self, key_id: str | None, proto_id: int, proto_fmt: int, body: bytes) -> Denial | None:
        """Why this request may not be sent; None when no freeze is in its way."""
        freeze = self.over(key_id)
        if freeze is None or not freeze.refuses(proto_id, proto_fmt, body):
            return None
        return Denial(DenialKind.PERMISSION, FROZEN, f"{name_of(proto_id)} was not sent: {freeze.text()}")

    def narrowed(self, row: bytes, key_id: str | None) -> bytes:
        """The policy row of somebody with this key, without what a freeze stops. What depends on a body or on the
        number of an unknown id is shown to core."""
        freeze = self.over(key_id)
        if freeze is None:
            return row
        cells = bytearray(row)
        if cells[0] & 3 == RequestAction.PASS:
            cells[0] |= RequestAction.INSPECT
        for protocol in PROTOCOLS.values():
            looked_at = freeze.mode is FrozenMode.CANCEL_ONLY and protocol.proto_id == ProtoId.TRD_MODIFY_ORDER
            if protocol.area in AREAS and not looked_at:
                cells[protocol.index] |= RequestAction.DENY
        return bytes(cells)


# -- the file


class _Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    key: str | None
    mode: Literal["read-only", "cancel-only"]
    since: float
    by: str
    why: str = ""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: Literal[1]
    freezes: list[_Kept]


def dump(freezes: Iterable[Freeze]) -> bytes:
    """As it is kept over a restart."""
    kept = [_Kept(one.key, one.mode.value, one.since, one.by, one.why) for one in freezes]
    return msgspec.json.format(msgspec.json.encode(_File(1, kept)), indent=2) + b"\n"


def parse(data: bytes) -> list[Freeze]:
    """What `dump` wrote. Raises ValueError for everything else."""
    kept = msgspec.json.decode(data, type=_File).freezes
    found = [Freeze(one.key, FrozenMode(one.mode), one.since, one.by, one.why) for one in kept]
    if len({one.key for one in found}) < len(found):
        raise ValueError("it names a key twice")
    return found
