"""Does a built or installed opendmux work by itself? Every command, every data file, a proxy that serves and stops.

    python deploy/smoke.py COMMAND...        # dist/opendmux, or: python -m opendmux

It needs the standard library alone, runs in an empty folder, and gives the command an empty environment, so that
nothing of a source tree or of another Python can help. Prints how long the start takes, and the size of a single
executable; exit code 1 with what was wrong.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

START_S = 60.0
COMMAND_S = 60.0
POSIX = os.name == "posix"


class Smoke:
    """One run. ``folder``: where everything is put."""

    def __init__(self, command: Sequence[str], folder: Path) -> None:
        self.command = command
        self.folder = folder
        # Windows itself needs some of its variables.
        kept = {} if POSIX else dict(os.environ)
        self.environ = {**kept, "PATH": "", "HOME": str(folder), "TMPDIR": str(folder), "LANG": "C.UTF-8"}

    def run(self, *words: str, code: int = 0) -> str:
        """Run to its end; returns stdout, or stderr where it is to fail."""
        done = subprocess.run(
            [*self.command, *words],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=COMMAND_S,
            check=False,
        )
        if done.returncode != code or "Traceback" in done.stderr:
            fail(f"`opendmux {' '.join(words)}` ended with {done.returncode}, not {code}: {done.stdout}{done.stderr}")
        return done.stderr if code else done.stdout

    def commands(self) -> None:
        """What does its work without a proxy."""
        began = time.monotonic()
        version = self.run("--version").strip()
        print(f"{version}: says its version after {time.monotonic() - began:.2f} s")
        if not re.fullmatch(r"opendmux \d\S*", version):
            fail(f"the version is {version!r}")
        self.run("--help")
        names = re.findall(r"\w+", self.run("nonsense", code=2).partition("there are ")[2])
        if len(names) < 8:
            fail(f"opendmux names few commands: {names}")
        for name in names:
            self.run(name, "--help")
        if "version" in names:
            self.run("version", "--json")
        self.run("config", "init")
        self.run("config", "check", "opendmux.toml")
        self.run("proto", "--out", ".")
        limits = ["--hours-window", "09:30-16:00", "--tz", "Asia/Hong_Kong"]
        self.run("keys", "add", "--keys", "keys.json", "--id", "bot", "--scopes", "qot:read", *limits)
        self.run("tls", "self-signed", "--out", "tls")
        for name in ("opendmux.toml", "futu.proto", "tls/cert.pem"):
            if not (self.folder / name).stat().st_size:
                fail(f"{name} is empty")

    def proxy(self) -> None:
        """Serve, be asked in every way that the standard library knows, and stop."""
        began = time.monotonic()
        words = [
            "--listen",
            "127.0.0.1:0",
            "--upstream",
            "sim",
            "--tls-cert",
            "tls/cert.pem",
            "--tls-key",
            "tls/key.pem",
        ]
        process = subprocess.Popen(
            [*self.command, *words], cwd=self.folder, env=self.environ, stdout=subprocess.PIPE, text=True
        )
        try:
            port = port_of(process)
            print(f"serving after {time.monotonic() - began:.2f} s")
            self.ask(http.client.HTTPConnection("127.0.0.1", port, timeout=COMMAND_S))
            trust = ssl.create_default_context(cafile=self.folder / "tls" / "cert.pem")
            self.ask(http.client.HTTPSConnection("127.0.0.1", port, timeout=COMMAND_S, context=trust))
            here = f"127.0.0.1:{port}"
            if not json.loads(self.run("status", "--json", "--connect", here))["ready"]:
                fail("`opendmux status` says that it is not ready")
            self.run("clients", "list", "--connect", here)
            if POSIX:
                self.on_a_terminal("clients", "list", "--connect", here)
                self.run("bench", "idle", "--target", here, "--clients", "2", "--seconds", "0.2")
        finally:
            process.terminate()
            code = process.wait(timeout=COMMAND_S)
        if POSIX and code != 0:
            fail(f"the proxy ended with {code}")

    def ask(self, connection: http.client.HTTPConnection) -> None:
        """The pages, and a request to OpenD."""
        for path, word in (
            ("/readyz", '"simulated":true'),
            ("/", "<html"),
            ("/metrics", "opendmux_"),
            ("/openapi.json", "/v1/request/{proto_id}"),
            ("/v1/protocols", "Trd_PlaceOrder"),
        ):
            connection.request("GET", path)
            self.judge(path, connection.getresponse(), word)
        body = json.dumps({"c2s": {"userID": "0"}})
        connection.request("POST", "/v1/request/1002", body, {"Content-Type": "application/json"})
        self.judge("GetGlobalState", connection.getresponse(), '"qotLogined"')
        connection.close()

    def judge(self, what: str, response: http.client.HTTPResponse, word: str) -> None:
        text = response.read().decode()
        if response.status != 200 or word not in text.replace(": ", ":"):
            fail(f"{what}: {response.status}, without {word}: {text[:300]}")

    def on_a_terminal(self, *words: str) -> None:
        """Tables are drawn there, by a package that is imported for it alone."""
        import pty

        ours, theirs = pty.openpty()
        process = subprocess.Popen(
            [*self.command, *words],
            cwd=self.folder,
            env={**self.environ, "TERM": "xterm"},
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
        os.close(theirs)
        text = b""
        try:
            while part := os.read(ours, 65536):
                text += part
        except OSError:  # so Linux says that the other end is closed
            pass
        os.close(ours)
        if process.wait(timeout=COMMAND_S) != 0 or b"\x1b[1m" not in text:
            fail(f"no table is drawn on a terminal: {text.decode()}")


def port_of(process: subprocess.Popen[str]) -> int:
    """The banner says it."""
    assert process.stdout is not None
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        line = process.stdout.readline()
        if not line:
            break
        found = re.search(r"connect to \S+:(\d+)", line)
        if found:
            return int(found[1])
    return fail("the proxy ended, or said nothing, before it was ready")


def fail(what: str) -> NoReturn:
    """End with exit code 1."""
    sys.exit(f"smoke test: {what}")


def main(words: Sequence[str]) -> int:
    """Returns the exit code."""
    command = [shutil.which(words[0]) or words[0], *words[1:]]
    if "/" in command[0]:
        command[0] = str(Path(command[0]).absolute())  # not resolved: a venv's python is a link
    size = Path(command[0]).stat().st_size
    if len(command) == 1 and size > 1e6:  # a small one is a script that leads elsewhere
        print(f"{words[0]}: {size / 1e6:.1f} MB")
    with tempfile.TemporaryDirectory() as folder:
        smoke = Smoke(command, Path(folder))
        smoke.commands()
        smoke.proxy()
    print("it works")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
