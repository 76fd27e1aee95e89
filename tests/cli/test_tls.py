"""``opendmux tls self-signed``: what it writes is what the proxy takes and what clients trust."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import stat
import threading
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from opendmux.cli import main
from opendmux.config import TlsConfig
from opendmux.runtime.certificates import ALPN, read_contexts


def made(folder: Path, *words: str) -> TlsConfig:
    assert main(["tls", "self-signed", "--out", str(folder), *words]) == 0
    return TlsConfig(str(folder / "cert.pem"), str(folder / "key.pem"))


def test_what_it_writes(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = made(
        tmp_path / "new", "--name", "proxy.example", "--name", "192.0.2.7", "--name", "localhost", "--days", "30"
    )
    said = capsys.readouterr()
    assert said.out.splitlines() == [config.cert, config.key]
    assert f"OPENDMUX_HTTP_NAMES=proxy.example,192.0.2.7 opendmux --tls-cert {config.cert} --tls-key" in said.err
    assert 'http_names = ["proxy.example", "192.0.2.7"]\n  [tls]\n' in said.err
    assert stat.S_IMODE(Path(config.key).stat().st_mode) == 0o600
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["cert.pem", "key.pem"]

    certificate = x509.load_pem_x509_certificate(Path(config.cert).read_bytes())
    key = certificate.public_key()
    assert isinstance(key, ec.EllipticCurvePublicKey)
    assert key.curve.name == "secp256r1"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost", "proxy.example"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address(t) for t in ("127.0.0.1", "::1", "192.0.2.7")]
    left = certificate.not_valid_after_utc - datetime.now(UTC)
    assert timedelta(days=29) < left <= timedelta(days=30)


def test_the_proxy_takes_it_and_clients_trust_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = made(tmp_path)
    with caplog.at_level(logging.WARNING):
        server = read_contexts(config).by_alpn[ALPN]
    assert caplog.records == []
    for name in ("localhost", "127.0.0.1", "::1"):
        ours, theirs = socket.socketpair()

        def serve(sock: socket.socket = theirs) -> None:
            with server.wrap_socket(sock, server_side=True) as far_end:
                far_end.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        with ssl.create_default_context(cafile=config.cert).wrap_socket(ours, server_hostname=name) as near_end:
            near_end.send(b"x")
        thread.join()


def test_this_machines_own_names_are_known_already(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made(tmp_path, "--name", "localhost", "--name", "*.example")
    said = capsys.readouterr().err
    assert "http_names" not in said
    assert "OPENDMUX_HTTP_NAMES" not in said


def test_it_replaces_nothing_unasked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = made(tmp_path)
    before = Path(config.key).read_bytes()
    assert main(["tls", "self-signed", "--out", str(tmp_path)]) == 2
    assert "is there already; --force replaces it" in capsys.readouterr().err
    assert Path(config.key).read_bytes() == before
    made(tmp_path, "--force")
    assert Path(config.key).read_bytes() != before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--days", "0"], "--days 0 is not between 1 and 36500"),
        (["--name", "a" * 70], "is neither a host name nor an address"),
        (["--name", ""], "is neither a host name nor an address"),
        (["--name", "proxy.example:33333"], "is neither a host name nor an address"),
    ],
)
def test_what_is_impossible(tmp_path: Path, words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["tls", "self-signed", "--out", str(tmp_path), *words]) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_can_not_be_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    assert main(["tls", "self-signed", "--out", str(tmp_path / "file" / "new")]) == 2
    assert "cannot write into" in capsys.readouterr().err


def test_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = made(tmp_path, "--json")
    said = capsys.readouterr()
    assert json.loads(said.out) == {"cert": config.cert, "key": config.key}
    assert said.err == ""
