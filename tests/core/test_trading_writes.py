"""Trade writes: the PacketID, the personal lock, the witness."""

from __future__ import annotations

import json

import pytest

from opendmux.core.commands import Forward
from opendmux.core.denial import DenialKind
from opendmux.core.keys import KeyLimits
from opendmux.wire.messages import encode, ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import PACKET_ID_IDS
from tests.core.key_kit import key, plaintext, ring
from tests.core.playbook import Play
from tests.core.trade_kit import MARKET, place, snapshot, snapshots
from tests.native.wire_format import field, scalar
from tests.runtime.bodies import trade_write


def unlock_body(unlock: bool) -> bytes:
    return encode(opend.UnlockTradeRequest(c2s=opend.UnlockTradeC2S(unlock=unlock, pwdMD5="0" * 32)))


def order_in_json(trd_env: int | None = 0, **more: object) -> bytes:
    header = {"accID": "281756478396547854", "trdMarket": 1, **({} if trd_env is None else {"trdEnv": trd_env})}
    return json.dumps({"c2s": {"packetID": {"connID": "5", "serialNo": 6}, "header": header, **more}}).encode()


@pytest.mark.parametrize("proto_id", sorted(PACKET_ID_IDS))
@pytest.mark.parametrize(("body", "proto_fmt"), [(trade_write(5, 6), 0), (order_in_json(), 1)])
def test_a_write_goes_once_with_upstreams_packet_id(proto_id: int, body: bytes, proto_fmt: int) -> None:
    play = Play()
    assert play.send(play.client(1), proto_id, body, proto_fmt=proto_fmt) == [
        ("forward", 1, proto_id, play.serial, True)
    ]
    (forward,) = play.commands
    assert isinstance(forward, Forward)
    assert forward.request.body == body
    witness, reply = play.lose()
    assert witness == ("witness", 1, proto_id, "unknown")
    assert reply[:4] == ("reply", 1, proto_id, play.serial)
    assert "outcome unknown" in str(reply[-1])
    assert play.waiting == []
    (line,) = play.up()
    assert line[:2] == ("ask", 2001), "the account list, for its next order"
    play.answer_all()
    assert not play.later(100.0), "never again"


@pytest.mark.parametrize("proto_id", sorted(PACKET_ID_IDS))
def test_the_answer_to_a_write_goes_back_byte_for_byte(proto_id: int) -> None:
    play = Play()
    play.send(play.client(1), proto_id, trade_write(5, 6))
    body = scalar(1, 0) + field(4, field(1, b"new"))
    assert play.answer(body=body) == [("witness", 1, proto_id, "success"), ("reply", 1, proto_id, play.serial, 0, "")]
    assert getattr(play.commands[1], "body", b"") == body


def test_a_write_that_json_answers_is_witnessed_as_what_it_is() -> None:
    play = Play()
    play.send(play.client(1), 2202, order_in_json(), proto_fmt=1)
    body = b'{"retType":0,"retMsg":"","errCode":0,"s2c":{"orderID":"1"}}'
    assert play.answer(body=body, proto_fmt=1)[0] == ("witness", 1, 2202, "success")


@pytest.mark.parametrize("proto_id", sorted(PACKET_ID_IDS))
@pytest.mark.parametrize(
    ("body", "proto_fmt", "words"),
    [
        (b'{"c2s":{}}', 1, "trdEnv is missing"),
        (order_in_json(None), 1, "trdEnv is missing"),
        (order_in_json(unheard_of=1), 1, "unheard_of"),
        (b"{", 1, "was not sent"),
        (b"\xff", 0, "was not sent"),
        (b"", 0, "was not sent"),
        (field(1, b"") + field(1, b""), 0, "was not sent"),
        (field(1, field(1, b"") + field(1, b"")), 0, "was not sent"),
    ],
)
def test_a_write_that_can_not_be_patched_is_not_sent(proto_id: int, body: bytes, proto_fmt: int, words: str) -> None:
    play = Play()
    (line,) = play.send(play.client(1), proto_id, body, proto_fmt=proto_fmt)
    assert line[:4] == ("reply", 1, proto_id, play.serial)
    assert words in str(line[-1])
    assert "was not sent" in str(line[-1])
    assert play.waiting == []


SIMULATED = field(1, field(1, scalar(1, 5) + scalar(2, 6)) + field(2, scalar(1, 0) + scalar(2, 10)))
REAL = trade_write(5, 6)
UNSAID = field(1, field(1, scalar(1, 5) + scalar(2, 6)) + field(2, scalar(2, 10)))


@pytest.mark.parametrize("proto_id", sorted(PACKET_ID_IDS))
def test_with_a_personal_lock_real_trades_need_an_unlock_of_ones_own(proto_id: int) -> None:
    play = Play(unlock="own")
    a, b = play.client(1), play.client(2)
    play.send(a, 2005, unlock_body(True))
    play.answer()
    assert play.send(b, proto_id, SIMULATED)[0][0] == "forward"
    for body in (REAL, UNSAID):
        assert play.send(a, proto_id, body)[0][0] == "forward"
        (line,) = play.send(b, proto_id, body)
        assert line[:5] == ("reply", 2, proto_id, play.serial, -1)
        assert "has not unlocked trading" in str(line[5])
    (line,) = play.send(b, proto_id, order_in_json(1), proto_fmt=1)
    assert "has not unlocked trading" in str(line[4])


def test_a_json_unlock_counts_like_any_other() -> None:
    play = Play(unlock="own")
    a = play.client(1)
    play.send(a, 2005, b'{"c2s":{"unlock":true,"pwdMD5":"0"}}', proto_fmt=1)
    play.answer(body=b'{"retType":0,"retMsg":"","errCode":0,"s2c":{}}', proto_fmt=1)
    assert play.send(a, 2202, REAL)[0][0] == "forward"


@pytest.mark.parametrize("text", ["Please unlock first", "请先解锁交易", "請先解鎖交易"])
def test_a_write_refused_for_want_of_an_unlock_closes_the_lock(text: str) -> None:
    play = Play(unlock="own")
    a = play.client(1)
    play.send(a, 2005, unlock_body(True))
    play.answer()
    play.send(a, 2202, REAL)
    play.answer(body=ret_body(0, -1, text))
    assert not play.router.unlock.open
    assert play.send(a, 2202, REAL)[0][0] == "reply"


def test_a_group_whose_quotes_are_away_is_not_asked_for_a_price() -> None:
    limited = key("trade:real", limits=KeyLimits(max_order_value=1000.0))
    play = Play(keyring=ring(limited), trade_address="trade.test:11111")
    play.up(2)
    session = play.client(1, client_id=plaintext("k"))
    assert play.send(session, 2202, place(order_type=MARKET, price=None))[0][:2] == ("ask", 3203)
    play.lose()
    play.send(session, 2202, place(order_type=MARKET, price=None))
    assert play.denial().reason == "per_order"
    assert not play.waiting, "it would be the first word on the next connection"


def test_nothing_is_sent_while_the_audit_can_not_be_written() -> None:
    limited = key("trade:real", limits=KeyLimits(max_order_value=1000.0))
    play = Play(keyring=ring(limited))
    session = play.client(1, client_id=plaintext("k"))
    play.send(session, 2202, place(order_type=MARKET, price=None))
    play.access.audit_ok = lambda: False
    play.answer(body=snapshots(snapshot(5)))
    assert play.denial().reason == "audit", "it was good when the order came, and is not when it would leave"
    play.send(session, 2202, place())
    assert play.denial().reason == "audit"
    assert not play.waiting


@pytest.mark.parametrize("metered", [True, False])
@pytest.mark.parametrize("proto_id", [2202, 2237])
@pytest.mark.parametrize(("left_s", "sent"), [(0.3, True), (0.0, False), (-1.0, False)])
def test_a_write_leaves_before_its_callers_deadline_or_never(
    metered: bool, proto_id: int, left_s: float, sent: bool
) -> None:
    real = key("trade:real")
    play = Play(metered=metered, keyring=ring(real))
    play.router.roster.known = True
    lines = play.call(play.caller(1, real), proto_id, trade_write(1, 2), until=play.now + left_s)
    assert (lines[0][0], bool(play.waiting)) == (("forward", True) if sent else ("reply", False))
    if not sent:
        assert play.denial().kind is DenialKind.TIMEOUT


def test_the_time_that_a_write_waited_counts() -> None:
    """Its client must hear that the outcome is unknown before it gives up by itself."""
    limited = key("trade:real", limits=KeyLimits(max_order_value=1000.0))
    play = Play(metered=True, keyring=ring(limited))
    play.send(play.client(1, client_id=plaintext("k")), 2202, place(order_type=MARKET, price=None))
    answer_by = play.now + play.router.policy.reply_s
    play.now += 3.0
    play.answer(body=snapshots(snapshot(5)))
    (forward,) = play.commands
    assert isinstance(forward, Forward)
    assert forward.until == answer_by
