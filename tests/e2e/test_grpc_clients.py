"""The gRPC face and clients that nobody changed for it: grpcio, and @grpc/grpc-js on Node."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from opendmux.cli import main

from .harness import HERE, Process

ROOT = HERE.parents[1]
NODE = HERE / "node"
PYTHON_PROGRAM = HERE / "grpc_program.py"
NODE_PROGRAM = NODE / "program.js"
PYTHON_CHECKS = re.findall(r"@check\ndef (\w+)", PYTHON_PROGRAM.read_text())
NODE_CHECKS = re.findall(r"^  async (\w+)\(", NODE_PROGRAM.read_text(), re.MULTILINE)


@pytest.fixture(scope="module")
def proto(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The definition as users get it."""
    folder = tmp_path_factory.mktemp("proto")
    assert main(["proto", "--out", str(folder)]) == 0
    return folder / "futu.proto"


def open_server() -> Process:
    return Process([sys.executable, "-m", "tests.e2e.grpc_server"], env={"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"})


@pytest.fixture(scope="module")
def port() -> Iterator[str]:
    with open_server() as server:
        yield server.wait_for(r"^port (\d+)$")[1]
        assert server.popen.poll() is None, server.text()
        assert not [line for line in server.errors if "Traceback" in line], server.text()


def run(arguments: Sequence[str]) -> dict[str, str]:
    results: dict[str, str] = {}
    with Process(arguments, env={"GRPC_VERBOSITY": "NONE"}) as program:
        while True:
            name, said = json.loads(program.next_line(90))
            if not name:
                return results
            results[name] = said


@pytest.fixture(scope="module")
def stubs(proto: Path) -> str:
    from grpc_tools import protoc

    folder = proto.parent
    options = [f"-I{folder}", f"--python_out={folder}", f"--grpc_python_out={folder}", str(proto)]
    assert protoc.main(["protoc", *options]) == 0
    return str(folder)


@pytest.fixture(scope="module")
def python_results(port: str, stubs: str) -> dict[str, str]:
    return run([sys.executable, str(PYTHON_PROGRAM), port, stubs])


@pytest.fixture(scope="module")
def node_results(port: str, proto: Path) -> dict[str, str]:
    assert (NODE / "node_modules").is_dir(), "run `make test` once: it installs the Node client"
    node = shutil.which("node")
    assert node is not None
    return run([node, str(NODE_PROGRAM), port, str(proto)])


@pytest.mark.parametrize("name", PYTHON_CHECKS)
def test_grpcio(python_results: dict[str, str], name: str) -> None:
    assert python_results[name] == ""


@pytest.mark.parametrize("name", NODE_CHECKS)
def test_grpc_js(node_results: dict[str, str], name: str) -> None:
    assert node_results[name] == ""


def test_a_drain_is_gentle(stubs: str) -> None:
    with open_server() as server:
        port = server.wait_for(r"^port (\d+)$")[1]
        with Process([sys.executable, str(PYTHON_PROGRAM), port, stubs, "drain"]) as program:
            server.wait_for("^waiting$")
            server.signal(signal.SIGTERM)
            name, said = json.loads(program.next_line())
            assert (name, said) == ("drain", "")
            server.wait_for("^drained$")
            assert server.wait() == 0


def test_h2load_is_served(port: str, proto: Path, tmp_path: Path) -> None:
    """Another HTTP/2 implementation (nghttp2): every call answered."""
    h2load = shutil.which("h2load")
    if h2load is None:
        pytest.skip("h2load is not installed (Debian: nghttp2-client)")
    message = b"\x08\xbc\x17\x12\x02\x08\x00"  # FutuRequest{proto_id: 3004, body: 08 00}
    (tmp_path / "body").write_bytes(b"\0" + len(message).to_bytes(4) + message)
    headers = ["-H", "content-type: application/grpc", "-H", "te: trailers"]
    url = f"http://127.0.0.1:{port}/futu.service.FutuOpenD/Request"
    command = [h2load, "-n", "2000", "-c", "4", "-m", "32", "-d", str(tmp_path / "body"), *headers, url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "2000 succeeded, 0 failed, 0 errored" in done.stdout, done.stdout
