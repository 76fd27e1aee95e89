"""The compiled modules; everything else about the package is in pyproject.toml."""

import os
import sys
from glob import glob

from Cython.Build import cythonize
from setuptools import Extension, setup

TRACE = bool(os.environ.get("OPENDMUX_TRACE"))
"""Build for line coverage of the .pyx files."""

MACROS: list[tuple[str, str | None]] = (
    [("CYTHON_TRACE_NOGIL", "1"), ("CYTHON_USE_SYS_MONITORING", "0")] if TRACE else []
)
FLAGS = [] if sys.platform == "win32" else ["-O2", "-g0", "-Wall", "-Wextra", "-Wsign-compare"]


def extension(name: str, *c_sources: str) -> Extension:
    return Extension(
        f"opendmux.native.{name}",
        [f"_native/{name}.pyx", *c_sources],
        include_dirs=["_native"],
        depends=["_native/_tables.h", "_native/_wire.pxd", *glob("_native/_load_*.h")],
        define_macros=MACROS,
        extra_compile_args=FLAGS,
    )


setup(
    ext_modules=cythonize(
        [
            extension("_framing", "_native/_sha1.c"),
            extension("_scan"),
            extension("_switch", "_native/_sha1.c"),
            # The benchmark's own ends need POSIX sockets; `opendmux bench` says so where they are missing.
            *([extension("_load", "_native/_load_drive.c", "_native/_load_stub.c")] if os.name == "posix" else []),
        ],
        include_path=["_native"],
        force=TRACE,
        compiler_directives={"language_level": "3", "linetrace": TRACE},
    )
)
