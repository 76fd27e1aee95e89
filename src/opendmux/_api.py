"""The proxy inside a Trio program."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from .cli.upstreams import dialling, upstream_name
from .config import Config
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
    async with dialling(config) as dial, server.open_proxy(config, dial, upstream_name(config)) as proxy:
        yield proxy
