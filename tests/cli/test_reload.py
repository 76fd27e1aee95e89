"""SIGHUP: what is taken over, what needs a restart, and what a slip in a file does not touch."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator

import pytest

from opendmux.cli.reload import Reloader
from opendmux.config import Config, Limits, Timeouts, TlsConfig
from opendmux.config.sources import Settings
from opendmux.errors import ConfigError
from opendmux.runtime.logs import Logs


class FakeProxy:
    def __init__(self) -> None:
        self.applied: list[Config] = []
        self.reloads = 0
        self.error: ConfigError | None = None

    def apply(self, config: Config) -> None:
        self.applied.append(config)

    async def reload(self) -> None:
        self.reloads += 1
        if self.error is not None:
            raise self.error


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    yield io.StringIO()
    logging.getLogger("opendmux").setLevel(logging.NOTSET)


class Bench:
    """A reloader with a file that a test changes."""

    def __init__(self, stream: io.StringIO) -> None:
        self.new: Config | ConfigError = Config()
        self.proxy = FakeProxy()
        self.stream = stream
        self.logs = Logs(stream)
        self.reloader = Reloader(Config(), self.logs, self._read)

    def _read(self) -> Settings:
        if isinstance(self.new, ConfigError):
            raise self.new
        return Settings(self.new)

    async def hang_up(self) -> list[str]:
        """What the log says."""
        before = len(self.stream.getvalue())
        self.logs.begin(self.reloader.config)
        try:
            await self.reloader.reload(self.proxy)  # type: ignore[arg-type]
        finally:
            self.logs.end()
        return [line.partition(" opendmux.serve: ")[2] for line in self.stream.getvalue()[before:].splitlines()]


async def test_nothing_new(stream: io.StringIO) -> None:
    bench = Bench(stream)
    assert await bench.hang_up() == ["the settings are as they were"]


async def test_what_can_be_is_taken_over_and_the_rest_is_named_every_time(stream: io.StringIO) -> None:
    bench = Bench(stream)
    bench.new = Config(upstream="sim", limits=Limits(in_flight=8), timeouts=Timeouts(goodbye_s=1.0))
    restart = 'upstream: "127.0.0.1:11111" -> "sim" needs a restart'
    assert await bench.hang_up() == [
        restart,
        "limits.in_flight: 512 -> 8, for clients that connect from then on",
        "timeouts.goodbye_s: 2.0 -> 1.0",
    ]
    assert bench.proxy.applied[-1] == Config(limits=Limits(in_flight=8), timeouts=Timeouts(goodbye_s=1.0))
    assert await bench.hang_up() == [restart]


async def test_only_what_there_is_was_read_again(stream: io.StringIO) -> None:
    bench = Bench(stream)
    bench.reloader.config = bench.new = Config(
        keys="keys.json", tls=TlsConfig("cert.pem", "key.pem"), audit_log="audit.jsonl"
    )
    assert await bench.hang_up() == [
        "the settings are as they were",
        "the keys of keys.json were read again",
        "the certificate cert.pem was read again",
        "the audit log audit.jsonl was opened again",
    ]


async def test_the_log_follows(stream: io.StringIO) -> None:
    bench = Bench(stream)
    bench.new = Config(log_level="error")
    assert await bench.hang_up() == ['log_level: "info" -> "error"']
    assert await bench.hang_up() == []


async def test_a_slip_in_the_settings_leaves_them_and_keys_are_read_all_the_same(stream: io.StringIO) -> None:
    bench = Bench(stream)
    bench.new = ConfigError("opendmux.toml is not TOML")
    assert await bench.hang_up() == ["the settings of before stay in force: opendmux.toml is not TOML"]
    assert bench.proxy.applied == []
    assert bench.proxy.reloads == 1


async def test_keys_that_can_not_be_read(stream: io.StringIO) -> None:
    bench = Bench(stream)
    bench.proxy.error = ConfigError("keys.json is not JSON")
    assert await bench.hang_up() == [
        "the settings are as they were",
        "what can't be read stays as it was: keys.json is not JSON",
    ]
