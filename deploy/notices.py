"""The licences of what is inside the single executable, in one text file beside it.

    python deploy/notices.py EXECUTABLE OUT

Run by the Python that the executable was built with. A package that was bundled and has no licence text is an error.
So is a library that may not be passed on like this.
"""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

FORBIDDEN = ("readline", "libgdbm", "libdb-", "libdb.")
"""Names of libraries under licences that would cover the whole executable."""
LIBRARIES = {
    "libbz2": "bzip2 and libbzip2, (C) 1996-2019 Julian R Seward, BSD-style",
    "libcrypto": "OpenSSL, (C) The OpenSSL Project Authors, Apache-2.0",
    "libffi": "libffi, (C) Anthony Green, Red Hat and others, MIT",
    "libgcc_s": "GCC runtime library, (C) Free Software Foundation, GPL-3.0 with the GCC Runtime Library Exception",
    "liblzma": "liblzma of XZ Utils, public domain / 0BSD",
    "libpython": "CPython, (C) Python Software Foundation, PSF-2.0; its text is below",
    "libsqlite3": "SQLite, public domain",
    "libssl": "OpenSSL, (C) The OpenSSL Project Authors, Apache-2.0",
    "libstdc++": "GCC C++ library, (C) Free Software Foundation, GPL-3.0 with the GCC Runtime Library Exception",
    "libuuid": "libuuid of util-linux, (C) Theodore Ts'o and others, BSD-3-Clause",
    "libz": "zlib, (C) 1995-2024 Jean-loup Gailly and Mark Adler, zlib licence",
    "libzstd": "Zstandard, (C) Meta Platforms, BSD-3-Clause",
    "libexpat": "Expat, (C) Thai Open Source Software Center and others, MIT",
    "libmpdec": "libmpdec, (C) Stefan Krah, BSD-2-Clause",
    "libtinfo": "ncurses, (C) Free Software Foundation and Thomas E. Dickey, MIT-style (X11)",
    "libncursesw": "ncurses, (C) Free Software Foundation and Thomas E. Dickey, MIT-style (X11)",
}
"""Shared libraries of the build machine that may be inside, and what they are."""
TEXTS = re.compile(r"(?i)(^|/)(licen[cs]e|copying|notice)[^/]*$")


def contents(executable: str) -> list[str]:
    """Names of the files inside, and of the Python modules."""
    viewer = str(Path(sys.executable).with_name("pyi-archive_viewer"))
    words = [viewer, "--list", "--recursive", "--brief", executable]
    listed = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    return [line.strip() for line in listed.splitlines() if line.startswith(" ")]


def distributions(names: list[str]) -> list[importlib.metadata.Distribution]:
    """The packages of which something is inside."""
    tops = {re.split(r"[./]", name)[0] for name in names}
    owners = importlib.metadata.packages_distributions()
    found = {owner for top in tops for owner in owners.get(top, [])}
    found.add("pyinstaller")  # its boot loader
    return [importlib.metadata.distribution(name) for name in sorted(found, key=str.lower)]


def texts(distribution: importlib.metadata.Distribution) -> Iterator[str]:
    """Its licence files."""
    for file in distribution.files or ():
        if ".dist-info/" in str(file) and TEXTS.search(str(file)):
            yield Path(str(distribution.locate_file(file))).read_text(encoding="utf-8", errors="replace").strip()


def _part(head: str, text: str) -> str:
    return f"{'=' * 78}\n{head}\n{'=' * 78}\n{text.strip()}"


def main(executable: str, out: str) -> int:
    """Returns the exit code."""
    names = contents(executable)
    forbidden = [name for name in names if any(word in name for word in FORBIDDEN)]
    if forbidden:
        sys.exit(f"notices: {', '.join(forbidden)} must not be in an executable that is passed on")
    libraries = sorted({name.split(".so")[0] for name in names if re.fullmatch(r"lib[^/]+\.so[.\d]*", name)})
    parts = ["opendmux is licensed under the Apache License 2.0. The executable has in it, beside opendmux:"]
    for library in libraries:
        known = [text for start, text in LIBRARIES.items() if re.fullmatch(rf"{re.escape(start)}[-.\d]*", library)]
        if not known:
            sys.exit(f"notices: {library} is inside, and deploy/notices.py does not know its licence")
        parts.append(f"- {library}: {known[0]}")
    python = Path(sysconfig.get_path("stdlib")) / "LICENSE.txt"
    if not python.exists():
        sys.exit(f"notices: {python}, the licence of Python itself, is not there")
    parts.append(_part(f"Python {sys.version.split()[0]}", python.read_text(encoding="utf-8")))
    for distribution in distributions(names):
        found = list(texts(distribution))
        name = distribution.metadata["Name"]
        if not found:
            sys.exit(f"notices: {name} is inside and has no licence text")
        parts.append(_part(f"{name} {distribution.version}", "\n\n".join(found)))
    Path(out).write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    print(f"{out}: {len(parts)} parts")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
