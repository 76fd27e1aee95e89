"""Where the admin socket is made, and that it is looked for there."""

from __future__ import annotations

from pathlib import Path

import pytest

from opendmux.config.admin_place import looked_for, made_at


@pytest.mark.parametrize(
    ("environ", "place"),
    [
        ({}, "/tmp/opendmux-7/admin-33333.sock"),
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, "/run/user/7/opendmux/admin-33333.sock"),
        ({"RUNTIME_DIRECTORY": "/run/opendmux"}, "/run/opendmux/admin-33333.sock"),
        ({"RUNTIME_DIRECTORY": "/run/opendmux:/run/more", "XDG_RUNTIME_DIR": "/x"}, "/run/opendmux/admin-33333.sock"),
    ],
)
def test_it_is_found_where_it_is_made(environ: dict[str, str], place: str) -> None:
    assert made_at(33333, environ, "/tmp", 7) == Path(place)
    assert Path(place) in looked_for(33333, environ, "/tmp", 7)
