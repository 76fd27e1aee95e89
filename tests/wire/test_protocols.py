"""The protocol tables: everything comes from protocols.toml, and all copies agree."""

from __future__ import annotations

import importlib
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from opendmux.wire.protocols import (
    BASE_ROW,
    N_PROTOCOLS,
    PACKET_ID_IDS,
    PROTOCOLS,
    PUSH_IDS,
    WRITE_IDS,
    Protocol,
    ProtoId,
    ReplyAction,
    RequestAction,
    index_of,
)

ROOT = Path(__file__).resolve().parents[2]
GENERATOR = ROOT / "_native" / "gen_tables.py"
SOURCE: list[dict[str, Any]] = tomllib.loads((ROOT / "proto" / "protocols.toml").read_text())["protocol"]


def test_generated_files_are_up_to_date() -> None:
    subprocess.run([sys.executable, str(GENERATOR), "--check"], check=True)


@pytest.mark.parametrize("entry", SOURCE, ids=lambda entry: str(entry["id"]))
def test_every_protocol_is_there(entry: dict[str, Any]) -> None:
    protocol = PROTOCOLS[entry["id"]]
    push = entry["kind"] == "push"
    assert protocol.proto_id == entry["id"]
    assert protocol.name == entry["name"]
    assert (protocol.kind, protocol.area, protocol.scope) == (entry["kind"], entry["area"], entry["scope"])
    assert protocol.request is (RequestAction.DENY if push else RequestAction[entry["request"].upper()])
    assert protocol.reply is (ReplyAction.NATIVE if push else ReplyAction[entry["reply"].upper()])
    assert protocol.write is entry.get("write", False)
    assert protocol.packet_id is entry.get("packet_id", False)
    assert (protocol.proto_id in PUSH_IDS) is push
    assert (protocol.proto_id in WRITE_IDS) is protocol.write
    assert (protocol.proto_id in PACKET_ID_IDS) is protocol.packet_id
    assert BASE_ROW[protocol.index] == protocol.request | protocol.reply << 2


def test_nothing_else_is_there() -> None:
    ids = [entry["id"] for entry in SOURCE]
    assert list(PROTOCOLS) == sorted(ids)
    assert [member.value for member in ProtoId] == sorted(ids)
    assert len(ids) == N_PROTOCOLS
    assert len(BASE_ROW) == N_PROTOCOLS + 1


def test_dense_index() -> None:
    assert [protocol.index for protocol in PROTOCOLS.values()] == list(range(1, N_PROTOCOLS + 1))
    assert all(index_of(protocol.proto_id) == protocol.index for protocol in PROTOCOLS.values())
    for unknown in (0, 1, 1000, 3999, 2**32 - 1):
        assert index_of(unknown) == 0


def test_unknown_ids_and_pushes_are_denied_as_requests() -> None:
    assert RequestAction(BASE_ROW[0]) is RequestAction.DENY
    for proto_id in PUSH_IDS:
        assert BASE_ROW[index_of(proto_id)] == RequestAction.DENY


def test_names() -> None:
    expected = {
        "INIT_CONNECT": 1001,
        "TRD_GET_ACC_LIST": 2001,
        "QOT_SUB": 3001,
        "QOT_GET_KL": 3006,
        "QOT_GET_US_PRE_MARKET_RANK": 3410,
        "QOT_GET_HIGH_DIVIDEND_SOE_RANK": 3417,
        "TRD_RECONFIRM_ORDER_2209": 2209,
        "TRD_RECONFIRM_ORDER_2237": 2237,
    }
    assert {name: ProtoId[name].value for name in expected} == expected


def test_rows_that_matter() -> None:
    order = PROTOCOLS[ProtoId.TRD_PLACE_ORDER]
    assert order == Protocol(
        ProtoId.TRD_PLACE_ORDER,
        index_of(2202),
        "Trd_PlaceOrder",
        "request",
        "trade-write",
        "trade",
        RequestAction.INSPECT,
        ReplyAction.EVENT,
        write=True,
        packet_id=True,
    )
    assert PROTOCOLS[ProtoId.KEEP_ALIVE].request is RequestAction.LOCAL
    assert all(protocol.request is not RequestAction.PASS for protocol in PROTOCOLS.values() if protocol.packet_id)


@pytest.mark.parametrize("module", ["_pure", "_framing"])
def test_native_tables_agree(module: str) -> None:
    proto_id_max, n_protocols, indexes, pushes = importlib.import_module(f"opendmux.native.{module}").abi()
    assert proto_id_max == max(PROTOCOLS)
    assert n_protocols == N_PROTOCOLS
    assert indexes == {protocol.proto_id: protocol.index for protocol in PROTOCOLS.values()}
    assert pushes == {index_of(proto_id) for proto_id in PUSH_IDS}


def test_actions_are_the_numbers_of_the_switch() -> None:
    switch = importlib.import_module("opendmux.native")
    assert all(getattr(switch, action.name) == action for action in [*RequestAction, *ReplyAction])


@pytest.mark.parametrize(
    ("broken", "text"),
    [
        ('request = "pas"', "1002 has 'pas', not one of pass, inspect, local, deny"),
        ('area = "quotes"', "has 'quotes'"),
    ],
)
def test_generator_refuses_a_wrong_source(tmp_path: Path, broken: str, text: str) -> None:
    """A typo must not become a table."""
    key = broken.split(" = ", 1)[0]
    entry = {"id": "1002", "name": '"X"', "kind": '"request"', "area": '"quote"', "scope": '"none"'}
    entry |= {"request": '"pass"', "reply": '"event"', key: broken.split(" = ", 1)[1]}
    source = tmp_path / "protocols.toml"
    source.write_text("[[protocol]]\n" + "\n".join(f"{name} = {value}" for name, value in entry.items()))
    program = f"import sys; sys.path.insert(0, {str(GENERATOR.parent)!r})\nimport gen_tables, pathlib\n"
    program += f"gen_tables.load(pathlib.Path({str(source)!r}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert text in done.stderr
