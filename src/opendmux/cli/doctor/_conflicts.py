"""Several OpenDs on one machine, or in one configuration, that are in each other's way."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from opendmux.config import UpstreamConfig
from opendmux.config.reach import same_opends

from ._finding import Section, State
from ._programs import Opend
from ._xml import PORT, Options

__all__ = ["judge"]

CHECK = "several OpenDs"


def judge(cases: Sequence[UpstreamConfig], opends: Sequence[Opend], xmls: Sequence[Options], section: Section) -> None:
    """Nothing is said where there is one of each."""
    before = len(section.findings)
    _same_address(cases, section)
    _same_folder(opends, section)
    _same_port(xmls, section)
    if len(section.findings) == before and max(len(cases), len(opends), len(xmls)) > 1:
        figures = f"{len(cases)} in the settings, {len(opends)} running here, {len(xmls)} OpenD.xml"
        section.say(State.OK, CHECK, "The OpenDs are not in each other's way.", figures)


def _same_address(cases: Sequence[UpstreamConfig], section: Section) -> None:
    for one, other in same_opends(cases):
        section.say(
            State.PROBLEM,
            CHECK,
            f"Two upstreams of the settings, {one.name!r} and {other.name!r}, are the same OpenD.",
            one.address,
            "Give the second one the api_port of the second OpenD, such as 11112.",
        )


def _same_folder(opends: Sequence[Opend], section: Section) -> None:
    for one, other in combinations(opends, 2):
        if one.folder is not None and one.folder == other.folder and _file(one) == _file(other):
            section.say(
                State.PROBLEM,
                CHECK,
                "Two OpenDs run out of the same folder with the same OpenD.xml, so the second can't have its port.",
                f"{one.program} and {other.program} in {one.folder}",
                "Copy the whole folder of the command line OpenD, and give the copy's OpenD.xml its own api_port, such "
                "as 11112, and its own login_account.",
            )


def _file(opend: Opend) -> str:
    return opend.options.get("cfg_file", "")


def _same_port(xmls: Sequence[Options], section: Section) -> None:
    for one, other in combinations(xmls, 2):
        port = one.values.get("api_port") or PORT
        if port == (other.values.get("api_port") or PORT):
            section.say(
                State.PROBLEM,
                CHECK,
                f"Two OpenD.xml give the same port {port}: only the OpenD that starts first can have it.",
                f"{one.path}, {other.path}",
                "Give one of them another api_port, such as 11112, and opendmux a second [[upstreams]] entry for it.",
            )
