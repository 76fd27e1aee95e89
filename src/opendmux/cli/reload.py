"""SIGHUP: the settings, the keys, the certificates and the audit log once more, and what came of it in the log."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

from opendmux.config import Config
from opendmux.config.changes import changes, with_live
from opendmux.config.schema import LIVE
from opendmux.config.sources import Settings
from opendmux.errors import ConfigError
from opendmux.runtime.logs import Logs
from opendmux.runtime.server import Proxy

__all__ = ["Reloader"]

log = logging.getLogger("opendmux.serve")


class Reloader:
    """Knows the settings in force and how to read them again."""

    def __init__(self, config: Config, logs: Logs, read_again: Callable[[], Settings]) -> None:
        self.config = config
        """In force: what was there at the start, with what could be changed since."""
        self._logs = logs
        self._read_again = read_again

    async def reload(self, proxy: Proxy) -> None:
        """Take over what can be; never raises ConfigError. Keys are read even where the settings can't be: a key that
        was revoked must not live on because of a slip in another file. Cancellation: at the keys, nothing is lost."""
        self._settings(proxy)
        try:
            await proxy.reload()
        except ConfigError as error:
            log.error("what can't be read stays as it was: %s", error)
        else:
            for said in _read_again(self.config):
                log.info("%s", said)

    def _settings(self, proxy: Proxy) -> None:
        try:
            new = self._read_again()
        except ConfigError as error:
            log.error("the settings of before stay in force: %s", error)
            return
        found = changes(self.config, new.config)
        for change in found:
            if change.live:
                for_whom = LIVE[change.key]
                log.info("%s%s", change, f", {for_whom}" if for_whom else "")
            else:
                log.warning("%s needs a restart", change)
        self.config = with_live(self.config, new.config)
        proxy.apply(self.config)
        self._logs.apply(self.config)
        if not found:
            log.info("the settings are as they were")


def _read_again(config: Config) -> Iterator[str]:
    """What a proxy with these settings has read again, beside the settings themselves."""
    if config.keys:
        yield f"the keys of {config.keys} were read again"
    if config.tls.cert:
        yield f"the certificate {config.tls.cert} was read again"
    if config.audit_log:
        yield f"the audit log {config.audit_log} was opened again"
