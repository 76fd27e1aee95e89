"""Trade requests that core must see: 2005 unlock, 2008 account pushes, and the writes that carry a PacketID."""

from __future__ import annotations

import logging

from opendmux.errors import RemoteProtocolError
from opendmux.native import patch_packet_id_untrusted, ret_type_untrusted
from opendmux.wire.frame import ProtoFmt
from opendmux.wire.messages import decode_untrusted, encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .accounts import Accounts
from .answers import failed, name_of, refused, reply, succeeded, verdict
from .commands import Ask, Command, Forward, Outcome, Request, Then

__all__ = ["Trading"]

log = logging.getLogger("opendmux.trading")


class Trading:
    """Handlers of trade requests; each returns what is to be done."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._confirmed: frozenset[int] = frozenset()
        """The union that upstream has accepted on this connection."""

    # -- 2005

    def unlock(self, request: Request) -> list[Command]:
        """Trd_UnlockTrade goes through as it is; the lock's new state is remembered when upstream agreed."""
        unlock = decode_untrusted(opend.UnlockTradeRequest, request.body, request.proto_fmt).c2s.unlock

        def then(outcome: Outcome, _now: float) -> list[Command]:
            if outcome.failure is not None:
                return [failed(request, outcome.failure)]
            if outcome.proto_fmt == ProtoFmt.PROTOBUF and ret_type_untrusted(outcome.body) == 0:
                self._accounts.unlocked = unlock
            return [reply(request, outcome.body, outcome.proto_fmt)]

        return [Forward(request, then)]

    # -- 2008

    def sub_acc_push(self, request: Request) -> list[Command]:
        """Trd_SubAccPush replaces this client's list; upstream is asked for the union when that is news to it."""
        wanted = frozenset(decode_untrusted(opend.SubAccPushRequest, request.body, request.proto_fmt).c2s.accIDList)
        owner = request.session.owner
        before = self._accounts.get(owner)
        self._accounts.set(owner, wanted)
        union = self._accounts.union()
        if union == self._confirmed:
            return [succeeded(request)]

        def then(outcome: Outcome, _now: float) -> list[Command]:
            ret_type, ret_msg = verdict(outcome)
            if ret_type == 0:
                self._confirmed = union
                return [succeeded(request)]
            if self._accounts.get(owner) == wanted:
                self._accounts.set(owner, before)
            if outcome.failure is not None:
                return [failed(request, outcome.failure)]
            return [refused(request, ret_msg, ret_type)]

        return [self._ask_union(union, then)]

    def close_owner(self, owner: int, *, link_ready: bool) -> list[Command]:
        """The owner is gone: its accounts leave the union."""
        if not self._accounts.set(owner, ()) or not link_ready:
            return []
        union = self._accounts.union()

        def then(outcome: Outcome, _now: float) -> list[Command]:
            if verdict(outcome)[0] == 0:
                self._confirmed = union
            return []

        return [self._ask_union(union, then)]

    def link_lost(self) -> None:
        """Upstream forgot the list."""
        self._confirmed = frozenset()

    def replay(self) -> list[Command]:
        """Tell a new upstream connection the union."""
        union = self._accounts.union()
        if not union:
            return []

        def then(outcome: Outcome, _now: float) -> list[Command]:
            ret_type, ret_msg = verdict(outcome)
            if ret_type == 0:
                self._confirmed = union
            else:
                log.warning("account pushes could not be restored: %d %s", ret_type, ret_msg)
            return []

        return [self._ask_union(union, then)]

    @staticmethod
    def _ask_union(union: frozenset[int], then: Then) -> Ask:
        c2s = opend.SubAccPushC2S(accIDList=sorted(union))
        return Ask(ProtoId.TRD_SUB_ACC_PUSH, encode(opend.SubAccPushRequest(c2s=c2s)), then)

    # -- 2202, 2205, 2227, 2209, 2237

    def write(self, request: Request) -> list[Command]:
        """A trade write goes upstream once, with the upstream connection's PacketID; its body is otherwise
        untouched."""
        if request.proto_fmt != ProtoFmt.PROTOBUF:
            return [refused(request, f"{name_of(request.proto_id)} was not sent: use protobuf bodies for trade writes")]
        try:
            # What can't be patched is refused here, before a serial is spent on it.
            patch_packet_id_untrusted(request.body, 0, 0)
        except RemoteProtocolError as error:
            return [refused(request, f"{name_of(request.proto_id)} was not sent: {error}")]
        return [Forward(request, None, with_packet_id=True)]
