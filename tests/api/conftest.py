from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django.fixtures import Settings

from console.accounts.access import Access
from console.accounts.enums import Role
from console.accounts.models import ApiToken
from console.accounts.secrets import digest
from console.accounts.tokens import revoke_token
from console.common import redis
from tests import factories
from tests.api.caller import Caller, People

NOWHERE = "unix:///nonexistent/berth-tests/redis.sock"


@pytest.fixture(autouse=True)
def _no_redis(settings: Settings) -> Iterator[None]:
    """Redis is away for all tests of the API: it must answer all the same, and at once."""
    settings.REDIS_URL = NOWHERE
    layer: dict[str, Any] = {**settings.CHANNEL_LAYERS["default"], "CONFIG": {"hosts": [NOWHERE]}}
    settings.CHANNEL_LAYERS = {"default": layer}
    redis.client.cache_clear()
    yield
    redis.client.cache_clear()


def _caller(access: Access) -> Caller:
    return Caller(factories.make_token(access))


def _revoked(access: Access) -> Caller:
    secret = factories.make_token(access)
    revoke_token(access, ApiToken.objects.get(digest=digest(secret)).id)
    return Caller(secret)


@pytest.fixture
def people(db: None) -> People:
    home, away = factories.make_team("home"), factories.make_team("away")
    owner = factories.make_member(home, email="owner@example.com")
    return People(
        owner=_caller(owner),
        developer=_caller(factories.make_member(home, Role.DEVELOPER, email="developer@example.com")),
        viewer=_caller(factories.make_member(home, Role.VIEWER, email="viewer@example.com")),
        stranger=_caller(factories.make_member(away, email="stranger@example.com")),
        anonymous=Caller(),
        revoked=_revoked(owner),
        access=owner,
    )


@pytest.fixture
def administrator(people: People) -> Caller:
    """A developer of the team who is a platform administrator as well."""
    return _caller(factories.make_member(people.access.team, Role.DEVELOPER, administrator=True))
