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
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined", "-g", "-O1"]
if os.environ.get("OPENDMUX_SANITIZE"):
    # The interpreter is not built for it: preload libasan and set ASAN_OPTIONS=detect_leaks=0.
    FLAGS, LINK_FLAGS = SANITIZE, SANITIZE[:1]
elif sys.platform == "win32":
    FLAGS, LINK_FLAGS = [], []
else:
    FLAGS, LINK_FLAGS = ["-O2", "-g0", "-Wall", "-Wextra", "-Wsign-compare"], []


def extension(name: str, *c_sources: str) -> Extension:
    return Extension(
        f"opendmux.native.{name}",
        [f"_native/{name}.pyx", *c_sources],
        include_dirs=["_native"],
        # The .pyx is among them for the sdist, which takes the generated .c for the source.
        depends=[f"_native/{name}.pyx", *sorted(glob("_native/*.h") + glob("_native/*.pxd"))],
        define_macros=MACROS,
        extra_compile_args=FLAGS,
        extra_link_args=LINK_FLAGS,
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
    ),
    options={"build_ext": {"parallel": os.cpu_count() or 1}},
)
