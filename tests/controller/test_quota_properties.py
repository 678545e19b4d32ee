"""Whatever a team asks for, in whatever order: what is meant to run of it is never above its quota."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.db import transaction
from django.utils import timezone
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from console.accounts.access import Access
from console.accounts.models import Quota
from console.cluster.services import add_node
from console.common.errors import BerthError
from console.workloads import rollouts, services
from console.workloads.enums import ContainerState, OperationKind, OperationState
from console.workloads.models import App, Container, Operation
from console.workloads.quotas import use_of
from tests.controller.fakes import FakeAgent, World

MIB = 1024**2
COMPOSE = """services:
  web:
    image: berth/demo
    cpus: 0.5
    mem_limit: 64m
    environment: {TURN: "%d"}
    deploy: {replicas: %d, update_config: {order: %s, parallelism: %d}}
"""
MEANT = [
    ContainerState.ASSIGNED,
    ContainerState.PREPARING,
    ContainerState.STARTING,
    ContainerState.RUNNING,
]

names = st.sampled_from(["one", "two"])
replicas = st.integers(0, 3)
deploys = st.tuples(
    st.just("deploy"),
    names,
    replicas,
    st.sampled_from(["start-first", "start-first", "stop-first"]),
    st.integers(0, 2),
)
scales = st.tuples(st.just("scale"), names, replicas)
deletes = st.tuples(st.just("delete"), names)
restarts = st.tuples(st.just("restart"), names)
cancels = st.tuples(st.just("cancel"), names)
changes = st.one_of(deploys, deploys, deploys, scales, deletes, restarts, restarts, cancels)
turns = st.lists(
    st.tuples(changes, st.sampled_from([1.0, 3.0, 6.0])),
    min_size=2,
    max_size=6,
)


FULL = (("deploy", "one", 2, "start-first", 1), 6.0)


def ask(access: Access, turn: int, change: tuple[Any, ...], now: datetime) -> None:
    """One wish of a user. What the quota does not allow is refused, and nothing else is."""
    kind, name, *rest = change
    app = App.objects.filter(team=access.team, name=name, deleting=False).first()
    try:
        with transaction.atomic():
            if kind == "deploy":
                number, order, parallelism = rest
                compose = COMPOSE % (turn, number, order, parallelism)
                if app is None:
                    services.create_app(access, name=name, compose=compose)
                else:
                    services.create_release(access, app, compose=compose)
            elif app is not None and kind == "scale":
                services.scale(access, app.services.get(), replicas=rest[0])
            elif app is not None and kind == "restart":
                made = services.restart(access, app)
                # Services take the machine's clock, and the world has one of its own.
                Operation.objects.filter(pk=made.pk).update(created_at=now)
                app.services.update(restart_at=now)
            elif app is not None and kind == "cancel":
                open_ones = Operation.objects.filter(
                    app_id=app.pk, kind=OperationKind.RESTART, state=OperationState.RUNNING
                )
                if operation := open_ones.first():
                    rollouts.cancel_operation(access, operation)
            elif app is not None:
                services.delete_app(access, app, delete_volumes=False)
    except BerthError as refusal:
        assert refusal.code == "quota_exceeded"  # noqa: PT017  (which refusal it is, is not raised by one call)


def check(access: Access, most: int) -> None:
    assert use_of(access.team).used.containers <= most
    meant = Container.objects.filter(app__team=access.team, state__in=MEANT)
    assert meant.count() <= most, [f"{one.name} {one.state} {one.app.deleting}" for one in meant]


@pytest.mark.thorough
@given(st.integers(1, 4), turns)
@example(2, [FULL, (("restart", "one"), 6.0)])
@example(3, [FULL, (("restart", "one"), 1.0), (("deploy", "two", 1, "stop-first", 1), 6.0)])
@example(3, [FULL, (("restart", "one"), 1.0), (("cancel", "one"), 0.5), (("scale", "one", 3), 6.0)])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_meant_to_run_is_never_above_the_quota(
    access: Access, most: int, asked: list[tuple[tuple[Any, ...], float]]
) -> None:
    with transaction.atomic():
        Quota.objects.update_or_create(team=access.team, defaults={"containers": most})
        world = World(now=timezone.now())
        for number in (1, 2):
            FakeAgent(add_node(name=f"node-{number}", actor="test").node.id, world.wire).connect()
        world.run(1)
        for turn, (change, seconds) in enumerate(asked):
            ask(access, turn, change, world.now)
            for _ in range(int(seconds * 2)):
                world.run(0.5)
                check(access, most)
        transaction.set_rollback(True)
