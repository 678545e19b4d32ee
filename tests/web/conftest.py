from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from django.test import Client
from pytest_django.fixtures import Settings

from console.accounts.access import Access
from console.accounts.enums import Role
from console.common import redis
from lab import requirements
from lab.lab import Lab
from lab.state import Run
from ops.prepare import compile_translations
from tests import factories
from tests.conftest import require

NOWHERE = "unix:///nonexistent/berth-tests/redis.sock"


@pytest.fixture(scope="session", autouse=True)
def _translations() -> None:
    compile_translations()


@pytest.fixture(autouse=True)
def _no_redis(settings: Settings) -> Iterator[None]:
    """Pages must answer without Redis, and at once."""
    settings.REDIS_URL = NOWHERE
    layer: dict[str, Any] = {**settings.CHANNEL_LAYERS["default"], "CONFIG": {"hosts": [NOWHERE]}}
    settings.CHANNEL_LAYERS = {"default": layer}
    redis.client.cache_clear()
    yield
    redis.client.cache_clear()


@dataclass(frozen=True)
class Visitors:
    """One browser for each kind of person, as seen from the team `ours`."""

    access: Access
    owner: Client
    developer: Client
    viewer: Client
    stranger: Client
    nobody: Client


def signed_in(access: Access) -> Client:
    client = Client()
    client.force_login(access.user)
    return client


@pytest.fixture
def people(db: None) -> Visitors:
    ours, theirs = factories.make_team("ours"), factories.make_team("theirs")
    owner = factories.make_member(ours, Role.OWNER, email="owner@example.com", administrator=True)
    return Visitors(
        access=owner,
        owner=signed_in(owner),
        developer=signed_in(factories.make_member(ours, Role.DEVELOPER)),
        viewer=signed_in(factories.make_member(ours, Role.VIEWER)),
        stranger=signed_in(factories.make_member(theirs, Role.OWNER)),
        nobody=Client(),
    )


@dataclass(frozen=True)
class Stack:
    """A running console with one node."""

    lab: Lab

    @property
    def url(self) -> str:
        return self.lab.console.url

    def sign_in_link(self) -> str:
        return self.lab.new_sign_in_link()


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """The whole of Berth on one engine, for the browser tests of this session, beside any other lab of it."""
    require(requirements.engine() or requirements.redis())
    with Run.create() as run:
        lab = Lab(run, nodes=1)
        lab.start()
        yield Stack(lab)
        lab.stop()
