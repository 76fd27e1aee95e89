"""The numbers of OpenD's enums that the simulator uses, under the field's own names."""

from __future__ import annotations

import enum

__all__ = [
    "KL_TYPE_OF_SUB_TYPE",
    "PRICE_UNIT",
    "Currency",
    "KLType",
    "ModifyOrderOp",
    "OrderStatus",
    "OrderType",
    "QotMarket",
    "SecurityType",
    "SubType",
    "TimeInForce",
    "TrdEnv",
    "TrdMarket",
    "TrdSide",
]

PRICE_UNIT = 10_000
"""Prices and money are integers of 1/10,000 of the currency inside the simulator, so that sums are exact."""


class QotMarket(enum.IntEnum):
    HK = 1
    HK_FUTURE = 2
    US = 11
    SH = 21
    SZ = 22
    SG = 31
    JP = 41
    AU = 51
    MY = 61
    CA = 71
    FX = 81
    CC = 91
    EVENT = 101


class SecurityType(enum.IntEnum):
    EQUITY = 3
    INDEX = 6
    OPTION = 8
    FUTURE = 10
    FOREX = 11
    CRYPTO = 12


class SubType(enum.IntEnum):
    BASIC = 1
    ORDER_BOOK = 2
    TICKER = 4
    RT = 5
    KL_DAY = 6
    KL_5MIN = 7
    KL_15MIN = 8
    KL_30MIN = 9
    KL_60MIN = 10
    KL_1MIN = 11
    KL_WEEK = 12
    KL_MONTH = 13
    BROKER = 14
    KL_QUARTER = 15
    KL_YEAR = 16
    KL_3MIN = 17
    KL_10MIN = 18
    KL_120MIN = 19
    KL_180MIN = 20
    KL_240MIN = 21
    ORDER_BOOK_ODD = 22


class KLType(enum.IntEnum):
    MIN_1 = 1
    DAY = 2
    WEEK = 3
    MONTH = 4
    YEAR = 5
    MIN_5 = 6
    MIN_15 = 7
    MIN_30 = 8
    MIN_60 = 9
    MIN_3 = 10
    QUARTER = 11
    MIN_10 = 12
    MIN_120 = 13
    MIN_180 = 14
    MIN_240 = 15

    @property
    def minutes(self) -> int:
        """Length of a bar in minutes; 0 for a day and longer."""
        return _MINUTES.get(self, 0)


_MINUTES = {
    KLType.MIN_1: 1,
    KLType.MIN_3: 3,
    KLType.MIN_5: 5,
    KLType.MIN_10: 10,
    KLType.MIN_15: 15,
    KLType.MIN_30: 30,
    KLType.MIN_60: 60,
    KLType.MIN_120: 120,
    KLType.MIN_180: 180,
    KLType.MIN_240: 240,
}

KL_TYPE_OF_SUB_TYPE = {
    SubType.KL_1MIN: KLType.MIN_1,
    SubType.KL_3MIN: KLType.MIN_3,
    SubType.KL_5MIN: KLType.MIN_5,
    SubType.KL_10MIN: KLType.MIN_10,
    SubType.KL_15MIN: KLType.MIN_15,
    SubType.KL_30MIN: KLType.MIN_30,
    SubType.KL_60MIN: KLType.MIN_60,
    SubType.KL_120MIN: KLType.MIN_120,
    SubType.KL_180MIN: KLType.MIN_180,
    SubType.KL_240MIN: KLType.MIN_240,
    SubType.KL_DAY: KLType.DAY,
    SubType.KL_WEEK: KLType.WEEK,
    SubType.KL_MONTH: KLType.MONTH,
    SubType.KL_QUARTER: KLType.QUARTER,
    SubType.KL_YEAR: KLType.YEAR,
}


class TrdEnv(enum.IntEnum):
    SIMULATE = 0
    REAL = 1


class TrdMarket(enum.IntEnum):
    HK = 1
    US = 2
    CN = 3
    HKCC = 4


class TrdSide(enum.IntEnum):
    BUY = 1
    SELL = 2


class OrderType(enum.IntEnum):
    NORMAL = 1
    MARKET = 2
    ABSOLUTE_LIMIT = 5


class OrderStatus(enum.IntEnum):
    SUBMITTED = 5
    FILLED_PART = 10
    FILLED_ALL = 11
    CANCELLED_PART = 14
    CANCELLED_ALL = 15

    @property
    def open(self) -> bool:
        """Whether the order can still fill."""
        return self in {OrderStatus.SUBMITTED, OrderStatus.FILLED_PART}


class ModifyOrderOp(enum.IntEnum):
    NORMAL = 1
    CANCEL = 2


class TimeInForce(enum.IntEnum):
    DAY = 0
    GTC = 1
    IOC = 2
    GTD = 3


class Currency(enum.IntEnum):
    HKD = 1
    USD = 2
    CNH = 3
    JPY = 4
    SGD = 5
    AUD = 6
    CAD = 7
    MYR = 8
