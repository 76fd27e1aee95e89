"""The files of the ``[tls]`` section: read, held against each other, and made into contexts.

What a client's certificate says is here too: which key of the keys file its holder is.
"""

from __future__ import annotations

import logging
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeAlias
from urllib.parse import unquote

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

from opendmux.config import TlsConfig
from opendmux.errors import ConfigError, RemoteProtocolError

__all__ = ["ALPN", "KEY_URI", "Contexts", "key_id_untrusted", "read_contexts"]

log = logging.getLogger("opendmux.tls")

ALPN: Final = ("http/1.1", "h2")
"""In the order of our preference. Browsers and curl offer both, and what we speak over HTTP/2 is gRPC alone; its
clients offer h2 alone, and grpcio insists that it is chosen."""

KEY_URI: Final = "opendmux:key:"
"""Begins the alternative name that names a key."""

SOON: Final = timedelta(days=14)

PeerCertificate: TypeAlias = Mapping[str, Any]  # as `ssl` gives it: nested tuples


@dataclass(frozen=True, slots=True)
class Contexts:
    """One reading of the files. Contexts differ by what they offer in ALPN, for ports on which not all is spoken."""

    by_alpn: Mapping[tuple[str, ...], ssl.SSLContext]
    expires: datetime


def read_contexts(config: TlsConfig) -> Contexts:
    """Read the files of a checked configuration.

    Raises ConfigError in one sentence when they can't be used; warns of what clients will not accept.
    """
    certificates = _certificates("tls.cert", config.cert)
    _check_key(config, certificates[0])
    if config.client_ca:
        _certificates("tls.client_ca", config.client_ca)
    leaf = certificates[0]
    _warn_of_dates(config.cert, leaf, datetime.fromtimestamp(time.time(), UTC))
    offers = ((), ALPN[:1], ALPN[1:], ALPN)
    return Contexts({offer: _context(config, offer) for offer in offers}, leaf.not_valid_after_utc)


def _context(config: TlsConfig, alpn: tuple[str, ...]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # No resumption: connections last for hours, a full handshake costs 2 ms, and it looks at the client's certificate.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
    context.num_tickets = 0
    try:
        # Never ask for a passphrase at the terminal.
        context.load_cert_chain(config.cert, config.key, password=lambda: "")
        if config.client_ca:
            context.load_verify_locations(config.client_ca)
            context.verify_mode = ssl.CERT_OPTIONAL
    except (ssl.SSLError, OSError) as error:
        raise ConfigError(f"tls.cert {config.cert} can't be used for TLS: {error}") from error
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def _read(name: str, path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise ConfigError(f"{name} {path} can't be read: {error.strerror}") from error


def _certificates(name: str, path: str) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(_read(name, path))
    except ValueError as error:
        raise ConfigError(f"{name} {path} is no certificate in PEM form") from error


def _check_key(config: TlsConfig, leaf: x509.Certificate) -> None:
    data = _read("tls.key", config.key)
    try:
        key = load_pem_private_key(data, password=None)
    except TypeError as error:
        raise ConfigError(f"tls.key {config.key} has a passphrase: store it without one") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ConfigError(f"tls.key {config.key} is no private key in PEM form") from error
    form = (Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    if key.public_key().public_bytes(*form) != leaf.public_key().public_bytes(*form):
        raise ConfigError(f"tls.key {config.key} does not belong to the certificate {config.cert}")
    if Path(config.key).stat().st_mode & 0o007:
        log.warning("every user of this machine can read the private key %s: chmod 600 it", config.key)


def _warn_of_dates(path: str, leaf: x509.Certificate, now: datetime) -> None:
    if leaf.not_valid_after_utc <= now:
        log.warning("the certificate %s expired on %s: clients will refuse it", path, leaf.not_valid_after_utc)
    elif leaf.not_valid_after_utc <= now + SOON:
        log.warning("the certificate %s expires on %s", path, leaf.not_valid_after_utc)
    if leaf.not_valid_before_utc > now:
        log.warning("the certificate %s is not valid before %s", path, leaf.not_valid_before_utc)


def key_id_untrusted(certificate: PeerCertificate | None) -> str | None:
    """The key id that a verified client certificate names; None when there is no certificate, or it names none.

    An alternative name ``URI:opendmux:key:ID`` counts before the common name. Raises RemoteProtocolError when it is
    not clear which key is meant.
    """
    if not certificate:
        return None
    named = {
        unquote(value[len(KEY_URI) :])
        for kind, value in certificate.get("subjectAltName", ())
        if kind == "URI" and value.startswith(KEY_URI)
    } or {value for part in certificate.get("subject", ()) for kind, value in part if kind == "commonName"}
    if len(named) > 1:
        raise RemoteProtocolError(f"the client's certificate names several keys: {', '.join(sorted(named))}")
    return next(iter(named), None) or None
