from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings
from django.db import transaction
from django.test.utils import override_settings
from pytest_django import DjangoDbBlocker

from console.common import redis
from lab.redis_server import RedisServer
from tests.matrix.world import World


@pytest.fixture(scope="module")
def console(_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """The console on a private Redis, which holds nobody up."""
    _redis.start()
    layer: dict[str, Any] = {**settings.CHANNEL_LAYERS["default"], "CONFIG": {"hosts": [_redis.url]}}
    with override_settings(
        REDIS_URL=_redis.url,
        CHANNEL_LAYERS={"default": layer},
        BERTH_HOME=tmp_path_factory.mktemp("home"),
        API_RATE=0,
        TOKEN_FAILURES=10**9,
    ):
        redis.client.cache_clear()
        yield
    redis.client.cache_clear()


@pytest.fixture(scope="module")
def world(console: None, django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """Made once for all rows: whatever a cell does is undone."""
    with django_db_blocker.unblock(), transaction.atomic():
        yield World()
        transaction.set_rollback(True)
