"""h2, set up for gRPC."""

from __future__ import annotations

import logging
from typing import Final

import h2.connection
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.settings import SettingCodes, Settings

from .grpc_frames import FRAME_MAX
from .grpc_guard import GrpcLimits
from .grpc_headers import BlockDecoder, BlockEncoder
from .grpc_stream import WINDOW

__all__ = ["CONNECTION_WINDOW", "Engine", "open_engine"]

CONNECTION_WINDOW: Final = 4 * 1024 * 1024
"""So that one large upload does not wait for round trips."""

# hpack writes every header to its debug log, keys included; no logging configuration may bring that back.
for _name in ("hpack.hpack", "hpack.table"):
    logging.getLogger(_name).addFilter(lambda _record: False)
    logging.getLogger(_name).setLevel(logging.INFO)


# h2 makes a text of every frame, whether its log is read or not. Nobody reads it here, and header bytes are in it.
vars(h2.connection)["repr"] = lambda _frame: ""


class Engine(H2Connection):
    """h2 walks through all its streams whenever a new one comes. The limit is kept by `GrpcServer`; the walk, in which
    h2 also forgets closed streams, is made now and then."""

    WALK_EVERY: Final = 64
    MAX_CLOSED_STREAMS = 8192
    opened = 0

    def __init__(self, config: H2Configuration) -> None:
        super().__init__(config)
        self.decoder: BlockDecoder = BlockDecoder(config)
        self.encoder = BlockEncoder()

    @property
    def open_inbound_streams(self) -> int:
        self.opened += 1
        if self.opened % self.WALK_EVERY == 0:
            super().open_inbound_streams  # noqa: B018 - for its side effect
        return 0


def open_engine(limits: GrpcLimits) -> Engine:
    """A server's side; its SETTINGS wait to be sent."""
    config = H2Configuration(
        client_side=False,
        header_encoding=None,
        validate_outbound_headers=False,
        normalize_outbound_headers=False,
        normalize_inbound_headers=False,  # it joins cookies, which nobody reads here
    )
    engine = Engine(config)
    # Settings that are updated before the start would be applied here and never sent.
    engine.local_settings = Settings(
        client=False,
        initial_values={
            SettingCodes.MAX_CONCURRENT_STREAMS: limits.max_streams,
            SettingCodes.INITIAL_WINDOW_SIZE: WINDOW,
            SettingCodes.MAX_FRAME_SIZE: FRAME_MAX,
            SettingCodes.MAX_HEADER_LIST_SIZE: limits.header_list_bytes,
            SettingCodes.ENABLE_CONNECT_PROTOCOL: 0,
        },
    )
    engine.decoder.max_header_list_size = limits.header_list_bytes
    engine.initiate_connection()
    engine.increment_flow_control_window(CONNECTION_WINDOW - WINDOW)
    return engine
