"""The clients of docs/languages.md, as they stand there, each in its own process against a proxy in front of the
simulator: without keys, and with a key from the environment.

A client whose tools are missing is skipped. Those that fetch and build a lot run by `make test-languages` alone.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from opendmux.cli import main

from .harness import HERE, Opendmux

ROOT = HERE.parents[1]
CLIENTS = ROOT / "docs" / "clients"
MODULES = HERE / "node" / "node_modules"
ALL = os.environ.get("TEST_LANGUAGES") == "1"
TENCENT = {"securityList": [{"market": 1, "code": "00700"}]}

Command = Sequence[str]


def run(*words: str, folder: Path, patience_s: float = 100, env: Mapping[str, str] | None = None) -> str:
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=patience_s, env={**os.environ, **(env or {})}
    )
    assert done.returncode == 0, f"{words}:\n{done.stdout}\n{done.stderr}"
    return done.stdout


def tools(folder: Path) -> str:
    """A PATH with `opendmux` and `protoc` in front."""
    for name, module in (("opendmux", "opendmux"), ("protoc", "grpc_tools.protoc")):
        script = folder / "tools" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
        script.chmod(0o755)
    return f"{folder / 'tools'}{os.pathsep}{os.environ['PATH']}"


def python_sdk(_folder: Path) -> Command:
    return [sys.executable, "sdk.py"]


def python_grpc(folder: Path) -> Command:
    assert main(["proto", "--out", str(folder)]) == 0
    options = ["-I.", "--python_out=.", "--grpc_python_out=.", "futu.proto"]
    run(sys.executable, "-m", "grpc_tools.protoc", *options, folder=folder)
    return [sys.executable, "over_grpc.py"]


def node(folder: Path) -> None:
    assert MODULES.is_dir(), "run `make test` once: it installs the Node clients"
    (folder / "node_modules").symlink_to(MODULES)


def node_sdk(folder: Path) -> Command:
    node(folder)
    return ["node", "sdk.mjs"]


def node_grpc(folder: Path) -> Command:
    node(folder)
    assert main(["proto", "--out", str(folder)]) == 0
    return ["node", "over_grpc.js"]


def go(folder: Path) -> Command:
    run("go", "build", "-o", "quotes", "main.go", folder=folder, env={"GOTOOLCHAIN": "local", "GO111MODULE": "off"})
    return ["./quotes"]


def go_grpc(folder: Path) -> Command:
    import futu

    protos = Path(futu.__file__).parent / "common" / "pb"
    run("sh", "generate.sh", str(protos), folder=folder, patience_s=900, env={"PATH": tools(folder)})
    run("go", "build", "-o", "quotes", ".", folder=folder, patience_s=900)
    return ["./quotes"]


def rust(folder: Path) -> Command:
    run("rustc", "--edition", "2021", "-O", "main.rs", folder=folder)
    return ["./main"]


def java(folder: Path) -> Command:
    run("javac", "-d", ".", "Quotes.java", folder=folder)
    return ["java", "-cp", ".", "Quotes"]


def java_sdk(folder: Path) -> Command:
    goals = ["compile", "dependency:copy-dependencies", "-DoutputDirectory=lib"]
    run("mvn", "-q", "-B", *goals, folder=folder, patience_s=900)
    return ["java", "-cp", "target/classes:lib/*", "Quotes"]


def curl(_folder: Path) -> Command:
    return ["sh", "quotes.sh"]


@dataclass(frozen=True)
class Client:
    """``folder``: below docs/clients; ``tool``: what has to be installed; ``heavy``: it fetches and builds a lot."""

    folder: str
    tool: str
    build: Callable[[Path], Command]
    heavy: bool = False


LANGUAGES: Mapping[str, Client] = {
    "python-sdk": Client("python", sys.executable, python_sdk),
    "python-grpc": Client("python", sys.executable, python_grpc),
    "node-sdk": Client("node", "node", node_sdk),
    "node-grpc": Client("node", "node", node_grpc),
    "go": Client("go", "go", go),
    "go-grpc": Client("go-grpc", "go", go_grpc, heavy=True),
    "rust": Client("rust", "rustc", rust),
    "java": Client("java", "javac", java),
    "java-sdk": Client("java-sdk", "mvn", java_sdk, heavy=True),
    "curl": Client("curl", "curl", curl),
}
NOT_RUN = {"csharp": "no .NET in CI; docs/languages.md says so"}


@pytest.fixture(scope="module", params=LANGUAGES)
def program(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Command]:
    """A copy of the client, built, and the command that runs it."""
    client = LANGUAGES[request.param]
    if client.heavy and not ALL:
        pytest.skip("it fetches and builds a lot: `make test-languages`")
    if shutil.which(client.tool) is None:
        pytest.skip(f"{client.tool} is not installed")
    folder = tmp_path_factory.mktemp(request.param) / "client"
    shutil.copytree(CLIENTS / client.folder, folder)
    return folder, client.build(folder)


@pytest.fixture(scope="module")
def proxy() -> Iterator[Opendmux]:
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0").wait_ready() as proxy:
        yield proxy


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Opendmux, str]]:
    """A proxy that asks for a key, and the key."""
    keys = tmp_path_factory.mktemp("keys") / "keys.json"
    words = ["keys", "add", "--keys", str(keys), "--id", "page", "--scopes", "qot:read", "--websocket"]
    key = run(sys.executable, "-m", "opendmux", *words, folder=ROOT).strip()
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0", "--keys", str(keys)).wait_ready() as proxy:
        yield proxy, key


def ask(port: int, proto_id: int, c2s: object, key: str) -> dict[str, float]:
    """The quote, over HTTP."""
    headers = {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}
    body = json.dumps({"c2s": c2s}).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}/v1/request/{proto_id}", body, headers)
    with urllib.request.urlopen(request, timeout=20) as answer:
        response = json.load(answer)
    assert response["retType"] == 0, response
    quotes: list[dict[str, float]] = response.get("s2c", {}).get("basicQotList", [{}])
    return quotes[0]


def check(program: tuple[Path, Command], port: int, key: str = "") -> None:
    """A quote and three pushes, at prices that the market had."""
    folder, command = program
    ask(port, 3001, {**TENCENT, "subTypeList": [1], "isSubOrUnSub": True}, key)
    before = ask(port, 3004, TENCENT, key)
    environment = {"HOME": str(folder), **({"OPENDMUX_KEY": key} if key else {})}
    said = run(*command, str(port), folder=folder, env=environment)
    after = ask(port, 3004, TENCENT, key)
    lines = re.findall(r"^(quote|push) HK\.00700 ([0-9.]+)$", said, re.MULTILINE)
    assert [kind for kind, _price in lines] == ["quote", "push", "push", "push"], said
    low, high = after["lowPrice"], after["highPrice"]
    assert all(low <= float(price) <= high for _kind, price in lines), (low, high, said)
    assert before["lastClosePrice"] == after["lastClosePrice"]


def test_without_keys(program: tuple[Path, Command], proxy: Opendmux) -> None:
    check(program, proxy.port)


def test_with_a_key(program: tuple[Path, Command], guarded: tuple[Opendmux, str]) -> None:
    proxy, key = guarded
    check(program, proxy.port, key)


def test_a_wrong_key_is_turned_away(program: tuple[Path, Command], guarded: tuple[Opendmux, str]) -> None:
    """So `test_with_a_key` proves something."""
    folder, command = program
    if "sdk.py" in command:
        pytest.skip("the Python SDK tries again for ever: tests/e2e/test_gate_sdk.py")
    env = {**os.environ, "HOME": str(folder), "OPENDMUX_KEY": f"fc_{'0' * 64}"}
    words = [*command, str(guarded[0].port)]
    done = subprocess.run(words, cwd=folder, capture_output=True, text=True, timeout=60, env=env)
    assert not re.search(r"HK\.00700 [0-9]", done.stdout), done.stdout


def test_every_client_is_run_and_is_on_the_page() -> None:
    folders = {path.name for path in CLIENTS.iterdir()}
    assert folders == {client.folder for client in LANGUAGES.values()} | set(NOT_RUN)
    page = (ROOT / "docs" / "languages.md").read_text(encoding="utf-8")
    files = [path.relative_to(ROOT / "docs") for path in CLIENTS.rglob("*") if path.is_file()]
    assert files
    assert not [str(file) for file in files if str(file) not in page]
