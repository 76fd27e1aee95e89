"""OpenD's troubles end to end: the simulator makes them, the real process tells a webhook and a command, the status and
`/readyz` say the same, and a program with the real SDK goes on."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import trustme

from tests.runtime.receiver import Receiver

from .harness import Control, Opendmux, SdkProgram
from .test_outage import free_port, simulator

PATIENCE_S = 20.0
HK = 1


class Scene:
    """A simulator to play tricks on, the proxy before it, and who is told."""

    def __init__(self, proxy: Opendmux, control: Control, receiver: Receiver, told: Path) -> None:
        self.proxy, self.control, self.receiver, self.told = proxy, control, receiver, told

    def get(self, path: str) -> tuple[int, Any]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.proxy.port}{path}", timeout=10) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())

    def until(self, what: str, seen: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not seen():
            assert time.monotonic() < deadline, what
            time.sleep(0.05)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "opendmux", *words, "--connect", f"127.0.0.1:{self.proxy.port}"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60)


@contextmanager
def scene(tmp_path: Path, port: int, watch: str = "ask_s = 1") -> Iterator[Scene]:
    told = tmp_path / "told"
    hook = tmp_path / "hook.py"
    hook.write_text(
        "import json, os, sys\n"
        "said = json.load(sys.stdin)\n"
        "assert said['text'] == os.environ['OPENDMUX_ALERT_TEXT']\n"
        f"open({str(told)!r}, 'a').write(said['event'] + ' ' + said['kind'] + '\\n')\n"
        "print('hook ran')\n"
    )
    with Receiver() as receiver:
        config = tmp_path / "opendmux.toml"
        config.write_text(
            f"[watch]\n{watch}\n"
            f'[[alerts]]\nname = "chat"\nwebhook = "{receiver.url()}"\nafter_s = 0.3\n'
            f'[[alerts]]\nname = "pager"\ncommand = ["{sys.executable}", "-S", "{hook}"]\nafter_s = 0.3\n'
            'kinds = ["code_needed"]\n'
        )
        with simulator(port) as control:
            proxy = Opendmux("--config", str(config), "--listen", "127.0.0.1:0", "--upstream", f"127.0.0.1:{port}")
            with proxy.wait_ready():
                yield Scene(proxy, control, receiver, told)
                assert "s3cret" not in proxy.text()


def test_every_trouble_is_told_and_over_while_a_program_goes_on(tmp_path: Path) -> None:
    with scene(tmp_path, free_port()) as it, SdkProgram("quote", it.proxy.port, tmp_path / "home") as sdk:
        sdk.wait_ready()
        sdk.ok("subscribe", ["HK.00700"], ["QUOTE"])
        sdk.wait_push("quote")
        tell, ask = it.receiver.next, it.control.ask

        it.until("nothing is unknown", lambda: it.get("/readyz")[1]["opends"][0]["quote_login"] is True)
        it.until("nor its rights", lambda: "HK stocks" in it.get("/v1/status")[1]["opends"][0]["rights"])
        status = it.get("/v1/status")[1]["opends"][0]
        assert (status["program"], status["trade_login"]) == ("ready", True)
        assert status["rights"]["HK stocks"] == "LV2"

        # A code is needed (Q4).
        ask("program_status", type=4, text="sent to 138****0000")
        code = tell("begin", "code_needed")
        assert "opendmux opend input_phone_verify_code -code=123456" in code["next_step"]
        assert code["figures"] == 'OpenD says: "sent to 138****0000".'
        assert code["text"].startswith("opendmux on ")
        ready, said = it.get("/readyz")
        assert ready == 503
        assert [one["kind"] for one in said["conditions"]] == ["code_needed"]
        it.until("the status says so", lambda: it.run("status").returncode == 1)
        it.until("the command ran", lambda: it.told.exists() and "begin code_needed" in it.told.read_text())
        ask("program_status", type=10)
        assert tell("over", "code_needed")["lasted_s"] > 0
        it.until("ready again", lambda: it.get("/readyz")[0] == 200)

        # Its logins (Q12).
        ask("notify", qot_logined=False, trd_logined=False)
        lost = {tell("begin", "login_lost")["subject"] for _ in range(2)}
        assert lost == {"quote", "trade"}
        ready, said = it.get("/readyz")
        assert ready == 503, said
        assert [one["blocks"] for one in said["conditions"]] == [True, True]
        assert "token has expired" in said["conditions"][0]["next_step"]
        it.until("stale", lambda: "stale: OpenD has lost its login for quotes" in it.run("subs").stdout)
        ask("notify")
        tell("over", "login_lost")

        # The quote right is taken by another terminal (Q8 to Q11, Q18).
        ask("lost_rights", markets=[HK])
        right = tell("begin", "right_lost")
        assert "request_highest_quote_right" in right["next_step"]
        assert "HK stocks" in right["subject"]
        lost_right = "OpenD has lost its quote right for HK stocks"
        it.until("stale", lambda: it.get("/v1/status")[1]["subscriptions"][0]["stale_reason"] == lost_right)
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{it.proxy.port}/metrics", timeout=10).read().decode()
        assert 'kind="right_lost"' in metrics
        ask("lost_rights", markets=[])
        tell("over", "right_lost")

        # Quotas, as OpenD tells them by itself.
        ask("allowed_quota", subscriptions=100, history=20)
        ask("used_quota", subscriptions=1, history=19)
        assert tell("begin", "quota")["figures"] == "19 of 20 are used."
        ask("used_quota", subscriptions=1, history=3)
        tell("over", "quota")

        # Events without an end.
        ask("event", type=14, text="")
        assert "trade password" in tell("happened", "program")["conclusion"]

        sdk.wait_push("quote")
        assert sdk.ok("get_stock_quote", ["HK.00700"]) is not None


def test_a_feed_that_falls_silent(tmp_path: Path) -> None:
    with (
        scene(tmp_path, free_port(), "ask_s = 1\nmute_s = 2") as it,
        SdkProgram("quote", it.proxy.port, tmp_path / "home").wait_ready() as sdk,
    ):
        sdk.ok("subscribe", ["HK.00700", "HK.09988"], ["QUOTE", "TICKER"])
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            sdk.wait_push("quote")
        it.control.ask("mute")
        mute = it.receiver.next("begin", "mute")
        assert (mute["subject"], mute["kind"]) == ("HK", "mute")
        assert it.get("/readyz")[0] == 200
        it.control.ask("mute", on=False)
        it.receiver.next("over", "mute")


def test_opend_goes_away(tmp_path: Path) -> None:
    with scene(tmp_path, free_port()) as it:
        it.control.ask("crash", seconds=3)
        down = it.receiver.next("begin", "upstream_down")
        assert "opendmux doctor" in down["next_step"]
        assert it.get("/readyz")[0] == 503
        it.receiver.next("over", "upstream_down")
        it.until("ready again", lambda: it.get("/readyz")[0] == 200)


def test_kicked_and_an_order_of_which_nobody_knows(tmp_path: Path) -> None:
    with (
        scene(tmp_path, free_port()) as it,
        SdkProgram("trade", it.proxy.port, tmp_path / "home").wait_ready() as sdk,
    ):
        it.until("its rights are known", lambda: bool(it.get("/v1/status")[1]["opends"][0]["rights"]))
        it.control.ask("kick", seconds=2)
        taken = it.receiver.next("begin", "right_lost")
        assert "HK stocks" in taken["subject"], "all markets are one alert"
        assert "US stocks" in taken["subject"]
        it.receiver.next("over", "right_lost")

        it.control.ask("program_status", type=11, text="")
        kicked = it.receiver.next("begin", "kicked")
        assert "opendmux opend relogin" in kicked["next_step"]
        assert it.get("/readyz")[0] == 503
        it.control.ask("program_status", type=10)
        it.receiver.next("over", "kicked")

        it.control.ask("trick", act="drop", proto_id=2202, executed=True)
        ret, _text = sdk.call("place_order", 1.0, 100, "HK.00700", "BUY", order_type="NORMAL", trd_env="SIMULATE")
        assert ret == -1
        unknown = it.receiver.next("happened", "outcome_unknown")
        assert unknown["figures"].startswith(
            "2202 Trd_PlaceOrder: the connection was lost before the answer. The order: "
        )
        assert unknown["figures"].endswith("code 00700, side BUY, order type NORMAL, qty 100, price 1.")
        assert "before you send anything again" in unknown["next_step"]


def test_a_key_that_expires_soon(tmp_path: Path) -> None:
    keys = tmp_path / "keys.json"
    command = [sys.executable, "-m", "opendmux", "keys", "add", "--keys", str(keys), "--scopes", "qot:read"]
    subprocess.run([*command, "--id", "bot", "--expires", "2d"], check=True, capture_output=True, timeout=60)
    with Receiver() as receiver:
        config = tmp_path / "opendmux.toml"
        config.write_text(f'keys = "{keys}"\n[[alerts]]\nwebhook = "{receiver.url()}"\nafter_s = 0\n')
        arguments = ["--config", str(config), "--listen", "127.0.0.1:0", "--upstream", "sim"]
        with Opendmux(*arguments).wait_ready():
            told = receiver.next("begin", "key_expiring")
            assert (told["subject"], told["opend"]) == ("bot", "")
            assert "opendmux keys rotate bot" in told["next_step"]


def test_one_for_trial(tmp_path: Path) -> None:
    with scene(tmp_path, free_port()) as it:
        tested = it.run("alerts", "test")
        assert (tested.returncode, tested.stdout) == (0, "chat: delivered\npager: delivered\n")
        assert it.receiver.next("test", "test")["text"].endswith("Next step: Nothing is to be done.")
        assert it.told.read_text() == "test test\n"
        it.receiver.statuses = [404]
        tested = it.run("alerts", "test", "chat")
        assert tested.returncode == 1
        assert "status 404" in tested.stdout
        assert "s3cret" not in tested.stdout
        nobody = it.run("alerts", "test", "nobody")
        assert nobody.returncode == 1
        assert "no alert is called 'nobody' (there are: chat, pager)" in nobody.stderr


def test_a_certificate_that_is_not_good(tmp_path: Path) -> None:

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("localhost").configure_cert(context)
    with Receiver(context) as receiver:
        config = tmp_path / "opendmux.toml"
        config.write_text(f'[[alerts]]\nwebhook = "{receiver.url()}"\n')
        arguments = ["--config", str(config), "--listen", "127.0.0.1:0", "--upstream", "sim"]
        with Opendmux(*arguments).wait_ready() as proxy:
            command = [sys.executable, "-m", "opendmux", "alerts", "test", "--connect", f"127.0.0.1:{proxy.port}"]
            tested = subprocess.run(command, capture_output=True, text=True, timeout=60)
            assert tested.returncode == 1
            assert "its certificate is not good" in tested.stdout
            assert receiver.bodies.empty()
