"""The words of refusals and failures, and what counts as success."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.core import answers
from opendmux.core.commands import Failure, Outcome, Reply, Request
from opendmux.wire.frame import RetType
from opendmux.wire.messages import ret_body
from opendmux.wire.pb import opend
from opendmux.wire.protocols import PROTOCOLS, WRITE_IDS, ProtoId
from tests.core.playbook import Play
from tests.native.wire_format import anything, field, scalar

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=200)


def request_of(proto_id: int = 3004, proto_fmt: int = 0) -> Request:
    return Request(Play().session(1), proto_id, proto_fmt, 42, b"body")


def said(body: bytes, proto_fmt: int = 0) -> tuple[int, str]:
    if proto_fmt == 1:
        fields = json.loads(body)
        return fields["retType"], fields.get("retMsg", "")
    head = opend.ResponseHead.FromString(body)
    assert head.HasField("retType")
    return head.retType, head.retMsg


def test_names() -> None:
    assert answers.name_of(3004) == "3004 Qot_GetBasicQot"
    assert answers.name_of(9999) == "9999"


@pytest.mark.parametrize("proto_fmt", [0, 1])
def test_an_answer_goes_to_its_request(proto_fmt: int) -> None:
    request = request_of(2008, proto_fmt)
    assert answers.reply(request, b"x") == Reply(request.session, 2008, proto_fmt, 42, b"x")
    assert answers.reply(request, b"x", 1 - proto_fmt).proto_fmt == 1 - proto_fmt
    assert said(answers.succeeded(request).body, proto_fmt) == (0, "")
    assert said(answers.refused(request, "no").body, proto_fmt) == (-1, "no")
    assert said(answers.refused(request, "no", RetType.INVALID).body, proto_fmt) == (-500, "no")
    assert said(answers.unavailable(request, "gone").body, proto_fmt) == (-200, "gone; this request was not sent")


@pytest.mark.parametrize("proto_fmt", [0, 1])
@pytest.mark.parametrize("failure", Failure)
@pytest.mark.parametrize("proto_id", sorted(WRITE_IDS))
def test_the_outcome_of_a_write_is_never_guessed(proto_id: int, failure: Failure, proto_fmt: int) -> None:
    ret_type, text = said(answers.failure_body(proto_id, proto_fmt, failure), proto_fmt)
    assert ret_type == RetType.UNKNOWN
    assert text.startswith("outcome unknown: ")
    assert "query before sending it again" in text


@pytest.mark.parametrize(
    ("failure", "ret_type", "words"),
    [
        (Failure.TIMEOUT, RetType.TIME_OUT, "did not answer 3004 Qot_GetBasicQot in time"),
        (Failure.LOST, RetType.DISCONNECT, "was lost before the answer"),
        (Failure.CORRUPT, RetType.FAILED, "SHA-1 mismatch"),
    ],
)
def test_the_failure_of_a_read(failure: Failure, ret_type: RetType, words: str) -> None:
    reply = answers.failed(request_of(), failure)
    assert said(reply.body)[0] == ret_type
    assert words in said(reply.body)[1]
    assert (reply.proto_id, reply.serial_no) == (3004, 42)


def test_every_failure_has_words_for_every_protocol() -> None:
    for proto_id in (*PROTOCOLS, 9999):
        for failure in Failure:
            ret_type, text = said(answers.failure_body(proto_id, 0, failure))
            assert ret_type < 0
            assert text


# -- what an answer says


@pytest.mark.parametrize("failure", Failure)
def test_a_failure_is_no_verdict(failure: Failure) -> None:
    assert answers.verdict(Outcome(b"", 0, failure)) == (-400, f"no answer ({failure.value})")


@pytest.mark.parametrize("proto_fmt", [0, 1])
@pytest.mark.parametrize("ret_type", [0, -1, -100, -200, -400, -500, 7])
def test_the_verdict_is_the_answers_own(ret_type: int, proto_fmt: int) -> None:
    outcome = Outcome(ret_body(proto_fmt, ret_type, "text"), proto_fmt)
    assert answers.verdict(outcome) == (ret_type, "text")


def test_an_answer_without_ret_type_is_no_success() -> None:
    assert answers.verdict(Outcome(b"", 0)) == (-400, "")
    assert answers.verdict(Outcome(b"{}", 1)) == (-400, "")
    assert answers.verdict(Outcome(field(4, b""), 0)) == (-400, "")


def test_the_rest_of_a_json_answer_does_not_matter() -> None:
    body = b'{"retType":0,"retMsg":"","errCode":0,"s2c":{"new":[1,{}]}}'
    assert answers.verdict(Outcome(body, 1)) == (0, "")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b'{"retType":"0"}',
        b'{"retType":0.5}',
        b'{"retMsg":5}',
        b'{"retMsg":"\xff"}',
        b'{"a":' * 10**5,
    ],
)
def test_json_that_is_no_response_has_no_verdict(body: bytes) -> None:
    ret_type, text = answers.verdict(Outcome(body, 1))
    assert ret_type == -400
    assert "not a response" in text


@DETERMINISTIC
@given(anything | st.binary(max_size=30), st.sampled_from([0, 1, 2]))
def test_any_answer_has_a_verdict(body: bytes, proto_fmt: int) -> None:
    ret_type, text = answers.verdict(Outcome(body, proto_fmt))
    assert isinstance(ret_type, int)
    assert isinstance(text, str)


def test_what_follows_the_head_does_not_matter() -> None:
    body = scalar(1, 0) + field(4, scalar(1, 5)) + field(99, b"new")
    assert answers.verdict(Outcome(body, 0)) == (0, "")


def test_a_write_is_a_write() -> None:
    """The ids that must not be repeated: orders, the lock, and what is written to the account by quote ids."""
    orders = {2202, 2205, 2209, 2227, 2237}
    assert orders | {ProtoId.TRD_UNLOCK_TRADE, 3214, 3220, 3309} <= WRITE_IDS
