"""TLS with the clients that people have, on one port beside plain ones: grpcio, Node, curl, Python's ssl, the SDK."""

from __future__ import annotations

import contextlib
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from opendmux.cli import main

from .gated import FutuProgram, Gate, open_gate, quote_body, sub_body, wait_until
from .harness import PATIENCE_S, Opendmux, SdkProgram

LANGUAGES = ["python", "node"]
TENCENT = "1_00700"


@pytest.fixture(scope="module")
def proto(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The definition as users get it, with Python's stubs beside it."""
    from grpc_tools import protoc

    folder = tmp_path_factory.mktemp("proto")
    assert main(["proto", "--out", str(folder)]) == 0
    options = [f"-I{folder}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    assert protoc.main(["protoc", *options, str(folder / "futu.proto")]) == 0
    return folder / "futu.proto"


def self_signed(folder: Path) -> tuple[str, str]:
    assert main(["tls", "self-signed", "--out", str(folder), "--force"]) == 0
    return str(folder / "cert.pem"), str(folder / "key.pem")


def curl(*words: str) -> subprocess.CompletedProcess[str]:
    program = shutil.which("curl")
    if program is None:
        pytest.skip("curl is not installed")
    command = [program, "--silent", "--show-error", "--max-time", "10", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)


def test_all_of_them_on_one_port_see_the_same_quotes(tmp_path: Path, proto: Path) -> None:
    cert, key = self_signed(tmp_path)
    with contextlib.ExitStack() as stack:
        words = ("--listen", "127.0.0.1:0", "--upstream", "sim", "--tls-cert", cert, "--tls-key", key)
        proxy = stack.enter_context(Opendmux(*words)).wait_ready()
        proxy.wait_for("TLS .*cert.pem")
        sdk = stack.enter_context(SdkProgram("quote", proxy.port, tmp_path / "sdk")).wait_ready()
        users = [stack.enter_context(FutuProgram(name, proxy.port, proto, cert)) for name in LANGUAGES]
        users += [stack.enter_context(FutuProgram(name, proxy.port, proto)) for name in LANGUAGES]

        sdk.ok("subscribe", ["HK.00700"], ["QUOTE"])
        for user in users:
            user.ok(3001, sub_body(push=True))
            user.stream("all")
        seen = [user.wait_event("all", lambda event: event.get("sec_key") == TENCENT) for user in users]
        assert {event["proto_id"] for event in seen} == {3005}
        sdk.wait_push("quote")
        last = seen[-1]["body"]
        for user in users:
            user.wait_event("all", lambda event: event.get("body") == last)

        for version in ("--http1.1", "--http2"):
            done = curl("--cacert", cert, version, f"https://localhost:{proxy.port}/readyz")
            assert (done.returncode, done.stderr) == (0, "")
            assert '"ready":true' in done.stdout
        assert '"alive":true' in curl(f"http://127.0.0.1:{proxy.port}/livez").stdout
        assert "certificate" in curl(f"https://localhost:{proxy.port}/livez").stderr, "it is not trusted unasked"

        sdk.finish()
        proxy.signal(signal.SIGTERM)
        assert proxy.wait() == 0
        assert not [line for line in proxy.errors if "Traceback" in line or " ERROR " in line], proxy.text()


def test_tls_alone(tmp_path: Path, proto: Path) -> None:
    cert, key = self_signed(tmp_path)
    (tmp_path / "opendmux.toml").write_text(f'[tls]\ncert = "{cert}"\nkey = "{key}"\nrequire = true\n')
    words = ("--listen", "127.0.0.1:0", "--upstream", "sim", "--config", str(tmp_path / "opendmux.toml"))
    with Opendmux(*words) as proxy:
        proxy.wait_ready()
        proxy.wait_for("TLS .*cert.pem; required")
        proxy.wait_for("Ctrl-C")
        assert not [line for line in proxy.lines if "import futu" in line], "the SDK can't come here"
        done = curl("--write-out", "%{http_code}", f"http://127.0.0.1:{proxy.port}/livez")
        assert done.stdout.endswith("400")
        assert "use https" in done.stdout
        assert '"alive":true' in curl("--cacert", cert, f"https://localhost:{proxy.port}/livez").stdout
        proxy.wait_for_error(r"127\.0\.0\.1: closed, it speaks http1 without TLS, and tls\.require is set")
        with FutuProgram("python", proxy.port, proto) as plain:
            assert plain.request(1002, timeout=3)["code"] in ("UNAVAILABLE", "DEADLINE_EXCEEDED")
        with FutuProgram("python", proxy.port, proto, cert) as safe:
            safe.ok(3001, sub_body())
            safe.ok(3004, quote_body())


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    with open_gate(tmp_path, "sim") as made:
        yield made


def issue(folder: Path, name: str, leaf: trustme.LeafCert) -> tuple[str, str]:
    cert, key = folder / f"{name}.pem", folder / f"{name}.key.pem"
    cert.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    leaf.private_key_pem.write_to_path(key)
    key.chmod(0o600)
    return str(cert), str(key)


def tls_section(cert: str, key: str, ca: str) -> str:
    return f'[tls]\ncert = "{cert}"\nkey = "{key}"\nclient_ca = "{ca}"\n'


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_client_certificate_names_a_key(gate: Gate, tmp_path: Path, proto: Path, language: str) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    ca = str(tmp_path / "ca.pem")
    server = issue(tmp_path, "server", authority.issue_cert("localhost", "127.0.0.1"))
    bot = issue(tmp_path, "bot", authority.issue_cert("bot.example", common_name="bot"))
    stranger = issue(tmp_path, "stranger", authority.issue_cert("x.example", common_name="stranger"))
    shown = gate.add("bot", "qot:read")
    gate.start(toml=tls_section(*server, ca))

    with FutuProgram(language, gate.port, proto, ca, *bot) as user:
        user.ok(3001, sub_body())
        user.ok(3004, quote_body())
        assert user.request(2001)["code"] == "PERMISSION_DENIED", "what the key may not do, its certificate may not"
        assert user.request(3004, quote_body(), "fc_" + "0" * 64)["code"] == "UNAUTHENTICATED"
        gate.revoke("bot")
        gate.reload("were read again")
        assert user.request(3004, quote_body())["code"] == "UNAUTHENTICATED"
    for files in (stranger, ()):
        with FutuProgram(language, gate.port, proto, ca, *files) as user:
            assert user.request(3004, quote_body())["code"] == "UNAUTHENTICATED"
            assert user.request(3004, quote_body(), shown)["code"] == "UNAUTHENTICATED", "revoked"
    forged = issue(tmp_path, "forged", trustme.CA().issue_cert("bot.example", common_name="bot"))
    with FutuProgram(language, gate.port, proto, ca, *forged) as user:
        assert user.request(3004, quote_body(), timeout=3)["code"] in ("UNAVAILABLE", "DEADLINE_EXCEEDED")


def serial_of(port: int, ca: trustme.CA) -> str:
    context = ssl.create_default_context()
    ca.configure_trust(context)
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as raw,
        context.wrap_socket(raw, server_hostname="localhost") as stream,
    ):
        certificate = stream.getpeercert()
        assert certificate is not None
        return str(certificate["serialNumber"])


def test_a_certificate_is_renewed_under_clients(gate: Gate, tmp_path: Path, proto: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    ca = str(tmp_path / "ca.pem")
    server = issue(tmp_path, "server", authority.issue_cert("localhost", "127.0.0.1"))
    shown = gate.add("bot", "qot:read")
    gate.start(toml=tls_section(*server, ca))
    before = serial_of(gate.port, authority)
    with FutuProgram("python", gate.port, proto, ca) as user, gate.sdk("quote", "sdk", shown) as sdk:
        sdk.wait_ready()
        user.ok(3001, sub_body(push=True), shown)
        user.stream("all", shown)
        issue(tmp_path, "server", authority.issue_cert("localhost", "127.0.0.1"))
        gate.reload("the certificate was read again")
        after = serial_of(gate.port, authority)
        assert after != before
        Path(server[1]).write_text("no key")
        gate.reload("stays as it was: tls.key")
        assert serial_of(gate.port, authority) == after
        count = len(user.events)
        wait_until(lambda: bool(user.ok(3004, quote_body(), shown)) and len(user.events) > count, "the stream is dead")
        assert not [event for event in user.events if "end" in event]
        sdk.ok("get_global_state")
        sdk.finish()


def test_other_machines_need_tls(tmp_path: Path) -> None:
    keys = str(tmp_path / "keys.json")
    assert main(["keys", "add", "--keys", keys, "--id", "bot", "--scopes", "qot:read"]) == 0
    with Opendmux("--listen", "0.0.0.0:0", "--upstream", "sim", "--keys", keys) as proxy:
        assert proxy.wait() == 2
        assert "without TLS would send keys and orders readable over the network" in proxy.text()
        assert "`opendmux tls self-signed`" in proxy.text()
