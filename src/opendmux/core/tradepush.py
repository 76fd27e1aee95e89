"""A trade push: the account and the securities that it is about, for those who may see only some of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from opendmux.errors import RemoteProtocolError
from opendmux.wire.protocols import ProtoId

from .markets import QOT_MARKETS
from .pushbody import Body, Place

__all__ = ["ACC_ID", "traded_untrusted"]

SEC_MARKETS: Final[Mapping[int, str]] = {
    1: "HK",
    2: "US",
    31: "SH",
    32: "SZ",
    41: "SG",
    51: "JP",
    61: "AU",
    71: "MY",
    81: "CA",
    91: "FX",
    101: "CC",
    111: "EC",
}
"""Trd_Common.TrdSecMarket, by the names of markets.py."""

TRD_MARKETS: Final[Mapping[int, str]] = {
    1: "HK",
    2: "US",
    3: "CN",
    4: "HKCC",
    6: "SG",
    7: "CC",
    8: "AU",
    10: "HK",
    11: "US",
    12: "SG",
    13: "JP",
    15: "JP",
    17: "EC",
    111: "MY",
    112: "CA",
    113: "HK",
    123: "US",
    124: "SG",
    125: "MY",
    126: "JP",
}
"""Trd_Common.TrdMarket, where it says where something is listed."""

ACC_ID = Place(bytes([4, 1, 2]), ("s2c", "header", "accID"))
HEADER_MARKET = Place(bytes([4, 1, 3]), ("s2c", "header", "trdMarket"))

ORDER_CODE = Place(bytes([4, 2, 6]), ("s2c", "order", "code"))
ORDER_MARKET = Place(bytes([4, 2, 15]), ("s2c", "order", "secMarket"))
LEGS = Place(bytes([4, 2, 32]), ("s2c", "order", "comboLegs"))
LEG_SECURITY = Place(bytes([1]), ("security",))

FILL_CODE = Place(bytes([4, 2, 6]), ("s2c", "orderFill", "code"))
FILL_MARKET = Place(bytes([4, 2, 13]), ("s2c", "orderFill", "secMarket"))


def traded_untrusted(proto_id: int, body: Body) -> list[tuple[str, str]]:
    """(market, code) of what the push is about, with the market's name: one security, or all legs of a combination.

    Without a code there is only the market of the account, and an empty code. Raises RemoteProtocolError.
    """
    if proto_id == ProtoId.TRD_UPDATE_ORDER:
        legs = [(QOT_MARKETS.get(leg.market, ""), leg.code) for leg in body.items_untrusted(LEGS, LEG_SECURITY)]
        return legs or [_one_untrusted(body, ORDER_CODE, ORDER_MARKET)]
    if proto_id == ProtoId.TRD_UPDATE_ORDER_FILL:
        return [_one_untrusted(body, FILL_CODE, FILL_MARKET)]
    return [(TRD_MARKETS.get(body.int32_untrusted(HEADER_MARKET), ""), "")]


def _one_untrusted(body: Body, code: Place, market: Place) -> tuple[str, str]:
    text = body.text_untrusted(code)
    if not text:
        raise RemoteProtocolError("no security in it")
    sec_market = body.int32_untrusted(market)
    if sec_market:
        return SEC_MARKETS.get(sec_market, ""), text
    return TRD_MARKETS.get(body.int32_untrusted(HEADER_MARKET), ""), text
