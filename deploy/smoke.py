"""Does a built opendmux run? Start it with its simulator on a free port, ask over HTTP, stop it.

Usage: smoke.py PATH-OF-THE-BINARY. Prints size and start time; exit code 1 when something is wrong.
"""

from __future__ import annotations

import http.client
import json
import re
import subprocess
import sys
import time
from pathlib import Path

START_S = 30.0


def main(binary: str) -> int:
    began = time.monotonic()
    process = subprocess.Popen(
        [binary, "--listen", "127.0.0.1:0", "--upstream", "sim"], stdout=subprocess.PIPE, text=True
    )
    try:
        port = _port_of(process)
        started_s = time.monotonic() - began
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/readyz")
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        if response.status != 200 or not answer["simulated"]:
            print(f"not ready: {response.status} {answer}", file=sys.stderr)
            return 1
    finally:
        process.terminate()
        code = process.wait(timeout=20)
    if code != 0:
        print(f"it ended with {code}", file=sys.stderr)
        return 1
    print(f"{binary}: {Path(binary).stat().st_size / 1e6:.1f} MB, serving after {started_s:.2f} s")
    return 0


def _port_of(process: subprocess.Popen[str]) -> int:
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
    raise SystemExit("it ended, or said nothing, before it was ready")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
