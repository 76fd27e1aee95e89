"""Every setting with its unit and default; built once at the start, passed down in the small piece that is needed.

The text behind a field is what docs/config.md and the file of `opendmux config init` say of it.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

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
]

DEFAULT_PORT: Final = 33333
DEFAULT_UPSTREAM: Final = "127.0.0.1:11111"
LOG_LEVELS: Final = ("debug", "info", "warning", "error")
SIM: Final = "sim"
"""The upstream that stands for the embedded simulator; used only when it is named."""
SIMULATED: Final = "SIMULATED"
"""What banner, logs and readiness call it."""


OnOutage = Literal["hold", "close"]
QuoteRightPolicy = Literal["never", "when-lost", "always"]
ProtocolName = Literal["opend", "grpc", "http", "websocket", "tls"]
PROTOCOLS: Final[tuple[ProtocolName, ...]] = ("opend", "grpc", "http", "websocket", "tls")
"""What a port can be spoken to in; all of them, unless the configuration says otherwise."""


class Address(msgspec.Struct, frozen=True):
    """A TCP address."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Limits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Bounds on memory and counts. Sizes in bytes."""

    client_body_bytes: int = 16 * 1024 * 1024
    """Largest body read from a client. The SDKs' largest request, a Qot_Sub of 2,000 securities, is 22 kB."""
    handshake_body_bytes: int = 64 * 1024
    """The same before InitConnect was accepted, when anybody may be at the other end; InitConnect has some hundred
    bytes. Not over ``client_body_bytes``."""
    client_body_total_bytes: int = 256 * 1024 * 1024
    """Requests of all clients that are only half received, or came while their client is paused. A client whose request
    goes over it is refused and closed; 4 KiB of each are always taken. The memory for them is at most half as much
    again."""
    upstream_body_bytes: int = 64 * 1024 * 1024
    """Largest body read from upstream. Whole-market static info is some 28 MB; the Python SDK takes 40 MB."""
    in_flight: int = 512
    """Requests of one client that may wait for a reply; at the cap its socket is not read, so it slows only itself."""
    outbox_bytes: int = 8 * 1024 * 1024
    """Unsent bytes of one client before it is disconnected: minutes of pushes for a reader that stalls."""
    outbox_high_water_bytes: int = 1024 * 1024
    """Unsent bytes of one client above which its requests are not read."""
    outbox_total_bytes: int = 512 * 1024 * 1024
    """Unsent bytes of all clients together."""
    link_high_water_bytes: int = 1024 * 1024
    """Unsent bytes towards upstream above which no client is read."""
    push_ring_bytes: int = 4 * 1024 * 1024
    """Recent pushes that are kept for the streams of one key that can be resumed; nothing is kept for keys without."""
    extra_lanes: int = 4
    """Further upstream connections for subscriptions whose options conflict. OpenD takes 128 connections in all."""
    silent_per_address: int = 64
    """Connections of one address that never sent InitConnect; above it the oldest is closed. The Python SDK leaves such
    connections behind, and closing one tears its good session down, so they are capped, not timed out."""
    http_per_address: int = 2048
    """Connections of one address that speak HTTP/1.1, WebSocket or gRPC, on all ports together; more are refused. Never
    more than half of the files that the process may have open (``ulimit -n``). All clients of this machine are one
    address, and so are all that come by one reverse proxy; of IPv6 addresses the first 64 bits count."""
    tls_handshakes: int = 64
    """TLS handshakes at a time; the others wait for their turn, within ``timeouts.handshake_s``."""


class Timeouts(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Deadlines, in seconds."""

    reply_s: float = 11.0
    """Wait for an upstream reply. The Python SDK gives up after 12 s, so our answer must come before that."""
    read_wait_s: float = 4.0
    """How long a read may wait for one of OpenD's 30-second windows. The JavaScript SDK gives up after 5 s."""
    write_wait_s: float = 1.0
    """How long a trade write may wait for one: an older order may not be what its owner wants any more."""
    connect_s: float = 10.0
    """TCP connect to upstream, and the wait for its InitConnect reply."""
    replay_s: float = 25.0
    """Restoring the subscriptions after a reconnect: before OpenD misses our KeepAlive, after 30 s."""
    backoff_first_s: float = 0.5
    """Wait after the first failed attempt to reach upstream; doubled each time, with jitter."""
    backoff_max_s: float = 15.0
    """Longest wait between two attempts."""
    park_s: float = 10.0
    """How long the restore calls of a client that connected during an outage wait for the link: under the SDK's 12
    s."""
    drain_s: float = 5.0
    """How long a stop waits for requests in flight and unsent replies."""
    write_stall_s: float = 30.0
    """A client that takes no byte for this long while bytes wait for it is disconnected."""
    handshake_s: float = 10.0
    """From a client's first byte to a complete InitConnect, and from the first byte of a TLS handshake to its end."""
    silent_s: float = 10.0
    """How long a connection may be open without a single byte; 0 = for ever, and only ``limits.silent_per_address``
    bounds them. While its address has a session of OpenD's own protocol on the same port it is left alone: the Python
    SDK opens connections that it does not use, and tears its good session down when one of them is closed."""
    goodbye_s: float = 2.0
    """To finish a half-sent frame before closing: a torn frame would poison the SDK's next session."""


class WatchConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the proxy looks after by itself: the ``[watch]`` section; see docs/alerts.md."""

    ask_s: float = 30.0
    """How often OpenD is asked how it is (GetGlobalState), beside what it says by itself; 0 = never: then logins
    and the state of its program are known only when OpenD or a client's question tells them, and no feed is ever
    called mute."""
    mute_s: float = 60.0
    """No price of an open market for so long, though some are subscribed: its feed is mute. Markets whose prices are
    usually further apart get longer. 0 = never."""
    quota_percent: int = 90
    """Above this share of a quota of OpenD (subscriptions, historical candles) it counts as nearly used up."""
    key_days: float = 3.0
    """How many days before a key expires that is told; 0 = never."""


AlertKind = Literal[
    "code_needed",
    "kicked",
    "login_lost",
    "right_lost",
    "upstream_down",
    "mute",
    "quota",
    "outcome_unknown",
    "key_expiring",
    "program",
    "audit",
    "paused",
    "frozen",
    "orders_left",
    "orders_vanished",
]


class AlertConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whom to tell when something is wrong: an ``[[alerts]]`` entry; see docs/alerts.md. ``opendmux alerts test`` sends
    one for trial."""

    name: str = ""
    """What logs and metrics call it. Empty: its place in the file."""
    webhook: str = ""
    """An http or https address that gets a POST of JSON. Its path and query may be a secret: they are never logged."""
    ca: str = ""
    """Authorities for an https address, besides those of the system: a PEM file."""
    command: tuple[str, ...] = ()
    """Instead of a webhook: a program and its arguments, run without a shell. It gets the JSON on its standard input,
    and the texts in variables, ``OPENDMUX_ALERT_TEXT`` and others."""
    kinds: tuple[AlertKind, ...] = ()
    """What is told. Empty: everything."""
    after_s: float = 5.0
    """What does not last so long is not told; 0 = at once."""
    repeat_s: float = 0.0
    """What still lasts is told again after so long; 0 = never."""
    over: bool = True
    """Tell the end too."""
    timeout_s: float = 10.0
    """For one try of a webhook, and for the whole run of a command, which is killed then."""


class TlsConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """TLS on the same ports: the ``[tls]`` section. The files are read again on SIGHUP."""

    cert: str = ""
    """The certificate and those between it and its authority, a PEM file. Empty: no TLS."""
    key: str = ""
    """Its private key, a PEM file without a passphrase."""
    client_ca: str = ""
    """Authorities of client certificates, a PEM file. A client that shows a certificate of theirs is the key of the
    keys file that it names, by the URI ``opendmux:key:ID`` among its alternative names or else by its common name."""
    require: bool = False
    """Refuse whoever comes without TLS, from this machine too."""


class UpstreamConfig(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One OpenD: a ``[[upstreams]]`` entry."""

    name: str
    """What listeners call it."""
    address: str
    """HOST:PORT, or ``sim``."""
    rsa_private_key: str = ""
    """OpenD's RSA key file (its option of the same name), when its API is encrypted."""
    telnet: str = ""
    """As in the main section, for this OpenD."""
    quote_right: QuoteRightPolicy = "never"
    """As in the main section, for this OpenD."""


class Listener(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ports that lead to one upstream or to a group: a ``[[listeners]]`` entry."""

    listen: tuple[str, ...]
    """HOST:PORT each."""
    upstream: tuple[str, ...]
    """One name; or several, a group: quotes come from the first that answers and fail over to the next, trade calls
    go to the first alone and never fail over."""
    on_outage: OnOutage | None = None
    """As in the main section, for these ports."""
    key: str = ""
    """The id of a key of the keys file: clients of OpenD's own protocol that show no key on these ports are taken for
    this one. Meant for programs whose client id can't be set."""
    protocols: tuple[ProtocolName, ...] | None = None
    """As in the main section, for these ports."""
    insecure_plain: bool = False
    """As in the main section, for these ports."""


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One proxy."""

    listen: tuple[str, ...] = ()
    """HOST:PORT each. Empty: 127.0.0.1 and, where the machine has it, ::1, on port 33333: users say ``localhost``."""
    upstream: str = DEFAULT_UPSTREAM
    """OpenD's HOST:PORT, or ``sim`` for the embedded simulator."""
    upstreams: tuple[UpstreamConfig, ...] = ()
    """Several OpenDs, by name. Empty: the one of ``upstream``."""
    listeners: tuple[Listener, ...] = ()
    """Which ports lead to which of them. Empty: ``listen`` leads to the first."""
    rsa_private_key: str = ""
    """RSA key file (PEM, PKCS#1 or PKCS#8) for clients that encrypt; plain ones work on the same port. The Python SDK
    can read answers of 1024-bit keys only."""
    upstream_rsa_private_key: str = ""
    """OpenD's RSA key file, when ``upstream`` is encrypted."""
    telnet: str = ""
    """HOST:PORT of OpenD's operation console, its options ``telnet_ip`` and ``telnet_port``: where `opendmux opend` and
    ``quote_right`` send commands. Empty: none; the embedded simulator's is always there."""
    quote_right: QuoteRightPolicy = "never"
    """What is done when another terminal of the account takes the best quote right. ``never``: it is told and nothing
    else. ``when-lost``: it is asked back by the console, a few times with growing waits; who takes it twice within 10
    seconds is let alone for 15 minutes, and keeps it after that. ``always``: it is asked back until it is there."""
    sim_seed: int = 1
    """Seed of the embedded simulator."""
    protocols: tuple[ProtocolName, ...] = PROTOCOLS
    """What may be spoken on the ports: ``opend`` (the SDKs over TCP), ``grpc``, ``http``, ``websocket``, and ``tls``
    around each of them."""
    insecure_plain: bool = False
    """Let other machines come without TLS through the ports of ``listen``: for those behind a VPN or an SSH tunnel. A
    ``[[listeners]]`` entry says so for itself."""
    tls: TlsConfig = TlsConfig()
    on_outage: OnOutage = "hold"
    """What clients see when OpenD goes away: ``hold`` keeps their connections and refuses requests with the reason,
    ``close`` closes them, so that an SDK with a recovery of its own runs it."""
    unlock: Literal["shared", "own"] = "shared"
    """``shared``: one unlock opens real trading for all clients, as with OpenD itself. ``own``: each client must unlock
    for itself."""
    budgets: bool = True
    """Keep OpenD's limits per 30 seconds for all clients together: requests over them wait a little or are refused
    with the time to come back, instead of being refused by OpenD."""
    coalesce: bool = True
    """Ask identical reads that are in flight once."""
    retry_reads: bool = False
    """Send a read that was cut off by the loss of the connection to OpenD once more when it is back, if that is within
    the usual time of a reply; a trade write never. The cost: all reads are then looked at one by one instead of being
    passed on by the native code, and each is kept in memory until it is answered."""
    allow_unknown: bool = False
    """Forward proto ids that opendmux does not know. Off: they are refused, since nobody can say what they do."""
    admin_socket: str = ""
    """Where an administrator of this machine gives orders to the running proxy, without a key: a Unix domain socket
    that only the user who runs opendmux (and root) may open. Empty: ``admin-PORT.sock``, with the first port, in
    ``$RUNTIME_DIRECTORY``, ``$XDG_RUNTIME_DIR/opendmux`` or a folder of this user for temporary files. ``off``:
    none."""
    keys: str = ""
    """The keys file (``opendmux keys add`` makes one): every client needs a key of it then. Empty: no keys. Who
    reaches the port over OpenD's own protocol may do what OpenD allows; over gRPC and HTTP, read and simulate."""
    insecure_allow_trading: bool = False
    """Without a keys file: callers over gRPC and HTTP may do everything too, real trading included."""
    usage_db: str = ""
    """Where the daily values of keys are kept over a restart, a SQLite file. Empty: beside the keys file, with
    ``.usage.db`` after its name."""
    state_dir: str = ""
    """The folder for what has to survive a restart, such as a freeze; it is made when there is something to keep, and
    belongs to one opendmux at a time. Empty: ``$STATE_DIRECTORY``, which systemd sets, or else
    ``$XDG_STATE_HOME/opendmux``, or else ``~/.local/state/opendmux``."""
    audit_log: str = ""
    """The audit log: a file, or a folder for daily files. Empty: none. Trade writes wait for it, and are refused while
    it can't be written."""
    audit_reads: bool = False
    """Put reads down too, as far as the gate sees them one by one: those that the native code passes on never are."""
    http_names: tuple[str, ...] = ()
    """Host names besides this machine's own under which HTTP may be asked; others are refused, for a page in a browser
    could use them to reach this port."""
    http_origins: tuple[str, ...] = ()
    """Origins, like ``https://app.example``, whose pages in a browser may open a WebSocket here. Pages of this machine
    and of ``http_names`` always may."""
    metrics_open_locally: bool = True
    """From this machine ``/metrics``, ``/livez`` and ``/readyz`` need no key."""
    log_level: str = "info"
    """debug, info, warning or error. Logs go to stderr."""
    log_format: Literal["human", "json"] = "human"
    """``human``: a line of text for each event. ``json``: a line of JSON, with the client it is about in fields of its
    own."""
    log_lines_per_s: int = 20
    """Log lines of one kind per second, with bursts of ten times as many; what is left out is counted and said.
    0: no limit."""
    alerts: tuple[AlertConfig, ...] = ()
    """Whom to tell when something is wrong. Empty: only the log, metrics and the status page say so."""
    watch: WatchConfig = WatchConfig()
    limits: Limits = Limits()
    timeouts: Timeouts = Timeouts()
