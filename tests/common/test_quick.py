"""Rows that are made at once are what Django would have made of them."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.db.models import Model
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from console.cluster.enums import JobKind
from console.cluster.models import Job, Node
from console.workloads.models import App, Container, Operation, Release, Rollout, Service, Slot
from tests.factories import make_app, make_member, make_node, make_slot, make_team

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("model", [App, Release, Rollout, Operation, Service, Slot, Container, Node, Job])
def test_an_object_is_as_django_makes_it(model: Any) -> None:
    names = [field.attname for field in model._meta.concrete_fields]
    values = [f"value of {name}" for name in names]
    quick = model.from_db("default", names, values)
    slow = vars(Model)["from_db"].__func__(model, "default", names, values)
    assert type(quick) is model
    assert {**vars(quick), "_state": None} == {**vars(slow), "_state": None}
    assert (quick._state.db, quick._state.adding, quick._state.fields_cache) == ("default", False, {})


def test_what_was_deferred_is_read_when_it_is_asked_for() -> None:
    made = Job.objects.create(
        node=make_node("n1"), kind=JobKind.PULL, payload={"a": 1}, created_at=timezone.now()
    )
    job = Job.objects.defer("payload").get()
    assert job.get_deferred_fields() == {"payload"}
    with CaptureQueriesContext(connection) as asked:
        assert (job.payload, job.kind) == ({"a": 1}, JobKind.PULL)
    assert len(asked) == 1
    job.kind = JobKind.SYNC
    job.save()
    made.refresh_from_db()
    assert made.kind == JobKind.SYNC


def test_relations_are_fetched_with_it_or_when_they_are_asked_for() -> None:
    slot = make_slot(make_app(make_member(make_team())))
    app = slot.service.app
    for found, queries in ((Slot.objects.select_related("service__app").get(), 0), (Slot.objects.get(), 2)):
        with CaptureQueriesContext(connection) as asked:
            assert found.service.app == app
        assert len(asked) == queries
