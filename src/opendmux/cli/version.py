"""``opendmux version``: what this installation is made of, for a report or a ticket."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING, Final

from opendmux._version import __version__
from opendmux.errors import ConfigError

from ._control import print_json

if TYPE_CHECKING:
    import argparse

__all__ = ["add_parser", "run", "versions"]

MODULES: Final = ("_framing", "_scan", "_switch", "_load")
"""The compiled ones; `_load` drives `opendmux bench` and needs POSIX sockets."""


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe the command."""
    parser = subparsers.add_parser(
        "version",
        description="The versions of opendmux and of what it runs on. `opendmux --version` prints the first line.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    """Show them."""
    found = versions()
    if args.json:
        print_json(found)
        return 0
    for name, value in found.items():
        text = ", ".join(value) if isinstance(value, list) else value
        print(f"{name} {text}" if name == "opendmux" else f"  {name:<15} {text}")
    return 0


def versions() -> dict[str, str | list[str]]:
    """By name, opendmux first."""
    import ssl

    import msgspec
    import trio
    from cryptography import __version__ as cryptography_version
    from cryptography.hazmat.backends.openssl import backend
    from google.protobuf import __version__ as protobuf_version
    from google.protobuf.internal import api_implementation

    data_path, sha1 = _data_path()
    return {
        "opendmux": __version__,
        "python": f"{platform.python_version()} ({platform.python_implementation()})",
        "platform": platform.platform(),
        "executable": sys.executable,
        "data_path": data_path,
        "native_modules": _native_modules(),
        "sha1": sha1,
        "protobuf": f"{protobuf_version} ({api_implementation.Type()})",
        "trio": trio.__version__,
        "msgspec": msgspec.__version__,
        "cryptography": f"{cryptography_version} ({backend.openssl_version_text()})",
        "openssl": ssl.OPENSSL_VERSION,
    }


def _data_path() -> tuple[str, str]:
    """`native` or `pure`, and what hashes."""
    try:
        from opendmux.native import IMPLEMENTATION, sha1_backend
    except ConfigError:  # said in full by every command that needs them
        return "missing: the compiled modules can't be loaded", "missing"
    return IMPLEMENTATION, sha1_backend()


def _native_modules() -> list[str]:
    """Those that can be loaded."""
    from importlib import import_module

    found = []
    for name in MODULES:
        try:
            import_module(f"opendmux.native.{name}")
        except (ImportError, ConfigError):
            continue
        found.append(name)
    return found
