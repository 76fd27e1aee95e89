"""What a shell may offer for the word that is being typed: read from the parsers, so that it can't go stale.

A parser knows names; what values an option takes is in `VALUES` here. Whatever fails, fails in silence: a shell that
completes is no place for errors.
"""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

__all__ = ["Answer", "Kind", "complete"]

ASK_S: Final = 1.0
"""How long a running proxy is waited for."""
SERVE: Final = "serve"

Kind = Literal["values", "list", "files", "folders"]


class Answer(NamedTuple):
    """The candidates for the whole of the current word; for files and folders the shell has its own."""

    kind: Kind
    """``list``: a comma and another value may follow."""
    values: Sequence[tuple[str, str]] = ()
    """With a remark on each, which may be empty."""


NOTHING: Final = Answer("values")


@dataclass(slots=True)
class _Typed:
    """What the words before the current one have come to."""

    parser: argparse.ArgumentParser
    words: list[str]
    """The command and its actions."""
    given: dict[str, str] = field(default_factory=dict)
    """Values of options, by option."""
    used: set[str] = field(default_factory=set)
    """Names in the parser of options that came already."""
    positionals: list[str] = field(default_factory=list)
    pending: argparse.Action | None = None
    """The option whose value comes next."""
    options_over: bool = False


def complete(words: Sequence[str], current: str) -> Answer:
    """``words``: those before the current one, without the program's."""
    from . import COMMANDS, parser_of

    if not words and not current.startswith("-"):
        return _starting([(name, command.text) for name, command in COMMANDS.items()], current)
    if not words or words[0] not in COMMANDS:
        if words and not words[0].startswith("-"):
            return NOTHING
        words = [SERVE, *words]
    typed = _read(parser_of([words[0]]), words)
    if typed is None:
        return NOTHING
    answer = _offered(typed, current)
    if len(words) == 1 and words[0] == SERVE and not current.strip("-"):  # perhaps no `serve` was written
        answer = answer._replace(values=[*answer.values, ("--version", "show the version")])
    return answer


def _read(parser: argparse.ArgumentParser, words: Iterable[str]) -> _Typed | None:
    typed = _Typed(parser, [])
    for word in words:
        if typed.pending is not None:
            typed.given[typed.pending.option_strings[-1]] = word
            typed.pending = None
        elif word == "--" and not typed.options_over:
            typed.options_over = True
        elif word.startswith("-") and not typed.options_over:
            _read_option(typed, word)
        else:
            below = _below(typed.parser)
            if below is None:
                typed.positionals.append(word)
            elif word in below.choices:
                typed.parser = below.choices[word]
                typed.words.append(word)
            else:
                return None
    return typed


def _read_option(typed: _Typed, word: str) -> None:
    name, equals, value = word.partition("=")
    action = typed.parser._option_string_actions.get(name)
    if action is None:
        return
    typed.used.add(action.dest)
    if equals:
        typed.given[name] = value
    elif action.nargs != 0:
        typed.pending = action


def _below(parser: argparse.ArgumentParser) -> Any:
    """The commands or actions that this parser wants next; None: it wants none."""
    return next((action for action in parser._actions if isinstance(action, argparse._SubParsersAction)), None)


def _offered(typed: _Typed, current: str) -> Answer:
    if typed.pending is not None:
        return _values(typed, typed.pending, current)
    if current.startswith("-") and not typed.options_over:
        name, equals, value = current.partition("=")
        action = typed.parser._option_string_actions.get(name)
        if equals and action is not None:
            found = _values(typed, action, value)
            return found._replace(values=[(f"{name}={one}", text) for one, text in found.values])
        return _starting(_options(typed), current)
    below = _below(typed.parser)
    if below is not None:
        texts = {choice.dest: choice.help or "" for choice in below._choices_actions}
        return _starting([(name, texts.get(name, "")) for name in below.choices], current)
    wanted = _positional(typed)
    return _starting(_options(typed), current) if wanted is None else _values(typed, wanted, current)


def _options(typed: _Typed) -> list[tuple[str, str]]:
    found = []
    for action in typed.parser._actions:
        again = isinstance(action, argparse._AppendAction)
        if action.option_strings and (again or action.dest not in typed.used):
            text = (action.help or "").replace("%(default)s", str(action.default)).replace("%%", "%")
            found.append((action.option_strings[-1], text))
    return found


def _positional(typed: _Typed) -> argparse.Action | None:
    places = [action for action in typed.parser._actions if not action.option_strings]
    if len(typed.positionals) < len(places):
        return places[len(typed.positionals)]
    several = places and places[-1].nargs in ("+", "*", argparse.REMAINDER)
    return places[-1] if several else None


def _values(typed: _Typed, action: argparse.Action, current: str) -> Answer:
    if action.choices is not None:
        return _starting([(str(choice), "") for choice in action.choices], current)
    name = action.option_strings[-1] if action.option_strings else " ".join([*typed.words, str(action.metavar)])
    if name in LISTS:
        before, _, last = current.rpartition(",")
        taken = before.split(",")
        start = f"{before}," if before else ""
        found = [(one, text) for one, text in LISTS[name](typed) if one not in taken]
        return Answer("list", [(start + one, text) for one, text in found if one.startswith(last)])
    if name in VALUES:
        return _starting(VALUES[name](typed), current)
    metavar = str(action.metavar)
    if "FILE" in metavar or "PATH" in metavar:
        return Answer("files")
    return Answer("folders") if "DIR" in metavar else NOTHING


def _starting(found: Iterable[tuple[str, str]], current: str) -> Answer:
    return Answer("values", [(value, text) for value, text in found if value.startswith(current)])


# -- values


def _scopes(_typed: _Typed) -> list[tuple[str, str]]:
    from opendmux.core.keys import ALL_SCOPES

    return [(scope, "") for scope in ALL_SCOPES]


def _markets(_typed: _Typed) -> list[tuple[str, str]]:
    from opendmux.core.markets import ALL_MARKETS

    return [(market, "") for market in ALL_MARKETS]


def _sides(_typed: _Typed) -> list[tuple[str, str]]:
    from opendmux.core.markets import TRD_SIDES

    return [(side, "") for side in TRD_SIDES.values()]


def _levels(_typed: _Typed) -> list[tuple[str, str]]:
    from opendmux.config import LOG_LEVELS

    return [(level, "") for level in LOG_LEVELS]


def _zones(_typed: _Typed) -> list[tuple[str, str]]:
    from zoneinfo import available_timezones

    return [(zone, "") for zone in sorted(available_timezones())]


def _key_ids(typed: _Typed) -> list[tuple[str, str]]:
    """Of the file that the line names, or of the one that it would mean."""
    import json
    import os

    path = Path(
        typed.given.get("--keys")
        or (os.environ.get("OPENDMUX_KEYS") if typed.words[0] != "keys" else None)
        or "keys.json"
    ).expanduser()
    try:
        keys = json.loads(path.read_bytes())["keys"]
        return [(str(key["id"]), ",".join(map(str, key.get("scopes", ())))) for key in keys]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return []


def _client_ids(typed: _Typed) -> list[tuple[str, str]]:
    """Of the running proxy, when it answers soon."""
    found: list[tuple[str, str]] = []

    def ask() -> None:
        from opendmux.errors import OpendmuxError

        from ._control import status

        words = [word for pair in typed.given.items() for word in pair]
        words += [name for name in ("--tls",) if name.strip("-") in typed.used]
        try:
            args, _ = typed.parser.parse_known_args([*words, "0"])
            found.extend((one["id"], f"{one['client_id']} {one['peer']}") for one in status(args)["clients"])
        except (OpendmuxError, LookupError, TypeError, OSError):
            pass

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    thread.join(ASK_S)
    return [(one, text) for one, text in found if one not in typed.positionals]


def _operations(typed: _Typed) -> list[tuple[str, str]]:
    """The command for OpenD, then its parameters."""
    from opendmux.core.operations import OPERATIONS

    if not typed.positionals:
        return [(one.name, one.about) for one in OPERATIONS.values()]
    operation = OPERATIONS.get(typed.positionals[0])
    return [] if operation is None else [(f"-{p.name}=", "") for p in operation.parameters if not p.secret]


Values = Callable[[_Typed], list[tuple[str, str]]]

VALUES: Final[Mapping[str, Values]] = {
    "--upstream": lambda _typed: [("sim", "the built-in simulator")],
    "--admin-socket": lambda _typed: [("off", "ask the port")],
    "--log-format": lambda _typed: [("human", ""), ("json", "")],
    "--log-level": _levels,
    "--tz": _zones,
    "--key": _key_ids,
    "keys show ID": _key_ids,
    "keys rotate ID": _key_ids,
    "keys revoke ID": _key_ids,
    "clients kill ID": _client_ids,
    "opend COMMAND [-key=value ...]": _operations,
}
"""By option, or by the words and the metavar of what has no option."""

LISTS: Final[Mapping[str, Values]] = {
    "--scopes": _scopes,
    "--allowed-markets": _markets,
    "--allowed-trd-sides": _sides,
    "--allowed-machines": lambda _typed: [("this", "the machine you are on")],
}
"""The same for values with commas between them."""
