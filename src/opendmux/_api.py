"""The proxy inside a Trio program."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

from .cli.house import house_of
from .cli.upstreams import faces_of
from .config import Config, check
from .runtime import server
from .runtime.server import Proxy

__all__ = ["open_proxy"]


@asynccontextmanager
async def open_proxy(config: Config | None = None) -> AsyncIterator[Proxy]:
    """Run a proxy for the length of the block.

    The block is entered when the addresses are bound (`Proxy.addresses`); ``await proxy.listening.wait()`` waits for
    upstream and the first client to be possible. Leaving the block drains. Raises ConfigError when an address can't
    be had or a setting is impossible. Cancellation of the block stops at once.
    """
    config = config or Config()
    check(config)
    with closing(house_of(config)) as house:
        async with (
            faces_of(config) as faces,
            server.open_proxy(faces, drain_s=config.timeouts.drain_s, house=house) as proxy,
        ):
            yield proxy
