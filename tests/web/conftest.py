from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
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


class Visitors:
    """One browser for each kind of person, as seen from the team `ours`; each signs in when it is first used."""

    def __init__(self) -> None:
        ours, theirs = factories.make_team("ours"), factories.make_team("theirs")
        self.access = factories.make_member(ours, Role.OWNER, email="owner@example.com", administrator=True)
        self._developer = factories.make_member(ours, Role.DEVELOPER)
        self._viewer = factories.make_member(ours, Role.VIEWER)
        self._stranger = factories.make_member(theirs, Role.OWNER)
        self.nobody = Client()

    @cached_property
    def owner(self) -> Client:
        return signed_in(self.access)

    @cached_property
    def developer(self) -> Client:
        return signed_in(self._developer)

    @cached_property
    def viewer(self) -> Client:
        return signed_in(self._viewer)

    @cached_property
    def stranger(self) -> Client:
        return signed_in(self._stranger)


def signed_in(access: Access) -> Client:
    client = Client()
    client.force_login(access.user)
    return client


@pytest.fixture
def people(db: None) -> Visitors:
    return Visitors()


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
