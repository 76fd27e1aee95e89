"""Who may reach a port."""

from __future__ import annotations

import pytest

from opendmux.config import Config, Listener, TlsConfig, check
from opendmux.config.reach import is_loopback
from opendmux.errors import ConfigError

TLS = TlsConfig("cert.pem", "key.pem")
KEYS, PLAIN = "without keys would let other machines trade", "without TLS would send keys and orders readable"


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("127.0.0.1", True),
        ("127.9.9.9", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.0.2.1", False),
        ("::2", False),
    ],
)
def test_loopback(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (Config(listen=("0.0.0.0:1",)), f"listening on 0.0.0.0:1 {KEYS}"),
        (Config(listen=("127.0.0.1:1", "[::]:1")), f"listening on [::]:1 {KEYS}"),
        (Config(listen=("192.0.2.1:1",), insecure_plain=True), KEYS),
        (Config(listen=("192.0.2.1:1",), keys="k"), PLAIN),
        (Config(listen=("192.0.2.1:1",), keys="k", tls=TLS, protocols=("opend",)), PLAIN),
        (Config(listeners=(Listener(("192.0.2.1:1",), ("opend",)),), keys="k"), PLAIN),
        (Config(listeners=(Listener(("192.0.2.1:1",), ("opend",), protocols=("grpc",)),), keys="k", tls=TLS), PLAIN),
    ],
)
def test_a_check_judges_addresses_before_they_are_bound(config: Config, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check(config)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("config", "tls_too"),
    [
        (Config(listen=("0.0.0.0:1",)), True),
        (Config(listen=("0.0.0.0:1",), tls=TLS), False),
        (Config(listen=("0.0.0.0:1",), insecure_plain=True), False),
    ],
)
def test_who_has_no_keys_is_told_of_tls_too(config: Config, tls_too: bool) -> None:
    with pytest.raises(ConfigError) as caught:
        check(config)
    assert ("`opendmux keys add`" in str(caught.value), "--tls-cert" in str(caught.value)) == (True, tls_too)


@pytest.mark.parametrize(
    "config",
    [
        Config(listen=("127.0.0.1:1", ":1", "[::1]:1", "[0:0:0:0:0:0:0:1]:1")),
        Config(listen=("192.0.2.1:1",), keys="k", tls=TLS),
        Config(listen=("192.0.2.1:1",), keys="k", insecure_plain=True),
        Config(listeners=(Listener(("192.0.2.1:1",), ("opend",), insecure_plain=True),), keys="k"),
        Config(listen=("proxy.example:1",)),
    ],
)
def test_what_a_check_lets_pass(config: Config) -> None:
    check(config)
