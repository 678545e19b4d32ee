"""SQL that is made once finds what the queryset finds."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.test.utils import CaptureQueriesContext

from console.cluster.models import Job, Node
from console.common.ids import new_id
from console.common.prepared import Prepared, PreparedDelete, PreparedUpdate, Value

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
Make = Callable[..., "QuerySet[Job]"]


@pytest.fixture(autouse=True)
def rows() -> None:
    nodes = [
        Node.objects.create(name=name, cpu=cpu, token_digest=name)
        for name, cpu in (("a", 1), ("b", 2), ("c", 3))
    ]
    for number in range(12):
        Job.objects.create(
            id=new_id(),
            node=nodes[number % 3],
            kind="stop" if number % 2 else "ensure",
            container_id=f"c{number}",
            rings=number,
            payload={"slot": f"s{number}"},
            created_at=NOON + timedelta(minutes=number),
            done_at=NOON if number % 5 == 0 else None,
        )


def ids(count: int) -> list[str]:
    return [f"c{number}" for number in range(count)]


@pytest.mark.parametrize(
    ("make", "first", "then"),
    [
        (lambda: Job.objects.order_by("created_at"), (), ()),
        (lambda kind: Job.objects.filter(kind=kind, done_at=None).order_by("id"), ("stop",), ("ensure",)),
        (
            lambda at: Job.objects.filter(created_at__lte=at).order_by("-created_at").defer("payload"),
            (NOON + timedelta(minutes=3),),
            (NOON + timedelta(minutes=9, microseconds=7),),
        ),
        (lambda rings: Job.objects.filter(rings__gt=rings).order_by("rings"), (3,), (7,)),
        (lambda some: Job.objects.filter(container_id__in=some).order_by("rings"), (ids(3),), (ids(4),)),
        (lambda some: Job.objects.filter(container_id__in=some).order_by("rings"), (ids(5),), ({"c9"},)),
        (
            lambda word, some: Job.objects.filter(Q(kind=word) | Q(container_id__in=some)).order_by("rings"),
            ("stop", ids(2)),
            ("ensure", ["c3", "no such one"]),
        ),
        (
            lambda name: Job.objects.filter(node__name=name).select_related("node").order_by("rings")[:2],
            ("a",),
            ("b",),
        ),
        (
            lambda name: (
                Job.objects.annotate(small=Exists(Node.objects.filter(pk=OuterRef("node"), name=name)))
                .filter(rings__gte=F("node__cpu"))
                .order_by("rings")
            ),
            ("a",),
            ("c",),
        ),
    ],
)
def test_it_finds_what_the_queryset_finds(
    make: Make, first: tuple[Value, ...], then: tuple[Value, ...]
) -> None:
    prepared = Prepared(make)
    for values in (first, then, first):
        assert [_told(job) for job in prepared(*values)] == [_told(job) for job in make(*values)]


def _told(job: Job) -> dict[str, object]:
    told = {key: value for key, value in vars(job).items() if key != "_state"}
    if job._state.fields_cache:
        told["node"] = job.node.name
    return told


@pytest.mark.parametrize("flat", [True, False])
def test_it_gives_values_as_the_queryset_does(flat: bool) -> None:
    def make(kind: str) -> QuerySet[Job, object]:
        fields = ["created_at"] if flat else ["created_at", "payload", "ok", "node__name"]
        return Job.objects.filter(kind=kind).order_by("rings").values_list(*fields, flat=flat)

    prepared = Prepared(make)
    assert prepared("stop") == list(make("stop"))
    assert prepared("ensure") == list(make("ensure"))


def test_one_statement_serves_collections_of_about_a_size() -> None:
    prepared = Prepared(lambda some: Job.objects.filter(container_id__in=some))
    with CaptureQueriesContext(
        connection,
    ) as asked:
        for count in (5, 6, 7, 8):
            assert len(prepared(ids(count))) == count
    assert len({query["sql"].count(",") for query in asked.captured_queries}) == 1


def test_nothing_is_asked_for_an_empty_collection() -> None:
    with CaptureQueriesContext(connection) as asked:
        assert Prepared(lambda some: Job.objects.filter(pk__in=some))([]) == []
        assert (
            PreparedUpdate(lambda some: Job.objects.filter(pk__in=some), lambda _some: {"rings": 1})([]) == 0
        )
    assert not asked.captured_queries


def test_an_update_changes_the_rows_and_says_how_many() -> None:
    update = PreparedUpdate(
        lambda kind, _rings, _at: Job.objects.filter(kind=kind),
        lambda _kind, rings, at: {"rings": F("attempts") + rings, "done_at": at, "message": "50 %"},
    )
    for kind, rings in (("stop", 7), ("ensure", 8), ("none", 9)):
        assert update(kind, rings, NOON) == Job.objects.filter(kind=kind).count()
    assert set(Job.objects.values_list("kind", "rings", "done_at", "message")) == {
        ("stop", 7, NOON, "50 %"),
        ("ensure", 8, NOON, "50 %"),
    }


def test_a_delete_takes_the_rows_at_once_and_says_how_many() -> None:
    shared = Exists(Job.objects.filter(node=OuterRef("node"), rings=0))
    delete = PreparedDelete(lambda some: Job.objects.filter(~shared, container_id__in=some))
    assert delete(ids(3)) == 2
    with CaptureQueriesContext(connection) as asked:
        assert delete(ids(6)) == 2
    assert len(asked.captured_queries) == 1
    left = {"c0", "c3", *(f"c{number}" for number in range(6, 12))}
    assert set(Job.objects.values_list("container_id", flat=True)) == left


def test_what_looks_at_its_values_is_refused() -> None:
    """A stand-in that does not come back as a parameter would stay in the statement for ever."""
    with pytest.raises(ValueError, match="not every value"):
        Prepared(lambda name: Job.objects.filter(kind=name.upper() + "!"))("stop")
    with pytest.raises(TypeError, match="ValuesIterable"):
        Prepared(lambda: Job.objects.values("id"))()
