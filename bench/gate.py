"""What the gate costs a request: the policy row in the switch, a refusal, and finding a key.

    python bench/gate.py

Every key has a slot with a row of its own, and they take turns. See README.md.
"""

from __future__ import annotations

import platform
import sys
import time
from collections.abc import Callable, Iterable
from itertools import cycle
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1] / "src")]

from opendmux.core.gate import open_row  # noqa: E402
from opendmux.core.keys import ALL_SCOPES, Key, Keyring, digest_of  # noqa: E402
from opendmux.native import DENY, FRAME, PASS, Switch, build_frame, sha1_backend  # noqa: E402
from opendmux.wire.protocols import index_of  # noqa: E402

KEYS = [1, 100, 10_000]
FRAMES_PER_CHUNK = 16
PASSED_ID = 3004
DENIED_ID = 2202
BODY = bytes(100)
BATCH = 10_000
"""Calls between two looks at the clock."""
RUNS = 5


def new_switch(keys: int) -> tuple[Switch, int, list[int]]:
    """A slot for each key, each with a row of its own: an object of its own, as sessions have them."""
    switch = Switch(
        max_client_body=1 << 20,
        client_body_total=1 << 30,
        max_upstream_body=1 << 20,
        link_high_water=1 << 40,
        outbox_high_water=1 << 30,
        outbox_total=1 << 40,
    )
    link = switch.open_link()
    switch.set_link_ready(link, True)
    slots = []
    for number in range(keys):
        row = bytearray(open_row(allow_unknown=False))
        row[index_of(PASSED_ID)] = PASS
        row[index_of(DENIED_ID)] = DENY
        row[0] = number % 4  # so that no two neighbours are equal
        slots.append(switch.open_slot(bytes(row), timeout_ns=10**9, max_in_flight=1 << 30, outbox_limit=1 << 20))
    return switch, link, slots


def best_ns(batch: Callable[[], float]) -> float:
    """The shortest of several batches, which are told in seconds for `BATCH` requests."""
    return min(batch() for _ in range(RUNS)) / BATCH * 1e9


def feeding(keys: int, proto_id: int, frames_per_chunk: int) -> float:
    """Nanoseconds a frame, fed to one slot after the other."""
    switch, link, slots = new_switch(keys)
    chunk = b"".join(build_frame(proto_id, 0, serial, BODY) for serial in range(frames_per_chunk))
    [event] = switch.feed_untrusted(slots[0], build_frame(DENIED_ID, 0, 1, BODY), 1) or []
    assert (event.kind, event.action) == (FRAME, DENY)
    feed, turns = switch.feed_untrusted, cycle(slots)

    def batch() -> float:
        mine = [next(turns) for _ in range(BATCH // frames_per_chunk)]
        start = time.perf_counter()
        for slot in mine:
            feed(slot, chunk, 1)
        elapsed = time.perf_counter() - start
        switch.reset_link(link)
        switch.set_link_ready(link, True)
        return elapsed * BATCH / (len(mine) * frames_per_chunk)

    batch()
    took = best_ns(batch)
    passed = switch.counters().passed
    if bool(passed) is not (proto_id == PASSED_ID):
        raise SystemExit("the rows do not say what is measured")
    return took


def finding(keys: int, *, known: bool) -> float:
    """Nanoseconds to find a key by its plaintext, or to see that there is none."""
    texts = [f"fc_{number:064x}" for number in range(keys)]
    entries = [(Key(f"key-{at}", frozenset(ALL_SCOPES)), digest_of(text), None) for at, text in enumerate(texts)]
    ring = Keyring.of(entries)
    asked = cycle(texts if known else [f"fc_{number:064x}" for number in range(keys, 2 * keys)])
    find = ring.find
    if (find(next(asked), 0.0) is None) is known:
        raise SystemExit("the keyring does not say what is measured")

    def batch() -> float:
        mine = [next(asked) for _ in range(BATCH)]
        start = time.perf_counter()
        for text in mine:
            find(text, 0.0)
        return time.perf_counter() - start

    return best_ns(batch)


ROWS: dict[str, Callable[[int], float]] = {
    "passed on, 16 a chunk": lambda keys: feeding(keys, PASSED_ID, FRAMES_PER_CHUNK),
    "passed on, 1 a chunk": lambda keys: feeding(keys, PASSED_ID, 1),
    "denied, 16 a chunk": lambda keys: feeding(keys, DENIED_ID, FRAMES_PER_CHUNK),
    "denied, 1 a chunk": lambda keys: feeding(keys, DENIED_ID, 1),
    "a key found": lambda keys: finding(keys, known=True),
    "a key not found": lambda keys: finding(keys, known=False),
}
SHORT = ["passed on, 16 a chunk", "denied, 16 a chunk", "a key found"]
"""What `make bench` shows."""


def measure(names: Iterable[str]) -> dict[str, list[float]]:
    """Nanoseconds a request of each row, by number of keys."""
    return {name: [ROWS[name](keys) for keys in KEYS] for name in names}


def table(figures: dict[str, list[float]]) -> str:
    head = f"{'gate, ns a request':24}" + "".join(f"{keys:>8,} key{'s' if keys > 1 else ' '}" for keys in KEYS)
    lines = [f"{name:24}" + "".join(f"{took:>13.0f}" for took in row) for name, row in figures.items()]
    return "\n".join([head, *lines])


def main() -> None:
    print(f"Python {platform.python_version()}, {platform.machine()}, digests by {sha1_backend()}")
    print(f"a slot and a row for each key, {len(BODY)}-byte bodies; nanoseconds a request, best of {RUNS}")
    print(table(measure(ROWS)))


if __name__ == "__main__":
    main()
