"""FT frames over a WebSocket that breaks off and goes on: the `ws` package of Node, in processes of its own."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from contextlib import closing
from pathlib import Path

from .gated import Sim, open_gate
from .harness import HERE, Opendmux, Process
from .resumable_user import NODE, Reader, node
from .test_outage import free_port
from .test_status_commands import run

DOCS = HERE.parents[1] / "docs" / "websocket.md"


def test_nothing_is_missing_and_nothing_comes_twice(tmp_path: Path) -> None:
    """Broken off by the client, by the death of its process, and found again by a third."""
    with closing(Sim()) as sim, open_gate(tmp_path, sim.address) as gate:
        key = gate.add("bot", "qot:read")
        gate.start(keys=True)
        with Reader(gate.port, key) as first:
            first.open().subscribe()
            first.wait_ticks()
            first.break_off()
            time.sleep(1.0)  # ticks go by
            first.open(first.numbers[-1])
            first.wait_ticks(5)
            first.popen.kill()
            first.popen.wait()
        with Reader(gate.port, key) as second:
            time.sleep(1.0)
            second.open(first.numbers[-1])
            second.wait_ticks(5)
            sequences, numbers = [*first.sequences, *second.sequences], [*first.numbers, *second.numbers]
            assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
            assert sequences == list(range(sequences[0], sequences[0] + len(sequences)))
            # one that has dealt with less gets the same again
            second.break_off()
            before, second.numbers = second.numbers, []
            second.open(before[0])
            second.wait_ticks(len(before) + 1)
            assert second.numbers[: len(before) - 1] == before[1:]
            assert sim.counts()[3001] == 1, "the subscription was kept"
            assert sim.control.ask("violations")["violations"] == []
            gate.proxy.signal(signal.SIGTERM)
            assert second.wait_said(lambda said: "text" in said)["text"]["event_type"] == "end"
            assert second.wait_said(lambda said: "closed" in said)["closed"] == 1001
        gate.stop()
        said = gate.proxy.errors
        assert not [line for line in said if "Traceback" in line or " ERROR " in line], gate.proxy.text()
        assert not [line for line in said if key in line]


def test_an_administrator_closes_it_and_it_comes_back() -> None:
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0") as proxy:
        here = ["--connect", f"127.0.0.1:{proxy.wait_ready().port}"]
        with Reader(proxy.port) as reader:
            reader.open().subscribe()
            reader.wait_ticks()
            (client,) = json.loads(run("clients", "list", "--json", *here).stdout)
            assert (client["transport"], client["key_id"], client["subscriptions"]) == ("ws", "anonymous", 1)
            assert run("clients", "kill", client["id"], *here).returncode == 0
            assert "administrator" in reader.wait_said(lambda said: "text" in said)["text"]["text"]
            assert reader.wait_said(lambda said: "closed" in said)["closed"] == 1008
            reader.open(reader.numbers[-1])
            assert reader.wait_said(lambda said: "text" in said)["text"]["event_type"] == "gap", (
                "it was another session"
            )
            reader.subscribe()
            reader.wait_ticks()


def test_a_key_that_ends_and_one_that_is_wrong(tmp_path: Path) -> None:
    with closing(Sim()) as sim, open_gate(tmp_path, sim.address) as gate:
        key = gate.add("bot", "qot:read")
        gate.start(keys=True)
        with Reader(gate.port, "fc_wrong") as wrong:
            wrong.order(connect="0")
            assert wrong.wait_said(lambda said: "refused" in said)["refused"] == 401
        with Reader(gate.port, key) as reader:
            reader.open().subscribe()
            reader.wait_ticks()
            gate.revoke("bot")
            gate.proxy.signal(signal.SIGHUP)
            end = reader.wait_said(lambda said: "text" in said)["text"]
            assert (end["event_type"], "revoked" in end["text"]) == ("end", True)
            assert reader.wait_said(lambda said: "closed" in said)["closed"] == 1008
            reader.order(connect=str(reader.numbers[-1]))
            assert reader.wait_said(lambda said: "refused" in said)["refused"] == 401


def test_the_example_of_the_documentation(tmp_path: Path) -> None:
    """It says when opendmux was started anew in between, subscribes again, and goes on."""
    (example,) = re.findall(r"```js\n(const \{ createHash \}.*?)```", DOCS.read_text(), re.DOTALL)
    port = free_port()
    program = tmp_path / "example.js"
    program.write_text(example.replace("33333", str(port)))
    modules = {"NODE_PATH": str(NODE / "node_modules"), "PATH": os.environ["PATH"]}
    with closing(Sim()) as sim:
        arguments = ["--listen", f"127.0.0.1:{port}", "--upstream", sim.address]
        with Opendmux(*arguments) as proxy:
            proxy.wait_ready()
            example_program = Process([node(), str(program)], env=modules)
            example_program.wait_for(r"^tick \d+ [\d.]+$")
        with example_program, Opendmux(*arguments) as proxy:
            proxy.wait_ready()
            example_program.wait_for(r"gap")
            example_program.wait_for(r"^tick \d+ [\d.]+$")
            assert not [line for line in proxy.errors if "Traceback" in line], proxy.text()
