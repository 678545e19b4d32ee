"""The browsers' live socket: authorize, subscribe, forward. The page refetches what it shows."""

from __future__ import annotations

import asyncio
import json
import logging
from contextlib import suppress
from typing import Any, cast

from channels.db import database_sync_to_async
from channels.generic.websocket import AsyncWebsocketConsumer
from django.contrib.auth.models import AnonymousUser

from console.accounts.access import team_access
from console.accounts.models import User
from console.accounts.signins import session_holds
from console.common.errors import BerthError

RECHECK = 30.0
"""Seconds after which session and membership are looked up again."""
NOT_FOUND, BROKEN = 4404, 4503

logger = logging.getLogger(__name__)


class BrowserConsumer(AsyncWebsocketConsumer):
    """Tells one browser which objects of one team changed: `{"type", "id", "revision"}`."""

    group = ""
    check: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        if not await self._authorize():
            await self.close(NOT_FOUND)
            return
        await self.channel_layer.group_add(self.group, self.channel_name)
        await self.accept()
        self.check = asyncio.create_task(self._keep_checking())

    async def _authorize(self) -> bool:
        slug = self.scope["url_route"]["kwargs"]["team"]
        user = cast("User | AnonymousUser", self.scope.get("user") or AnonymousUser())
        try:
            access = await database_sync_to_async(team_access)(user, slug)
        except BerthError:
            return False
        # Channels looked the session up before `connect`; from then on it may have ended.
        key = self.scope["session"].session_key or ""
        if not await database_sync_to_async(session_holds)(key, str(user.pk)):
            return False
        self.group = f"team.{access.team.id}"
        return True

    async def _keep_checking(self) -> None:
        code = NOT_FOUND
        try:
            while True:
                await asyncio.sleep(RECHECK)
                if not await self._authorize():
                    break
        except Exception:
            logger.exception("The membership behind the socket of %s cannot be looked up", self.group)
            code = BROKEN
        await self.close(code)

    async def disconnect(self, code: int) -> None:
        if self.check:
            self.check.cancel()
            with suppress(asyncio.CancelledError):
                await self.check
        if self.group:
            await self.channel_layer.group_discard(self.group, self.channel_name)

    async def changed(self, event: dict[str, Any]) -> None:
        message = {"type": event["kind"], "id": event["id"], "revision": event["revision"]}
        await self.send(text_data=json.dumps(message))
