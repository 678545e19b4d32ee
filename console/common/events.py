"""Writing history, and telling browsers and the controller that something changed, once it is committed."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from datetime import datetime
from functools import cache
from typing import Any

import redis
from channels.layers import get_channel_layer
from django.db import transaction
from django.utils import timezone

from console.common import audit, origin
from console.common import redis as keys
from console.common.models import Dirty, Event
from console.common.writes import insert

logger = logging.getLogger(__name__)

CONTROLLER = "controller"
"""Actor of what Berth does by itself."""


def record(
    kind: str,
    message: str,
    *,
    actor: str,
    team: str = "",
    app: str = "",
    node: str = "",
    data: Mapping[str, Any] | None = None,
    warning: bool = False,
    at: datetime | None = None,
) -> Event:
    """One line of history, in the caller's transaction; of what somebody asked for, a row of the audit as well."""
    if origin.current() is not None:
        audit.write(kind, message, actor=actor, team=team, app=app, node=node, data=data, at=at)
    event = Event.objects.create(
        at=at or timezone.now(),
        kind=kind,
        message=message,
        actor=actor,
        team_id=team,
        app_id=app,
        node_id=node,
        data=dict(data or {}),
        warning=warning,
    )
    if team:
        announce(team, "event", app or node or team)
    if (found := _collected.get()) is not None:
        found.append(event)
    return event


_collected: ContextVar[list[Event] | None] = ContextVar("collected", default=None)


@contextmanager
def collected() -> Iterator[list[Event]]:
    """The events that are recorded meanwhile, also if a rollback undoes them."""
    found: list[Event] = []
    token = _collected.set(found)
    try:
        yield found
    finally:
        _collected.reset(token)


def mark_dirty(app_id: str) -> None:
    """Leave work for the controller in this transaction, and poke it once that is committed."""
    insert([Dirty(app_id=app_id)])
    transaction.on_commit(poke)


def poke() -> None:
    """Wake the controller. A lost poke costs at most its timer's second."""
    try:
        keys.client().xadd(keys.REPORTS, {"poke": "1"}, maxlen=100_000, approximate=True)
    except redis.RedisError as error:
        logger.warning("Could not wake the controller (%s); it looks again by itself.", error)


def announce(team_id: str, kind: str, object_id: str) -> None:
    """Tell the team's browsers, after the commit, that an object changed; they refetch it."""
    message = {"type": "changed", "kind": kind, "id": object_id, "revision": time.time_ns()}
    transaction.on_commit(lambda: group_send(f"team.{team_id}", message))


@cache
def _loop() -> asyncio.AbstractEventLoop:
    """One event loop of a daemon thread: the channel layer keeps a connection per loop."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="channel-layer", daemon=True).start()
    return loop


def group_send(group: str, message: Mapping[str, Any]) -> None:
    """Send to a Channels group without waiting; a lost message is made up for by a refetch."""

    async def send() -> None:
        layer = get_channel_layer()
        assert layer is not None  # noqa: S101  (settings name one)
        try:
            await layer.group_send(group, dict(message))
        except (redis.RedisError, OSError) as error:
            logger.warning("Could not reach group %s through Redis: %s", group, error)

    asyncio.run_coroutine_threadsafe(send(), _loop())
