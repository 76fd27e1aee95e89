"""What becomes of decisions: counted for the metrics, put down in the audit, and replies that wait for that.

A trade write's reply leaves when its record is on disk. It keeps its place in the client's outbox meanwhile, so that an
order push can't overtake it; the wait has a deadline (see `AuditLog.write`), after which the reply leaves all the same:
the order has been executed, and its owner must know.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Final

import trio

from opendmux.core.answers import name_of
from opendmux.core.audit import (
    INVALID_KEY,
    MISSING_KEY,
    NO_KEY,
    AuditEvent,
    AuditOutcome,
    OrderSummary,
    args_hash_of,
    order_summary_untrusted,
)
from opendmux.core.commands import Failure, Forward, Reply, Request, Witness
from opendmux.core.conditions import Kind
from opendmux.core.denial import Denial, DenialKind
from opendmux.core.identity import Session
from opendmux.core.keys import Scopes
from opendmux.core.packet import is_real_untrusted
from opendmux.core.rejects import Cause
from opendmux.wire.protocols import PACKET_ID_IDS, PROTOCOLS, WRITE_IDS, ProtoId
from opendmux.wording import masked, printable

from .house import House

__all__ = ["Notary"]

log = logging.getLogger("opendmux.audit")

AUDITED_IDS = WRITE_IDS | PACKET_ID_IDS | {ProtoId.TRD_UNLOCK_TRADE}
"""What is put down whoever asks; refusals of keys are as well."""

UNKNOWN_WHY: Final = {
    Failure.LOST.value: "the connection was lost before the answer",
    Failure.TIMEOUT.value: "no answer came in time",
    Failure.CORRUPT.value: "the answer was damaged",
}
"""Why nobody knows how a trade request ended."""

TERM_CHARS: Final = 64
"""Of a word of an order in a sentence: clients write codes and numbers of orders as they like."""


SAID_OF: Final = frozenset({DenialKind.UNAUTHENTICATED, DenialKind.PERMISSION, DenialKind.LIMIT})
"""Refusals that are about the client. Those about OpenD, of which an outage makes many, are for the debug level."""


class Notary:
    """Of one hub. ``opend``: the name of its OpenD; empty for what is no hub's."""

    def __init__(self, house: House, opend: str = "") -> None:
        self._house = house
        self._opend = opend

    def denied(self, reply: Reply) -> None:
        """A request was turned away."""
        denial, session = reply.denial, reply.session
        assert denial is not None, "a reply without a denial is none"
        tally, key_id = self._house.access.tally, _key_id(session, denial)
        if denial.kind is DenialKind.LIMIT:
            tally.limit_reject(session.transport, key_id, denial.reason)
        elif denial.kind in (DenialKind.UNAUTHENTICATED, DenialKind.PERMISSION):
            tally.auth(session.transport, "reject", key_id)
        cause = Cause(
            session.transport,
            (reply.request and reply.request.peer) or session.peer,
            key_id,
            session.client_id,
            reply.proto_id,
            denial.kind.value,
            denial.reason,
        )
        self._house.rejects.add(cause, denial.text, time.time())
        level = logging.INFO if denial.kind in SAID_OF else logging.DEBUG
        name = name_of(reply.proto_id)
        about = "" if denial.text.startswith(name) else f"{name} "  # most texts begin with it
        log.log(level, "%s: %srefused: %s", session, about, denial.text)
        if self._house.audit is None or reply.request is None:
            return
        admission = denial.kind is DenialKind.UNAUTHENTICATED or (
            denial.kind is DenialKind.PERMISSION and reply.proto_id == ProtoId.INIT_CONNECT
        )
        if session.key is not None or admission or reply.proto_id in AUDITED_IDS:
            came_to_us = denial.kind in (DenialKind.UNAVAILABLE, DenialKind.TIMEOUT)
            outcome: AuditOutcome = "failure" if came_to_us else "reject"
            event = _event(reply.request, outcome, key_id, denial.reason, denial.scope)
            self._house.audit.write(event)

    def turned_away(self, iface: str, peer: str, denial: Denial) -> None:
        """Somebody came with no key, or with one that is not good."""
        key_id = MISSING_KEY if denial.reason == "missing" else INVALID_KEY
        self._house.access.tally.auth(iface, "reject", key_id)
        host = peer.rpartition(":")[0] or peer  # each of its attempts comes from another port
        cause = Cause(iface, host, key_id, "", 0, denial.kind.value, denial.reason)
        self._house.rejects.add(cause, denial.text, time.time())
        about = {"peer": peer, "transport": iface, "key": key_id}
        log.info("%s: turned away: %s", peer, denial.text, extra=about)
        if self._house.audit is not None:
            self._house.audit.write(AuditEvent(iface, peer, key_id, "admission", "reject", denial.reason, denial.scope))

    def ended(self, iface: str, peer: str, key_id: str, whom: str) -> None:
        """Somebody's session was ended on request of another."""
        about = {"peer": peer, "transport": iface, "key": key_id}
        log.warning("%s was closed by %s of %s", whom, key_id, peer, extra=about)
        if self._house.audit is not None:
            self._house.audit.write(AuditEvent(iface, peer, key_id, "close client", "success", whom))

    def sent(self, forward: Forward, upstream_serial: int) -> None:
        """A request has been let through and given its upstream serial."""
        request = forward.request
        if self._house.audit is not None and (request.proto_id in AUDITED_IDS or self._house.audit_reads):
            self._house.audit.write(_event(request, "allow", scope=_scope_of(request), upstream_serial=upstream_serial))

    def witness(
        self, witness: Witness, go: Callable[[Reply], None], hold: Callable[[Reply], Callable[[], None]]
    ) -> None:
        """Put down how something ended. Its reply leaves by ``go``, at once where no audit is kept; else ``hold`` keeps
        its place and returns what to call when it may leave."""
        request, reply = witness.request, witness.reply
        level = logging.WARNING if witness.outcome == "unknown" else logging.INFO
        said = f"{name_of(request.proto_id)} {witness.outcome} {witness.note}".rstrip()
        log.log(level, "%s: %s", request.session, said)
        if request.proto_id == ProtoId.INIT_CONNECT and witness.outcome == "allow":
            self._house.access.tally.auth(request.session.transport, "allow", _key_id(request.session, None))
        if witness.outcome == "unknown" and request.proto_id in PACKET_ID_IDS:
            self._tell_unknown(witness)
        audit = self._house.audit
        if audit is None:
            if reply is not None:
                go(reply)
            return
        event = _event(
            request,
            witness.outcome,
            reason=witness.reason or witness.note,
            scope=witness.scope,
            upstream_serial=witness.upstream_serial,
        )
        if reply is None:
            audit.write(event)
            return
        leave = hold(reply)

        def noted(on_disk: bool) -> None:
            if not on_disk:
                log.error(
                    "%s: the reply to %s leaves without its audit record", request.session, name_of(reply.proto_id)
                )
            leave()

        audit.write(event, then=noted)

    def _tell_unknown(self, witness: Witness) -> None:
        request = witness.request
        who = str(request.session) if request.session.key is None else f"key {request.session.key.id}"
        why = UNKNOWN_WHY.get(witness.note) or UNKNOWN_WHY.get(witness.reason) or "OpenD gave no verdict"
        order = order_summary_untrusted(request.proto_id, request.proto_fmt, request.body)
        figures = f"{name_of(request.proto_id)}: {why}. {_terms_untrusted(order)}".rstrip()
        self._house.conditions.happened(Kind.OUTCOME_UNKNOWN, who, trio.current_time(), figures, opend=self._opend)


def _terms_untrusted(order: OrderSummary) -> str:
    """The order, as a sentence for those who have to look for it; of the account its last digits, since alerts go to
    places of others. Empty where it can't be read."""
    words = []
    for label, value in order.items():
        text = f"{value:.10g}" if isinstance(value, float) else str(value)
        if isinstance(value, list):
            text = " ".join(value)
        if label == "acc_id":
            words.append(f"account ...{text[-4:]}")
        else:
            words.append(f"{label.replace('_', ' ')} {printable(masked(text))[:TERM_CHARS]}")
    return f"The order: {', '.join(words)}." if words else ""


def _key_id(session: Session, denial: Denial | None) -> str:
    if session.key is not None:
        return session.key.id
    if denial is not None and denial.kind is DenialKind.UNAUTHENTICATED:
        return MISSING_KEY if denial.reason == "missing" else INVALID_KEY
    return NO_KEY


def _scope_of(request: Request) -> str:
    """The scope by which a request was let through; empty when none was needed."""
    key, protocol = request.session.key, PROTOCOLS.get(request.proto_id)
    if key is None:
        return ""
    if protocol is None:
        return Scopes.TRADE_REAL
    if protocol.scope == "trade":
        real = is_real_untrusted(request.proto_id, request.proto_fmt, request.body)
        return Scopes.TRADE_REAL if real else Scopes.TRADE_SIMULATE
    if protocol.scope == Scopes.TRADE_UNLOCK and Scopes.TRADE_UNLOCK not in key.scopes:
        return Scopes.TRADE_REAL
    return "" if protocol.scope == "none" else protocol.scope


def _event(
    request: Request,
    outcome: AuditOutcome,
    key_id: str = "",
    reason: str = "",
    scope: str = "",
    upstream_serial: int = 0,
) -> AuditEvent:
    session, proto_id = request.session, request.proto_id
    # An unlock's body is a password's hash, InitConnect's may be a key.
    secret = proto_id in (ProtoId.TRD_UNLOCK_TRADE, ProtoId.INIT_CONNECT)
    return AuditEvent(
        iface=session.transport,
        peer=request.peer or session.peer,
        key_id=key_id or _key_id(session, None),
        endpoint=f"proto_id={proto_id}",
        outcome=outcome,
        reason=reason,
        scope=scope,
        args_hash="" if secret else args_hash_of(request.body),
        order=order_summary_untrusted(proto_id, request.proto_fmt, request.body),
        upstream_serial=upstream_serial,
    )
