"""The settings: what there are (structs), where they come from (sources, reading), and what makes no sense (checking).

Built once at the start, passed down in the small piece that is needed.
"""

from __future__ import annotations

from .address import parse_address
from .checking import check
from .reading import load
from .structs import (
    DEFAULT_PORT,
    DEFAULT_UPSTREAM,
    LOG_LEVELS,
    PROTOCOLS,
    SIM,
    SIMULATED,
    Address,
    AlertConfig,
    AlertKind,
    Config,
    Limits,
    Listener,
    OnOutage,
    ProtocolName,
    QuoteRightPolicy,
    Timeouts,
    TlsConfig,
    UpstreamConfig,
    WatchConfig,
)

__all__ = [
    "DEFAULT_PORT",
    "DEFAULT_UPSTREAM",
    "LOG_LEVELS",
    "PROTOCOLS",
    "SIM",
    "SIMULATED",
    "Address",
    "AlertConfig",
    "AlertKind",
    "Config",
    "Limits",
    "Listener",
    "OnOutage",
    "ProtocolName",
    "QuoteRightPolicy",
    "Timeouts",
    "TlsConfig",
    "UpstreamConfig",
    "WatchConfig",
    "check",
    "load",
    "parse_address",
]
