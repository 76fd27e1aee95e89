"""What a key's lists say to requests for pushes. What they say to orders: tests/core/test_tradegate.py; to pushes that
come: tests/core/test_visibility.py."""

from __future__ import annotations

import json

import pytest

from opendmux.core.commands import Reply
from opendmux.core.denial import DenialKind
from opendmux.core.keys import Key, KeyLimits
from opendmux.core.markets import covered_markets
from opendmux.core.whitelists import unseen
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from tests.core.key_kit import key
from tests.core.playbook import Line, Play
from tests.core.quote_kit import AAPL, HSBC, TENCENT
from tests.runtime.bodies import sub, unsub_all

CONTRACT = (101, "KXFED")
IN_VAIN = "3001 Qot_Sub was not sent: allowed_symbols is HK.00700; this key may get no pushes of US.AAPL"


def limited(*, markets: list[str] | None = None, symbols: list[str] | None = None) -> Key:
    limits = KeyLimits(
        allowed_markets=None if markets is None else covered_markets(markets),
        allowed_symbols=None if symbols is None else frozenset(symbols),
    )
    return key("qot:read", limits=limits)


def register(*securities: tuple[int, str], on: bool = True) -> bytes:
    return encode(
        opend.RegQotPushRequest(
            c2s=opend.RegQotPushC2S(
                securityList=[opend.Security(market=market, code=code) for market, code in securities],
                subTypeList=[1],
                isRegOrUnReg=on,
            )
        )
    )


def contracts(*, on: bool = True, push: bool = True) -> bytes:
    return encode(
        opend.SubEventContractRequest(
            c2s=opend.SubEventContractC2S(
                securityList=[opend.Security(market=CONTRACT[0], code=CONTRACT[1])],
                subTypeList=[1],
                isSubOrUnSub=on,
                isRegOrUnRegPush=push,
            )
        )
    )


def said(lines: list[Line]) -> str:
    """The text of the one refusal."""
    ((kind, _owner, _proto_id, _serial, ret_type, text),) = lines
    assert (kind, ret_type) == ("reply", -1)
    assert isinstance(text, str)
    return text


@pytest.mark.parametrize(
    ("markets", "symbols", "security", "reason", "words"),
    [
        (["HK"], None, AAPL, "market", "allowed_markets is HK, HK_FUTURE; this key may get no pushes of US.AAPL"),
        ([], None, TENCENT, "market", "allowed_markets is empty; this key may get no pushes of HK.00700"),
        (None, ["HK.00700"], HSBC, "symbol", "allowed_symbols is HK.00700; this key may get no pushes of HK.00005"),
        (["US"], ["HK.00700"], TENCENT, "market", "allowed_markets is US; this key may get no pushes of HK.00700"),
        (["US"], ["HK.00700"], AAPL, "symbol", "allowed_symbols is HK.00700; this key may get no pushes of US.AAPL"),
        (["US"], None, (99, "X"), "market", "this key may get no pushes of X of an unknown market"),
        (["US"], None, (1, "a\nb" + "c" * 99), "market", "no pushes of HK.a?b" + "c" * 37),
    ],
)
def test_the_sentence_names_the_security_and_the_setting(
    markets: list[str] | None, symbols: list[str] | None, security: tuple[int, str], reason: str, words: str
) -> None:
    denial = unseen(limited(markets=markets, symbols=symbols), 3001, [security])
    assert denial is not None
    assert (denial.kind, denial.reason) == (DenialKind.PERMISSION, reason)
    assert denial.text.startswith("3001 Qot_Sub was not sent: ")
    assert denial.text.endswith(words)


def test_what_is_listed_and_keys_without_lists_are_never_refused() -> None:
    assert unseen(None, 3001, [AAPL, (99, "X")]) is None
    assert unseen(key("qot:read"), 3001, [AAPL, (99, "X")]) is None
    assert unseen(limited(markets=["HK"], symbols=["HK.00700"]), 3001, [TENCENT]) is None
    assert unseen(limited(markets=["HK"]), 3001, [TENCENT, (2, "HSImain")]) is None
    assert unseen(limited(markets=["CN"]), 3001, [(21, "600519"), (22, "000001")]) is None


def test_one_security_outside_refuses_the_whole_subscription() -> None:
    play = Play()
    session = play.caller(1, limited(symbols=["HK.00700"]), streams=1)
    assert said(play.send(session, 3001, sub([TENCENT, AAPL], [1]))) == IN_VAIN
    (reply,) = play.commands
    assert isinstance(reply, Reply)
    assert reply.denial is not None, "so that it gets its audit line, and its status over gRPC and HTTP"
    assert reply.request is not None
    assert not play.waiting
    assert not play.main.ledger.owners_with_subscriptions()
    play.send(session, 3001, sub([TENCENT], [1]))
    assert play.answer()[0][4] == 0


def test_a_json_client_is_told_too() -> None:
    play = Play()
    session = play.caller(1, limited(symbols=["HK.00700"]), streams=1)
    body = {
        "c2s": {
            "securityList": [{"market": 11, "code": "AAPL"}],
            "subTypeList": [1],
            "isSubOrUnSub": True,
            "isRegOrUnRegPush": True,
        }
    }
    ((*_, text),) = play.send(session, 3001, json.dumps(body).encode(), proto_fmt=1)
    assert isinstance(text, str)
    assert json.loads(text)["retMsg"] == IN_VAIN


def test_a_registration_outside_is_refused_and_polling_is_not() -> None:
    """A subscription without registration brings no push: it is there to ask for quotes, which no list limits."""
    play = Play()
    session = play.caller(1, limited(markets=["HK"]), streams=1)
    for push in (False, None):
        play.send(session, 3001, sub([AAPL], [1], register=push))
        play.answer_all()
    assert play.main.ledger.owners_with_subscriptions()
    text = said(play.send(session, 3002, register(TENCENT, AAPL)))
    assert text.startswith("3002 Qot_RegQotPush was not sent: allowed_markets is HK")
    assert text.endswith("no pushes of US.AAPL")


def test_event_contracts() -> None:
    play = Play()
    session = play.caller(1, limited(markets=["HK"]), streams=1)
    text = said(play.send(session, 3455, contracts()))
    assert text.endswith("this key may get no pushes of EC.KXFED")
    session.key = limited(markets=["PREDICTION"])
    assert play.send(session, 3455, contracts())[0][0] == "ask"


def test_the_end_of_a_subscription_is_never_refused() -> None:
    """The key had no lists when it subscribed."""
    play = Play()
    session = play.caller(1, key("qot:read"), streams=1)
    play.send(session, 3001, sub([AAPL, TENCENT], [1]))
    play.answer_all()
    session.key = limited(markets=[])
    for proto_id, body in (
        (3002, register(AAPL, on=False)),
        (3001, sub([AAPL], [1], subscribe=False)),
        (3455, contracts(on=False)),
        (3001, unsub_all()),
    ):
        (line,) = play.send(session, proto_id, body)
        assert (line[0], line[4]) == ("reply", 0), line


def test_one_list_of_many_is_cut_short() -> None:
    denial = unseen(limited(symbols=[f"US.A{number}" for number in range(9)]), 3001, [AAPL])
    assert denial is not None
    assert "US.A4 and 4 more" in denial.text
