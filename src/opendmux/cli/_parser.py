"""The parser of all commands: an error of usage is an exception, because it may have to be said as JSON."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

__all__ = ["Parser", "UsageError"]


class UsageError(Exception):
    """The words make no sense; the text is what is wrong with them. Exit code 2."""

    def __init__(self, text: str, prog: str, usage: str) -> None:
        super().__init__(text)
        self.prog = prog
        self.usage = usage
        """How it is meant, in lines."""


class Parser(argparse.ArgumentParser):
    """Raises UsageError; takes no options cut short, since the next version may have two that begin so."""

    def __init__(self, **details: Any) -> None:
        super().__init__(**{"allow_abbrev": False, **details})

    def error(self, message: str) -> NoReturn:
        """See `argparse.ArgumentParser`."""
        raise UsageError(message, self.prog, self.format_usage())
