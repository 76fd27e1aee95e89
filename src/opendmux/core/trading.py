"""Trade requests that core must see, on one lane: 2005 unlock, 2008 account pushes, and the writes that carry a
PacketID."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal, TypeAlias

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import UNDECIDED, ProtoFmt, RetType
from opendmux.wire.messages import canonical_json, decode_untrusted, encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .accounts import Accounts
from .answers import denied, failed, name_of, refused, reply, succeeded, verdict
from .commands import Ask, Command, Failure, Forward, Outcome, Request, Then, Witness
from .denial import Denial, DenialKind
from .packet import is_real_untrusted, stamp_untrusted
from .unlock import Unlock

__all__ = ["Trading"]

log = logging.getLogger("opendmux.trading")

LOCKED_WORDS = ("unlock", "解锁", "解鎖")
"""OpenD's text when a write needs an unlock is not documented; each of its languages has one of these in it."""

AGAIN_FIRST_S, AGAIN_LAST_S = 5.0, 60.0
"""An account list that OpenD did not take is told again after 5, 10, 20, 40, then every 60 seconds: a restarted OpenD
may not have logged in yet, and without its list no client would ever see an order push again."""


Settled: TypeAlias = Callable[[Request, Outcome, int, float], None]
"""(request, outcome, its retType, now)."""


class Trading:
    """Handlers of trade requests; each returns what is to be done."""

    def __init__(self, lane: int, accounts: Accounts, unlock: Unlock) -> None:
        self._lane = lane
        self._accounts = accounts
        self._unlock = unlock
        self._confirmed: frozenset[int] | None = frozenset()
        """The union of account lists that upstream has on this connection; None when nobody knows."""
        self._telling = 0
        """Calls in flight that will change it."""
        self._tries = 0
        self._again_at: float | None = None

    # -- 2005

    def unlock(self, request: Request) -> list[Command]:
        """Trd_UnlockTrade goes through; what OpenD accepted is remembered. A personal lock may stay here."""
        message = decode_untrusted(opend.UnlockTradeRequest, request.body, request.proto_fmt)
        unlock, owner = message.c2s.unlock, request.session.owner
        if not unlock and self._unlock.stays_here(owner):
            self._unlock.accepted(owner, unlock=False)
            return [succeeded(request)]

        def then(outcome: Outcome, _now: float) -> list[Command]:
            if outcome.failure is not None:
                return [failed(request, outcome.failure)]
            ret_type, ret_msg = verdict(outcome)
            if ret_type == RetType.SUCCEED:
                self._unlock.accepted(owner, unlock=unlock)
                if not request.session.ready:
                    self._unlock.forget(owner)
            answer, serial = reply(request, outcome.body, outcome.proto_fmt), outcome.upstream_serial
            return [Witness(request, _outcome_of(ret_type), note=ret_msg, upstream_serial=serial, reply=answer)]

        return [Forward(_canonical(request, message), then, self._lane)]

    # -- 2008

    def sub_acc_push(self, request: Request) -> list[Command]:
        """Trd_SubAccPush replaces this client's list; upstream is asked for the union when that is news to it.

        A refusal leaves the former list. Without a verdict the new one stays wanted, and OpenD is told again: the
        Python SDK does not look at this answer, so nobody else would ever ask.
        """
        wanted = frozenset(decode_untrusted(opend.SubAccPushRequest, request.body, request.proto_fmt).c2s.accIDList)
        owner = request.session.owner
        before = self._accounts.get(owner)
        self._accounts.set(owner, wanted)
        union = self._accounts.union()
        if union == self._confirmed and not self._telling:
            return [succeeded(request)]

        def then(outcome: Outcome, _now: float) -> list[Command]:
            ret_type, ret_msg = verdict(outcome)
            if ret_type == RetType.SUCCEED:
                return [succeeded(request)]
            if outcome.failure is not None:
                return [failed(request, outcome.failure)]
            if ret_type not in UNDECIDED and request.session.ready and self._accounts.get(owner) == wanted:
                self._accounts.set(owner, before)
            return [refused(request, ret_msg, ret_type)]

        def first(outcome: Outcome, now: float) -> list[Command]:
            others = union - wanted - (self._confirmed or frozenset())
            if verdict(outcome)[0] == RetType.FAILED and others and self._accounts.get(owner) == wanted:
                # It was asked together with what another client had just named; that may be what OpenD refuses.
                return [self._ask_union(self._accounts.union(), then)]
            return then(outcome, now)

        return [self._ask_union(union, first)]

    def close_owner(self, owner: int, *, link_ready: bool) -> list[Command]:
        """The owner is gone: its accounts leave the union."""
        if not self._accounts.set(owner, ()):
            return []
        if not link_ready:
            # A new connection is told the union anyway. One that is just being restored has perhaps been told the old
            # one: it hears of the change as soon as it is ready.
            self._again_at = -math.inf
            return []
        return [self._tell(self._accounts.union())]

    def watch(self, owner: int, acc_ids: frozenset[int]) -> list[Command]:
        """The owner's streams take the pushes of these accounts too."""
        changed = self._accounts.set(owner, self._accounts.get(owner) | acc_ids)
        return [self._tell(self._accounts.union())] if changed else []

    def narrow(self, owner: int, allowed: frozenset[int] | None) -> list[Command]:
        """The owner's key was changed: pushes of other accounts end. None: all are allowed."""
        wanted = self._accounts.get(owner)
        if allowed is None or wanted <= allowed:
            return []
        changed = self._accounts.set(owner, wanted & allowed)
        return [self._tell(self._accounts.union())] if changed and self._confirmed else []

    def link_lost(self) -> None:
        """Upstream forgot the list."""
        self._confirmed = frozenset()
        self._tries, self._again_at = 0, None

    def replay(self) -> list[Command]:
        """Tell a new upstream connection the union."""
        union = self._accounts.union()
        return [self._tell(union)] if union else []

    @property
    def replaying(self) -> bool:
        """OpenD has not answered the latest list yet."""
        return self._telling > 0

    def due(self, now: float) -> list[Command]:
        """Tell OpenD again what it did not take."""
        if self._again_at is None or self._again_at > now:
            return []
        self._again_at = None
        union = self._accounts.union()
        return [] if union == self._confirmed else [self._tell(union)]

    def _tell(self, union: frozenset[int]) -> Ask:
        def then(outcome: Outcome, _now: float) -> list[Command]:
            ret_type, ret_msg = verdict(outcome)
            if ret_type != RetType.SUCCEED:
                log.warning("OpenD did not take the list of account pushes: %d %s", ret_type, ret_msg)
            return []

        return self._ask_union(union, then)

    def _ask_union(self, union: frozenset[int], then: Then) -> Ask:
        def told(outcome: Outcome, now: float) -> list[Command]:
            self._telling -= 1
            ret_type, _ret_msg = verdict(outcome)
            if outcome.failure is Failure.LOST:
                return then(outcome, now)
            if ret_type == RetType.SUCCEED:
                self._confirmed = union
            elif ret_type in UNDECIDED:
                self._confirmed = None
            commands = then(outcome, now)
            if self._telling or self._accounts.union() == self._confirmed:
                self._tries, self._again_at = 0, None
            else:
                self._again_at = now + min(AGAIN_LAST_S, AGAIN_FIRST_S * 2 ** min(self._tries, 10))
                self._tries += 1
            return commands

        self._telling += 1
        c2s = opend.SubAccPushC2S(accIDList=sorted(union))
        return Ask(self._lane, ProtoId.TRD_SUB_ACC_PUSH, encode(opend.SubAccPushRequest(c2s=c2s)), told)

    # -- 2202, 2205, 2227, 2209, 2237

    def write(
        self, request: Request, settled: Settled = lambda _request, _outcome, _ret_type, _now: None
    ) -> list[Command]:
        """A trade write goes upstream once, with the upstream connection's PacketID. ``settled`` is told how it ended,
        with retType -400 when nobody knows."""
        name = name_of(request.proto_id)
        try:
            # What can't be stamped is refused here, before a serial is spent on it.
            stamp_untrusted(request.proto_id, request.proto_fmt, request.body, 0, 0)
            real = is_real_untrusted(request.proto_id, request.proto_fmt, request.body)
        except RemoteProtocolError as error:
            return [denied(request, Denial(DenialKind.INVALID, "body", f"{name} was not sent: {error}"))]
        # The proxy's own are cancels, for which OpenD's own lock is enough.
        if real and not request.session.own and not self._unlock.may_trade(request.session.owner):
            text = f"{name} was not sent: this program has not unlocked trading (unlock_trade) since OpenD was locked"
            return [denied(request, Denial(DenialKind.PERMISSION, "unlock", text))]

        def then(outcome: Outcome, now: float) -> list[Command]:
            serial = outcome.upstream_serial
            if outcome.failure is not None:
                settled(request, outcome, RetType.UNKNOWN, now)
                answer, why = failed(request, outcome.failure), outcome.failure.value
                return [Witness(request, "unknown", why, upstream_serial=serial, reply=answer)]
            ret_type, ret_msg = verdict(outcome)
            settled(request, outcome, ret_type, now)
            if ret_type != RetType.SUCCEED and any(word in ret_msg.lower() for word in LOCKED_WORDS):
                self._unlock.refused()
            answer = reply(request, outcome.body, outcome.proto_fmt)
            return [Witness(request, _outcome_of(ret_type), note=ret_msg, upstream_serial=serial, reply=answer)]

        return [Forward(request, then, self._lane, with_packet_id=True)]


def _outcome_of(ret_type: int) -> Literal["success", "failure", "unknown"]:
    if ret_type in UNDECIDED:
        return "unknown"
    return "success" if ret_type == RetType.SUCCEED else "failure"


def _canonical(request: Request, message: opend.UnlockTradeRequest) -> Request:
    """JSON that core has looked into goes on in canonical form; a protobuf body as it came."""
    if request.proto_fmt == ProtoFmt.PROTOBUF:
        return request
    return replace(request, body=canonical_json(message))
