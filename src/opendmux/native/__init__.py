"""The hot path: framing, SHA-1, field scanner and switch, compiled.

The pure Python twins are the specification and many times slower; they run only when the environment says
``OPENDMUX_PURE=1``. Without the compiled modules the import raises `ConfigError`: a proxy that fell back in silence
would look alive and be slow.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final, Literal

from opendmux.errors import ConfigError

_PURE = os.environ.get("OPENDMUX_PURE") == "1"

# The type checker sees the stubs of the compiled modules, which are the contract of both.
if TYPE_CHECKING or not _PURE:
    try:
        from opendmux.native._framing import (
            HEADER_LEN,
            Frame,
            Splitter,
            abi,
            body_sha1,
            build_frame,
            sha1_backend,
        )
        from opendmux.native._scan import (
            PATH_MAX,
            packet_id_untrusted,
            patch_packet_id_untrusted,
            read_bytes_untrusted,
            read_int32_untrusted,
            read_messages_untrusted,
            read_security_untrusted,
            read_varint_untrusted,
            ret_type_untrusted,
            set_varint_untrusted,
        )
        from opendmux.native._switch import (
            BAD_MAGIC,
            BAD_SHA1,
            BODY_FREE,
            DENY,
            EVENT,
            FRAME,
            HOLD,
            INSPECT,
            LATENCY_BUCKETS_S,
            LOCAL,
            NATIVE,
            NO_ROOM,
            OVERFLOW,
            PASS,
            REPLY,
            REPLY_BAD_SHA1,
            STREAM_LOST,
            TOO_LARGE,
            ClientEvent,
            Counters,
            Entry,
            LinkBatch,
            LinkEvent,
            Push,
            SlotFigures,
            Switch,
        )
    except ImportError as error:
        raise ConfigError(
            f"the native modules of opendmux are missing: {error}; install a wheel, or build them with "
            "'pip install .' and a C compiler, or set OPENDMUX_PURE=1 for the slow pure Python twin"
        ) from error
else:
    from opendmux.native._pure import (
        HEADER_LEN,
        Frame,
        Splitter,
        abi,
        body_sha1,
        build_frame,
        sha1_backend,
    )
    from opendmux.native._pure_scan import (
        PATH_MAX,
        packet_id_untrusted,
        patch_packet_id_untrusted,
        read_bytes_untrusted,
        read_int32_untrusted,
        read_messages_untrusted,
        read_security_untrusted,
        read_varint_untrusted,
        ret_type_untrusted,
        set_varint_untrusted,
    )
    from opendmux.native._pure_switch import Switch
    from opendmux.native._switch_types import (
        BAD_MAGIC,
        BAD_SHA1,
        BODY_FREE,
        DENY,
        EVENT,
        FRAME,
        HOLD,
        INSPECT,
        LATENCY_BUCKETS_S,
        LOCAL,
        NATIVE,
        NO_ROOM,
        OVERFLOW,
        PASS,
        REPLY,
        REPLY_BAD_SHA1,
        STREAM_LOST,
        TOO_LARGE,
        ClientEvent,
        Counters,
        Entry,
        LinkBatch,
        LinkEvent,
        Push,
        SlotFigures,
    )

__all__ = [
    "BAD_MAGIC",
    "BAD_SHA1",
    "BODY_FREE",
    "DENY",
    "EVENT",
    "FRAME",
    "HEADER_LEN",
    "HOLD",
    "IMPLEMENTATION",
    "INSPECT",
    "LATENCY_BUCKETS_S",
    "LOCAL",
    "NATIVE",
    "NO_ROOM",
    "OVERFLOW",
    "PASS",
    "PATH_MAX",
    "REPLY",
    "REPLY_BAD_SHA1",
    "STREAM_LOST",
    "TOO_LARGE",
    "ClientEvent",
    "Counters",
    "Entry",
    "Frame",
    "LinkBatch",
    "LinkEvent",
    "Push",
    "SlotFigures",
    "Splitter",
    "Switch",
    "abi",
    "body_sha1",
    "build_frame",
    "packet_id_untrusted",
    "patch_packet_id_untrusted",
    "read_bytes_untrusted",
    "read_int32_untrusted",
    "read_messages_untrusted",
    "read_security_untrusted",
    "read_varint_untrusted",
    "ret_type_untrusted",
    "set_varint_untrusted",
    "sha1_backend",
]

IMPLEMENTATION: Final[Literal["native", "pure"]] = "pure" if _PURE else "native"
