"""Quotas: what is counted, when a change is refused, and that many at once end exactly at the edge."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from console.accounts.access import Access
from console.accounts.models import Quota
from console.common.errors import BerthError
from console.workloads import operations
from console.workloads.enums import ContainerState, OperationState, ReleaseState, RolloutState
from console.workloads.models import App, Container, Operation, Release, Rollout, Service, Slot
from console.workloads.parsing import parse
from console.workloads.quotas import Amount, settle, use_of, would_scale, would_use
from console.workloads.services import create_app, create_release, delete_app, restart, roll_back, scale
from lab.postgres import PostgresServer
from tests import factories, programs
from tests.workloads.race import REPLICAS, ROOM, TIMES

MIB = 1024**2
SERVICE = (
    "{image: berth/demo, cpus: 0.5, mem_limit: 100m, deploy: {replicas: %d, update_config: {order: %s}}}"
)


def text(replicas: int = 1, order: str = "stop-first", extra: str = "") -> str:
    return f"services: {{web: {SERVICE % (replicas, order)}{extra}}}"


def amount(containers: int, apps: int = 1) -> Amount:
    return Amount(apps, containers, 500 * containers, 100 * MIB * containers)


@pytest.fixture
def access(db: None) -> Access:
    return factories.make_member(factories.make_team("home"))


def limit(access: Access, **most: int) -> None:
    Quota.objects.update_or_create(team=access.team, defaults=most)


def refused(call: Any) -> BerthError:
    with pytest.raises(BerthError) as caught:
        call()
    assert caught.value.code == "quota_exceeded"
    return caught.value


def settled(app: App) -> None:
    """The newest release is ready and its rollout over, as the controller leaves them."""
    release = Release.objects.filter(app=app).latest("number")
    factories.make_ready(release)
    Rollout.objects.filter(app=app).update(state=RolloutState.SUCCEEDED)


def test_apps_count_at_their_limits_until_they_are_deleted(access: Access) -> None:
    app = factories.make_app(access, "one", compose=text(3))
    factories.make_app(access, "two", compose=text(2))
    assert use_of(access.team).used == amount(5, apps=2)
    delete_app(access, app, delete_volumes=False)
    assert use_of(access.team).used == amount(2)


def test_a_refusal_says_used_asked_and_allowed_and_keeps_nothing(access: Access) -> None:
    limit(access, containers=3)
    factories.make_app(access, "one", compose=text(2))
    error = refused(lambda: create_app(access, name="two", compose=text(2)))
    assert "containers: 2 used, 2 more asked, 3 allowed" in error.message
    assert error.data["lacking"] == ["containers"]
    assert App.objects.count() == 1


@pytest.mark.parametrize(
    ("key", "most"), [("apps", 1), ("containers", 1), ("cpu", 999), ("memory", 199 * MIB)]
)
def test_each_bound_holds(access: Access, key: str, most: int) -> None:
    factories.make_app(access, "one", compose=text())
    limit(access, **{key: most})
    assert refused(lambda: create_app(access, name="two", compose=text())).data["lacking"] == [key]
    limit(access, **{key: 2 * {"apps": 1, "containers": 1, "cpu": 500, "memory": 100 * MIB}[key]})
    create_app(access, name="two", compose=text())


def test_scaling_is_bound_and_down_always_goes(access: Access) -> None:
    app = factories.make_app(access, "one", compose=text(3))
    service = Service.objects.get(app=app)
    limit(access, containers=4)
    scale(access, service, replicas=4)
    refused(lambda: scale(access, Service.objects.get(app=app), replicas=5))
    assert Service.objects.get(app=app).replicas == 4
    limit(access, containers=1)
    scale(access, Service.objects.get(app=app), replicas=3)
    assert use_of(access.team).used == amount(3)


def test_a_surge_counts_while_it_is_under_way(access: Access) -> None:
    app = factories.make_app(access, "one", compose=text(4, "start-first"))
    settled(app)
    limit(access, containers=4)
    changed = text(4, "start-first").replace("berth/demo", "berth/demo:2")
    error = refused(lambda: create_release(access, app, compose=changed))
    assert "stop-first" in error.message
    create_release(access, app, compose=changed.replace("start-first", "stop-first"))
    settled(app)
    limit(access, containers=5)
    create_release(access, app, compose=text(4, "start-first"))
    assert use_of(access.team).used == amount(5)
    refused(lambda: create_app(access, name="two", compose=text()))
    settled(app)
    assert use_of(access.team).used == amount(4)


def ended(operation: Operation) -> None:
    operations.end(operation, OperationState.SUCCEEDED, timezone.now())


def test_a_restart_counts_what_it_runs_beside_the_others(access: Access) -> None:
    app = factories.make_app(access, "one", compose=text(4, "start-first"))
    settled(app)
    limit(access, containers=4)
    error = refused(lambda: restart(access, app))
    assert "containers: 4 used, 1 more asked, 4 allowed" in error.message
    assert Service.objects.get(app=app).restart_at is None
    assert not Operation.objects.filter(kind="restart").exists()
    limit(access, containers=5)
    operation = restart(access, app)
    assert use_of(access.team).used == amount(5)
    refused(lambda: create_app(access, name="two", compose=text()))
    ended(restart(access, app))
    assert use_of(access.team).used == amount(5), "the first one goes on"
    ended(operation)
    assert use_of(access.team).used == amount(4)


def test_a_restart_that_stops_first_needs_no_room(access: Access) -> None:
    app = factories.make_app(access, "one", compose=text(4))
    settled(app)
    limit(access, containers=4)
    restart(access, app)
    assert use_of(access.team).used == amount(4)


def test_a_restart_counts_what_is_replaced_because_of_it(access: Access) -> None:
    """`b` depends on `a` with restart, `c` on `b`; `d` on `a` without."""
    spec = SERVICE % (1, "start-first")
    after = "{%s: {condition: service_started, restart: %s}}"
    lines = [f"a: {spec}"] + [
        f"{name}: {spec[:-1]}, depends_on: {after % (on, again)}}}"
        for name, on, again in (("b", "a", "true"), ("c", "b", "true"), ("d", "a", "false"))
    ]
    app = factories.make_app(access, "one", compose=f"services: {{{', '.join(lines)}}}")
    settled(app)
    for name, more in (("a", 3), ("c", 1), ("d", 1)):
        operation = restart(access, app, Service.objects.get(app=app, name=name))
        assert use_of(access.team).used == amount(4 + more), name
        ended(operation)
    operation = restart(access, app)
    assert use_of(access.team).used == amount(8)


def test_a_restart_within_a_rollout_counts_once(access: Access) -> None:
    app = factories.make_app(access, "one", compose=text(4, "start-first"))
    settled(app)
    create_release(access, app, compose=text(4, "start-first").replace("berth/demo", "berth/demo:2"))
    assert use_of(access.team).used == amount(5)
    operation = restart(access, app)
    assert use_of(access.team).used == amount(5)
    settled(app)
    assert use_of(access.team).used == amount(5), "the restart goes on"
    ended(operation)
    assert use_of(access.team).used == amount(4)


def test_while_it_shrinks_it_still_has_what_it_had(access: Access) -> None:
    app = factories.make_app(access, "one", compose=text(4))
    settled(app)
    create_release(access, app, compose=text(1))
    assert use_of(access.team).used == amount(4)
    settled(app)
    assert use_of(access.team).used == amount(1)


def test_releases_that_follow_each_other_in_one_rollout_make_no_room(access: Access) -> None:
    limit(access, containers=4)
    app = factories.make_app(access, "one", compose=text(4))
    settled(app)
    create_release(access, app, compose=text(1))
    create_release(access, app, compose=text(1).replace("berth/demo", "berth/demo:2"))
    scale(access, Service.objects.get(app=app), replicas=1)
    assert use_of(access.team).used == amount(4), "cancelled, it goes back to four"
    refused(lambda: create_app(access, name="two", compose=text()))
    settled(app)
    assert use_of(access.team).used == amount(1)


def test_what_still_stops_counts_until_it_has_ended(access: Access) -> None:
    limit(access, containers=3)
    app, node = factories.make_app(access, "one", compose=text(3)), factories.make_node()
    settled(app)
    given: dict[str, Any] = {"cpu_limit": 500, "memory_limit": 100 * MIB}
    containers = [factories.make_container(app, node, index=index, **given) for index in (1, 2, 3)]
    scale(access, Service.objects.get(app=app), replicas=2)
    Slot.objects.filter(index=3).update(retired=True)
    assert use_of(access.team).used == amount(3)
    delete_app(access, app, delete_volumes=False)
    assert use_of(access.team).used == amount(3, apps=0)
    refused(lambda: create_app(access, name="two", compose=text()))
    Container.objects.filter(pk=containers[0].pk).update(state=ContainerState.EXITED)
    create_app(access, name="two", compose=text())


def test_a_service_on_all_nodes_is_counted_with_those_that_came_since(access: Access) -> None:
    everywhere = "services: {agent: {image: berth/demo, deploy: {mode: global}}, web: {image: berth/demo}}"
    factories.make_node()
    app = factories.make_app(access, "one", compose=everywhere)
    settled(app)
    limit(access, containers=2)
    for _number in range(3):
        factories.make_node()
    web = Service.objects.select_related("app__team").get(app=app, name="web")
    assert would_scale(web, 0).lacking == ()
    scale(access, web, replicas=0)
    assert use_of(access.team).used.containers == 4
    refused(lambda: scale(access, web, replicas=1))


def test_a_rollback_is_bound(access: Access) -> None:
    app = factories.make_app(access, "one", compose=text(3))
    settled(app)
    first = Release.objects.get(app=app)
    create_release(access, app, compose=text(1))
    settled(app)
    Service.objects.filter(app=app).update(replicas=1)
    limit(access, containers=2)
    refused(lambda: roll_back(access, app, to=first))
    limit(access, containers=4)
    roll_back(access, app, to=first)
    assert use_of(access.team).used == amount(4), (
        "a rollback starts first where the file does not say otherwise"
    )


def test_a_release_that_was_given_up_claims_nothing(access: Access) -> None:
    app = factories.make_app(access, "one", compose=text(1))
    settled(app)
    create_release(access, app, compose=text(9))
    Release.objects.filter(app=app, number=2).update(state=ReleaseState.FAILED)
    Rollout.objects.update(state=RolloutState.FAILED)
    settle(App.objects.get(pk=app.pk), None)
    assert use_of(access.team).used == amount(1)
    create_release(access, app, compose=text(2))
    settled(app)
    assert use_of(access.team).used == amount(2)


def test_asking_beforehand_changes_nothing_and_says_the_same(access: Access) -> None:
    limit(access, containers=3)
    app = factories.make_app(access, "one", compose=text(2))
    found = would_use(access.team, None, parse(text(2), {}, {}))
    assert (found.before, found.after, found.lacking) == (amount(2), amount(4, apps=2), ("containers",))
    assert would_use(access.team, None, parse(text(1), {}, {})).lacking == ()
    service = Service.objects.select_related("app__team").get(app=app)
    assert would_scale(service, 4).lacking == ("containers",)
    assert would_scale(service, 3).after == amount(3)
    assert use_of(access.team).used == amount(2)


def test_other_teams_do_not_count(access: Access) -> None:
    limit(access, apps=1)
    factories.make_app(factories.make_member(factories.make_team("away")), "one", compose=text(9))
    create_app(access, name="one", compose=text())


def at_once(home: Path, database: str) -> None:
    home.mkdir()
    said = programs.run("tests.workloads.race", programs.environment(home, database))
    assert said == {
        "outcomes": {"made": ROOM, "quota_exceeded": TIMES - ROOM},
        "apps": ROOM,
        "containers": ROOM * REPLICAS,
    }


@pytest.mark.thorough
def test_fifty_at_once_end_exactly_at_the_edge(tmp_path: Path) -> None:
    at_once(tmp_path / "home", f"sqlite:///{tmp_path}/home/berth.sqlite3")


@pytest.mark.postgres
def test_fifty_at_once_end_exactly_at_the_edge_on_postgresql(
    postgres_server: PostgresServer, tmp_path: Path
) -> None:
    at_once(tmp_path / "home", postgres_server.new_database())


# -- priorities


def prioritized(**services: int) -> str:
    each = (
        f"{name}: {{image: berth/demo, x-berth: {{priority: {number}}}}}" for name, number in services.items()
    )
    return f"services: {{{', '.join(each)}}}"


def test_a_priority_above_the_quota_is_kept_where_it_was_and_raised_nowhere(access: Access) -> None:
    limit(access, priority=50)
    app = factories.make_app(access, "one", compose=prioritized(web=50))
    settled(app)
    Quota.objects.update(priority=5)
    create_release(access, app, compose=prioritized(web=50, other=5))
    settled(app)
    for more in (prioritized(web=51), prioritized(web=50, other=6), prioritized(web=50, third=6)):
        assert refused(lambda more=more: create_release(access, app, compose=more)).data["lacking"] == [
            "priority"
        ]
    create_release(access, app, compose=prioritized(web=0))
    settled(app)
    first = Release.objects.get(app=app, number=1)
    assert "web asks for 50" in refused(lambda: roll_back(access, app, to=first)).message
    assert Release.objects.filter(app=app).count() == 3
    limit(access, priority=50)
    roll_back(access, app, to=first)
