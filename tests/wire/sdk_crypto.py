"""The official Python SDK's own encryption, steered line by line by a test; no socket is opened.

Each line of stdin is ``{"call": name, "args": [...]}``; each line of stdout that starts with ``@@`` is its result.
Bytes travel as hex. An error ends the program.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from futu.common.conn_mng import FutuConnMng
from futu.common.sys_config import RsaCrypt, SysConfig
from futu.common.utils import ParseRspErr, parse_rsp
from futu.quote.quote_query import InitConnect, KeepAlive


def rsa_file(path: str) -> None:
    SysConfig.set_init_rsa_file(path)


def encrypt_all(on: bool) -> None:
    SysConfig.enable_proto_encrypt(on)


def rsa_encrypt(body: str) -> str:
    return bytes(RsaCrypt.encrypt(bytes.fromhex(body))).hex()


def rsa_decrypt(body: str) -> str:
    return bytes(RsaCrypt.decrypt(bytes.fromhex(body))).hex()


def connection(conn_id: int, key: str, iv: str | None, is_encrypt: bool) -> None:
    """What the SDK remembers of a connection."""
    FutuConnMng.add_conn({"conn_id": conn_id, "conn_key": key, "conn_iv": iv, "is_encrypt": is_encrypt})


def encrypt(conn_id: int, body: str) -> str:
    ret, msg, data = FutuConnMng.encrypt_conn_data(conn_id, bytes.fromhex(body))
    assert ret == 0, msg
    return bytes(data).hex()


def decrypt(conn_id: int, body: str) -> str:
    ret, msg, data = FutuConnMng.decrypt_conn_data(conn_id, bytes.fromhex(body))
    assert ret == 0, msg
    return bytes(data).hex()


def init_connect(is_encrypt: bool) -> str:
    """The frame of a context's InitConnect."""
    ret, msg, frame, _, _ = InitConnect.pack_req(300, "PyNormal", True, is_encrypt, 0)
    assert ret == 0, msg
    return bytes(frame).hex()


def read_init_connect(frame: str, is_encrypt: bool) -> dict[str, Any]:
    """The reply, as a context reads it and remembers it."""
    result = parse_rsp(bytearray.fromhex(frame), 0, is_encrypt)
    assert result.err is ParseRspErr.OK, result.msg
    ret, msg, found = InitConnect.unpack_rsp(result.rsp_pb)
    assert ret == 0, msg
    FutuConnMng.add_conn({**found, "is_encrypt": is_encrypt})
    return dict(found)


def keep_alive(conn_id: int) -> str:
    """The frame of a KeepAlive; the connID is 0 while a context is not connected."""
    ret, msg, frame, _, _ = KeepAlive.pack_req(conn_id)
    assert ret == 0, msg
    return bytes(frame).hex()


def read_keep_alive(frame: str, conn_id: int, is_encrypt: bool) -> int:
    """The time in the reply."""
    result = parse_rsp(bytearray.fromhex(frame), conn_id, is_encrypt)
    assert result.err is ParseRspErr.OK, result.msg
    return int(result.rsp_pb.s2c.time)


def main() -> None:
    for line in sys.stdin:
        command = json.loads(line)
        result = globals()[command["call"]](*command["args"])
        sys.stdout.write("@@" + json.dumps(result) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
