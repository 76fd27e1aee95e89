"""Which accounts a key may use: account reads, the account list itself, and account pushes (2008).

Trade writes have a gate of their own, `tradegate`, which asks the same question; here they are looked at once more when
they have waited for OpenD's windows.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

import msgspec

from opendmux.errors import RemoteProtocolError
from opendmux.native import read_varint_untrusted
from opendmux.wire.frame import ProtoFmt
from opendmux.wire.messages import REQUEST_BYTES, decode_untrusted, encode, too_long
from opendmux.wire.pb import opend
from opendmux.wire.protocols import PROTOCOLS, ProtoId

from .answers import denied, failed, name_of, reply
from .commands import Command, Failure, Outcome, Reply, Request, Then
from .denial import Denial, DenialKind
from .roster import Roster

__all__ = ["AccountGate", "account_denial"]

AREAS = frozenset({"trade-read", "trade-sub"})
ACC_ID = bytes([1, 1, 2])
"""c2s.header.accID, the same in all reads of an account."""
WRITE_ACC_ID = bytes([1, 2, 2])
"""The same in all trade writes, where packetID comes first."""

Go = Callable[[Request, float], "list[Command]"]


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
        return _in(AREAS, request)

    def admit(self, request: Request, now: float, go: Go) -> list[Command]:
        """Pass on what asks for the key's own accounts, by ``go``, maybe later; refuse the rest. Raises
        RemoteProtocolError for a body that can't be read."""
        acc_ids, request = _accounts_of_untrusted(request)

        def judge(later: float) -> list[Command]:
            refusal = self._judge(request, acc_ids)
            return go(request, later) if refusal is None else [refusal]

        key = request.session.key
        if key is not None and key.allowed_card_nums is not None:
            return self.roster.when_known(judge, now)
        return judge(now)

    def refusal(self, request: Request) -> Reply | None:
        """`admit` once more for what has waited since: its key may have been changed."""
        if not _in(AREAS | {"trade-write"}, request):
            return None
        try:
            acc_ids, _request = _accounts_of_untrusted(request)
        except RemoteProtocolError as error:
            text = f"{name_of(request.proto_id)} was not sent: {error}"
            return denied(request, Denial(DenialKind.INVALID, "body", text))
        return self._judge(request, acc_ids)

    def _judge(self, request: Request, acc_ids: list[int]) -> Reply | None:
        key = request.session.key
        if key is None or not key.names_accounts:
            return None
        if key.allowed_card_nums is not None and not self.roster.known:
            text = f"{name_of(request.proto_id)} was not sent: OpenD has not told yet which accounts it has"
            return denied(request, Denial(DenialKind.UNAVAILABLE, "accounts", text))
        allowed = self.roster.allowed(key) or frozenset()
        for acc_id in acc_ids:
            if acc_id not in allowed:
                return denied(request, account_denial(request.proto_id, acc_id))
        return None

    def list_editor(self, request: Request) -> Then | None:
        """What takes the accounts of others out of the answer to a Trd_GetAccList; None: all may be seen."""
        key = request.session.key
        if request.proto_id != ProtoId.TRD_GET_ACC_LIST or key is None or not key.names_accounts:
            return None

        def then(outcome: Outcome, _now: float) -> list[Command]:
            if outcome.failure is not None:
                return [failed(request, outcome.failure)]
            now_key = request.session.key or key
            allowed = self.roster.allowed(now_key) if now_key.names_accounts else None
            try:
                body = outcome.body if allowed is None else _own_accounts_untrusted(outcome, allowed)
            except RemoteProtocolError:
                return [failed(request, Failure.CORRUPT)]
            return [reply(request, body, outcome.proto_fmt)]

        return then


def _in(areas: frozenset[str], request: Request) -> bool:
    key = request.session.key
    if key is None or not key.names_accounts:
        return False
    protocol = PROTOCOLS.get(request.proto_id)
    return protocol is not None and protocol.area in areas


def _accounts_of_untrusted(request: Request) -> tuple[list[int], Request]:
    """The accounts that a request names, and the request as it must go on: JSON in a form that nobody can read in
    another way."""
    if request.proto_id == ProtoId.TRD_GET_ACC_LIST:
        return [], request
    if request.proto_id == ProtoId.TRD_SUB_ACC_PUSH:
        message = decode_untrusted(opend.SubAccPushRequest, request.body, request.proto_fmt)
        return list(message.c2s.accIDList), request
    if request.proto_fmt == ProtoFmt.PROTOBUF:
        is_write = PROTOCOLS[request.proto_id].area == "trade-write"
        acc_id = read_varint_untrusted(request.body, WRITE_ACC_ID if is_write else ACC_ID)
        if acc_id is None:
            raise RemoteProtocolError("header.accID is missing")
        return [acc_id], request
    body = _strict_json_untrusted(request.body)
    c2s = body.get("c2s")
    header = c2s.get("header") if isinstance(c2s, dict) else None
    if not isinstance(header, dict) or "accID" not in header:
        raise RemoteProtocolError("header.accID is missing")
    acc_id = _number(header["accID"])
    if acc_id is None:
        raise RemoteProtocolError("header.accID is not a number")
    header["accID"] = str(acc_id)
    return [acc_id], replace(request, body=_json_untrusted(body))


def _strict_json_untrusted(text: bytes) -> dict[str, object]:
    def once(pairs: list[tuple[str, object]]) -> dict[str, object]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise RemoteProtocolError("a key occurs twice in the JSON body")
        return found

    if len(text) > REQUEST_BYTES:
        raise RemoteProtocolError(f"the JSON body can't be read: {too_long(text)}")
    try:
        body = json.loads(text, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"the JSON body can't be read: {error}") from error
    if not isinstance(body, dict):
        raise RemoteProtocolError("the JSON body is not an object")
    return body


def _json_untrusted(body: dict[str, object]) -> bytes:
    try:
        return json.dumps(body).encode()
    except RecursionError as error:
        raise RemoteProtocolError("the JSON body is nested too deep") from error


def _own_accounts_untrusted(outcome: Outcome, allowed: frozenset[int]) -> bytes:
    """The account list without the accounts of others."""
    if outcome.proto_fmt == ProtoFmt.JSON:
        try:
            body = msgspec.json.decode(outcome.body, type=dict[str, object])
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise RemoteProtocolError(f"the account list can't be read: {error}") from error
        s2c = body.pop("s2c", None)
        if isinstance(s2c, dict):
            accounts = s2c.get("accList")
            listed = accounts if isinstance(accounts, list) else []
            mine = [one for one in listed if isinstance(one, dict) and _number(one.get("accID")) in allowed]
            body["s2c"] = {**s2c, "accList": mine}
        return msgspec.json.encode(body)
    message = decode_untrusted(opend.GetAccListResponse, outcome.body, outcome.proto_fmt)
    if not message.HasField("s2c"):
        return outcome.body
    own = [account for account in message.s2c.accList if account.accID in allowed]
    del message.s2c.accList[:]
    message.s2c.accList.extend(own)
    return encode(message)


def _number(value: object) -> int | None:
    """A whole number, or one as text, as protobuf's JSON writes 64 bits: digits and nothing else."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) <= 20):
        return None
    return int(value)
