"""The TLS files, and what a client's certificate says."""

from __future__ import annotations

import logging
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trustme
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from opendmux.errors import ConfigError, RemoteProtocolError
from opendmux.runtime.certificates import ALPN, key_id_untrusted, read_contexts

from .tls_kit import Pki, pki_in


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return pki_in(tmp_path)


def test_a_good_pair(pki: Pki, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        contexts = read_contexts(pki.config)
    assert caplog.records == []
    assert set(contexts.by_alpn) == {(), ("h2",), ("http/1.1",), ALPN}
    for context in contexts.by_alpn.values():
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.verify_mode == ssl.CERT_OPTIONAL
    assert contexts.expires > datetime.now(UTC)


def test_without_an_authority_no_certificate_is_asked_for(pki: Pki) -> None:
    config = msgspec.structs.replace(pki.config, client_ca="")
    assert {context.verify_mode for context in read_contexts(config).by_alpn.values()} == {ssl.CERT_NONE}


@pytest.mark.parametrize(
    ("field", "content", "words"),
    [
        ("cert", None, "can't be read: No such file or directory"),
        ("key", None, "can't be read: No such file or directory"),
        ("client_ca", None, "can't be read: No such file or directory"),
        ("cert", b"", "is no certificate in PEM form"),
        ("cert", b"\xff\x00", "is no certificate in PEM form"),
        ("key", b"hello", "is no private key in PEM form"),
        ("client_ca", b"hello", "is no certificate in PEM form"),
    ],
)
def test_a_file_that_can_not_be_used(pki: Pki, field: str, content: bytes | None, words: str) -> None:
    path = pki.folder / "other.pem"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_contexts(msgspec.structs.replace(pki.config, **{field: str(path)}))
    assert str(caught.value) == f"tls.{field} {path} {words}"


def test_a_key_of_another_certificate(pki: Pki) -> None:
    other = pki.authority.issue_cert("localhost")
    other.private_key_pem.write_to_path(pki.folder / "key.pem")
    with pytest.raises(ConfigError, match=r"tls.key \S+key.pem does not belong to the certificate \S+cert.pem"):
        read_contexts(pki.config)


def test_a_key_with_a_passphrase(pki: Pki) -> None:
    secret = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    (pki.folder / "key.pem").write_bytes(secret)
    with pytest.raises(ConfigError, match="has a passphrase: store it without one"):
        read_contexts(pki.config)


@pytest.mark.parametrize(
    ("days", "words"), [(-1, "expired on"), (3, "expires on"), (60, None)], ids=["expired", "soon", "later"]
)
def test_dates_are_warned_of(pki: Pki, days: int, words: str | None, caplog: pytest.LogCaptureFixture) -> None:
    pki.issue(expired=datetime.now(UTC) + timedelta(days=days))
    with caplog.at_level(logging.WARNING):
        read_contexts(pki.config)
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == (words is not None)
    assert words is None or words in said[0]


def test_a_key_that_everybody_can_read_is_warned_of(pki: Pki, caplog: pytest.LogCaptureFixture) -> None:
    (pki.folder / "key.pem").chmod(0o644)
    with caplog.at_level(logging.WARNING):
        read_contexts(pki.config)
    assert "chmod 600 it" in caplog.text


def subject(*names: str) -> tuple[Any, ...]:
    return tuple((("commonName", name),) for name in names)


@pytest.mark.parametrize(
    ("certificate", "key_id"),
    [
        (None, None),
        ({}, None),
        ({"subject": ()}, None),
        ({"subject": subject("bot")}, "bot"),
        ({"subject": subject("")}, None),
        ({"subject": ((("organizationName", "bot"),),)}, None),
        ({"subject": subject("host"), "subjectAltName": (("URI", "opendmux:key:bot"),)}, "bot"),
        ({"subject": subject("bot"), "subjectAltName": (("URI", "https://x"), ("DNS", "opendmux:key:x"))}, "bot"),
        ({"subjectAltName": (("URI", "opendmux:key:my%20bot"),)}, "my bot"),
        ({"subjectAltName": (("URI", "opendmux:key:"),)}, None),
    ],
)
def test_the_key_that_a_certificate_names(certificate: dict[str, Any] | None, key_id: str | None) -> None:
    assert key_id_untrusted(certificate) == key_id


@pytest.mark.parametrize(
    "certificate",
    [
        {"subject": subject("a", "b")},
        {"subject": subject("a"), "subjectAltName": (("URI", "opendmux:key:b"), ("URI", "opendmux:key:c"))},
    ],
)
def test_which_key_is_meant_must_be_clear(certificate: dict[str, Any]) -> None:
    with pytest.raises(RemoteProtocolError, match="names several keys: "):
        key_id_untrusted(certificate)


def test_a_real_certificate(pki: Pki) -> None:
    leaf = pki.authority.issue_cert("client.example", common_name="bot")
    assert isinstance(leaf, trustme.LeafCert)
    path = pki.folder / "client.pem"
    path.write_bytes(leaf.cert_chain_pems[0].bytes())
    decoded = ssl._ssl._test_decode_cert(str(path))  # type: ignore[attr-defined]
    assert key_id_untrusted(decoded) == "bot"
