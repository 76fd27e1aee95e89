"""opendmux: many programs share one Futu/moomoo OpenD.

Five words, five places: *wire* turns bytes into events and back, *core* decides, *runtime* does the I/O with Trio,
*native* is the hot path, *sim* is OpenD in a box. `open_proxy` runs a proxy inside a Trio program.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from ._api import open_proxy
    from .config import Config
    from .errors import ConfigError, OpendmuxError

__all__ = ["Config", "ConfigError", "OpendmuxError", "__version__", "open_proxy"]

_LAZY = {"Config": "config", "ConfigError": "errors", "OpendmuxError": "errors", "open_proxy": "_api"}


def __getattr__(name: str) -> object:
    # `opendmux --help` must not pay for trio.
    if name in _LAZY:
        from importlib import import_module

        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
