"""The unmodified Python SDK with keys: its client id is the key, or its port is bound to one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from .gated import (
    PAPER,
    REAL,
    RESTING,
    FtClient,
    Gate,
    Sim,
    acc_list_body,
    account_body,
    listed,
    modify_body,
    open_gate,
    order_body,
    sub_acc_body,
)
from .harness import SdkProgram

KEYS = {
    "quote": ("qot:read",),
    "paper": ("qot:read,acc:read,trade:simulate",),
    "real": ("qot:read,acc:read,trade:real",),
    "strict": ("acc:read,trade:real", "--strict-unlock"),
    "small": ("acc:read,trade:simulate,trade:real", "--allowed-acc-ids", str(PAPER["acc_id"])),
    "limited": ("qot:read,acc:read,trade:simulate", "--max-order-value", "40000", "--allowed-trd-sides", "BUY"),
    "listed": ("qot:read", "--allowed-symbols", "HK.00700"),
    "frozen": ("qot:read", "--allowed-machines", ""),
}


@dataclass
class Scene:
    sim: Sim
    gate: Gate
    keys: dict[str, str]
    folder: Path

    def sdk(self, kind: str, name: str | None, *, port: int | None = None, **extra: Any) -> SdkProgram:
        key = None if name is None else self.keys[name]
        return self.gate.sdk(kind, str(self.folder), key, port=port, **extra)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    sim = Sim()
    folder = tmp_path_factory.mktemp("gate")
    with open_gate(folder, sim.address) as gate:
        keys = {name: gate.add(name, *words) for name, words in KEYS.items()}
        gate.start()
        yield Scene(sim, gate, keys, folder)
        text = gate.proxy.text() + gate.audit.read_text() + gate.http("/metrics")[1]
        assert not [secret for secret in gate.secrets if secret in text]
        assert "Traceback" not in text
    assert sim.control.ask("violations")["violations"] == []
    sim.close()


@pytest.fixture
def scene(house: Scene, tmp_path: Path) -> Scene:
    return Scene(house.sim, house.gate, house.keys, tmp_path)


def place(sdk: SdkProgram, env: str, *, acc_id: int = 0, qty: int = 100) -> tuple[Any, Any]:
    return sdk.call("place_order", RESTING, qty, "HK.00700", "BUY", trd_env=env, acc_id=acc_id)


def test_a_quote_key_quotes_and_does_not_trade(scene: Scene) -> None:
    before = scene.sim.writes()
    with scene.sdk("quote", "quote") as sdk:
        sdk.wait_ready()
        sdk.ok("subscribe", ["HK.00700"], ["QUOTE"])
        assert sdk.ok("get_stock_quote", ["HK.00700"])[0]["last_price"] > 0
        assert sdk.wait_push("quote")[0]["code"] == "HK.00700"
        sdk.finish()
    with scene.sdk("trade", "quote", context={"filter_trdmarket": "HK"}) as sdk:
        sdk.wait_ready()
        for env in ("SIMULATE", "REAL"):
            ret, text = place(sdk, env, acc_id=(PAPER if env == "SIMULATE" else REAL)["acc_id"])
            assert ret == -1
            assert "needs a key with the scope" in text
        assert sdk.call("unlock_trade", "123456")[0] == -1
        sdk.finish()
    assert scene.sim.writes() == before


def test_a_paper_key_trades_on_paper_alone(scene: Scene) -> None:
    with scene.sdk("trade", "paper") as sdk:
        sdk.wait_ready()
        order_id = place(sdk, "SIMULATE")[1][0]["order_id"]
        before = scene.sim.counts().get(2202, 0)
        ret, text = place(sdk, "REAL")
        assert ret == -1
        assert "trade:real" in text
        ret, text = sdk.call("unlock_trade", "123456")
        assert ret == -1
        assert "trade:unlock" in text
        assert scene.sim.counts().get(2202, 0) == before
        sdk.ok("modify_order", "CANCEL", order_id, 0, 0, trd_env="SIMULATE")
        sdk.saw_push("order", lambda rows: rows[0]["order_status"] == "CANCELLED_ALL")
        sdk.finish()
    assert scene.sim.counts().get(2005, 0) == 0


def test_a_real_key_unlocks_and_trades(scene: Scene) -> None:
    with scene.sdk("trade", "strict") as strict, scene.sdk("trade", "real", port=scene.gate.port) as sdk:
        strict.wait_ready()
        sdk.wait_ready()
        ret, text = strict.call("unlock_trade", "123456")
        assert ret == -1
        assert "trade:unlock" in text
        assert place(strict, "REAL")[0] == -1  # OpenD is locked
        sdk.ok("unlock_trade", "123456")
        assert place(sdk, "REAL")[0] == 0
        assert place(strict, "REAL")[0] == 0  # the lock is shared
        ret, text = place(sdk, "SIMULATE")
        assert ret == -1
        assert "trade:simulate" in text
        for one in (strict, sdk):
            one.finish()


@pytest.mark.parametrize("shown", [None, "fc_" + "0" * 64, "frozen"])
def test_who_shows_no_good_key_is_told_and_does_not_get_in(scene: Scene, shown: str | None) -> None:
    """The SDK's constructor tries for ever by design; its log says why, and nothing reaches OpenD."""
    before = {key: count for key, count in scene.sim.counts().items() if key != 1004}
    key = scene.keys["frozen"] if shown == "frozen" else shown
    with scene.gate.sdk("quote", str(scene.folder), key) as sdk:
        why = {None: "a key is needed here", "frozen": "not be used from this machine"}.get(shown, "not known here")
        sdk.wait_for(why)
    assert {key: count for key, count in scene.sim.counts().items() if key != 1004} == before


def test_a_key_sees_its_own_accounts_alone(scene: Scene) -> None:
    with scene.sdk("trade", "small") as sdk:
        sdk.wait_ready()
        assert [row["acc_id"] for row in sdk.ok("get_acc_list")] == [PAPER["acc_id"]]
        assert sdk.ok("accinfo_query", trd_env="SIMULATE")[0]["hk_cash"] > 0
        assert place(sdk, "SIMULATE")[0] == 0
        sdk.finish()
    raw = FtClient(scene.gate.port, scene.keys["small"])
    before = scene.sim.counts()
    assert listed(raw.ask(2001, acc_list_body())) == {PAPER["acc_id"]}
    for proto_id in (2101, 2102, 2111, 2201, 2211, 2221, 2222, 2223, 2225, 2226, 2202, 2205):
        body = {2202: order_body(REAL), 2205: modify_body(REAL, "X", 2)}.get(proto_id, account_body(REAL))
        assert b"account" in raw.ask(proto_id, body), proto_id
    assert b"may not use the account" in raw.ask(2008, sub_acc_body(PAPER["acc_id"], REAL["acc_id"]))
    after = scene.sim.counts()
    assert {k: after[k] - before.get(k, 0) for k in after if after[k] != before.get(k, 0) and k != 1004} == {2001: 1}
    raw.close()


def test_account_pushes_of_others_do_not_come(scene: Scene) -> None:
    scene.sim.control.ask("lock", on=False)
    with scene.sdk("trade", "small") as small, scene.sdk("trade", "real") as real, scene.sdk("trade", "paper") as paper:
        for sdk in (small, real, paper):
            sdk.wait_ready()
        theirs = place(real, "REAL")[1][0]["order_id"]
        ours = place(paper, "SIMULATE")[1][0]["order_id"]
        small.saw_push("order", lambda rows: rows[0]["order_id"] == ours)
        assert not [p for p in small.drain_pushes() if p["push"] == "order" and p["data"][0]["order_id"] == theirs]
        real.saw_push("order", lambda rows: rows[0]["order_id"] == theirs)


def test_limits_name_themselves_and_what_is_left(scene: Scene) -> None:
    with scene.sdk("trade", "limited") as sdk:
        sdk.wait_ready()
        before = scene.sim.writes()
        ret, text = place(sdk, "SIMULATE", qty=200)
        assert (ret, "max_order_value 40000: this order is worth 60000" in text) == (-1, True)
        ret, text = sdk.call("place_order", RESTING, 100, "HK.00700", "SELL", trd_env="SIMULATE")
        assert (ret, "allowed_trd_sides" in text) == (-1, True)
        assert scene.sim.writes() == before
        order_id = place(sdk, "SIMULATE")[1][0]["order_id"]
        ret, text = sdk.call("modify_order", "NORMAL", order_id, 200, RESTING, trd_env="SIMULATE")
        assert (ret, "max_order_value" in text) == (-1, True)
        assert scene.sim.writes() == before + 1
        sdk.ok("modify_order", "CANCEL", order_id, 0, 0, trd_env="SIMULATE")
        sdk.finish()


def test_pushes_that_would_never_come_are_refused(scene: Scene) -> None:
    with scene.sdk("quote", "listed") as sdk:
        sdk.wait_ready()
        before = scene.sim.counts().get(3001, 0)
        ret, text = sdk.call("subscribe", ["HK.00700", "US.AAPL"], ["QUOTE"])
        assert ret == -1
        assert "allowed_symbols is HK.00700; this key may get no pushes of US.AAPL" in text
        assert scene.sim.counts().get(3001, 0) == before, "nothing of it was sent"
        assert "HK.00700" not in str(sdk.ok("query_subscription"))
        sdk.ok("subscribe", ["US.AAPL"], ["QUOTE"], subscribe_push=False)
        assert sdk.ok("get_stock_quote", ["US.AAPL"])[0]["last_price"] > 0
        sdk.ok("subscribe", ["HK.00700"], ["QUOTE"])
        assert sdk.wait_push("quote")[0]["code"] == "HK.00700"
        sdk.finish()
    assert scene.gate.outcomes("proto_id=3001", "listed") == ["reject"]


def test_a_port_bound_to_a_key(house: Scene, tmp_path: Path) -> None:
    """For programs whose client id can't be set. Who shows a key of his own there is that one."""
    with open_gate(tmp_path, house.sim.address) as gate:
        gate.add("desk", "qot:read")
        other = gate.add("other", "acc:read")
        listeners = "".join(
            f'[[listeners]]\nlisten = ["127.0.0.1:0"]\nupstream = ["a"]\n{bound}\n' for bound in ('key = "desk"', "")
        )
        gate.start(toml=f'[[upstreams]]\nname = "a"\naddress = "{house.sim.address}"\n{listeners}')
        with gate.sdk("quote", "a") as sdk:
            sdk.wait_ready()
            assert sdk.ok("get_market_snapshot", ["HK.00700"])
            sdk.finish()
        bound = FtClient(gate.port)
        assert b"acc:read" in bound.ask(2001, acc_list_body())
        shown = FtClient(gate.port, other)
        assert listed(shown.ask(2001, acc_list_body()))
        wrong = FtClient(gate.port, "fc_" + "1" * 64)
        assert wrong.hello.retType == -1, "a wrong key never counts as none"
        assert "not known here" in wrong.hello.retMsg
        for client in (bound, shown, wrong):
            client.close()


def test_a_lock_of_ones_own(house: Scene, tmp_path: Path) -> None:
    house.sim.control.ask("lock", on=True)
    with open_gate(tmp_path, house.sim.address) as gate:
        keys = [gate.add(name, "acc:read,trade:real") for name in ("one", "two")]
        gate.start(toml='unlock = "own"')
        with gate.sdk("trade", "a", keys[0]) as one, gate.sdk("trade", "b", keys[1]) as two:
            one.wait_ready()
            two.wait_ready()
            one.ok("unlock_trade", "123456")
            assert place(one, "REAL")[0] == 0
            ret, text = place(two, "REAL")
            assert (ret, "has not unlocked" in text) == (-1, True)
            two.ok("unlock_trade", "123456")
            assert place(two, "REAL")[0] == 0
            one.ok("unlock_trade", "123456", is_unlock=False)
            assert place(one, "REAL")[0] == -1
            assert place(two, "REAL")[0] == 0
            for sdk in (one, two):
                sdk.finish()
        assert gate.outcomes("proto_id=2202", "two") == ["reject", "allow", "success", "allow", "success"]
        gate.verify()
