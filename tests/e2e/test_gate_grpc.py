"""gRPC programs of users, grpcio and Node, with keys, against the real process: the gate as they see it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from opendmux.wire.pb import opend_sim

from .gated import (
    BUY,
    HK,
    PAPER,
    REAL,
    RESTING,
    TRADE_WRITES,
    FutuProgram,
    Gate,
    Sim,
    acc_list_body,
    account_body,
    listed,
    open_gate,
    order_body,
    quote_body,
    sub_body,
    unlock_body,
    wait_until,
)

LANGUAGES = ["python", "node"]
UNKNOWN_ID, PUSH_ID = 9999, 2208


@dataclass
class Scene:
    """One proxy for all tests of this file; each test has keys of its own."""

    sim: Sim
    gate: Gate
    keys: dict[str, str]


KEYS = {
    "quote": ("qot:read",),
    "reader": ("qot:read,acc:read",),
    "account": ("acc:read",),
    "real": ("trade:real",),
    "paper": ("trade:simulate",),
    "unlocker": ("trade:unlock",),
    "strict": ("trade:real", "--strict-unlock"),
    "daring": ("trade:real", "--allow-unknown"),
    "admin": ("admin",),
    "writer": ("qot:write",),
    "trader-python": ("trade:real,trade:simulate,acc:read",),
    "trader-node": ("trade:real,trade:simulate,acc:read",),
    "five-python": ("trade:simulate", "--max-orders-per-minute", "5"),
    "five-node": ("trade:simulate", "--max-orders-per-minute", "5"),
    "old": ("qot:read",),
}


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    sim = Sim()
    with open_gate(tmp_path_factory.mktemp("gate"), sim.address) as gate:
        keys = {name: gate.add(name, *words) for name, words in KEYS.items()}
        gate.edit("old", expires_at="2020-01-01")
        gate.start(toml="budgets = false")  # OpenD's own limits are shown elsewhere
        yield Scene(sim, gate, keys)
    assert sim.control.ask("violations")["violations"] == []
    sim.close()


@pytest.fixture(params=LANGUAGES)
def user(request: pytest.FixtureRequest, scene: Scene, futu_proto: Path) -> Iterator[FutuProgram]:
    with FutuProgram(request.param, scene.gate.port, futu_proto) as program:
        yield program


def test_a_quote_key_quotes(scene: Scene, user: FutuProgram) -> None:
    """The page's example: 3004. Its body is a whole Request, the answer a whole Response."""
    key = scene.keys["quote"]
    user.ok(3001, sub_body(), key)
    reply = opend_sim.BasicQotResponse.FromString(user.ok(3004, quote_body(), key))
    assert [quote.security.code for quote in reply.s2c.basicQotList] == ["00700"]
    assert reply.s2c.basicQotList[0].curPrice > 0


def _is_of(proto_id: int, event: dict[str, Any]) -> bool:
    return event.get("proto_id") == proto_id


def test_what_opend_refuses_is_no_status(scene: Scene, user: FutuProgram) -> None:
    answer = user.request(3004, quote_body("00005"), scene.keys["quote"])
    assert (answer["code"], answer["ret_type"], answer["proto_id"]) == ("OK", -1, 3004)
    assert "subscribe" in answer["ret_msg"]


def test_it_may_not_trade(scene: Scene, user: FutuProgram) -> None:
    before = scene.sim.writes()
    for proto_id in (2202, 2205, 2209, 2227, 2237, 2005):
        answer = user.request(proto_id, order_body(PAPER), scene.keys["quote"])
        assert answer["code"] == "PERMISSION_DENIED", answer
        assert "trade:" in answer["text"]
        assert b"opendmux" in bytes.fromhex(answer["rich"])
        assert b"SCOPE" in bytes.fromhex(answer["rich"])
    assert scene.sim.writes() == before


def test_the_sixth_order_in_a_minute(scene: Scene, user: FutuProgram) -> None:
    before = len(scene.sim.orders())
    answers = user.requests(6, 2202, order_body(PAPER, 100, RESTING), scene.keys[f"five-{user.language}"])
    assert [answer["code"] for answer in answers] == ["OK"] * 5 + ["RESOURCE_EXHAUSTED"]
    assert 0 < int(answers[5]["retry_ms"]) <= 60_000
    assert b"google.rpc.RetryInfo" in bytes.fromhex(answers[5]["rich"])
    assert "max_orders_per_minute 5" in answers[5]["text"]
    assert len(scene.sim.orders()) == before + 5, answers
    scene.gate.wait_metric(
        "futu_auth_limit_rejects_total", 1, iface="grpc", key_id=f"five-{user.language}", reason="rate"
    )


def test_who_may_see_trades(scene: Scene, user: FutuProgram) -> None:
    """A stream of qot:read beside one of acc:read while orders fill."""
    quote, account, trader = (scene.keys[name] for name in ("quote", "account", f"trader-{user.language}"))
    filtered = scene.gate.metric("futu_ws_filtered_pushes_total", key_id="quote", required_scope="acc:read")
    user.stream("quotes", quote)
    user.stream("trades", account)
    user.ok(2005, unlock_body(), trader)
    user.ok(2202, order_body(REAL, 200), trader)
    for proto_id in (2208, 2218):
        event = user.wait_event("trades", partial(_is_of, proto_id))
        assert (event["event_type"], event["acc_id"], event["sec_key"]) == ("trade", str(REAL["acc_id"]), "")
    user.ok(3001, sub_body("09988", push=True), quote)
    event = user.wait_event("quotes", lambda e: e.get("event_type") == "quote")
    assert (event["proto_id"], event["sec_key"], event["sub_type"]) == (3005, "1_09988", 1)
    assert not [e for e in user.events if e["stream"] == "quotes" and e.get("event_type") == "trade"]
    assert not [e for e in user.events if e["stream"] == "trades" and e.get("event_type") == "quote"]
    name = "futu_ws_filtered_pushes_total"
    scene.gate.wait_metric(name, filtered + 2, key_id="quote", required_scope="acc:read")
    assert scene.gate.metric(name, key_id="account", required_scope="acc:read") == 0


def test_a_key_without_either_scope_gets_no_stream(scene: Scene, user: FutuProgram) -> None:
    user.start_stream("none", scene.keys["paper"])
    end = user.wait_end("none")
    assert end["code"] == "PERMISSION_DENIED"
    assert "qot:read" in end["text"]


@pytest.mark.parametrize("shown", [None, "fc_" + "0" * 64, "nonsense", "", "old"])
def test_who_shows_no_good_key(scene: Scene, user: FutuProgram, shown: str | None) -> None:
    """Missing, unknown, malformed, expired: never anything but Unauthenticated, and no word about scopes."""
    key = scene.keys["old"] if shown == "old" else shown
    before = sum(scene.sim.counts().values())
    for proto_id in (3004, 2202, 1002, UNKNOWN_ID):
        answer = user.request(proto_id, quote_body(), key)
        assert answer["code"] == "UNAUTHENTICATED", answer
        assert ":read" not in answer["text"] + bytes.fromhex(answer["rich"]).decode("latin-1")
    user.start_stream("no", key)
    assert user.wait_end("no")["code"] == "UNAUTHENTICATED"
    assert sum(scene.sim.counts().values()) - before <= 1, "a KeepAlive of the proxy at most"


WRONG = [
    (0, b"", "INVALID_ARGUMENT"),
    (PUSH_ID, b"", "INVALID_ARGUMENT"),
    (1003, b"", "INVALID_ARGUMENT"),
    (3004, b"\xff\xff\xff", "INVALID_ARGUMENT"),
    (2202, b"\x0a\x02\x08", "INVALID_ARGUMENT"),
    (UNKNOWN_ID, b"", "PERMISSION_DENIED"),
]


@pytest.mark.parametrize(("proto_id", "body", "code"), WRONG)
def test_what_makes_no_sense(scene: Scene, user: FutuProgram, proto_id: int, body: bytes, code: str) -> None:
    before = scene.sim.counts().get(proto_id, 0)
    for name in ("reader", "real"):
        answer = user.request(proto_id, body, scene.keys[name])
        assert answer["code"] in (code, "PERMISSION_DENIED"), answer
    key = scene.keys["real" if proto_id == 2202 else "reader"]
    assert user.request(proto_id, body, key)["code"] == code
    assert scene.sim.counts().get(proto_id, 0) == before


PAGE = [
    (1001, "quote", "none"),
    (1002, "paper", "none"),
    (1004, "quote", "none"),
    (1005, "account", "none"),
    (1007, "quote", "none"),
    *((proto_id, "quote", "qot:read") for proto_id in (3001, 3004, 3006, 3012, 3103, 3202, 3203, 3219)),
    *((proto_id, "account", "acc:read") for proto_id in (2001, 2008, 2101, 2102, 2111, 2201, 2211, 2221, 2222)),
    *((proto_id, "account", "acc:read") for proto_id in (2112, 2223, 2225, 2226)),
    *((proto_id, "real", "trade:") for proto_id in (2005, 2202, 2205, 2209, 2227, 2237)),
    (2005, "unlocker", "trade:unlock"),
    *((proto_id, "writer", "qot:write") for proto_id in (3214, 3220, 3309)),
    *((proto_id, "admin", "admin") for proto_id in (1006, 1008, 1009)),
    (UNKNOWN_ID, "daring", "trade:real"),
]
SINGLE = ("quote", "account", "real", "paper", "unlocker", "strict", "admin", "writer")
ALSO = {2005: ("real", "unlocker"), **dict.fromkeys((2202, 2205, 2209, 2227, 2237), ("strict",))}
"""Keys that pass too: trade:real unlocks, unless it is strict."""


def _body_for(proto_id: int) -> bytes:
    if proto_id in TRADE_WRITES:
        return order_body(REAL, 100, RESTING)  # the header is in the same place in all of them
    if proto_id == 2005:
        return unlock_body("0" * 32)
    return sub_body() if proto_id == 3001 else account_body(REAL)


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_pages_table_of_scopes(scene: Scene, futu_proto: Path, language: str) -> None:
    """Each row: the key with that scope passes the gate, whatever OpenD says then; all others do not."""
    with FutuProgram(language, scene.gate.port, futu_proto) as user:
        for proto_id, name, scope in PAGE:
            passed = user.request(proto_id, _body_for(proto_id), scene.keys[name])
            assert passed["code"] == "OK", (proto_id, name, passed)
            for other in SINGLE if scope != "none" else ():
                if other in (name, *ALSO.get(proto_id, ())):
                    continue
                answer = user.request(proto_id, _body_for(proto_id), scene.keys[other])
                assert answer["code"] == "PERMISSION_DENIED", (proto_id, other, answer)


def test_simulate_or_real_is_read_from_the_order(scene: Scene, user: FutuProgram) -> None:
    before = scene.sim.writes()
    for name, account in (("paper", REAL), ("real", PAPER)):
        answer = user.request(2202, order_body(account, 100, RESTING), scene.keys[name])
        assert answer["code"] == "PERMISSION_DENIED"
        assert ("trade:real" if account is REAL else "trade:simulate") in answer["text"]
    assert scene.sim.writes() == before
    user.ok(2202, order_body(PAPER, 100, RESTING), scene.keys["paper"])


def test_an_order_and_its_account(scene: Scene, user: FutuProgram) -> None:
    """PacketID is the proxy's: the same bytes twice are two orders."""
    body = order_body(PAPER, 100, RESTING)
    key = scene.keys[f"trader-{user.language}"]
    first, second = (opend_sim.PlaceOrderResponse.FromString(user.ok(2202, body, key)).s2c for _ in range(2))
    assert first.orderIDEx != second.orderIDEx
    assert first.orderID != second.orderID
    assert listed(user.ok(2001, acc_list_body(), key)) >= {REAL["acc_id"], PAPER["acc_id"]}
    orders = opend_sim.OrderListResponse.FromString(user.ok(2201, account_body(PAPER), key)).s2c.orderList
    assert {first.orderIDEx, second.orderIDEx} <= {order.orderIDEx for order in orders}
    assert {(order.trdSide, order.secMarket) for order in orders} == {(BUY, HK)}


def test_opend_is_silent(scene: Scene, user: FutuProgram) -> None:
    scene.sim.control.ask("delay", proto_id=3202, seconds=60)
    try:
        answer = user.request(3202, b"\x0a\x00", scene.keys["quote"], timeout=0.4)
        assert answer["code"] == "DEADLINE_EXCEEDED"
    finally:
        scene.sim.control.ask("delay", proto_id=3202, seconds=0)


@pytest.mark.parametrize("language", LANGUAGES)
def test_opend_goes_and_comes_back(futu_proto: Path, tmp_path: Path, language: str) -> None:
    sim = Sim()
    with open_gate(tmp_path, sim.address) as gate:
        key = gate.add("all", "qot:read,acc:read,trade:simulate")
        gate.start()
        with FutuProgram(language, gate.port, futu_proto) as user:
            user.ok(3001, sub_body(), key)
            user.ok(3004, quote_body(), key)
            user.stream("both", key)
            sim.kill()
            wait_until(lambda: gate.http("/readyz")[0] == 503, "it stays ready")
            for proto_id, body in (
                (3004, quote_body()),
                (2202, order_body(PAPER, 100, RESTING)),
                (3001, sub_body("09988")),
            ):
                answer = user.request(proto_id, body, key)
                assert answer["code"] == "UNAVAILABLE", answer
                assert sim.address in answer["text"]
            sim.start_again()
            wait_until(lambda: gate.http("/readyz")[0] == 200, "it does not come back")
            user.ok(3004, quote_body(), key)  # the subscription was restored
            user.ok(2202, order_body(PAPER, 200), key)
            user.wait_event("both", lambda event: event.get("proto_id") == 2208)
    sim.close()
