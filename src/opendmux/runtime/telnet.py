"""A client of OpenD's operation console: one connection per command, one command at a time.

Theory of operation. An answer has no end marker, so it is over when nothing has come for half a second, as in OpenD's
own sample; before its first byte more time is given, for some commands ask a server first. Bytes and time are bounded:
whoever dribbles, floods or says nothing at all costs `TOTAL_S` at most. Nothing is ever sent twice: a command whose
bytes may have left counts as sent, and its answer may say nothing.
"""

from __future__ import annotations

import errno
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

import trio

from opendmux.core.operations import Order
from opendmux.errors import OpendmuxError, RemoteProtocolError
from opendmux.wire.console import ReplyReader, command_line

__all__ = ["CONNECT_S", "FIRST_S", "SILENCE_S", "TOTAL_S", "Console", "ConsoleReply", "TelnetError"]

Dial = Callable[[], Awaitable[trio.abc.Stream]]

CONNECT_S: Final = 5.0
SEND_S: Final = 5.0
FIRST_S: Final = 5.0
"""From the command to the first byte of its answer."""
SILENCE_S: Final = 0.5
"""After the last byte of an answer: OpenD's own sample waits as long."""
TOTAL_S: Final = 30.0
"""From the command to the end of its answer."""
CHUNK: Final = 16 * 1024


class TelnetError(OpendmuxError):
    """The console was not reached, or the command did not get through; the text is one sentence for the user."""

    def __init__(self, text: str, *, sent: bool) -> None:
        super().__init__(text)
        self.sent = sent
        """OpenD may have got the command."""


@dataclass(frozen=True, slots=True)
class ConsoleReply:
    """What OpenD said."""

    lines: list[str]
    note: str = ""
    """Why there may be more of it, or why there is none, as a sentence; empty for a usual answer."""


@dataclass(slots=True, eq=False)
class Console:
    """``name``: the console's address, for sentences."""

    name: str
    dial: Dial
    _one: trio.Lock = field(default_factory=trio.Lock)

    async def perform(self, order: Order) -> ConsoleReply:
        """Send the command and read its answer; waits while another one is under way. Raises TelnetError.

        Cancellation: the connection is closed; the command may have been carried out.
        """
        line = command_line(order.operation.name, order.parameters)
        async with self._one:
            stream = await self._connect()
            try:
                await self._send(stream, line)
                return await self._read(stream)
            finally:
                await trio.aclose_forcefully(stream)

    async def _connect(self) -> trio.abc.Stream:
        problem: str
        try:
            with trio.fail_after(CONNECT_S):
                return await self.dial()
        except trio.TooSlowError:
            problem = f"it did not answer within {CONNECT_S:g} s"
        except OSError as error:
            if _is_refused(error):
                problem = (
                    "nothing listens there. Either telnet_port is not set in OpenD.xml, or OpenD is not running, or it "
                    "has not got far enough: before its first code is entered OpenD may listen on no port at all, and "
                    "only its own console (the window or terminal it runs in) takes commands then"
                )
            else:
                problem = str(error.strerror or error)
        raise TelnetError(f"OpenD's Telnet console at {self.name} can't be reached: {problem}", sent=False)

    async def _send(self, stream: trio.abc.Stream, line: bytes) -> None:
        try:
            with trio.fail_after(SEND_S):
                await stream.send_all(line)
        except (trio.TooSlowError, trio.BrokenResourceError, trio.ClosedResourceError):
            raise TelnetError(
                f"OpenD's Telnet console at {self.name} did not take the command; nobody knows whether it was carried "
                "out",
                sent=True,
            ) from None

    async def _read(self, stream: trio.abc.Stream) -> ConsoleReply:
        reader, note, begun = ReplyReader(), "", False
        started = trio.current_time()
        with trio.CancelScope(deadline=started + FIRST_S) as patience:
            try:
                while chunk := await stream.receive_some(CHUNK):
                    begun = True
                    reader.feed_untrusted(bytes(chunk))
                    patience.deadline = min(trio.current_time() + SILENCE_S, started + TOTAL_S)
            except RemoteProtocolError as error:
                note = f"the answer is not whole: {error}"
            except (trio.BrokenResourceError, trio.ClosedResourceError):
                note = "OpenD broke the connection off"
        if patience.cancelled_caught and trio.current_time() >= started + TOTAL_S:
            note = f"the answer was not over after {TOTAL_S:g} s"
        elif not begun and not note:
            after = f" within {FIRST_S:g} s" if patience.cancelled_caught else ""
            note = f"OpenD answered nothing{after}; the command was sent"
        return ConsoleReply(reader.lines(), note)


def _is_refused(error: BaseException) -> bool:
    """Trio tries all addresses of a name and puts what went wrong into a group."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(_is_refused, error.exceptions))
    cause = error.__cause__
    if cause is not None and getattr(error, "errno", None) is None:
        return _is_refused(cause)
    return isinstance(error, ConnectionRefusedError) or getattr(error, "errno", None) == errno.ECONNREFUSED
