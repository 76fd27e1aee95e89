"""What a simulator can be told at the start."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["SimConfig"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SimConfig:
    """Options of one simulator. The defaults behave like OpenD, but serials may fall and calls may come often."""

    seed: int = 1
    """Everything that looks random follows from it: prices, account ids, connIDs, order ids."""

    epoch: float = 1_767_580_200.0
    """The wall clock at the start, in seconds UTC; it goes on with Trio's clock. Default: a Monday, 10:30 in Hong Kong.

    A program that shows the simulator to people passes ``time.time()``.
    """

    strict_serials: bool = False
    """Ignore a request whose frame serial does not grow on its connection, as OpenD ignores a replay.

    Such a request is a violation either way. Off by default: the official Python SDK sends out of order from several
    threads.
    """

    rate_limits: bool = False
    """Refuse what is over OpenD's limits per 30 seconds; such a request is a violation then. Off by default: programs
    are tried out, and benchmarks run, on a simulator."""

    rsa_private_key: str = ""
    """RSA key file (PEM, 1024 bits for the Python SDK). With one, InitConnect must come encrypted with it."""

    keep_alive_timeout_s: float | None = 30.0
    """A connection from which no frame came for so long is closed; None = never."""

    keep_alive_interval_s: int = 10
    """keepAliveInterval told to the clients, in seconds."""

    max_connections: int = 128
    """A connection over this number is closed at once."""

    sub_quota: int = 1_000
    """Subscription quota: different (security, SubType) pairs over all connections."""

    history_quota: int = 1_000
    """Historical candle quota told to the clients; not enforced."""

    min_subscription_age_s: float = 60.0
    """A younger subscription can't be given up, and outlives its connection until it is so old."""

    unlock_pwd_md5: str = "e10adc3949ba59abbe56e057f20f883e"  # noqa: S105
    """MD5 of the trade password, lower-case hex. Default: 123456."""

    verify_code: str = "123456"
    """The code from the phone, and of the picture: the same each time."""

    login_pwd_md5: str = "e10adc3949ba59abbe56e057f20f883e"  # noqa: S105
    """MD5 of the login password, for the console's relogin, lower-case hex. Default: 123456."""

    step_min_s: float = 0.5
    step_max_s: float = 1.0
    """Every watched security moves once in a period of its own between these two, in seconds."""

    quotes_per_push: int = 1
    """Up to so many due quotes of one connection travel in one Qot_UpdateBasicQot."""

    outbox_bytes: int = 8 * 1024 * 1024
    """A connection with more unread bytes than this is dropped."""

    outbox_pause_bytes: int = 256 * 1024
    """Requests of a connection with more unread bytes than this wait."""

    max_body_bytes: int = 16 * 1024 * 1024
    """A frame that announces a longer body ends its connection."""

    requests_kept: int = 100_000
    """How many request frames the record remembers; older ones are forgotten."""

    login_user_id: int = 900_001
    server_ver: int = 1011
    server_build_no: int = 7108
