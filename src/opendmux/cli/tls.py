"""``opendmux tls``: a certificate for a quick start."""

from __future__ import annotations

import argparse
import ipaddress
import json
import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from opendmux.errors import ConfigError

from ._control import print_json

if TYPE_CHECKING:
    from cryptography import x509

__all__ = ["add_parser", "run"]

ALWAYS: Final = ("localhost", "127.0.0.1", "::1")
HOST_NAME: Final = re.compile(r"(\*\.)?[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
CERT, KEY = "cert.pem", "key.pem"


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = subparsers.add_parser("tls", description="Certificates for TLS on the port.")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    signed = commands.add_parser(
        "self-signed",
        help="write a certificate that signs itself, and its key",
        description=f"Write {CERT} and {KEY}: clients trust them by being given {CERT}.",
    )
    signed.add_argument("--out", type=Path, required=True, metavar="DIR", help="where; made when it is not there")
    signed.add_argument(
        "--name",
        action="append",
        default=[],
        metavar="HOST",
        help="a host name or address by which clients come, besides localhost, 127.0.0.1 and ::1; repeatable",
    )
    signed.add_argument("--days", type=int, default=365, metavar="N", help="how long it is valid (default: 365)")
    signed.add_argument("--force", action="store_true", help="replace the files that are there")
    signed.add_argument("--json", action="store_true", help="print JSON: the two paths")
    signed.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Write the pair."""
    if not 1 <= args.days <= 36500:
        raise ConfigError(f"--days {args.days} is not between 1 and 36500")
    cert, key = (args.out / CERT).absolute(), (args.out / KEY).absolute()
    for path in (cert, key):
        if path.exists() and not args.force:
            raise ConfigError(f"{path} is there already; --force replaces it")
    cert_pem, key_pem = _make([*ALWAYS, *args.name], args.days)
    try:
        args.out.mkdir(parents=True, exist_ok=True)
        _write(key, key_pem, 0o600)
        _write(cert, cert_pem, 0o644)
    except OSError as error:
        raise ConfigError(f"cannot write into {args.out}: {error.strerror}") from error
    if args.json:
        print_json({"cert": str(cert), "key": str(key)})
        return 0
    print(f"{cert}\n{key}")
    print(_how_to_use(cert, key, args.name), file=sys.stderr)
    return 0


def _make(names: list[str], days: int) -> tuple[bytes, bytes]:
    from datetime import UTC, datetime, timedelta

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "opendmux")])
    now = datetime.now(UTC)
    alternatives = x509.SubjectAlternativeName([_alternative(text) for text in dict.fromkeys(names)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))  # the clocks of clients differ
        .not_valid_after(now + timedelta(days=days))
        .add_extension(alternatives, critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return certificate.public_bytes(serialization.Encoding.PEM), secret


def _alternative(text: str) -> x509.GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(text))
    except ValueError:
        pass
    try:
        name = text.encode("idna").decode("ascii")
    except ValueError:
        name = ""
    if not HOST_NAME.fullmatch(name):
        raise ConfigError(f"--name {text!r} is neither a host name nor an address")
    return x509.DNSName(name)


def _write(path: Path, data: bytes, mode: int) -> None:
    """Whole or not at all; nobody else can read the key at any moment."""
    fresh = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
        fresh.replace(path)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise


def _how_to_use(cert: Path, key: Path, names: list[str]) -> str:
    # Over HTTP and WebSocket only names that are known are answered, whatever stands in the certificate.
    further = list(dict.fromkeys(name.lower() for name in names if name not in ALWAYS and "*" not in name))
    variable = f"OPENDMUX_HTTP_NAMES={','.join(further)} " if further else ""
    setting = f"  http_names = {json.dumps(further)}\n" if further else ""
    return f"""
Use it:
  {variable}opendmux --tls-cert {cert} --tls-key {key}
or in the configuration file:
{setting}  [tls]
  cert = "{cert}"
  key = "{key}"
Clients trust it by its file:
  curl --cacert {cert} https://localhost:33333/livez
  grpc.secure_channel("localhost:33333", grpc.ssl_channel_credentials(open("{cert}", "rb").read()))
After a renewal (--force) send the proxy SIGHUP."""
