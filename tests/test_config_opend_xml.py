"""OpenD's own file: what is taken, what is said, and what can't be done with it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from opendmux.config.opend_xml import read_opend_options, read_opend_xml
from opendmux.config.sources import settings_of
from opendmux.errors import ConfigError

WHOLE = """<?xml version="1.0" encoding="utf-8"?>
<futu_opend>
    <!-- 基础参数 <api_port>1</api_port> -->
    <ip>192.0.2.7</ip>
    <api_port> 11112 </api_port>
    <login_account>100000</login_account>
    <login_pwd>hunter2</login_pwd>
    <login_pwd_md5>e10adc3949ba59abbe56e057f20f883e</login_pwd_md5>
    <rsa_private_key>/etc/opend/rsa.pem</rsa_private_key>
    <telnet_ip>127.0.0.1</telnet_ip>
    <telnet_port>22222</telnet_port>
    <websocket_port>33333</websocket_port>
</futu_opend>
"""


def test_a_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "OpenD.xml"
    path.write_text(WHOLE, encoding="utf-8")
    found = settings_of(path, {})
    assert found.config.upstream == "192.0.2.7:11112"
    assert found.config.upstream_rsa_private_key == "/etc/opend/rsa.pem"
    assert found.config.telnet == "127.0.0.1:22222"
    assert sorted(found.sources) == ["telnet", "upstream", "upstream_rsa_private_key"]
    taken = "upstream = 192.0.2.7:11112, upstream_rsa_private_key = /etc/opend/rsa.pem and telnet = 127.0.0.1:22222"
    assert found.notes == (
        f"{path} is OpenD's configuration; taken from it: {taken}",
        f"{path}: OpenD's WebSocket service has port 33333, opendmux's own; give another one by --listen",
        f"{path}: ignored, for they are OpenD's own affair: login_account, login_pwd, login_pwd_md5, websocket_port",
    )
    said = " ".join(found.notes)
    assert not [secret for secret in ("hunter2", "e10adc", "100000") if secret in said]


@pytest.mark.parametrize("declared", ["utf-8", "GB2312", "gbk", "gb18030", None])
@pytest.mark.parametrize("written", ["utf-8", "gb2312", "gb18030"])
def test_chinese_comments_in_the_encoding_of_a_chinese_editor(declared: str | None, written: str) -> None:
    text = WHOLE.removeprefix('<?xml version="1.0" encoding="utf-8"?>\n').replace("/etc/opend", "/etc/开放")
    if declared is not None:
        text = f"<?xml version='1.0' encoding='{declared}' standalone='yes'?>\n{text}"
    data, _notes = read_opend_xml(text.encode(written), "OpenD.xml")
    assert data["upstream"] == "192.0.2.7:11112"
    assert data["upstream_rsa_private_key"] == "/etc/开放/rsa.pem"


def test_chinese_comments_of_taiwan_and_utf_16() -> None:
    for encoding, said in (("big5", "監聽"), ("utf-16", "监听")):
        text = f'<?xml version="1.0" encoding="{encoding}"?><o><!-- {said} --><api_port>5</api_port></o>'
        assert read_opend_xml(text.encode(encoding), "OpenD.xml")[0] == {"upstream": "127.0.0.1:5"}


def test_an_encoding_that_is_none_is_one_sentence() -> None:
    for content in (b'<?xml version="1.0" encoding="klingon"?><o><api_port>5</api_port></o>', b"<o>\xff\xff</o>"):
        with pytest.raises(ConfigError, match=r"OpenD\.xml is not XML that can be read: "):
            read_opend_xml(content, "OpenD.xml")


def test_options_win_over_it(tmp_path: Path) -> None:
    path = tmp_path / "OpenD.xml"
    path.write_text(WHOLE, encoding="utf-8")
    assert settings_of(path, {"OPENDMUX_UPSTREAM": "sim"}).config.upstream == "sim"


def test_a_file_of_another_name_is_known_by_how_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "opend.cfg"
    path.write_bytes(b"\xef\xbb\xbf\r\n<futu_opend><api_port>5</api_port></futu_opend>")
    assert settings_of(path, {}).config.upstream == "127.0.0.1:5"


def xml(inner: str, root: str = "futu_opend") -> bytes:
    return f"<{root}>{inner}</{root}>".encode()


@pytest.mark.parametrize(
    ("inner", "upstream"),
    [
        ("<ip/>", "127.0.0.1:11111"),
        ("<ip>0.0.0.0</ip><api_port>1</api_port>", "127.0.0.1:1"),
        ("<ip>::1</ip><api_port>1</api_port>", "[::1]:1"),
        ("<api_port/><rsa_private_key/><telnet_port>0</telnet_port>", "127.0.0.1:11111"),
        ("<lang>en</lang><a><b><ip>192.0.2.1</ip></b></a>", "127.0.0.1:11111"),
    ],
)
def test_what_is_left_out_is_as_opend_has_it(inner: str, upstream: str) -> None:
    data, _notes = read_opend_xml(xml(inner), "x")
    assert data == {"upstream": upstream}


BOMB = b'<!DOCTYPE a [<!ENTITY x "xxxxxxxx"><!ENTITY y "&x;&x;&x;">]><futu_opend><ip>&y;</ip></futu_opend>'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is not XML that can be read: no element found"),
        (b"<futu_opend>", "is not XML that can be read"),
        (b"<a/><b/>", "is not XML that can be read"),
        (b'<?xml version="1.0" encoding="nonsense"?><a/>', "is not XML that can be read"),
        (xml("<ip>&x;</ip>"), "is not XML that can be read: undefined entity"),
        (BOMB, "a document type (<!DOCTYPE ...>) has no place"),
        (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><futu_opend/>', "a document type"),
        (xml("<body/>", "html"), "is not OpenD's configuration: it has neither <api_port>"),
        (xml("<api_port>http</api_port>"), "x: <api_port> '127.0.0.1:http': 'http' is not a port number"),
        (xml("<api_port>0</api_port>"), "<api_port> is 0"),
        (xml("<telnet_port>x</telnet_port><ip/>"), "x: <telnet_port> "),
        (xml("<api_port>1</api_port><api_port>2</api_port>"), "has <api_port> twice"),
        (xml("<ip>" + "1" * 5000 + "</ip>"), "<ip> is longer than 4096 characters"),
        (xml("<a>" * 20 + "</a>" * 20), "nested too deep"),
        (xml("".join(f"<a{n}/>" for n in range(200))), "over 100 options"),
    ],
)
def test_what_can_not_be_read_is_said(content: bytes, said: str) -> None:
    with pytest.raises(ConfigError) as caught:
        read_opend_xml(content, "x")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_huge_file_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "OpenD.xml"
    path.write_bytes(b"<a>" + b" " * 2**20)
    with pytest.raises(ConfigError, match="larger than 1048576 bytes"):
        settings_of(path, {})


@settings(derandomize=True, deadline=None, max_examples=200)
@given(st.binary(max_size=60) | st.text("<>/!&;?apiort_0 ", max_size=60).map(str.encode))
def test_any_bytes_are_settings_or_a_config_error(content: bytes) -> None:
    for tried in (content, xml("<api_port>1</api_port>") + content, b"<f><ip/>" + content + b"</f>"):
        try:
            read_opend_xml(tried, "x")
        except ConfigError:
            continue


def test_options_to_be_looked_at_hold_no_secret() -> None:
    options = read_opend_options(WHOLE.encode(), "OpenD.xml")
    assert options.values["api_port"] == "11112"
    assert options.filled >= {"login_account", "login_pwd", "login_pwd_md5"}
    assert not [secret for secret in ("hunter2", "e10adc", "100000") if secret in repr(options)]
    with pytest.raises(ConfigError, match="is not OpenD's configuration"):
        read_opend_options(b"<html/>", "OpenD.xml")
