"""One address has too many HTTP connections: what curl and grpcio make of it, and who is served all the same."""

from __future__ import annotations

import shutil
import socket
from contextlib import ExitStack
from pathlib import Path

import pytest

from .gated import FutuProgram, wait_until
from .harness import PATIENCE_S, Opendmux, SdkProgram
from .test_tls import curl

LIMIT = 3
GET = b"GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n"


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
def test_the_others_are_told_and_the_sdk_is_served(tmp_path: Path, futu_proto: Path) -> None:
    config = tmp_path / "opendmux.toml"
    config.write_text(f"[limits]\nhttp_per_address = {LIMIT}\n")
    with ExitStack() as stack:
        proxy = Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0", "--config", str(config))
        stack.enter_context(proxy).wait_ready()
        kept = []
        for _ in range(LIMIT):
            kept.append(stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port), timeout=PATIENCE_S)))
            kept[-1].sendall(GET)
            assert kept[-1].recv(4096).startswith(b"HTTP/1.1 200 ")
        url = f"http://127.0.0.1:{proxy.port}"
        refused = curl("-i", f"{url}/livez")
        assert "HTTP/1.1 503 Service Unavailable" in refused.stdout
        assert "limits.http_per_address" in refused.stdout
        caller = stack.enter_context(FutuProgram("python", proxy.port, futu_proto))
        assert caller.request(1002)["code"] in ("UNAVAILABLE", "DEADLINE_EXCEEDED"), "it tries again by itself"
        sdk = stack.enter_context(SdkProgram("quote", proxy.port, tmp_path / "sdk"))
        sdk.wait_ready().ok("get_global_state")
        proxy.wait_for_error(r"127\.0\.0\.1: refused, it has 3 HTTP connections")
        for each in kept:
            each.close()
        wait_until(lambda: curl("--fail", f"{url}/livez").returncode == 0, "the next one is served again")
        wait_until(lambda: caller.request(1002)["code"] == "OK", "grpcio has come back by itself")
        figures = curl("--fail", f"{url}/metrics").stdout
        (counted,) = (
            line for line in figures.splitlines() if line.startswith("opendmux_http_connections_refused_total ")
        )
        assert float(counted.split()[1]) >= 2
        sdk.finish()
        assert not [line for line in proxy.errors if "Traceback" in line], proxy.text()
