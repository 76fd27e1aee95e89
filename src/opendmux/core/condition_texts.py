"""What is said of each condition: the sentences for people, once for log, alerts, `/readyz`, status and doctor.

A condition has a kind, and a cause where one kind has several. ``{opend}``: the OpenD it is about, ``{subject}``: what
of it. The figures between conclusion and next step come from whoever noticed it. A next step begins with what to
do; a command in it can be pasted.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

__all__ = ["NO_TRADE", "TEXTS", "Kind", "Text"]


class Kind(StrEnum):
    """What can be wrong; the names that settings, metrics and alerts use."""

    CODE_NEEDED = "code_needed"
    KICKED = "kicked"
    LOGIN_LOST = "login_lost"
    RIGHT_LOST = "right_lost"
    UPSTREAM_DOWN = "upstream_down"
    MUTE = "mute"
    QUOTA = "quota"
    OUTCOME_UNKNOWN = "outcome_unknown"
    KEY_EXPIRING = "key_expiring"
    PROGRAM = "program"
    """OpenD's program is not ready for another reason."""
    AUDIT = "audit"
    PAUSED = "paused"
    FROZEN = "frozen"
    ORDERS_LEFT = "orders_left"
    """A key is missing, and its open orders could not be cancelled."""
    ORDERS_VANISHED = "orders_vanished"
    """Orders of a missing key are not in OpenD's list any more, without a word on how they ended."""


class Text(NamedTuple):
    """Of one kind and cause."""

    conclusion: str
    next_step: str


NO_TRADE: Final = "no_trade"
"""A cause: there was no login for trading since the start, so it may be that there is none to be had."""

CODE_LIMIT: Final = "OpenD takes at most 10 tries in 60 s; opendmux sends none that you have not typed."

_LOGIN_NEXT: Final = (
    "Wait a minute: after a break of the network OpenD logs in again by itself. If it does not: opendmux opend relogin "
    "(at most 10 times an hour). If it had been running for long with a remembered password, its token has expired; "
    "log in once by typing the password, then OpenD renews it by itself."
)

TEXTS: Final[Mapping[tuple[Kind, str], Text]] = {
    (Kind.CODE_NEEDED, "phone"): Text(
        "{opend} waits for the code that was sent to the phone of its account, and serves nothing until it has it.",
        "Enter the code: opendmux opend input_phone_verify_code -code=123456. If none has come, ask for one: opendmux "
        f"opend req_phone_verify_code (at most once in 60 s). {CODE_LIMIT}",
    ),
    (Kind.CODE_NEEDED, "picture"): Text(
        "{opend} waits for the code in a picture, and serves nothing until it has it.",
        "Look at the picture in OpenD's data folder and enter what it shows: opendmux opend input_pic_verify_code "
        "-code=1234. For a new picture: opendmux opend req_pic_verify_code (at most 10 times in 60 s). " + CODE_LIMIT,
    ),
    (Kind.KICKED, ""): Text(
        "{opend} was logged out: its account logged in at another place, or was logged out from there.",
        "Find the other terminal (one account may be logged in to 10 OpenDs at most) and close it, or change the "
        "password if it was not you. Then: opendmux opend relogin",
    ),
    (Kind.LOGIN_LOST, "quote"): Text("{opend} has lost its login for quotes: prices do not move.", _LOGIN_NEXT),
    (Kind.LOGIN_LOST, "trade"): Text(
        "{opend} has lost its login for trading: orders are refused, and order pushes may be missing.", _LOGIN_NEXT
    ),
    (Kind.LOGIN_LOST, NO_TRADE): Text(
        "{opend} has no login for trading: orders are refused.",
        "If its account does not trade, nothing needs to be done. If it does: opendmux opend relogin (at most 10 times "
        "an hour), and look at OpenD's window or console.",
    ),
    (Kind.RIGHT_LOST, ""): Text(
        "{opend} has lost its quote right for {subject}: another terminal of the account has taken it, or it has run "
        "out.",
        "Take it back: opendmux opend request_highest_quote_right, or let opendmux do so: quote_right = "
        '"when-lost". OpenD itself takes it back once with auto_hold_quote_right=1, and gives up when taken again '
        "within 10 s. If the phone or the desktop shall keep it: auto_hold_quote_right=0.",
    ),
    (Kind.RIGHT_LOST, "asked_back"): Text(
        "{opend} has lost its quote right for {subject}: another terminal of the account has taken it, or it has run "
        "out.",
        "opendmux asks it back by itself (quote_right) when it sees it lost; opendmux status says how often it has "
        "done so, and when it does so next. To have it at once: opendmux opend request_highest_quote_right. To keep "
        "it, log out of the other terminal, or leave its quotes alone. If that one shall keep it: quote_right = "
        '"never", and auto_hold_quote_right=0 in OpenD.xml.',
    ),
    (Kind.UPSTREAM_DOWN, ""): Text(
        "{opend} is not connected; opendmux keeps trying.",
        "Check that OpenD runs and that upstream is its api_port: opendmux doctor. An OpenD that waits for a code or "
        "for its login may not listen yet: look at its window or console.",
    ),
    (Kind.UPSTREAM_DOWN, "trade"): Text(
        "OpenD at {subject}, which takes the orders of a group, is not connected; opendmux keeps trying, and orders "
        "are refused.",
        "Check that OpenD runs and that its address is its api_port: opendmux doctor",
    ),
    (Kind.UPSTREAM_DOWN, "again"): Text(
        "The connection to OpenD at {subject} is lost again and again, and taken anew each time.",
        "Read the reasons in opendmux's log. If OpenD ends and is started anew each time, its own log says why; if it "
        "runs elsewhere, look at the network between; if it drops connections, at what else connects to it: opendmux "
        "doctor",
    ),
    (Kind.MUTE, ""): Text(
        "{opend} sends no more prices of {subject} though that market is open.",
        "Compare with the app. If prices move there: opendmux opend request_highest_quote_right, then opendmux opend "
        "relogin, then restart OpenD. If the market is just quiet, raise mute_s.",
    ),
    (Kind.QUOTA, "subscriptions"): Text(
        "The subscription quota of {opend} is nearly used up; then OpenD refuses new subscriptions.",
        "See who holds what: opendmux subs. Unsubscribe what nobody needs (OpenD keeps each for 60 s at least), or end "
        "a client: opendmux clients kill ID. A larger quota comes with more assets or more trading.",
    ),
    (Kind.QUOTA, "options"): Text(
        "The subscription quota of {opend} for options is nearly used up; then OpenD refuses new ones of options.",
        "See who holds what: opendmux subs. Unsubscribe the options that nobody needs (OpenD keeps each for 60 s at "
        "least), or end a client: opendmux clients kill ID",
    ),
    (Kind.QUOTA, "history"): Text(
        "The quota of historical candles of {opend} is nearly used up; then OpenD refuses candles of new securities.",
        "Ask for fewer different securities: each counts once, whatever its periods, and comes back when its last "
        "request is old enough. A larger quota comes with more assets or more trading.",
    ),
    (Kind.OUTCOME_UNKNOWN, ""): Text(
        "Nobody knows whether {opend} has executed a trade request of {subject}; opendmux does not send it again.",
        "Look at the orders of the account in the app, or with get order list (2201), before you send anything again.",
    ),
    (Kind.KEY_EXPIRING, ""): Text(
        "The key {subject} expires soon; then its clients are refused.",
        "Renew it in time, and give the new one to its program: opendmux keys rotate {subject} --keys FILE --overlap "
        "1h --expires 30d",
    ),
    (Kind.KEY_EXPIRING, "expired"): Text(
        "The key {subject} has expired; its clients are refused.",
        "Renew it, and give the new one to its program: opendmux keys rotate {subject} --keys FILE --expires 30d. Or "
        "take it away: opendmux keys revoke {subject} --keys FILE",
    ),
    (Kind.PROGRAM, "agreement"): Text(
        "{opend} serves nothing until the questionnaire and the agreements of the API are done.",
        "Open the page that OpenD shows, or the API's page on the broker's website, log in, fill in the questionnaire "
        "and agree; then: opendmux opend relogin",
    ),
    (Kind.PROGRAM, "agreement_unknown"): Text(
        "{opend} could not fetch the agreements that it needs, and serves nothing.",
        "Check OpenD's way to the internet (proxy, firewall, DNS); then: opendmux opend relogin",
    ),
    (Kind.PROGRAM, "data_missing"): Text(
        "{opend} lacks its own data, mostly for want of rights to its data folder, and serves nothing.",
        "Unpack Appdata.dat of OpenD's program folder into its data folder, ~/.com.futunn.FutuOpenD/F3CNN (on Windows "
        r"%appdata%\com.futunn.FutuOpenD\F3CNN), let OpenD's user write there, and start OpenD again.",
    ),
    (Kind.PROGRAM, "login_failed"): Text(
        "{opend} could not log in, and serves nothing.",
        "Read OpenD's own words. Then put account and password right in OpenD.xml and start it again, or: opendmux "
        "opend relogin (at most 10 times an hour, and too many failures lock the account for a while)",
    ),
    (Kind.PROGRAM, "update_forced"): Text(
        "{opend} is too old and must be updated before it serves anything.",
        "opendmux opend update. If that fails, its files are in use: stop other OpenDs, or restart the machine, and "
        "try again; else download OpenD from the broker's website.",
    ),
    (Kind.PROGRAM, "starting"): Text(
        "{opend} has been starting for long, and serves nothing yet.",
        "Look at OpenD's window or console, and at its log; if it hangs, restart it.",
    ),
    (Kind.PROGRAM, "password_changed"): Text(
        "The login password of the account of {opend} was changed.",
        "Put the new one into OpenD.xml (login_pwd or login_pwd_md5) and start OpenD again. If it was not you, call "
        "the broker.",
    ),
    (Kind.PROGRAM, "trade_password_changed"): Text(
        "The trade password of the account of {opend} was changed.",
        "Give the new one to every program that unlocks trading. If it was not you, call the broker.",
    ),
    (Kind.PROGRAM, "banned"): Text(
        "The account of {opend} may not log in.",
        "Read OpenD's own words, and ask the broker; do not try again and again.",
    ),
    (Kind.PROGRAM, "device_lock"): Text(
        "{opend} wants the device lock of its account to be switched on.",
        "Switch it on in the app. If the same machine is asked for a code again and again, its Device.dat is lost at "
        "each start, or was copied to several machines: opendmux doctor",
    ),
    (Kind.PROGRAM, "config_failed"): Text(
        "{opend} could not read its own configuration.",
        "Check OpenD.xml (or the file of -cfg_file) and start OpenD again.",
    ),
    (Kind.PROGRAM, "api_failed"): Text(
        "{opend} could not open its API port.",
        "Look which program holds it: opendmux doctor. It may be a second OpenD with the same port.",
    ),
    (Kind.PROGRAM, "net_config_missing"): Text(
        "{opend} lacks its network configuration.",
        "Check OpenD's way to the internet (proxy, firewall, DNS) and start it again.",
    ),
    (Kind.AUDIT, ""): Text(
        "The audit log {subject} can't be written, so opendmux takes no trade request but those that take risk away.",
        "Make room on its disk, or put its rights right; opendmux goes on by itself.",
    ),
    (Kind.PAUSED, ""): Text(
        "{opend} is paused: opendmux has let go of it, and clients wait.",
        "When the maintenance is over: opendmux resume",
    ),
    (Kind.FROZEN, ""): Text(
        "Trading is frozen for {subject}.",
        "When it may go on: `opendmux freeze --mode off`, for a single key with `--key ID`.",
    ),
    (Kind.FROZEN, "stray"): Text(
        "Trading is frozen for {subject}, but no key is called so: the freeze holds for nobody.",
        "If that key has another id now, it may trade: freeze it anew, `opendmux freeze --key ID` with the new one. "
        "To take the old freeze away: the same with the old one and `--mode off`.",
    ),
    (Kind.ORDERS_LEFT, ""): Text(
        "The key {subject} is missing, and orders that it has open at {opend} could not be cancelled yet.",
        "opendmux goes on trying. If trading is locked, unlock it in OpenD; else cancel them there or in the app.",
    ),
    (Kind.ORDERS_VANISHED, ""): Text(
        "The program of a key is missing, and the list of {opend} is without orders of it, though nobody has said how "
        "they ended: {subject}. opendmux could not cancel them, and does not look after them any longer.",
        "Look for them in the app or with get order list (2201), and cancel what is still open.",
    ),
}
"""By kind and cause; a kind without causes, and a cause that is not listed, stand under the empty one."""
