"""A client of the API, and the people who use it in the tests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.http.response import HttpResponseBase
from django.test import Client
from django.test.client import ClientHandler

from console.accounts.access import Access

BASE = "/api/v1"
_HANDLER = ClientHandler(enforce_csrf_checks=False)
"""One for all, since each loads the whole stack of middleware."""


@dataclass(frozen=True)
class Answer:
    status: int
    body: Any
    headers: dict[str, str]

    @property
    def error(self) -> dict[str, Any]:
        """The error, which has exactly its six parts."""
        assert set(self.body) == {"error"}
        found: dict[str, Any] = self.body["error"]
        assert set(found) == {"code", "message", "fields", "data", "request_id", "docs"}
        assert found["request_id"] == self.headers["X-Request-Id"]
        assert found["docs"].endswith(f"/help/errors/#{found['code']}")
        return found


class Caller:
    """Somebody with a token, or without one. Paths are below `/api/v1`."""

    def __init__(self, token: str = "") -> None:
        self.client = Client(raise_request_exception=False)
        self.client.handler = _HANDLER
        self.headers = {"authorization": f"Bearer {token}"} if token else {}

    def get(self, path: str, headers: Mapping[str, str] | None = None) -> Answer:
        return _answer(self.client.get(BASE + path, headers={**self.headers, **(headers or {})}))

    def post(self, path: str, body: Any = None) -> Answer:
        return self.send("POST", path, body if body is not None else {})

    def delete(self, path: str) -> Answer:
        return _answer(self.client.delete(BASE + path, headers=self.headers))

    def send(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`body` goes as JSON, bytes as they are."""
        given = {**self.headers, **(headers or {})}
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return _answer(self.client.generic(method, BASE + path, content, kind, headers=given))


def _answer(response: HttpResponseBase) -> Answer:
    content = b"".join(response)
    kind = response.headers.get("Content-Type", "")
    is_json = kind.split(";")[0] in ("application/json", "application/vnd.oai.openapi+json")
    return Answer(response.status_code, json.loads(content) if is_json else content, dict(response.headers))


@dataclass(frozen=True)
class People:
    """Of the team `home`: one per role; the others have no business in it. `revoked` held an owner's token."""

    owner: Caller
    developer: Caller
    viewer: Caller
    stranger: Caller
    anonymous: Caller
    revoked: Caller
    access: Access
    """The owner's; not an administrator."""

    @property
    def outside(self) -> list[tuple[Caller, int, str]]:
        """Who cannot come in at all, and what they are told."""
        return [
            (self.stranger, 404, "not_found"),
            (self.anonymous, 401, "not_authenticated"),
            (self.revoked, 401, "authentication_failed"),
        ]

    def assert_outside(self, method: str, path: str, body: Any = None) -> None:
        """A stranger, nobody, and a revoked token are all refused, each in its way."""
        for caller, status, code in self.outside:
            answer = caller.send(method, path, body if body is not None else {})
            assert (answer.status, answer.error["code"]) == (status, code), path
