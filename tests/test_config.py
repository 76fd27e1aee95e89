"""Settings: addresses, the TOML file, values that make no sense, and that every setting says what it is."""

from __future__ import annotations

import ast
import inspect
import itertools
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.config import (
    LOG_LEVELS,
    Address,
    AlertConfig,
    Config,
    Limits,
    Listener,
    Timeouts,
    TlsConfig,
    UpstreamConfig,
    WatchConfig,
    check,
    load,
    parse_address,
)
from opendmux.config import structs as module
from opendmux.errors import ConfigError

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=200)

# -- addresses


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("127.0.0.1:33333", "127.0.0.1", 33333),
        ("localhost:0", "localhost", 0),
        (":33333", "127.0.0.1", 33333),
        ("[::1]:33333", "::1", 33333),
        ("[::]:65535", "::", 65535),
        ("[fe80::1%eth0]:11111", "fe80::1%eth0", 11111),
        ("opend.example:00080", "opend.example", 80),
    ],
)
def test_addresses(text: str, host: str, port: int) -> None:
    assert parse_address(text, what="listen") == Address(host, port)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is not HOST:PORT"),
        ("127.0.0.1", "is not HOST:PORT"),
        ("33333", "is not HOST:PORT"),
        ("127.0.0.1:", "'' is not a port number"),
        ("127.0.0.1:http", "'http' is not a port number"),
        ("127.0.0.1:65536", "'65536' is not a port number"),
        ("127.0.0.1:-1", "'-1' is not a port number"),
        ("127.0.0.1: 80", "' 80' is not a port number"),
        ("127.0.0.1:٣٣", "is not a port number"),
        ("127.0.0.1:1_0", "is not a port number"),
        ("127.0.0.1:" + "9" * 5000, "is not a port number"),
        ("[::1]", "is not HOST:PORT"),
        ("[]:33333", "is not HOST:PORT"),
        ("::1:33333", "write an IPv6 address in brackets, like [::1]:33333"),
    ],
)
def test_bad_addresses_are_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_address(text, what="--listen")
    assert str(caught.value).startswith(f"--listen {text!r}")
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["127.0.0.1:33333", "[::1]:33333", "localhost:0"])
def test_an_address_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_address(text, what="")) == text


@DETERMINISTIC
@given(st.text(max_size=12) | st.text("[]:.0123456789abc", max_size=12))
def test_any_text_is_an_address_or_a_config_error(text: str) -> None:
    try:
        address = parse_address(text, what="x")
    except ConfigError:
        return
    assert 0 <= address.port <= 65535
    assert address.host


# -- values


def test_the_defaults_make_sense() -> None:
    check(Config())
    assert Config() == load(None)


BOUNDS = [
    *(("limits", name) for name in Limits.__struct_fields__),
    *(("timeouts", name) for name in Timeouts.__struct_fields__),
]


@pytest.mark.parametrize(
    ("group", "name", "value"), [(*bound, value) for bound, value in itertools.product(BOUNDS, [0, -1])]
)
def test_a_value_that_makes_no_sense_is_named(group: str, name: str, value: int) -> None:
    inner = msgspec.structs.replace(getattr(Config(), group), **{name: value})
    config = msgspec.structs.replace(Config(), **{group: inner})
    if (name, value) in {("drain_s", 0), ("silent_s", 0)}:
        check(config)
        return
    with pytest.raises(ConfigError, match=rf"{group}\.{name} = {value}: must be greater than 0"):
        check(config)


@pytest.mark.parametrize(
    ("watch", "text"),
    [
        (WatchConfig(ask_s=-1), r"watch\.ask_s = -1: must be 0 or more"),
        (WatchConfig(ask_s=0.5), r"watch\.ask_s = 0\.5: must be 0, or 1 or more"),
        (WatchConfig(mute_s=float("inf")), r"watch\.mute_s = inf"),
        (WatchConfig(key_days=float("nan")), r"watch\.key_days = nan"),
        (WatchConfig(quota_percent=101), r"watch\.quota_percent = 101: must be from 1 to 100"),
        (WatchConfig(quota_percent=0), r"watch\.quota_percent = 0"),
    ],
)
def test_what_can_not_be_watched(watch: WatchConfig, text: str) -> None:
    check(Config(watch=WatchConfig(ask_s=0, mute_s=0, key_days=0)))
    with pytest.raises(ConfigError, match=text):
        check(Config(watch=watch))


HOOK = "https://hooks.example/s3cret?t=t0ken"


@pytest.mark.parametrize(
    ("alert", "text"),
    [
        (AlertConfig(), "alert 1: give a webhook or a command"),
        (AlertConfig(webhook=HOOK, command=("x",)), "give a webhook or a command, one of them"),
        (AlertConfig(name="ops", webhook="hooks.example/s3cret"), "alerts: ops: webhook is not an address like"),
        (AlertConfig(webhook="ftp://hooks.example/s3cret"), "webhook is not an address like"),
        (AlertConfig(webhook="https:///s3cret"), "webhook is not an address like"),
        (AlertConfig(webhook="https://hooks.example:x/s3cret"), "webhook is not an address like"),
        (AlertConfig(webhook="https://hooks.example/s3cret\r\nX: y"), "webhook is not an address like"),
        (AlertConfig(webhook="https://s3cret@hooks.example/"), "neither a user name nor a fragment"),
        (AlertConfig(webhook=HOOK + "#x"), "neither a user name nor a fragment"),
        (AlertConfig(webhook="http://127.0.0.1/s3cret", ca="ca.pem"), "ca is for an https webhook"),
        (AlertConfig(command=("x",), ca="ca.pem"), "ca is for a webhook"),
        (AlertConfig(command=("x", "")), "command has an empty part"),
        (AlertConfig(webhook=HOOK, after_s=-1), "after_s = -1: must be 0 or more"),
        (AlertConfig(webhook=HOOK, repeat_s=float("inf")), "repeat_s = inf"),
        (AlertConfig(webhook=HOOK, timeout_s=0), "timeout_s = 0: must be greater than 0"),
        (AlertConfig(webhook=HOOK, timeout_s=301), "not over 300"),
    ],
)
def test_alerts_that_make_no_sense(alert: AlertConfig, text: str) -> None:
    check(Config(alerts=(AlertConfig(webhook=HOOK), AlertConfig(command=("x",), after_s=0))))
    with pytest.raises(ConfigError) as caught:
        check(Config(alerts=(alert,)))
    assert text in str(caught.value)
    assert "s3cret" not in str(caught.value)


def test_two_alerts_have_two_names() -> None:
    with pytest.raises(ConfigError, match="two entries have the same name, 'alert 2'"):
        check(Config(alerts=(AlertConfig(name="alert 2", webhook=HOOK), AlertConfig(webhook=HOOK))))


def test_an_unknown_kind_is_named_with_the_nearest(tmp_path: Path) -> None:
    path = tmp_path / "opendmux.toml"
    path.write_text(f'[[alerts]]\nwebhook = "{HOOK}"\nkinds = ["kiked"]\n')
    with pytest.raises(ConfigError, match=r"alerts.*kinds.*kicked"):
        load(path)


@pytest.mark.parametrize("name", Timeouts.__struct_fields__)
@pytest.mark.parametrize("value", [float("inf"), float("nan"), float("-inf")])
def test_no_wait_is_endless(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=rf"timeouts\.{name}"):
        check(Config(timeouts=msgspec.structs.replace(Timeouts(), **{name: value})))


@pytest.mark.parametrize("value", [12, 12.0, 60])
def test_our_answer_comes_before_the_sdk_gives_up(value: float) -> None:
    with pytest.raises(ConfigError, match=r"timeouts\.reply_s = \d+: must be under 12"):
        check(Config(timeouts=Timeouts(reply_s=value)))
    check(Config(timeouts=Timeouts(reply_s=11.9)))


@pytest.mark.parametrize("name", ["read_wait_s", "write_wait_s", "park_s"])
def test_waiting_leaves_time_for_the_answer(name: str) -> None:
    with pytest.raises(ConfigError, match=rf"timeouts\.{name} = 11: must be under timeouts\.reply_s = 11"):
        check(Config(timeouts=Timeouts(**{name: 11.0})))


@pytest.mark.parametrize("level", ["", "INFO", "warn", "trace"])
def test_a_log_level_is_one_of_four(level: str) -> None:
    with pytest.raises(ConfigError, match=r"log_level = .*: must be one of debug, info, warning, error"):
        check(Config(log_level=level))
    for known in LOG_LEVELS:
        check(Config(log_level=known))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (Config(tls=TlsConfig(cert="c")), "tls.cert is set and tls.key is not"),
        (Config(tls=TlsConfig(key="k")), "tls.key is set and tls.cert is not"),
        (Config(tls=TlsConfig(require=True)), "tls.require needs tls.cert and tls.key"),
        (Config(tls=TlsConfig(client_ca="a"), keys="k"), "tls.client_ca needs tls.cert and tls.key"),
        (Config(tls=TlsConfig("c", "k", "a")), "tls.client_ca is for certificates that name a key"),
        (Config(protocols=()), "protocols = []: nothing would be served"),
        (Config(protocols=("tls",)), "nothing would be served; there are opend, grpc, http, websocket, tls"),
        (Config(protocols=("opend",), tls=TlsConfig("c", "k", require=True)), "without tls nobody could connect"),
        (Config(listeners=(Listener((":1",), ("a",), protocols=()),)), "the listener on :1: protocols = []"),
        (Config(listeners=(Listener((":1",), ("a",)),), insecure_plain=True), "insecure_plain stands beside"),
    ],
)
def test_tls_and_protocols_fit_together(config: Config, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(config)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (Config(keys="k", insecure_allow_trading=True), "insecure_allow_trading is for a proxy without keys"),
        (Config(listeners=(Listener((":1",), ("opend",), key="a"),)), "bound to the key 'a', but `keys` is not set"),
        (Config(listeners=(Listener((":1",), ("opned",)),)), "(there are: opend); did you mean 'opend'?"),
        (Config(listeners=(Listener(("1",), ("opend",)),)), "the listener on 1: listen '1' is not HOST:PORT"),
        (Config(upstreams=(UpstreamConfig("a", "1"),)), "upstreams: a: address '1' is not HOST:PORT"),
        (Config(upstream="1"), "upstream '1' is not HOST:PORT"),
        (Config(listen=("1",)), "listen '1' is not HOST:PORT"),
        (Config(log_level="inof"), "must be one of debug, info, warning, error; did you mean 'info'?"),
    ],
)
def test_what_does_not_fit_together(config: Config, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(config)
    assert words in str(caught.value)


def test_tls_that_makes_sense() -> None:
    check(Config(tls=TlsConfig("c", "k", "a", require=True), keys="k", protocols=("opend", "tls")))
    check(Config(listeners=(Listener((":1",), ("opend",), protocols=("grpc",), insecure_plain=True),)))


# -- the file


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "opendmux.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_whole_file(tmp_path: Path) -> None:
    path = written(
        tmp_path,
        """
        listen = ["127.0.0.1:44444", "[::1]:44444"]
        upstream = "sim"
        sim_seed = 7
        allow_unknown = true
        log_level = "debug"
        on_outage = "close"
        unlock = "own"
        budgets = false
        coalesce = false
        retry_reads = true
        rsa_private_key = "clients.pem"
        upstream_rsa_private_key = "opend.pem"
        insecure_plain = false
        protocols = ["opend", "tls"]
        keys = "keys.json"
        [tls]
        cert = "cert.pem"
        key = "key.pem"
        client_ca = "ca.pem"
        require = true
        [limits]
        in_flight = 8
        [timeouts]
        reply_s = 11.5
        drain_s = 0.0
        [[upstreams]]
        name = "home"
        address = "192.0.2.7:11111"
        rsa_private_key = "home.pem"
        [[listeners]]
        listen = [":33333"]
        upstream = ["home"]
        on_outage = "hold"
        protocols = ["grpc", "http", "websocket", "tls"]
        insecure_plain = true
        """,
    )
    config = load(path)
    assert config == Config(
        listen=("127.0.0.1:44444", "[::1]:44444"),
        upstream="sim",
        sim_seed=7,
        allow_unknown=True,
        log_level="debug",
        on_outage="close",
        unlock="own",
        budgets=False,
        coalesce=False,
        retry_reads=True,
        rsa_private_key="clients.pem",
        upstream_rsa_private_key="opend.pem",
        protocols=("opend", "tls"),
        keys="keys.json",
        tls=TlsConfig("cert.pem", "key.pem", "ca.pem", require=True),
        upstreams=(UpstreamConfig("home", "192.0.2.7:11111", "home.pem"),),
        listeners=(
            Listener(
                (":33333",),
                ("home",),
                "hold",
                protocols=("grpc", "http", "websocket", "tls"),
                insecure_plain=True,
            ),
        ),
        limits=Limits(in_flight=8),
        timeouts=Timeouts(reply_s=11.5, drain_s=0.0),
    )
    check(config)


def test_an_empty_file_is_the_defaults(tmp_path: Path) -> None:
    assert load(written(tmp_path, "")) == Config()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("listen = [", " is not TOML: "),
        ("a = 1\na = 2", " is not TOML: "),
        ("listen = ['\ufeff", " is not TOML: "),
        ("port = 33333", " has an unknown key 'port'"),
        ("upstraem = 'sim'", " has an unknown key 'upstraem'; did you mean 'upstream'?"),
        ("in_flight = 1", " has an unknown key 'in_flight'; it belongs in [limits]"),
        (
            "[limits]\nupstream = 'sim'",
            ": [limits] has an unknown key 'upstream'; it belongs in front of the first table",
        ),
        ("[limits]\nin_fligth = 1", ": [limits] has an unknown key 'in_fligth'; did you mean 'in_flight'?"),
        ("[timeouts]\nreply = 1", ": [timeouts] has an unknown key 'reply'; did you mean 'reply_s'?"),
        ("[timeout]\nreply_s = 1", " has an unknown key 'timeout'; did you mean 'timeouts'?"),
        ("listen = '127.0.0.1:33333'", ": listen must be a list of texts, not '127.0.0.1:33333'"),
        ("listen = [33333]", ": listen must be a list of texts, not a list with 33333"),
        ("[limits]\nin_flight = 1.5", ": [limits] in_flight must be a whole number, not 1.5"),
        ("[limits]\nin_flight = '5'", ": [limits] in_flight must be a whole number, not '5'"),
        ("[timeouts]\nreply_s = true", ": [timeouts] reply_s must be a number, not true"),
        ("allow_unknown = 1", ": allow_unknown must be true or false, not 1"),
        ("upstream = {}", ": upstream must be text, not a table"),
        ("limits = 5", ": limits must be a table, [limits], not 5"),
        ("upstreams = 5", ": upstreams must be tables, [[upstreams]], not 5"),
        ("upstreams = [5]", ": upstreams must be tables, [[upstreams]], not a list"),
        ("on_outage = 'hld'", ": on_outage must be one of hold, close, not 'hld'; did you mean 'hold'?"),
        (
            "protocols = ['opend', 'grcp']",
            ": protocols must be a list of opend, grpc, http, websocket, tls, not a list with 'grcp'",
        ),
        ("unlock = 'mine'", ": unlock must be one of shared, own, not 'mine'"),
        ("[[upstreams]]\nname = 'a'", ": [[upstreams]] number 1 has no address"),
        (
            "[[upstreams]]\nname = 'a'\naddress = 'sim'\nport = 1",
            ": [[upstreams]] number 1 has an unknown key 'port'",
        ),
        (
            "[[listeners]]\nlisten = [':1']\nupstream = 'a'",
            ": [[listeners]] number 1 upstream must be a list of texts, not 'a'",
        ),
        (
            "[[listeners]]\nlisten = [':1']\nupstream = ['a']\non_outage = 'no'",
            ": [[listeners]] number 1 on_outage must be one of hold, close, not 'no'",
        ),
    ],
)
def test_what_is_wrong_with_a_file_is_said_with_its_place(tmp_path: Path, text: str, words: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value).startswith(f"{path}{words}")


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    path = tmp_path / "opendmux.toml"
    path.write_bytes(b"listen = ['\xff']")
    with pytest.raises(ConfigError, match="is not TOML"):
        load(path)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "nowhere.toml"
    with pytest.raises(ConfigError) as caught:
        load(path)
    assert str(caught.value) == f"cannot read the configuration {path}: No such file or directory"


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot read the configuration"):
        load(tmp_path)


def test_more_lanes_than_the_data_path_has_are_refused() -> None:
    check(Config(limits=Limits(extra_lanes=12)))
    with pytest.raises(ConfigError, match="extra_lanes = 13: must not be over 12"):
        check(Config(limits=Limits(extra_lanes=13)))


# -- documentation


@pytest.mark.parametrize(
    "cls",
    [Config, Limits, Timeouts, TlsConfig, UpstreamConfig, Listener, WatchConfig, AlertConfig],
    ids=lambda cls: cls.__name__,
)
def test_every_setting_says_what_it_is(cls: type[msgspec.Struct]) -> None:
    """A line of text behind each field; the groups of `Config` speak for themselves."""
    tree = ast.parse(inspect.getsource(module))
    body = next(node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == cls.__name__)
    documented = {
        before.target.id
        for before, after in itertools.pairwise(body)
        if isinstance(before, ast.AnnAssign)
        and isinstance(before.target, ast.Name)
        and isinstance(after, ast.Expr)
        and isinstance(after.value, ast.Constant)
        and isinstance(after.value.value, str)
    }
    assert documented | {"limits", "timeouts", "tls", "watch"} >= set(cls.__struct_fields__)


def test_units_stand_in_the_names() -> None:
    assert all(name.endswith("_s") for name in Timeouts.__struct_fields__)
    counts = {"in_flight", "silent_per_address", "extra_lanes", "tls_handshakes", "http_per_address"}
    assert all(name.endswith("_bytes") for name in set(Limits.__struct_fields__) - counts)


@pytest.mark.parametrize(
    ("config", "text"),
    [
        (Config(telnet="nowhere"), "telnet 'nowhere' is not HOST:PORT"),
        (Config(telnet="127.0.0.1:11111"), "give its telnet_port"),
        (Config(quote_right="always"), "quote_right = 'always' needs telnet"),
        (
            Config(upstreams=(UpstreamConfig("a", "127.0.0.1:1", quote_right="when-lost"),)),
            "upstreams: a: quote_right = 'when-lost' needs telnet",
        ),
        (Config(upstreams=(UpstreamConfig("a", "127.0.0.1:1", telnet="x"),)), "upstreams: a: telnet 'x'"),
    ],
)
def test_a_console_that_makes_no_sense(config: Config, text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(config)
    assert text in str(caught.value)


def test_a_console_that_makes_sense() -> None:
    check(Config(telnet="127.0.0.1:22222", quote_right="when-lost"))
    check(Config(upstream="sim", quote_right="always"))
