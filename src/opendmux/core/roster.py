"""Which accounts OpenD has, as far as is known: learned from its account lists.

Needed for keys that name accounts by card number, for streams whose key may see all accounts, and because OpenD takes
no order of a real account on a connection that has not read them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from opendmux.errors import RemoteProtocolError
from opendmux.wire.frame import RetType
from opendmux.wire.messages import decode_untrusted, encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .answers import verdict
from .commands import Ask, Command, Outcome
from .keys import Key

__all__ = ["AGAIN_S", "Roster"]

SECURITY, FUTURE = 1, 2
"""Trd_Common.TrdCategory: OpenD answers for one of them at a time."""

AGAIN_S = 10.0
"""After OpenD did not tell its accounts, it is asked again so much later."""

Told: TypeAlias = Callable[[float], list[Command]]


class Roster:
    """The accounts of one OpenD. ``lane``: one that trades; ``ready``: it can be asked."""

    def __init__(self, lane: int, ready: Callable[[], bool]) -> None:
        self._lane = lane
        self._ready = ready
        self._cards: dict[int, frozenset[str]] = {}
        """By account: its card numbers."""
        self._waiting: list[Told] = []
        self._again_at: float | None = None
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
        """All accounts of OpenD that the key may use. One that OpenD does not have is left out: asked for it, OpenD
        would refuse the accounts of all others with it."""
        allowed = self.allowed(key)
        return frozenset(self._cards) if allowed is None else allowed & self._cards.keys()

    def when_known(self, told: Told, now: float) -> list[Command]:
        """Call ``told`` once the accounts are known: at once, or after asking. It is called as well when OpenD can't be
        asked or does not tell; ``known`` says which."""
        if self.known or not self._ready():
            return told(now)
        self._waiting.append(told)
        self._again_at = None
        return [self._ask(SECURITY, {})] if len(self._waiting) == 1 else []

    def read(self, now: float) -> list[Command]:
        """Read the lists on this connection, unless they are known: nobody waits for them."""
        return self.when_known(lambda _later: [], now)

    def due(self, now: float) -> bool:
        """It is time to ask again what OpenD did not tell."""
        return self._again_at is not None and now >= self._again_at

    def link_lost(self) -> None:
        """OpenD may come back with another user."""
        self.known = False
        self._again_at = None

    def _ask(self, category: int, found: dict[int, frozenset[str]]) -> Ask:
        """``found``: what the lists before this one hold."""
        c2s = opend.GetAccListC2S(userID=0, trdCategory=category, needGeneralSecAccount=True)

        def then(outcome: Outcome, now: float) -> list[Command]:
            heard = _heard(outcome, found, optional=category == FUTURE)
            if heard and category == SECURITY and self._ready():
                return [self._ask(FUTURE, found)]
            self.known = heard and category == FUTURE
            if self.known:
                self._cards = found
            else:
                self._again_at = now + AGAIN_S
            waiting, self._waiting = self._waiting, []
            return [command for told in waiting for command in told(now)]

        return Ask(self._lane, ProtoId.TRD_GET_ACC_LIST, encode(opend.GetAccListRequest(c2s=c2s)), then)


def _heard(outcome: Outcome, found: dict[int, frozenset[str]], *, optional: bool) -> bool:
    """Read an account list into ``found``; False when there is none. ``optional``: a refusal stands for an empty one,
    for not every user may have such accounts."""
    ret_type, _ret_msg = verdict(outcome)
    if ret_type != RetType.SUCCEED:
        return optional and ret_type == RetType.FAILED
    try:
        accounts = decode_untrusted(opend.GetAccListResponse, outcome.body, outcome.proto_fmt).s2c.accList
    except RemoteProtocolError:
        return False
    for account in accounts:
        cards = frozenset(card for card in (account.cardNum, account.uniCardNum) if card)
        found[account.accID] = found.get(account.accID, frozenset()) | cards
    return True
