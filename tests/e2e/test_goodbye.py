"""The official SDK on a connection that opendmux closes, and a self-made client that sends no KeepAlive."""

from __future__ import annotations

import json
import re
import socket
import subprocess
import sys
from pathlib import Path

from opendmux.wire.frame import build_frame
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .harness import HERE, PATIENCE_S, Opendmux, Process, SdkProgram


def run(*words: str) -> str:
    command = [sys.executable, "-m", "opendmux", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout


def test_the_sdk_hands_the_reason_to_the_program_and_connects_again(tmp_path: Path) -> None:
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0").wait_ready() as proxy:
        here = ["--connect", f"127.0.0.1:{proxy.port}"]
        with SdkProgram("quote", proxy.port, tmp_path / "home").wait_ready() as sdk:
            sdk.ok("get_global_state")
            (client,) = json.loads(run("clients", "list", "--json", *here))
            run("clients", "kill", client["id"], *here)
            told = sdk.saw_push("notify", lambda data: "opendmux closes this connection" in str(data))
            assert "closed by an administrator" in str(told)
            proxy.wait_for_error(r"#2 tcp .*ready")  # the SDK's own reconnect
            sdk.ok("get_global_state")


def test_a_program_of_ones_own_without_keep_alive_is_told_when_opendmux_stops() -> None:
    """It sends InitConnect and then nothing."""
    c2s = opend.InitConnectC2S(clientVer=300, clientID="own", recvNotify=True, packetEncAlgo=-1)
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0").wait_ready() as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S) as own:
            own.sendall(build_frame(ProtoId.INIT_CONNECT, 0, 1, encode(opend.InitConnectRequest(c2s=c2s))))
            answer = own.recv(4096)
            assert int.from_bytes(answer[2:6], "little") == ProtoId.INIT_CONNECT
            proxy.wait_for_error("#1 tcp .*ready")
            assert run("status", "--connect", f"127.0.0.1:{proxy.port}"), (
                "it takes longer than a client needs to settle"
            )
            proxy.popen.terminate()
            rest = b""
            while data := own.recv(4096):
                rest += data
            assert b"opendmux closes this connection: opendmux stops" in rest
        assert proxy.wait() == 0


def test_the_handler_of_the_page_prints_the_reason(tmp_path: Path) -> None:
    page = (HERE.parents[1] / "docs" / "tcp.md").read_text(encoding="utf-8")
    (code,) = [code for code in re.findall(r"^```python\n(.*?)^```", page, re.MULTILINE | re.DOTALL) if "Notes" in code]
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0").wait_ready() as proxy:
        program = tmp_path / "program.py"
        program.write_text(code.replace("33333", str(proxy.port)))
        with Process([sys.executable, str(program)], env={"HOME": str(tmp_path)}) as running:
            proxy.wait_for_error(r"#1 tcp .*ready")
            here = ["--connect", f"127.0.0.1:{proxy.port}"]
            run("clients", "list", *here)  # it takes longer than the SDK needs to be ready
            run("clients", "kill", "1", *here)
            running.wait_for(r"^GTW_EVENT \S+ opendmux closes this connection: closed by an administrator$")
            running.popen.kill()
