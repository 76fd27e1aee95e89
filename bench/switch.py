"""Round trips per second through the switch alone, no sockets: client chunk in, link out, answer in, client out.

    python bench/switch.py [seconds]

Each round every client sends one chunk of 16 frames; the link's bytes come back as upstream's answer in chunks of up to
256 KiB. Digests are checked in both directions. The best of several runs, since the machine has other things to do.
"""

from __future__ import annotations

import importlib
import platform
import sys
import time
from typing import TYPE_CHECKING

from opendmux.native import build_frame, sha1_backend
from opendmux.native._tables import N_PROTOCOLS

if TYPE_CHECKING:
    from opendmux.native import Switch

PROTO_ID = 3004
PUSH_ID = 3005
FRAMES_PER_CHUNK = 16
CLIENTS = 32
LINK_CHUNK = 256 * 1024
MODULES = {"native": "_switch", "pure": "_pure_switch"}
BODY_SIZES = [20, 100, 1000, 10_000]
SUBSCRIBERS = 1000
RUNS = 5


def new_switch(name: str, clients: int, frames_per_chunk: int) -> tuple[Switch, int, list[int]]:
    module = importlib.import_module(
        {"native": "opendmux.native._switch", "pure": "opendmux.native._pure_switch"}[name]
    )
    switch = module.Switch(
        max_client_body=1 << 24,
        client_body_total=1 << 30,
        max_upstream_body=1 << 24,
        link_high_water=1 << 30,
        outbox_high_water=1 << 30,
        outbox_total=1 << 30,
    )
    link = switch.open_link()
    switch.set_link_ready(link, True)
    slots = [
        switch.open_slot(
            bytes(N_PROTOCOLS + 1), timeout_ns=10**10, max_in_flight=frames_per_chunk + 1, outbox_limit=1 << 28
        )
        for _ in range(clients)
    ]
    return switch, link, slots


def round_trips(name: str, body_size: int, seconds: float, frames_per_chunk: int = FRAMES_PER_CHUNK) -> float:
    """Frames there and back per second."""
    switch, link, slots = new_switch(name, CLIENTS, frames_per_chunk)
    chunk = b"".join(build_frame(PROTO_ID, 0, serial, bytes(body_size)) for serial in range(frames_per_chunk))
    feed, link_feed = switch.feed_untrusted, switch.link_feed_untrusted
    out, sent = switch.out, switch.sent
    start = now = time.perf_counter()
    rounds = 0
    while now - start < seconds:
        for slot in slots:
            feed(slot, chunk, 1)
        answer = bytes(switch.link_out(link))
        switch.link_sent(link, len(answer))
        for at in range(0, len(answer), LINK_CHUNK):
            for slot in link_feed(link, memoryview(answer)[at : at + LINK_CHUNK], 1).dirty:
                sent(slot, len(out(slot)))
        rounds += 1
        now = time.perf_counter()
    counters = switch.counters()
    if counters.frames_out != rounds * CLIENTS * frames_per_chunk or counters.pending:
        raise SystemExit(f"{name}: frames were lost")
    return float(counters.frames_out / (now - start))


def deliveries(name: str, seconds: float) -> float:
    """One push to many slots, and out of their outboxes again: deliveries per second."""
    switch, _link, slots = new_switch(name, SUBSCRIBERS, FRAMES_PER_CHUNK)
    frame = build_frame(PUSH_ID, 0, 0, bytes(200))
    out, sent = switch.out, switch.sent
    start = now = time.perf_counter()
    rounds = 0
    while now - start < seconds:
        for _ in range(FRAMES_PER_CHUNK):
            ready, _overflowed = switch.fan_out(slots, frame, None)
        for slot in ready:
            sent(slot, len(out(slot)))
        rounds += 1
        now = time.perf_counter()
    return rounds * FRAMES_PER_CHUNK * SUBSCRIBERS / (now - start)


def main() -> None:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 0.4
    print(f"Python {platform.python_version()}, {platform.machine()}, digests by {sha1_backend()}")
    print(f"{CLIENTS} clients, {FRAMES_PER_CHUNK} frames per chunk; thousand round trips per second")
    print(f"{'body':>8} {'native':>10} {'pure':>10}")
    for size in BODY_SIZES:
        native, pure = (max(round_trips(name, size, seconds) for _ in range(RUNS)) for name in ("native", "pure"))
        print(f"{size:>8} {native / 1000:>10.0f} {pure / 1000:>10.1f}")
    single = max(round_trips("native", 100, seconds, 1) for _ in range(RUNS))
    print(f"one frame per chunk, body 100: native {single / 1000:.0f}")
    native, pure = (max(deliveries(name, seconds) for _ in range(RUNS)) for name in ("native", "pure"))
    print(f"fan-out to {SUBSCRIBERS}, 244-byte frames; thousand deliveries per second")
    print(f"{'':>8} {native / 1000:>10.0f} {pure / 1000:>10.1f}")


if __name__ == "__main__":
    main()
