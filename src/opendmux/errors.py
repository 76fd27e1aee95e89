"""Every exception of opendmux: the wire's, the decisions', the links'."""

from __future__ import annotations

__all__ = [
    "CommandError",
    "ConfigError",
    "LocalProtocolError",
    "OpendmuxError",
    "RemoteProtocolError",
]


class OpendmuxError(Exception):
    """Base of all of them."""


class ConfigError(OpendmuxError):
    """The command line, a file or the environment asks for something impossible.

    The text is one sentence for the user; the process ends with exit code 2.
    """


class CommandError(OpendmuxError):
    """A command of the command line could not be carried out.

    The text is one sentence for the user; the process ends with exit code 1.
    """


class RemoteProtocolError(OpendmuxError):
    """The peer sent bytes that break the protocol. The only error of functions ending in ``_untrusted``."""


class LocalProtocolError(OpendmuxError):
    """We were about to break the protocol: a bug of ours, not of the peer."""
