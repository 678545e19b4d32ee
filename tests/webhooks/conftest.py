from __future__ import annotations

from collections.abc import Iterator

import pytest
from pytest_django.fixtures import Settings

from console.accounts.access import Access
from console.common import redis
from tests import factories
from tests.api.conftest import NOWHERE
from tests.webhooks.receiver import Receiver
from tests.webhooks.receiver import receiver as serve


@pytest.fixture(autouse=True)
def _no_redis(settings: Settings) -> Iterator[None]:
    """Deliveries need the database alone."""
    settings.REDIS_URL = NOWHERE
    settings.CHANNEL_LAYERS = {
        "default": {**settings.CHANNEL_LAYERS["default"], "CONFIG": {"hosts": [NOWHERE]}}
    }
    redis.client.cache_clear()
    yield
    redis.client.cache_clear()


@pytest.fixture
def receiver(settings: Settings) -> Iterator[Receiver]:
    """On loopback, which the operator allows."""
    settings.WEBHOOK_NETWORKS = ["127.0.0.0/8"]
    with serve() as found:
        yield found


@pytest.fixture
def owner(db: None) -> Access:
    return factories.make_member(factories.make_team("home"), email="owner@example.com")
