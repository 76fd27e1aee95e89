"""The import arrows of the house plan, checked on the syntax tree."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1] / "src" / "opendmux"

ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "wording": set(),
    "_version": set(),
    "config": {"errors", "wording"},
    "native": {"errors"},
    "wire": {"native", "errors"},
    "core": {"wire", "native", "config", "errors", "wording"},
    "runtime": {"core", "wire", "native", "config", "errors", "wording", "_version"},
    "sim": {"wire", "errors"},
    "cli": {"runtime", "sim", "core", "wire", "config", "errors", "wording", "native", "_version"},
    "_api": {"cli", "runtime", "config"},
    "__init__": {"_api", "config", "errors", "_version"},
    "__main__": {"cli"},
}

IO_MODULES = {"trio", "socket", "select", "ssl", "subprocess", "time", "random", "secrets", "asyncio", "threading"}
PURE = {"errors", "wording", "config", "native", "wire", "core"}


def layer_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """Absolute names of everything the file imports, relative imports resolved."""
    package = ("opendmux", *path.relative_to(ROOT).parts[:-1])
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = (*base, *(node.module.split(".") if node.module else ()))
            yield ".".join(module)
            yield from (".".join((*module, alias.name)) for alias in node.names)


def violations(path: Path) -> list[str]:
    layer = layer_of(path)
    found = []
    for name in imported(path):
        parts = name.split(".")
        if parts[0] == "opendmux" and len(parts) > 1:
            target = parts[1]
            known = (ROOT / target).is_dir() or (ROOT / f"{target}.py").exists()
            if known and target != layer and target not in ALLOWED[layer]:
                found.append(f"{layer} -> {target}")
        if layer in PURE and parts[0] in IO_MODULES:
            found.append(f"{layer} imports {parts[0]}")
    return sorted(set(found))


FILES = sorted(ROOT.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path) -> None:
    assert layer_of(path) in ALLOWED, "a new room needs its arrows"
    assert violations(path) == []


def test_only_cli_knows_the_simulator() -> None:
    users = {layer_of(path) for path in FILES if any(name.startswith("opendmux.sim") for name in imported(path))}
    assert users <= {"cli", "sim"}


def test_a_planted_violation_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root = tmp_path / "opendmux"
    for room in ("wire", "core", "runtime"):
        (root / room).mkdir(parents=True)
    bad = root / "wire" / "bad.py"
    bad.write_text("import trio\nfrom opendmux.core import router\nfrom ..runtime import hub\n")
    monkeypatch.setitem(globals(), "ROOT", root)
    assert violations(bad) == ["wire -> core", "wire -> runtime", "wire imports trio"]
