"""People who deploy, scale, restart and delete all the time, by the seed; and what they may expect in the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any

from lab.api import Api, ApiError

AWAY = (0, 500, 502, 503, 504)
"""No answer, or one from which nobody knows whether the change was made."""
ENDED_BADLY = {"failed", "rolled_back", "paused"}
STATELESS, BOUND, EXCLUSIVE = "stateless", "bound", "exclusive"
KINDS = {"shop": STATELESS, "blog": STATELESS, "base": BOUND, "solo": EXCLUSIVE}
MOST = 5
"""Replicas of a stateless one."""
VERBS = {
    STATELESS: {"scale": 8, "release": 8, "restart": 2, "delete": 1, "create": 1},
    BOUND: {"release": 4, "restart": 2, "delete": 1, "create": 1},
    EXCLUSIVE: {"release": 4, "restart": 2, "delete": 1, "create": 1},
}
"""By weight, of an app that should be there: to make it again helps when its first making failed. After a delete comes
a create."""


@dataclass(frozen=True)
class Deed:
    """One request. `number` is the count of replicas, or what tells a release from others."""

    at: float
    app: str
    verb: str
    number: int

    def __str__(self) -> str:
        return f"{self.at:6.1f} s  {self.verb} {self.app} {self.number}"


@dataclass(slots=True)
class Wanted:
    """What was asked of an app last. `sure`: the console has said yes to it."""

    there: bool = False
    replicas: int = 1
    version: int = 0
    sure: bool = True


def deeds(seed: int, *, minutes: float, per_minute: int) -> list[Deed]:
    """First of all every app is made; then whatever comes."""
    random = Random(f"users {seed}")
    made = [Deed(0.0, app, "create", random.randint(2, MOST)) for app in KINDS]
    gap, gone = 60.0 / per_minute, set[str]()
    for number in range(1, round(minutes * per_minute)):
        app = random.choice(list(KINDS))
        verbs = {"create": 1} if app in gone else VERBS[KINDS[app]]
        [verb] = random.choices(list(verbs), list(verbs.values()))
        gone = gone | {app} if verb == "delete" else gone - {app}
        count = random.randint(1, MOST) if verb in {"scale", "create"} else number
        made.append(Deed(round((number + random.random()) * gap, 1), app, verb, count))
    return made


def compose(app: str, replicas: int, version: int) -> str:
    """One service `it`; its containers carry the version in their environment."""
    lines = [
        "services:",
        "  it:",
        "    image: berth/demo",
        f"    environment: {{MESSAGE: 'version {version}'}}",
    ]
    lines += ["    stop_grace_period: 3s"]
    match KINDS[app]:
        case "bound":
            lines += ["    volumes: ['data:/data']", "volumes: {data: {}}"]
        case "exclusive":
            lines += ["    x-berth: {exclusive: true}"]
        case _:
            order = "start-first" if app == "shop" else "stop-first"
            update = f"{{parallelism: 2, order: {order}}}"
            lines += [f"    deploy: {{replicas: {replicas}, update_config: {update}}}"]
    return "\n".join(lines) + "\n"


class Users:
    """Carry the deeds out in their time, in one thread. Refusals are part of life; `wanted` is what was granted."""

    def __init__(self, api: Callable[[], Api], todo: Sequence[Deed], note: Callable[[str], None]) -> None:
        self._api, self._todo, self._note = api, todo, note
        self.wanted = {app: Wanted() for app in KINDS}
        self.asked = self.granted = 0
        self.thread = threading.Thread(target=self._work, name="users", daemon=True)

    def _work(self) -> None:
        begun = time.monotonic()
        for deed in self._todo:
            time.sleep(max(0.0, begun + deed.at - time.monotonic()))
            self.do(deed)

    def do(self, deed: Deed) -> bool:
        """Whether the console said yes."""
        wanted = self.wanted[deed.app]
        self.asked += 1
        try:
            self._send(deed, wanted)
        except ApiError as error:
            if error.status in AWAY:
                wanted.sure = False
            self._note(f"{deed.verb} {deed.app} {deed.number}: {error.status}")
            return False
        self.granted += 1
        self._note(f"{deed.verb} {deed.app} {deed.number}: yes")
        match deed.verb:
            case "create":
                self.wanted[deed.app] = Wanted(True, self._count(deed), 0)
            case "delete":
                self.wanted[deed.app] = Wanted()
            case "scale":
                wanted.replicas = deed.number
            case "release":
                wanted.version = deed.number
        return True

    def _send(self, deed: Deed, wanted: Wanted) -> None:
        api, path = self._api(), f"/apps/{deed.app}"
        match deed.verb:
            case "create":
                api.post("/apps", {"name": deed.app, "compose": compose(deed.app, self._count(deed), 0)})
            case "release":
                api.post(f"{path}/releases", {"compose": compose(deed.app, wanted.replicas, deed.number)})
            case "scale":
                api.post(f"{path}/services/it/scale", {"replicas": deed.number})
            case "restart":
                api.post(f"{path}/restart")
            case _:
                api.delete(f"{path}?volumes=delete")

    def _count(self, deed: Deed) -> int:
        return deed.number if KINDS[deed.app] == STATELESS else 1

    # -- the end

    def settle(self, timeout: float) -> bool:
        """Asks again where nobody knows what was granted, and where a rollout came to a bad end, as people would. False
        when there is no clear answer in time."""
        deadline = time.monotonic() + timeout
        left = set(KINDS)
        while left and time.monotonic() < deadline:
            left = {app for app in left if not self._settled(app)}
            time.sleep(0.5 if left else 0.0)
        return not left

    def _settled(self, app: str) -> bool:
        wanted = self.wanted[app]
        try:
            seen = self._look(app)
        except ApiError:
            return False
        if seen is None:
            return (not wanted.there and wanted.sure) or self.do(Deed(0, app, "create", wanted.replicas))
        if seen["desired"]["deleting"]:
            # Its name is free once it is gone. One that is not wanted may take its time.
            self.wanted[app] = Wanted() if not wanted.there else wanted
            return not wanted.there
        if not wanted.there:
            return self.do(Deed(0, app, "delete", 0))
        rollout = seen["observed"]["rollout"]
        if wanted.sure and not (rollout and rollout["state"] in ENDED_BADLY):
            return True
        wanted.sure = True
        return self.do(Deed(0, app, "release", wanted.version + 100_000)) and self._scaled(app, wanted)

    def _scaled(self, app: str, wanted: Wanted) -> bool:
        return KINDS[app] != STATELESS or self.do(Deed(0, app, "scale", wanted.replicas))

    def _look(self, app: str) -> dict[str, Any] | None:
        """As the API shows it; None when there is none."""
        try:
            found: dict[str, Any] = self._api().get(f"/apps/{app}")["app"]
        except ApiError as error:
            if error.status == 404:
                return None
            raise
        return found
