"""A byte relay in Trio, written the obvious way: what a proxy without a native path has to compete with.

Usage: trio_relay.py LISTEN_PORT UPSTREAM_PORT (both on 127.0.0.1)
"""

from __future__ import annotations

import contextlib
import sys
from functools import partial

import trio


async def copy(source: trio.SocketStream, sink: trio.SocketStream) -> None:
    with contextlib.suppress(trio.BrokenResourceError):
        async for chunk in source:
            await sink.send_all(chunk)
        await sink.send_eof()


async def relay(upstream_port: int, client: trio.SocketStream) -> None:
    async with await trio.open_tcp_stream("127.0.0.1", upstream_port) as server, trio.open_nursery() as nursery:
        nursery.start_soon(copy, client, server)
        nursery.start_soon(copy, server, client)


if __name__ == "__main__":
    trio.run(partial(trio.serve_tcp, partial(relay, int(sys.argv[2])), int(sys.argv[1]), host="127.0.0.1"))
