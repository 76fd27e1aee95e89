"""Everything that `opendmux doctor` looks at, in order."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from opendmux.cli._control import ask_text
from opendmux.cli._control import status as ask_status
from opendmux.config import SIM, Address, Config, UpstreamConfig, parse_address
from opendmux.config.reach import is_loopback, listeners_of, upstreams_of
from opendmux.config.sources import Settings, settings_of
from opendmux.errors import CommandError, ConfigError
from opendmux.runtime.binding import meets
from opendmux.runtime.holders import Sockets
from opendmux.wire.cipher import RsaKey
from opendmux.wording import version_text

from . import _conflicts, _files, _folders, _listen, _machine, _port, _running, _telnet, _word, _xml
from ._call import Call, CallError
from ._finding import Section, State, all_of
from ._programs import Opend, find_opends, homes_of, xml_files
from ._told import told_of

if TYPE_CHECKING:
    import argparse

__all__ = ["Examination", "examine"]

DEFAULT_CONNECT: Final = "127.0.0.1:33333"


@dataclass(slots=True)
class Examination:
    """The findings, and what a bundle takes besides."""

    sections: list[Section] = field(default_factory=list)
    settings: Settings = field(default_factory=lambda: Settings(Config()))
    options: list[_xml.Options] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    """OpenD's name -> its version, of those that answered."""
    snapshot: dict[str, Any] | None = None
    metrics: str = ""
    opend_log: Path | None = None
    own_log: Path | None = None

    def section(self, heading: str) -> Section:
        """A new one, at the end."""
        self.sections.append(Section(heading))
        return self.sections[-1]


def examine(args: argparse.Namespace) -> Examination:
    """Look at everything. Takes seconds when something does not answer. Raises ConfigError for wrong usage."""
    logging.getLogger("opendmux").addHandler(logging.NullHandler())  # what is logged is among the findings too
    found = Examination()
    found.settings, error = _settings(args.config)
    config = found.settings.config
    cases = _cases(config, args.upstream)
    args.connect = _connect(args.connect, config)
    sockets = Sockets()
    opends = find_opends(sockets)
    xmls = _options(xml_files(opends, args.opend_dir, found.settings.file), found)
    listening = _own_ports(config, args.connect)
    opendmux = Section("opendmux")
    holder = _listen.judge(listening, sockets, opendmux)
    failure = _ask_running(args, found, holder)
    _listen.judge_free(holder, opendmux, waiting=found.snapshot is not None and not found.snapshot.get("ready"))
    named = args.upstream is not None or bool(config.upstreams) or found.settings.source("upstream").kind != "default"
    its_own = [] if named or found.snapshot is None else _running.addresses_of(found.snapshot)
    if its_own:  # it was started with options: nothing else tells where its OpenD is
        cases = [msgspec.structs.replace(cases[0], address=address) for address in its_own]
    if found.snapshot is not None:  # so it was with a file that is not read here
        cases = [_with_console(case, found.snapshot) for case in cases]
    answered = False
    default = " (the default: the settings can't be read)" if error is not None and args.upstream is None else ""
    for case in cases:
        answered |= _opend(case, found, sockets, opends, _fitting(case, cases, xmls), listening, default)
    _here(found, opends, args.opend_dir, answered=answered)
    _conflicts.judge(cases, opends, xmls, found.sections[-1])
    found.sections.append(opendmux)
    _opendmux(found, error, holder, failure, opendmux)
    _machine.look(found.section("this machine"))
    return found


def _settings(path: Path | None) -> tuple[Settings, ConfigError | None]:
    """What is in force, or the defaults and why they are not."""
    try:
        return settings_of(path, os.environ), None
    except ConfigError as error:
        return Settings(Config(), path), error


def _cases(config: Config, upstream: str | None) -> list[UpstreamConfig]:
    configured = upstreams_of(config)
    if upstream is None:
        return list(configured)
    if upstream != SIM:
        parse_address(upstream, what="--upstream")
    for one in configured:
        if one.address == upstream:
            return [one]
    return [UpstreamConfig("opend", upstream, config.upstream_rsa_private_key)]  # its console is not known


def _with_console(case: UpstreamConfig, snapshot: Mapping[str, Any]) -> UpstreamConfig:
    """With the console that the running opendmux has for it, where our settings name none."""
    telnet = case.telnet or _running.console_of(snapshot, case.address)
    return msgspec.structs.replace(case, telnet=telnet)


def _connect(given: str, config: Config) -> str:
    """Where our own proxy should be, unless an option says it."""
    listen = config.listeners[0].listen if config.listeners else config.listen
    return listen[0] if given == DEFAULT_CONNECT and listen else given


def _own_ports(config: Config, connect: str) -> list[Address]:
    """Where our own proxy listens or shall listen: as the settings say, or where it is asked, on this machine."""
    found = [address for listener in listeners_of(config) for address in _listen.wanted_addresses(listener.listen)]
    asked = parse_address(connect, what="--connect")
    default = not config.listen and not config.listeners
    return [asked] if default and (is_loopback(asked.host) or asked.host == "localhost") else found


def _options(files: Mapping[Path, Opend | None], found: Examination) -> list[_xml.Options]:
    section = Section("OpenD.xml")
    for path, opend in files.items():
        try:
            found.options.append(_xml.read(path, opend))
        except ConfigError as error:
            section.say(
                State.WARNING,
                _xml.FILE_CHECK,
                "A configuration of OpenD can't be read.",
                str(error),
                "Run doctor as the user that OpenD runs as.",
            )
    if section.findings:
        found.sections.append(section)
    return found.options


def _fitting(
    case: UpstreamConfig, cases: Sequence[UpstreamConfig], xmls: Sequence[_xml.Options]
) -> _xml.Options | None:
    """The file of this OpenD: by its port, or because there is one of each."""
    if case.address == SIM:
        return None
    port = str(parse_address(case.address, what="upstream").port)
    for options in xmls:
        if (options.values.get("api_port") or _xml.PORT) == port:
            return options
    return xmls[0] if len(xmls) == len(cases) == 1 else None


def _opend(
    case: UpstreamConfig,
    found: Examination,
    sockets: Sockets,
    opends: Sequence[Opend],
    options: _xml.Options | None,
    listening: Sequence[Address],
    note: str,
) -> bool:
    """One OpenD; returns whether it answered. ``note``: for its heading."""
    named = "OpenD" if case.name == "opend" else f"OpenD {case.name!r}"
    where = "the built-in simulator" if case.address == SIM else case.address
    section = found.section(f"{named} at {where}{note}")
    if case.address == SIM:
        section.say(State.SKIPPED, _port.CHECK, "The built-in simulator is inside opendmux: no OpenD is needed.")
        return False
    address = parse_address(case.address, what="upstream")
    rsa_key = _rsa_key(case, section)
    port, word = _called(address, rsa_key, sockets, opends)
    if any(meets(address, own) for own in listening) and ("opendmux" in port.holder or not port.holder):
        section.say(
            State.PROBLEM,
            _port.CHECK,
            f"{address} is opendmux's own port and not OpenD's: a proxy can't be its own OpenD.",
            port.holder,
            "Give OpenD's api_port (11111 as a rule) as the upstream.",
        )
        return False
    if word is None:
        section.findings.append(_port.judge(port))
    else:
        several = len(found.settings.config.upstreams) > 1
        told = told_of(found.snapshot, word.name)
        word = replace(word, several=several, asks_back=case.quote_right != "never", told=told)
        version = version_text(word.server_ver)
        found.versions[case.address] = version
        section.findings.extend((_port.judge(port, version=version), _port.judge_connections(port)))
        _word.judge(word, section, _machine.sdk_versions())
    if options is not None:
        _xml.judge(options, section, upstream=address, answered=word is not None, has_rsa=rsa_key is not None)
    _console(case, options, port, sockets, section)
    return word is not None


def _rsa_key(case: UpstreamConfig, section: Section) -> RsaKey | None:
    if not case.rsa_private_key:
        return None
    try:
        return RsaKey.load(case.rsa_private_key)
    except ConfigError as error:
        section.say(
            State.PROBLEM,
            "RSA key",
            "The RSA key for OpenD can't be used.",
            str(error),
            "Give the very file that rsa_private_key in OpenD.xml names.",
        )
        return None


def _called(
    address: Address, rsa_key: RsaKey | None, sockets: Sockets, opends: Sequence[Opend]
) -> tuple[_port.Port, _word.Word | None]:
    places = [(opend.program, opend.listens) for opend in opends]
    encrypted, contained = rsa_key is not None, _machine.in_container()
    try:
        with Call(address, rsa_key) as call:
            word = _word.ask(call, str(address))
            port = _port.look(
                address, None, sockets, places, encrypted=encrypted, in_container=contained, greeting_s=call.greeting_s
            )
            return port, word
    except CallError as error:
        return _port.look(address, error, sockets, places, encrypted=encrypted, in_container=contained), None


def _console(
    case: UpstreamConfig, options: _xml.Options | None, port: _port.Port, sockets: Sockets, section: Section
) -> None:
    """The Telnet console that the settings name, or else the one of OpenD.xml."""
    if case.telnet:
        telnet: Address | None = parse_address(case.telnet, what="telnet")
    else:
        telnet = _xml.telnet_of(options) if options is not None and port.here else None
    failure = "" if telnet is None else _telnet.reach(telnet)
    listening = [] if telnet is None or not port.here else [one.local for one in sockets.listening(telnet.port)]
    section.findings.append(_telnet.judge(telnet, failure, listening, configured=bool(case.telnet)))


def _here(found: Examination, opends: Sequence[Opend], given: Path | None, *, answered: bool) -> None:
    """The folders of OpenD on this machine."""
    section = found.section("OpenD's files on this machine")
    program = next((opend.folder for opend in opends if opend.folder is not None), given)
    log_path = next((options.values["log_path"] for options in found.options if options.values.get("log_path")), "")
    bases = _folders.base_folders(homes_of(opends), os.environ)
    folders = _folders.look(bases, wall=time.time(), program_folder=program, log_path=log_path)
    found.opend_log = None if folders.log is None else folders.log.path
    _folders.judge(folders, section, runs_here=bool(opends), answers=answered)


def _ask_running(args: argparse.Namespace, found: Examination, holder: _listen.Holder) -> str:
    """What a running opendmux tells of itself; returns why there is nothing."""
    if parse_address(args.connect, what="--connect").port in holder.foreign:
        return ""
    try:
        found.snapshot = ask_status(args)
        found.metrics = ask_text(args, "/metrics")
    except CommandError as failure:
        return str(failure)
    return ""


def _opendmux(
    found: Examination, error: ConfigError | None, holder: _listen.Holder, failure: str, section: Section
) -> None:
    program, settings, snapshot = holder.ours, found.settings, found.snapshot
    keyed = snapshot is not None and bool(snapshot.get("keys"))
    _files.look(settings.config, settings.file, error, section, wall=time.time(), keyed=keyed)
    if snapshot is not None:
        said = {finding.conclusion for finding in all_of(found.sections)}
        _running.judge_or_say_why(snapshot, section, said)
    elif failure:
        _running.judge_absent(failure, section, seen=program)
    if program is not None:
        _running.judge_process(program, section)
        found.own_log = _running.log_file_of(program)
