"""A small client of the REST API, for the lab, its tests and benchmarks."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any


class ApiError(RuntimeError):
    """An answer that is no success. `status` is 0 when no answer came."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(f"{status}: {body}")
        self.status, self.body = status, body


class Api:
    """Paths begin after `/api/v1/teams/default`, for example `/apps`."""

    def __init__(self, url: str, token: str, *, team: str = "default") -> None:
        self._base, self._token = f"{url}/api/v1/teams/{team}", token

    def get(self, path: str) -> Any:
        return self.send("GET", path)

    def post(self, path: str, body: Any = None) -> Any:
        return self.send("POST", path, {} if body is None else body)

    def delete(self, path: str) -> Any:
        return self.send("DELETE", path)

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """The decoded answer; None for an empty one. Raises `ApiError`."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self._base}{path}", data=data, headers=headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:  # nosec B310
                content = answer.read()
        except urllib.error.HTTPError as error:
            raise ApiError(error.code, error.read().decode(errors="replace")) from error
        except (urllib.error.URLError, OSError) as error:
            raise ApiError(0, str(error)) from error
        return json.loads(content) if content else None
