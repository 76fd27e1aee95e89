"""OpenD is taken down for maintenance under programs with the real SDK, which stay connected and go on."""

from __future__ import annotations

import json
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from .gated import PAPER, wait_until
from .harness import Control, Opendmux, SdkProgram
from .test_outage import config_file, free_port, simulator
from .test_status_commands import run


def status(port: int) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("status", "--json", "--connect", f"127.0.0.1:{port}").stdout)
    return found


@pytest.mark.parametrize("on_outage", ["hold", "close"])
def test_two_programs_stay_connected_and_go_on(tmp_path: Path, on_outage: str) -> None:
    port = free_port()
    with ExitStack() as stack:

        def told(*words: str) -> subprocess.CompletedProcess[str]:
            return run(*words, "--connect", f"127.0.0.1:{proxy.port}")

        with simulator(port):
            words = ["--listen", "127.0.0.1:0", "--upstream", f"127.0.0.1:{port}"]
            proxy = stack.enter_context(Opendmux(*words, "--config", config_file(tmp_path, on_outage))).wait_ready()
            quotes, trader = (
                stack.enter_context(SdkProgram(kind, proxy.port, tmp_path / kind, context=context)).wait_ready()
                for kind, context in (("quote", {}), ("trade", {"filter_trdmarket": "HK"}))
            )
            quotes.ok("subscribe", ["HK.00700"], ["TICKER"])
            quotes.wait_push("ticker")
            trader.ok("order_list_query", trd_env="SIMULATE", acc_id=PAPER["acc_id"])
            before = {client["id"] for client in status(proxy.port)["clients"]}
            done = told("pause")
            assert (done.returncode, done.stderr) == (0, "")
            assert "is paused for maintenance since" in done.stdout
            assert "resume with `opendmux resume`" in done.stdout
            (opend,) = status(proxy.port)["opends"]
            assert opend["paused"]["until"] is None
            # The simulator ends with this block: nobody notices.
        ret, text = quotes.call("get_market_snapshot", ["HK.00700"])
        assert ret == -1
        assert "is paused for maintenance since" in text
        with SdkProgram("quote", proxy.port, tmp_path / "new").wait_ready() as newcomer:
            assert newcomer.call("get_market_snapshot", ["HK.00700"])[0] == -1
        assert status(proxy.port)["ready"] is False
        with simulator(port) as control:
            assert told("pause", "--show").stdout == done.stdout
            assert control.ask("report")["connections"] == []
            quotes.drain_pushes()
            assert told("resume").stdout == "nothing is paused any more\n"
            quotes.wait_push("ticker")
            quotes.ok("get_market_snapshot", ["HK.00700"])
            placed = trader.ok("place_order", 300, 100, "HK.00700", "BUY", trd_env="SIMULATE", acc_id=PAPER["acc_id"])
            trader.saw_push("order", lambda rows: rows[0]["order_id"] == placed[0]["order_id"])
            assert before <= {client["id"] for client in status(proxy.port)["clients"]}, "the same connections"
            assert len(control.ask("report")["connections"]) == 1
            assert proxy.popen.poll() is None
            ends_by_itself(proxy.port, control)


def ends_by_itself(port: int, control: Control) -> None:
    done = run("pause", "--for", "1s", "--json", "--connect", f"127.0.0.1:{port}")
    (paused,) = json.loads(done.stdout)["paused"]
    assert "or by itself at" in paused["text"]
    wait_until(lambda: bool(status(port)["ready"]), "it does not end by itself", pause_s=0.3)
    assert control.ask("violations")["violations"] == []
    wrong = run("pause", "--opend", "2", "--connect", f"127.0.0.1:{port}")
    assert (wrong.returncode, "no OpenD is called 2" in wrong.stderr) == (1, True)
