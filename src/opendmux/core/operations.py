"""OpenD's operation commands: which there are, what they take, and which of them may be sent.

OpenD's console knows no login and some of its options write files wherever OpenD may write, so nothing is passed on
that is not in this table: a command that is not known, a parameter that is not known, and every ``..._path`` are
refused. The limits are OpenD's own, as its documentation gives them; `operation_rates` keeps them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from opendmux.errors import OpendmuxError
from opendmux.wording import nearest, shown_value

__all__ = [
    "OPERATIONS",
    "Operation",
    "OperationError",
    "Order",
    "Parameter",
    "Rate",
    "RateError",
    "Verification",
    "order_of",
    "parameters_of",
]

VALUE_MAX: Final = 64
"""Characters of a value: the longest, an MD5 sum, has 32."""
PATH: Final = "_path"


class OperationError(OpendmuxError):
    """The command is not sent; the text is one sentence for the user."""


class RateError(OperationError):
    """It would be over OpenD's limit."""

    def __init__(self, text: str, wait_s: float) -> None:
        super().__init__(text)
        self.wait_s = wait_s


@dataclass(frozen=True, slots=True)
class Rate:
    """At most ``count`` in any ``seconds``."""

    count: int
    seconds: float

    def __str__(self) -> str:
        period = "an hour" if self.seconds == 3600 else f"{self.seconds:g} s"
        return f"{self.count} in {period}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One ``-name=value``."""

    name: str
    pattern: re.Pattern[str]
    must_be: str
    """What a value is, as a sentence goes on behind *must be*."""
    secret: bool = False
    """It is shown nowhere, and is never taken from a command line."""
    told: bool = True
    """A value that is not good is repeated to whoever gave it, and so in log and audit."""


@dataclass(frozen=True, slots=True)
class Verification:
    """The same by the protocol Verification (1006), where there is no console. ``kind``: VerificationType,
    ``action``: VerificationOp."""

    kind: int
    action: int


@dataclass(frozen=True, slots=True)
class Operation:
    """One command."""

    name: str
    about: str
    parameters: Sequence[Parameter] = ()
    needs: Literal["all", "one", "none"] = "none"
    """How many of its parameters must be given."""
    rate: Rate | None = None
    confirm: Callable[[Mapping[str, str]], str] | None = None
    """Why it is sent only when that is said expressly, as a sentence goes on behind the command; empty where it need
    not be said."""
    verification: Verification | None = None

    @property
    def secrets(self) -> frozenset[str]:
        """Names of parameters that are passwords."""
        return frozenset(parameter.name for parameter in self.parameters if parameter.secret)


@dataclass(frozen=True, slots=True)
class Order:
    """A command that may be sent."""

    operation: Operation
    parameters: Mapping[str, str] = field(repr=False)

    def __str__(self) -> str:
        """For logs and the audit: without any value that is secret. A code that was entered is worth nothing after
        that, but is left out as well."""
        return " ".join((self.operation.name, *(f"-{name}=<hidden>" for name in self.parameters)))


def _code(must_be: str) -> Parameter:
    # One with a slip in it still is most of a code that is good for some minutes.
    return Parameter("code", re.compile(r"[0-9A-Za-z]{1,16}"), must_be, told=False)


_CONN_ID: Final = Parameter("conn_id", re.compile(r"[0-9]{1,20}"), "the number of a connection")

_MINUTE: Final = Rate(10, 60)

OPERATIONS: Final[Mapping[str, Operation]] = {
    operation.name: operation
    for operation in (
        Operation(
            "help",
            "lists the commands that this OpenD knows, or explains one",
            (Parameter("cmd", re.compile(r"[a-z_]{1,40}"), "the name of a command"),),
        ),
        Operation("exit", "ends OpenD", confirm=lambda _given: "ends OpenD, and nothing here starts it again"),
        Operation(
            "req_phone_verify_code",
            "has a code sent to the phone",
            rate=Rate(1, 60),
            verification=Verification(2, 1),
        ),
        Operation(
            "input_phone_verify_code",
            "enters the code from the phone and goes on with the login",
            (_code("the code from the phone, digits or letters"),),
            "all",
            _MINUTE,
            verification=Verification(2, 2),
        ),
        Operation(
            "req_pic_verify_code",
            "has a picture with a code made, a file in OpenD's data folder",
            rate=_MINUTE,
            verification=Verification(1, 1),
        ),
        Operation(
            "input_pic_verify_code",
            "enters the code of the picture and goes on with the login",
            (_code("the code of the picture, digits or letters"),),
            "all",
            _MINUTE,
            verification=Verification(1, 2),
        ),
        Operation(
            "relogin",
            "logs the same account in again",
            (
                Parameter("login_pwd", re.compile(r"[!-~]{1,64}"), "printable ASCII without spaces", secret=True),
                Parameter("login_pwd_md5", re.compile(r"[0-9a-f]{32}"), "32 hex digits in lower case", secret=True),
            ),
            "one",
            Rate(10, 3600),
        ),
        Operation("ping", "measures the delay to Futu's access point", rate=_MINUTE),
        Operation(
            "show_delay_report",
            "shows how long pushes and requests take",
            (
                Parameter(
                    "push_count_type",
                    re.compile(r"sr2ss|ss2cr|cr2cs|ss2cs|sr2cs"),
                    "one of sr2ss, ss2cr, cr2cs, ss2cs, sr2cs",
                ),
            ),
        ),
        Operation(
            "close_api_conn",
            "closes one API connection",
            (_CONN_ID,),
            confirm=lambda given: "" if given else "without conn_id closes every API connection, this proxy's too",
        ),
        Operation("show_sub_info", "shows the subscriptions of one API connection, or of all", (_CONN_ID,)),
        Operation("request_highest_quote_right", "takes the best quote right back from other terminals", rate=_MINUTE),
        Operation("update", "updates OpenD, which ends it while it does so"),
    )
}
"""By name, in the order of OpenD's documentation."""


def parameters_of(words: Sequence[str]) -> dict[str, str]:
    """From ``-key=value`` words, as on OpenD's console. Raises OperationError."""
    found: dict[str, str] = {}
    for word in words:
        name, equals, value = word.removeprefix("-").partition("=")
        if not word.startswith("-") or not equals or not name:
            raise OperationError(f"{shown_value(word)} is not -key=value, as OpenD's console takes it")
        if name in found:
            raise OperationError(f"-{name} is given twice")
        found[name] = value
    return found


def order_of(name: str, parameters: Mapping[str, str], *, confirmed: bool = False) -> Order:
    """The command, when it may be sent. ``confirmed``: it was said expressly that it is meant.

    Raises OperationError.
    """
    operation = OPERATIONS.get(name)
    if operation is None:
        hint = nearest(name, OPERATIONS) or f"; there are {', '.join(OPERATIONS)}"
        raise OperationError(f"OpenD has no operation command {shown_value(name)}{hint}")
    known = {parameter.name: parameter for parameter in operation.parameters}
    for key, value in parameters.items():
        if key.endswith(PATH):
            raise OperationError(
                f"{name}: -{_plain(key)} is never passed on, for it makes OpenD write a file; "
                "without it the answer comes back as text"
            )
        if key not in known:
            there_are = ", ".join(f"-{one}" for one in known)
            hint = nearest(key, known) or (f"; it takes {there_are}" if known else "; it takes none")
            raise OperationError(f"{name} has no parameter -{_plain(key)}{hint}")
        _check(name, known[key], value)
    _check_needs(operation, parameters)
    if operation.confirm is not None and not confirmed and (why := operation.confirm(parameters)):
        raise OperationError(f"{name} {why}: add --yes if that is meant")
    return Order(operation, dict(parameters))


def _check(command: str, parameter: Parameter, value: str) -> None:
    if len(value) <= VALUE_MAX and parameter.pattern.fullmatch(value):
        return
    shown = "" if parameter.secret or not parameter.told else f", not {shown_value(value)}"
    raise OperationError(f"{command}: -{parameter.name} must be {parameter.must_be}{shown}")


def _check_needs(operation: Operation, parameters: Mapping[str, str]) -> None:
    names = [f"-{parameter.name}" for parameter in operation.parameters]
    if operation.needs == "all" and len(parameters) < len(names):
        raise OperationError(f"{operation.name} needs {' and '.join(names)}")
    if operation.needs == "one" and len(parameters) != 1:
        raise OperationError(f"{operation.name} needs one of {' and '.join(names)}")


def _plain(name: str) -> str:
    """A name for a sentence."""
    return shown_value(name)[1:-1]
