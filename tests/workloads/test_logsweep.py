"""What is deleted of stored logs: by age, by share, and what belongs to nobody."""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django.fixtures import Settings

from console.accounts.models import Team
from console.cluster.models import Node
from console.cluster.services import remove_node
from console.common.models import Event
from console.workloads.logsweep import MIB, sweep_stored_logs
from console.workloads.models import App, Container
from console.workloads.retention import sweep_old_rows
from tests import factories
from tests.stored_logs import keep, lines, read, texts

pytestmark = pytest.mark.django_db
Make = Callable[..., Container]


@pytest.fixture
def make(log_folder: Path) -> Make:
    node = factories.make_node("n1")

    def made(team: str = "home", app: str = "shop", days: float = 0.0, index: int = 1) -> Container:
        owner = Team.objects.filter(slug=team).first() or factories.make_team(team)
        found = App.objects.filter(team=owner, name=app).first() or factories.make_app(
            factories.make_member(owner), app
        )
        at = timezone.now() - timedelta(days=days)
        container = factories.make_container(
            found, node, index=index, state="exited", ended_at=at, removed_at=at
        )
        keep(container, lines("one"))
        for path in log_folder.rglob(f"{container.id}/*"):
            os.utime(path, (at.timestamp(), at.timestamp()))
        return container

    return made


def _left(folder: Path) -> int:
    return sum(path.is_file() for path in folder.rglob("*"))


def test_each_teams_own_retention_holds(make: Make, log_folder: Path) -> None:
    young, old = make(days=6.9), make(days=7.1, index=2)
    theirs = make(team="away", days=7.1)
    Team.objects.filter(slug="away").update(log_retention_days=8)
    assert sweep_stored_logs() == {"old": 1, "excess": 0, "nobodys": 0}
    assert [texts(read(each)) for each in (young, old, theirs)] == [["one"], [], ["one"]]
    assert not (log_folder / old.app.team_id / old.app_id / old.id).exists()
    assert sweep_stored_logs() == {"old": 0, "excess": 0, "nobodys": 0}


def test_no_days_keep_nothing(make: Make, log_folder: Path) -> None:
    make()
    Team.objects.update(log_retention_days=0)
    assert sweep_stored_logs()["old"] == 1
    assert list(log_folder.iterdir()) == []


def test_logs_of_deleted_containers_apps_and_teams_go(make: Make, log_folder: Path) -> None:
    kept, gone = make(), make(index=2)
    app, team = make(app="other"), make(team="away")
    gone.delete()
    app.app.delete()
    App.objects.filter(pk=team.app_id).delete()
    Team.objects.filter(slug="away").delete()
    assert sweep_stored_logs()["nobodys"] == 3
    assert texts(read(kept)) == ["one"]
    assert [path.name for path in log_folder.iterdir()] == [kept.app.team_id]


def test_a_teams_share_holds_the_oldest_go_first_and_that_is_told(
    make: Make, log_folder: Path, settings: Settings
) -> None:
    containers = [make(days=float(5 - index), index=index) for index in range(1, 5)]
    theirs = make(team="away", days=6)
    size = next(path.stat().st_size for path in log_folder.rglob("*.gz"))
    settings.TEAM_LOGS_MIB = 3.5 * size / MIB
    assert sweep_stored_logs() == {"old": 0, "excess": 1, "nobodys": 0}
    assert [texts(read(each)) for each in containers] == [[], ["one"], ["one"], ["one"]]
    assert texts(read(theirs)) == ["one"]
    event = Event.objects.get(kind="team.logs")
    assert (event.team_id, event.warning) == (containers[0].app.team_id, True)
    assert event.data == {"files": 1, "bytes": size}
    assert sweep_stored_logs()["excess"] == 0


def test_a_log_outlives_the_node_that_it_came_from(make: Make, log_folder: Path) -> None:
    container = make(days=1)
    Node.objects.update(cordoned=True)
    remove_node(factories.make_member(factories.make_team(), administrator=True), Node.objects.get())
    assert sweep_stored_logs() == {"old": 0, "excess": 0, "nobodys": 0}
    assert texts(read(Container.objects.get(pk=container.pk))) == ["one"]
    Team.objects.update(log_retention_days=1)
    assert sweep_stored_logs() == {"old": 1, "excess": 0, "nobodys": 0}


def test_a_record_stays_as_long_as_its_log(make: Make, settings: Settings) -> None:
    settings.RETENTION_DAYS = 30
    make()
    kept, gone = make(days=40), make(team="away", days=40)
    for each in (kept, gone):
        assert each.node
        factories.make_container(each.app, each.node)
    Team.objects.filter(slug="home").update(log_retention_days=60)
    sweep_old_rows()
    assert Container.objects.filter(pk=kept.pk).exists()
    assert not Container.objects.filter(pk=gone.pk).exists()


def test_a_file_that_is_being_written_is_left_alone(make: Make, log_folder: Path) -> None:
    container = make()
    folder = log_folder / container.app.team_id / container.app_id / container.id
    fresh, stale = folder / ".fresh", folder / ".stale"
    for path in (fresh, stale):
        path.write_bytes(b"half")
    long_ago = (timezone.now() - timedelta(days=9)).timestamp()
    os.utime(stale, (long_ago, long_ago))
    assert sweep_stored_logs()["old"] == 1
    assert (fresh.exists(), stale.exists(), _left(log_folder)) == (True, False, 2)
