"""OpenD dies and comes back under programs with the real SDK."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from .harness import Control, Opendmux, SdkProgram

KINDS = ["TICKER", "QUOTE"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextmanager
def simulator(port: int) -> Iterator[Control]:
    """A simulator on that port; killed at the end of the block, as by a crash."""
    with Opendmux("sim", "--listen", f"127.0.0.1:{port}", "--control", "127.0.0.1:0", "--strict-serials") as sim:
        control = Control(int(sim.wait_for(r"control on \S+:(\d+)")[1]))
        try:
            yield control
        finally:
            control.close()
            sim.popen.kill()


def config_file(tmp_path: Path, on_outage: str) -> str:
    path = tmp_path / "opendmux.toml"
    path.write_text(f'on_outage = "{on_outage}"\n')
    return str(path)


@pytest.mark.parametrize("on_outage", ["hold", "close"])
def test_opend_is_killed_and_restarted_under_two_subscribed_programs(tmp_path: Path, on_outage: str) -> None:
    port = free_port()
    with simulator(port) as control:
        proxy_arguments = ["--listen", "127.0.0.1:0", "--upstream", f"127.0.0.1:{port}"]
        proxy = Opendmux(*proxy_arguments, "--config", config_file(tmp_path, on_outage))
        proxy.wait_ready()
        programs = [SdkProgram("quote", proxy.port, tmp_path / name) for name in "ab"]
        for program in programs:
            program.wait_ready()
            program.ok("subscribe", ["HK.00700"], KINDS)
            program.wait_push("ticker")
        assert control.ask("report")["requests"]["3001"] == 1
    try:
        proxy.wait_for_error("link lost")
        if on_outage == "hold":
            ret, text = programs[0].call("get_market_snapshot", ["HK.00700"])
            assert ret == -1
            assert f"127.0.0.1:{port}" in text
        with simulator(port) as control:
            restarted = time.monotonic()
            for program in programs:
                program.drain_pushes()
                program.pushes.clear()
                program.wait_push("ticker", timeout_s=20)
                # `close` adds the SDK's own 6 s of waiting before it connects again.
                assert time.monotonic() - restarted < (10 if on_outage == "hold" else 20)
            for program in programs:
                for _ in range(3):
                    program.wait_push("ticker")
                sequences = [
                    row["sequence"]
                    for push in program.drain_pushes()
                    if push["push"] == "ticker"
                    for row in push["data"]
                ]
                assert len(sequences) == len(set(sequences)), "no tick comes twice"
            report = control.ask("report")
            assert len(report["connections"]) == 1
            assert control.ask("violations")["violations"] == []
            rows = control.ask("subscriptions")["now"]
            assert len(rows) == len(KINDS), "one subscription per code and type"
            disconnects = [line for program in programs for line in program.lines if "on_disconnect" in line]
            assert bool(disconnects) == (on_outage == "close"), disconnects
            for program in programs:
                program.finish()
    finally:
        for process in (*programs, proxy):
            process.__exit__(None, None, None)


def test_a_program_that_reconnects_during_the_outage_restores_itself(tmp_path: Path) -> None:
    """The SDK restores its subscriptions once; they wait here for OpenD to come back."""
    port = free_port()
    with (
        simulator(port) as control,
        Opendmux("--listen", "127.0.0.1:0", "--upstream", f"127.0.0.1:{port}") as proxy,
    ):
        proxy.wait_ready()
        control.ask("crash", seconds=600)
        proxy.wait_for_error("link lost")
        with SdkProgram("quote", proxy.port, tmp_path / "a") as program:
            program.wait_ready()
            program.send_line('{"call": "subscribe", "args": [["HK.00700"], ["TICKER"]]}')
            control.ask("crash", seconds=0.1)
            assert program.answer("subscribe")[0] == 0
            program.wait_push("ticker")
            program.finish()


def test_a_trader_keeps_its_account_pushes_over_an_outage(tmp_path: Path) -> None:
    port = free_port()
    with simulator(port):
        proxy = Opendmux("--listen", "127.0.0.1:0", "--upstream", f"127.0.0.1:{port}")
        proxy.wait_ready()
        trader = SdkProgram("trade", proxy.port, tmp_path / "a")
        trader.wait_ready()
        trader.ok("get_acc_list")
    try:
        proxy.wait_for_error("link lost")
        ret, text = trader.call("place_order", 1.0, 100, "HK.00700", "BUY", order_type="NORMAL", trd_env="SIMULATE")
        assert ret == -1
        assert "not sent" in text
        with simulator(port) as control:
            while proxy.text().count("is ready, version") < 2:
                time.sleep(0.05)
            assert control.ask("report")["requests"]["2008"] == 1, "before it is ready"
            order = trader.ok("place_order", 1.0, 100, "HK.00700", "BUY", order_type="NORMAL", trd_env="SIMULATE")[0]
            trader.saw_push("order", lambda rows: rows[0]["order_id"] == order["order_id"])
            assert control.ask("violations")["violations"] == []
            trader.finish()
    finally:
        for process in (trader, proxy):
            process.__exit__(None, None, None)
