"""The ways to a SHA-1, by size of the body: nanoseconds per digest, the best of several runs.

    python bench/sha1.py [/path/to/libcrypto.so]

Builds a small library with the C compiler. The first columns are called from C, as the switch does; the last ones from
Python. "plain C" is CPython's own implementation, which stands for any without the CPU's instructions.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import importlib
import platform
import subprocess
import sys
import sysconfig
import tempfile
import timeit
from pathlib import Path
from typing import TYPE_CHECKING

from opendmux.native import body_sha1, sha1_backend

if TYPE_CHECKING:
    from collections.abc import Callable

HERE = Path(__file__).resolve().parent
NATIVE = HERE.parent / "_native"
SIZES = [0, 20, 55, 56, 100, 200, 300, 1000, 4096, 16384, 65536]
RUNS = 7
RUN_NS = 4_000_000
"""Aimed length of one run: long enough for the clock, short enough to fall between the neighbours' bursts."""

IN_C = ["own", "one-shot", "low level"]


def build(folder: Path) -> ctypes.PyDLL:
    """The candidates in one library; PyDLL, because the fallback of ours calls Python."""
    target = folder / "candidates.so"
    compiler = (sysconfig.get_config_var("CC") or "cc").split()[0]
    sources = [str(HERE / "sha1_candidates.c"), str(NATIVE / "_sha1.c")]
    includes = [f"-I{NATIVE}", f"-I{sysconfig.get_path('include')}"]
    subprocess.run([compiler, "-O2", "-shared", "-fPIC", *includes, *sources, "-ldl", "-o", str(target)], check=True)
    library = ctypes.PyDLL(str(target))
    library.measure.restype = ctypes.c_double
    library.measure.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_char_p]
    library.find_openssl.argtypes = [ctypes.c_char_p]
    if library.sha1_init():
        raise SystemExit("hashlib has no sha1")
    return library


def in_c(library: ctypes.PyDLL, candidate: str, data: bytes) -> float:
    out = ctypes.create_string_buffer(20)

    def once(rounds: int) -> float:
        return float(library.measure(candidate.encode(), data, len(data), rounds, out))

    rounds = max(1, int(RUN_NS / max(once(100), 1)))
    best = min(once(rounds) for _ in range(RUNS))
    if out.raw != hashlib.sha1(data).digest():
        raise SystemExit(f"{candidate} computes a wrong digest")
    return best


def in_python(digest: Callable[[bytes], object], data: bytes) -> float:
    timer = timeit.Timer(lambda: digest(data))
    rounds = max(1, int(RUN_NS / (timer.timeit(100) / 100 * 1e9)))
    return min(timer.repeat(RUNS, rounds)) / rounds * 1e9


def main() -> None:
    libcrypto = sys.argv[1] if len(sys.argv) > 1 else ctypes.util.find_library("crypto")
    with tempfile.TemporaryDirectory() as folder:
        library = build(Path(folder))
        candidates = IN_C if libcrypto and library.find_openssl(libcrypto.encode()) == 0 else IN_C[:1]
        plain_sha1 = importlib.import_module("_sha1").sha1
        from_python: dict[str, Callable[[bytes], object]] = {
            "body_sha1": body_sha1,
            "hashlib": lambda data: hashlib.sha1(data).digest(),
            "plain C": lambda data: plain_sha1(data).digest(),
        }
        print(f"{platform.machine()}, Python {platform.python_version()}, {libcrypto}, own = {sha1_backend()}")
        print("  bytes" + "".join(f"{name:>12}" for name in [*candidates, *from_python]))
        for size in SIZES:
            data = bytes(size)
            times = [in_c(library, candidate, data) for candidate in candidates]
            times += [in_python(digest, data) for digest in from_python.values()]
            print(f"{size:7}" + "".join(f"{time:12.0f}" for time in times))


if __name__ == "__main__":
    main()
