"""The figures of a run as one table, and what machine and versions they belong to."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple


class Point(NamedTuple):
    """One load: clients x requests in flight each, body size in bytes."""

    clients: int
    in_flight: int
    body: int

    def __str__(self) -> str:
        size = f"{self.body // 1024} KiB" if self.body % 1024 == 0 else f"{self.body} B"
        return f"{self.clients} x {self.in_flight}, {size}"


Rounds = dict[tuple[Point, str], list[dict[str, Any] | None]]
"""The result of each round, None where it failed."""

BASELINE = "haproxy"


def cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def haproxy_version() -> str:
    if not shutil.which("haproxy"):
        return "not installed"
    words = subprocess.run(["haproxy", "-v"], capture_output=True, text=True).stdout.split()
    return words[2] if len(words) > 2 else "unknown"


def sha1_backend() -> str:
    try:
        from opendmux.native._framing import sha1_backend as backend
    except ImportError:
        return "none"
    return backend()


def environment() -> dict[str, Any]:
    from opendmux._version import __version__

    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "versions": {
            "opendmux": __version__,
            "python": platform.python_version(),
            "trio": version_of("trio"),
            "cython": version_of("cython"),
            "haproxy": haproxy_version(),
        },
        "sha1": sha1_backend(),
    }


def summarize(rounds: Rounds) -> list[dict[str, Any]]:
    """The medians of each load point and target, in the order of measurement.

    The ratio to the baseline is taken within each round, where both met the same noise, and then its median.
    """
    return [summarize_one(point, name, rounds) for point, name in rounds]


def summarize_one(point: Point, name: str, rounds: Rounds) -> dict[str, Any]:
    results = rounds[point, name]
    good = [result for result in results if result]
    row: dict[str, Any] = {**point._asdict(), "target": name, "failed": len(results) - len(good), "rounds": good}
    if good:
        rates = [result["frames_per_second"] for result in good]
        row |= {"frames_per_second": median(rates), "lowest": min(rates), "highest": max(rates)}
        row |= {key: median(result[key] for result in good) for key in ("p50_us", "p99_us")}
    ratios = [
        result["frames_per_second"] / base["frames_per_second"]
        for result, base in zip(results, rounds.get((point, BASELINE), []), strict=False)
        if result and base
    ]
    if ratios:
        row["ratio"] = median(ratios)
    return row


HEADING = f"{'load':<16}{'target':<10}{'frames/s':>11}{'p50 us':>9}{'p99 us':>9}{'/ HAProxy':>11}   lowest - highest"


def table(rows: list[dict[str, Any]]) -> str:
    lines = [HEADING]
    previous = None
    for row in rows:
        point = Point(row["clients"], row["in_flight"], row["body"])
        if previous not in (None, point):
            lines.append("")
        lines.append(f"{'' if point == previous else str(point):<16}{row['target']:<10}{cells(row)}")
        previous = point
    return "\n".join(lines)


def cells(row: dict[str, Any]) -> str:
    if "frames_per_second" not in row:
        return "     failed in every round"
    ratio = f"{row['ratio']:.2f}" if "ratio" in row else "-"
    failed = f"   failed in {row['failed']} rounds" if row["failed"] else ""
    return (
        f"{row['frames_per_second']:>11,.0f}{row['p50_us']:>9,.0f}{row['p99_us']:>9,.0f}{ratio:>11}"
        f"   {row['lowest']:,.0f} - {row['highest']:,.0f}{failed}"
    )


def headline(about: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in about["versions"].items())
    return f"{about['cpu']}, {about['cores']} cores, {about['system']}\n{versions}, SHA-1 by {about['sha1']}"
