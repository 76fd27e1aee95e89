"""What a key's lists say to an order (scope, account, market, symbol, side) and to pushes of quotes (market, symbol).
Nothing here counts anything."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from opendmux.wording import printable

from .answers import name_of
from .denial import WITHOUT_KEYS, Denial, DenialKind
from .keys import Key, KeyLimits, Scopes
from .keyvalues import ANONYMOUS
from .markets import QOT_MARKETS
from .orders import OrderFacts, Terms

__all__ = [
    "about_orders",
    "about_securities",
    "about_values",
    "allowed",
    "in_whitelists",
    "lacking",
    "lists",
    "paced",
    "permitted",
    "scoped",
    "unseen",
]

SHOWN: Final = 5
"""Of an allowed list, in a text."""
CODE_SHOWN: Final = 40
"""Characters of a code that a client has chosen, in a text."""


def paced(limits: KeyLimits) -> bool:
    """When an order comes decides whether it may pass."""
    return limits.max_orders_per_minute is not None or limits.hours_window is not None


def about_orders(limits: KeyLimits) -> bool:
    """What an order is decides whether it may pass."""
    return about_values(limits) or about_securities(limits) or limits.allowed_trd_sides is not None


def about_securities(limits: KeyLimits) -> bool:
    """Which security it is about decides whether an order, or a push of quotes, may pass."""
    return limits.allowed_markets is not None or limits.allowed_symbols is not None


def about_values(limits: KeyLimits) -> bool:
    return limits.max_order_value is not None or limits.max_daily_value is not None


def scoped(key: Key, real: bool) -> Denial | None:
    """The scope that trdEnv asks for."""
    scope = Scopes.TRADE_REAL if real else Scopes.TRADE_SIMULATE
    if scope in key.scopes:
        return None
    return lacking(key, scope)


def lacking(key: Key, scope: str) -> Denial:
    """The key has not got this scope."""
    text = f"it needs {scope}{WITHOUT_KEYS}" if key.id == ANONYMOUS else f"this key lacks {scope}"
    return Denial(DenialKind.PERMISSION, "scope", text, scope=scope)


def permitted(key: Key, real: bool, facts: OrderFacts | None, accounts: frozenset[int] | None) -> Denial | None:
    """The scope that trdEnv asks for, and the account. ``accounts``: those that the key may use; None: all."""
    denial = scoped(key, real)
    if denial is not None:
        return denial
    if accounts is None or (facts is not None and facts.acc_id in accounts):
        return None
    # Whether the account exists is not said.
    name = "allowed_card_nums" if key.allowed_acc_ids is None else "allowed_acc_ids"
    which = "its account" if facts is None else f"account {facts.acc_id}"
    return Denial(DenialKind.PERMISSION, "account", f"{name}: this key may not use {which}")


def allowed(limits: KeyLimits, terms: Terms) -> Denial | None:
    """Market, symbol and side, of every leg."""
    for leg in terms.legs:
        security = leg.security
        if limits.allowed_markets is not None and limits.allowed_markets.isdisjoint(security.markets):
            return _not_in("market", "allowed_markets", limits.allowed_markets, security.market or "an unknown market")
        if limits.allowed_symbols is not None and limits.allowed_symbols.isdisjoint(security.symbols):
            symbol = security.symbol if security.market else f"{security.code} of an unknown market"
            return _not_in("symbol", "allowed_symbols", limits.allowed_symbols, symbol)
        if limits.allowed_trd_sides is not None and leg.side not in limits.allowed_trd_sides:
            return _not_in("side", "allowed_trd_sides", limits.allowed_trd_sides, leg.side or "an unknown side")
    return None


def _not_in(reason: str, name: str, allowed: frozenset[str], asked: str) -> Denial:
    return Denial(DenialKind.PERMISSION, reason, f"{_setting(name, allowed)}; this order is for {asked}")


def _setting(name: str, allowed: frozenset[str]) -> str:
    shown = sorted(allowed)[:SHOWN]
    listed = ", ".join(shown) + (f" and {len(allowed) - SHOWN} more" if len(allowed) > SHOWN else "")
    return f"{name} is {listed or 'empty'}"


# -- pushes of quotes


def lists(limits: KeyLimits, market: str, code: str) -> bool:
    """The security is in the markets and the symbols. ``market``: its name, empty when it is not known."""
    if limits.allowed_markets is not None and market not in limits.allowed_markets:
        return False
    return limits.allowed_symbols is None or f"{market}.{code}" in limits.allowed_symbols


def in_whitelists(key: Key, security: tuple[int, str]) -> bool:
    """The security is in the key's markets and symbols. ``security``: (Qot_Common.QotMarket, code)."""
    return not about_securities(key.limits) or lists(key.limits, QOT_MARKETS.get(security[0], ""), security[1])


def unseen(key: Key | None, proto_id: int, securities: Iterable[tuple[int, str]]) -> Denial | None:
    """Why a request for pushes of these securities is refused as a whole: the first of which the key may see none, for
    it would wait for them in vain. ``securities``: (Qot_Common.QotMarket, code) each."""
    if key is None or not about_securities(key.limits):
        return None
    for number, code in securities:
        market = QOT_MARKETS.get(number, "")
        if not lists(key.limits, market, code):
            shown = printable(code[:CODE_SHOWN])
            which = f"{market}.{shown}" if market else f"{shown} of an unknown market"
            reason, setting = _barring(key.limits, market)
            text = f"{name_of(proto_id)} was not sent: {setting}; this key may get no pushes of {which}"
            return Denial(DenialKind.PERMISSION, reason, text)
    return None


def _barring(limits: KeyLimits, market: str) -> tuple[str, str]:
    """Which of the two lists leaves the security out: the reason's short name, and what the setting says."""
    if limits.allowed_markets is not None and market not in limits.allowed_markets:
        return "market", _setting("allowed_markets", limits.allowed_markets)
    assert limits.allowed_symbols is not None, "one of the two leaves it out"
    return "symbol", _setting("allowed_symbols", limits.allowed_symbols)
