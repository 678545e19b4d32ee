"""Stored logs of many containers as one stream: order, bounds, tails, search, and what is missing."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest
from django.utils import timezone

from console.workloads import stored
from console.workloads.archive import log_storage, segments_of
from console.workloads.logevents import Asked, matcher
from console.workloads.models import Container
from tests import factories
from tests.stored_logs import at, keep, lines, read, texts

pytestmark = pytest.mark.django_db
Make = Callable[[int], Container]


@pytest.fixture
def make(log_folder: Path) -> Make:
    access = factories.make_member(factories.make_team("home"))
    app, node = factories.make_app(access, "shop"), factories.make_node("n1")

    def made(index: int) -> Container:
        return factories.make_container(
            app, node, index=index, state="exited", removed_at=timezone.now(), ended_at=timezone.now()
        )

    return made


def test_replicas_are_merged_by_time_over_all_their_segments(make: Make) -> None:
    first, second = make(1), make(2)
    keep(first, lines("a1", "a3", step=2), lines("a5", "a7", first=5, step=2))
    keep(second, lines("b2", "b4", first=2, step=2), lines("b6", first=6))
    assert texts(read(first, second)) == ["a1", "b2", "a3", "b4", "a5", "b6", "a7"]
    assert {each.name for each in read(second)} == {"shop-web-2"}


def test_since_is_after_and_until_is_up_to(make: Make) -> None:
    one = make(1)
    keep(one, lines("1", "2", "3"), lines("4", "5", first=4))
    assert texts(read(one, since=at(2), until=at(4))) == ["3", "4"]
    assert texts(read(one, since=at(3))) == ["4", "5"]
    assert texts(read(one, until=at(2.5))) == ["1", "2"]
    assert texts(read(one, since=at(9))) == []


@pytest.mark.parametrize("tail", [0, 1, 2, 3, 4, 5, 6])
def test_a_tail_is_of_each_container(make: Make, tail: int) -> None:
    one, other = make(1), make(2)
    keep(one, lines("1", "2"), lines("3", first=3), lines("4", "5", first=4))
    keep(other, lines("x", first=0.5))
    expected = ["1", "2", "3", "4", "5"][5 - min(tail, 5) :]
    assert texts(read(one, tail=tail)) == expected
    assert texts(read(one, other, tail=tail)) == (["x"] if tail else []) + expected


@pytest.mark.parametrize(("tail", "expected"), [(1, ["Error 5"]), (2, ["Error 3", "Error 5"]), (9, None)])
def test_a_tail_counts_what_is_found(make: Make, tail: int, expected: list[str] | None) -> None:
    one = make(1)
    keep(one, lines("error 1", "fine"), lines("Error 3", "fine", "Error 5", first=3), lines("fine", first=6))
    found = texts(read(one, tail=tail, match=matcher("ERROR", regex=False)))
    assert found == (expected or ["error 1", "Error 3", "Error 5"])


def test_missing_segments_and_lost_logs_are_marked(make: Make) -> None:
    one = make(1)
    keep(one, lines("1"), lines("2", first=2), lines("3", first=3))
    begin, middle, _last = segments_of(one)
    log_storage().delete(middle.path)
    gap = "[Lines before this are not kept any more.]"
    assert texts(read(one)) == ["1", gap, "3"]
    log_storage().delete(begin.path)
    one.log_lost = "the disk is full"
    lost = "[The log of shop-web-1, or the rest of it, was not kept: the disk is full]"
    assert texts(read(one)) == [gap, "3", lost]
    assert texts(read(one, since=at(2.5))) == ["3", lost]


def test_what_was_too_much_is_counted(make: Make) -> None:
    one = make(1)
    keep(one, lines("1"))
    [segment] = segments_of(one)
    storage = log_storage()
    path = Path(storage.path(segment.path))
    path.rename(path.with_name(path.name.replace("-0-end", "-7-end")))
    assert texts(read(one)) == ["1", "[7]"]


@pytest.mark.parametrize("content", [b"", b"no gzip at all", gzip.compress(b"x" * 99999, mtime=0)[:50]])
def test_a_broken_file_is_a_gap_and_the_rest_is_read(make: Make, content: bytes) -> None:
    one = make(1)
    keep(one, lines("1"), lines("2", first=2))
    Path(log_storage().path(segments_of(one)[0].path)).write_bytes(content)
    *gaps, last = read(one)
    assert last.text == "2"
    assert {gap.kind for gap in gaps} <= {"gap"}
    assert bool(gaps) == bool(content)


def test_a_bomb_is_read_to_a_bound(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored, "MOST_RAW", 1000)
    monkeypatch.setattr(stored, "MOST_LINE", 100)
    one = make(1)
    keep(one, lines("1"))
    Path(log_storage().path(segments_of(one)[0].path)).write_bytes(gzip.compress(b"x" * 1_000_000))
    assert len(read(one)) == 10


def test_a_file_is_opened_when_its_time_has_come(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    one = make(1)
    keep(one, *(lines(f"{number}", first=float(number)) for number in range(1, 30)))
    opened: list[str] = []
    really = log_storage().open

    def note(path: str) -> object:
        opened.append(path)
        return really(path)

    monkeypatch.setattr(log_storage(), "open", note)
    events = stored.merged([one], Asked())
    for _ in range(3):
        next(events)
    assert len(opened) <= 4
    events.close()


def test_a_long_search_gives_the_reader_a_chance_to_leave(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "PAUSE", 10)
    one = make(1)
    keep(one, lines(*["fine"] * 35, "needle", step=0.1))
    found = list(stored.merged([one], Asked(match=matcher("needle", regex=False))))
    assert [each and each.text for each in found] == [None, None, None, "needle"]
