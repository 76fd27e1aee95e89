"""OpenD's own configuration file, read for what opendmux can take from it: where OpenD and its console listen,
and its RSA key.

Only the document's own few elements are read. A document type is refused whole, so there are no entities to expand;
the size has been bounded by the caller. Values of elements that are not used, passwords among them, are never kept.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Collection, Mapping
from typing import Any, Final, NamedTuple
from xml.parsers import expat

from opendmux.errors import ConfigError

from .address import parse_address
from .structs import DEFAULT_PORT, Address

__all__ = ["OpendOptions", "read_opend_options", "read_opend_xml"]

TAKEN: Final = ("ip", "api_port", "rsa_private_key", "telnet_ip", "telnet_port", "websocket_port")
KNOWN: Final = (*TAKEN, "login_account", "login_pwd", "login_pwd_md5", "lang", "log_level", "push_proto_type")
"""One of them must be there, or the file is somebody else's."""
SHOWN: Final = (*TAKEN, "log_level", "auto_hold_quote_right", "lang", "log_path", "push_proto_type", "websocket_ip")
"""What `read_opend_options` keeps: nothing secret."""
VALUE_MAX: Final = 4096
"""Characters of a value: a path's length."""
DEPTH_MAX: Final = 8
ELEMENTS_MAX: Final = 100
"""OpenD has some 30 options."""
EVERYWHERE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - read, never bound
"""An address to listen on that nobody can connect to, and the one that is meant."""
OPEND_PORT: Final = "11111"
OFF: Final = ("", "0")
DECLARATION: Final = re.compile(rb"""\s*<\?xml[^>]*?encoding\s*=\s*["']([A-Za-z0-9._-]+)["'][^>]*\?>""")
CHINESE: Final = "gb18030"
"""GB2312 and GBK are parts of it: what a Chinese Windows writes."""


class _Elements:
    """What stands directly in the root."""

    def __init__(self, file: str, taken: Collection[str] = TAKEN) -> None:
        self.values: dict[str, str] = {}
        self.names: dict[str, None] = {}
        self.filled: set[str] = set()
        """Those with a value, whatever it is."""
        self._file = file
        self._taken = taken
        self._path: list[str] = []
        self._parser = expat.ParserCreate()
        self._parser.buffer_text = True
        self._parser.StartElementHandler = self._begin
        self._parser.EndElementHandler = self._end
        self._parser.CharacterDataHandler = self._text
        self._parser.StartDoctypeDeclHandler = self._refuse

    def parse(self, content: bytes) -> None:
        self._parser.Parse(_as_utf8(content), True)

    def _refuse(self, *_declaration: object) -> None:
        raise ConfigError(f"{self._file}: a document type (<!DOCTYPE ...>) has no place in OpenD's configuration")

    def _begin(self, name: str, _attributes: object) -> None:
        self._path.append(name)
        if len(self._path) > DEPTH_MAX:
            raise ConfigError(f"{self._file} is not OpenD's configuration: its elements are nested too deep")
        if len(self._path) == 2:
            if name in self.names and name in self._taken:
                raise ConfigError(f"{self._file} has <{name}> twice; keep one")
            self.names[name] = None
            if len(self.names) > ELEMENTS_MAX:
                raise ConfigError(f"{self._file} is not OpenD's configuration: it has over {ELEMENTS_MAX} options")

    def _end(self, _name: str) -> None:
        self._path.pop()

    def _text(self, text: str) -> None:
        if len(self._path) != 2:
            return
        name = self._path[1]
        if text.strip():
            self.filled.add(name)
        if name in self._taken:
            self.values[name] = self.values.get(name, "") + text
            if len(self.values[name]) > VALUE_MAX:
                raise ConfigError(f"{self._file}: <{name}> is longer than {VALUE_MAX} characters")


def read_opend_xml(content: bytes, file: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Settings as a TOML file would give them, and what is said about the rest. Raises ConfigError."""
    elements = _parsed(content, file, TAKEN)
    values = {name: text.strip() for name, text in elements.values.items()}
    upstream = _address(values, "ip", "api_port", file)
    assert upstream is not None, "the API port has a default"
    data: dict[str, Any] = {"upstream": str(upstream)}
    if values.get("rsa_private_key"):
        data["upstream_rsa_private_key"] = values["rsa_private_key"]
    telnet = _address(values, "telnet_ip", "telnet_port", file)
    if telnet is not None:
        data["telnet"] = str(telnet)
    return data, tuple(_notes(elements, values, data, file))


class OpendOptions(NamedTuple):
    """What a person who looks after OpenD needs of the file; no value in it is secret."""

    values: Mapping[str, str]
    """Of the options in `SHOWN` that are there."""
    filled: frozenset[str]
    """Every option that has a value."""


def read_opend_options(content: bytes, file: str) -> OpendOptions:
    """The same file, read to be looked at. Raises ConfigError."""
    elements = _parsed(content, file, SHOWN)
    return OpendOptions({name: text.strip() for name, text in elements.values.items()}, frozenset(elements.filled))


def _parsed(content: bytes, file: str, taken: Collection[str]) -> _Elements:
    elements = _Elements(file, taken)
    try:
        elements.parse(content)
    except (expat.ExpatError, LookupError, ValueError) as error:
        raise ConfigError(f"{file} is not XML that can be read: {error}") from None
    if not any(name in KNOWN for name in elements.names):
        raise ConfigError(f"{file} is not OpenD's configuration: it has neither <api_port> nor another of its options")
    return elements


def _as_utf8(content: bytes) -> bytes:
    """The same in UTF-8 where it is in a Chinese encoding, of which expat reads none; comments are in it mostly.

    An editor may have changed the encoding and left the declaration, or there is none: what is UTF-8 is taken for that,
    for Chinese text in another encoding is not. Raises ValueError for neither.
    """
    if content.startswith((codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return content
    declared = DECLARATION.match(content)
    encoding = "utf-8" if declared is None else codecs.lookup(declared[1].decode("ascii")).name
    if encoding not in ("utf-8", "gb2312", "gbk", CHINESE, "big5", "cp950"):
        return content
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError:
        text = content.decode(encoding if encoding in ("big5", "cp950") else CHINESE)
    return (text if declared is None else text[declared.end() :]).encode()


def _notes(elements: _Elements, values: dict[str, str], data: dict[str, Any], file: str) -> list[str]:
    *most, last = (f"{name} = {value}" for name, value in data.items())
    taken = " and ".join([*([", ".join(most)] if most else []), last])
    notes = [f"{file} is OpenD's configuration; taken from it: {taken}"]
    if values.get("websocket_port") == str(DEFAULT_PORT):
        notes.append(
            f"{file}: OpenD's WebSocket service has port {DEFAULT_PORT}, opendmux's own; give another one by --listen"
        )
    used = ("ip", "api_port", "rsa_private_key", "telnet_ip", "telnet_port")
    ignored = [_plain(name) for name in elements.names if name not in used]
    if ignored:
        notes.append(f"{file}: ignored, for they are OpenD's own affair: {', '.join(ignored)}")
    return notes


def _address(values: dict[str, str], ip: str, port: str, file: str) -> Address | None:
    """None: the port is off."""
    host = EVERYWHERE.get(values.get(ip, ""), values.get(ip, ""))
    port_text = values.get(port, "")
    if port == "api_port":
        port_text = port_text or OPEND_PORT
    elif port_text in OFF:
        return None
    address = parse_address(f"[{host}]:{port_text}" if ":" in host else f"{host}:{port_text}", what=f"{file}: <{port}>")
    if address.port == 0:
        raise ConfigError(f"{file}: <{port}> is 0: nobody can connect to that")
    return address


def _plain(name: str) -> str:
    """A name for a sentence: XML allows long ones."""
    return name if len(name) <= 40 else f"{name[:37]}..."
