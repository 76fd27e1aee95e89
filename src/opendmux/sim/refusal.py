"""The one way a handler says no."""

from __future__ import annotations

__all__ = ["Refused"]


class Refused(Exception):  # noqa: N818 - it is an answer, not an error
    """The request is answered with this ``retType`` and text; nothing was changed."""

    def __init__(self, text: str, ret_type: int = -1, err_code: int = 0) -> None:
        super().__init__(text)
        self.text = text
        self.ret_type = ret_type
        self.err_code = err_code
