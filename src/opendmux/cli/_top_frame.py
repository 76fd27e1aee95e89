"""One frame of `opendmux top`: from a snapshot to lines of text that fit the terminal. No terminal is touched here.

What matters most stands highest; what has no room is left out from below, and each table says of how many rows it
shows how many. Names in a snapshot were chosen by peers: they are cleaned, and measured in cells, not in characters.
"""

from __future__ import annotations

import datetime as dt
import textwrap
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from rich.cells import cell_len, set_cell_size

from ._control import Column, age, clean
from ._snapshot_words import quota_cell, refusal, short

__all__ = ["SORTS", "Line", "View", "frame"]

GAP: Final = "  "
TOLD_MAX: Final = 6
"""Lines for what is wrong: who needs more has `opendmux status`."""
TOLD_LINES: Final = 2
"""And of them for one thing."""
NARROWEST: Final = 20
LOWEST: Final = 4


class View(NamedTuple):
    """What the user has chosen, and how the connection is."""

    where: str
    sort: str = "rate"
    paused: bool = False
    lost: str = ""
    """Why there is no news, and since when; empty while there is."""


class Line(NamedTuple):
    """One line, no wider than the terminal."""

    text: str
    style: str = ""
    """As rich calls it. It says nothing that the text does not say too."""


class Block(NamedTuple):
    """A table that may be cut short; its first title is its name."""

    columns: Sequence[Column]
    rows: Sequence[Sequence[str]]
    weight: int = 1
    """Lines that it gets in a round of handing them out."""


Row = Mapping[str, Any]

SORTS: Final[Mapping[str, Callable[[Row], Any]]] = {
    "rate": lambda client: client["requests_per_s"] + client["pushes_per_s"],
    "outbox": lambda client: client["outbox_bytes"],
    "requests": lambda client: client["requests"],
    "subscriptions": lambda client: client["subscriptions"],
}
"""The key of clients by each order; the largest comes first."""


def frame(found: Row, view: View, columns: int, lines: int) -> list[Line]:
    """Exactly ``lines`` lines, the last one with the keys."""
    columns, lines = max(columns, NARROWEST), max(lines, LOWEST)
    above = [_head(found, view), *_told(found, view, columns)]
    above += _table(_opends(found), len(found["opends"]), columns)
    above = above[: lines - 1]
    for part in _fitted(
        [_clients(found, view), _requests(found), _subs(found), _rejects(found), _limits(found)], lines - 1 - len(above)
    ):
        above += _table(*part, columns)
    above += [Line("")] * (lines - 1 - len(above))
    keys = f"q quit   s sort: {view.sort}   p {'go on' if view.paused else 'pause'}"
    return [Line(set_cell_size(line.text, columns).rstrip(), line.style) for line in (*above, Line(keys, "dim"))]


def _head(found: Row, view: View) -> Line:
    word = "ready" if found["ready"] else "NOT READY"
    moment = dt.datetime.fromisoformat(found["time"]).strftime("%H:%M:%S UTC")
    marks = ["SIMULATED"] if found["simulated"] else []
    marks += ["PAUSED (the display)"] if view.paused else []
    marks += ["NO CONNECTION"] if view.lost else []
    parts = [f"opendmux {clean(found['opendmux'])} on {view.where}", word, *marks, f"up {age(found['up_s'])}", moment]
    return Line("  ".join(parts), "bold reverse")


def _told(found: Row, view: View, columns: int) -> list[Line]:
    """What is wrong now, what blocks everything first; then what has happened lately."""
    now = dt.datetime.fromisoformat(found["time"])
    conditions = found.get("conditions") or []
    lasting = sorted((one for one in conditions if one["active"]), key=lambda one: not one["blocks"])
    said = [view.lost] if view.lost else []
    said += [_sentence(one) for one in lasting] or found["reasons"]
    if not any(one["kind"] == "frozen" for one in lasting):
        said += [one["text"] for one in found.get("freezes") or []]
    audit = found["audit"]
    if audit is not None and not audit["healthy"] and not any(one["kind"] == "audit" for one in lasting):
        said.append("the audit log can't be written: orders are refused")
    past = [f"{short(_since(one, now))} ago: {_sentence(one)}" for one in conditions if not one["active"]]
    shown: list[Line] = []
    for place, text in enumerate([*said, *reversed(past)]):
        style = "bold red" if place < len(said) else "yellow"
        wrapped = textwrap.wrap(clean(text), columns - 2, max_lines=TOLD_LINES, placeholder=" ...")
        if len(shown) + len(wrapped) > TOLD_MAX:
            return [*shown, Line(f"! and {len(said) + len(past) - place} more: see `opendmux status`", style)]
        shown += [Line(f"{'  ' if more else '! '}{line}", style) for more, line in enumerate(wrapped)]
    return shown


def _sentence(condition: Row) -> str:
    return f"{condition['conclusion']} {condition['figures']}".strip()


# -- the tables


def _opends(found: Row) -> Block:
    now = dt.datetime.fromisoformat(found["time"])
    return Block(
        [
            Column("OpenD"),
            Column("state"),
            Column("logins"),
            *(Column(title, right=True) for title in ("req/s", "wait", "in/s", "out/s", "outbox", "quota")),
            *(Column(title, right=True, wide=True) for title in ("clients", "subs", "reconnects", "conflated")),
            Column("lanes", wide=True),
        ],
        [
            (
                one["name"],
                f"{'PAUSED' if one.get('paused') else one['state']} {short(_since(one, now))}",
                f"{_letter('q', one['quote_login'])}{_letter('t', one['trade_login'])}",
                _rate(one["requests_per_s"]),
                str(one["pending"]),
                _rate(one["pushes_in_per_s"]),
                _rate(one["pushes_out_per_s"]),
                _bytes(one["outbox_bytes"]),
                quota_cell(one, found["time"]),
                str(one["clients"]),
                str(one["subscriptions"]),
                str(one["reconnects"]),
                str(one["conflated"]),
                ",".join(lane["name"] + ("" if lane["state"] == "ready" else "!") for lane in one["lanes"]),
            )
            for one in found["opends"]
        ],
    )


def _clients(found: Row, view: View) -> Block:
    now = dt.datetime.fromisoformat(found["time"])
    clients = sorted(found["clients"], key=SORTS[view.sort], reverse=True)
    return Block(
        [
            *(Column(title) for title in ("clients", "name", "key", "by")),
            Column("peer", wide=True),
            Column("age", right=True, wide=True),
            *(Column(title, right=True) for title in ("req/s", "push/s", "outbox", "subs")),
            Column("requests", right=True, wide=True),
        ],
        [
            (
                client["id"],
                client["client_id"],
                client["key_id"] or "-",
                client["transport"],
                client["peer"],
                short(_since(client, now)),
                _rate(client["requests_per_s"]),
                _rate(client["pushes_per_s"]),
                _bytes(client["outbox_bytes"]),
                str(client["subscriptions"]),
                str(client["requests"]),
            )
            for client in clients
        ],
        weight=3,
    )


def _requests(found: Row) -> Block:
    protocols = [one for opend in found["opends"] for one in opend["protocols"]]
    return Block(
        [
            Column("requests"),
            *(Column(title, right=True) for title in ("last min", "per s", "p50 ms", "p99 ms", "all")),
        ],
        [
            (
                f"{one['proto_id']} {one['name']}",
                str(one["lately"]),
                _rate(one["per_s"]),
                _ms(one["p50_ms"]),
                _ms(one["p99_ms"]),
                str(one["answered"]),
            )
            for one in sorted(protocols, key=lambda one: one["lately"], reverse=True)
        ],
        weight=2,
    )


def _subs(found: Row) -> Block:
    return Block(
        [
            Column("subscriptions"),
            Column("type"),
            Column("holders", right=True),
            Column("pushed to", right=True),
            Column("age", right=True),
            Column("state"),
        ],
        [
            (
                one["security"],
                one["name"],
                str(one["holders"]),
                str(one["registered"]),
                "" if one["age_s"] is None else short(one["age_s"]),
                one["state"] if one["leaves_in_s"] is None else f"leaves in {short(one['leaves_in_s'])}",
            )
            for one in sorted(found["subscriptions"], key=lambda one: one["holders"], reverse=True)
        ],
        weight=2,
    )


def _rejects(found: Row) -> Block:
    now = dt.datetime.fromisoformat(found["time"])
    return Block(
        [Column("turned away"), Column("times", right=True), Column("who"), Column("why")],
        [
            (
                f"{short((now - dt.datetime.fromisoformat(one['time'])).total_seconds())} ago",
                str(one["count"]),
                one["key_id"] or one["client_id"] or one["peer"],
                refusal(one),
            )
            for one in found["rejects"]
        ],
    )


def _limits(found: Row) -> Block:
    return Block(
        [Column("limits of keys"), Column("limit"), Column("left", right=True)],
        [(one["key_id"], one["limit"], f"{one['left']:g}") for one in sorted(found["limits"], key=lambda o: o["left"])],
    )


# -- laying out


def _fitted(blocks: Sequence[Block], room: int) -> list[tuple[Block, int]]:
    """Each with how many of its rows are shown; a table needs two lines to be there at all."""
    shown: dict[int, int] = {}
    for place, block in enumerate(blocks):
        if block.rows and room >= 2:
            shown[place] = 1
            room -= 2
    while room > 0 and any(shown[place] < len(blocks[place].rows) for place in shown):
        for place in shown:
            more = min(room, blocks[place].weight, len(blocks[place].rows) - shown[place])
            shown[place] += more
            room -= more
    return [(blocks[place], count) for place, count in shown.items()]


def _table(block: Block, count: int, columns: int) -> list[Line]:
    """A head and ``count`` rows. Where they are too wide, the columns that a narrow terminal can do without go first,
    then the widest texts are cut."""
    rows = [[clean(cell) for cell in row] for row in block.rows[:count]]
    titles = [column.title.upper() for column in block.columns]
    if count < len(block.rows):
        titles[0] += f" {count}/{len(block.rows)}"
    places = list(range(len(titles)))
    widths = [max(cell_len(line[place]) for line in (titles, *rows)) for place in places]
    if _total(widths, places) > columns:
        places = [place for place in places if not block.columns[place].wide]
    while (over := _total(widths, places) - columns) > 0:
        text = [place for place in places if not block.columns[place].right]
        widest = max(text, key=lambda place: widths[place])
        least = cell_len(titles[widest])
        if widths[widest] <= least:
            places = places[:-1]
            continue
        widths[widest] = max(least, widths[widest] - over)
    lines = [GAP.join(_cell(line[p], widths[p], block.columns[p].right) for p in places) for line in (titles, *rows)]
    return [Line(lines[0], "bold"), *map(Line, lines[1:])]


def _total(widths: Sequence[int], places: Sequence[int]) -> int:
    return sum(widths[place] for place in places) + len(GAP) * (len(places) - 1)


def _cell(text: str, width: int, right: bool) -> str:
    size = cell_len(text)
    if size > width:
        return set_cell_size(text, width - 1) + "~"
    return " " * (width - size) + text if right else text + " " * (width - size)


# -- values


def _since(one: Row, now: dt.datetime) -> float:
    return (now - dt.datetime.fromisoformat(one["since"])).total_seconds()


def _rate(per_s: float) -> str:
    return f"{per_s:.1f}" if per_s < 100 else f"{per_s:.0f}"


def _bytes(count: int) -> str:
    if count < 10_000:
        return str(count)
    return f"{count / 1000:.0f}k" if count < 10_000_000 else f"{count / 1e6:.0f}M"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _letter(letter: str, logged_in: bool | None) -> str:
    """Upper case: logged in; lower case with ``!``: not; ``?``: not known."""
    return "?" if logged_in is None else letter.upper() if logged_in else f"{letter}!"
