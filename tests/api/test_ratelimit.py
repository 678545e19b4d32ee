from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from console.api import ratelimit
from lab.redis_server import RedisServer
from tests.api.caller import People


@pytest.fixture
def _counted(
    redis_server: RedisServer, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    settings.REDIS_URL, settings.API_RATE = redis_server.url, 3
    ratelimit._client.cache_clear()
    monkeypatch.setattr(ratelimit, "_away_until", 0.0)
    while time.time() % ratelimit.WINDOW > ratelimit.WINDOW - 10:  # the test is to fit into one window
        time.sleep(0.5)
    yield
    ratelimit._client.cache_clear()


@pytest.mark.redis
@pytest.mark.usefixtures("_counted")
def test_a_token_that_asks_too_often_waits(people: People) -> None:
    seen = [people.owner.get("/me") for _ in range(4)]
    assert [answer.status for answer in seen] == [200, 200, 200, 429]
    assert [answer.headers["RateLimit-Remaining"] for answer in seen] == ["2", "1", "0", "0"]
    refused = seen[-1]
    assert (refused.error["code"], refused.headers["RateLimit-Limit"]) == ("throttled", "3")
    assert refused.headers["RateLimit-Policy"] == "3;w=60"
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.error["data"] == {"retry_after": int(refused.headers["Retry-After"])}
    assert people.developer.get("/me").status == 200


@pytest.mark.redis
@pytest.mark.usefixtures("_counted")
def test_streams_are_counted_too(people: People) -> None:
    path = "/teams/home/operations/none/wait"
    seen = [people.owner.get(path) for _ in range(4)]
    assert [answer.status for answer in seen] == [404, 404, 404, 429]
    assert "Retry-After" in seen[-1].headers


def test_without_redis_nobody_is_held_up(people: People, settings: Settings) -> None:
    settings.API_RATE = 1
    seen = [people.owner.get("/me") for _ in range(3)]
    assert {answer.status for answer in seen} == {200}
    assert "RateLimit-Limit" not in seen[0].headers
