"""What support needs, in one file: the report, versions, settings, the state of the running proxy, the ends of logs.

Every text passes through `_redact` on its way in, numbers of a snapshot excepted. The file is new, complete or not
there at all, and readable by its owner alone.
"""

from __future__ import annotations

import io
import json
import os
import sys
import tarfile
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from opendmux.errors import ConfigError

from ._examination import Examination
from ._finding import tree_of
from ._folders import tail_of
from ._machine import sdk_versions, versions
from ._redact import redacted, redacted_log, redacted_setting
from ._show import text_of

__all__ = ["contents_of", "write_bundle"]

LOG_BYTES: Final = 1024 * 1024
"""Of each log's end; OpenD's support asks for the whole log where that is not enough."""
WARNING: Final = (
    "opendmux: the end of OpenD's log is in the bundle. Passwords, phone and account numbers that look like such are "
    "taken out, but it may still hold personal data: read it before you send it."
)
README: Final = """\
# A bundle for support, made by `opendmux doctor --bundle`

| file | what it is |
|---|---|
{table}

Taken out wherever they were recognised: passwords and their MD5, keys and their hashes, tokens, private keys, paths of
web addresses. Names of clients, key ids, addresses of this network and paths of files are still there: read the files
before you send them.

## What to write besides

1. The time of the error, with the time zone, and what you did then.
2. The version of OpenD: {opend}.
3. The version of the SDK and of the language: {sdks}, Python {python}. Put it right if your program uses another one.
4. The call or the protocol number (such as 3001), with all its arguments, and what it answered; short code or a
   screenshot.
5. For OpenD's own support: its log. Questions about orders need log_level = info, questions about quotes need
   log_level = debug in OpenD.xml; start OpenD again, let the error come again, and add its Log folder{logs}.
"""


def check_place(path: Path) -> None:
    """Whether it looks as if the file could be made. Raises ConfigError."""
    if not path.name.endswith((".zip", ".tar.gz", ".tgz")):
        raise ConfigError(f"--bundle {path}: its name must end in .tar.gz or .zip")
    if os.path.lexists(path):
        raise ConfigError(f"--bundle {path} is there already; it is left as it is")
    if not os.access(path.parent, os.W_OK | os.X_OK):
        why = "no right to write there" if path.parent.is_dir() else f"there is no folder {path.parent}"
        raise ConfigError(f"--bundle {path} can't be written: {why}")


def write_bundle(path: Path, found: Examination, *, with_opend_logs: bool) -> None:
    """Make the file, and say so on stderr. Raises ConfigError when it is there already or can't be written."""
    check_place(path)
    files = contents_of(found, with_opend_logs=with_opend_logs)
    data = _zip(files) if path.suffix == ".zip" else _tar(files)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    except FileExistsError:
        raise ConfigError(f"--bundle {path} is there already; it is left as it is") from None
    except OSError as error:
        raise ConfigError(f"--bundle {path} can't be written: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except OSError as error:
        path.unlink(missing_ok=True)
        raise ConfigError(f"--bundle {path} can't be written: {error.strerror}") from error
    if "opend.log" in files:
        print(WARNING, file=sys.stderr)
    print(f"opendmux: {path} is for support; its README.md says what to write besides", file=sys.stderr)


def contents_of(found: Examination, *, with_opend_logs: bool) -> dict[str, str]:
    """Name -> text, without secrets."""
    files = {
        "doctor.txt": redacted(text_of(found.sections)) + "\n",
        "doctor.json": _json(tree_of(found.sections)),
        "versions.json": _json({**versions(), "sdks": sdk_versions(), "opends": found.versions}),
        "settings.json": _json(
            [
                {"key": key, "value": redacted_setting(key, _plain(value)), "source": source.kind}
                for key, value, source in found.settings.rows()
            ]
        ),
        "opend_options.json": _json(
            [{"file": str(options.path), "options": dict(options.values)} for options in found.options]
        ),
    }
    if found.snapshot is not None:
        files["status.json"] = _json(found.snapshot)
    if found.metrics:
        files["metrics.txt"] = redacted(found.metrics)
    if found.own_log is not None:
        files["opendmux.log"] = redacted(tail_of(found.own_log, LOG_BYTES))
    if with_opend_logs and found.opend_log is not None:
        files["opend.log"] = redacted_log(tail_of(found.opend_log, LOG_BYTES))
    return {"README.md": _readme(found, files), **files}


ABOUT: Final[Mapping[str, str]] = {
    "doctor.txt": "the report of doctor",
    "doctor.json": "the same for programs",
    "versions.json": "versions of opendmux, Python, packages, SDKs and OpenD",
    "settings.json": "opendmux's settings, with where each comes from",
    "opend_options.json": "options of OpenD.xml that hold nothing secret",
    "status.json": "the state of the running opendmux",
    "metrics.txt": "its metrics",
    "opendmux.log": "the end of its log",
    "opend.log": "the end of OpenD's newest log",
}


def _readme(found: Examination, files: Mapping[str, str]) -> str:
    known = versions()
    return README.format(
        table="\n".join(f"| {name} | {ABOUT[name]} |" for name in files),
        opend=", ".join(f"{version} at {name}" for name, version in found.versions.items()) or "it did not answer",
        sdks=", ".join(f"{name} {version}" for name, version in sdk_versions().items()) or "none in this Python",
        python=known["python"],
        logs=f" ({found.opend_log.parent})" if found.opend_log is not None else "",
    )


def _plain(value: object) -> Any:
    """Structs as what JSON has."""
    import msgspec

    return msgspec.to_builtins(value)


def _json(value: Any) -> str:
    return json.dumps(_clean(value), indent=2, ensure_ascii=False) + "\n"


def _clean(value: Any) -> Any:
    """Every text in it, redacted; keys of objects are ours."""
    if isinstance(value, dict):
        return {name: _clean(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_clean(inner) for inner in value]
    return redacted(value) if isinstance(value, str) else value


def _tar(files: Mapping[str, str]) -> bytes:
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        for name, text in files.items():
            data = text.encode(errors="replace")
            entry = tarfile.TarInfo(f"opendmux-bundle/{name}")
            entry.size, entry.mode, entry.mtime = len(data), 0o600, int(time.time())
            archive.addfile(entry, io.BytesIO(data))
    return whole.getvalue()


def _zip(files: Mapping[str, str]) -> bytes:
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(f"opendmux-bundle/{name}", text.encode(errors="replace"))
    return whole.getvalue()
