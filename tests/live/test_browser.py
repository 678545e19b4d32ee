"""The browsers' socket: whom it lets in, what it tells them, and when it stops."""

from __future__ import annotations

import json

import pytest
from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.db import OperationalError
from django.test import Client

from console.accounts.access import Access
from console.accounts.models import Membership
from console.common.events import group_send
from console.live import browser
from lab.redis_server import RedisServer
from tests import factories
from tests.live.sockets import Socket

pytestmark = [pytest.mark.redis, pytest.mark.django_db(transaction=True)]

HERE = "http://localhost"


@pytest.fixture
def member(transactional_db: None) -> Access:
    return factories.make_member(factories.make_team("home"))


def _cookie(access: Access) -> bytes:
    client = Client()
    client.force_login(access.user)
    name = django_settings.SESSION_COOKIE_NAME
    return f"{name}={client.cookies[name].value}".encode()


async def _socket(access: Access | None, team: str = "home", origin: str | None = HERE) -> Socket:
    headers = [(b"origin", origin.encode())] if origin else []
    if access:
        headers.append((b"cookie", await sync_to_async(_cookie)(access)))
    return Socket(f"/live/{team}/", headers)


def _change(team: str, app: str) -> None:
    group_send(f"team.{team}", {"type": "changed", "kind": "app", "id": app, "revision": 7})


async def test_a_member_hears_of_changes_in_the_team(with_redis: RedisServer, member: Access) -> None:
    async with await _socket(member) as socket:
        assert socket.accepted is True
        _change(member.team.id, "shop")
        assert json.loads(await socket.message()) == {"type": "app", "id": "shop", "revision": 7}


@pytest.mark.thorough
async def test_a_member_of_another_team_hears_nothing(with_redis: RedisServer, member: Access) -> None:
    stranger = await sync_to_async(factories.make_member)(await sync_to_async(factories.make_team)("away"))
    async with await _socket(stranger) as refused:
        assert (refused.accepted, refused.code) == (False, browser.NOT_FOUND)
    async with await _socket(stranger, "away") as socket, await _socket(member) as witness:
        _change(member.team.id, "shop")
        await witness.message()
        assert await socket.silent(0.2)


async def test_a_visitor_is_turned_away(with_redis: RedisServer, member: Access) -> None:
    async with await _socket(None) as socket:
        assert (socket.accepted, socket.code) == (False, browser.NOT_FOUND)


@pytest.mark.parametrize("origin", ["http://evil.example", None, "null"])
async def test_a_foreign_origin_is_refused(
    with_redis: RedisServer, member: Access, origin: str | None
) -> None:
    async with await _socket(member, origin=origin) as socket:
        assert socket.accepted is False


async def test_a_member_who_is_removed_is_cut_off(
    with_redis: RedisServer, member: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "RECHECK", 0.1)
    async with await _socket(member) as socket:
        assert await socket.silent(0.3)
        await Membership.objects.filter(user=member.user).adelete()
        assert await socket.closed() == browser.NOT_FOUND


@pytest.mark.thorough
async def test_an_ended_session_is_cut_off(
    with_redis: RedisServer, member: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(browser, "RECHECK", 0.1)
    async with await _socket(member) as socket:
        assert await socket.silent(0.3)
        await Session.objects.all().adelete()
        assert await socket.closed() == browser.NOT_FOUND


async def test_a_membership_that_cannot_be_looked_up_ends_the_socket(
    with_redis: RedisServer, member: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> Access:
        raise OperationalError("the database is away")

    monkeypatch.setattr(browser, "RECHECK", 0.1)
    async with await _socket(member) as socket:
        monkeypatch.setattr(browser, "team_access", broken)
        assert await socket.closed() == browser.BROKEN
