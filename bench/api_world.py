"""Many apps that run, as the controller leaves them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import Any

import msgspec
from django.core.handlers.wsgi import WSGIHandler
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from bench.api import COMPOSE, request
from console.accounts.access import team_access
from console.accounts.services import create_first_owner
from console.accounts.tokens import create_token
from console.api.paging import encode
from console.cluster.models import Node
from console.cluster.services import add_node
from console.workloads.enums import ContainerState, OperationState, ReleaseState, RolloutState
from console.workloads.models import App, Container, Operation, Release, Rollout, Service, Slot
from console.workloads.parsing import parse

BATCH = 1000


class World:
    def __init__(self) -> None:
        self.user, self.team = create_first_owner(email="owner@example.com")
        self.token = create_token(team_access(self.user, self.team.slug), name="bench")[1]
        self.nodes = [add_node(name=f"n{number}", actor="bench").node for number in range(20)]
        Node.objects.update(state="ready", address="10.0.0.1", contact_at=timezone.now())
        self.model = msgspec.to_builtins(parse(COMPOSE, {}, {}))
        self.handler = WSGIHandler()
        self.size = 0

    def fill(self, size: int) -> None:
        """So many apps of the team in all, each with one container."""
        for first in range(self.size, size, BATCH):
            self._add(range(first, min(size, first + BATCH)))
        self.size = size
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")

    def _add(self, numbers: range) -> None:
        now = timezone.now()
        apps = [App(team=self.team, name=f"app-{number:05}") for number in numbers]
        releases = [
            Release(
                app=app,
                number=1,
                compose=COMPOSE,
                model=self.model,
                created_by="bench",
                created_at=now,
                state=ReleaseState.READY,
                images={"web": {"image": "berth/demo@sha256:0", "local": False}},
                digests={"web": "digest"},
            )
            for app in apps
        ]
        operations = [
            Operation(
                team=self.team,
                app_id=app.pk,
                app_name=app.name,
                kind="deploy",
                target="#1",
                state=OperationState.SUCCEEDED,
                actor="bench",
                created_at=now,
                ended_at=now,
                steps=[{"at": now.isoformat(), "text": "Release 1 made"}],
            )
            for app in apps
        ]
        rollouts = [
            Rollout(
                app=release.app,
                release=release,
                operation=operation,
                state=RolloutState.SUCCEEDED,
                started_at=now,
                deadline=now,
                ended_at=now,
            )
            for release, operation in zip(releases, operations, strict=True)
        ]
        services = [Service(app=app, name="web") for app in apps]
        slots = [Slot(service=service, index=1, generation=1) for service in services]
        containers = [
            Container(
                app=release.app,
                slot=slot,
                release=release,
                node=self.nodes[number % len(self.nodes)],
                generation=1,
                name=f"{release.app.name}-web-1",
                digest="digest",
                image="berth/demo",
                cpu=100,
                memory=2**27,
                pids=256,
                cpu_limit=1000,
                memory_limit=2**28,
                ports=[[30000 + number % 2000, 80, "tcp"]],
                created_at=now,
                started_at=now - timedelta(minutes=1),
                observed_at=now,
                state=ContainerState.RUNNING,
            )
            for number, (release, slot) in enumerate(zip(releases, slots, strict=True))
        ]
        App.objects.bulk_create(apps)
        Release.objects.bulk_create(releases)
        Operation.objects.bulk_create(operations)
        Rollout.objects.bulk_create(rollouts)
        Service.objects.bulk_create(services)
        Slot.objects.bulk_create(slots)
        Container.objects.bulk_create(containers)

    def paths(self) -> dict[str, str]:
        base = f"/api/v1/teams/{self.team.slug}"
        middle = App.objects.get(name=f"app-{self.size // 2:05}")
        container = Container.objects.values_list("pk", flat=True)[0]
        return {
            "constant": f"{base}/constant",
            "single": f"{base}/apps/{middle.name}",
            "container": f"{base}/containers/{container}",
            "page": f"{base}/apps?limit=25",
            "page, in the middle": f"{base}/apps?limit=25&cursor={encode((middle.name, middle.pk))}",
            "operations": f"{base}/operations?limit=25",
        }

    def calls(self) -> dict[str, Callable[[], int]]:
        calls: dict[str, Callable[[], int]] = {}
        for name, path in self.paths().items():
            status, headers, _content = request(self.handler, path, self.token)
            assert status == 200, (path, status)
            calls[name] = partial(self._call, path, "", 200)
            if name in ("single", "page"):
                calls[f"{name}, 304"] = partial(self._call, path, headers["ETag"], 304)
        return calls

    def _call(self, path: str, tag: str, wanted: int) -> int:
        status, _headers, content = request(self.handler, path, self.token, tag)
        assert status == wanted, (path, status, content[:200])
        return len(content)

    def queries(self, name: str) -> int:
        call: Any = self.calls()[name]
        with CaptureQueriesContext(connection) as seen:
            call()
        return len([one for one in seen if one["sql"].lstrip().upper().startswith(("SELECT", "UPDATE"))])
