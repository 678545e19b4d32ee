"""Whose word counts for where a request comes from, and what browsers are told of https."""

from __future__ import annotations

import json
from typing import Any, cast

import pytest
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from django.test import Client
from pytest_django.fixtures import Settings

from console import asgi
from console.common.models import AuditEntry
from lab import programs
from tests import factories

PROXY, NETWORK, HERE = "10.0.0.5", "10.0.0.0/24", "127.0.0.1"
CLIENT, FORGED = "203.0.113.9", "198.51.100.1"


async def _noted(peer: str, forwarded: str, proxies: list[str]) -> str:
    """The address that the audit has of a write that came from `peer` with this header."""
    access = await sync_to_async(factories.make_member)(await sync_to_async(factories.make_team)("home"))
    secret = await sync_to_async(factories.make_token)(access)
    body = json.dumps({"name": "second"}).encode()
    headers = {
        "host": "localhost",
        "authorization": f"Bearer {secret}",
        "content-type": "application/json",
        "content-length": str(len(body)),
        "x-forwarded-for": forwarded,
        "x-forwarded-proto": "https",
    }
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/api/v1/teams/home/tokens",
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": (peer, 40000),
        "scheme": "http",
    }
    wire: Any = cast(Any, ApplicationCommunicator)(asgi.behind(proxies), scope)
    await wire.send_input({"type": "http.request", "body": body})
    answer = await wire.receive_output(20)
    assert answer["status"] == 201
    await wire.receive_output(20)
    await wire.wait(5)
    row = await AuditEntry.objects.filter(kind="token.created").alatest("id")
    return str(row.address)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("peer", [HERE, PROXY, FORGED])
async def test_nobodys_word_counts_by_default(peer: str) -> None:
    assert await _noted(peer, CLIENT, []) == peer


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    ("peer", "forwarded", "noted"),
    [
        (PROXY, CLIENT, CLIENT),
        (PROXY, f"{FORGED}, {CLIENT}", CLIENT),
        (PROXY, f"{FORGED}, {CLIENT}, 10.0.0.6", CLIENT),
        (HERE, CLIENT, HERE),
        (FORGED, CLIENT, FORGED),
    ],
    ids=["proxy", "forged before it", "two proxies", "this machine", "a stranger"],
)
async def test_a_named_proxy_says_who_asks_and_nobody_else_does(
    peer: str, forwarded: str, noted: str
) -> None:
    assert await _noted(peer, forwarded, [NETWORK]) == noted


def test_the_server_itself_believes_nobody() -> None:
    assert "--no-proxy-headers" in programs.web("127.0.0.1", 8000)
    assert '"--no-proxy-headers"' in (programs.ROOT / "Dockerfile").read_text()


@pytest.mark.django_db
def test_browsers_are_told_of_https_where_they_come_by_it(settings: Settings) -> None:
    def said() -> str | None:
        return Client().get("/sign-in/").headers.get("Strict-Transport-Security")

    settings.BERTH_URL = "http://berth.example"
    assert said() is None
    settings.BERTH_URL = "https://berth.example"
    assert said() == "max-age=31536000"
    settings.HSTS_SECONDS = 0
    assert said() is None
