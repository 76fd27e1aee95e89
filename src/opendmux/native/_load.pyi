"""The benchmark's two ends of the wire: a load generator and a stub OpenD, fast enough to measure what is between.

Built only where there are POSIX sockets. Sockets are opened, connected and greeted in Python and handed over as file
descriptors; the loops run without the GIL and return when the run is over.
"""

from collections.abc import Callable, Sequence
from typing import Final

FAULTS: Final[tuple[str, ...]]
"""The keys of `drive`'s result that count errors.

``closed``, ``wrong_flag``, ``wrong_proto_id``, ``unknown_serial``, ``wrong_length``, ``wrong_digest``: clients that
ended for that reason; the first fault ends a client. ``lost``: requests of the other clients without a reply when the
drain time was over.
"""

def drive(
    fds: Sequence[int],
    request: bytes,
    keepalive: bytes,
    *,
    first_serial: int,
    in_flight: int,
    keepalive_every_ns: int,
    warmup_ns: int,
    measure_ns: int,
    drain_ns: int,
    check_every: int,
    use_epoll: bool = True,
) -> dict[str, int]:
    """Keep ``in_flight`` copies of ``request`` waiting for their replies on every socket, and measure the replies.

    ``fds``: connected, non-blocking, past InitConnect; they stay the caller's to close. ``request``: one whole frame;
    its serial_no is overwritten with increasing numbers from ``first_serial``. Every reply must repeat proto_id,
    length and header digest and have the serial of a waiting request, in any order. ``keepalive``: one whole 1004
    frame, sent on every socket each ``keepalive_every_ns``; its replies are skipped. ``check_every``: of how many
    replies one has its body hashed and compared with the header; 0 = none. ``use_epoll``: False takes poll(), as it
    is always done where there is no epoll.

    A reply counts when it is read after the warm-up and before the end of the measurement; then no new requests
    are sent, and up to ``drain_ns`` is waited for the replies that are out.
    A latency runs from the moment a request was ready to be sent to the moment its reply was read.

    Returns ``replies``, ``elapsed_ns``, ``p50_ns``, ``p90_ns``, ``p99_ns``, ``p999_ns``, ``max_ns`` (percentiles are
    upper bounds of histogram buckets less than 1 % wide; 0 without replies) and a count for each of `FAULTS`. Raises
    ValueError for arguments out of range, OSError when the system refuses to wait on the sockets, and what a Python
    signal handler raises.
    """

def serve(
    listener: int,
    stop: int,
    answer: Callable[[int, int, int, bytes], bytes],
    *,
    delay_ns: int = 0,
    use_epoll: bool = True,
) -> dict[str, int]:
    """Be an OpenD that echoes: every frame comes back as it is, except 1001, 1002 and 1004.

    Those are answered with the whole frame that ``answer(connection, proto_id, serial_no, body)`` returns (at most 1024
    bytes), connections being numbered from 1. ``listener``: a listening non-blocking socket. ``stop``: a
    socket or pipe; the function returns when it is readable. ``delay_ns``: how long every reply is held back.
    A connection whose bytes are not frames, or with a control body over 4096 bytes, is closed.

    Returns ``connections`` (open now), ``connections_max`` (open at the same time), ``connections_total``,
    ``frames``, ``bytes`` (both as received) and ``bad`` (connections closed for what they sent). Raises what
    ``answer`` raises, and OSError when the system refuses to wait or to accept (too many open files).
    """
