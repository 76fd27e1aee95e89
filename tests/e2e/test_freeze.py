"""The kill switch as a trader uses it: every way to the market is shut at once, over a restart too, and opens again."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from opendmux.wire.pb import opend, opend_sim

from .gated import (
    PAPER,
    RESTING,
    FtClient,
    FutuProgram,
    Gate,
    Sim,
    acc_list_body,
    account_body,
    modify_body,
    open_gate,
    order_body,
)
from .harness import PATIENCE_S, Opendmux, SdkProgram
from .test_status_commands import run
from .test_websocket import JsProgram

ORDER, MODIFY, CANCEL = 2202, 2205, 2
FROZEN = "trading is frozen (read-only) for everybody"


def over_http(port: int, key: str, proto_id: int, body: bytes) -> tuple[int, str]:
    """The status and what is said."""
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/protobuf"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/request/{proto_id}", data=body, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as reply:
            return reply.status, opend.ResponseHead.FromString(reply.read()).retMsg
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read())["error"]["text"]


class Traders:
    """The same key by each protocol: every one has a session already when the freeze comes."""

    def __init__(self, stack: ExitStack, gate: Gate, key: str, folder: Path, proto: Path) -> None:
        self.port, self.key = gate.port, key
        self.sdk: SdkProgram = stack.enter_context(
            gate.sdk("trade", str(folder / "sdk"), key, context={"filter_trdmarket": "HK"})
        ).wait_ready()
        self.grpc = stack.enter_context(FutuProgram("python", gate.port, proto))
        self.js = stack.enter_context(JsProgram(gate.port, key))
        assert self.js.wait_login()["login"]
        self.raw = FtClient(gate.port, key, trades=True)
        stack.callback(self.raw.close)

    def order(self) -> dict[str, tuple[bool, str]]:
        """(it was taken, what was said) by each."""
        ret, data = self.sdk.call(
            "place_order", RESTING, 100, "HK.00700", "BUY", trd_env="SIMULATE", acc_id=PAPER["acc_id"]
        )
        self.grpc.ok(2001, acc_list_body(), self.key)
        grpc = self.grpc.request(ORDER, order_body(PAPER, price=RESTING), self.key)
        js = self.js.call(
            "PlaceOrder",
            packetID={"connID": 0, "serialNo": 0},
            header={"trdEnv": 0, "accID": PAPER["acc_id"], "trdMarket": 1},
            trdSide=1,
            orderType=1,
            code="00700",
            qty=100,
            price=RESTING,
            secMarket=1,
        )
        raw = opend_sim.PlaceOrderResponse.FromString(self.raw.ask(ORDER, order_body(PAPER, price=RESTING)))
        status, said = over_http(self.port, self.key, ORDER, order_body(PAPER, price=RESTING))
        return {
            "sdk": (ret == 0, str(data)),
            "grpc": (grpc["code"] == "OK" and grpc.get("ret_type") == 0, str(grpc)),
            "websocket": (js["retType"] == 0, str(js.get("retMsg"))),
            "raw": (raw.retType == 0, raw.retMsg),
            "http": (status == 200 and not said, said),
        }

    def reads(self) -> None:
        """Everybody still may."""
        self.sdk.ok("order_list_query", trd_env="SIMULATE", acc_id=PAPER["acc_id"])
        self.grpc.ok(2201, account_body(PAPER), self.key)
        self.js.ok("GetOrderList", header={"trdEnv": 0, "accID": PAPER["acc_id"], "trdMarket": 1})
        assert over_http(self.port, self.key, 2201, account_body(PAPER))[0] == 200


def test_all_protocols_at_once_over_a_restart_until_it_is_lifted(tmp_path: Path, futu_proto: Path) -> None:
    sim = Sim()
    state = ["--config", str(tmp_path / "opendmux.toml")]
    (tmp_path / "opendmux.toml").write_text(f'state_dir = "{tmp_path / "state"}"\n')
    with open_gate(tmp_path, sim.address) as gate, ExitStack() as stack:
        stack.callback(sim.close)
        key = gate.add("bot", "qot:read,acc:read,trade:simulate", "--websocket")
        gate.start(*state)

        def freeze(*words: str) -> Any:
            done = run("freeze", "--json", "--connect", f"127.0.0.1:{gate.port}", *words)
            assert done.returncode == 0, done.stderr
            return json.loads(done.stdout)

        with ExitStack() as first:
            traders = Traders(first, gate, key, tmp_path, futu_proto)
            assert {name: taken for name, (taken, _) in traders.order().items()} == dict.fromkeys(
                ("sdk", "grpc", "websocket", "raw", "http"), True
            )
            assert freeze("--show") == {"freezes": [], "in_flight": 0}
            before = sim.writes()
            (one,) = freeze()["freezes"]
            assert (one["key"], one["mode"], one["dead_man"]) == (None, "read-only", False)
            for name, (taken, said) in traders.order().items():
                assert not taken, name
                assert FROZEN in said, (name, said)
                assert "opendmux freeze --mode off" in said, name
            traders.reads()
            assert sim.writes() == before, "nothing has reached OpenD"
            assert json.loads(gate.http("/readyz")[1])["ready"] is True
            (shown,) = json.loads(run("status", "--json", "--connect", f"127.0.0.1:{gate.port}").stdout)["freezes"]
            assert FROZEN in shown["text"]
            freeze("--mode", "cancel-only")
            assert not any(taken for taken, _ in traders.order().values())
            open_order = next(one for one in sim.orders() if one["acc_id"] == PAPER["acc_id"])
            body = modify_body(PAPER, open_order["order_id_ex"], CANCEL)
            assert opend_sim.PlaceOrderResponse.FromString(traders.raw.ask(MODIFY, body)).retType == 0
            assert sim.writes() == before + 1
            freeze()
            gate.reload("keys.json were read again")
            assert not any(taken for taken, _ in traders.order().values()), "a reload opens nothing"
        gate.stop()
        gate.start(*state)
        gate.proxy.wait_for_error("FROZEN: trading is frozen")
        traders = Traders(stack, gate, key, tmp_path / "again", futu_proto)
        for name, (taken, said) in traders.order().items():
            assert not taken, name
            assert FROZEN in said, (name, said)
        assert freeze("--mode", "off") == {"freezes": [], "in_flight": 0}
        assert all(taken for taken, _ in traders.order().values())
        (one,) = freeze("--key", "bot")["freezes"]
        assert one["key"] == "bot"
        assert not any(taken for taken, _ in traders.order().values())
        wrong = run("freeze", "--connect", f"127.0.0.1:{gate.port}", "--key", "nobody")
        assert (wrong.returncode, wrong.stdout) == (1, "")
        assert "there is no key with the id 'nobody'" in wrong.stderr
        assert freeze("--key", "bot", "--mode", "off")["freezes"] == []
        assert [(e["endpoint"], e["outcome"]) for e in gate.audited() if "freeze" in e["endpoint"]] == [
            ("freeze read-only", "success"),
            ("freeze cancel-only", "success"),
            ("freeze read-only", "success"),
            ("unfreeze", "success"),
            ("freeze read-only", "success"),
            ("freeze read-only", "failure"),
            ("unfreeze", "success"),
        ]
        assert "frozen" in {e["reason"] for e in gate.audited() if e["outcome"] == "reject"}


def test_a_frozen_key_that_gets_another_id_is_told_wherever_one_looks(tmp_path: Path) -> None:
    sim = Sim()
    (tmp_path / "opendmux.toml").write_text(f'state_dir = "{tmp_path / "state"}"\n')
    with open_gate(tmp_path, sim.address) as gate, ExitStack() as stack:
        stack.callback(sim.close)
        gate.add("bot", "qot:read,acc:read,trade:simulate")
        gate.start("--config", str(tmp_path / "opendmux.toml"))
        here = ("--connect", f"127.0.0.1:{gate.port}")
        assert "frozen (read-only) for the key bot" in run("freeze", "--key", "bot", *here).stdout
        gate.edit("bot", id="bot2")
        gate.reload("keys.json were read again")
        gate.proxy.wait_for_error("frozen for the key bot, but no key is called so")
        assert "NO KEY IS CALLED SO" in run("freeze", "--show", *here).stdout
        assert "the freeze holds for nobody" in run("status", *here).stdout
        report = json.loads(run("doctor", "--json", "--upstream", sim.address, *here).stdout)
        (found,) = [one for one in report["findings"] if one["check"] == "condition frozen"]
        assert (found["state"], "for the key bot, but no key is called so" in found["conclusion"]) == ("warning", True)


@pytest.mark.parametrize("damage", ["", "{", '{"version":1,"freezes":[{"key":null,"mode":"off","since":0,"by":""}]}'])
def test_a_damaged_file_is_no_open_door(tmp_path: Path, damage: str) -> None:
    state = tmp_path / "state"
    state.mkdir()
    (state / "freezes.json").write_text(damage)
    (tmp_path / "opendmux.toml").write_text(f'state_dir = "{state}"\n')
    words = ["--config", str(tmp_path / "opendmux.toml"), "--upstream", "sim", "--listen", "127.0.0.1:0"]
    with Opendmux(*words).wait_ready() as proxy:
        proxy.wait_for_error("nobody can tell what was frozen before the restart")
        client = FtClient(proxy.port, trades=True)
        place: Callable[[], opend_sim.PlaceOrderResponse] = lambda: opend_sim.PlaceOrderResponse.FromString(  # noqa: E731
            client.ask(ORDER, order_body(PAPER, price=RESTING))
        )
        assert FROZEN in place().retMsg
        assert (
            run("freeze", "--mode", "off", "--connect", f"127.0.0.1:{proxy.port}").stdout
            == "nothing is frozen any more\n"
        )
        assert place().retType == 0
        client.close()
