"""Which implementation `opendmux.native` offers, each case in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

COMPILED = ["opendmux.native._framing", "opendmux.native._scan", "opendmux.native._switch"]


def run(program: str, **environment: str) -> list[str]:
    """The lines a program prints with OPENDMUX_PURE unset, or as given."""
    env = {name: value for name, value in os.environ.items() if name != "OPENDMUX_PURE"} | environment
    done = subprocess.run([sys.executable, "-c", program], env=env, check=True, capture_output=True, text=True)
    return done.stdout.splitlines()


REPORT = f"""
import sys
import opendmux.native as native
print(native.IMPLEMENTATION)
print(all(hasattr(native, name) for name in native.__all__))
print([name for name in {COMPILED} if name in sys.modules])
print(native.Splitter.__module__, native.read_varint_untrusted.__module__, native.Switch.__module__)
"""


@pytest.mark.parametrize("environment", [{}, {"OPENDMUX_PURE": ""}, {"OPENDMUX_PURE": "0"}])
def test_native_by_default(environment: dict[str, str]) -> None:
    implementation, complete, compiled, modules = run(REPORT, **environment)
    assert implementation == "native"
    assert complete == "True"
    assert compiled == str(COMPILED)
    assert modules.split() == COMPILED


def test_pure_when_asked_for() -> None:
    implementation, complete, compiled, _ = run(REPORT, OPENDMUX_PURE="1")
    assert implementation == "pure"
    assert complete == "True"
    assert compiled == "[]"


@pytest.mark.parametrize("missing", COMPILED)
def test_missing_module_is_a_clear_error(missing: str) -> None:
    [text] = run(
        "import sys\n"
        "from opendmux.errors import ConfigError\n"
        f"sys.modules['{missing}'] = None\n"
        "try:\n"
        "    import opendmux.native\n"
        "except ConfigError as error:\n"
        "    print(error)\n"
    )
    assert text.startswith("the native modules of opendmux are missing: ")
    assert missing in text
    assert "pip install" in text
    assert "OPENDMUX_PURE=1" in text


def test_pure_does_not_need_the_compiled_modules() -> None:
    block = f"import sys\nfor name in {COMPILED}: sys.modules[name] = None\n"
    assert run(block + "import opendmux.native as n; print(n.IMPLEMENTATION)", OPENDMUX_PURE="1") == ["pure"]
