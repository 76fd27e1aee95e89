"""Who cancels everything means what waits here too.

A cancel goes before an order in OpenD's windows, and is never held up by a limit. So an order that was sent to this
proxy before a cancel of all orders could reach OpenD after it, and stay open when its owner believes that nothing does.
It is not sent then.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from opendmux.errors import RemoteProtocolError
from opendmux.native import read_int32_untrusted, read_varint_untrusted
from opendmux.wire.frame import ProtoFmt
from opendmux.wire.messages import decode_untrusted
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .commands import Request
from .orders import is_calming_untrusted

__all__ = ["Withdrawals"]

ACC_ID = bytes([1, 2, 2])
"""c2s.header.accID of a trade write."""
FOR_ALL = bytes([1, 5])
"""Trd_ModifyOrder: c2s.forAll."""

PLACING: dict[int, type[opend.PlaceOrderRequest | opend.PlaceComboOrderRequest]] = {
    ProtoId.TRD_PLACE_ORDER: opend.PlaceOrderRequest,
    ProtoId.TRD_PLACE_COMBO_ORDER: opend.PlaceComboOrderRequest,
}


class Withdrawals:
    """The cancels of all orders so far, by owner and account."""

    def __init__(self) -> None:
        self._cancelled: Counter[tuple[int, int]] = Counter()

    def watched(self, request: Request) -> Request:
        """A new order knows from now on when it has been withdrawn; every other write is as it was."""
        if request.proto_id not in PLACING:
            return request
        try:
            place = request.session.owner, _acc_id_untrusted(request)
        except RemoteProtocolError:
            return request  # it is refused where it is read
        before, given_up = self._cancelled[place], request.given_up
        return replace(request, given_up=lambda: given_up() or self._cancelled[place] != before)

    def passes(self, request: Request) -> None:
        """This write is about to go: if it cancels all orders of an account, its owner's orders that wait go no
        more."""
        try:
            if _cancels_all_untrusted(request):
                self._cancelled[request.session.owner, _acc_id_untrusted(request)] += 1
        except RemoteProtocolError:
            return

    def forget(self, owner: int) -> None:
        """The owner is gone."""
        for place in [place for place in self._cancelled if place[0] == owner]:
            del self._cancelled[place]


def _acc_id_untrusted(request: Request) -> int:
    if request.proto_fmt == ProtoFmt.PROTOBUF:
        return read_varint_untrusted(request.body, ACC_ID) or 0
    if request.proto_id == ProtoId.TRD_PLACE_ORDER:
        return decode_untrusted(opend.PlaceOrderRequest, request.body, request.proto_fmt).c2s.header.accID
    if request.proto_id == ProtoId.TRD_PLACE_COMBO_ORDER:
        return decode_untrusted(opend.PlaceComboOrderRequest, request.body, request.proto_fmt).c2s.header.accID
    return decode_untrusted(opend.ModifyOrderRequest, request.body, request.proto_fmt).c2s.header.accID


def _cancels_all_untrusted(request: Request) -> bool:
    if not is_calming_untrusted(request.proto_id, request.proto_fmt, request.body):
        return False
    if request.proto_fmt == ProtoFmt.PROTOBUF:
        return bool(read_int32_untrusted(request.body, FOR_ALL))
    return bool(decode_untrusted(opend.ModifyOrderRequest, request.body, request.proto_fmt).c2s.forAll)
