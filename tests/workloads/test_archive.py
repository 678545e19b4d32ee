"""Whose segments are stored, under which name, and once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from django.utils import timezone
from msgspec.structs import replace

from console.accounts.services import set_log_retention
from console.workloads import archive, storage
from console.workloads.archive import Segment, segments_of, store
from console.workloads.models import App, Container
from tests import factories
from tests.stored_logs import at, lines, log_of, read, texts

pytestmark = pytest.mark.django_db


@pytest.fixture
def container(log_folder: Path) -> Container:
    access = factories.make_member(factories.make_team("home"))
    made = factories.make_app(access, "shop")
    return factories.make_container(
        made, factories.make_node("n1"), state="exited", removed_at=timezone.now()
    )


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_a_segment_is_one_file_named_by_the_databases_ids(container: Container, log_folder: Path) -> None:
    [sent] = log_of(container, lines("one", "two"))
    answer = store(container.node_id, sent)
    assert (answer.outcome, answer.slot, answer.number) == ("stored", container.slot_id, 1)
    app = container.app
    name = "000001-20260102T030401.000000000Z-20260102T030402.000000000Z-2-0-end.gz"
    assert _files(log_folder) == [f"{app.team_id}/{app.id}/{container.id}/{name}"]
    assert segments_of(container) == [
        Segment(f"{app.team_id}/{app.id}/{container.id}", 1, at(1), at(2), 2, 0, True)
    ]
    assert texts(read(container)) == ["one", "two"]


def test_the_same_number_again_is_one_also_with_other_lines(container: Container, log_folder: Path) -> None:
    [sent] = log_of(container, lines("one"))
    [longer] = log_of(container, lines("one", "two"))
    for each in (sent, sent, longer):
        store(container.node_id, each)
    assert len(_files(log_folder)) == 1
    assert texts(read(container)) == ["one", "two"]


def test_another_nodes_and_unknown_containers_are_not_stored(container: Container, log_folder: Path) -> None:
    [sent] = log_of(container, lines("one"))
    other = factories.make_node("n2")
    assert store(other.id, sent).outcome == "unwanted"
    assert store("nobody", sent).outcome == "unwanted"
    for wrong in (replace(sent, slot="../../x"), replace(sent, generation=99)):
        assert store(container.node_id, wrong).outcome == "unwanted"
    assert not log_folder.exists()


def test_a_team_that_keeps_none_and_an_app_that_goes_want_none(
    container: Container, log_folder: Path
) -> None:
    [sent] = log_of(container, lines("one"))
    App.objects.filter(pk=container.app_id).update(deleting=True)
    assert store(container.node_id, sent).outcome == "unwanted"
    App.objects.filter(pk=container.app_id).update(deleting=False)
    owner = factories.make_member(container.app.team)
    set_log_retention(owner, days=0)
    assert store(container.node_id, sent).outcome == "unwanted"
    set_log_retention(owner, days=1)
    assert store(container.node_id, sent).outcome == "stored"


def test_a_full_disk_is_said_and_leaves_nothing_behind(
    container: Container, log_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [sent] = log_of(container, lines("one"))
    monkeypatch.setattr(storage, "ROOM", 1 << 60)
    assert store(container.node_id, sent).error == "the console cannot store it: its disk is nearly full"
    monkeypatch.setattr(storage, "ROOM", 0)

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    answer = store(container.node_id, sent)
    assert (answer.outcome, answer.error) == (
        "failed",
        "the console cannot store it: No space left on device",
    )
    assert _files(log_folder) == []


@pytest.mark.parametrize(
    "name", ["x.gz", ".tmp", "1-a-b-2-0.gz", "000001-20260102T030401.0Z-x-2-0.gz", "a/b"]
)
def test_other_files_are_passed_over(name: str) -> None:
    assert archive.parse("t/a/c", name) is None
