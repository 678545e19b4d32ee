from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from console.cluster import broker
from console.common import redis
from lab.redis_server import RedisServer


@pytest.fixture
def with_redis(settings: Settings, redis_server: RedisServer) -> Iterator[RedisServer]:
    """The console on a private, empty Redis."""
    settings.REDIS_URL = redis_server.url
    layer: dict[str, Any] = {**settings.CHANNEL_LAYERS["default"], "CONFIG": {"hosts": [redis_server.url]}}
    settings.CHANNEL_LAYERS = {"default": layer}
    redis.client.cache_clear()
    yield redis_server
    for node in broker.present_users(redis.client()):
        broker.expel(node)
    redis.client.cache_clear()
