"""Inserts and updates of which the SQL is made once save what Django's own would."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import DataError, IntegrityError, connection, transaction
from django.db.models.expressions import DatabaseDefault
from django.test.utils import CaptureQueriesContext

from console.cluster.models import Job, Node
from console.common.ids import new_id
from console.common.models import Dirty, Event
from console.common.writes import insert, update, upsert

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def node() -> Node:
    return Node.objects.create(name="a", token_digest="a")


def jobs(node: Node, count: int) -> list[Job]:
    """Each kind of column, with and without a value."""
    return [
        Job(
            id=new_id(),
            node=node,
            kind="stop" if number % 2 else "ensure",
            rings=number,
            payload={"slot": f's{number} 50 %s \\ {{}}, "NULL"', "deep": [None, {"ü": number}]},
            message=f"it's {number} %" + ("" if number % 2 else ' \\ {"NULL", ü}\n\t'),
            created_at=NOON + timedelta(microseconds=number),
            done_at=None if number % 3 else NOON,
            ok=None if number % 2 else True,
        )
        for number in range(count)
    ]


def values(ids: list[str]) -> list[dict[str, object]]:
    """But for the ids."""
    found = Job.objects.filter(pk__in=ids).order_by("rings")
    return [{key: value for key, value in row.items() if key != "id"} for row in found.values()]


@pytest.mark.parametrize("count", [1, 2, 3, 150])
def test_it_saves_what_bulk_create_saves(node: Node, count: int) -> None:
    ours, theirs = jobs(node, count), jobs(node, count)
    insert(ours)
    Job.objects.bulk_create(theirs)
    assert values([job.id for job in ours]) == values([job.id for job in theirs])
    assert len(values([job.id for job in ours])) == count
    assert not any(job._state.adding for job in ours)


def test_the_sql_serves_again_with_other_values(node: Node) -> None:
    first, second = jobs(node, 2), jobs(node, 2)
    second[0].message, second[1].payload = "another", {}
    insert(first)
    insert(second)
    assert [job.message for job in Job.objects.filter(pk=second[0].pk)] == ["another"]
    assert [job.payload for job in Job.objects.filter(pk=second[1].pk)] == [{}]


def test_an_upsert_changes_its_fields_alone_and_inserts_the_rest(node: Node) -> None:
    there, new = jobs(node, 3), jobs(node, 1)
    insert(there)
    for job in there:
        job.message, job.rings = "changed", 99
    upsert([*there, *new], ["message"])
    found = {job.pk: (job.message, job.rings) for job in Job.objects.all()}
    assert found == {
        **{job.pk: ("changed", number) for number, job in enumerate(there)},
        new[0].pk: (new[0].message, 0),
    }


def test_an_update_saves_its_columns_alone(node: Node) -> None:
    first, second, third = there = jobs(node, 3)
    insert(there)
    first.payload, first.ok, first.done_at, first.rings = {"new": [1]}, False, None, 99
    update(first, ["payload", "ok", "done_at"])
    second.node_id, second.message = node.id, "both"
    update(second, ["message", "node_id"], [second.pk, third.pk])
    found = {job.pk: (job.payload, job.ok, job.done_at, job.rings, job.message) for job in Job.objects.all()}
    assert found == {
        first.pk: ({"new": [1]}, False, None, 0, first.message),
        second.pk: (second.payload, None, None, 1, "both"),
        third.pk: (third.payload, True, None, 2, "both"),
    }


def test_the_database_gives_ids_and_keeps_the_order() -> None:
    insert([Dirty(app_id=name) for name in ("b", "a", "c")])
    assert list(Dirty.objects.order_by("id").values_list("app_id", flat=True)) == ["b", "a", "c"]


def test_what_the_database_has_a_value_for_is_filled_in() -> None:
    insert(
        [Event(at=NOON, kind="k", message="m", actor="a", data={"a": 1}), Event(at=NOON, kind="k", actor="a")]
    )
    assert list(Event.objects.order_by("id").values_list("message", "data", "dispatched")) == [
        ("m", {"a": 1}, False),
        ("", {}, False),
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_a_column_that_a_row_leaves_to_the_database_has_its_default(count: int) -> None:
    """As of a release that does not know the column, or of a field with no default but the database's."""
    field: Any = Event._meta.get_field("dispatched")
    for _again in range(2):
        rows = [Event(at=NOON, kind="open", message=str(number), actor="a") for number in range(count)]
        rows[-1].dispatched = DatabaseDefault(field._db_default_expression, output_field=field)
        insert(rows)
        insert([Event(at=NOON, kind="said", message="", actor="a", dispatched=True) for _row in rows])
    assert list(Event.objects.filter(kind="open").values_list("dispatched", flat=True)) == [False] * 2 * count
    assert list(Event.objects.filter(kind="said").values_list("dispatched", flat=True)) == [True] * 2 * count


def test_nothing_is_said_for_no_rows() -> None:
    with CaptureQueriesContext(connection) as asked:
        insert([])
        upsert([], ["message"])
    assert not asked.captured_queries


def test_a_transaction_does_not_outlive_a_row_that_is_refused(node: Node) -> None:
    [job] = jobs(node, 1)
    insert([job])
    with transaction.atomic():
        with pytest.raises(IntegrityError):
            insert([job])
        assert connection.needs_rollback
        transaction.set_rollback(True)


def test_a_text_that_no_database_has_shifts_no_other_rows(node: Node) -> None:
    """PostgreSQL refuses the character; SQLite takes it."""
    given = jobs(node, 3)
    given[1].message = "a\0b"
    with suppress(ValueError, DataError), transaction.atomic():
        insert(given)
    found = dict(Job.objects.values_list("id", "message"))
    assert found in ({}, {job.id: job.message for job in given})
