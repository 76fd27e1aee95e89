"""Headless Chromium, driven over WebDriver by the standard library alone."""

from __future__ import annotations

import base64
import json
import shutil
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .harness import PATIENCE_S, Process

__all__ = ["Browser", "why_not"]

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--no-proxy-server",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)


def _find() -> tuple[str | None, str | None]:
    return shutil.which("chromium") or shutil.which("google-chrome"), shutil.which("chromedriver")


def why_not() -> str:
    """Why no browser can be had here; empty when one can."""
    chromium, driver = _find()
    missing = [name for name, path in (("chromium", chromium), ("chromedriver", driver)) if path is None]
    return f"{' and '.join(missing)} not on PATH (Debian: chromium chromium-driver)" if missing else ""


class Browser:
    """One window with an empty profile."""

    def __init__(self, profile: Path) -> None:
        chromium, driver = _find()
        assert chromium is not None
        assert driver is not None
        self._driver = Process([driver, "--port=0"])
        try:
            port = self._driver.wait_for(r"successfully on port (\d+)")[1]
            self._base = f"http://127.0.0.1:{port}"
            options = {"binary": chromium, "args": [*FLAGS, f"--user-data-dir={profile}"]}
            capabilities = {
                "browserName": "chrome",
                "goog:chromeOptions": options,
                "goog:loggingPrefs": {"browser": "ALL"},
            }
            session = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": capabilities}})
            self._base += f"/session/{session['sessionId']}"
        except BaseException:
            self._driver.stop()
            raise

    def _ask(self, method: str, path: str, body: object = None) -> Any:
        data = None if method == "GET" else json.dumps(body or {}).encode()
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=60) as answer:
            return json.load(answer)["value"]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._ask("DELETE", "")
        finally:
            self._driver.__exit__(kind, error, trace)

    def open(self, url: str) -> None:
        self._ask("POST", "/url", {"url": url})

    def run(self, script: str, *args: object) -> Any:
        """The value of a JavaScript function's body."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(args)})

    def text(self, selector: str) -> str:
        """What is to be read there; empty when there is nothing, or nothing is shown."""
        script = "const it = document.querySelector(arguments[0]); return it?.checkVisibility() ? it.innerText : '';"
        return str(self.run(script, selector))

    def until(self, what: str, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not holds():
            assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S:g} s\n{self.text('body')}"
            time.sleep(0.1)

    def type(self, selector: str, text: str) -> None:
        element = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        self._ask("POST", f"/element/{next(iter(element.values()))}/value", {"text": text})

    def screen(self, width: int, height: int, *, dark: bool = False) -> None:
        """How large the screen is, in CSS pixels, and which colours its owner likes."""
        metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self._cdp("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self._cdp("Emulation.setEmulatedMedia", {"features": [scheme]})

    def _cdp(self, command: str, params: object) -> Any:
        return self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": params})

    def screenshot(self, path: Path) -> None:
        """The whole page, as PNG."""
        taken = self._cdp("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": True})
        path.write_bytes(base64.b64decode(taken["data"]))

    def complaints(self) -> list[str]:
        """What the browser wrote to its console since the last time."""
        return [str(entry["message"]) for entry in self._ask("POST", "/se/log", {"type": "browser"})]
