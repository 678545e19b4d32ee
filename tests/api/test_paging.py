from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from console.api.paging import BY_NAME, NEWEST_FIRST, Order, decode, encode, pick
from console.workloads.models import App
from tests import factories
from tests.api.caller import BASE, Caller, People

APPS = "/teams/home/apps"


def walk(caller: Caller, path: str) -> list[list[Any]]:
    """The list page by page, as a client that follows Link."""
    pages, more = [], path
    while more:
        answer = caller.get(more)
        assert answer.status == 200, answer.body
        pages.append(answer.body["items"])
        link, following = answer.headers.get("Link"), answer.body["next"]
        assert link == (f'<{following}>; rel="next"' if following else None)
        more = following.removeprefix(BASE) if following else ""
    return pages


def names(pages: list[list[Any]]) -> list[list[str]]:
    return [[item["name"] for item in items] for items in pages]


def test_a_page_goes_on_after_the_last_row_whatever_came_or_went(people: People) -> None:
    for name in ("a", "c", "e", "g"):
        factories.make_app(people.access, name)
    first = people.viewer.get(f"{APPS}?limit=2").body
    assert [one["name"] for one in first["items"]] == ["a", "c"]
    factories.make_app(people.access, "b")
    factories.make_app(people.access, "f")
    App.objects.filter(name="c").delete()
    rest = walk(people.viewer, first["next"].removeprefix(BASE))
    assert names(rest) == [["e", "f"], ["g"]]


def test_apps_of_one_name_are_all_shown_once(people: People) -> None:
    for _ in range(5):
        factories.make_app(people.access, "same")
        App.objects.filter(name="same").update(deleting=True)
    pages = walk(people.viewer, f"{APPS}?limit=2")
    assert [len(page) for page in pages] == [2, 2, 1]
    assert len({one["id"] for page in pages for one in page}) == 5


@pytest.mark.thorough
@pytest.mark.parametrize(
    "path",
    [
        *("/teams/home/apps", "/teams/home/operations", "/teams/home/events", "/teams/home/tokens"),
        *("/teams/home/apps/a0/releases", "/teams/home/apps/a0/containers", "/teams/home/apps/a0/events"),
        *("/teams/home/nodes", "/teams/home/registries", "/teams", "/teams/home/join-tokens"),
    ],
)
def test_every_list_has_pages(people: People, administrator: Caller, path: str) -> None:
    """Cut into pages of two it is the list that one page shows."""
    node = factories.make_node("n1")
    for number in range(3):
        app = factories.make_app(people.access, f"a{number}")
        factories.make_node()
        for index in range(1, 4):
            factories.make_container(app, node, index=index)
        assert people.owner.post("/teams/home/apps/a0/releases", {"compose": factories.COMPOSE}).status == 202
        assert administrator.post("/teams/home/tokens", {"name": str(number)}).status == 201
        assert administrator.post("/teams/home/join-tokens", {"name": f"new{number}"}).status == 201
        login = {"host": f"r{number}.example.com", "username": "ci", "password": "pw"}
        assert people.owner.post("/teams/home/registries", login).status == 201
    whole = administrator.get(f"{path}?limit=200")
    assert (whole.status, whole.body["next"]) == (200, None)
    assert [one for page in walk(administrator, f"{path}?limit=2") for one in page] == whole.body["items"]


def test_apps_are_chosen_by_state_service_node_and_name(people: People) -> None:
    shop, idle = factories.make_app(people.access, "shop"), factories.make_app(people.access, "idle")
    other = "services:\n  api:\n    image: berth/demo\n"
    factories.make_app(people.access, "third", compose=other)
    people.owner.post(f"{APPS}/idle/stop")
    factories.make_container(shop, factories.make_node("n1"))
    wanted = [
        ("node=n1", ["shop"]),
        ("service=api", ["third"]),
        ("search=I", ["idle", "third"]),
        ("state=deploying", ["idle", "shop", "third"]),
        ("state=failed", []),
        ("service=none", []),
    ]
    for query, found in wanted:
        assert names(walk(people.viewer, f"{APPS}?{query}")) == [found], query
    assert names(walk(people.viewer, f"{APPS}?state=deploying&limit=2")) == [["idle", "shop"], ["third"]]
    answer = people.viewer.get(f"{APPS}?state=asleep")
    assert (answer.status, list(answer.error["fields"])) == (400, ["state"])
    assert idle.name == "idle"


def test_containers_and_nodes_are_chosen(people: People) -> None:
    app = factories.make_app(people.access, "shop")
    one, two = factories.make_node("n1", zone="a"), factories.make_node("n2")
    first = factories.make_container(app, one, index=1)
    second = factories.make_container(app, two, index=2, state="starting")
    wanted = [("node=n1", [first]), (f"node={two.id}", [second]), ("state=starting", [second])]
    for query, found in [*wanted, ("service=web", [second, first]), ("since=2100-01-01T00:00:00Z", [])]:
        items = people.viewer.get(f"{APPS}/shop/containers?{query}").body["items"]
        assert sorted(item["id"] for item in items) == sorted(each.id for each in found), query
    assert [node["name"] for node in people.viewer.get("/teams/home/nodes?zone=a").body["items"]] == ["n1"]
    assert len(people.viewer.get("/teams/home/nodes?state=ready").body["items"]) == 2


@pytest.mark.parametrize("path", ["/me", "/teams", "/teams/home", APPS, "/teams/home/nodes?limit=3"])
def test_a_parameter_that_is_not_known_is_named(people: People, path: str) -> None:
    answer = people.owner.get(f"{path}{'&' if '?' in path else '?'}colour=red")
    assert (answer.status, answer.error["fields"]) == (400, {"colour": ["There is no such parameter."]})


def test_a_write_with_an_unknown_parameter_does_nothing(people: People) -> None:
    answer = people.owner.send("POST", f"{APPS}?dryrun=true", {"name": "shop", "compose": factories.COMPOSE})
    assert (answer.status, list(answer.error["fields"])) == (400, ["dryrun"])
    assert not App.objects.exists()


@pytest.mark.thorough
@pytest.mark.parametrize("cursor", ["%00", "WzEsMl0", "WyJhIiwiXHUwMDAwIl0", "e30", "!", "WzAsMF0", "bnVsbA"])
def test_a_cursor_of_another_list_is_refused(people: People, cursor: str) -> None:
    for path in (APPS, "/teams/home/operations", "/teams/home/nodes", "/teams/home/events"):
        answer = people.owner.get(f"{path}?cursor={cursor}")
        assert (answer.status, list(answer.error["fields"])) == (400, ["cursor"])


@given(st.lists(st.one_of(st.text(), st.integers(-(2**40), 2**40), st.booleans()), max_size=3))
def test_a_cursor_holds_its_values(values: list[Any]) -> None:
    assert decode(encode(tuple(values)), len(values)) == tuple(values)


class Row:
    def __init__(self, name: str, key: int) -> None:
        self.name, self.id = name, key


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 20)), unique_by=lambda row: row[1]),
    st.integers(1, 5),
    st.booleans(),
)
def test_pages_of_a_short_list_are_the_list(
    keys: list[tuple[str, int]], limit: int, descending: bool
) -> None:
    order, rows = Order(("name", "id"), descending), [Row(*key) for key in keys]
    seen: list[tuple[str, int]] = []
    cursor = ""
    while True:
        page = pick(rows, order, limit=limit, cursor=cursor)
        assert len(page.rows) <= limit
        seen += [(row.name, row.id) for row in page.rows]
        cursor = page.cursor
        if not cursor:
            break
    assert seen == sorted(keys, reverse=descending)


def test_orders_end_with_what_is_unique() -> None:
    assert (BY_NAME.keys[-1], NEWEST_FIRST.keys[-1]) == ("id", "id")
