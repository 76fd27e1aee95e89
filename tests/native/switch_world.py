"""A small random world around two switches: clients, core and upstream, all played by one `Random`.

Every call goes to the pure and to the compiled switch, and both must answer the same. Bodies say who asked what, so a
reply in the wrong hands, or one too many, is seen.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from opendmux.native import DENY, EVENT, HOLD, NATIVE, OVERFLOW, PASS, REPLY, STREAM_LOST
from opendmux.native._pure import Splitter
from tests.native.switch_kit import (
    ANSWERED_HERE,
    EDITED,
    HELD,
    INSPECTED,
    ORDER_PUSH,
    PASSED,
    PUSH,
    ROW,
    SECOND,
    UNKNOWN,
    bad_sha1,
    cell,
    frame,
    load,
    make_row,
    with_body_len,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from opendmux.native import Switch

ROWS = [
    ROW,
    ROW,
    make_row({PASSED: cell(PASS), EDITED: cell(PASS), SECOND: cell(PASS, EVENT, 15)}, default=cell(PASS)),
    make_row({PASSED: cell(DENY)}, default=cell(PASS)),
]
ASKED = [PASSED, PASSED, PASSED, EDITED, HELD, SECOND, INSPECTED, ANSWERED_HERE, UNKNOWN, PUSH]
MAX_BODY = 2000
MAX_CLIENTS = 5


class Raised(NamedTuple):
    text: str


def outcome(switch: Switch, name: str, args: tuple[Any, ...], named: dict[str, Any]) -> Any:
    try:
        result = getattr(switch, name)(*args, **named)
    except ValueError as error:
        return Raised(str(error))
    return bytes(result) if isinstance(result, memoryview) else result


class Twins:
    """Call both, compare, answer with one."""

    def __init__(self, **limits: int) -> None:
        self.pure: Switch = load("pure")(**limits)
        self.native: Switch = load("native")(**limits)
        self.seen: Counter[str] = Counter()
        """What happened, to tell whether a life was worth living."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def call(*args: Any, **named: Any) -> Any:
            expected, got = (outcome(switch, name, args, named) for switch in (self.pure, self.native))
            assert got == expected, (name, args, named)
            self.seen[f"{name}: {got.text}" if isinstance(got, Raised) else name] += 1
            if isinstance(got, Raised):
                raise ValueError(got.text)
            return got

        return call


class Asked(NamedTuple):
    """A request as upstream sees it."""

    proto_id: int
    upstream_serial: int
    body: bytes


def owner_in(body: bytes) -> tuple[int, int, int]:
    slot, generation, serial = body.partition(b";")[0].split(b"/")
    return int(slot), int(generation), int(serial)


class Client:
    """One generation of a slot, seen from outside."""

    def __init__(self, slot: int, generation: int) -> None:
        self.slot = slot
        self.generation = generation
        self.next_serial = 0
        self.unread = b""
        self.splitter = Splitter(1 << 31)
        self.tickets: list[int] = []
        self.asked: Counter[bytes] = Counter()
        self.got: Counter[bytes] = Counter()

    def new_body(self, size: int) -> tuple[int, bytes]:
        self.next_serial += 1
        body = b"%d/%d/%d;" % (self.slot, self.generation, self.next_serial) + bytes(size)
        self.asked[body] += 1
        return self.next_serial, body

    def receive(self, data: bytes) -> None:
        """The stream is whole frames with right digests; a reply is mine, and comes once for each time I asked."""
        for got in self.splitter.feed_untrusted(data):
            assert got.sha1_matches()
            if got.proto_id not in (PUSH, ORDER_PUSH):
                assert owner_in(got.body) == (self.slot, self.generation, got.serial_no)
                self.got[got.body] += 1
                assert self.got[got.body] <= self.asked[got.body]


class World:
    def __init__(self, random: Random) -> None:
        self.random = random
        self.twins = Twins(
            max_client_body=MAX_BODY,
            client_body_total=random.choice([0, 5000, 1 << 20, 1 << 20]),
            max_upstream_body=MAX_BODY,
            link_high_water=random.choice([0, 5000, 100_000, 100_000]),
            outbox_high_water=random.choice([0, 5000, 100_000, 100_000]),
            outbox_total=random.choice([0, 5000, 1 << 20, 1 << 20, 1 << 20, 1 << 20]),
        )
        self.now = 1
        self.clients: dict[int, Client] = {}
        self.upstream: list[Splitter] = []
        self.asked: list[list[Asked]] = []
        self.last_serial: list[int] = []
        self.unread: list[bytes] = []
        self.generations: set[int] = set()
        self.tokens = 0
        self.open_link()
        for _ in range(3):
            self.open_slot()
        doings: list[tuple[int, Callable[[], None]]] = [
            (12, self.client_writes),
            (20, self.upstream_reads),
            (20, self.upstream_answers),
            (24, self.client_reads),
            (5, self.client_takes_frames),
            (6, self.submit),
            (4, self.join),
            (4, self.order_push),
            (6, self.fan_out),
            (2, self.hold),
            (20, self.release),
            (3, self.read_on),
            (1, self.expire),
            (2, self.open_slot),
            (1, self.close_slot),
            (1, self.change_rules),
            (1, self.give_up),
            (1, self.lose_link),
            (1, self.toggle_link),
            (1, self.call_on_nobody),
        ]
        self.doings = [doing for weight, doing in doings for _ in range(weight)]

    def live(self, steps: int) -> Counter[str]:
        for _ in range(steps):
            self.random.choice(self.doings)()
            self.agree()
        return self.twins.seen

    # -- who and what

    def client(self) -> Client:
        if not self.clients:
            self.open_slot()
        return self.random.choice(list(self.clients.values()))

    def link(self) -> int:
        return self.random.randrange(len(self.asked))

    def size(self) -> int:
        return self.random.choice([0, 0, 1, 30, 200, 900, MAX_BODY - 30])

    def chance(self, one_in: int) -> bool:
        return self.random.randrange(one_in) == 0

    def cuts(self, data: bytes) -> list[bytes]:
        """Pieces of the data, in order, the last one perhaps missing."""
        places = sorted(self.random.randrange(len(data) + 1) for _ in range(self.random.randrange(5)))
        ends = [*places, len(data)] if places else [len(data)]
        return [data[start:end] for start, end in zip([0, *places], ends, strict=True)]

    # -- slots

    def open_slot(self) -> None:
        if len(self.clients) == MAX_CLIENTS:
            self.close_slot()
        slot = self.twins.open_slot(
            self.random.choice(ROWS),
            timeout_ns=self.random.choice([50, 1000, 100_000]),
            max_in_flight=self.random.choice([1, 10, 1000, 1000]),
            outbox_limit=self.random.choice([0, 1000, 1 << 20, 1 << 20, 1 << 20]),
        )
        generation = self.twins.generation(slot)
        assert slot not in self.clients
        assert generation not in self.generations
        self.generations.add(generation)
        self.clients[slot] = Client(slot, generation)

    def close_slot(self) -> None:
        client = self.client()
        self.twins.close_slot(client.slot)
        del self.clients[client.slot]

    def change_rules(self) -> None:
        slot = self.client().slot
        if self.chance(2):
            self.twins.set_row(slot, self.random.choice(ROWS))
        elif self.chance(3):
            self.twins.set_max_body(slot, self.random.choice([0, 300, MAX_BODY, MAX_BODY]))
        elif self.chance(3):
            self.twins.count_elsewhere(slot, self.random.choice([0, 0, 3000, 6000]))
        else:
            self.twins.set_link(slot, self.random.choice([0, 1, 15]), self.link())

    def give_up(self) -> None:
        if not self.chance(3):
            return
        slot = self.client().slot
        if self.chance(2):
            self.twins.out_truncate(slot)
        else:
            self.twins.stop_reading(slot)

    # -- clients

    def client_writes(self) -> None:
        """A client sends frames; its reader takes them in chunks unless it was told to stop."""
        client = self.client()
        for _ in range(self.random.randrange(24)):
            serial, body = client.new_body(self.size())
            data = frame(self.random.choice(ASKED), serial, body, proto_fmt=2 if self.chance(20) else 0)
            client.unread += bad_sha1(data) if self.chance(20) else data
        if self.chance(100):
            client.unread += self.random.choice([b"X", b"FX", with_body_len(frame(), MAX_BODY + 1)])
        for piece in self.cuts(client.unread):
            if self.twins.paused(client.slot) and not self.chance(10):
                self.twins.seen["told to stop"] += 1
                break
            self.feed(client, len(piece))

    def read_on(self) -> None:
        for slot in self.twins.take_resumed():
            self.twins.seen["told to go on"] += 1
            self.feed(self.clients[slot], 0)

    def feed(self, client: Client, size: int) -> None:
        chunk, client.unread = client.unread[:size], client.unread[size:]
        for event in self.twins.feed_untrusted(client.slot, chunk, self.now) or []:
            self.twins.seen[f"client event {event.kind}"] += 1

    # -- core

    def submit(self) -> None:
        link, client = self.link(), self.client()
        own = self.chance(6)
        reply = self.random.choice([NATIVE, NATIVE, EVENT] if own else [NATIVE, EVENT, HOLD])
        self.tokens += 1
        serial, body = (7, b"-1/0/7;") if own else client.new_body(self.size())
        ahead = self.random.choice([None] * 8 + [0, 1, 1000, 2**31 - 1, 2**31, -1])
        upstream_serial = 0 if ahead is None else (self.twins.link_serial(link) + ahead) % 2**32
        if self.chance(4):
            upstream_serial = self.twins.reserve_serial(link)
        try:
            self.twins.submit(
                link,
                -1 if own else client.slot,
                serial,
                self.random.choice(ASKED[:-1]),
                0,
                body,
                reply=reply,
                token=self.tokens if self.chance(2) else None,
                timeout_ns=self.random.choice([1, 60, 2**63 - 1]),
                now_ns=self.now,
                upstream_serial=upstream_serial,
            )
        except ValueError:
            assert upstream_serial

    def join(self) -> None:
        """A client asks again for what it waits for already (a body names only one owner)."""
        client, link = self.client(), self.link()
        mine = [one for one in self.asked[link] if one.body.startswith(b"%d/%d/" % (client.slot, client.generation))]
        if not mine:
            return
        one = self.random.choice(mine)
        try:
            if self.twins.join(link, one.upstream_serial, client.slot, owner_in(one.body)[2]):
                self.twins.seen["joined"] += 1
                client.asked[one.body] += 1
        except ValueError:
            pass

    def order_push(self) -> None:
        slot, size = self.client().slot, self.size()
        if self.chance(2):
            self.twins.reply(slot, ORDER_PUSH, 0, 5, bytes(size))
        else:
            self.twins.append(slot, frame(ORDER_PUSH, 0, bytes(size)))

    def fan_out(self) -> None:
        slots = [slot for slot in self.clients if self.chance(2)]
        key = self.random.choice([None, "a", "b", ("c", 1), 4])
        _ready, overflowed = self.twins.fan_out(slots, frame(PUSH, 0, bytes(self.size())), key)
        self.twins.seen["overflowed"] += len(overflowed)

    def hold(self) -> None:
        client = self.client()
        client.tickets.append(self.twins.hold(client.slot))

    def release(self) -> None:
        client = self.client()
        ticket = self.random.randrange(-1, 50)
        if client.tickets and not self.chance(10):
            ticket = client.tickets.pop(self.random.randrange(len(client.tickets)))
        content = b"" if self.chance(3) else frame(ORDER_PUSH, 0, bytes(self.size()))
        if self.twins.release(client.slot, ticket, content):
            self.twins.seen["released"] += 1

    def expire(self) -> None:
        self.now += self.random.choice([0, 1, 20, 100, 2000, 800_000, 3_000_000])
        entries = self.twins.expire(self.now)
        self.twins.seen["expired"] += len(entries)
        starts = [entry.start_ns for entry in entries]
        assert starts == sorted(starts)

    # -- the writers

    def client_reads(self) -> None:
        client = self.client()
        data = self.twins.out(client.slot, self.random.choice([0, 0, 0, 1, 40, 44, 100]))
        count = len(data) // self.random.choice([1, 1, 1, 2, 3])
        client.receive(data[:count])
        self.twins.sent(client.slot, count)
        assert (self.twins.out_to_boundary(client.slot) == 0) == (client.splitter.pending == 0)

    def client_takes_frames(self) -> None:
        client, limit = self.client(), self.random.randrange(3000)
        try:
            taken = self.twins.take_frames(client.slot, limit)
        except ValueError:
            assert client.splitter.pending
            return
        assert len(taken) <= 1 or sum(map(len, taken)) <= limit
        for one in taken:
            client.receive(one)
            assert client.splitter.pending == 0

    # -- upstream

    def upstream_reads(self) -> None:
        link = self.link()
        data = self.twins.link_out(link)
        count = len(data) // self.random.choice([1, 1, 1, 2, 3])
        self.twins.link_sent(link, count)
        for got in self.upstream[link].feed_untrusted(data[:count]):
            assert got.sha1_matches()
            assert 0 < (got.serial_no - self.last_serial[link]) % 2**32 < 2**31
            self.last_serial[link] = got.serial_no
            self.asked[link].append(Asked(got.proto_id, got.serial_no, got.body))

    def upstream_answers(self) -> None:
        link = self.link()
        for _ in range(self.random.randrange(24)):
            self.unread[link] += self.answer(link)
        if self.chance(100):
            self.unread[link] += self.random.choice([b"X", b"FX", with_body_len(frame(), MAX_BODY + 1)])
        for piece in self.cuts(self.unread[link]):
            self.unread[link] = self.unread[link][len(piece) :]
            batch = self.twins.link_feed_untrusted(link, piece, self.now)
            assert len(set(batch.dirty)) == len(batch.dirty)
            self.twins.seen["strays"] += batch.strays
            self.twins.seen["pushes"] += len(batch.pushes)
            self.twins.seen["delivered"] += len(batch.dirty)
            for event in batch.events:
                self.twins.seen[f"link event {event.kind}"] += 1
                if event.kind == STREAM_LOST:
                    self.reset_link(link)
                    return
                self.check_event(event)

    def answer(self, link: int) -> bytes:
        kind = self.random.choice([""] * 12 + ["again", "serial", "id", "sha1", "push", "bad push"])
        if kind == "push":
            return frame(PUSH, self.random.randrange(50), b"push")
        if kind == "bad push":
            return bad_sha1(frame(ORDER_PUSH))
        if not self.asked[link]:
            return b""
        at = self.random.randrange(len(self.asked[link]))
        one = self.asked[link][at]
        if kind == "serial":
            return frame(one.proto_id, (one.upstream_serial + 77_777) % 2**32, one.body)
        if kind == "id":
            return frame(one.proto_id + 1, one.upstream_serial, one.body)
        if kind != "again":
            del self.asked[link][at]
        data = frame(one.proto_id, one.upstream_serial, one.body)
        return bad_sha1(data) if kind == "sha1" else data

    def check_event(self, event: Any) -> None:
        assert (event.body == b"") == (event.kind != REPLY)
        if event.kind == REPLY:
            assert owner_in(event.body) == event.entry[:3]
        if event.kind == OVERFLOW or event.ticket >= 0:
            assert self.clients[event.entry.slot].generation == event.entry.generation
        if event.ticket >= 0:
            self.clients[event.entry.slot].tickets.append(event.ticket)
        if event.entry.waiters:
            self.twins.seen["event of a shared request"] += 1

    def open_link(self) -> None:
        assert self.twins.open_link() == len(self.asked)
        self.twins.set_link_ready(len(self.asked), True)
        self.upstream.append(Splitter(1 << 31))
        self.asked.append([])
        self.last_serial.append(0)
        self.unread.append(b"")

    def toggle_link(self) -> None:
        if len(self.asked) < 3:
            self.open_link()
        self.twins.set_link_ready(self.link(), self.random.randrange(5) > 0)

    def lose_link(self) -> None:
        self.reset_link(self.link())

    def reset_link(self, link: int) -> None:
        entries = self.twins.reset_link(link)
        self.twins.seen["lost with a link"] += len(entries)
        assert {entry.link for entry in entries} <= {link}
        self.upstream[link] = Splitter(1 << 31)
        self.last_serial[link] = self.twins.link_serial(link)  # what upstream never saw counts as well
        self.asked[link].clear()
        self.unread[link] = b""
        self.twins.set_link_ready(link, True)

    def call_on_nobody(self) -> None:
        name = self.random.choice(["out", "hold", "close_slot", "paused", "generation"])
        try:
            getattr(self.twins, name)(self.random.choice([-1, 10_000, 2**31]))
        except ValueError:
            return
        raise AssertionError("a call on a closed slot must raise")

    # -- always

    def agree(self) -> None:
        counters = self.twins.counters()
        if self.chance(20):
            self.twins.latencies()
        for slot in self.clients:
            self.twins.in_flight(slot)
            self.twins.out_to_boundary(slot)
            self.twins.held(slot)
            self.twins.row_epoch(slot)
            self.twins.slot_figures(slot)
        assert counters.outbox_bytes == sum(self.twins.out_bytes(slot) for slot in self.clients)
        for link in range(len(self.asked)):
            self.twins.link_pending_bytes(link)
            self.twins.link_serial(link)
        exact, bound = self.twins.pure.next_deadline_ns(), self.twins.native.next_deadline_ns()
        assert bound <= exact
        assert (bound == 0) == (exact == 0)
