"""Which operation commands are sent to OpenD, and what is said of the others."""

from __future__ import annotations

import pytest

from opendmux.core.operations import OPERATIONS, OperationError, order_of, parameters_of

MD5 = "e10adc3949ba59abbe56e057f20f883e"


def test_the_commands_and_limits_are_opends() -> None:
    limits = {name: None if one.rate is None else str(one.rate) for name, one in OPERATIONS.items()}
    assert limits == {
        "help": None,
        "exit": None,
        "req_phone_verify_code": "1 in 60 s",
        "input_phone_verify_code": "10 in 60 s",
        "req_pic_verify_code": "10 in 60 s",
        "input_pic_verify_code": "10 in 60 s",
        "relogin": "10 in an hour",
        "ping": "10 in 60 s",
        "show_delay_report": None,
        "close_api_conn": None,
        "show_sub_info": None,
        "request_highest_quote_right": "10 in 60 s",
        "update": None,
    }


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("help", {}),
        ("help", {"cmd": "relogin"}),
        ("req_phone_verify_code", {}),
        ("input_phone_verify_code", {"code": "123456"}),
        ("input_pic_verify_code", {"code": "aB3d"}),
        ("relogin", {"login_pwd": "p~!-"}),
        ("relogin", {"login_pwd_md5": MD5}),
        ("show_delay_report", {"push_count_type": "sr2cs"}),
        ("close_api_conn", {"conn_id": "7420000000000000001"}),
        ("show_sub_info", {}),
        ("request_highest_quote_right", {}),
        ("update", {}),
    ],
)
def test_what_is_sent(name: str, given: dict[str, str]) -> None:
    order = order_of(name, given)
    assert (order.operation.name, order.parameters) == (name, given)


@pytest.mark.parametrize(
    ("name", "given", "text"),
    [
        ("request_highest_quote_rigth", {}, "did you mean 'request_highest_quote_right'"),
        ("rm", {}, "there are help, exit, "),
        ("help\r\nexit", {}, "no operation command"),
        ("show_sub_info", {"sub_info_path": "/etc/x"}, "makes OpenD write a file"),
        ("show_delay_report", {"detail_report_path": "x"}, "makes OpenD write a file"),
        ("ping", {"log_path": "x"}, "makes OpenD write a file"),
        ("close_api_conn", {"con_id": "1"}, "did you mean 'conn_id'"),
        ("ping", {"host": "x"}, "it takes none"),
        ("input_phone_verify_code", {}, "needs -code"),
        ("input_phone_verify_code", {"code": ""}, "must be the code from the phone"),
        ("input_phone_verify_code", {"code": "123456\r\nexit"}, "must be the code"),
        ("input_phone_verify_code", {"code": "12 -x=1"}, "must be the code"),
        ("input_phone_verify_code", {"code": "\uff11\uff12"}, "must be the code"),
        ("input_phone_verify_code", {"code": "123456\n"}, "must be the code"),
        ("relogin", {}, "needs one of -login_pwd and -login_pwd_md5"),
        ("relogin", {"login_pwd": "a", "login_pwd_md5": MD5}, "needs one of"),
        ("relogin", {"login_pwd_md5": MD5.upper()}, "32 hex digits"),
        ("show_delay_report", {"push_count_type": "all"}, "one of sr2ss"),
        ("close_api_conn", {"conn_id": "x"}, "the number of a connection"),
        ("exit", {}, "add --yes"),
        ("close_api_conn", {}, "closes every API connection"),
    ],
)
def test_what_is_refused(name: str, given: dict[str, str], text: str) -> None:
    with pytest.raises(OperationError) as caught:
        order_of(name, given)
    assert text in str(caught.value)
    assert str(caught.value).isprintable()


def test_what_is_meant_can_be_said() -> None:
    assert order_of("exit", {}, confirmed=True).operation.name == "exit"
    assert order_of("close_api_conn", {}, confirmed=True).parameters == {}


def test_a_password_is_in_no_text() -> None:
    order = order_of("relogin", {"login_pwd": "geheim"})
    assert (str(order), "geheim" in repr(order)) == ("relogin -login_pwd=<hidden>", False)
    with pytest.raises(OperationError) as caught:
        order_of("relogin", {"login_pwd": "geheim\t"})
    assert "geheim" not in str(caught.value)


def test_a_code_with_a_slip_is_not_repeated() -> None:
    with pytest.raises(OperationError) as caught:
        order_of("input_phone_verify_code", {"code": "123 456"})
    assert "123" not in str(caught.value)


def test_no_parameter_is_a_path() -> None:
    names = {parameter.name for one in OPERATIONS.values() for parameter in one.parameters}
    assert not [name for name in names if name.endswith("_path")]


def test_words_as_on_opends_console() -> None:
    assert parameters_of(["-code=123456"]) == {"code": "123456"}
    assert parameters_of(["-a=b=c", "-d="]) == {"a": "b=c", "d": ""}


@pytest.mark.parametrize("words", [["code=1"], ["-code"], ["-=1"], ["-code", "1"], ["-a=1", "-a=2"]])
def test_other_words_are_refused(words: list[str]) -> None:
    with pytest.raises(OperationError):
        parameters_of(words)
