"""One base for every error that a user may see: code, translatable message, data, HTTP status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class BerthError(Exception):
    """`message` says what happened and what to do; `fields` maps a field to its own messages."""

    status = 400
    code = "invalid"

    def __init__(
        self,
        message: Any,
        *,
        code: str | None = None,
        fields: Mapping[str, list[Any]] | None = None,
        data: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(str(message))
        self.message = message
        self.code = code or type(self).code
        self.fields = dict(fields or {})
        self.data = dict(data or {})


class NotFound(BerthError):
    status, code = 404, "not_found"


class Forbidden(BerthError):
    status, code = 403, "forbidden"


class Conflict(BerthError):
    status, code = 409, "conflict"


class Unprocessable(BerthError):
    status, code = 422, "unprocessable"


class Unavailable(BerthError):
    status, code = 503, "unavailable"
