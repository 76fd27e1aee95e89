"""InitConnect and KeepAlive: the state table pair by pair, the bodies field by field."""

from __future__ import annotations

import contextlib
import itertools
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.errors import RemoteProtocolError
from opendmux.wire import handshake
from opendmux.wire.cipher import ConnSecrets
from opendmux.wire.handshake import TRANSITIONS, Act, Identity, Input, State, classify, step
from opendmux.wire.protocols import PROTOCOLS, ProtoId
from tests.native.wire_format import anything, field, scalar

DETERMINISTIC = settings(derandomize=True, deadline=None, max_examples=150)

IDENTITY = Identity(server_ver=1009, login_user_id=2**63 + 1, user_attribution=2, conn_id=5, keep_alive_interval_s=10)
PLAIN = ConnSecrets("0123456789abcdef", None)

# -- the table

EXPECTED = {
    (State.NEW, Input.INIT): (State.READY, Act.ANSWER_INIT),
    (State.NEW, Input.KEEP_ALIVE): (State.CLOSED, Act.REFUSE),
    (State.NEW, Input.OTHER): (State.CLOSED, Act.REFUSE),
    (State.READY, Input.INIT): (State.READY, Act.ANSWER_INIT),
    (State.READY, Input.KEEP_ALIVE): (State.READY, Act.ANSWER_KEEP_ALIVE),
    (State.READY, Input.OTHER): (State.READY, Act.HANDLE),
    (State.CLOSED, Input.INIT): (State.CLOSED, Act.IGNORE),
    (State.CLOSED, Input.KEEP_ALIVE): (State.CLOSED, Act.IGNORE),
    (State.CLOSED, Input.OTHER): (State.CLOSED, Act.IGNORE),
}
A_FRAME = {Input.INIT: 1001, Input.KEEP_ALIVE: 1004, Input.OTHER: 3004}


@pytest.mark.parametrize(("state", "event"), list(itertools.product(State, Input)), ids=str)
def test_every_pair(state: State, event: Input) -> None:
    assert step(state, A_FRAME[event]) == EXPECTED[state, event]


def test_the_table_has_no_other_entries() -> None:
    assert set(TRANSITIONS) == set(itertools.product(State, Input))


@pytest.mark.parametrize("proto_id", [*PROTOCOLS, 0, 1000, 9999, 2**32 - 1])
def test_two_ids_mean_something_here(proto_id: int) -> None:
    known = {ProtoId.INIT_CONNECT: Input.INIT, ProtoId.KEEP_ALIVE: Input.KEEP_ALIVE}
    assert classify(proto_id) is known.get(proto_id, Input.OTHER)  # type: ignore[call-overload]


@DETERMINISTIC
@given(st.lists(st.integers(0, 2**32 - 1) | st.sampled_from([1001, 1004, 3001]), max_size=8))
def test_nothing_is_handled_before_init_and_nothing_ends_closed(proto_ids: list[int]) -> None:
    state, seen_init, seen_end = State.NEW, False, False
    for proto_id in proto_ids:
        state, act = step(state, proto_id)
        seen_init |= act is Act.ANSWER_INIT
        assert seen_init or act in (Act.REFUSE, Act.IGNORE)
        assert not seen_end or (state is State.CLOSED and act is Act.IGNORE)
        seen_end |= act is Act.REFUSE


# -- a client's InitConnect


def test_client_hello() -> None:
    body = field(
        1,
        scalar(1, 300)
        + field(2, b"PyNormal")
        + scalar(3, 1)
        + scalar(4, 2)
        + scalar(5, 1)
        + field(6, b"Python")
        + scalar(7, 1),
    )
    hello = handshake.client_hello_untrusted(body, 0)
    assert (hello.client_ver, hello.client_id, hello.recv_notify) == (300, "PyNormal", True)
    assert (hello.packet_enc_algo, hello.push_proto_fmt, hello.language) == (2, 1, "Python")


def test_client_hello_in_json_is_the_same() -> None:
    body = json.dumps(
        {
            "c2s": {
                "clientVer": 300,
                "clientID": "PyNormal",
                "recvNotify": True,
                "packetEncAlgo": -1,
                "pushProtoFmt": 1,
                "programmingLanguage": "Python",
                "aiType": 0,
            }
        }
    ).encode()
    hello = handshake.client_hello_untrusted(body, 1)
    assert (hello.client_ver, hello.client_id, hello.recv_notify) == (300, "PyNormal", True)
    assert (hello.packet_enc_algo, hello.push_proto_fmt, hello.language) == (-1, 1, "Python")


@pytest.mark.parametrize("body", [b"", field(1, b""), field(1, scalar(1, 300))])
def test_what_a_client_leaves_out(body: bytes) -> None:
    """Without RSA there is no encryption to be asked for: an absent packetEncAlgo is none."""
    hello = handshake.client_hello_untrusted(body, 0)
    assert (hello.client_id, hello.recv_notify, hello.packet_enc_algo) == ("", False, -1)
    assert (hello.push_proto_fmt, hello.language) == (0, "")


def test_what_a_client_calls_itself_is_cut() -> None:
    hello = handshake.client_hello_untrusted(field(1, field(2, b"x" * 10**5) + field(6, b"y" * 10**5)), 0)
    assert (hello.client_id, hello.language) == ("x" * handshake.NAME_SHOWN, "y" * handshake.NAME_SHOWN)


@DETERMINISTIC
@given(anything, st.integers(0, 255))
def test_any_hello_is_read_or_refused(body: bytes, proto_fmt: int) -> None:
    with contextlib.suppress(RemoteProtocolError):
        handshake.client_hello_untrusted(body, proto_fmt)


# -- our answer to it


def test_init_reply_field_by_field() -> None:
    body = handshake.init_reply(IDENTITY, conn_id=2**62 + 7, secrets=PLAIN, proto_fmt=0)
    s2c = (
        scalar(1, 1009)
        + scalar(2, 2**63 + 1)
        + scalar(3, 2**62 + 7)
        + field(4, b"0123456789abcdef")
        + scalar(5, handshake.KEEP_ALIVE_INTERVAL_S)
        + scalar(7, 2)
    )
    assert body == scalar(1, 0) + field(4, s2c)


def test_init_reply_in_json() -> None:
    body = handshake.init_reply(IDENTITY, conn_id=2**62 + 7, secrets=PLAIN, proto_fmt=1)
    assert json.loads(body) == {
        "retType": 0,
        "s2c": {
            "serverVer": 1009,
            "loginUserID": 2**63 + 1,
            "connID": 2**62 + 7,
            "connAESKey": "0123456789abcdef",
            "keepAliveInterval": 10,
            "userAttribution": 2,
        },
    }


@pytest.mark.parametrize(
    ("iv", "expected"), [("fedcba9876543210", field(6, b"fedcba9876543210")), ("", field(6, b"")), (None, b"")]
)
def test_the_iv_says_which_aes_it_is(iv: str | None, expected: bytes) -> None:
    """The SDKs go by its form alone: a text, an empty text, or no field."""
    secrets = ConnSecrets("0123456789abcdef", iv)
    identity = Identity(server_ver=1, login_user_id=2, user_attribution=None, conn_id=3, keep_alive_interval_s=4)
    body = handshake.init_reply(identity, conn_id=9, secrets=secrets, proto_fmt=0)
    s2c = scalar(1, 1) + scalar(2, 2) + scalar(3, 9) + field(4, b"0123456789abcdef") + scalar(5, 10) + expected
    assert body == scalar(1, 0) + field(4, s2c)


def test_init_reply_says_nothing_of_the_attribution_that_upstream_did_not_name() -> None:
    identity = Identity(server_ver=1, login_user_id=2, user_attribution=None, conn_id=3, keep_alive_interval_s=4)
    assert b"userAttribution" not in handshake.init_reply(identity, conn_id=9, secrets=PLAIN, proto_fmt=1)


@DETERMINISTIC
@given(conn_id=st.integers(2**62, 2**63 - 1), proto_fmt=st.sampled_from([0, 1]))
def test_the_upstream_conn_id_is_never_told(conn_id: int, proto_fmt: int) -> None:
    secret = Identity(
        server_ver=1009, login_user_id=77, user_attribution=1, conn_id=0x1234_5678_9ABC_DEF0, keep_alive_interval_s=10
    )
    other = Identity(server_ver=1009, login_user_id=77, user_attribution=1, conn_id=1, keep_alive_interval_s=99)
    replies = {
        handshake.init_reply(identity, conn_id=conn_id, secrets=PLAIN, proto_fmt=proto_fmt)
        for identity in (secret, other)
    }
    assert len(replies) == 1


# -- upstream's side


def test_our_own_init_request() -> None:
    """Notify wanted, no encryption, protobuf pushes, unless asked otherwise; read back by what reads clients."""
    hello = handshake.client_hello_untrusted(handshake.init_request(), 0)
    assert (hello.client_ver, hello.client_id, hello.recv_notify) == (300, "opendmux", True)
    assert (hello.packet_enc_algo, hello.push_proto_fmt) == (-1, 0)
    other = handshake.init_request(recv_notify=False, push_proto_fmt=1, encrypt=True)
    hello = handshake.client_hello_untrusted(other, 0)
    assert (hello.recv_notify, hello.push_proto_fmt, hello.packet_enc_algo) == (False, 1, 2)


def test_identity() -> None:
    s2c = scalar(1, 1009) + scalar(2, 77) + scalar(3, 2**63 + 5) + field(4, b"k" * 16) + scalar(5, 7) + scalar(7, 6)
    ret_type, ret_msg, identity = handshake.identity_untrusted(scalar(1, 0) + field(4, s2c))
    assert (ret_type, ret_msg) == (0, "")
    assert identity == Identity(
        server_ver=1009, login_user_id=77, user_attribution=6, conn_id=2**63 + 5, keep_alive_interval_s=7
    )


def test_a_refusal_by_upstream() -> None:
    ret_type, ret_msg, identity = handshake.identity_untrusted(scalar(1, -1) + field(2, b"too many connections"))
    assert (ret_type, ret_msg) == (-1, "too many connections")
    assert identity.user_attribution is None


def test_an_answer_without_ret_type_is_no_success() -> None:
    assert handshake.identity_untrusted(b"")[0] == -400


@DETERMINISTIC
@given(anything)
def test_any_answer_is_read_or_refused(body: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        handshake.identity_untrusted(body)


# -- KeepAlive


def test_keep_alive() -> None:
    assert handshake.keep_alive_request(1_700_000_000) == field(1, scalar(1, 1_700_000_000))
    assert handshake.keep_alive_reply(1_700_000_000, 0) == scalar(1, 0) + field(4, scalar(1, 1_700_000_000))
    assert json.loads(handshake.keep_alive_reply(1_700_000_000, 1)) == {"retType": 0, "s2c": {"time": 1_700_000_000}}
