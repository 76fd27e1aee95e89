"""Which accounts a key may look at: account reads, the account list itself, and account pushes (2008).

Trade writes have a gate of their own, `tradegate`, which asks the same question there.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import msgspec

from opendmux.errors import RemoteProtocolError
from opendmux.native import read_varint_untrusted
from opendmux.wire.frame import ProtoFmt
from opendmux.wire.messages import decode_untrusted, encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import PROTOCOLS, ProtoId

from .answers import denied, failed, name_of, reply
from .commands import Command, Failure, Forward, Outcome, Request
from .denial import Denial, DenialKind
from .roster import Roster

__all__ = ["AccountGate", "account_denial"]

ACC_ID = bytes([1, 1, 2])
"""c2s.header.accID, the same in all reads of an account."""


def account_denial(proto_id: int, acc_id: int) -> Denial:
    """The key does not name this account. Whether it exists is not said."""
    text = f"{name_of(proto_id)} was not sent: this key may not use the account {acc_id}"
    return Denial(DenialKind.PERMISSION, "account", text)


class AccountGate:
    """For the sessions whose key names accounts; all others pass without a look."""

    def __init__(self, roster: Roster) -> None:
        self.roster = roster

    def applies(self, request: Request) -> bool:
        """This request has to be shown to `admit`."""
        key = request.session.key
        if key is None or not key.names_accounts:
            return False
        protocol = PROTOCOLS.get(request.proto_id)
        return protocol is not None and protocol.area in ("trade-read", "trade-sub")

    def admit(
        self, lane: int, request: Request, now: float, go: Callable[[Request, float], list[Command]]
    ) -> list[Command]:
        """Pass on what asks for the key's own accounts, by ``go``; refuse the rest. Raises RemoteProtocolError for a
        body that can't be read."""
        key = request.session.key
        assert key is not None, "see applies()"
        if key.allowed_card_nums is not None and not self.roster.known:
            return self.roster.when_known(lambda later: self._judge(lane, request, later, go), now)
        return self._judge(lane, request, now, go)

    def _judge(
        self, lane: int, request: Request, now: float, go: Callable[[Request, float], list[Command]]
    ) -> list[Command]:
        assert request.session.key is not None, "see applies()"
        allowed = self.roster.allowed(request.session.key) or frozenset()
        if request.proto_id == ProtoId.TRD_GET_ACC_LIST:
            return [Forward(request, lambda outcome, _now: [_filtered(request, outcome, allowed)], lane)]
        try:
            asked, request = _accounts_of_untrusted(request)
        except RemoteProtocolError as error:
            text = f"{name_of(request.proto_id)} was not sent: {error}"
            return [denied(request, Denial(DenialKind.INVALID, "body", text))]
        for acc_id in asked:
            if acc_id not in allowed:
                return [denied(request, account_denial(request.proto_id, acc_id))]
        return go(request, now)


def _accounts_of_untrusted(request: Request) -> tuple[list[int], Request]:
    """The accounts that a request names, and the request as it must go on: JSON in a form that nobody can read in
    another way."""
    if request.proto_id == ProtoId.TRD_SUB_ACC_PUSH:
        message = decode_untrusted(opend.SubAccPushRequest, request.body, request.proto_fmt)
        return list(message.c2s.accIDList), request
    if request.proto_fmt == ProtoFmt.PROTOBUF:
        acc_id = read_varint_untrusted(request.body, ACC_ID)
        if acc_id is None:
            raise RemoteProtocolError("header.accID is missing")
        return [acc_id], request
    body = _strict_json_untrusted(request.body)
    try:
        text = body["c2s"]["header"]["accID"]  # type: ignore[index]
    except (KeyError, TypeError) as error:
        raise RemoteProtocolError("header.accID is missing") from error
    if isinstance(text, bool) or not isinstance(text, int | str):
        raise RemoteProtocolError("header.accID is not a number")
    try:
        acc_id = int(text)
    except ValueError as error:
        raise RemoteProtocolError("header.accID is not a number") from error
    body["c2s"]["header"]["accID"] = str(acc_id)  # type: ignore[index]
    return [acc_id], replace(request, body=json.dumps(body).encode())


def _strict_json_untrusted(text: bytes) -> dict[str, object]:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise RemoteProtocolError("a key occurs twice in the JSON body")
        return found

    try:
        body = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"the JSON body can't be read: {error}") from error
    if not isinstance(body, dict):
        raise RemoteProtocolError("the JSON body is not an object")
    return body


def _filtered(request: Request, outcome: Outcome, allowed: frozenset[int]) -> Command:
    """The account list without the accounts of others."""
    if outcome.failure is not None:
        return failed(request, outcome.failure)
    try:
        return reply(request, _own_accounts_untrusted(outcome, allowed), outcome.proto_fmt)
    except RemoteProtocolError:
        return failed(request, Failure.CORRUPT)


def _own_accounts_untrusted(outcome: Outcome, allowed: frozenset[int]) -> bytes:
    if outcome.proto_fmt == ProtoFmt.JSON:
        body = _strict_json_untrusted(outcome.body)
        s2c = body.get("s2c")
        if isinstance(s2c, dict):
            accounts = s2c.get("accList")
            listed = accounts if isinstance(accounts, list) else []
            s2c["accList"] = [one for one in listed if isinstance(one, dict) and _number(one.get("accID")) in allowed]
        return msgspec.json.encode(body)
    message = decode_untrusted(opend.GetAccListResponse, outcome.body, outcome.proto_fmt)
    if not message.HasField("s2c"):
        return outcome.body
    mine = [account for account in message.s2c.accList if account.accID in allowed]
    del message.s2c.accList[:]
    message.s2c.accList.extend(mine)
    return encode(message)


def _number(value: object) -> int | None:
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    try:
        return int(value)
    except ValueError:
        return None
