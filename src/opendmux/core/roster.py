"""Which accounts OpenD has, as far as is known: learned from its account lists.

Needed for keys that name accounts by card number, and for streams whose key may see all accounts.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import RetType
from opendmux.wire.messages import decode_untrusted, encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .commands import Ask, Command, Outcome
from .keys import Key

__all__ = ["Roster"]

SECURITY, FUTURE = 1, 2
"""Trd_Common.TrdCategory: OpenD answers for one of them at a time."""

Told: TypeAlias = Callable[[float], list[Command]]


class Roster:
    """The accounts of one OpenD. ``lane``: the one that trades."""

    def __init__(self, lane: int) -> None:
        self._lane = lane
        self._cards: dict[int, frozenset[str]] = {}
        """By account: its card numbers."""
        self._waiting: list[Told] = []
        self.known = False
        """Both lists have been read since the link was made."""

    def allowed(self, key: Key) -> frozenset[int] | None:
        """The accounts that the key may use; None: all. A card number that is not known here gives none."""
        cards = key.allowed_card_nums
        if cards is None:
            return key.allowed_acc_ids
        carded = frozenset(acc_id for acc_id, its_cards in self._cards.items() if its_cards & cards)
        return carded if key.allowed_acc_ids is None else carded & key.allowed_acc_ids

    def visible(self, key: Key) -> frozenset[int]:
        """All known accounts that the key may use."""
        allowed = self.allowed(key)
        return frozenset(self._cards) if allowed is None else allowed

    def learn_untrusted(self, body: bytes, proto_fmt: int) -> None:
        """Read an account list."""
        for account in decode_untrusted(opend.GetAccListResponse, body, proto_fmt).s2c.accList:
            cards = {card for card in (account.cardNum, account.uniCardNum) if card}
            self._cards[account.accID] = self._cards.get(account.accID, frozenset()) | cards

    def when_known(self, told: Told, now: float) -> list[Command]:
        """Call ``told`` once the accounts are known: at once, or after asking. It is called as well when OpenD does
        not tell."""
        if self.known:
            return told(now)
        self._waiting.append(told)
        return [self._ask(SECURITY)] if len(self._waiting) == 1 else []

    def link_lost(self) -> None:
        """OpenD may come back with another user."""
        self.known = False

    def _ask(self, category: int) -> Ask:
        c2s = opend.GetAccListC2S(userID=0, trdCategory=category, needGeneralSecAccount=True)

        def then(outcome: Outcome, now: float) -> list[Command]:
            heard = self._heard(outcome)
            if heard and category == SECURITY:
                return [self._ask(FUTURE)]
            self.known = heard
            waiting, self._waiting = self._waiting, []
            return [command for told in waiting for command in told(now)]

        return Ask(self._lane, ProtoId.TRD_GET_ACC_LIST, encode(opend.GetAccListRequest(c2s=c2s)), then)

    def _heard(self, outcome: Outcome) -> bool:
        if outcome.failure is not None:
            return False
        try:
            self.learn_untrusted(outcome.body, outcome.proto_fmt)
            head = decode_untrusted(opend.ResponseHead, outcome.body, outcome.proto_fmt)
        except RemoteProtocolError:
            return False
        return bool(head.retType == RetType.SUCCEED)
