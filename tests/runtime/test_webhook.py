"""The small HTTP client, against real servers."""

from __future__ import annotations

import re
import ssl
from pathlib import Path

import pytest
import trio
import trustme

from opendmux.errors import ConfigError
from opendmux.runtime.webhook import WebhookError, open_webhook

from .receiver import PATIENCE_S, Receiver


async def post(url: str, ca: str = "") -> None:
    with trio.fail_after(PATIENCE_S):
        await open_webhook(url, ca, "alerts: test").post(b'{"event": "test"}')


async def problem(url: str, ca: str = "") -> WebhookError:
    with pytest.raises(WebhookError) as caught:
        await post(url, ca)
    assert "s3cret" not in str(caught.value)
    return caught.value


async def test_a_post() -> None:
    with Receiver() as receiver:
        await post(receiver.url())
        ((path, headers),) = receiver.requests
        assert path == "/hooks/s3cret?token=t0ken"
        assert headers["Content-Type"] == "application/json"
        assert headers["Host"] == f"127.0.0.1:{receiver.server_port}"
        assert headers["User-Agent"].startswith("opendmux/")
        assert receiver.bodies.get_nowait() == {"event": "test"}
        await post(receiver.url(""))
        assert receiver.requests[1][0] == "/"


@pytest.mark.parametrize(
    ("status", "hopeless"),
    [(204, None), (302, True), (400, True), (404, True), (408, False), (429, False), (500, False), (503, False)],
)
async def test_answers(status: int, hopeless: bool | None) -> None:
    with Receiver() as receiver:
        receiver.statuses = [status]
        if hopeless is None:
            await post(receiver.url())
            return
        error = await problem(receiver.url())
        assert f"status {status}" in str(error)
        assert error.hopeless is hopeless
        assert ("redirects are not followed" in str(error)) is (status == 302)


async def test_no_answer_at_all() -> None:
    with Receiver() as receiver:
        receiver.statuses = [0]
        assert "without an answer" in str(await problem(receiver.url()))
        url = receiver.url()
    error = await problem(url)
    assert str(error).endswith("can't be reached: Connection refused")
    assert not error.hopeless


async def test_what_is_no_http() -> None:
    async def babble(stream: trio.SocketStream) -> None:
        await stream.send_all(b"220 mail.example ESMTP\r\n")
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(trio.serve_tcp, babble, 0)
        port = listeners[0].socket.getsockname()[1]
        error = await problem(f"http://127.0.0.1:{port}/s3cret")
        assert re.search("does not answer in HTTP|broke the connection|without an answer", str(error))
        nursery.cancel_scope.cancel()


async def test_certificates_are_checked(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with Receiver(context) as receiver:
        await post(receiver.url(), str(tmp_path / "ca.pem"))
        assert receiver.bodies.get_nowait() == {"event": "test"}
        assert "certificate is not good" in str(await problem(receiver.url()))
        by_address = receiver.url().replace("localhost", "127.0.0.1")
        assert "certificate is not good" in str(await problem(by_address, str(tmp_path / "ca.pem")))
        assert receiver.bodies.empty()


def test_authorities_that_can_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    for name in ("ca.pem", "missing.pem"):
        with pytest.raises(ConfigError, match=r"alerts: ops: the authorities in .* can't be read"):
            open_webhook("https://hooks.example/x", str(tmp_path / name), "alerts: ops")


def test_its_name_hides_the_path() -> None:
    assert str(open_webhook("https://hooks.example/s3cret?t=1", "", "x")) == "https://hooks.example:443/..."
