"""Build the source distribution, and a wheel of it and nothing else; install both where nothing else is, and try them.

    python deploy/package.py OUT

Run by a Python that has `build`, `twine` and `pipx`. Exit code 1 with what was wrong.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

ROOT = Path(__file__).resolve().parents[1]
SMOKE = ROOT / "deploy" / "smoke.py"
NOT_SHIPPED = {".gitignore"}
MADE = {"", "PKG-INFO", "setup.cfg"}
"""What setuptools adds."""


def main(out: str) -> int:
    """Returns the exit code."""
    began = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        sdist, wheel = build(work / "built")
        check_sdist(sdist)
        check_wheel(wheel)
        run([sys.executable, "-m", "twine", "check", "--strict", str(sdist), str(wheel)])
        try_pipx(sdist, work)
        try_wheel(wheel, work)
        Path(out).mkdir(exist_ok=True)
        for made in (sdist, wheel):
            shutil.copy(made, out)
            print(f"{out}/{made.name}: {made.stat().st_size / 1e6:.2f} MB")
    print(f"the package works; {time.monotonic() - began:.0f} s")
    return 0


def build(out: Path) -> tuple[Path, Path]:
    """A wheel of the source distribution, each in an environment of its own."""
    run([sys.executable, "-m", "build", "--outdir", str(out), str(ROOT)])
    (sdist,), (wheel,) = list(out.glob("*.tar.gz")), list(out.glob("*.whl"))
    return sdist, wheel


def check_sdist(sdist: Path) -> None:
    """Everything that is in the repository, and nothing else: no build product, and no secret that lies about."""
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    tracked = set(listed.splitlines()) - NOT_SHIPPED
    if not tracked:
        print("this is no clone, so nobody can say what should be in the source distribution")
        return
    missing = sorted(tracked - names)
    if missing:
        fail(f"the source distribution lacks {', '.join(missing[:5])} ({len(missing)} files)")
    folders = {str(parent) for name in tracked for parent in Path(name).parents}
    extra = sorted(name for name in names - tracked - folders - MADE if not name.startswith("src/opendmux.egg-info"))
    if extra:
        fail(f"the source distribution has {', '.join(extra[:5])} ({len(extra)} files), which the repository has not")


def check_wheel(wheel: Path) -> None:
    """The package alone, with its compiled modules, types and data."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    for ending in (
        "opendmux/py.typed",
        "opendmux.toml",
        "status.html",
        "futu.binpb",
        "futu.proto",
        "_switch.pyi",
        "LICENSE",
    ):
        if not any(name.endswith(ending) for name in names):
            fail(f"the wheel lacks {ending}")
    compiled = sum(name.endswith((".so", ".pyd")) for name in names)
    strange = [name for name in names if not name.startswith("opendmux")]
    if compiled < 3 or strange or any(name.endswith((".c", ".pyx")) for name in names):
        fail(f"the wheel has {compiled} compiled modules, and {strange or 'sources of them'}")


def try_pipx(sdist: Path, work: Path) -> None:
    """As a user would install it, without the tree at hand."""
    environ = {
        **os.environ,
        "PIPX_HOME": str(work / "pipx"),
        "PIPX_BIN_DIR": str(work / "bin"),
        "PIPX_MAN_DIR": str(work / "man"),
    }
    environ.pop("PYTHONPATH", None)
    run([sys.executable, "-m", "pipx", "install", "--quiet", str(sdist)], environ=environ, cwd=work)
    run([sys.executable, str(SMOKE), str(work / "bin" / "opendmux")], cwd=work)


def try_wheel(wheel: Path, work: Path) -> None:
    """In an environment like that of deploy/Containerfile: without pip, filled from outside."""
    place = work / "empty"
    run([sys.executable, "-m", "venv", "--without-pip", str(place)])
    python = str(place / ("Scripts" if os.name == "nt" else "bin") / "python")
    pip = [sys.executable, "-m", "pip", "--python", python]
    run([*pip, "install", "--quiet", "--disable-pip-version-check", str(wheel)], cwd=work)
    run([sys.executable, str(SMOKE), python, "-m", "opendmux"], cwd=work)


def run(words: Sequence[str], environ: dict[str, str] | None = None, cwd: Path | None = None) -> None:
    """Run it; what it says is shown when it fails, or when it is one of ours."""
    done = subprocess.run(words, env=environ, cwd=cwd, text=True, capture_output=True, check=False)
    if str(SMOKE) in words:
        print(done.stdout, end="")
    if done.returncode != 0:
        fail(f"{' '.join(words)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")


def fail(what: str) -> NoReturn:
    """End with exit code 1."""
    sys.exit(f"package: {what}")


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
