"""The parser of all commands: an error of usage is an exception, because it may have to be said as JSON."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any, NoReturn

__all__ = ["Parser", "UsageError"]


class UsageError(Exception):
    """The words make no sense; the text is what is wrong with them. Exit code 2."""

    def __init__(self, text: str, prog: str) -> None:
        super().__init__(text)
        self.prog = prog
        """The command that was meant, such as ``opendmux keys add``."""


class Parser(argparse.ArgumentParser):
    """Raises UsageError; takes no options cut short, since the next version may have two that begin so."""

    def __init__(self, **details: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **details})

    def error(self, message: str) -> NoReturn:
        """See `argparse.ArgumentParser`."""
        actions = self._actions_of()
        if actions is not None and message == f"the following arguments are required: {actions.metavar}":
            message = f"say what to do: {', '.join(actions.choices)}"
        raise UsageError(message, self.prog)

    def read(self, words: Sequence[str]) -> argparse.Namespace:
        """As `parse_args`, but what is wrong about an option is said by the parser of the command that it was given."""
        args, rest = self.parse_known_args(words)
        if rest:
            self._refuse(words, rest)
        return args

    def _refuse(self, words: Sequence[str], rest: Sequence[str]) -> NoReturn:
        from opendmux.wording import nearest

        parser: Parser = self
        for word in words:
            actions = parser._actions_of()
            if actions is not None and word in actions.choices:
                parser = actions.choices[word]
        guess = nearest(rest[0].partition("=")[0], parser._option_string_actions) if rest[0].startswith("-") else ""
        parser.error(f"unrecognized arguments: {' '.join(rest)}{guess}")

    def _actions_of(self) -> argparse._SubParsersAction[Parser] | None:
        if self._subparsers is None:
            return None
        return next(iter(self._subparsers._group_actions), None)  # type: ignore[return-value]  # no public way
