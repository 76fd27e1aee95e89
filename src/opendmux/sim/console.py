"""The operation console (Telnet): commands in lines that end in CR LF, answers in GB2312 without an end marker.

As with OpenD there is no login, a line that ends in LF alone is dropped without a word, and what is over a command's
limit is refused. The wording of the answers is ours: OpenD's is not documented. The options that write files are known
and refused.
"""

from __future__ import annotations

import hashlib
import hmac
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import trio

from .refusal import Refused
from .venues import VENUES
from .verification import VerificationType, logged_in

if TYPE_CHECKING:
    from .opend import Simulator
    from .world import World

__all__ = ["CONSOLE_LIMITS", "answer_line_untrusted", "serve_console", "serve_console_stream"]

_MAX_LINE = 4096
_CHARSET = "gb2312"

CONSOLE_LIMITS: dict[str, tuple[int, float]] = {
    "req_phone_verify_code": (1, 60.0),
    "input_phone_verify_code": (10, 60.0),
    "req_pic_verify_code": (10, 60.0),
    "input_pic_verify_code": (10, 60.0),
    "relogin": (10, 3600.0),
    "ping": (10, 60.0),
    "request_highest_quote_right": (10, 60.0),
}
"""Command -> how often in how many seconds."""

Handler = Callable[["Simulator", Mapping[str, str]], str]


async def serve_console(
    simulator: Simulator,
    listeners: Sequence[trio.abc.Listener[trio.abc.Stream]],
    task_status: trio.TaskStatus[list[trio.abc.Listener[trio.abc.Stream]]] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Take commands on any number of connections until cancelled; none while the simulator is crashed."""

    async def serve_stream(stream: trio.abc.Stream) -> None:
        await serve_console_stream(simulator, stream)

    await simulator.serve_as(serve_stream, listeners, task_status=task_status)


async def serve_console_stream(simulator: Simulator, stream: trio.abc.Stream) -> None:
    """One connection, until it ends."""
    async with stream:
        held = b""
        try:
            while chunk := await stream.receive_some():
                *lines, held = (held + bytes(chunk)).split(b"\n")
                for line in lines:
                    if line.endswith(b"\r") and line.strip():
                        text = answer_line_untrusted(simulator, line[:-1])
                        await stream.send_all(text.replace("\n", "\r\n").encode(_CHARSET, "replace") + b"\r\n")
                if len(held) > _MAX_LINE:
                    return
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            return


def answer_line_untrusted(simulator: Simulator, line: bytes) -> str:
    """Do what the line says; what is wrong with it is the answer. Lines of it are separated by LF."""
    words = line.decode("ascii", "replace").split(" ")
    name = words[0]
    simulator.operations.append(name)
    entry = _COMMANDS.get(name)
    if entry is None:
        return f"unknown command {name} 未知命令, try help"
    handler, allowed = entry
    try:
        given = _parameters(words[1:], allowed)
        _count(simulator.world, name)
        return handler(simulator, given)
    except Refused as refused:
        return f"failed 失败: {refused.text}"


def _parameters(words: Sequence[str], allowed: Sequence[str]) -> dict[str, str]:
    given = {}
    for word in words:
        name, equals, value = word.removeprefix("-").partition("=")
        if not word.startswith("-") or not equals or name not in allowed:
            raise Refused(f"unknown parameter {word} 未知参数")
        if name.endswith("_path"):
            raise Refused("the simulator writes no files")
        given[name] = value
    return given


def _count(world: World, name: str) -> None:
    limit = CONSOLE_LIMITS.get(name)
    if limit is None:
        return
    count, window_s = limit
    done = world.operation_times.setdefault(name, deque(maxlen=count))
    if len(done) == count and world.elapsed() - done[0] < window_s:
        raise Refused(f"requests come too often 请求过于频繁: at most {count} in {window_s:g} s")
    done.append(world.elapsed())


# -- the commands


def _help(simulator: Simulator, given: Mapping[str, str]) -> str:
    del simulator
    if "cmd" not in given:
        return "\n".join(["commands 命令列表:", *_COMMANDS])
    entry = _COMMANDS.get(given["cmd"])
    if entry is None:
        raise Refused(f"unknown command {given['cmd']} 未知命令")
    return " ".join([given["cmd"], *(f"[-{name}=...]" for name in entry[1])])


def _exit(simulator: Simulator, _given: Mapping[str, str]) -> str:
    simulator.crash(math.inf)
    return "OpenD ends 退出"


def _requests(kind: VerificationType) -> Handler:
    def request(simulator: Simulator, _given: Mapping[str, str]) -> str:
        simulator.world.verification.request(simulator.world, kind)
        return "the verification code has been sent 验证码已发送"

    return request


def _enters(kind: VerificationType) -> Handler:
    def enter(simulator: Simulator, given: Mapping[str, str]) -> str:
        simulator.world.verification.enter(simulator.world, kind, given.get("code", ""))
        simulator.flush()
        return "verified, logged in 验证成功, 登录成功"

    return enter


def _relogin(simulator: Simulator, given: Mapping[str, str]) -> str:
    world = simulator.world
    md5 = given.get("login_pwd_md5") or hashlib.md5(given.get("login_pwd", "").encode()).hexdigest()
    if not hmac.compare_digest(md5, world.config.login_pwd_md5):
        raise Refused("the login password is wrong 登录密码错误")
    logged_in(world)
    simulator.flush()
    return "logged in again 重新登录成功"


def _ping(_simulator: Simulator, _given: Mapping[str, str]) -> str:
    return "delay to the access point 接入点延迟: 23 ms"


def _show_delay_report(_simulator: Simulator, given: Mapping[str, str]) -> str:
    kind = given.get("push_count_type", "sr2cs")
    if kind not in {"sr2ss", "ss2cr", "cr2cs", "ss2cs", "sr2cs"}:
        raise Refused(f"unknown push_count_type {kind}")
    return f"delay report 延迟统计 {kind}\nno pushes were counted 无数据"


def _close_api_conn(simulator: Simulator, given: Mapping[str, str]) -> str:
    if "conn_id" not in given:
        return f"closed 已关闭: {simulator.drop()}"
    number = _number_of(simulator, given["conn_id"])
    simulator.drop(number)
    return f"closed 已关闭: {given['conn_id']}"


def _show_sub_info(simulator: Simulator, given: Mapping[str, str]) -> str:
    chosen = [_number_of(simulator, given["conn_id"])] if "conn_id" in given else list(simulator.world.sessions)
    world = simulator.world
    lines = [f"quota used 已用额度: {world.subscriptions.used(world.elapsed())}/{world.subscriptions.quota}"]
    for number in chosen:
        session = world.sessions[number]
        lines.append(f"conn_id {session.conn_id} {session.record.client_id}")
        for (key, sub_type), _subscription in sorted(world.subscriptions.of(number).items()):
            lines.append(f"  {VENUES[key[0]].prefix}.{key[1]} SubType {sub_type}")
    return "\n".join(lines)


def _number_of(simulator: Simulator, conn_id: str) -> int:
    for number, session in simulator.world.sessions.items():
        if str(session.conn_id) == conn_id:
            return number
    raise Refused(f"no connection has the id {conn_id} 连接不存在")


def _request_highest_quote_right(simulator: Simulator, _given: Mapping[str, str]) -> str:
    if not simulator.faults.right_is_kept:
        simulator.kick(0)
    return "the highest quote right was requested 已请求最高行情权限"


def _update(_simulator: Simulator, _given: Mapping[str, str]) -> str:
    return "this is the newest version 已是最新版本"


_COMMANDS: dict[str, tuple[Handler, tuple[str, ...]]] = {
    "help": (_help, ("cmd",)),
    "exit": (_exit, ()),
    "req_phone_verify_code": (_requests(VerificationType.PHONE), ()),
    "input_phone_verify_code": (_enters(VerificationType.PHONE), ("code",)),
    "req_pic_verify_code": (_requests(VerificationType.PICTURE), ()),
    "input_pic_verify_code": (_enters(VerificationType.PICTURE), ("code",)),
    "relogin": (_relogin, ("login_pwd", "login_pwd_md5")),
    "ping": (_ping, ()),
    "show_delay_report": (_show_delay_report, ("detail_report_path", "push_count_type")),
    "close_api_conn": (_close_api_conn, ("conn_id",)),
    "show_sub_info": (_show_sub_info, ("conn_id", "sub_info_path")),
    "request_highest_quote_right": (_request_highest_quote_right, ()),
    "update": (_update, ()),
}
"""What is answered, and which parameters it takes."""
