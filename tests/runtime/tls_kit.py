"""Certificates for tests, and clients that speak TLS over memory streams. Holds no tests."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path

import trio
import trustme

from opendmux.config import TlsConfig
from opendmux.core.access import Access
from opendmux.core.keys import Key, Keyring, Scopes, digest_of
from opendmux.runtime.certificates import read_contexts
from opendmux.runtime.house import House
from opendmux.runtime.tls import Tls

from .world import MemoryStream, World

PLAINTEXT = "fc_" + "1" * 64
KEY = Key("bot", frozenset({Scopes.QOT_READ, Scopes.ADMIN}))


@dataclass
class Pki:
    """An authority, and the files of a proxy whose certificate it has signed."""

    folder: Path
    authority: trustme.CA
    require: bool = False

    def __post_init__(self) -> None:
        self.authority.cert_pem.write_to_path(self.folder / "ca.pem")
        self.issue()

    def issue(self, *, expired: datetime | None = None) -> trustme.LeafCert:
        """A certificate for localhost, in the files."""
        leaf = self.authority.issue_cert("localhost", "127.0.0.1", not_after=expired)
        self.write(leaf)
        return leaf

    def write(self, leaf: trustme.LeafCert) -> None:
        (self.folder / "cert.pem").write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
        leaf.private_key_pem.write_to_path(self.folder / "key.pem")
        (self.folder / "key.pem").chmod(0o600)

    @property
    def config(self) -> TlsConfig:
        cert, key, ca = (str(self.folder / name) for name in ("cert.pem", "key.pem", "ca.pem"))
        return TlsConfig(cert, key, ca, require=self.require)

    def house(self, *, handshakes: int = 64, with_keys: bool = True) -> House:
        keyring = Keyring.of([(KEY, digest_of(PLAINTEXT), None)]) if with_keys else None
        tls = Tls(partial(read_contexts, self.config), handshakes=handshakes, handshake_s=10)
        return House(access=Access(keyring), tls=tls)

    def client_context(
        self, *alpn: str, certificate: trustme.LeafCert | None = None, version: ssl.TLSVersion | None = None
    ) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.authority.configure_trust(context)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        if certificate is not None:
            certificate.configure_cert(context)
        if version is not None:
            context.maximum_version = version
        return context


def pki_in(folder: Path) -> Pki:
    folder.mkdir(exist_ok=True)
    return Pki(folder, trustme.CA(key_type=trustme.KeyType.ECDSA))


async def connect_tls(w: World, context: ssl.SSLContext) -> tuple[trio.SSLStream[MemoryStream], MemoryStream]:
    """A client with its handshake done, and the proxy's end of the raw stream."""
    ours, theirs = await w.listener.connect()
    stream = trio.SSLStream(ours, context, server_hostname="localhost")
    await stream.do_handshake()
    return stream, theirs
