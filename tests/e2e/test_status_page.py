"""The status page in a real browser, in front of the simulator; and its logic in Node, where there is no browser."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from opendmux.cli import main
from opendmux.wire.frame import Splitter, build_frame
from opendmux.wire.messages import encode
from opendmux.wire.pb import opend
from opendmux.wire.protocols import ProtoId

from .browser import Browser, why_not
from .harness import HERE, PATIENCE_S, Control, Opendmux, SdkProgram

PAGE = HERE.parents[1] / "src" / "opendmux" / "runtime" / "transports" / "status.html"
EVIL = '<img src=x onerror="window.broken=1"><script>window.broken=1</script>'
REQUIRED = os.environ.get("TESTS_NEED_BROWSER") == "1"

needs_browser = pytest.mark.skipif(bool(why_not()) and not REQUIRED, reason=why_not() or "there is one")


@pytest.fixture(scope="module")
def artefacts() -> Path:
    """Where pictures are left for whoever wants to look at them."""
    return Path(os.environ.get("TEST_ARTEFACTS") or tempfile.mkdtemp(prefix="opendmux-artefacts-"))


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Browser]:
    with Browser(tmp_path / "profile") as window:
        window.screen(1200, 900)
        yield window


@contextmanager
def raw_client(port: int, client_id: str) -> Iterator[None]:
    """A client of OpenD's protocol that may call itself anything."""
    c2s = opend.InitConnectC2S(clientVer=300, clientID=client_id, recvNotify=False, packetEncAlgo=-1)
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S) as connection:
        connection.sendall(build_frame(ProtoId.INIT_CONNECT, 0, 1, encode(opend.InitConnectRequest(c2s=c2s))))
        splitter = Splitter(1 << 20)
        while not splitter.feed_untrusted(connection.recv(65536)):
            pass
        yield


def rows(window: Browser, section: str) -> list[list[str]]:
    """The texts of a table's cells, as they stand in the document."""
    script = """
        return [...document.querySelectorAll(`#${arguments[0]} tbody tr`)]
            .map((row) => [...row.children].map((cell) => cell.textContent));
    """
    found: list[list[str]] = window.run(script, section)
    return found


def is_live(window: Browser) -> bool:
    return window.text("#state") == "ready" and not window.run("return document.body.classList.contains('stale')")


def test_logic_of_the_page() -> None:
    node = shutil.which("node")
    assert node is not None
    ran = subprocess.run(
        [node, str(HERE / "node" / "page_logic.js"), str(PAGE)], capture_output=True, text=True, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("ok ") == 11


@needs_browser
def test_clients_and_subscriptions_live(browser: Browser, tmp_path: Path, artefacts: Path) -> None:
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0").wait_ready() as proxy:
        browser.open(f"http://127.0.0.1:{proxy.port}/")
        browser.until("the page is live", lambda: is_live(browser))
        assert "SIMULATED" in browser.text("#simulated")
        assert rows(browser, "clients") == []
        assert browser.text("#trouble") == ""

        with SdkProgram("quote", proxy.port, tmp_path / "home").wait_ready() as sdk, raw_client(proxy.port, EVIL):
            sdk.ok("subscribe", ["HK.00700", "US.AAPL"], ["QUOTE", "TICKER"])
            for _ in range(5):
                sdk.ok("get_stock_quote", ["HK.00700"])
            browser.until("both clients", lambda: len(rows(browser, "clients")) == 2)
            browser.until("all subscriptions", lambda: len(rows(browser, "subscriptions")) == 4)
            browser.until("requests", lambda: any("Qot_GetBasicQot" in row[0] for row in rows(browser, "requests")))
            pushed = "return document.querySelectorAll('.opend .figure')[1].textContent !== '0'"
            browser.until("pushes", lambda: browser.run(pushed))
            assert {tuple(row[:3]) for row in rows(browser, "subscriptions")} == {
                (code, kind, "1") for code in ("HK.00700", "US.AAPL") for kind in ("Basic", "Ticker")
            }

            # A name is text, whatever it looks like.
            assert EVIL[:80] in [row[1] for row in rows(browser, "clients")]
            assert browser.run("return document.querySelectorAll('img').length") == 0
            assert browser.run("return window.broken") is None

            browser.run("document.querySelectorAll('#clients th button')[1].click()")
            sort = "return document.querySelectorAll('#clients thead th')[1].getAttribute('aria-sort')"
            assert browser.run(sort) == "ascending"
            assert [row[1][0] for row in rows(browser, "clients")] == ["<", "P"]
            browser.type("#clients input", "pynormal")
            browser.until("the filter", lambda: len(rows(browser, "clients")) == 1)

            browser.screenshot(artefacts / "status-light.png")
            colour = "return getComputedStyle(document.documentElement).backgroundColor"
            light = browser.run(colour)
            browser.screen(360, 740, dark=True)
            assert browser.run(colour) != light
            assert browser.run("return document.documentElement.scrollWidth") == 360
            assert browser.run("return matchMedia('(max-width: 40rem)').matches")
            shown = browser.run("return document.querySelector('#clients tbody').innerText")
            assert "\u00b7 tcp" in shown, "who it is has room on a phone too"
            browser.screenshot(artefacts / "status-phone-dark.png")
        browser.until("both have left", lambda: rows(browser, "clients") == [])
        assert browser.complaints() == []


@needs_browser
def test_stale_when_the_proxy_stops_and_live_when_it_is_back(browser: Browser, artefacts: Path) -> None:
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0").wait_ready() as proxy:
        browser.open(f"http://127.0.0.1:{proxy.port}/")
        browser.until("the page is live", lambda: is_live(browser))
    browser.until("stale", lambda: browser.text("#state") == "stale")
    assert "STALE" in browser.text("#stale")
    assert browser.run("return document.title").startswith("stale")
    browser.screenshot(artefacts / "status-stale.png")
    with Opendmux("--upstream", "sim", "--listen", f"127.0.0.1:{proxy.port}").wait_ready():
        browser.until("live again", lambda: is_live(browser))
        assert browser.text("#stale") == ""


@needs_browser
def test_an_opend_that_is_away_is_unmissable(browser: Browser, artefacts: Path) -> None:
    sim = Opendmux("sim", "--listen", "127.0.0.1:0")
    with sim:
        at = int(sim.wait_for(r"127\.0\.0\.1:(\d+)")[1])
        proxy = Opendmux("--upstream", f"127.0.0.1:{at}", "--listen", "127.0.0.1:0").wait_ready()
        with proxy:
            browser.open(f"http://127.0.0.1:{proxy.port}/")
            browser.until("the page is live", lambda: is_live(browser))
            assert browser.text("#simulated") == ""
            sim.stop()
            browser.until("the banner", lambda: "OpenD is not connected" in browser.text("#trouble"))
            assert "reconnecting" in browser.text("#trouble")
            assert browser.text("#state") == "OpenD down"
            assert "NOT CONNECTED" in browser.text(".opend .pill")
            assert browser.run("return document.title").startswith("OpenD down")
            browser.screenshot(artefacts / "status-down.png")


@needs_browser
def test_what_is_wrong_stands_on_top(browser: Browser, artefacts: Path) -> None:
    with Opendmux("sim", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0") as sim:
        found = sim.wait_for(r"on \S+:(\d+), .*control on \S+:(\d+)")
        control = Control(int(found[2]))
        with Opendmux("--upstream", f"127.0.0.1:{found[1]}", "--listen", "127.0.0.1:0").wait_ready() as proxy:
            browser.open(f"http://127.0.0.1:{proxy.port}/")
            browser.until("the page is live", lambda: is_live(browser))
            assert browser.text("#conditions") == "", "nothing is wrong, nothing is shown"
            control.ask("program_status", type=4, text=EVIL)
            browser.until("the code", lambda: len(rows(browser, "conditions")) == 1)
            ((_since, what, step),) = rows(browser, "conditions")
            assert "waits for the code that was sent to the phone" in what
            assert EVIL in what, "OpenD's words are text, whatever they look like"
            assert "opendmux opend input_phone_verify_code -code=123456" in step
            assert browser.run("return document.querySelectorAll('img').length") == 0
            assert browser.text("#state") == "not ready"
            first = "return document.querySelector('#figures > section:not([hidden])').id"
            assert browser.run(first) == "conditions"
            browser.screenshot(artefacts / "status-code-needed.png")
            control.ask("program_status", type=10)
            control.ask("lost_rights", markets=[1])
            browser.until("a right", lambda: browser.text("#state") == "ready, 1 to look at")
            control.ask("lost_rights", markets=[])
            browser.until("all is well", lambda: is_live(browser))
        control.close()


@needs_browser
def test_with_keys_it_asks_for_one(
    browser: Browser, tmp_path: Path, capsys: pytest.CaptureFixture[str], artefacts: Path
) -> None:
    keys, plaintexts = tmp_path / "keys.json", {}
    for name, scope in (("boss", "admin"), ("reader", "qot:read")):
        assert main(["keys", "add", "--keys", str(keys), "--id", name, "--scopes", scope]) == 0
        plaintexts[name] = capsys.readouterr().out.strip()
    with Opendmux("--upstream", "sim", "--listen", "127.0.0.1:0", "--keys", str(keys)).wait_ready() as proxy:
        browser.open(f"http://127.0.0.1:{proxy.port}/")
        browser.until("the prompt", lambda: browser.text("#state") == "locked")
        assert browser.run("return document.getElementById('figures').hidden")
        browser.type("#key", plaintexts["reader"] + "\n")
        browser.until("the refusal", lambda: "lacks the scope admin" in browser.text("#why"))
        browser.screenshot(artefacts / "status-locked.png")
        browser.type("#key", plaintexts["boss"] + "\n")
        browser.until("the page is live", lambda: is_live(browser))
        browser.until("what was refused", lambda: any("http" in str(row) or row for row in rows(browser, "rejects")))
        assert plaintexts["boss"] not in browser.run("return document.documentElement.outerHTML")
