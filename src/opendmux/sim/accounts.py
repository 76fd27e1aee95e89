"""Accounts: cash, what open orders have frozen, positions. Exact integers, no clock, no market."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .dice import number
from .numbers import PRICE_UNIT, Currency, QotMarket, TrdEnv, TrdMarket
from .refusal import Refused

if TYPE_CHECKING:
    from .securities import SecKey

__all__ = ["SEC_MARKET", "Account", "Position", "convert", "default_accounts", "trd_market_of"]

SEC_MARKET: dict[int, int] = {
    QotMarket.HK: 1,
    QotMarket.US: 2,
    QotMarket.SH: 31,
    QotMarket.SZ: 32,
    QotMarket.SG: 41,
    QotMarket.JP: 51,
    QotMarket.AU: 61,
    QotMarket.MY: 71,
    QotMarket.CA: 81,
    QotMarket.FX: 91,
    QotMarket.CC: 101,
    QotMarket.EVENT: 111,
}
"""QotMarket -> TrdSecMarket."""

_HKD_PER = {
    Currency.HKD: 1.0,
    Currency.USD: 7.8,
    Currency.CNH: 1.09,
    Currency.JPY: 0.052,
    Currency.SGD: 5.8,
    Currency.AUD: 5.1,
    Currency.CAD: 5.6,
    Currency.MYR: 1.8,
}
"""Fixed exchange rates, for totals only: nothing is ever exchanged."""


@dataclass(slots=True)
class Position:
    """What an account holds of one security. Money in 1/10,000 of the currency."""

    key: SecKey
    currency: Currency
    position_id: int
    qty: int = 0
    frozen: int = 0
    """Part of ``qty`` that open sell orders have reserved."""
    cost: int = 0
    """What the held shares cost."""
    realized: int = 0
    bought: int = 0
    bought_value: int = 0
    sold: int = 0
    sold_value: int = 0

    @property
    def sellable(self) -> int:
        return self.qty - self.frozen


@dataclass(slots=True)
class Account:
    """One trading account. No credit is given, so ``cash`` never falls below what is frozen of it."""

    acc_id: int
    trd_env: TrdEnv
    markets: tuple[int, ...]
    """TrdMarket list it may trade."""
    acc_type: int
    """TrdAccType: 1 cash, 2 margin."""
    cash: dict[Currency, int]
    universal: bool = False
    """Listed only to clients that ask for general accounts."""
    security_firm: int = 0
    sim_acc_type: int = 0
    card_num: str = ""
    frozen: dict[Currency, int] = field(default_factory=dict)
    positions: dict[SecKey, Position] = field(default_factory=dict)

    def available(self, currency: Currency) -> int:
        """Cash that no open order has reserved."""
        return self.cash.get(currency, 0) - self.frozen.get(currency, 0)

    def sellable(self, key: SecKey) -> int:
        position = self.positions.get(key)
        return position.sellable if position else 0

    def reserve_cash(self, currency: Currency, amount: int) -> None:
        """Freeze cash for a buy order. Raises Refused when there is not enough."""
        free = self.available(currency)
        if amount > free:
            raise Refused(
                f"insufficient buying power: the order needs {_money(amount)} {currency.name}, "
                f"{_money(free)} {currency.name} is available"
            )
        self.frozen[currency] = self.frozen.get(currency, 0) + amount

    def release_cash(self, currency: Currency, amount: int) -> None:
        self.frozen[currency] -= amount

    def reserve_shares(self, key: SecKey, qty: int) -> None:
        """Freeze shares for a sell order. Raises Refused when the account does not hold so many."""
        free = self.sellable(key)
        if qty > free:
            raise Refused(f"insufficient position: {qty} to sell, {free} can be sold")
        if qty:
            self.positions[key].frozen += qty

    def release_shares(self, key: SecKey, qty: int) -> None:
        self.positions[key].frozen -= qty

    def buy(self, key: SecKey, currency: Currency, qty: int, price: int) -> None:
        """Book a bought lot; the reservation is the caller's to release."""
        position = self.positions.get(key)
        if position is None:
            position_id = number("position", self.acc_id, *key) >> 1
            position = self.positions[key] = Position(key, currency, position_id)
        self.cash[currency] = self.cash.get(currency, 0) - qty * price
        position.qty += qty
        position.cost += qty * price
        position.bought += qty
        position.bought_value += qty * price

    def sell(self, key: SecKey, qty: int, price: int) -> None:
        """Book a sold lot; the reservation is the caller's to release."""
        position = self.positions[key]
        cost = position.cost * qty // position.qty
        self.cash[position.currency] += qty * price
        position.qty -= qty
        position.cost -= cost
        position.realized += qty * price - cost
        position.sold += qty
        position.sold_value += qty * price


def convert(amount: float, source: Currency, target: Currency) -> float:
    """An amount at the fixed exchange rate."""
    return amount * _HKD_PER[source] / _HKD_PER[target]


def trd_market_of(key: SecKey, trd_env: TrdEnv) -> int:
    """The TrdMarket in which an account trades a security; 0 when the simulator has no account for that."""
    market = key[0]
    if market == QotMarket.HK:
        return TrdMarket.HK
    if market == QotMarket.US:
        return TrdMarket.US
    if market in {QotMarket.SH, QotMarket.SZ}:
        return TrdMarket.HKCC if trd_env == TrdEnv.REAL else TrdMarket.CN
    return 0


def default_accounts(seed: int) -> list[Account]:
    """A real universal margin account for HK, US and Stock Connect, and a paper account each for HK and US."""
    million = 1_000_000 * PRICE_UNIT
    return [
        Account(
            acc_id=281_756_000_000_000_000 + number(seed, "account") % 1_000_000_000_000,
            trd_env=TrdEnv.REAL,
            markets=(TrdMarket.HK, TrdMarket.US, TrdMarket.HKCC),
            acc_type=2,
            cash={Currency.HKD: million, Currency.USD: million // 5, Currency.CNH: million // 2},
            universal=True,
            security_firm=1,
            card_num=f"1001{number(seed, 'card') % 10**12:012}",
        ),
        Account(
            acc_id=3_000_000 + number(seed, "paper hk") % 1_000_000,
            trd_env=TrdEnv.SIMULATE,
            markets=(TrdMarket.HK,),
            acc_type=1,
            cash={Currency.HKD: million},
            sim_acc_type=1,
        ),
        Account(
            acc_id=4_000_000 + number(seed, "paper us") % 1_000_000,
            trd_env=TrdEnv.SIMULATE,
            markets=(TrdMarket.US,),
            acc_type=2,
            cash={Currency.USD: million},
            sim_acc_type=1,
        ),
    ]


def _money(amount: int) -> str:
    return f"{amount / PRICE_UNIT:,.2f}"
