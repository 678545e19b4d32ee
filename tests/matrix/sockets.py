"""The WebSockets' part of the matrix, against the whole ASGI application."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.urls import reverse

from console.common.models import Event
from console.live import agent, browser, exec
from tests.live.sockets import AgentSocket, Headers, Socket
from tests.matrix.rights import Right, Told, told
from tests.matrix.walk import Cell
from tests.matrix.world import Side, Who, World

ORIGIN = [(b"host", b"localhost"), (b"origin", b"http://localhost")]


def _headers(world: World, who: Who) -> Headers:
    """Of a browser with its session, or of a program with its token."""
    principal = world.principals[who]
    if principal.access is not None:
        return [*ORIGIN, (b"cookie", principal.cookie.encode())]
    bearer = [(b"authorization", f"Bearer {principal.bearer}".encode())] if principal.bearer else []
    return [(b"host", b"localhost"), *bearer]


async def _live(world: World, who: Who, side: Side) -> str:
    # A browser always says its origin; without one nobody comes in.
    headers = [*ORIGIN, *(one for one in _headers(world, who) if one not in ORIGIN)]
    async with Socket(f"/live/{side.names['team']}/", headers) as socket:
        return Told.IN if socket.accepted else _code(socket.code, {browser.NOT_FOUND: Told.MISSING})


async def _exec(world: World, who: Who, side: Side) -> str:
    """The API's answer to who asks for a ticket; and whether the socket is of the same mind."""
    path = reverse("api:exec", args=[side.names["team"], side.names["container"]])
    answer: Any = await sync_to_async(world.principals[who].ask)("POST", path, b"{}")
    known = {201: Told.IN, 401: Told.WHO, 403: Told.FORBIDDEN, 404: Told.MISSING}
    ticket = json.loads(answer.content)["ticket"] if answer.status_code == 201 else "exec_made_up"
    before = await Event.objects.filter(kind="exec.opened").acount()
    async with Socket("/ws/exec", _headers(world, who)) as socket:
        await socket.send(text=json.dumps({"ticket": ticket}))
        if answer.status_code != 201:
            code = await socket.closed()
            return _code(code, {exec.REFUSED: known.get(answer.status_code, str(answer.status_code))})
        for _try in range(100):
            if await Event.objects.filter(kind="exec.opened").acount() > before:
                return Told.IN
            await asyncio.sleep(0.02)
    return "a ticket that opens nothing"


async def _agent(world: World, who: Who, side: Side) -> str:
    async with AgentSocket(world.principals[who].bearer or None) as socket:
        return Told.IN if socket.accepted else _code(socket.code, {agent.UNAUTHORIZED: Told.WHO})


def _code(code: int, known: dict[int, str]) -> str:
    return known.get(code, f"closed with {code}")


def _of_node(who: Who, *, own: bool) -> Told:
    return Told.IN if who is Who.NODE else Told.WHO


def _of_session(who: Who, *, own: bool) -> Told:
    """Whoever may not see the team is told the same, known or not."""
    expected = told(Right.READ, who, app_token=False, of_team=True, own=own, page=True)
    return Told.IN if expected is Told.IN else Told.MISSING


def _of_ticket(who: Who, *, own: bool) -> Told:
    return told(Right.EXEC, who, app_token=True, of_team=True, own=own, page=False)


Try = Callable[[World, Who, Side], Awaitable[str]]
SOCKETS: dict[str, tuple[str, Try, Callable[..., Told]]] = {
    "agent/v1/link": ("a node's link token", _agent, _of_node),
    "live/<slug:team>/": (Right.READ, _live, _of_session),
    "ws/exec": (Right.EXEC, _exec, _of_ticket),
}


async def socket_cells(world: World, path: str) -> list[Cell]:
    """The world must be committed: a socket's rows are read in threads of their own."""
    right, attempt, expected = SOCKETS[path]
    teams = (True,) if attempt is _agent else (True, False)
    return [
        Cell(
            f"WebSocket {path}",
            right,
            who,
            own,
            expected(who, own=own),
            await attempt(world, who, world.home if own else world.away),
        )
        for own in teams
        for who in Who
    ]
