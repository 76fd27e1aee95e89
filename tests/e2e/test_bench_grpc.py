"""The gRPC part of the benchmark: both servers answer as the stub does, and a missing h2load is said."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = str(ROOT / "bench" / "grpc_load.py")

needs_h2load = pytest.mark.skipif(shutil.which("h2load") is None, reason="h2load (nghttp2-client) is not installed")


@needs_h2load
@pytest.mark.timeout(900)
def test_both_servers_answer_every_call() -> None:
    """So many calls, not a time: a busy machine may answer none of 512 in a tenth of a second."""
    options = ["--rounds", "1", "--calls", "600"]
    done = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stdout + done.stderr
    words = done.stdout.partition("highest")[2].split()
    assert (words.count("grpc.aio"), words.count("opendmux")) == (3, 3)
    assert "failed" not in done.stdout


def test_without_h2load_a_line_says_how_to_get_it() -> None:
    options = ["--rounds", "1", "--seconds", "0.1"]
    nowhere = {**os.environ, "PATH": str(ROOT / "nowhere")}
    done = subprocess.run([sys.executable, SCRIPT, *options], capture_output=True, text=True, env=nowhere)
    assert done.returncode == 1
    assert done.stdout.strip() == (
        "skipped: gRPC: h2load is not on the PATH (Debian, Ubuntu: apt-get install nghttp2-client)"
    )
