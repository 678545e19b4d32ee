"""The nodes' users at the broker, kept equal to the database over a real Redis."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pytest_django import DjangoAssertNumQueries
from pytest_django.fixtures import Settings

from console.accounts.secrets import digest
from console.cluster import broker
from console.cluster.models import Node, Rotation
from console.common import redis as keys
from console.controller.broker import BrokerUsers
from lab.redis_server import RedisServer
from tests import factories

pytestmark = [pytest.mark.redis, pytest.mark.django_db]


@pytest.fixture(autouse=True)
def server(settings: Settings, redis_server: RedisServer) -> Iterator[None]:
    settings.REDIS_URL = redis_server.url
    keys.client.cache_clear()
    yield
    for id_ in broker.present_users(keys.client()):
        broker.expel(id_)
    keys.client.cache_clear()


def _opens(node: Node) -> set[str]:
    found: Any = keys.client().acl_getuser(broker.user_name(node.id))
    return {str(one).lstrip("#") for one in found["passwords"]} if found else set()


def test_a_turn_soon_after_another_asks_nothing(
    django_assert_num_queries: DjangoAssertNumQueries, monkeypatch: pytest.MonkeyPatch
) -> None:
    users, node = BrokerUsers(), factories.make_node("n1")
    with django_assert_num_queries(2) as asked:
        users.keep(100.0)
    assert not any("images" in query["sql"] for query in asked)
    assert _opens(node) == {node.broker_digest}
    monkeypatch.setattr("console.controller.broker._run_id", None)
    with django_assert_num_queries(0):
        users.keep(100.9)


def test_what_changed_is_there_within_a_second() -> None:
    users, first, second = BrokerUsers(), factories.make_node("n1"), factories.make_node("n2")
    users.keep(100.0)
    renewed, offered = digest("renewed"), digest("offered")
    Node.objects.filter(pk=first.pk).update(broker_digest=renewed)
    Rotation.objects.create(node=first, broker_digest=offered)
    Node.objects.filter(pk=second.pk).delete()
    users.keep(101.0)
    assert (_opens(first), _opens(second)) == ({renewed, offered}, set())


def test_users_that_a_restart_of_redis_forgot_are_made_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    users, node = BrokerUsers(), factories.make_node("n1")
    users.keep(100.0)
    broker.expel(node.id)
    users.keep(101.0)
    assert _opens(node) == set()
    monkeypatch.setattr("console.controller.broker._run_id", lambda: "another")
    users.keep(102.0)
    assert _opens(node) == {node.broker_digest}
    broker.expel(node.id)
    users.keep(163.0)
    assert _opens(node) == {node.broker_digest}
