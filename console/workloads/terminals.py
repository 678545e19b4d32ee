"""Who may run a program inside a container: one-use tickets, the check that is repeated, and the audit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
import redis
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from console.accounts.access import Access, renewed_access
from console.accounts.models import ApiToken
from console.accounts.secrets import digest, new_secret
from console.common import audit, events, origin
from console.common import redis as keys
from console.common.errors import Conflict, Unavailable
from console.workloads import secretstore
from console.workloads.access import find_container
from console.workloads.enums import ContainerState
from console.workloads.models import Container

TICKET_LIFETIME = 30
"""Seconds in which a ticket must be used."""
SHELL = ("/bin/sh", "-c", "[ -x /bin/bash ] && exec /bin/bash; exec /bin/sh")
"""What is run where no command is given."""
MOST_SHOWN = 300
LEAST_REDACTED = 6
"""Characters of a value that is taken out of what the audit says; as in logs."""


class Grant(msgspec.Struct, frozen=True, kw_only=True):
    """What a ticket stands for. `token` is empty for somebody who came with a browser's session."""

    user: str
    token: str
    team: str
    container: str
    command: tuple[str, ...]
    tty: bool
    exec_user: str
    working_dir: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Ended:
    """How a terminal ended. `reason` is why it was ended before its program did."""

    seconds: float
    bytes_in: int
    bytes_out: int
    exit_code: int | None = None
    reason: str = ""


def grant_exec(
    access: Access,
    container: Container,
    *,
    token: ApiToken | None,
    command: Sequence[str] = (),
    tty: bool = True,
    user: str = "",
    working_dir: str = "",
    width: int = 80,
    height: int = 24,
) -> str:
    """A one-use ticket for one program in this container. Raises Forbidden, Conflict, Unavailable."""
    access.require_exec(container.app)
    _require_running(container)
    grant = Grant(
        user=access.user.id,
        token=token.id if token else "",
        team=access.team.id,
        container=container.id,
        command=tuple(command) or SHELL,
        tty=tty,
        exec_user=user,
        working_dir=working_dir,
        width=width,
        height=height,
    )
    ticket = new_secret("exec")
    key = keys.exec_ticket_key(digest(ticket))
    try:
        keys.client().set(key, msgspec.msgpack.encode(grant), ex=TICKET_LIFETIME)
    except redis.RedisError as error:
        raise Unavailable(
            _("Redis cannot be reached, so no terminal can be opened. Try again soon.")
        ) from error
    return ticket


def redeem(ticket: str) -> Grant | None:
    """What the ticket stands for, once; None for one that is unknown, used or too old."""
    found = keys.client().getdel(keys.exec_ticket_key(digest(ticket)))
    return msgspec.msgpack.decode(found, type=Grant) if isinstance(found, bytes) else None


def authorize(grant: Grant) -> tuple[Access, Container]:
    """All that was true when the ticket was given, as it is now. Raises NotFound, Forbidden, Conflict."""
    access = renewed_access(grant.user, grant.token, grant.team, timezone.now())
    container = find_container(access, grant.container)
    access.require_exec(container.app)
    _require_running(container)
    return access, container


def _require_running(container: Container) -> None:
    if container.state != ContainerState.RUNNING:
        raise Conflict(_("The container does not run, so nothing can be run in it."), code="not_running")


def record_opened(access: Access, container: Container, grant: Grant, address: str) -> None:
    """Written before anything runs."""
    _record("exec.opened", "opened", access, container, grant, {"address": address})


def record_closed(access: Access, container: Container, grant: Grant, address: str, ended: Ended) -> None:
    data = {
        "address": address,
        "exit_code": ended.exit_code,
        "seconds": round(ended.seconds, 1),
        "bytes_in": ended.bytes_in,
        "bytes_out": ended.bytes_out,
        "reason": ended.reason,
    }
    _record("exec.closed", "closed", access, container, grant, data)


def _record(
    kind: str, verb: str, access: Access, container: Container, grant: Grant, data: Mapping[str, object]
) -> None:
    token = access.token
    where = origin.Origin(
        address=str(data["address"]), token=grant.token, token_name=token.name if token else ""
    )
    command = _redacted(container, grant.command)
    program = "a shell" if grant.command == SHELL else command[0][:MOST_SHOWN]
    text = f"Terminal in {container.name} on {container.node_name} {verb}: {program}"
    whom = {"actor": access.actor, "team": access.team.id, "app": container.app_id, "node": container.node_id}
    seen = {"container": container.id, "user": grant.exec_user, **data}
    with transaction.atomic():
        # All who read the app see the event; arguments, which may be secret, are for the readers of the audit.
        events.record(kind, text, **whom, data=seen)
        with origin.use(where):
            audit.write(kind, text, **whom, data={**seen, "command": command})


def _redacted(container: Container, command: Sequence[str]) -> list[str]:
    """The command without the values that came to the container from variables, files and secrets."""
    release = container.release
    spec = release.project.find(container.slot.service.name)
    filled = [text for text in spec.environment.values() if text not in release.compose] if spec else []
    given = [*release.variables.values(), *filled, *secretstore.values_of(release)]
    known = {line for text in given for line in (text, *text.splitlines()) if len(line) >= LEAST_REDACTED}
    words = list(command)
    for value in sorted(known, key=len, reverse=True):
        words = [word.replace(value, "•••") for word in words]
    return words
