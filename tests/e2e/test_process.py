"""The process: options, exit codes, signals, outages seen by the real SDK, use from Python."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from opendmux import __version__

from .harness import Control, Opendmux, SdkProgram


def opendmux(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "opendmux", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **env},
    )


def test_version_and_help() -> None:
    assert opendmux("--version").stdout == f"opendmux {__version__}\n"
    for words in (["--help"], ["serve", "--help"], ["sim", "--help"], ["bench", "--help"]):
        done = opendmux(*words)
        assert (done.returncode, done.stderr) == (0, "")
        assert "usage:" in done.stdout


def test_help_does_not_import_trio() -> None:
    code = "import sys, opendmux.cli\ntry: opendmux.cli.main(['--help'])\nfinally: print('trio' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.endswith("False\n")


def test_the_console_script_is_the_module() -> None:
    script = Path(sys.executable).parent / "opendmux"
    assert subprocess.run([script, "--version"], capture_output=True, text=True).stdout == f"opendmux {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--listen", "nonsense"], "--listen 'nonsense'"),
        (["--listen", "127.0.0.1:99999"], "99999"),
        (["--listen", "192.0.2.1:33333"], "listening on 192.0.2.1:33333 without keys"),
        (["--listen", "no.such.host.invalid:1"], "no.such.host.invalid"),
        (["--upstream", "nonsense"], "--upstream 'nonsense'"),
        (["--config", "/no/such/file"], "/no/such/file"),
        (["--no-such-option"], "--no-such-option"),
        (["--drain-timeout", "-1"], "--drain-timeout"),
        (["sim", "--listen", "nonsense"], "nonsense"),
    ],
)
def test_wrong_usage_is_one_sentence_and_exit_code_2(arguments: list[str], words: str) -> None:
    done = opendmux(*arguments)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("listen = 5", "listen"),
        ("nonsense = 1", "nonsense"),
        ("[limits]\nin_flihgt = 1", "in_flihgt"),
        ("= 1", "TOML"),
        ('log_level = "loud"', "loud"),
        ("[timeouts]\nreply_s = 99.0", "reply_s"),
        ("[limits]\nin_flight = 0", "in_flight"),
    ],
)
def test_a_bad_configuration_is_one_sentence_and_exit_code_2(tmp_path: Path, toml: str, words: str) -> None:
    path = tmp_path / "opendmux.toml"
    path.write_text(toml)
    done = opendmux("--config", str(path))
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_port_in_use_is_one_sentence_and_exit_code_2() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        for arguments in (["--listen", address, "--upstream", "sim"], ["sim", "--listen", address]):
            done = opendmux(*arguments)
            assert done.returncode == 2
            assert address in done.stderr
            assert "Traceback" not in done.stderr


def test_a_missing_native_module_is_one_sentence_and_exit_code_2() -> None:
    hide = "import sys; sys.modules['opendmux.native._switch'] = None\n"
    code = hide + "from opendmux.cli import main; sys.exit(main(['--upstream', 'sim', '--listen', '127.0.0.1:0']))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert "native modules" in done.stderr
    assert "Traceback" not in done.stderr


def test_the_banner_says_what_listens_where_and_that_it_is_simulated() -> None:
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0") as proxy:
        proxy.wait_ready()
        proxy.wait_for("Ctrl-C")
        text = "\n".join(proxy.lines)
        assert "SIMULATED" in text
        assert "SHA-1" not in text, "that is for a report: `opendmux version`"
        ports = re.search(r"127\.0\.0\.1:(\d+) and 127\.0\.0\.1:(\d+)", text)
        assert ports is not None
        for port in ports.groups():
            socket.create_connection(("127.0.0.1", int(port))).close()
        assert proxy.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_drains_and_exits_with_0(number: signal.Signals, tmp_path: Path) -> None:
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0") as proxy:
        proxy.wait_ready()
        with SdkProgram("quote", proxy.port, tmp_path) as program:
            program.wait_ready()
            proxy.signal(number)
            assert proxy.wait() == 0
            assert "Traceback" not in proxy.text()


def test_a_second_signal_exits_at_once(tmp_path: Path) -> None:
    """A request that upstream holds back holds the drain; the second signal does not wait for it."""
    with Opendmux("sim", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0") as sim:
        found = sim.wait_for(r"OpenD on (\S+), seed 1, control on \S+:(\d+)")
        control = Control(int(found[2]))
        control.ask("delay", proto_id=3203, seconds=60)
        with Opendmux("--upstream", found[1], "--listen", "127.0.0.1:0", "--drain-timeout", "600") as proxy:
            proxy.wait_ready()
            with SdkProgram("quote", proxy.port, tmp_path) as program:
                program.wait_ready()
                program.send_line('{"call": "get_market_snapshot", "args": [["HK.00700"]]}')
                while not control.ask("requests", proto_id=3203)["requests"]:
                    pass
                proxy.signal(signal.SIGTERM)
                proxy.wait_for_error("draining 1 clients")
                proxy.signal(signal.SIGTERM)
                assert proxy.wait() == 128 + signal.SIGTERM
        control.close()


def test_before_opend_is_there_the_port_refuses_and_the_log_says_what_is_waited_for() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
        with Opendmux("--upstream", address, "--listen", "127.0.0.1:0") as proxy:
            proxy.wait_for_error(f"{address}: .*refused.*waiting")
            proxy.wait_for(f"opendmux {re.escape(__version__)} waits for OpenD")
            where = proxy.wait_for(r"are refused so far; they can come to (127\.0\.0\.1:\d+) when")[1]
            assert not where.endswith(":0"), "the port that it will be"
            proxy.wait_for(rf"upstream   OpenD at {re.escape(address)}: .*refused")
            proxy.wait_for(rf"pid {proxy.popen.pid}\b")
            doctor, status = f"`opendmux doctor --upstream {address}`", f"`opendmux status --connect {where}`"
            proxy.wait_for(f"{re.escape(doctor)}.*{re.escape(status)}")
            assert not any("ready" in line for line in proxy.lines)
            free.close()
            with Opendmux("sim", "--listen", address):
                proxy.wait_ready()
                assert f"connect to {where}" in "\n".join(proxy.lines)
                assert proxy.lines.count(f"opendmux {__version__} waits for OpenD") == 1
                assert proxy.stop() == 0


def test_who_is_there_at_once_is_not_waited_for() -> None:
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0") as proxy:
        proxy.wait_for("Ctrl-C")
        assert not any("waits" in line for line in proxy.lines)
        assert proxy.stop() == 0


def test_open_proxy_runs_inside_a_trio_program(tmp_path: Path) -> None:
    program = tmp_path / "inside.py"
    program.write_text(
        "import opendmux, trio\n"
        "async def main():\n"
        "    config = opendmux.Config(listen=('127.0.0.1:0',), upstream='sim')\n"
        "    async with opendmux.open_proxy(config) as proxy:\n"
        "        await proxy.listening.wait()\n"
        "        stream = await trio.open_tcp_stream('127.0.0.1', proxy.addresses[0].port)\n"
        "        await stream.aclose()\n"
        "        print('served on', proxy.addresses[0])\n"
        "trio.run(main)\n"
    )
    done = subprocess.run([sys.executable, program], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("served on 127.0.0.1:")


def test_ready_as_json() -> None:
    """For a program that starts the proxy on a free port."""
    with Opendmux("sim", "--listen", "127.0.0.1:0", "--json") as sim:
        where = json.loads(sim.next_line())
        assert where["seed"] == 1
        with Opendmux("--listen", "127.0.0.1:0", "--upstream", where["listening"], "--json") as proxy:
            ready = json.loads(proxy.next_line())
            assert (ready["opendmux"], ready["pid"]) == (__version__, proxy.popen.pid)
            (listener,) = ready["listeners"]
            assert listener["upstream"] == listener["trade_upstream"] == where["listening"]
            (address,) = listener["addresses"]
            done = opendmux("status", "--json", "--connect", address)
            assert json.loads(done.stdout)["ready"]
            assert proxy.stop() == 0
